/* SPDX-License-Identifier: MIT */
/*
 * conf_check_gates - what must hold for the options of who may ask and how often. Part of
 * conf_check, which calls it for each site and each route.
 */
#ifndef BRIM_BASE_CONF_CHECK_GATES_H
#define BRIM_BASE_CONF_CHECK_GATES_H

#include "brim/base/conf_fault.h"
#include "brim/base/conf_table.h"

/* What a site or a route says; NULL: nothing to check. */
struct brim_conf_gates {
    const struct brim_conf_access *access;
    const struct brim_conf_rate_limit *rate_limit;
    const struct brim_conf_jwt *jwt;
    const struct brim_conf_basic_auth *basic_auth;
    const struct brim_conf_cors *cors;
    const struct brim_conf_access *purge;
    const struct brim_conf_strings *hosts; /* of the site */
};

/* where: path of the site or route. Thread: init or control. */
void brim_conf_check_gates(const struct brim_conf_gates *gates, const char *where,
                           struct brim_conf_faults *faults);

/* A field of brim's own making; empty: none. */
void brim_conf_check_field(const char *name, const char *where, const char *key,
                           struct brim_conf_faults *faults);
/* Addresses and blocks in the option called key below where. */
void brim_conf_check_blocks(const struct brim_conf_strings *blocks, const char *where,
                            const char *key, struct brim_conf_faults *faults);

#endif
