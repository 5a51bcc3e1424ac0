/* SPDX-License-Identifier: MIT */
/*
 * Runs of consecutive numbers, in order, with a gap between any two.
 *
 * Most bodies stand in one run. One that came slowly, while others filled the disk, stands in few
 * of the segments between its first and its last, and only those are to be kept for its readers.
 * Its segments come mostly in order, so that one is added at the end.
 */
#include "brim/cache/segment_set.h"

#include <stdlib.h>
#include <string.h>

struct brim_segment_run {
    uint32_t first;
    uint32_t last;
};

void brim_segment_set_fini(struct brim_segment_set *set)
{
    free(set->runs);
    *set = (struct brim_segment_set){0};
}

/* How many runs end before segment. */
static size_t runs_before(const struct brim_segment_set *set, uint32_t segment)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (set->runs[middle].last < segment)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool brim_segment_set_has(const struct brim_segment_set *set, uint32_t segment)
{
    size_t at = runs_before(set, segment);

    return at < set->count && set->runs[at].first <= segment;
}

static enum brim_err insert(struct brim_segment_set *set, size_t at, uint32_t segment)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity > 0 ? set->capacity * 2 : 1;
        struct brim_segment_run *runs = reallocarray(set->runs, capacity, sizeof(*runs));

        if (runs == NULL)
            return BRIM_ENOMEM;
        set->runs = runs;
        set->capacity = capacity;
    }
    memmove(&set->runs[at + 1], &set->runs[at], (set->count - at) * sizeof(*set->runs));
    set->runs[at] = (struct brim_segment_run){segment, segment};
    set->count++;
    return BRIM_OK;
}

static void remove_run(struct brim_segment_set *set, size_t at)
{
    set->count--;
    memmove(&set->runs[at], &set->runs[at + 1], (set->count - at) * sizeof(*set->runs));
}

enum brim_err brim_segment_set_add(struct brim_segment_set *set, uint32_t segment)
{
    size_t at = runs_before(set, segment);
    bool goes_on = at > 0 && set->runs[at - 1].last + 1 == segment;
    bool leads_to = at < set->count && segment + 1 == set->runs[at].first;

    if (at < set->count && set->runs[at].first <= segment)
        return BRIM_OK;
    if (!goes_on && !leads_to)
        return insert(set, at, segment);
    if (!goes_on) {
        set->runs[at].first = segment;
        return BRIM_OK;
    }
    set->runs[at - 1].last = segment;
    if (leads_to) {
        set->runs[at - 1].last = set->runs[at].last;
        remove_run(set, at);
    }
    return BRIM_OK;
}

uint32_t brim_segment_set_lowest(const struct brim_segment_set *set)
{
    return set->count > 0 ? set->runs[0].first : UINT32_MAX;
}

size_t brim_segment_set_ram_bytes(const struct brim_segment_set *set)
{
    return set->capacity * sizeof(*set->runs);
}
