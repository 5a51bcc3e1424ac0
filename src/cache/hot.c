/* SPDX-License-Identifier: MIT */
/*
 * S3-FIFO (Yang et al., SOSP 2023): three queues, no list is touched by a hit.
 *
 *              miss, digest not in ghost
 *     put ------------------------------> SMALL (10 % of the bytes)
 *      |                                    | tail: used twice or more -> MAIN
 *      | digest in ghost                    |       else out, digest -> GHOST
 *      +------------------------------> MAIN (the rest)
 *                                           | tail: used -> back to the head, use - 1
 *                                           |       else out
 *
 * Most objects of a web cache are asked for once. They pass through SMALL and are out again after a
 * tenth of the bytes have been put, without having pushed anything out of MAIN; a scan or a crawler
 * costs the popular objects nothing. What comes back soon after it was thrown out is recognised by
 * its ghost and goes to MAIN at once. LRU would have every hit write to shared list heads; here a
 * hit is a lookup, one count and, the first three times only, one store to object->use.
 *
 * Shards are chosen by bits of the digest and have a lock, a budget and queues each. A shard's
 * bytes never exceed its budget: room is made before an object goes in, a bounded batch per lock
 * hold. Objects leave their shard under the lock and lose their count after it.
 *
 * The ghost is a table of 4-way buckets of (digest bits, moment): a digest is in it while fewer
 * digests than there are objects have been thrown out since that moment. Nothing is ever deleted;
 * a bucket replaces its oldest. So a ghost costs 16 bytes and no allocation.
 *
 * Lock order: shard locks are leaves; never two at once.
 */
#include "brim/cache/hot.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"

#define HOT_MAGIC 0x686f7431u

#define BODY_IDS_OF_A_RUN (UINT64_C(1) << 40)

enum {
    BUCKETS_MIN = 64,
    GHOST_WAYS = 4,
    GHOST_MIN = 64,      /* digests remembered at least */
    USE_MAX = 3,         /* saturation of object->use */
    USE_PROMOTES = 2,    /* uses in SMALL that make an object move to MAIN */
    SMALL_SHARE = 10,    /* SMALL is one part in this many */
    EVICT_BATCH = 128,   /* steps of eviction per lock hold */
    VISIT_BUCKETS = 512, /* looked into per lock hold */
    RANKS = 2 * (USE_MAX + 1),
};

struct entry {
    struct entry *chain;       /* next in the bucket; after removal: next to let go */
    struct brim_digest digest; /* object's, so that a chain is walked without touching objects */
    struct entry *newer, *older;
    struct queue *queue;
    struct brim_object *object;
    size_t charge;
};

struct queue {
    struct entry *head; /* newest */
    struct entry *tail;
    uint64_t bytes;
};

struct ghost_way {
    uint64_t digest; /* 0: free */
    uint64_t moment;
};

struct ghost {
    struct ghost_way *ways;
    size_t buckets; /* power of two */
    uint64_t moment;
};

struct shard {
    pthread_mutex_t lock;
    struct entry **buckets;
    size_t bucket_count; /* power of two */
    size_t entry_count;
    uint64_t bytes_max;
    struct queue small, main;
    struct ghost ghost;
} __attribute__((aligned(64)));

struct brim_hot {
    uint32_t magic;
    unsigned shard_count; /* power of two */
    struct shard *shards;
};

/* ---- ghost ---- */

static struct ghost_way *ghost_bucket(const struct ghost *ghost, uint64_t digest)
{
    return &ghost->ways[(digest & (ghost->buckets - 1)) * GHOST_WAYS];
}

static void ghost_note(struct ghost *ghost, uint64_t digest, uint64_t moment)
{
    struct ghost_way *way = ghost_bucket(ghost, digest), *oldest = way;

    for (unsigned i = 0; i < GHOST_WAYS; i++) {
        if (way[i].digest == digest || way[i].digest == 0) {
            oldest = &way[i];
            break;
        }
        if (way[i].moment < oldest->moment)
            oldest = &way[i];
    }
    *oldest = (struct ghost_way){.digest = digest, .moment = moment};
}

static bool ghost_has(const struct ghost *ghost, uint64_t digest, size_t remembered)
{
    const struct ghost_way *way = ghost_bucket(ghost, digest);

    for (unsigned i = 0; i < GHOST_WAYS; i++) {
        if (way[i].digest == digest)
            return ghost->moment - way[i].moment <= remembered;
    }
    return false;
}

/* Keeps two places for each object that may be remembered. Without memory it stays as it is: the
 * ghost then forgets sooner. */
static void ghost_fit(struct ghost *ghost, size_t remembered)
{
    struct ghost grown = {.buckets = ghost->buckets * 2, .moment = ghost->moment};

    if (ghost->buckets * GHOST_WAYS >= remembered * 2)
        return;
    grown.ways = calloc(grown.buckets * GHOST_WAYS, sizeof(*grown.ways));
    if (grown.ways == NULL)
        return;
    for (size_t i = 0; i < ghost->buckets * GHOST_WAYS; i++) {
        if (ghost->ways[i].digest != 0)
            ghost_note(&grown, ghost->ways[i].digest, ghost->ways[i].moment);
    }
    free(ghost->ways);
    *ghost = grown;
}

/* ---- queues ---- */

static void queue_push(struct queue *queue, struct entry *entry)
{
    entry->queue = queue;
    entry->newer = NULL;
    entry->older = queue->head;
    if (queue->head != NULL)
        queue->head->newer = entry;
    else
        queue->tail = entry;
    queue->head = entry;
    queue->bytes += entry->charge;
}

static void queue_remove(struct entry *entry)
{
    struct queue *queue = entry->queue;

    INVARIANT(queue->bytes >= entry->charge);
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        queue->head = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        queue->tail = entry->newer;
    queue->bytes -= entry->charge;
    entry->queue = NULL;
}

/* ---- table ---- */

static uint64_t table_bits(struct brim_digest digest)
{
    return digest.lo; /* the shard is chosen by hi */
}

static struct entry **table_place(const struct shard *shard, struct brim_digest digest)
{
    struct entry **place = &shard->buckets[table_bits(digest) & (shard->bucket_count - 1)];

    while (*place != NULL && !brim_digest_is((*place)->digest, digest))
        place = &(*place)->chain;
    return place;
}

/* Doubles the table at one entry a bucket. Without memory it stays, with longer chains. */
static void table_fit(struct shard *shard)
{
    size_t count = shard->bucket_count * 2;
    struct entry **buckets;

    if (shard->entry_count < shard->bucket_count)
        return;
    buckets = calloc(count, sizeof(struct entry *));
    if (buckets == NULL)
        return;
    for (size_t i = 0; i < shard->bucket_count; i++) {
        struct entry *next;

        for (struct entry *entry = shard->buckets[i]; entry != NULL; entry = next) {
            struct entry **to = &buckets[table_bits(entry->digest) & (count - 1)];

            next = entry->chain;
            entry->chain = *to;
            *to = entry;
        }
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
}

/* ---- shard: all with shard->lock held ---- */

static uint64_t shard_bytes(const struct shard *shard)
{
    return shard->small.bytes + shard->main.bytes;
}

/* Takes an entry out and puts it on the list of what to let go after unlocking. */
static void take_out(struct shard *shard, struct entry *entry, struct entry **gone)
{
    struct entry **place = table_place(shard, entry->digest);

    INVARIANT(*place == entry);
    *place = entry->chain;
    queue_remove(entry);
    INVARIANT(shard->entry_count > 0);
    shard->entry_count--;
    if (entry->object->body != NULL)
        brim_body_let_go(entry->object->body);
    entry->chain = *gone;
    *gone = entry;
}

static void evict_from_small(struct shard *shard, struct entry **gone)
{
    struct entry *entry = shard->small.tail;

    if (atomic_load_explicit(&entry->object->use, memory_order_relaxed) >= USE_PROMOTES) {
        atomic_store_explicit(&entry->object->use, 0, memory_order_relaxed);
        queue_remove(entry);
        queue_push(&shard->main, entry);
        return;
    }
    ghost_note(&shard->ghost, table_bits(entry->digest), ++shard->ghost.moment);
    take_out(shard, entry, gone);
    BRIM_COUNT(HOT_EVICTIONS);
}

static void evict_from_main(struct shard *shard, struct entry **gone)
{
    struct entry *entry = shard->main.tail;
    uint32_t use = atomic_load_explicit(&entry->object->use, memory_order_relaxed);

    if (use > 0) {
        /* a hit may count up meanwhile; one use more or less decides nothing */
        atomic_store_explicit(&entry->object->use, use - 1, memory_order_relaxed);
        queue_remove(entry);
        queue_push(&shard->main, entry);
        return;
    }
    take_out(shard, entry, gone);
    BRIM_COUNT(HOT_EVICTIONS);
}

/* Makes room for charge bytes, or as much as one lock hold may. Returns whether there is room.
 * Ends: each step takes something out, empties SMALL by one, or lowers a use in MAIN. */
static bool make_room(struct shard *shard, size_t charge, struct entry **gone)
{
    unsigned steps = 0;

    INVARIANT(charge <= shard->bytes_max);
    while (shard_bytes(shard) > shard->bytes_max - charge) {
        if (steps++ == EVICT_BATCH)
            return false;
        if (shard->small.tail != NULL &&
            (shard->small.bytes > shard->bytes_max / SMALL_SHARE || shard->main.tail == NULL))
            evict_from_small(shard, gone);
        else
            evict_from_main(shard, gone);
    }
    return true;
}

/* ---- life ---- */

static void let_go(struct entry *gone)
{
    while (gone != NULL) {
        struct entry *next = gone->chain;

        BRIM_ADD(HOT_BYTES, -(int64_t)gone->charge);
        BRIM_ADD(HOT_OBJECTS, -1);
        brim_object_unref(gone->object);
        free(gone);
        gone = next;
    }
}

static enum brim_err shard_init(struct shard *shard, uint64_t bytes_max)
{
    *shard = (struct shard){.bytes_max = bytes_max, .bucket_count = BUCKETS_MIN};
    pthread_mutex_init(&shard->lock, NULL);
    shard->ghost.buckets = GHOST_MIN * 2 / GHOST_WAYS;
    shard->ghost.ways = calloc(shard->ghost.buckets * GHOST_WAYS, sizeof(*shard->ghost.ways));
    shard->buckets = calloc(shard->bucket_count, sizeof(struct entry *));
    return shard->ghost.ways != NULL && shard->buckets != NULL ? BRIM_OK : BRIM_ENOMEM;
}

static void shard_fini(struct shard *shard)
{
    struct entry *gone = NULL;

    while (shard->small.tail != NULL)
        take_out(shard, shard->small.tail, &gone);
    while (shard->main.tail != NULL)
        take_out(shard, shard->main.tail, &gone);
    INVARIANT(shard->entry_count == 0);
    let_go(gone);
    free(shard->buckets);
    free(shard->ghost.ways);
    pthread_mutex_destroy(&shard->lock);
}

enum brim_err brim_hot_open(uint64_t bytes_max, unsigned shards, struct brim_hot **hot_out)
{
    struct brim_hot *hot = brim_alloc(sizeof(*hot));
    unsigned count = 1;
    enum brim_err err = BRIM_OK;

    *hot_out = NULL;
    INVARIANT(shards > 0 && shards <= 4096);
    while (count < shards)
        count *= 2;
    hot->magic = HOT_MAGIC;
    hot->shards = aligned_alloc(_Alignof(struct shard), count * sizeof(struct shard));
    if (hot->shards == NULL)
        err = BRIM_ENOMEM;
    for (unsigned i = 0; i < count && err == BRIM_OK; i++) {
        err = shard_init(&hot->shards[i], bytes_max / count);
        hot->shard_count++;
    }
    if (err != BRIM_OK) {
        brim_hot_close(hot);
        return err;
    }
    *hot_out = hot;
    return BRIM_OK;
}

void brim_hot_close(struct brim_hot *hot)
{
    if (hot == NULL)
        return;
    OBJ_CHECK(hot, HOT_MAGIC);
    for (unsigned i = 0; i < hot->shard_count; i++)
        shard_fini(&hot->shards[i]);
    free(hot->shards);
    hot->magic = 0;
    free(hot);
}

/* ---- use ---- */

static struct shard *shard_of(struct brim_hot *hot, struct brim_digest digest)
{
    return &hot->shards[digest.hi & (hot->shard_count - 1)];
}

static void count_use(struct brim_object *object)
{
    uint32_t use = atomic_load_explicit(&object->use, memory_order_relaxed);

    if (use < USE_MAX)
        atomic_store_explicit(&object->use, use + 1, memory_order_relaxed);
}

struct brim_object *brim_hot_peek(struct brim_hot *hot, const struct brim_key *key)
{
    struct shard *shard = shard_of(hot, key->digest);
    struct brim_object *object = NULL;
    const struct entry *entry;

    OBJ_CHECK(hot, HOT_MAGIC);
    pthread_mutex_lock(&shard->lock);
    entry = *table_place(shard, key->digest);
    if (entry != NULL && brim_str_is(entry->object->key.text, key->text))
        object = brim_object_ref(entry->object);
    pthread_mutex_unlock(&shard->lock);
    return object;
}

struct brim_object *brim_hot_get(struct brim_hot *hot, const struct brim_key *key)
{
    struct brim_object *object = brim_hot_peek(hot, key);

    if (object != NULL)
        count_use(object);
    return object;
}

/* Tells fn of the next buckets, a chain at a time, while a shard is held: of one shard and a few at
 * most, and none further once it says false, which leaves the chain to the next call. False: there
 * are no more. The table may be doubled between two calls: then some are told twice, or not. */
static bool visit_some(struct brim_hot *hot, struct brim_hot_place *place,
                       bool (*fn)(void *ctx, const struct shard *shard, const struct entry *chain),
                       void *ctx)
{
    struct shard *shard;

    if (place->shard >= hot->shard_count)
        return false;
    shard = &hot->shards[place->shard];
    pthread_mutex_lock(&shard->lock);
    for (size_t n = 0; n < VISIT_BUCKETS && place->bucket < shard->bucket_count; n++) {
        if (!fn(ctx, shard, shard->buckets[place->bucket]))
            break;
        place->bucket++;
    }
    if (place->bucket >= shard->bucket_count)
        *place = (struct brim_hot_place){.shard = place->shard + 1};
    pthread_mutex_unlock(&shard->lock);
    return true;
}

struct gathering {
    struct brim_object **objects;
    size_t count;
    size_t max;
};

/* Whole chains, while one of any likely length fits. */
static bool gather(void *ctx, const struct shard *shard, const struct entry *chain)
{
    struct gathering *g = ctx;
    size_t length = 0;

    (void)shard;
    for (const struct entry *entry = chain; entry != NULL; entry = entry->chain)
        length++;
    if (g->count > 0 && g->count + length > g->max)
        return false;
    for (const struct entry *entry = chain; entry != NULL && g->count < g->max;
         entry = entry->chain)
        g->objects[g->count++] = brim_object_ref(entry->object);
    return true;
}

size_t brim_hot_walk(struct brim_hot *hot, struct brim_hot_place *place,
                     struct brim_object **objects_out, size_t max)
{
    struct gathering gathering = {.objects = objects_out, .max = max};

    OBJ_CHECK(hot, HOT_MAGIC);
    while (gathering.count == 0 && visit_some(hot, place, gather, &gathering))
        continue;
    return gathering.count;
}

/* Takes out what stands under digest, where it is `only` or that is NULL. */
static void take_out_digest(struct shard *shard, struct brim_digest digest,
                            const struct brim_object *only, struct entry **gone)
{
    struct entry *entry = *table_place(shard, digest);

    if (entry != NULL && (only == NULL || entry->object == only))
        take_out(shard, entry, gone);
}

/* Which queue a new entry goes to: that of the object it replaces, if there is one. */
static struct queue *queue_for(struct shard *shard, struct brim_object *object)
{
    uint64_t bits = table_bits(object->key.digest);
    const struct entry *old = *table_place(shard, object->key.digest);
    size_t remembered = shard->entry_count > GHOST_MIN ? shard->entry_count : GHOST_MIN;

    if (old != NULL) {
        uint32_t use = atomic_load_explicit(&old->object->use, memory_order_relaxed);

        atomic_store_explicit(&object->use, use, memory_order_relaxed);
        return old->queue;
    }
    return ghost_has(&shard->ghost, bits, remembered) ? &shard->main : &shard->small;
}

static void enter(struct shard *shard, struct queue *queue, struct entry *entry)
{
    struct entry **bucket;

    table_fit(shard);
    bucket = &shard->buckets[table_bits(entry->digest) & (shard->bucket_count - 1)];
    entry->chain = *bucket;
    *bucket = entry;
    shard->entry_count++;
    queue_push(queue, entry);
    if (entry->object->body != NULL)
        brim_body_keep(entry->object->body);
    ghost_fit(&shard->ghost, shard->entry_count);
    INVARIANT(shard_bytes(shard) <= shard->bytes_max);
}

enum if_there { REPLACE, YIELD };

/* Whether its fill began later than object's. Ids of bodies grow while a node runs, and a marker
 * has that of the response which said what it says; those of an earlier run are as good as surely
 * far away. A note is of no response. */
static bool is_later(const struct brim_object *there, const struct brim_object *object)
{
    uint64_t ahead = there->body_id - object->body_id;

    return there->kind != BRIM_OBJECT_PASS && object->kind != BRIM_OBJECT_PASS && ahead > 0 &&
           ahead < BODY_IDS_OF_A_RUN;
}

static bool must_yield(struct shard *shard, const struct brim_object *object,
                       enum if_there if_there)
{
    const struct entry *there = *table_place(shard, object->key.digest);

    return there != NULL && (if_there == YIELD || is_later(there->object, object));
}

/* False: what stands there stays. */
static bool store(struct brim_hot *hot, struct brim_object *object, enum if_there if_there)
{
    struct shard *shard = shard_of(hot, object->key.digest);
    size_t charge = brim_object_charge(object) + sizeof(struct entry) + sizeof(struct entry *);
    struct entry *gone = NULL, *entry = brim_alloc(sizeof(*entry));
    struct queue *queue;
    bool yields;

    *entry = (struct entry){
        .digest = object->key.digest, .object = brim_object_ref(object), .charge = charge};
    BRIM_ADD(HOT_BYTES, charge);
    BRIM_COUNT(HOT_OBJECTS);

    pthread_mutex_lock(&shard->lock);
    queue = queue_for(shard, object);
    for (;;) {
        yields = must_yield(shard, object, if_there);
        if (yields)
            break;
        take_out_digest(shard, object->key.digest, NULL, &gone);
        if (charge > shard->bytes_max)
            break;
        if (make_room(shard, charge, &gone))
            break;
        /* Others have their turn. One of them may put the same key, so look again. */
        pthread_mutex_unlock(&shard->lock);
        let_go(gone);
        gone = NULL;
        pthread_mutex_lock(&shard->lock);
    }
    if (!yields && charge <= shard->bytes_max) {
        enter(shard, queue, entry);
    } else {
        entry->chain = gone;
        gone = entry;
    }
    pthread_mutex_unlock(&shard->lock);
    let_go(gone);
    return !yields;
}

bool brim_hot_put(struct brim_hot *hot, struct brim_object *object)
{
    OBJ_CHECK(hot, HOT_MAGIC);
    return store(hot, object, REPLACE);
}

void brim_hot_promote(struct brim_hot *hot, struct brim_object *object)
{
    OBJ_CHECK(hot, HOT_MAGIC);
    (void)store(hot, object, YIELD);
}

void brim_hot_drop(struct brim_hot *hot, const struct brim_key *key, struct brim_object *only)
{
    struct shard *shard = shard_of(hot, key->digest);
    struct entry *gone = NULL;

    OBJ_CHECK(hot, HOT_MAGIC);
    pthread_mutex_lock(&shard->lock);
    take_out_digest(shard, key->digest, only, &gone);
    pthread_mutex_unlock(&shard->lock);
    let_go(gone);
}

uint64_t brim_hot_bytes(struct brim_hot *hot)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < hot->shard_count; i++) {
        pthread_mutex_lock(&hot->shards[i].lock);
        INVARIANT(shard_bytes(&hot->shards[i]) <= hot->shards[i].bytes_max);
        bytes += shard_bytes(&hot->shards[i]);
        pthread_mutex_unlock(&hot->shards[i].lock);
    }
    return bytes;
}

/* ---- listing ---- */

struct listing {
    struct brim_digest *digests; /* NULL: only counting */
    size_t next[RANKS];          /* where the next of a rank goes */
    size_t end[RANKS];
};

/* 0 is the most used. */
static unsigned rank_of(const struct shard *shard, const struct entry *entry)
{
    uint32_t use = atomic_load_explicit(&entry->object->use, memory_order_relaxed);

    use = use > USE_MAX ? USE_MAX : use;
    return (entry->queue == &shard->main ? 0 : USE_MAX + 1) + (USE_MAX - use);
}

static void list_entry(struct listing *listing, const struct shard *shard,
                       const struct entry *entry)
{
    unsigned rank;

    if (atomic_load_explicit(&entry->object->on_disk, memory_order_relaxed) == 0)
        return;
    rank = rank_of(shard, entry);
    if (listing->digests == NULL)
        listing->next[rank]++;
    else if (listing->next[rank] < listing->end[rank])
        listing->digests[listing->next[rank]++] = entry->digest;
}

static bool list_chain(void *ctx, const struct shard *shard, const struct entry *chain)
{
    for (const struct entry *entry = chain; entry != NULL; entry = entry->chain)
        list_entry(ctx, shard, entry);
    return true;
}

static void list_all(struct brim_hot *hot, struct listing *listing)
{
    struct brim_hot_place place = {0};

    while (visit_some(hot, &place, list_chain, listing))
        continue;
}

/* Counts each rank first, which says where it goes. */
size_t brim_hot_list(struct brim_hot *hot, struct brim_digest *digests_out, size_t max)
{
    struct listing listing = {.digests = NULL};
    size_t start = 0, listed = 0;

    OBJ_CHECK(hot, HOT_MAGIC);
    list_all(hot, &listing);
    for (unsigned rank = 0; rank < RANKS; rank++) {
        size_t room = max - start;
        size_t count = listing.next[rank] < room ? listing.next[rank] : room;

        listing.next[rank] = start;
        start += count;
        listing.end[rank] = start;
    }
    listing.digests = digests_out;
    list_all(hot, &listing);
    for (unsigned rank = 0; rank < RANKS; rank++) { /* fewer may have come than were counted */
        size_t from = rank == 0 ? 0 : listing.end[rank - 1];
        size_t count = listing.next[rank] - from;

        memmove(digests_out + listed, digests_out + from, count * sizeof(*digests_out));
        listed += count;
    }
    return listed;
}
