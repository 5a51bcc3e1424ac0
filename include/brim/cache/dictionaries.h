/* SPDX-License-Identifier: MIT */
/*
 * dictionaries - Compression Dictionary Transport (RFC 9842) on the side of the cache: keeps what
 * clients were told to use as a dictionary, and makes answers from it, once each.
 *
 * A dictionary is a copy of the response that offered it, stored in the cache like any object under
 *
 *     ORIGIN/#dictionary:SHA-256        for example https://a.example/#dictionary:2cf24d...
 *
 * so that it is found by what a client names, whatever its URL says by now; survives restarts; is
 * bounded, evicted and purged (by host, prefix and tag) as everything else. No index is needed.
 *
 * Work is done one piece at a time, at low priority, from a queue with an end.
 * Refuses to know requests: who may be answered with a delta is the caller's question.
 */
#ifndef BRIM_CACHE_DICTIONARIES_H
#define BRIM_CACHE_DICTIONARIES_H

#include "brim/cache/cache.h"
#include "brim/cache/deltas.h"

struct brim_dictionaries; /* opaque */

struct brim_dictionaries_config {
    struct brim_cache *cache;  /* borrowed; its publishing is listened to */
    struct brim_pool *pool;    /* borrowed: threads for encoding */
    uint64_t object_bytes_max; /* largest dictionary, and largest body that is coded */
    uint64_t deltas_bytes_max; /* RAM for what was made */
};

/* Aborts where there is no memory. Thread: init, before anything is stored. */
struct brim_dictionaries *brim_dictionaries_open(const struct brim_dictionaries_config *config);

/* Forgets what waits; what runs ends by itself. Before the pool and the cache close. */
void brim_dictionaries_stop(struct brim_dictionaries *dictionaries);

/* After the pool has closed. Accepts NULL. */
void brim_dictionaries_close(struct brim_dictionaries *dictionaries);

/* Whether object can be answered with a delta: a 200 of the right size, whole, without a coding or
 * a wish not to be changed. Thread: any. */
bool brim_dictionaries_is_codable(const struct brim_dictionaries *dictionaries,
                                  const struct brim_object *object);

/*
 * Looks for object coded with the dictionary that hash names; where there is none yet and the
 * dictionary is there, has it made.
 *
 * Returns a counted delta, or NULL: not now, or not worth it. Thread: any, also a loop.
 */
struct brim_delta *brim_dictionaries_get(struct brim_dictionaries *dictionaries,
                                         struct brim_object *object, enum brim_delta_coding coding,
                                         const struct brim_dictionary_hash *hash);

#endif
