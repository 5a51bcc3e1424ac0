/* SPDX-License-Identifier: MIT */
/*
 * sketch - about how often was a key used lately: a count-min sketch of 4-bit counters that age.
 *
 * A fixed piece of memory whatever the number of keys. It may say too much, never too little
 * (apart from ageing, and from marks lost between threads that touch one word at one moment).
 */
#ifndef BRIM_CACHE_SKETCH_H
#define BRIM_CACHE_SKETCH_H

#include "brim/base/hash.h"

struct brim_sketch; /* opaque */

#define BRIM_SKETCH_MAX 15u /* counters stop there */

/* counters is rounded up to a power of two. Aborts on exhaustion (fixed, small). Thread: init. */
struct brim_sketch *brim_sketch_new(unsigned counters);
void brim_sketch_free(struct brim_sketch *sketch); /* accepts NULL */

/* Counts a use. Thread: any, wait-free. */
void brim_sketch_touch(struct brim_sketch *sketch, struct brim_digest digest);

/* About how often digest was used, up to BRIM_SKETCH_MAX. Thread: any. */
unsigned brim_sketch_uses(const struct brim_sketch *sketch, struct brim_digest digest);

/* Halves all counters if there were enough touches since the last time. Thread: one at a time,
 * no loop. */
void brim_sketch_age(struct brim_sketch *sketch);

#endif
