/* SPDX-License-Identifier: MIT */
/*
 * heap - gives memory that was freed back to the kernel, when nobody takes it again.
 *
 * Whoever looks regularly calls the tick. It compares what the process has resident with what
 * malloc has handed out; the difference is unused. What was unused at two looks, ten seconds apart,
 * and is more than may be spare, goes back. It does not know who used it, or for what.
 */
#ifndef BRIM_BASE_HEAP_H
#define BRIM_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* What one look sees. */
struct brim_heap_look {
    int64_t anonymous_bytes; /* resident, of no file */
    int64_t allocated_bytes; /* handed out by malloc, and not freed */
    int64_t free_bytes;      /* freed, and malloc's to hand out again; resident or not */
};

struct brim_heap { /* private */
    int64_t spare_bytes;
    int64_t level_bytes;  /* anonymous less allocated when nothing was unused */
    int64_t unused_bytes; /* at the look before */
    uint64_t next_ms;
    bool has_level;
};

/* spare_bytes: so much unused memory stays in any case. */
void brim_heap_init(struct brim_heap *heap, uint64_t spare_bytes);

/* Looks when it is time to. Giving back takes malloc's locks for some 0.1 ms a MiB.
 * Thread: one, always the same; no loop of clients. */
void brim_heap_tick(struct brim_heap *heap);

/* What the tick decides by: whether memory is to go back now. *unused_out: how much there is. */
bool brim_heap_judge(struct brim_heap *heap, const struct brim_heap_look *look,
                     int64_t *unused_out);

#endif
