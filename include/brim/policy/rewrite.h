/* SPDX-License-Identifier: MIT */
/*
 * rewrite - what a route asks its origin for, where that is not what the client asked for: a prefix
 * of the path replaced, and a Host of the route's own.
 *
 * Only what goes out changes: key, purge and log go by the client's URL.
 */
#ifndef BRIM_POLICY_REWRITE_H
#define BRIM_POLICY_REWRITE_H

#include "brim/base/conf.h"
#include "brim/base/str.h"

struct brim_rewrite {       /* zeroed: nothing changes */
    struct brim_str prefix; /* empty: the path stays */
    struct brim_str to;
    struct brim_str host; /* empty: the client's, or the origin's own */
    struct brim_str text; /* all of it as one text, to tell two apart; empty: nothing changes */
};

/* Copies what it needs. Owns: brim_rewrite_fini() frees. Thread: init or control. */
struct brim_rewrite brim_rewrite_compile(const struct brim_conf_route *conf);
void brim_rewrite_fini(struct brim_rewrite *rewrite);

/* Room that brim_rewrite_target() wants for a target. */
size_t brim_rewrite_room(const struct brim_rewrite *rewrite, struct brim_str target);

/* The target that goes out: target itself where the prefix is not its own, else text in buffer.
 * Thread: any. */
struct brim_str brim_rewrite_target(const struct brim_rewrite *rewrite, struct brim_str target,
                                    char *buffer);

#endif
