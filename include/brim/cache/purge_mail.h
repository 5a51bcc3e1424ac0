/* SPDX-License-Identifier: MIT */
/*
 * purge_mail - how two processes that serve from one disk tier for a moment, while one takes over
 * from the other (brim_cache_release()), tell each other of purges. It stands in memory that both
 * have, and that is zero at first.
 *
 * The one that writes to the tier only says that there was a purge: from then on the other one
 * looks nothing up. What the other one purges (a POST that was under way, a handler) is posted, and
 * read before the next lookup here. What was posted is not lost with the process that should have
 * read it: the next one does.
 */
#ifndef BRIM_CACHE_PURGE_MAIL_H
#define BRIM_CACHE_PURGE_MAIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "brim/cache/purge.h"

#define BRIM_PURGE_MAIL_ROOM 512u

struct brim_purge_mail_slot {
    _Atomic uint64_t turn; /* of the mail in it, from 1; 0: none yet */
    uint64_t scope;
    uint64_t kind;
};

struct brim_purge_mail {
    _Atomic uint64_t purges; /* by anybody */
    _Atomic uint64_t posted;
    _Atomic uint64_t taken;
    struct brim_purge_mail_slot slots[BRIM_PURGE_MAIL_ROOM];
};

/* Thread: any, of any process. */
void brim_purge_mail_post(struct brim_purge_mail *mail, uint64_t scope, enum brim_purge_kind kind);

/* Whether there is something to take. Thread: any. */
static inline bool brim_purge_mail_waits(const struct brim_purge_mail *mail)
{
    return atomic_load_explicit(&mail->posted, memory_order_acquire) !=
           atomic_load_explicit(&mail->taken, memory_order_acquire);
}

/* Takes the next; where more were posted than there is room, one for everything stands for all of
 * them. False: there is none. Thread: one at a time, of one process. */
bool brim_purge_mail_take(struct brim_purge_mail *mail, uint64_t *scope_out,
                          enum brim_purge_kind *kind_out);

#endif
