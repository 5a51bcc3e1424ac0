/* SPDX-License-Identifier: MIT */
/*
 * slots - one unbroken run of a body's bytes in RAM: counted chunks in a table, appended at the
 * end, dropped from the front.
 *
 * No lock of its own: cache/body locks around every call but brim_slots_copy(), which only touches
 * room that nobody else looks at. Embedded in its owner.
 */
#ifndef BRIM_CACHE_SLOTS_H
#define BRIM_CACHE_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"
#include "brim/cache/chunk.h"

struct brim_slot {
    uint64_t start; /* offset in the body */
    struct brim_chunk *chunk;
    size_t len; /* published */
};

struct brim_slots { /* private: all of it */
    struct brim_slot *items;
    size_t first; /* [first, end) are in use */
    size_t end;
    size_t capacity;
    struct brim_slot only; /* the table of a body of one chunk */
    _Atomic size_t ram_bytes;
};

void brim_slots_init(struct brim_slots *slots);
void brim_slots_fini(struct brim_slots *slots);

static inline bool brim_slots_is_empty(const struct brim_slots *slots)
{
    return slots->first == slots->end;
}

/* Where the first byte stands; not for empty ones. */
static inline uint64_t brim_slots_start(const struct brim_slots *slots)
{
    return slots->items[slots->first].start;
}

/* Chunks and table, readable at any time. Thread: any. */
size_t brim_slots_ram_bytes(const struct brim_slots *slots);

struct brim_slots_want {
    uint64_t end;     /* bytes published so far */
    size_t len;       /* to be appended */
    uint64_t rest;    /* expected from end on, UINT64_MAX: not known */
    size_t chunk_max; /* largest chunk to make */
};

/* Makes room for want.len bytes, or changes nothing (BRIM_ENOMEM). *count_out: how many slots at
 * the end have some of that room. */
BRIM_MUST_USE enum brim_err
brim_slots_reserve(struct brim_slots *slots, const struct brim_slots_want *want, size_t *count_out);

/* Copies into the reserved room. Thread: the writer, not locked. */
void brim_slots_copy(struct brim_slots *slots, size_t count, const void *bytes, size_t len);

/* Lets readers see what was copied. */
void brim_slots_publish(struct brim_slots *slots, size_t count, size_t len);

/* Takes whole slots before `upto` out of the table, as a list for brim_chunk_unref_list(). While
 * somebody appends (BRIM_SLOTS_KEEP_TAIL) the last slot with bytes stays: it may be in copy. */
enum brim_slots_tail { BRIM_SLOTS_KEEP_TAIL, BRIM_SLOTS_DROP_TAIL };
struct brim_chunk *brim_slots_drop(struct brim_slots *slots, uint64_t upto,
                                   enum brim_slots_tail tail);

/* Gives the unused end of the last chunk back by a copy that fits; returns the old chunk for
 * brim_chunk_unref_list(), NULL where it was not worth it. */
struct brim_chunk *brim_slots_trim(struct brim_slots *slots);

/* The bytes from offset to the end of its slot; *chunk_out is counted for the caller. */
struct brim_str brim_slots_get(const struct brim_slots *slots, uint64_t offset,
                               struct brim_chunk **chunk_out);

/* The largest number of bytes from `from` on, at most size, that ends where a slot ends; 0: none.
 */
size_t brim_slots_aligned(const struct brim_slots *slots, uint64_t from, size_t size);

/* size bytes from `from` on as one counted chunk: the slot's own if it is just that, else a copy.
 * NULL: out of memory. */
struct brim_chunk *brim_slots_gather(const struct brim_slots *slots, uint64_t from, size_t size);

#endif
