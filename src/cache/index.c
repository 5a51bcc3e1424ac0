/* SPDX-License-Identifier: MIT */
/*
 * The LMDB environment in DIR/index. The rows of its tables: cache/record.c.
 *
 *   table     key             value
 *   meta      "format"        u32  format version (1)
 *             "format_inverse" u32 its complement: what a disk has changed is no other version
 *             "node"          16 random bytes, made once
 *             "next_segment"  u32  lowest segment number that was never used
 *   objects   digest          where the object stands
 *   segments  number          state, capacity, tail
 *   epochs    scope           purge sequences
 *
 * Durability. MDB_NOMETASYNC: a commit syncs its pages and leaves only LMDB's own meta page to the
 * kernel; the writer syncs that once a second. After kill -9 the index is what was committed last;
 * after a power cut it is a state at most a second older, never a broken environment.
 *
 * Growing. The map's size is a bound of the file's size, so it begins small and grows only when
 * LMDB says that it is full and the owner of the quota agrees. Growing moves the map, so the writer
 * takes `map` exclusively, which readers hold shared for the length of one lookup.
 *
 * Faults. A commit that fails leaves the last one standing, and the environment usable; where LMDB
 * gives it up (MDB_PANIC: the meta page could not be written) it is opened again. What LMDB does
 * not notice (it has no checksums) misleads a lookup to a wrong place in a segment, where header
 * and checksum are compared, or ends the process: cache/damage.
 */
#include "brim/cache/index.h"

#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/index_inside.h"
#include "brim/cache/purge_pattern.h"

static MDB_val key_of(struct brim_row_bytes *row)
{
    return brim_index_val(row->key, row->key_len);
}

static MDB_val value_of(struct brim_row_bytes *row)
{
    return brim_index_val(row->value, row->value_len);
}

uint64_t brim_index_bytes(const struct brim_index *index)
{
    return atomic_load_explicit(&index->map_bytes, memory_order_relaxed);
}

uint32_t brim_index_next_segment(const struct brim_index *index)
{
    OBJ_CHECK(index, INDEX_MAGIC);
    return index->next_segment;
}

/* ---- reading ---- */

/* A reset transaction keeps its slot in LMDB's reader table, so renewing it takes no lock. */
static MDB_txn *take_reader(struct brim_index *ix)
{
    for (unsigned i = 0; i < READER_SLOTS; i++) {
        if (atomic_load_explicit(&ix->readers[i], memory_order_relaxed) == NULL)
            continue;
        MDB_txn *txn = atomic_exchange_explicit(&ix->readers[i], NULL, memory_order_acquire);
        if (txn != NULL)
            return txn;
    }
    return NULL;
}

static void give_reader(struct brim_index *ix, MDB_txn *txn)
{
    mdb_txn_reset(txn); /* at once: an old snapshot keeps its pages from being used again */
    for (unsigned i = 0; i < READER_SLOTS; i++) {
        MDB_txn *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&ix->readers[i], &none, txn,
                                                    memory_order_release, memory_order_relaxed))
            return;
    }
    mdb_txn_abort(txn);
}

static int begin_read(struct brim_index *ix, MDB_txn **txn_out)
{
    MDB_txn *txn = take_reader(ix);
    int rc;

    *txn_out = NULL;
    if (ix->env == NULL)
        return MDB_PANIC;
    if (txn == NULL) {
        rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, txn_out);
    } else {
        rc = mdb_txn_renew(txn);
        if (rc == MDB_SUCCESS)
            *txn_out = txn;
        else
            mdb_txn_abort(txn);
    }
    return rc;
}

static int enter_map(struct brim_index *ix, MDB_txn **txn_out)
{
    pthread_rwlock_rdlock(&ix->map);
    brim_damage_enter(ix->damage);
    return begin_read(ix, txn_out);
}

/* txn: NULL, none was begun. */
static void leave_map(struct brim_index *ix, MDB_txn *txn)
{
    if (txn != NULL)
        give_reader(ix, txn);
    brim_damage_leave();
    pthread_rwlock_unlock(&ix->map);
}

/* Takes over the size that another process has given the map: whoever succeeds this one grows it
 * while this one still reads. */
static void take_over_size(struct brim_index *ix)
{
    MDB_envinfo info;
    int rc = MDB_SUCCESS;

    pthread_rwlock_wrlock(&ix->map);
    brim_damage_enter(ix->damage);
    if (ix->env != NULL)
        rc = mdb_env_set_mapsize(ix->env, 0);
    if (ix->env != NULL && rc == MDB_SUCCESS && mdb_env_info(ix->env, &info) == MDB_SUCCESS) {
        BRIM_ADD(DISK_BYTES, (int64_t)info.me_mapsize - (int64_t)brim_index_bytes(ix));
        atomic_store_explicit(&ix->map_bytes, info.me_mapsize, memory_order_relaxed);
    }
    brim_damage_leave();
    pthread_rwlock_unlock(&ix->map);
    (void)brim_index_err(rc, "take over size");
}

/* leave_map() follows, whatever it returns. */
static int enter_read(struct brim_index *ix, MDB_txn **txn_out)
{
    int rc = enter_map(ix, txn_out);

    if (rc != MDB_MAP_RESIZED)
        return rc;
    leave_map(ix, *txn_out);
    take_over_size(ix);
    return enter_map(ix, txn_out);
}

enum brim_err brim_index_find(struct brim_index *index, struct brim_digest digest,
                              struct brim_record *record_out)
{
    struct brim_row_bytes row;
    MDB_txn *txn = NULL;
    MDB_val key, val;
    enum brim_err err;
    int rc;

    OBJ_CHECK(index, INDEX_MAGIC);
    INVARIANT(record_out != NULL);
    *record_out = (struct brim_record){0};
    brim_record_key(digest, &row);
    key = key_of(&row);

    rc = enter_read(index, &txn);
    if (rc == MDB_SUCCESS) {
        rc = mdb_get(txn, index->tables.objects, &key, &val);
        err = rc == MDB_SUCCESS ? brim_record_decode(brim_index_str(&val), record_out)
                                : brim_index_err(rc, "get");
    } else {
        err = brim_index_err(rc, "begin read");
    }
    leave_map(index, txn);

    if (err == BRIM_OK && record_out->oldest_segment <
                              atomic_load_explicit(&index->dead_below, memory_order_acquire)) {
        *record_out = (struct brim_record){0};
        err = BRIM_ENOENT;
    }
    return err;
}

static int walk_rows(MDB_cursor *cursor, const struct brim_digest *after,
                     struct brim_digest *digests_out, size_t max, size_t *count)
{
    struct brim_row_bytes row;
    MDB_val key, val;
    int rc;

    if (after == NULL) {
        rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
    } else {
        brim_record_key(*after, &row);
        key = key_of(&row);
        rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
        if (rc == MDB_SUCCESS &&
            brim_str_is(brim_index_str(&key),
                        brim_index_str(&(MDB_val){.mv_data = row.key, .mv_size = row.key_len})))
            rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
    }
    while (rc == MDB_SUCCESS && *count < max) {
        if (brim_record_key_decode(brim_index_str(&key), &digests_out[*count]) == BRIM_OK)
            ++*count;
        rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
    }
    return rc;
}

size_t brim_index_walk(struct brim_index *index, const struct brim_digest *after,
                       struct brim_digest *digests_out, size_t max)
{
    MDB_cursor *cursor = NULL;
    MDB_txn *txn = NULL;
    size_t count = 0;
    int rc;

    OBJ_CHECK(index, INDEX_MAGIC);
    rc = enter_read(index, &txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(txn, index->tables.objects, &cursor);
    if (rc == MDB_SUCCESS)
        rc = walk_rows(cursor, after, digests_out, max, &count);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        (void)brim_index_err(rc, "walk");
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    leave_map(index, txn);
    return count;
}

/* Calls fn for every row of table in one snapshot. */
static enum brim_err each_row(struct brim_index *ix, MDB_dbi table,
                              void (*fn)(const MDB_val *key, const MDB_val *val, void *ctx),
                              void *ctx)
{
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key, val;
    enum brim_err err;
    int rc;

    rc = enter_read(ix, &txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(txn, table, &cursor);
    while (rc == MDB_SUCCESS) {
        rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
        if (rc == MDB_SUCCESS)
            fn(&key, &val, ctx);
    }
    err = rc == MDB_NOTFOUND ? BRIM_OK : brim_index_err(rc, "walk");
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    leave_map(ix, txn);
    return err;
}

struct segment_visit {
    void (*fn)(const struct brim_segment_row *row, void *ctx);
    void *ctx;
};

static void visit_segment(const MDB_val *key, const MDB_val *val, void *ctx)
{
    const struct segment_visit *visit = ctx;
    struct brim_segment_row row;

    if (brim_segment_row_decode(brim_index_str(key), brim_index_str(val), &row) == BRIM_OK)
        visit->fn(&row, visit->ctx);
}

void brim_index_each_segment(struct brim_index *index,
                             void (*fn)(const struct brim_segment_row *row, void *ctx), void *ctx)
{
    OBJ_CHECK(index, INDEX_MAGIC);
    /* Logged; what is read so far is all there is. */
    (void)each_row(index, index->tables.segments, visit_segment, &(struct segment_visit){fn, ctx});
}

struct epoch_visit {
    void (*fn)(const struct brim_purge_epoch *epoch, void *ctx);
    void *ctx;
};

static void visit_epoch(const MDB_val *key, const MDB_val *val, void *ctx)
{
    const struct epoch_visit *visit = ctx;
    struct brim_purge_epoch epoch;

    if (brim_epoch_decode(brim_index_str(key), brim_index_str(val), &epoch) == BRIM_OK)
        visit->fn(&epoch, visit->ctx);
}

enum brim_err brim_index_each_epoch(struct brim_index *index,
                                    void (*fn)(const struct brim_purge_epoch *epoch, void *ctx),
                                    void *ctx)
{
    OBJ_CHECK(index, INDEX_MAGIC);
    return each_row(index, index->tables.epochs, visit_epoch, &(struct epoch_visit){fn, ctx});
}

/* ---- writing: one change ---- */

/* What a transaction changes outside of LMDB; taken over only when it has been committed. */
struct tally {
    int64_t objects;
    uint32_t closed_below;
    uint32_t dead_below;
    uint32_t next_segment;
    unsigned refused;
};

static int apply_store(struct brim_index *ix, MDB_txn *txn, const struct brim_change *change,
                       struct tally *tally)
{
    struct brim_row_bytes row;
    struct brim_record old;
    MDB_val key, val;

    brim_record_encode(change->digest, &change->record, &row);
    key = key_of(&row);
    int rc = mdb_get(txn, ix->tables.objects, &key, &val);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND)
        return rc;
    bool is_new = rc == MDB_NOTFOUND;
    if (change->kind == BRIM_CHANGE_MOVE &&
        (is_new || brim_record_decode(brim_index_str(&val), &old) != BRIM_OK ||
         !brim_extent_is_at(old.meta, change->from)))
        return MDB_SUCCESS;
    if (change->record.oldest_segment < tally->closed_below) {
        tally->refused++;
        return MDB_SUCCESS;
    }
    val = value_of(&row);
    rc = mdb_put(txn, ix->tables.objects, &key, &val, 0);
    if (rc == MDB_SUCCESS && is_new)
        tally->objects++;
    return rc;
}

static bool is_to_go(const struct brim_change *change, const struct brim_record *old)
{
    if (change->kind == BRIM_CHANGE_DROP_AT)
        return brim_extent_is_at(old->meta, change->from);
    if (change->kind == BRIM_CHANGE_DROP_LEANING)
        return old->oldest_segment <= change->segment;
    return true;
}

static int apply_drop(struct brim_index *ix, MDB_txn *txn, const struct brim_change *change,
                      struct tally *tally)
{
    struct brim_row_bytes row;
    struct brim_record old;
    MDB_val key, val;

    brim_record_key(change->digest, &row);
    key = key_of(&row);
    int rc = mdb_get(txn, ix->tables.objects, &key, &val);
    if (rc != MDB_SUCCESS)
        return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    if (brim_record_decode(brim_index_str(&val), &old) == BRIM_OK && !is_to_go(change, &old))
        return MDB_SUCCESS;
    rc = mdb_del(txn, ix->tables.objects, &key, NULL);
    if (rc == MDB_SUCCESS)
        tally->objects--;
    return rc;
}

static int put_segment(struct brim_index *ix, MDB_txn *txn, const struct brim_segment_row *segment,
                       struct tally *tally)
{
    struct brim_row_bytes row;
    MDB_val key, val;
    int rc = MDB_SUCCESS;

    brim_segment_row_encode(segment, &row);
    key = key_of(&row);
    val = value_of(&row);
    if (segment->id >= tally->next_segment) {
        tally->next_segment = segment->id + 1;
        rc = brim_index_put_u32(ix, txn, "next_segment", tally->next_segment);
    }
    if (rc == MDB_SUCCESS)
        rc = mdb_put(txn, ix->tables.segments, &key, &val, 0);
    return rc;
}

static int apply_retire(struct brim_index *ix, MDB_txn *txn, const struct brim_change *change,
                        struct tally *tally)
{
    struct brim_segment_row segment = {.id = change->segment};
    struct brim_row_bytes row;
    MDB_val key, val;

    if (change->segment + 1 > tally->closed_below)
        tally->closed_below = change->segment + 1;
    brim_segment_row_encode(&segment, &row);
    key = key_of(&row);
    int rc = mdb_get(txn, ix->tables.segments, &key, &val);
    if (rc == MDB_NOTFOUND)
        return MDB_SUCCESS; /* never named by a record */
    if (rc != MDB_SUCCESS)
        return rc;
    if (brim_segment_row_decode(brim_index_str(&key), brim_index_str(&val), &segment) != BRIM_OK)
        return MDB_CORRUPTED;
    segment.state = BRIM_SEGMENT_RETIRING;
    return put_segment(ix, txn, &segment, tally);
}

static int apply_remove(struct brim_index *ix, MDB_txn *txn, const struct brim_change *change,
                        struct tally *tally)
{
    struct brim_row_bytes row;
    MDB_val key;

    brim_segment_row_encode(&(struct brim_segment_row){.id = change->segment}, &row);
    key = key_of(&row);
    if (change->floor > tally->dead_below)
        tally->dead_below = change->floor;
    if (change->floor > tally->closed_below)
        tally->closed_below = change->floor;
    int rc = mdb_del(txn, ix->tables.segments, &key, NULL);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* Takes out the epochs that an epoch of everything makes superfluous: what bounds the table. */
static int drop_covered(struct brim_index *ix, MDB_txn *txn, const struct brim_purge_epoch *all)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, val;
    struct brim_purge_epoch epoch;
    uint64_t soft_seq = all->soft_seq > all->hard_seq ? all->soft_seq : all->hard_seq;
    int rc = mdb_cursor_open(txn, ix->tables.epochs, &cursor);

    if (rc != MDB_SUCCESS)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == MDB_SUCCESS) {
        if (brim_epoch_decode(brim_index_str(&key), brim_index_str(&val), &epoch) != BRIM_OK ||
            epoch.scope == all->scope || epoch.hard_seq > all->hard_seq ||
            epoch.soft_seq > soft_seq)
            continue;
        rc = mdb_cursor_del(cursor, 0);
        if (rc != MDB_SUCCESS)
            break;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int apply_epoch(struct brim_index *ix, MDB_txn *txn, const struct brim_change *change)
{
    struct brim_str pattern = change->epoch.pattern;
    char value[sizeof(((struct brim_row_bytes *)NULL)->value) + BRIM_PURGE_PATTERN_BYTES];
    struct brim_row_bytes row;
    MDB_val key, val;

    INVARIANT(pattern.len <= BRIM_PURGE_PATTERN_BYTES);
    brim_epoch_encode(&change->epoch, &row);
    memcpy(value, row.value, row.value_len);
    if (pattern.len > 0)
        memcpy(value + row.value_len, pattern.base, pattern.len);
    key = key_of(&row);
    val = (MDB_val){.mv_size = row.value_len + pattern.len, .mv_data = value};
    int rc = mdb_put(txn, ix->tables.epochs, &key, &val, 0);
    if (rc == MDB_SUCCESS && change->epoch.scope == brim_purge_scope_all())
        rc = drop_covered(ix, txn, &change->epoch);
    return rc;
}

static int apply(struct brim_index *ix, MDB_txn *txn, const struct brim_change *change,
                 struct tally *tally)
{
    switch (change->kind) {
    case BRIM_CHANGE_PUT:
    case BRIM_CHANGE_MOVE:
        return apply_store(ix, txn, change, tally);
    case BRIM_CHANGE_DROP:
    case BRIM_CHANGE_DROP_AT:
    case BRIM_CHANGE_DROP_LEANING:
        return apply_drop(ix, txn, change, tally);
    case BRIM_CHANGE_RETIRE:
        return apply_retire(ix, txn, change, tally);
    case BRIM_CHANGE_REMOVE:
        return apply_remove(ix, txn, change, tally);
    case BRIM_CHANGE_EPOCH:
        return apply_epoch(ix, txn, change);
    case BRIM_CHANGE_TAILS: /* the rows are the batch's */
    case BRIM_CHANGE_NONE:
        break;
    }
    return MDB_SUCCESS;
}

/* ---- writing: batches ---- */

static void take_over(struct brim_index *ix, const struct tally *tally)
{
    ix->objects += tally->objects;
    ix->closed_below = tally->closed_below;
    ix->next_segment = tally->next_segment;
    atomic_store_explicit(&ix->dead_below, tally->dead_below, memory_order_release);
    BRIM_ADD(DISK_OBJECTS, tally->objects);
    BRIM_ADD(DISK_REFUSED, tally->refused);
}

static int run_txn(struct brim_index *ix, const struct brim_index_batch *batch)
{
    struct tally tally = {.closed_below = ix->closed_below,
                          .dead_below = atomic_load_explicit(&ix->dead_below, memory_order_relaxed),
                          .next_segment = ix->next_segment};
    MDB_txn *txn = NULL;
    int rc = ix->env == NULL ? MDB_PANIC : mdb_txn_begin(ix->env, NULL, 0, &txn);

    for (size_t i = 0; rc == MDB_SUCCESS && i < batch->row_count; i++)
        rc = put_segment(ix, txn, &batch->rows[i], &tally);
    for (const struct brim_change *change = batch->first; rc == MDB_SUCCESS && change != batch->end;
         change = change->next)
        rc = apply(ix, txn, change, &tally);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = brim_index_end(txn); /* ends txn whatever it returns */
    if (rc == MDB_SUCCESS)
        take_over(ix, &tally);
    return rc;
}

/* Makes the map larger, if the owner of the quota agrees. */
static bool grow(struct brim_index *ix)
{
    uint64_t old = brim_index_bytes(ix);
    uint64_t step = old < ix->config->growth_max ? old : ix->config->growth_max;
    uint64_t bytes = (old + step + MAP_ALIGN - 1) & ~(uint64_t)(MAP_ALIGN - 1);
    int rc;

    INVARIANT(bytes > old);
    if (ix->config->may_grow != NULL && !ix->config->may_grow(ix->config->ctx, bytes))
        return false;
    pthread_rwlock_wrlock(&ix->map);
    rc = mdb_env_set_mapsize(ix->env, bytes);
    if (rc != MDB_SUCCESS)
        (void)mdb_env_set_mapsize(ix->env, old);
    pthread_rwlock_unlock(&ix->map);
    if (brim_index_err(rc, "grow") != BRIM_OK)
        return false; /* stays charged: a bound may be too high */
    atomic_store_explicit(&ix->map_bytes, bytes, memory_order_relaxed);
    BRIM_ADD(DISK_BYTES, bytes - old);
    BRIM_LOG(INFO, "disk.index_grown", "bytes=%llu", (unsigned long long)bytes);
    return true;
}

enum brim_err brim_index_commit(struct brim_index *index, const struct brim_index_batch *batch)
{
    enum brim_err err;
    int rc;

    OBJ_CHECK(index, INDEX_MAGIC);
    INVARIANT(batch != NULL);
    brim_damage_enter(index->damage);
    do
        rc = run_txn(index, batch);
    while (rc == MDB_MAP_FULL && (brim_index_free_dead_readers(index->env) || grow(index)));
    err = brim_index_err(rc, "commit");
    if (rc == MDB_PANIC)
        (void)brim_index_reopen(index); /* logged; the batch is tried again in parts */
    brim_damage_leave();
    return err;
}

void brim_index_settle(struct brim_index *index)
{
    OBJ_CHECK(index, INDEX_MAGIC);
    brim_damage_settle(index->damage);
}

enum brim_err brim_index_sync(struct brim_index *index)
{
    enum brim_err err;

    OBJ_CHECK(index, INDEX_MAGIC);
    brim_damage_enter(index->damage);
    err = brim_index_err(index->env == NULL ? MDB_PANIC : mdb_env_sync(index->env, 1), "sync");
    brim_damage_leave();
    return err;
}
