/* SPDX-License-Identifier: MIT */
/*
 * health - whether a device can be written to, and when to try again.
 *
 * After a fault nothing is written for a second, then one caller may try; the first write that
 * succeeds ends it. Two lines in the log: one when it begins, one when it ends.
 */
#ifndef BRIM_CACHE_HEALTH_H
#define BRIM_CACHE_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "brim/base/err.h"

struct brim_health {
    const char *path; /* for the log, borrowed */
    uint64_t (*now_mono_ms)(void);
    _Atomic uint64_t retry_at_ms; /* private; 0: healthy */
};

/* Whether the caller may write now. After a fault one caller a second may. Thread: any. */
bool brim_health_may_write(struct brim_health *health);

/* A write failed with errnum. Returns BRIM_ENOSPC or BRIM_EIO. Thread: any. */
BRIM_MUST_USE enum brim_err brim_health_failed(struct brim_health *health, const char *what,
                                               int errnum);

/* A write succeeded. Thread: any. */
void brim_health_succeeded(struct brim_health *health);

#endif
