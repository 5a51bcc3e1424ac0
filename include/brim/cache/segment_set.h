/* SPDX-License-Identifier: MIT */
/*
 * segment_set - the numbers of segments that a body stands in.
 *
 * No lock of its own: its owner's. Embedded in its owner; zeroed is empty.
 */
#ifndef BRIM_CACHE_SEGMENT_SET_H
#define BRIM_CACHE_SEGMENT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/err.h"

struct brim_segment_run;

struct brim_segment_set { /* private: all of it */
    struct brim_segment_run *runs;
    size_t count;
    size_t capacity;
};

void brim_segment_set_fini(struct brim_segment_set *set);

/* Errors: BRIM_ENOMEM, the set is as it was. */
BRIM_MUST_USE enum brim_err brim_segment_set_add(struct brim_segment_set *set, uint32_t segment);

bool brim_segment_set_has(const struct brim_segment_set *set, uint32_t segment);

/* UINT32_MAX: it is empty. */
uint32_t brim_segment_set_lowest(const struct brim_segment_set *set);

/* Bytes of memory that it has besides itself. */
size_t brim_segment_set_ram_bytes(const struct brim_segment_set *set);

#endif
