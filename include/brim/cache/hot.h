/* SPDX-License-Identifier: MIT */
/*
 * hot - the RAM tier: sharded, byte-bounded, S3-FIFO.
 *
 * Holds counted references to published objects by their key digest; compares key texts. A get is
 * one short shard lock and two atomics.
 */
#ifndef BRIM_CACHE_HOT_H
#define BRIM_CACHE_HOT_H

#include "brim/cache/object.h"

struct brim_hot; /* opaque */

/* Errors: BRIM_ENOMEM. Thread: init. shards is rounded up to a power of two. */
BRIM_MUST_USE enum brim_err brim_hot_open(uint64_t bytes_max, unsigned shards,
                                          struct brim_hot **hot_out);
void brim_hot_close(struct brim_hot *hot);

/* Returns a counted object or NULL. Thread: any. */
struct brim_object *brim_hot_get(struct brim_hot *hot, const struct brim_key *key);

/* The same without counting a use: for those who only look. Thread: any. */
struct brim_object *brim_hot_peek(struct brim_hot *hot, const struct brim_key *key);

/* Walks: up to max counted objects more; 0: that was all. What comes or goes meanwhile may be told
 * twice or not at all. Zero the place first. Thread: any. */
struct brim_hot_place {
    unsigned shard;
    size_t bucket;
};
size_t brim_hot_walk(struct brim_hot *hot, struct brim_hot_place *place,
                     struct brim_object **objects_out, size_t max);

/* Stores object under object->key, replacing what stands there; takes a count of its own. False: a
 * later one stands there, which stays: bodies that go to disk as they come are published by
 * whatever thread writes their end, and the second may be before the first. Larger than a shard:
 * not kept (and what stood there is gone all the same). The charge is read at this moment: put
 * complete bodies. Thread: any. */
bool brim_hot_put(struct brim_hot *hot, struct brim_object *object);

/* As put, but what stands under the key stays: for an object read from disk, which must not take
 * the place of one that was published while it was read. Thread: any. */
void brim_hot_promote(struct brim_hot *hot, struct brim_object *object);

/* Removes what stands under key, only if it is `only` when that is not NULL. Thread: any. */
void brim_hot_drop(struct brim_hot *hot, const struct brim_key *key, struct brim_object *only);

/* Lists what is on disk too, most used first, up to max. Holds a shard for a few entries at a time,
 * so what moves meanwhile may be missed. Returns how many. Thread: any. */
size_t brim_hot_list(struct brim_hot *hot, struct brim_digest *digests_out, size_t max);

/* Bytes charged now; never over bytes_max, at no moment in any shard. Thread: any. */
uint64_t brim_hot_bytes(struct brim_hot *hot);

#endif
