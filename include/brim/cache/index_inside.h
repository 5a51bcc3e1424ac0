/* SPDX-License-Identifier: MIT */
/*
 * index_inside - what the files of cache/index share: the environment and how it is opened.
 */
#ifndef BRIM_CACHE_INDEX_INSIDE_H
#define BRIM_CACHE_INDEX_INSIDE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "brim/cache/damage.h"
#include "brim/cache/record.h"

#define INDEX_MAGIC  0x69647831u
#define READER_SLOTS 64u    /* transactions kept for reuse: about one per thread */
#define MAP_ALIGN    65536u /* whole pages, whatever their size */

struct brim_index_config;

struct brim_index_tables {
    MDB_dbi meta;
    MDB_dbi objects;
    MDB_dbi segments;
    MDB_dbi epochs;
};

struct brim_index {
    uint32_t magic;
    MDB_env *env; /* NULL: it was given up and could not be opened again yet */
    struct brim_damage *damage;
    struct brim_index_tables tables;
    struct brim_index_config *config;
    pthread_rwlock_t map; /* shared: a lookup; exclusive: the map moves */
    _Atomic uint64_t map_bytes;
    _Atomic uint32_t dead_below; /* segments below are gone: lookups do not see what leans there */
    uint32_t closed_below;       /* writer: segments below are being retired */
    uint32_t next_segment;       /* writer */
    int64_t objects;             /* writer: rows in `objects`, for the gauge */
    _Atomic(MDB_txn *) readers[READER_SLOTS];
};

/* What only a damaged file makes LMDB say (cache/kv_table asks too). */
bool brim_index_is_damage(int rc);

/* What LMDB's code for opening path means: where memory was what was missing for as many pages as
 * the file says that it has, and it cannot have them, that is damage (cache/kv_table asks too). */
int brim_index_why_not_open(int rc, const char *path);

/* mdb_txn_commit(), but where LMDB was to write a page that no file can have: only damage gives it
 * such a number (cache/kv_table asks too). */
int brim_index_end(MDB_txn *txn);

/* Where a map is full: a process that was killed while it looked something up keeps every page that
 * was freed since, if another one had the environment already (who opens it clears such slots).
 * False: there was none. cache/kv_table asks too. */
bool brim_index_free_dead_readers(MDB_env *env);

/* The lock under which a map moves: transactions hold it shared. cache/kv_table has one, too. */
void brim_index_init_map(pthread_rwlock_t *map);

/* The one place where LMDB's codes become ours; what is a fault is logged here. */
enum brim_err brim_index_err(int rc, const char *what);

static inline MDB_val brim_index_val(void *data, size_t bytes)
{
    return (MDB_val){.mv_size = bytes, .mv_data = data};
}

static inline struct brim_str brim_index_str(const MDB_val *val)
{
    return brim_str(val->mv_data, val->mv_size);
}

/* Writes a number of the table `meta`. Returns LMDB's code. */
BRIM_MUST_USE int brim_index_put_u32(struct brim_index *ix, MDB_txn *txn, const char *name,
                                     uint32_t value);

/* Opens the environment anew, after LMDB has given it up because it could not write its meta page.
 * The state is what was committed last. Errors: as of brim_index_open(). Thread: writer. */
enum brim_err brim_index_reopen(struct brim_index *ix);

#endif
