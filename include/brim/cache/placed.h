/* SPDX-License-Identifier: MIT */
/*
 * placed - where the bytes of a body stand on disk: extents one behind the other, from the first
 * byte on.
 *
 * No lock of its own: cache/body locks around every call. Embedded in its owner.
 */
#ifndef BRIM_CACHE_PLACED_H
#define BRIM_CACHE_PLACED_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/err.h"
#include "brim/cache/segment_set.h"

/* Where length bytes of a body stand on disk: an extent whose payload starts at offset in segment
 * (offset names the extent header). */
struct brim_extent {
    uint32_t segment;
    uint32_t offset;
    uint32_t length;
};

struct brim_placed_one {
    uint64_t start; /* offset in the body */
    struct brim_extent extent;
};

struct brim_placed { /* private: all but segments and bytes */
    struct brim_placed_one *items;
    size_t count;
    size_t capacity;
    struct brim_segment_set segments;
    uint64_t bytes;           /* in all of them */
    _Atomic size_t ram_bytes; /* readable at any time */
};

void brim_placed_init(struct brim_placed *placed);
void brim_placed_fini(struct brim_placed *placed);

/* Makes room for count more, and not for others. Errors: BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_placed_reserve(struct brim_placed *placed, size_t count);

/* Behind the last. Errors: BRIM_ENOMEM; none where there is room. */
BRIM_MUST_USE enum brim_err brim_placed_add(struct brim_placed *placed, struct brim_extent extent);

/* The extent in which a byte of the body stands, and how many of its bytes are before that. */
struct brim_extent brim_placed_find(const struct brim_placed *placed, uint64_t offset,
                                    uint32_t *skip_out);

/* Copies them; the caller's, freed with free(). NULL: none. */
struct brim_extent *brim_placed_copy(const struct brim_placed *placed, size_t *count_out);

#endif
