/* SPDX-License-Identifier: MIT */
/*
 * Sixteen counters in a word, four rows in one array: each key has one counter per row, chosen by
 * a slice of its digest, and its estimate is the least of the four. A touch is one load and one
 * compare-and-swap a row; where the swap loses, another touch won, and this one is not counted.
 */
#include "brim/cache/sketch.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "brim/base/invariant.h"

#define SKETCH_MAGIC  0x736b6531u
#define ROWS          4u
#define COUNTERS_MIN  1024u
#define HALF_OF_EACH  0x7777777777777777ull
#define TOUCHES_SHARE 1u /* ages after this many touches per counter of a row */

struct brim_sketch {
    uint32_t magic;
    uint32_t row_mask; /* counters of a row - 1 */
    _Atomic uint64_t touches;
    _Atomic uint64_t words[];
};

struct counter {
    uint32_t word;
    unsigned shift;
};

static struct counter counter_of(const struct brim_sketch *sketch, struct brim_digest digest,
                                 unsigned row)
{
    /* The digest is a good hash: 32 of its 128 bits a row. */
    uint64_t half = row < 2 ? digest.hi : digest.lo;
    uint32_t slot = (uint32_t)(row % 2 == 0 ? half : half >> 32) & sketch->row_mask;
    uint32_t index = row * (sketch->row_mask + 1) + slot;

    return (struct counter){.word = index / 16, .shift = index % 16 * 4};
}

struct brim_sketch *brim_sketch_new(unsigned counters)
{
    uint32_t row = COUNTERS_MIN / ROWS;
    struct brim_sketch *sketch;

    INVARIANT(counters <= 1u << 30);
    while (row * ROWS < counters)
        row *= 2;
    sketch = brim_alloc(sizeof(*sketch) + (size_t)row * ROWS / 16 * sizeof(uint64_t));
    sketch->magic = SKETCH_MAGIC;
    sketch->row_mask = row - 1;
    return sketch;
}

void brim_sketch_free(struct brim_sketch *sketch)
{
    free(sketch);
}

void brim_sketch_touch(struct brim_sketch *sketch, struct brim_digest digest)
{
    OBJ_CHECK(sketch, SKETCH_MAGIC);
    for (unsigned row = 0; row < ROWS; row++) {
        struct counter at = counter_of(sketch, digest, row);
        uint64_t word = atomic_load_explicit(&sketch->words[at.word], memory_order_relaxed);
        if ((word >> at.shift & BRIM_SKETCH_MAX) == BRIM_SKETCH_MAX)
            continue;
        (void)atomic_compare_exchange_strong_explicit(&sketch->words[at.word], &word,
                                                      word + (1ull << at.shift),
                                                      memory_order_relaxed, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&sketch->touches, 1, memory_order_relaxed);
}

unsigned brim_sketch_uses(const struct brim_sketch *sketch, struct brim_digest digest)
{
    unsigned least = BRIM_SKETCH_MAX;

    OBJ_CHECK(sketch, SKETCH_MAGIC);
    for (unsigned row = 0; row < ROWS; row++) {
        struct counter at = counter_of(sketch, digest, row);
        uint64_t word = atomic_load_explicit(&sketch->words[at.word], memory_order_relaxed);
        unsigned uses = (unsigned)(word >> at.shift & BRIM_SKETCH_MAX);
        if (uses < least)
            least = uses;
    }
    return least;
}

void brim_sketch_age(struct brim_sketch *sketch)
{
    uint64_t enough = ((uint64_t)sketch->row_mask + 1) * TOUCHES_SHARE;
    uint32_t words = (sketch->row_mask + 1) * ROWS / 16;

    OBJ_CHECK(sketch, SKETCH_MAGIC);
    if (atomic_load_explicit(&sketch->touches, memory_order_relaxed) < enough)
        return;
    atomic_store_explicit(&sketch->touches, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < words; i++) {
        /* A touch between load and store is lost: an estimate is all that is promised. */
        uint64_t word = atomic_load_explicit(&sketch->words[i], memory_order_relaxed);
        if (word != 0)
            atomic_store_explicit(&sketch->words[i], word >> 1 & HALF_OF_EACH,
                                  memory_order_relaxed);
    }
}
