/* SPDX-License-Identifier: MIT */
/*
 * kv_table - the rows of the named stores in an LMDB environment of their own.
 *
 * Apart from the index of the cache on purpose: that one may be removed at any time, this one holds
 * what exists nowhere else. Readers never wait for the writer. It refuses to know names, limits and
 * who writes when (cache/kv): keys and values are bytes, with an end of life.
 */
#ifndef BRIM_CACHE_KV_TABLE_H
#define BRIM_CACHE_KV_TABLE_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

#define BRIM_KV_TABLE_KEY_MAX 500u

struct brim_kv_table; /* opaque */

struct brim_kv_row {
    struct brim_str key;
    struct brim_str value;
    int64_t expires_wall_ms; /* 0: never */
    /* The row is to be deleted; where it has an end of life, only if it still has this one. */
    bool is_gone;
};

/* Whether row is there, and its life has not ended. */
static inline bool brim_kv_row_is_alive(const struct brim_kv_row *row, int64_t now_wall_ms)
{
    return !row->is_gone && (row->expires_wall_ms == 0 || row->expires_wall_ms > now_wall_ms);
}

/*
 * Opens or makes the environment in path, which takes map_bytes at most.
 * One that is damaged opens too, and is broken: every call below says BRIM_ECORRUPT.
 * Errors: BRIM_ENOSPC, BRIM_ENOMEM, BRIM_EIO: logged here. Thread: init.
 */
BRIM_MUST_USE enum brim_err brim_kv_table_open(const char *path, uint64_t map_bytes,
                                               struct brim_kv_table **table_out);
void brim_kv_table_close(struct brim_kv_table *table); /* accepts NULL */

/* Whether damage was found, now or when it was opened; for good. Logged once. Thread: any. */
bool brim_kv_table_is_broken(struct brim_kv_table *table);

/*
 * Looks at the first row whose key is not less than from, then at those behind it, until fn returns
 * false. What fn sees lasts until it returns; an expired row is shown as well.
 * Errors: BRIM_EIO, logged here. Thread: any, also a loop.
 */
BRIM_MUST_USE enum brim_err brim_kv_table_walk(struct brim_kv_table *table, struct brim_str from,
                                               bool (*fn)(const struct brim_kv_row *row, void *ctx),
                                               void *ctx);

/* Shows fn the row of key, expired or not. Errors: BRIM_ENOENT; BRIM_EIO, logged. Thread: any. */
BRIM_MUST_USE enum brim_err brim_kv_table_find(struct brim_kv_table *table, struct brim_str key,
                                               bool (*fn)(const struct brim_kv_row *row, void *ctx),
                                               void *ctx);

/* The calling thread is the writer from here on and does nothing else (cache/damage). */
void brim_kv_table_settle(struct brim_kv_table *table);

/* Commits rows, durably, all or none. Errors: BRIM_ENOSPC, BRIM_ENOMEM, BRIM_EIO: logged here.
 * Thread: writer (one at a time). */
BRIM_MUST_USE enum brim_err brim_kv_table_commit(struct brim_kv_table *table,
                                                 const struct brim_kv_row *rows, size_t count);

#endif
