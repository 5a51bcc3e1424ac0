/* SPDX-License-Identifier: MIT */
#include "brim/cache/placed.h"

#include <stdlib.h>

#include "brim/base/invariant.h"

#define CAPACITY_MIN 16u

void brim_placed_init(struct brim_placed *placed)
{
    *placed = (struct brim_placed){0};
}

void brim_placed_fini(struct brim_placed *placed)
{
    free(placed->items);
    placed->items = NULL;
    brim_segment_set_fini(&placed->segments);
}

static enum brim_err set_capacity(struct brim_placed *placed, size_t capacity)
{
    struct brim_placed_one *items = reallocarray(placed->items, capacity, sizeof(*items));

    if (items == NULL)
        return BRIM_ENOMEM;
    placed->items = items;
    placed->capacity = capacity;
    return BRIM_OK;
}

enum brim_err brim_placed_reserve(struct brim_placed *placed, size_t count)
{
    return count == 0 ? BRIM_OK : set_capacity(placed, placed->count + count);
}

enum brim_err brim_placed_add(struct brim_placed *placed, struct brim_extent extent)
{
    enum brim_err err = BRIM_OK;

    if (placed->count == placed->capacity)
        err = set_capacity(placed, placed->capacity > 0 ? placed->capacity * 2 : CAPACITY_MIN);
    if (err == BRIM_OK)
        err = brim_segment_set_add(&placed->segments, extent.segment);
    if (err != BRIM_OK)
        return err;
    atomic_store(&placed->ram_bytes, placed->capacity * sizeof(*placed->items) +
                                         brim_segment_set_ram_bytes(&placed->segments));
    placed->items[placed->count++] =
        (struct brim_placed_one){.start = placed->bytes, .extent = extent};
    placed->bytes += extent.length;
    return BRIM_OK;
}

struct brim_extent brim_placed_find(const struct brim_placed *placed, uint64_t offset,
                                    uint32_t *skip_out)
{
    const struct brim_placed_one *place;
    size_t low = 0, high = placed->count;

    INVARIANT(offset < placed->bytes);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (placed->items[middle].start <= offset)
            low = middle;
        else
            high = middle;
    }
    place = &placed->items[low];
    INVARIANT(offset - place->start < place->extent.length);
    *skip_out = (uint32_t)(offset - place->start);
    return place->extent;
}

struct brim_extent *brim_placed_copy(const struct brim_placed *placed, size_t *count_out)
{
    struct brim_extent *extents = NULL;

    if (placed->count > 0)
        extents = malloc(placed->count * sizeof(*extents));
    for (size_t i = 0; extents != NULL && i < placed->count; i++)
        extents[i] = placed->items[i].extent;
    *count_out = extents == NULL ? 0 : placed->count;
    return extents;
}
