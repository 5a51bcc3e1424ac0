/* SPDX-License-Identifier: MIT */
/*
 * glibc gives memory back by itself only at the end of an arena, and there is nearly always
 * something small that still stands there: after 2,000 streams that were not read 700 MiB stayed,
 * of which 3 were in use. What comes next takes it again, so nothing leaks; but it is not the
 * machine's. malloc_trim() gives back every whole free page, wherever it lies. Other cures were
 * measured on that case: fewer arenas, a fixed M_TRIM_THRESHOLD or M_MMAP_THRESHOLD and jemalloc
 * left 230 to 580 MiB, and mapping each chunk of a body doubled what a miss of a MiB costs.
 *
 * How much is unused cannot be asked for: free_bytes has pages that went back long ago. So the
 * level is noted, right after memory went back (and at the start), of what is resident without
 * being handed out: stacks, less what was handed out and never written to. What has come on top
 * since then is unused, but never more than what is free.
 *
 *      anonymous   |--------------------------------------|
 *      allocated   |-------------------|- level -|-unused-|
 *
 * Looking walks the lists of free memory, and giving back all free pages, each with one arena
 * locked. So that a loop that waits for the lock does not show, looking may take a thousandth of
 * the time; less than an eighth of what is in use is left alone, as it would be taken again at
 * once.
 */
#include "brim/base/heap.h"

#include <malloc.h>

#include "brim/base/clock.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/usage.h"

#define LOOK_MS      10000u
#define LOOK_SHARE   1000u /* of the time is spent on looking, at most: one part of so many */
#define UNUSED_SHARE 8     /* of what is in use may stay: one part of so many */

static int64_t anonymous_bytes(void)
{
    struct brim_resident resident;

    brim_usage_resident(&resident);
    return resident.anonymous_bytes;
}

static struct brim_heap_look look_now(void)
{
    struct mallinfo2 info = mallinfo2();

    return (struct brim_heap_look){.anonymous_bytes = anonymous_bytes(),
                                   .allocated_bytes = (int64_t)(info.uordblks + info.hblkhd),
                                   .free_bytes = (int64_t)info.fordblks};
}

void brim_heap_init(struct brim_heap *heap, uint64_t spare_bytes)
{
    *heap = (struct brim_heap){.spare_bytes = (int64_t)spare_bytes};
}

bool brim_heap_judge(struct brim_heap *heap, const struct brim_heap_look *look, int64_t *unused_out)
{
    int64_t level = look->anonymous_bytes - look->allocated_bytes;
    int64_t share = look->allocated_bytes / UNUSED_SHARE;
    int64_t may_stay = heap->spare_bytes > share ? heap->spare_bytes : share;
    int64_t before = heap->unused_bytes;
    int64_t unused;

    if (!heap->has_level)
        heap->level_bytes = level;
    heap->has_level = true;
    unused = level - heap->level_bytes;
    if (unused > look->free_bytes)
        unused = look->free_bytes;
    if (unused < 0)
        unused = 0;
    heap->unused_bytes = unused;
    *unused_out = unused;
    return before > may_stay && unused > may_stay;
}

static void give_back(struct brim_heap *heap, const struct brim_heap_look *look)
{
    uint64_t began_us = brim_clock_thread_cpu_us();
    int64_t returned;

    (void)malloc_trim(0);
    returned = look->anonymous_bytes - anonymous_bytes();
    if (returned < 0)
        returned = 0; /* others have taken more meanwhile */
    heap->has_level = false;
    heap->unused_bytes = 0;
    BRIM_COUNT(MEMORY_RETURNS);
    BRIM_ADD(MEMORY_RETURNED, returned);
    BRIM_LOG(INFO, "memory.returned", "bytes=%lld allocated=%lld cpu_us=%llu", (long long)returned,
             (long long)look->allocated_bytes,
             (unsigned long long)(brim_clock_thread_cpu_us() - began_us));
}

void brim_heap_tick(struct brim_heap *heap)
{
    uint64_t now_ms = brim_clock_mono_ms();
    uint64_t began_us, pause_ms;
    struct brim_heap_look look;
    int64_t unused;
    bool is_due;

    if (now_ms < heap->next_ms)
        return;
    began_us = brim_clock_thread_cpu_us();
    look = look_now();
    pause_ms = (brim_clock_thread_cpu_us() - began_us) * LOOK_SHARE / 1000u;
    heap->next_ms = now_ms + (pause_ms > LOOK_MS ? pause_ms : LOOK_MS);
    is_due = brim_heap_judge(heap, &look, &unused);
    brim_metric_set(BRIM_METRIC_MEMORY_ALLOCATED, look.allocated_bytes);
    brim_metric_set(BRIM_METRIC_MEMORY_UNUSED, unused);
    if (!is_due)
        return;
    give_back(heap, &look);
    look = look_now();
    (void)brim_heap_judge(heap, &look, &unused);
    brim_metric_set(BRIM_METRIC_MEMORY_UNUSED, unused);
}
