/* SPDX-License-Identifier: MIT */
/*
 * estate - a page of memory that the processes of one node share: the parent, the node, and while
 * an upgrade is under way its successor. It outlives each of them.
 *
 * Processes of different versions map it: members are only ever added at the end, never changed.
 */
#ifndef BRIM_SERVE_ESTATE_H
#define BRIM_SERVE_ESTATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "brim/base/err.h"
#include "brim/cache/purge_mail.h"

#define BRIM_ESTATE_BYTES      65536u
#define BRIM_ESTATE_PATH_BYTES 4096u
#define BRIM_ESTATE_WHY_BYTES  512u
#define BRIM_ESTATE_TAIL_BYTES 4096u

enum brim_upgrade_state {
    BRIM_UPGRADE_NONE,
    BRIM_UPGRADE_ASKED,     /* by the admin API: `binary` is set; the parent has not begun */
    BRIM_UPGRADE_UNDER_WAY, /* the parent's */
    BRIM_UPGRADE_DONE,
    BRIM_UPGRADE_FAILED, /* `why` and `tail` are set */
    BRIM_UPGRADE_STATES
};

struct brim_estate {
    uint32_t magic;
    _Atomic uint32_t state;              /* of the latest upgrade: enum brim_upgrade_state */
    _Atomic uint64_t serial;             /* of the latest upgrade */
    _Atomic uint64_t done;               /* upgrades that succeeded */
    char binary[BRIM_ESTATE_PATH_BYTES]; /* asked for; "": the one that runs */
    char why[BRIM_ESTATE_WHY_BYTES];     /* of the latest failure */
    char tail[BRIM_ESTATE_TAIL_BYTES];   /* the end of what the failed successor has said */
    struct brim_purge_mail mail;         /* see brim_cache_release() */
};

/* Makes the page, or maps the one in *fd where that is not -1. Errors: BRIM_EIO, BRIM_ENOMEM,
 * BRIM_EVERSION. Owns: *fd and *estate_out until close. Thread: init. */
BRIM_MUST_USE enum brim_err brim_estate_open(int *fd, struct brim_estate **estate_out);
void brim_estate_close(struct brim_estate *estate, int fd); /* NULL, -1: nothing */

/* From one of the ends to ASKED. False: an upgrade is under way. Thread: any. */
bool brim_estate_ask(struct brim_estate *estate, const char *binary);

#endif
