/* SPDX-License-Identifier: MIT */
/*
 * kv_sweep - what takes expired rows out of the table of the named stores.
 *
 * Refuses to know what waits to be written (cache/kv): a row that has another end of life by the
 * time it is deleted stays.
 */
#ifndef BRIM_CACHE_KV_SWEEP_H
#define BRIM_CACHE_KV_SWEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "brim/cache/kv_table.h"

/* Of rows that are ours. A longer one was changed by a disk, and is passed over. */
#define BRIM_KV_SWEEP_KEY_MAX 320u

/* Zeroed but for table: at the beginning of it. */
struct brim_kv_sweep {
    struct brim_kv_table *table;
    char from[BRIM_KV_SWEEP_KEY_MAX]; /* private: where the next turn goes on */
    size_t from_len;
};

/* Takes a few turns. Returns whether there is much left, as far as can be told. Thread: writer. */
bool brim_kv_sweep_some(struct brim_kv_sweep *sweep);

/* Takes turns once round the table, or a limit of them: the next round goes on where this one
 * ended. Thread: writer. */
void brim_kv_sweep_round(struct brim_kv_sweep *sweep);

/* Commits rows, which borrow what they name; where the table is full, after a round that makes
 * room. Errors as brim_kv_table_commit(); BRIM_ENOSPC: it is full of what has not ended. */
BRIM_MUST_USE enum brim_err brim_kv_sweep_commit(struct brim_kv_sweep *sweep,
                                                 const struct brim_kv_row *rows, size_t count);

#endif
