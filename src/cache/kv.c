/* SPDX-License-Identifier: MIT */
/*
 * Two layers in RAM stand in front of the table on disk:
 *
 *     filling  ->  committing  ->  table (LMDB)
 *
 * A write replaces its key's entry in `filling`. The writer makes `filling` the new `committing`
 * (one pointer, under the lock), commits it without the lock, and then empties it. A reader asks
 * the three in that order, so that it sees every write from the moment its call returned: an entry
 * leaves a layer only when the next one has it. Layers are glibc's balanced trees (tsearch), whose
 * order also is that of a list. Entries never change; a new value is a new entry.
 *
 * Keys on disk are STORE 0 KEY; neither may hold a 0, so no two names meet.
 *
 * A full disk refuses writes for a second, so that whoever writes learns it. What had been accepted
 * before that is lost but for its deletions, which make room; the log and brim_kv_sync() say so.
 * Expired rows are unseen at once and deleted by the writer (kv_sweep.c); before a store is called
 * full, a round is made for them.
 */
#include "brim/cache/kv.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/text.h"
#include "brim/cache/kv_sweep.h"
#include "brim/cache/kv_table.h"

#define KV_MAGIC         0x6b767330u
#define BATCH_MS         20u
#define WAITING_MAX      8192u               /* entries in both layers */
#define WAITING_BYTES    (32u * 1024 * 1024) /* and their bytes */
#define FULL_MS          1000u
#define SWEEP_MS         1000u
#define FULL_KEY_MAX     (BRIM_KV_STORE_MAX + 1 + BRIM_KV_KEY_MAX)
#define NUMBER_BYTES_MAX 20u

_Static_assert(FULL_KEY_MAX <= BRIM_KV_TABLE_KEY_MAX, "LMDB's keys are short");
_Static_assert(FULL_KEY_MAX <= BRIM_KV_SWEEP_KEY_MAX, "whatever is written can be swept");

struct pending {
    struct brim_kv_row row; /* points into bytes */
    char bytes[];
};

struct layer {
    void *tree; /* of struct pending */
    size_t count;
    size_t bytes;
};

struct brim_kv {
    uint32_t magic;
    struct brim_kv_table *table;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t done;
    struct layer filling;
    struct layer committing;
    _Atomic size_t waiting; /* entries in both: 0 is known without the lock */
    uint64_t begun;         /* batches taken */
    uint64_t ended;         /* batches committed, or not */
    uint64_t failed;        /* the last batch that failed, and why */
    enum brim_err failure;
    unsigned hurry; /* somebody waits */
    bool stop;
    _Atomic uint64_t full_until_ms;
    struct brim_kv_sweep sweep; /* writer's */
};

static struct brim_str full_key(const struct brim_kv_name *name, char room[FULL_KEY_MAX])
{
    size_t len = name->store.len;

    INVARIANT(len > 0 && len <= BRIM_KV_STORE_MAX && name->key.len <= BRIM_KV_KEY_MAX);
    memcpy(room, name->store.base, len);
    room[len++] = '\0';
    if (name->key.len > 0)
        memcpy(room + len, name->key.base, name->key.len);
    return brim_str(room, len + name->key.len);
}

bool brim_kv_store_is_valid(struct brim_str store)
{
    for (size_t i = 0; i < store.len; i++) {
        char c = store.base[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_'))
            return false;
    }
    return store.len > 0 && store.len <= BRIM_KV_STORE_MAX;
}

bool brim_kv_key_is_valid(struct brim_str key)
{
    return key.len > 0 && key.len <= BRIM_KV_KEY_MAX && memchr(key.base, '\0', key.len) == NULL;
}

/* ---- layers; under lock, but for reading `committing` on the writer ---- */

static int compare(struct brim_str a, struct brim_str b)
{
    int order = memcmp(a.base, b.base, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b)
{
    return compare(((const struct pending *)a)->row.key, ((const struct pending *)b)->row.key);
}

static const struct pending *layer_find(const struct layer *layer, struct brim_str key)
{
    struct pending wanted = {.row = {.key = key}};
    void *node = tfind(&wanted, &layer->tree, compare_entries);

    return node == NULL ? NULL : *(struct pending **)node;
}

static size_t entry_bytes(const struct pending *entry)
{
    return sizeof(*entry) + entry->row.key.len + entry->row.value.len;
}

/* Takes entry. */
static enum brim_err layer_put(struct layer *layer, struct pending *entry)
{
    void *node = tsearch(entry, &layer->tree, compare_entries);
    struct pending **slot = node;

    if (node == NULL) {
        free(entry);
        return BRIM_ENOMEM;
    }
    layer->bytes += entry_bytes(entry);
    if (*slot == entry) {
        layer->count++;
        return BRIM_OK;
    }
    layer->bytes -= entry_bytes(*slot);
    free(*slot);
    *slot = entry;
    return BRIM_OK;
}

/* The newest word on key that is not on disk yet; NULL: there is none. */
static const struct pending *waiting_find(const struct brim_kv *kv, struct brim_str key)
{
    const struct pending *entry = layer_find(&kv->filling, key);

    return entry != NULL ? entry : layer_find(&kv->committing, key);
}

/* ---- reading ---- */

struct copy {
    int64_t now_wall_ms;
    struct brim_kv_room room;
    size_t len;
    int64_t expires_wall_ms;
    enum brim_err err;
};

static bool copy_row(const struct brim_kv_row *row, void *ctx)
{
    struct copy *copy = ctx;

    copy->err = BRIM_ENOENT;
    if (!brim_kv_row_is_alive(row, copy->now_wall_ms))
        return false;
    copy->err = BRIM_ECORRUPT;
    if (row->value.len > BRIM_KV_VALUE_MAX)
        return false; /* a disk has changed it */
    copy->len = row->value.len;
    copy->expires_wall_ms = row->expires_wall_ms;
    copy->err = copy->len > copy->room.bytes ? BRIM_ELIMIT : BRIM_OK;
    if (copy->err == BRIM_OK && copy->len > 0)
        memcpy(copy->room.base, row->value.base, copy->len);
    return false;
}

/* Under lock if anything is waiting. */
static enum brim_err read_value(struct brim_kv *kv, struct brim_str key, struct copy *copy)
{
    const struct pending *entry = waiting_find(kv, key);
    enum brim_err err = BRIM_OK;

    if (entry != NULL)
        (void)copy_row(&entry->row, copy);
    else
        err = brim_kv_table_find(kv->table, key, copy_row, copy);
    return err == BRIM_OK ? copy->err : err;
}

enum brim_err brim_kv_get(struct brim_kv *kv, const struct brim_kv_name *name, int64_t now_wall_ms,
                          struct brim_kv_room room, size_t *len_out)
{
    struct copy copy = {.now_wall_ms = now_wall_ms, .room = room};
    char full[FULL_KEY_MAX];
    struct brim_str key = full_key(name, full);
    enum brim_err err;

    OBJ_CHECK(kv, KV_MAGIC);
    if (atomic_load(&kv->waiting) == 0) {
        /* What stops waiting is on disk before it does, so this cannot miss it. */
        err = brim_kv_table_find(kv->table, key, copy_row, &copy);
        err = err == BRIM_OK ? copy.err : err;
    } else {
        pthread_mutex_lock(&kv->lock);
        err = read_value(kv, key, &copy);
        pthread_mutex_unlock(&kv->lock);
    }
    *len_out = copy.len;
    return err;
}

/* ---- writing ---- */

static struct pending *entry_of(struct brim_str key, struct brim_str value)
{
    struct pending *entry = malloc(sizeof(*entry) + key.len + value.len);

    if (entry == NULL)
        return NULL;
    memcpy(entry->bytes, key.base, key.len);
    if (value.len > 0)
        memcpy(entry->bytes + key.len, value.base, value.len);
    entry->row = (struct brim_kv_row){.key = brim_str(entry->bytes, key.len),
                                      .value = brim_str(entry->bytes + key.len, value.len)};
    return entry;
}

/* Under lock. Takes entry, which may be NULL. */
static enum brim_err put_entry(struct brim_kv *kv, struct pending *entry)
{
    size_t waiting;
    enum brim_err err = BRIM_OK;

    if (entry == NULL)
        return BRIM_ENOMEM;
    if (brim_kv_table_is_broken(kv->table))
        err = BRIM_ECORRUPT;
    else if (!entry->row.is_gone && atomic_load(&kv->full_until_ms) > brim_clock_mono_ms())
        err = BRIM_ENOSPC;
    else if (kv->filling.count + kv->committing.count >= WAITING_MAX ||
             kv->filling.bytes + kv->committing.bytes + entry_bytes(entry) > WAITING_BYTES)
        err = BRIM_ELIMIT;
    if (err != BRIM_OK) {
        free(entry);
        return err;
    }
    err = layer_put(&kv->filling, entry);
    waiting = kv->filling.count + kv->committing.count;
    atomic_store(&kv->waiting, waiting);
    pthread_cond_signal(&kv->work);
    BRIM_COUNT(KV_WRITES);
    return err;
}

static enum brim_err write_entry(struct brim_kv *kv, struct pending *entry)
{
    enum brim_err err;

    OBJ_CHECK(kv, KV_MAGIC);
    pthread_mutex_lock(&kv->lock);
    err = put_entry(kv, entry);
    pthread_mutex_unlock(&kv->lock);
    return err;
}

enum brim_err brim_kv_set(struct brim_kv *kv, const struct brim_kv_name *name,
                          struct brim_str value, int64_t expires_wall_ms)
{
    char full[FULL_KEY_MAX];
    struct pending *entry;

    INVARIANT(value.len <= BRIM_KV_VALUE_MAX);
    entry = entry_of(full_key(name, full), value);
    if (entry != NULL)
        entry->row.expires_wall_ms = expires_wall_ms;
    return write_entry(kv, entry);
}

enum brim_err brim_kv_delete(struct brim_kv *kv, const struct brim_kv_name *name)
{
    char full[FULL_KEY_MAX];
    struct pending *entry = entry_of(full_key(name, full), BRIM_STR(""));

    if (entry != NULL)
        entry->row.is_gone = true;
    return write_entry(kv, entry);
}

/* A decimal number that incr() would have written. */
static bool number_of(struct brim_str text, int64_t *number_out)
{
    bool is_negative = text.len > 1 && text.base[0] == '-';
    int64_t number = 0;

    *number_out = 0;
    for (size_t i = is_negative ? 1 : 0; i < text.len; i++) {
        int digit = text.base[i] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, digit, &number)) /* downwards: there is one more */
            return false;
    }
    if (text.len == 0 || (!is_negative && number == INT64_MIN))
        return false;
    *number_out = is_negative ? number : -number;
    return true;
}

/* Under lock. */
static enum brim_err add_step(struct brim_kv *kv, struct brim_str key,
                              const struct brim_kv_step *step, int64_t *sum_out)
{
    char digits[NUMBER_BYTES_MAX];
    struct copy old = {.now_wall_ms = step->now_wall_ms, .room = {digits, sizeof(digits)}};
    struct brim_text text;
    struct pending *entry;
    int64_t number = 0;
    enum brim_err err = read_value(kv, key, &old);

    if (err == BRIM_ENOENT)
        old.expires_wall_ms = step->expires_wall_ms;
    else if (err != BRIM_OK)
        return err == BRIM_ELIMIT ? BRIM_EINVAL : err; /* longer than any number */
    else if (!number_of(brim_str(digits, old.len), &number))
        return BRIM_EINVAL;
    if (__builtin_add_overflow(number, step->n, &number))
        return BRIM_EINVAL;
    text = brim_text_in(digits, sizeof(digits));
    brim_text_put_int(&text, number);
    entry = entry_of(key, brim_text_str(&text));
    if (entry != NULL)
        entry->row.expires_wall_ms = old.expires_wall_ms;
    err = put_entry(kv, entry);
    if (err == BRIM_OK)
        *sum_out = number;
    return err;
}

enum brim_err brim_kv_incr(struct brim_kv *kv, const struct brim_kv_name *name,
                           const struct brim_kv_step *step, int64_t *sum_out)
{
    char full[FULL_KEY_MAX];
    enum brim_err err;

    OBJ_CHECK(kv, KV_MAGIC);
    *sum_out = 0;
    pthread_mutex_lock(&kv->lock);
    err = add_step(kv, full_key(name, full), step, sum_out);
    pthread_mutex_unlock(&kv->lock);
    return err;
}

/* ---- listing: the waiting entries in range, merged with the rows on disk; as many of these as
 * may be looked at under the lock and on a loop, whether they have expired or not ---- */

struct listing {
    const struct brim_kv *kv;
    const struct brim_kv_query *query;
    struct brim_str prefix; /* full */
    struct brim_str after;  /* full; empty: none */
    size_t store_len;       /* of a full key, what is not the key itself */
    const struct pending **entries;
    size_t entry_count;
    size_t entry_at;
    struct brim_kv_keys *keys;
    size_t rows;
    bool is_cut; /* behind keys->last */
};

static bool is_in_range(const struct listing *l, struct brim_str key)
{
    return brim_str_has_prefix(key, l->prefix) && (l->after.len == 0 || compare(key, l->after) > 0);
}

static void collect(const void *node, VISIT visit, void *ctx)
{
    struct listing *l = ctx;
    const struct pending *entry = *(struct pending *const *)node;

    if ((visit == postorder || visit == leaf) && is_in_range(l, entry->row.key) &&
        waiting_find(l->kv, entry->row.key) == entry)
        l->entries[l->entry_count++] = entry;
}

static int compare_pointers(const void *a, const void *b)
{
    return compare_entries(*(struct pending *const *)a, *(struct pending *const *)b);
}

/* False: that was the last one. */
static bool list_row(struct listing *l, const struct brim_kv_row *row)
{
    struct brim_kv_keys *keys = l->keys;
    size_t len = row->key.len - l->store_len;

    if (!brim_kv_row_is_alive(row, l->query->now_wall_ms))
        return true;
    INVARIANT(len <= BRIM_KV_KEY_MAX && keys->count < l->query->limit);
    memcpy(keys->room.base + keys->used, row->key.base + l->store_len, len);
    keys->room.base[keys->used + len] = '\0';
    keys->used += len + 1;
    return ++keys->count < l->query->limit;
}

/* The waiting entries up to (not with) key; all of them where key is empty. */
static bool list_waiting(struct listing *l, struct brim_str key)
{
    while (l->entry_at < l->entry_count) {
        const struct pending *entry = l->entries[l->entry_at];

        if (key.len > 0 && compare(entry->row.key, key) >= 0)
            return true;
        l->entry_at++;
        if (!list_row(l, &entry->row))
            return false;
    }
    return true;
}

static bool list_disk_row(const struct brim_kv_row *row, void *ctx)
{
    struct listing *l = ctx;
    const struct pending *newer;

    if (!brim_str_has_prefix(row->key, l->prefix))
        return false;
    l->rows++;
    if (!is_in_range(l, row->key) || row->key.len - l->store_len > BRIM_KV_KEY_MAX)
        return true; /* too long: a disk has changed it */
    if (!list_waiting(l, row->key))
        return false;
    newer = waiting_find(l->kv, row->key);
    if (newer != NULL) { /* it takes the row's turn, as a step may end here */
        if (l->entries[l->entry_at] != newer)
            return true; /* listed: rows that a disk has changed may be out of order */
        l->entry_at++;
    }
    if (!list_row(l, newer != NULL ? &newer->row : row))
        return false;
    if (l->rows < BRIM_KV_LIST_ROWS)
        return true;
    l->keys->last_len = row->key.len - l->store_len;
    memcpy(l->keys->last, row->key.base + l->store_len, l->keys->last_len);
    l->is_cut = true;
    return false;
}

enum brim_err brim_kv_list(struct brim_kv *kv, const struct brim_kv_query *query,
                           struct brim_kv_keys *keys)
{
    char prefix[FULL_KEY_MAX], after[FULL_KEY_MAX];
    struct brim_kv_name last = {.store = query->name.store, .key = query->after};
    struct listing l = {.kv = kv, .query = query, .keys = keys};
    enum brim_err err = BRIM_ENOMEM;

    OBJ_CHECK(kv, KV_MAGIC);
    INVARIANT(query->limit >= 1 && query->limit <= BRIM_KV_LIST_MAX);
    INVARIANT(keys->room.bytes >= query->limit * (BRIM_KV_KEY_MAX + 1));
    INVARIANT(!keys->is_whole);
    l.prefix = full_key(&query->name, prefix);
    l.store_len = query->name.store.len + 1;
    if (keys->last_len > 0)
        last.key = brim_str(keys->last, keys->last_len);
    if (last.key.len > 0)
        l.after = full_key(&last, after);
    pthread_mutex_lock(&kv->lock);
    keys->seen = kv->filling.count + kv->committing.count;
    l.entries = calloc(keys->seen + 1, sizeof(*l.entries));
    if (l.entries == NULL)
        goto out;
    twalk_r(kv->filling.tree, collect, &l);
    twalk_r(kv->committing.tree, collect, &l);
    qsort(l.entries, l.entry_count, sizeof(*l.entries), compare_pointers);
    err = brim_kv_table_walk(kv->table,
                             l.after.len > 0 && compare(l.after, l.prefix) > 0 ? l.after : l.prefix,
                             list_disk_row, &l);
    if (err == BRIM_OK && !l.is_cut && keys->count < query->limit)
        (void)list_waiting(&l, BRIM_STR(""));
    keys->seen += l.rows;
    keys->is_whole = err == BRIM_OK && !l.is_cut;
out:
    pthread_mutex_unlock(&kv->lock);
    free(l.entries);
    return err;
}

/* ---- the writer ---- */

struct batch {
    struct brim_kv_row *rows;
    size_t count;
};

static void add_to_batch(const void *node, VISIT visit, void *ctx)
{
    struct batch *batch = ctx;

    if (visit == postorder || visit == leaf)
        batch->rows[batch->count++] = (*(struct pending *const *)node)->row;
}

/* What a full disk can still do: the deletions. */
static void commit_deletions(struct brim_kv *kv, struct batch *batch)
{
    size_t kept = 0;

    for (size_t i = 0; i < batch->count; i++)
        if (batch->rows[i].is_gone)
            batch->rows[kept++] = batch->rows[i];
    BRIM_LOG(ERROR, "kv.full", "lost_writes=%zu do=\"raise kv.size or delete keys\"",
             batch->count - kept);
    if (kept > 0 && brim_kv_table_commit(kv->table, batch->rows, kept) != BRIM_OK)
        BRIM_LOG(ERROR, "kv.full", "lost_deletions=%zu", kept);
}

/* `committing` is read without the lock: only this thread changes it. */
static enum brim_err commit(struct brim_kv *kv)
{
    struct batch batch = {.rows = calloc(kv->committing.count, sizeof(*batch.rows))};
    enum brim_err err = BRIM_ENOMEM;

    if (batch.rows != NULL) {
        twalk_r(kv->committing.tree, add_to_batch, &batch);
        err = brim_kv_sweep_commit(&kv->sweep, batch.rows, batch.count);
    }
    if (err == BRIM_ENOSPC) {
        atomic_store(&kv->full_until_ms, brim_clock_mono_ms() + FULL_MS);
        commit_deletions(kv, &batch);
    } else if (err != BRIM_OK) {
        BRIM_LOG(ERROR, "kv.lost", "writes=%zu error=\"%s\"", kv->committing.count,
                 brim_err_text(err));
    }
    free(batch.rows);
    return err;
}

static struct timespec in_ms(uint64_t ms)
{
    uint64_t at_ms = brim_clock_mono_ms() + ms;

    return (struct timespec){.tv_sec = (time_t)(at_ms / 1000),
                             .tv_nsec = (long)(at_ms % 1000) * 1000000};
}

/* Under lock. */
static void wait_for(struct brim_kv *kv, uint64_t ms, bool (*is_ready)(const struct brim_kv *kv))
{
    struct timespec until = in_ms(ms);

    while (!is_ready(kv) && pthread_cond_timedwait(&kv->work, &kv->lock, &until) == 0)
        continue;
}

static bool has_work(const struct brim_kv *kv)
{
    return kv->filling.count > 0 || kv->stop;
}

static bool is_urgent(const struct brim_kv *kv)
{
    return kv->stop || kv->hurry > 0 || kv->filling.count >= WAITING_MAX / 4;
}

/* Under lock, which is given away for the commit. */
static void run_batch(struct brim_kv *kv)
{
    struct layer done;
    enum brim_err err;

    INVARIANT(kv->committing.count == 0);
    kv->committing = kv->filling;
    kv->filling = (struct layer){0};
    kv->begun++;
    pthread_mutex_unlock(&kv->lock);
    err = commit(kv);
    pthread_mutex_lock(&kv->lock);
    done = kv->committing;
    kv->committing = (struct layer){0};
    atomic_store(&kv->waiting, kv->filling.count);
    kv->ended = kv->begun;
    if (err != BRIM_OK) {
        kv->failed = kv->ended;
        kv->failure = err;
    }
    pthread_cond_broadcast(&kv->done);
    pthread_mutex_unlock(&kv->lock);
    tdestroy(done.tree, free);
    pthread_mutex_lock(&kv->lock);
}

static void *writer_main(void *arg)
{
    struct brim_kv *kv = arg;
    uint64_t swept_ms = 0;
    bool has_more = false;

    brim_kv_table_settle(kv->table);
    pthread_mutex_lock(&kv->lock);
    while (!kv->stop || kv->filling.count > 0) {
        wait_for(kv, has_more ? 0 : SWEEP_MS, has_work);
        if (kv->filling.count > 0) {
            wait_for(kv, BATCH_MS, is_urgent);
            run_batch(kv);
        }
        if (!kv->stop && (has_more || brim_clock_mono_ms() >= swept_ms + SWEEP_MS)) {
            pthread_mutex_unlock(&kv->lock);
            has_more = brim_kv_sweep_some(&kv->sweep);
            swept_ms = brim_clock_mono_ms();
            pthread_mutex_lock(&kv->lock);
        }
    }
    pthread_mutex_unlock(&kv->lock);
    return NULL;
}

enum brim_err brim_kv_sync(struct brim_kv *kv)
{
    enum brim_err err = BRIM_OK;
    uint64_t from, target;

    OBJ_CHECK(kv, KV_MAGIC);
    pthread_mutex_lock(&kv->lock);
    from = kv->ended;
    target = kv->begun + (kv->filling.count > 0 ? 1 : 0);
    kv->hurry++;
    pthread_cond_signal(&kv->work);
    while (kv->ended < target)
        pthread_cond_wait(&kv->done, &kv->lock);
    kv->hurry--;
    if (kv->failed > from)
        err = kv->failure;
    pthread_mutex_unlock(&kv->lock);
    return err;
}

/* ---- life ---- */

static void init_locks(struct brim_kv *kv)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&kv->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&kv->work, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&kv->done, NULL);
}

static void free_kv(struct brim_kv *kv)
{
    brim_kv_table_close(kv->table);
    pthread_mutex_destroy(&kv->lock);
    pthread_cond_destroy(&kv->work);
    pthread_cond_destroy(&kv->done);
    kv->magic = 0;
    free(kv);
}

enum brim_err brim_kv_open(const struct brim_kv_config *config, struct brim_kv **kv_out)
{
    struct brim_kv *kv = brim_alloc(sizeof(*kv));
    enum brim_err err;
    int rc;

    *kv_out = NULL;
    kv->magic = KV_MAGIC;
    init_locks(kv);
    err = brim_kv_table_open(config->path, config->size_bytes, &kv->table);
    if (err == BRIM_OK) {
        kv->sweep.table = kv->table;
        rc = pthread_create(&kv->thread, NULL, writer_main, kv);
        if (rc != 0) {
            BRIM_LOG(ERROR, "kv.table", "what=\"start writer\" errno=%d", rc);
            err = BRIM_EIO;
        }
    }
    if (err != BRIM_OK)
        free_kv(kv);
    else
        *kv_out = kv;
    return err;
}

void brim_kv_close(struct brim_kv *kv)
{
    if (kv == NULL)
        return;
    OBJ_CHECK(kv, KV_MAGIC);
    pthread_mutex_lock(&kv->lock);
    kv->stop = true;
    pthread_cond_signal(&kv->work);
    pthread_mutex_unlock(&kv->lock);
    pthread_join(kv->thread, NULL);
    INVARIANT(kv->filling.count == 0 && kv->committing.count == 0);
    free_kv(kv);
}
