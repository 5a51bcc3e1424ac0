/* SPDX-License-Identifier: MIT */
/*
 * conf_check - what must hold between the values of a config: names that refer to each other,
 * things that must be unique, syntax that goes beyond a type.
 *
 * Works on a root that may have faults already: a required value that was not usable is NULL here
 * and passes in silence.
 */
#ifndef BRIM_BASE_CONF_CHECK_H
#define BRIM_BASE_CONF_CHECK_H

#include "brim/base/conf_fault.h"
#include "brim/base/conf_table.h"

/* Notes every fault of root. Thread: init or control. */
void brim_conf_check(const struct brim_conf_root *root, struct brim_conf_faults *faults);

/* The largest request body, in KiB, that client_memory can let in when nothing else is held;
 * UINT64_MAX: any. One that is a little more than a power of two takes more than it counts here. */
uint64_t brim_conf_check_body_max(const struct brim_conf_limits *limits);

/* Whether a usable config has something in it that may be meant, and is a risk all the same; and
 * what. Thread: any. */
bool brim_conf_check_risk(const struct brim_conf_root *root, struct brim_conf_text *text_out);

/* ---- between its files ---- */

/* host[:port] as in a Host field. */
bool brim_conf_check_is_authority(const char *text);
/* Whether the file that is named at path has a secret in it; NULL, which is no file, passes. */
void brim_conf_check_secret(const char *file, const char *path, struct brim_conf_faults *faults);
/* Of the origin at position i: what is in conf_check_origin.c. */
void brim_conf_check_origin(const struct brim_conf_origin *origin, size_t i,
                            struct brim_conf_faults *faults);
/* Chains of origins that stand in for each other. */
void brim_conf_check_fallbacks(const struct brim_conf_root *root, struct brim_conf_faults *faults);
/* Pools of other brims. */
void brim_conf_check_tiers(const struct brim_conf_root *root, struct brim_conf_faults *faults);
/* Of a route, and of reading one's writes: what is in conf_check_route.c. where: path of the route,
 * or of the site. */
void brim_conf_check_route(const struct brim_conf_route *route, const char *where,
                           struct brim_conf_faults *faults);
void brim_conf_check_ryw(const struct brim_conf_ryw *ryw, const char *where,
                         struct brim_conf_faults *faults);

#endif
