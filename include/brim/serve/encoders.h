/* SPDX-License-Identifier: MIT */
/*
 * encoders - threads that compress stored bodies: each once for each coding that somebody asked
 * for, at low priority, and never more than may wait.
 *
 * What is asked for is not promised: a body that is too large, does not shrink, or finds the queue
 * full stays as it is, and whoever asked is answered without it.
 */
#ifndef BRIM_SERVE_ENCODERS_H
#define BRIM_SERVE_ENCODERS_H

#include "brim/cache/cache.h"
#include "brim/cache/represent.h"

struct brim_encoders; /* opaque */

struct brim_encoders_config {
    struct brim_cache *cache; /* borrowed */
    unsigned threads;         /* 0: nothing is ever compressed */
    unsigned queue_max;
    uint64_t bytes_min; /* of a body */
    uint64_t bytes_max;
};

/* Errors: BRIM_ENOMEM, BRIM_EIO. Thread: init. */
BRIM_MUST_USE enum brim_err brim_encoders_open(const struct brim_encoders_config *config,
                                               struct brim_encoders **encoders_out);
/* Drops what waits, ends what runs. The cache must still be there. Thread: init, after the loops.
 */
void brim_encoders_close(struct brim_encoders *encoders);

/* Their threads, for other work of the kind (cache/dictionaries.h); NULL: there are none. */
struct brim_pool *brim_encoders_pool(struct brim_encoders *encoders);

/* Whether answers with object may differ by Accept-Encoding: its body is, or may grow to be, one
 * that they would compress. */
bool brim_encoders_might(const struct brim_encoders *encoders, const struct brim_object *object);

/* Whether object's body, as it is now, is one that they would compress. */
bool brim_encoders_would(const struct brim_encoders *encoders, const struct brim_object *object);

/* Asks for object's body in coding; counts the object if it is taken. Costs a lock and no more if
 * it was asked for already. Thread: any, also a loop. */
void brim_encoders_want(struct brim_encoders *encoders, struct brim_object *object,
                        enum brim_coding coding);

#endif
