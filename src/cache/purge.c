/* SPDX-License-Identifier: MIT */
/*
 * An object is purged by an epoch of one of its scopes that is newer than the object:
 *
 *     epoch.hard_seq > object.seq  gone        epoch.soft_seq > object.seq  stale
 *
 * object.seq is the sequence when its fill *began*. A response that was under way when the purge
 * came is purged as well, since nobody can tell which side of the purge the origin made it on.
 *
 * Order of memory: put() writes the table, then raises `seq`, both under the write lock. check()
 * loads `seq` first and looks into the table after it, and stores that value as checked_seq: what
 * it found holds for all purges up to it. Were it loaded after, a purge in between would be
 * skipped.
 *
 * The table is an open hash of scopes, linear probing, no removal but by rebuilding.
 *
 * Scopes: a hash with the lowest bit 0, or, for prefixes, a hash above the length of the prefix and
 * a 1:
 *
 *     [ hash: 63 ][ 0 ]          [ hash: 47 ][ length: 16 ][ 1 ]
 *
 * So the table tells, after a restart too, how long the prefixes are that were purged: a check
 * hashes the object's URL up to each of these lengths, and not up to each of its own.
 */
#include "brim/cache/purge.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/cache/purge_pattern.h"

#define PURGE_MAGIC 0x70726731u
#define TABLE_MIN   64u

struct table {
    struct brim_purge_epoch *slots; /* scope 0: free */
    size_t size;                    /* power of two, at most half full */
    size_t used;
    uint16_t *lengths; /* of the prefixes in it, each once */
    size_t length_count;
    size_t length_room;
};

struct pattern {
    uint64_t scope;
    char *text;
    size_t len;
};

struct brim_purge {
    uint32_t magic;
    unsigned max_epochs;
    _Atomic uint64_t seq;
    pthread_rwlock_t lock;       /* table, all */
    struct brim_purge_epoch all; /* not in the table, so that it is never collapsed */
    struct table table;
    struct pattern patterns[BRIM_PURGE_PATTERNS_MAX + 1]; /* the oldest first; one to be folded */
    size_t pattern_count;
};

/* ---- scopes ---- */

/* The letter and the digest of the text behind it: the digest is at hand in every object, so that a
 * check hashes 24 bytes and not the text. */
static uint64_t scope_of(char letter, struct brim_digest digest)
{
    unsigned char bytes[24] = {(unsigned char)letter};
    uint64_t scope;

    memcpy(bytes + 8, &digest.hi, sizeof(digest.hi));
    memcpy(bytes + 16, &digest.lo, sizeof(digest.lo));
    scope = brim_hash64(bytes, sizeof(bytes)) & ~(uint64_t)1;
    return scope != 0 ? scope : 2; /* 0 marks a free slot */
}

static uint64_t scope_of_text(char letter, struct brim_str text)
{
    return scope_of(letter, brim_hash128(text.base, text.len));
}

#define LENGTH_BITS 16u
static_assert(BRIM_PURGE_PREFIX_MAX < 1u << LENGTH_BITS, "a length fits a scope");

static bool is_prefix(uint64_t scope)
{
    return (scope & 1) != 0;
}

static uint16_t prefix_length(uint64_t scope)
{
    return (uint16_t)(scope >> 1);
}

uint64_t brim_purge_scope_url(struct brim_str key_text)
{
    return scope_of_text('u', key_text);
}

uint64_t brim_purge_scope_prefix(struct brim_str text)
{
    INVARIANT(text.len <= BRIM_PURGE_PREFIX_MAX);
    return brim_hash64(text.base, text.len) << (LENGTH_BITS + 1) | (uint64_t)text.len << 1 | 1;
}

uint64_t brim_purge_scope_host(struct brim_str authority)
{
    return scope_of_text('h', authority);
}

uint64_t brim_purge_scope_tag(struct brim_str tag)
{
    return scope_of_text('t', tag);
}

uint64_t brim_purge_scope_pattern(struct brim_str pattern)
{
    return scope_of_text('w', pattern);
}

uint64_t brim_purge_scope_all(void)
{
    return scope_of('a', (struct brim_digest){0, 0});
}

uint64_t brim_purge_scope_reserved(void)
{
    return scope_of('r', (struct brim_digest){0, 0});
}

/* ---- table ---- */

static enum brim_err table_make(struct table *table, size_t size)
{
    INVARIANT(size > 0); /* a power of two */
    *table = (struct table){.slots = calloc(size, sizeof(*table->slots)), .size = size};
    return table->slots != NULL ? BRIM_OK : BRIM_ENOMEM;
}

/* The slot of scope, or the free one where it would stand. */
static struct brim_purge_epoch *table_slot(const struct table *table, uint64_t scope)
{
    size_t at = (size_t)scope & (table->size - 1);

    while (table->slots[at].scope != 0 && table->slots[at].scope != scope)
        at = (at + 1) & (table->size - 1);
    return &table->slots[at];
}

static uint64_t newest(const struct brim_purge_epoch *epoch)
{
    return epoch->hard_seq > epoch->soft_seq ? epoch->hard_seq : epoch->soft_seq;
}

static void raise_epoch(struct brim_purge_epoch *epoch, const struct brim_purge_epoch *to)
{
    if (to->hard_seq > epoch->hard_seq)
        epoch->hard_seq = to->hard_seq;
    if (to->soft_seq > epoch->soft_seq)
        epoch->soft_seq = to->soft_seq;
}

static void table_fini(struct table *table)
{
    free(table->slots);
    free(table->lengths);
}

static void note_length(struct table *table, uint16_t length)
{
    for (size_t i = 0; i < table->length_count; i++)
        if (table->lengths[i] == length)
            return;
    if (table->length_count == table->length_room) {
        table->length_room = table->length_room == 0 ? 16 : table->length_room * 2;
        table->lengths = realloc(table->lengths, table->length_room * sizeof(*table->lengths));
        INVARIANT(table->lengths != NULL); /* at most 128 KiB */
    }
    table->lengths[table->length_count++] = length;
}

static void table_raise(struct table *table, const struct brim_purge_epoch *epoch)
{
    struct brim_purge_epoch *slot = table_slot(table, epoch->scope);

    if (slot->scope == 0) {
        INVARIANT(table->used < table->size / 2);
        slot->scope = epoch->scope;
        table->used++;
        if (is_prefix(epoch->scope))
            note_length(table, prefix_length(epoch->scope));
    }
    raise_epoch(slot, epoch);
}

static void drop_pattern(struct brim_purge *purge, size_t at)
{
    free(purge->patterns[at].text);
    purge->pattern_count--;
    memmove(&purge->patterns[at], &purge->patterns[at + 1],
            (purge->pattern_count - at) * sizeof(purge->patterns[0]));
}

/* Those whose epoch stands in `all` now. */
static void drop_lost_patterns(struct brim_purge *purge)
{
    for (size_t i = purge->pattern_count; i-- > 0;)
        if (table_slot(&purge->table, purge->patterns[i].scope)->scope == 0)
            drop_pattern(purge, i);
}

/* Moves what is newer than `after` into a table of this size, and the rest into `all`. */
static enum brim_err rebuild(struct brim_purge *purge, size_t size, uint64_t after)
{
    struct table old = purge->table;
    enum brim_err err = table_make(&purge->table, size);

    if (err != BRIM_OK) {
        purge->table = old;
        return err;
    }
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].scope == 0)
            continue;
        if (newest(&old.slots[i]) > after)
            table_raise(&purge->table, &old.slots[i]);
        else
            raise_epoch(&purge->all, &old.slots[i]);
    }
    table_fini(&old);
    drop_lost_patterns(purge);
    return BRIM_OK;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The sequence that half of the epochs do not exceed; the current one where there is no memory to
 * find out (then all of them collapse). */
static uint64_t middle_seq(const struct brim_purge *purge)
{
    uint64_t *seqs = calloc(purge->table.used, sizeof(*seqs));
    uint64_t middle = atomic_load(&purge->seq);
    size_t count = 0;

    if (seqs == NULL)
        return middle;
    for (size_t i = 0; i < purge->table.size; i++) {
        if (purge->table.slots[i].scope != 0)
            seqs[count++] = newest(&purge->table.slots[i]);
    }
    INVARIANT(count == purge->table.used && count > 0);
    qsort(seqs, count, sizeof(*seqs), by_seq);
    middle = seqs[(count - 1) / 2];
    free(seqs);
    return middle;
}

static void collapse(struct brim_purge *purge, uint64_t upto)
{
    if (rebuild(purge, purge->table.size, upto) == BRIM_OK)
        return;
    /* No memory for a new table: everything in this one becomes "everything before". */
    for (size_t i = 0; i < purge->table.size; i++)
        raise_epoch(&purge->all, &purge->table.slots[i]);
    memset(purge->table.slots, 0, purge->table.size * sizeof(*purge->table.slots));
    purge->table.used = 0;
    purge->table.length_count = 0;
}

/* Makes place for one more scope. */
static void make_room(struct brim_purge *purge)
{
    struct table *table = &purge->table;

    if (table->used >= purge->max_epochs)
        collapse(purge, middle_seq(purge));
    if (table->used + 1 > table->size / 2 && rebuild(purge, table->size * 2, 0) != BRIM_OK)
        collapse(purge, UINT64_MAX);
}

static void insert(struct brim_purge *purge, const struct brim_purge_epoch *epoch)
{
    if (epoch->scope == purge->all.scope) {
        raise_epoch(&purge->all, epoch);
        return;
    }
    if (table_slot(&purge->table, epoch->scope)->scope == 0)
        make_room(purge);
    table_raise(&purge->table, epoch);
}

/* The oldest pattern becomes a prefix. */
static void fold_pattern(struct brim_purge *purge)
{
    const struct pattern *oldest = &purge->patterns[0];
    struct brim_purge_epoch epoch = *table_slot(&purge->table, oldest->scope);

    epoch.scope =
        brim_purge_scope_prefix(brim_purge_pattern_prefix(brim_str(oldest->text, oldest->len)));
    drop_pattern(purge, 0);
    insert(purge, &epoch);
}

/* Where one of this age stands: an index tells them in any order. */
static size_t place_of(const struct brim_purge *purge, uint64_t seq)
{
    size_t at = purge->pattern_count;

    while (at > 0 && newest(table_slot(&purge->table, purge->patterns[at - 1].scope)) > seq)
        at--;
    return at;
}

/* Notes the text of a pattern whose epoch is in the table. */
static void note_pattern(struct brim_purge *purge, uint64_t scope, struct brim_str text)
{
    struct pattern pattern = {.scope = scope, .text = brim_alloc(text.len + 1), .len = text.len};
    size_t at;

    memcpy(pattern.text, text.base, text.len);
    for (size_t i = 0; i < purge->pattern_count; i++) {
        if (purge->patterns[i].scope != scope)
            continue;
        drop_pattern(purge, i);
        break;
    }
    INVARIANT(purge->pattern_count <= BRIM_PURGE_PATTERNS_MAX);
    at = place_of(purge, newest(table_slot(&purge->table, scope)));
    memmove(&purge->patterns[at + 1], &purge->patterns[at],
            (purge->pattern_count - at) * sizeof(purge->patterns[0]));
    purge->patterns[at] = pattern;
    if (++purge->pattern_count > BRIM_PURGE_PATTERNS_MAX)
        fold_pattern(purge);
}

/* ---- life ---- */

enum brim_err brim_purge_open(unsigned max_epochs, struct brim_purge **purge_out)
{
    struct brim_purge *purge = brim_alloc(sizeof(*purge));
    pthread_rwlockattr_t attr;
    enum brim_err err;

    *purge_out = NULL;
    INVARIANT(max_epochs > 0);
    err = table_make(&purge->table, TABLE_MIN);
    if (err != BRIM_OK) {
        free(purge);
        return err;
    }
    purge->magic = PURGE_MAGIC;
    purge->max_epochs = max_epochs;
    purge->all.scope = brim_purge_scope_all();
    atomic_init(&purge->seq, 0);
    /* lookups never end on a busy node: a purge must not wait for a gap between them */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&purge->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    *purge_out = purge;
    return BRIM_OK;
}

void brim_purge_close(struct brim_purge *purge)
{
    if (purge == NULL)
        return;
    OBJ_CHECK(purge, PURGE_MAGIC);
    pthread_rwlock_destroy(&purge->lock);
    while (purge->pattern_count > 0)
        drop_pattern(purge, purge->pattern_count - 1);
    table_fini(&purge->table);
    purge->magic = 0;
    free(purge);
}

uint64_t brim_purge_seq(const struct brim_purge *purge)
{
    return atomic_load_explicit(&purge->seq, memory_order_acquire);
}

/* pattern: empty unless scope is that of one. */
static void put(struct brim_purge *purge, uint64_t scope, struct brim_str pattern,
                enum brim_purge_kind kind, struct brim_purge_epoch *epoch_out)
{
    struct brim_purge_epoch epoch = {.scope = scope};
    uint64_t seq;

    OBJ_CHECK(purge, PURGE_MAGIC);
    INVARIANT(scope != 0);
    pthread_rwlock_wrlock(&purge->lock);
    seq = atomic_load_explicit(&purge->seq, memory_order_relaxed) + 1;
    if (kind == BRIM_PURGE_HARD)
        epoch.hard_seq = seq;
    else
        epoch.soft_seq = seq;
    insert(purge, &epoch);
    *epoch_out = scope == purge->all.scope ? purge->all : *table_slot(&purge->table, scope);
    epoch_out->pattern = pattern;
    if (pattern.len > 0)
        note_pattern(purge, scope, pattern);
    if (scope == purge->all.scope && kind == BRIM_PURGE_HARD &&
        rebuild(purge, TABLE_MIN, seq) != BRIM_OK)
        collapse(purge, seq); /* what everything covers needs no epoch of its own any more */
    atomic_store_explicit(&purge->seq, seq, memory_order_release);
    pthread_rwlock_unlock(&purge->lock);
}

bool brim_purge_read(struct brim_purge *purge, uint64_t scope, struct brim_purge_epoch *epoch_out)
{
    bool is_there;

    OBJ_CHECK(purge, PURGE_MAGIC);
    INVARIANT(scope != 0);
    pthread_rwlock_rdlock(&purge->lock);
    *epoch_out = *table_slot(&purge->table, scope);
    is_there = epoch_out->scope == scope;
    pthread_rwlock_unlock(&purge->lock);
    return is_there;
}

void brim_purge_put(struct brim_purge *purge, uint64_t scope, enum brim_purge_kind kind,
                    struct brim_purge_epoch *epoch_out)
{
    put(purge, scope, BRIM_STR(""), kind, epoch_out);
}

void brim_purge_put_pattern(struct brim_purge *purge, struct brim_str pattern,
                            enum brim_purge_kind kind, struct brim_purge_epoch *epoch_out)
{
    INVARIANT(pattern.len > 0 && pattern.len <= BRIM_PURGE_PATTERN_BYTES);
    put(purge, brim_purge_scope_pattern(pattern), pattern, kind, epoch_out);
}

void brim_purge_read_all(struct brim_purge *purge, struct brim_purge_epoch *epoch_out)
{
    OBJ_CHECK(purge, PURGE_MAGIC);
    pthread_rwlock_rdlock(&purge->lock);
    *epoch_out = purge->all;
    pthread_rwlock_unlock(&purge->lock);
}

void brim_purge_restore(struct brim_purge *purge, const struct brim_purge_epoch *epoch)
{
    OBJ_CHECK(purge, PURGE_MAGIC);
    if (epoch->scope == 0)
        return; /* never written by us */
    pthread_rwlock_wrlock(&purge->lock);
    if (newest(epoch) > atomic_load(&purge->seq))
        atomic_store(&purge->seq, newest(epoch));
    if (epoch->scope != brim_purge_scope_reserved())
        insert(purge, epoch);
    if (epoch->pattern.len > 0)
        note_pattern(purge, epoch->scope, epoch->pattern);
    pthread_rwlock_unlock(&purge->lock);
}

/* ---- check ---- */

static enum brim_purge_state judge(const struct brim_purge_epoch *epoch, uint64_t seq)
{
    if (epoch->hard_seq > seq)
        return BRIM_PURGE_GONE;
    return epoch->soft_seq > seq ? BRIM_PURGE_STALE : BRIM_PURGE_ALIVE;
}

/* Parts of a resource stand under its URL's key text and what follows a '#' (see cache/slice.h);
 * they are purged with it. */
static struct brim_str url_of(const struct brim_object *object)
{
    struct brim_str text = object->primary.text;
    const char *mark = memchr(text.base, '#', text.len);

    return mark == NULL ? text : brim_str(text.base, (size_t)(mark - text.base));
}

static uint64_t url_scope(const struct brim_object *object, struct brim_str url)
{
    if (url.len == object->primary.text.len)
        return scope_of('u', object->primary.digest);
    return brim_purge_scope_url(url);
}

/* What stands between "://" and the path. */
static struct brim_str authority_of(struct brim_str url)
{
    const char *colon = memchr(url.base, ':', url.len);
    size_t begin = colon == NULL ? url.len : (size_t)(colon - url.base) + 3, end = begin;

    if (begin >= url.len)
        return brim_str(NULL, 0);
    while (end < url.len && url.base[end] != '/')
        end++;
    return brim_str(url.base + begin, end - begin);
}

typedef void epoch_fn(const char *scope, const struct brim_purge_epoch *epoch, void *ctx);

/* Inlined with its function, so that a check costs no call for each scope. */
#define INLINED static inline __attribute__((always_inline))

INLINED void look_up(const struct brim_purge *purge, const char *name, uint64_t scope, epoch_fn *fn,
                     void *ctx)
{
    const struct brim_purge_epoch *epoch = table_slot(&purge->table, scope);

    if (epoch->scope != 0)
        fn(name, epoch, ctx);
}

/* Tells the epoch of every scope of the object that has one. A new kind of scope is one more line
 * in here. */
INLINED void each_scope(const struct brim_purge *purge, const struct brim_object *object,
                        epoch_fn *fn, void *ctx)
{
    struct brim_str url = url_of(object);

    fn("all", &purge->all, ctx);
    if (purge->table.used == 0)
        return;
    look_up(purge, "url", url_scope(object, url), fn, ctx);
    look_up(purge, "host", brim_purge_scope_host(authority_of(url)), fn, ctx);
    for (size_t i = 0; i < object->tag_count; i++)
        look_up(purge, "tag", object->tags[i], fn, ctx);
    for (size_t i = 0; i < purge->table.length_count; i++) {
        size_t length = purge->table.lengths[i];

        if (length <= url.len)
            look_up(purge, "prefix", brim_purge_scope_prefix(brim_str(url.base, length)), fn, ctx);
    }
    for (size_t i = 0; i < purge->pattern_count; i++) {
        const struct pattern *pattern = &purge->patterns[i];

        if (brim_purge_pattern_matches(brim_str(pattern->text, pattern->len), url))
            look_up(purge, "pattern", pattern->scope, fn, ctx);
    }
}

struct verdict {
    uint64_t seq;
    enum brim_purge_state worst;
};

static inline void judge_one(const char *scope, const struct brim_purge_epoch *epoch, void *ctx)
{
    struct verdict *verdict = ctx;
    enum brim_purge_state state = judge(epoch, verdict->seq);

    (void)scope;
    if (state > verdict->worst)
        verdict->worst = state;
}

/* The worst that any scope of the object says to one that was stored at seq. */
static enum brim_purge_state judge_scopes(const struct brim_purge *purge,
                                          const struct brim_object *object, uint64_t seq)
{
    struct verdict verdict = {.seq = seq, .worst = BRIM_PURGE_ALIVE};

    each_scope(purge, object, judge_one, &verdict);
    return verdict.worst;
}

bool brim_purge_names(struct brim_purge *purge, const struct brim_object *object)
{
    enum brim_purge_state state;

    OBJ_CHECK(purge, PURGE_MAGIC);
    pthread_rwlock_rdlock(&purge->lock);
    state = judge_scopes(purge, object, 0);
    pthread_rwlock_unlock(&purge->lock);
    return state != BRIM_PURGE_ALIVE;
}

void brim_purge_each(struct brim_purge *purge, const struct brim_object *object,
                     void (*fn)(const char *scope, const struct brim_purge_epoch *epoch, void *ctx),
                     void *ctx)
{
    OBJ_CHECK(purge, PURGE_MAGIC);
    pthread_rwlock_rdlock(&purge->lock);
    each_scope(purge, object, fn, ctx);
    pthread_rwlock_unlock(&purge->lock);
}

enum brim_purge_state brim_purge_check(struct brim_purge *purge, struct brim_object *object)
{
    uint64_t now = brim_purge_seq(purge);
    enum brim_purge_state state;

    if (atomic_load_explicit(&object->checked_seq, memory_order_relaxed) == now)
        return BRIM_PURGE_ALIVE;
    OBJ_CHECK(object, BRIM_OBJECT_MAGIC);
    if (object->seq > now)
        return BRIM_PURGE_GONE;
    pthread_rwlock_rdlock(&purge->lock);
    state = judge_scopes(purge, object, object->seq);
    pthread_rwlock_unlock(&purge->lock);
    if (state == BRIM_PURGE_ALIVE)
        atomic_store_explicit(&object->checked_seq, now, memory_order_relaxed);
    return state;
}
