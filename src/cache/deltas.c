/* SPDX-License-Identifier: MIT */
#include "brim/cache/deltas.h"

#include <pthread.h>
#include <stdlib.h>

#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"

#define DELTAS_MAGIC 0x646c7431u
#define BUCKETS      1024u /* a power of two */

struct entry {
    struct brim_delta_key key;
    struct brim_delta *delta; /* NULL: claimed */
    struct entry *chain;      /* of its bucket */
    struct entry *newer;      /* list of use; claimed ones stand in it too */
    struct entry *older;
    size_t charge;
};

struct brim_deltas {
    uint32_t magic;
    pthread_mutex_t lock; /* all below; a leaf */
    uint64_t bytes_max;
    uint64_t bytes;
    struct entry *buckets[BUCKETS];
    struct entry *newest;
    struct entry *oldest;
};

/* ---- one delta ---- */

struct brim_delta *brim_delta_new(struct brim_body *body, const struct brim_dictionary_terms *terms,
                                  struct brim_str url)
{
    struct brim_delta *delta = brim_alloc(sizeof(*delta) + url.len);

    delta->refs = 1;
    delta->terms = *terms;
    delta->charge = sizeof(*delta) + url.len;
    if (url.len > 0)
        memcpy(delta->url_text, url.base, url.len);
    delta->dictionary_url = brim_str(delta->url_text, url.len);
    delta->body = body;
    if (body != NULL) {
        brim_body_ref(body);
        delta->charge += brim_body_ram_bytes(body);
    }
    return delta;
}

void brim_delta_unref(struct brim_delta *delta)
{
    if (delta == NULL || atomic_fetch_sub_explicit(&delta->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (delta->body != NULL)
        brim_body_unref(delta->body);
    free(delta);
}

/* ---- the table ---- */

struct brim_deltas *brim_deltas_new(uint64_t bytes_max)
{
    struct brim_deltas *deltas = brim_alloc(sizeof(*deltas));

    deltas->magic = DELTAS_MAGIC;
    deltas->bytes_max = bytes_max;
    pthread_mutex_init(&deltas->lock, NULL);
    return deltas;
}

static bool is_key(const struct brim_delta_key *a, const struct brim_delta_key *b)
{
    return a->body_id == b->body_id && a->coding == b->coding &&
           memcmp(a->hash.bytes, b->hash.bytes, sizeof(a->hash.bytes)) == 0;
}

static struct entry **bucket_of(struct brim_deltas *deltas, const struct brim_delta_key *key)
{
    uint64_t hash =
        brim_hash64(key->hash.bytes, sizeof(key->hash.bytes)) ^ key->body_id * 0x9e3779b97f4a7c15u;

    return &deltas->buckets[(hash >> 20) & (BUCKETS - 1)];
}

static struct entry *find(struct brim_deltas *deltas, const struct brim_delta_key *key)
{
    struct entry *entry = *bucket_of(deltas, key);

    while (entry != NULL && !is_key(&entry->key, key))
        entry = entry->chain;
    return entry;
}

static void unlink_use(struct brim_deltas *deltas, struct entry *entry)
{
    INVARIANT((entry->newer == NULL) == (deltas->newest == entry));
    *(entry->newer != NULL ? &entry->newer->older : &deltas->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &deltas->oldest) = entry->newer;
    entry->newer = entry->older = NULL;
}

static void link_newest(struct brim_deltas *deltas, struct entry *entry)
{
    entry->older = deltas->newest;
    *(deltas->newest != NULL ? &deltas->newest->newer : &deltas->oldest) = entry;
    deltas->newest = entry;
}

static void charge(struct brim_deltas *deltas, struct entry *entry, size_t bytes)
{
    BRIM_ADD(DELTA_BYTES, (int64_t)bytes - (int64_t)entry->charge);
    deltas->bytes = deltas->bytes - entry->charge + bytes;
    entry->charge = bytes;
}

static void remove_entry(struct brim_deltas *deltas, struct entry *entry)
{
    struct entry **at = bucket_of(deltas, &entry->key);

    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    unlink_use(deltas, entry);
    charge(deltas, entry, 0);
    brim_delta_unref(entry->delta);
    free(entry);
}

/* Lets the least recently used go until bytes fit. A claimed one stays: somebody is at it. */
static bool make_room(struct brim_deltas *deltas, size_t bytes)
{
    struct entry *entry = deltas->oldest;

    while (entry != NULL && deltas->bytes + bytes > deltas->bytes_max) {
        struct entry *newer = entry->newer;

        if (entry->delta != NULL)
            remove_entry(deltas, entry);
        entry = newer;
    }
    return deltas->bytes + bytes <= deltas->bytes_max;
}

static enum brim_delta_state claim(struct brim_deltas *deltas, const struct brim_delta_key *key)
{
    struct entry *entry;

    if (!make_room(deltas, sizeof(*entry)))
        return BRIM_DELTA_FULL;
    entry = brim_alloc(sizeof(*entry));
    entry->key = *key;
    entry->chain = *bucket_of(deltas, key);
    *bucket_of(deltas, key) = entry;
    link_newest(deltas, entry);
    charge(deltas, entry, sizeof(*entry));
    return BRIM_DELTA_CLAIMED;
}

/* What entry (NULL: none) has to say. Under the lock. */
static enum brim_delta_state look(struct brim_deltas *deltas, struct entry *entry,
                                  struct brim_delta **delta_out)
{
    if (entry == NULL)
        return BRIM_DELTA_ABSENT;
    if (entry->delta == NULL)
        return BRIM_DELTA_MAKING;
    atomic_fetch_add_explicit(&entry->delta->refs, 1, memory_order_relaxed);
    *delta_out = entry->delta;
    unlink_use(deltas, entry);
    link_newest(deltas, entry);
    return BRIM_DELTA_READY;
}

enum brim_delta_state brim_deltas_find(struct brim_deltas *deltas, const struct brim_delta_key *key,
                                       struct brim_delta **delta_out)
{
    enum brim_delta_state state;

    OBJ_CHECK(deltas, DELTAS_MAGIC);
    *delta_out = NULL;
    pthread_mutex_lock(&deltas->lock);
    state = look(deltas, find(deltas, key), delta_out);
    pthread_mutex_unlock(&deltas->lock);
    return state;
}

enum brim_delta_state brim_deltas_claim(struct brim_deltas *deltas,
                                        const struct brim_delta_key *key,
                                        struct brim_delta **delta_out)
{
    enum brim_delta_state state;

    OBJ_CHECK(deltas, DELTAS_MAGIC);
    *delta_out = NULL;
    pthread_mutex_lock(&deltas->lock);
    state = look(deltas, find(deltas, key), delta_out);
    if (state == BRIM_DELTA_ABSENT)
        state = claim(deltas, key);
    pthread_mutex_unlock(&deltas->lock);
    return state;
}

void brim_deltas_put(struct brim_deltas *deltas, const struct brim_delta_key *key,
                     struct brim_delta *delta)
{
    struct entry *entry;

    OBJ_CHECK(deltas, DELTAS_MAGIC);
    pthread_mutex_lock(&deltas->lock);
    entry = find(deltas, key);
    INVARIANT(entry != NULL && entry->delta == NULL);
    if (make_room(deltas, delta->charge)) {
        entry->delta = delta;
        charge(deltas, entry, sizeof(*entry) + delta->charge);
    } else {
        remove_entry(deltas, entry);
        brim_delta_unref(delta);
    }
    pthread_mutex_unlock(&deltas->lock);
}

void brim_deltas_drop(struct brim_deltas *deltas, const struct brim_delta_key *key)
{
    struct entry *entry;

    OBJ_CHECK(deltas, DELTAS_MAGIC);
    pthread_mutex_lock(&deltas->lock);
    entry = find(deltas, key);
    INVARIANT(entry != NULL && entry->delta == NULL);
    remove_entry(deltas, entry);
    pthread_mutex_unlock(&deltas->lock);
}

void brim_deltas_free(struct brim_deltas *deltas)
{
    if (deltas == NULL)
        return;
    OBJ_CHECK(deltas, DELTAS_MAGIC);
    while (deltas->newest != NULL)
        remove_entry(deltas, deltas->newest);
    pthread_mutex_destroy(&deltas->lock);
    deltas->magic = 0;
    free(deltas);
}
