/* SPDX-License-Identifier: MIT */
/*
 * What is on its way into the tiers: the object of every fill that may be stored, from its
 * beginning until it is published, or never will be.
 *
 * The tiers tell an older object from a newer one while the newer stands there. It may have gone
 * again, or was never let in, when the older one comes, whose body was slower, or was still being
 * written to disk. So the newer one tells those that are on their way under its key, in the turn of
 * the key in which it takes its place or is found to have none.
 */
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/cache/cache.h"
#include "brim/cache/inside.h"

struct brim_coming {
    struct brim_coming *next;
    const struct brim_object *object; /* borrowed */
    bool is_overtaken;
};

static struct brim_coming **list_of(struct brim_cache *cache, struct brim_digest digest)
{
    return &cache->coming[digest.lo % CACHE_TURNS];
}

void brim_cache_expect(struct brim_cache *cache, const struct brim_object *object)
{
    struct brim_coming *coming = brim_alloc(sizeof(*coming));
    struct brim_coming **list = list_of(cache, object->key.digest);
    pthread_mutex_t *turn = brim_cache_lock_key(cache, object->key.digest);

    *coming = (struct brim_coming){.next = *list, .object = object};
    *list = coming;
    pthread_mutex_unlock(turn);
}

/* Where object stands in its list, or the end of that. */
static struct brim_coming **place_of(struct brim_cache *cache, const struct brim_object *object)
{
    struct brim_coming **place = list_of(cache, object->key.digest);

    while (*place != NULL && (*place)->object != object)
        place = &(*place)->next;
    return place;
}

bool brim_cache_is_coming(struct brim_cache *cache, const struct brim_object *object)
{
    const struct brim_coming *coming = *place_of(cache, object);

    return coming != NULL && !coming->is_overtaken;
}

bool brim_cache_take_coming(struct brim_cache *cache, const struct brim_object *object)
{
    struct brim_coming **place = place_of(cache, object);
    struct brim_coming *coming = *place;
    bool is_overtaken;

    if (coming == NULL)
        return true; /* a 304's update, a marker, a note */
    is_overtaken = coming->is_overtaken;
    *place = coming->next;
    free(coming);
    return !is_overtaken;
}

void brim_cache_overtake(struct brim_cache *cache, struct brim_digest digest, uint64_t body_id)
{
    for (struct brim_coming *c = *list_of(cache, digest); c != NULL; c = c->next)
        if (brim_digest_is(c->object->key.digest, digest) &&
            (int64_t)(body_id - c->object->body_id) > 0) /* ids of one run, which grow */
            c->is_overtaken = true;
}
