/* SPDX-License-Identifier: MIT */
/*
 * route_inside - what route.c (which sites and routes there are, and who is matched) has compiled
 * elsewhere: the rules of the cache and the key (route_rules.c) and who is let in (route_gates.c).
 * Nobody else includes it.
 */
#ifndef BRIM_POLICY_ROUTE_INSIDE_H
#define BRIM_POLICY_ROUTE_INSIDE_H

#include <stddef.h>

#include "brim/base/conf.h"
#include "brim/http/cache_key.h"
#include "brim/http/freshness.h"
#include "brim/policy/compile_faults.h"

struct brim_route;

/* Strings of our own behind pointers to const. */
void brim_route_free_const(const void *memory);

/* ---- route_rules.c ---- */

struct brim_cache_rules brim_route_compile_rules(const struct brim_conf_rules *conf);
struct brim_key_rules brim_route_compile_key(const struct brim_conf_rules *conf);
void brim_route_free_rules(const struct brim_cache_rules *rules);
void brim_route_free_key(const struct brim_key_rules *key);

/* ---- route_gates.c ---- */

/* Two steps of compiling: both are made, so that the faults of both are told. */
enum brim_err brim_route_both(enum brim_err one, enum brim_err other);

/* What a site says of everybody who asks for it, in own, which has its site. */
enum brim_err brim_route_compile_site_gates(const struct brim_conf_site *conf,
                                            struct brim_compile_faults *faults,
                                            struct brim_route *own);

/* What a route says beside it; route begins as a copy of its site's. */
enum brim_err brim_route_compile_gates(const struct brim_conf_route *conf,
                                       const struct brim_conf_site *site,
                                       struct brim_compile_faults *faults,
                                       struct brim_route *route);

/* own: all of its site's; route: but for what is own's. */
void brim_route_free_site_gates(const struct brim_route *own);
void brim_route_free_gates(const struct brim_route *route, const struct brim_route *own);

#endif
