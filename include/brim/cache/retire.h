/* SPDX-License-Identifier: MIT */
/*
 * retire - makes room on disk: the thread that takes the oldest segment out of the cache.
 *
 * What was used lately gets a second chance: it is written again at the head of the log. The rest
 * leaves the index, then the file goes. Refuses to know quotas: cache/segment says when.
 */
#ifndef BRIM_CACHE_RETIRE_H
#define BRIM_CACHE_RETIRE_H

#include "brim/cache/indexer.h"
#include "brim/cache/segment.h"
#include "brim/cache/sketch.h"

struct brim_retirer; /* opaque */

struct brim_retirer_config { /* all borrowed */
    struct brim_index *index;
    struct brim_indexer *indexer;
    struct brim_segments *segments;
    struct brim_sketch *sketch;
};

/* Starts the thread. Errors: BRIM_EIO, logged here. Thread: init. */
BRIM_MUST_USE enum brim_err brim_retirer_open(const struct brim_retirer_config *config,
                                              struct brim_retirer **retirer_out);

/* There may be something to do. Thread: any, also a loop. */
void brim_retirer_wake(struct brim_retirer *retirer);

/* Ends the thread at the next extent; it may still be woken, which does nothing. Accepts NULL.
 * Once. Thread: any but a loop. */
void brim_retirer_end(struct brim_retirer *retirer);

/* Ends the thread at the next extent; the rest is done after the next start. Accepts NULL.
 * Thread: init. */
void brim_retirer_close(struct brim_retirer *retirer);

#endif
