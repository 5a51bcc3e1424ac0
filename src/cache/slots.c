/* SPDX-License-Identifier: MIT */
/*
 *      first                        end
 *      |--- slot ---|--- slot ---|- tail -.....|.............|
 *      start                              ^ len ^ capacity     reserved, len 0
 *
 * A slot is filled to its chunk's capacity before the next one is used, so the start of a reserved
 * slot is known before the bytes are there. Only reserve moves the table: indices counted from the
 * end hold until the next reserve, whatever is dropped at the front meanwhile.
 */
#include "brim/cache/slots.h"

#include <stdlib.h>

#include "brim/base/invariant.h"

#define CHUNK_FIRST ((size_t)16 * 1024)

static size_t chunk_cost(const struct brim_chunk *chunk)
{
    return brim_chunk_capacity(chunk) + BRIM_CHUNK_OVERHEAD;
}

/* ---- table ---- */

void brim_slots_init(struct brim_slots *slots)
{
    *slots = (struct brim_slots){.capacity = 1};
    slots->items = &slots->only;
    atomic_init(&slots->ram_bytes, 0);
}

void brim_slots_fini(struct brim_slots *slots)
{
    for (size_t i = slots->first; i < slots->end; i++)
        brim_chunk_unref(slots->items[i].chunk);
    if (slots->items != &slots->only)
        free(slots->items);
    slots->items = NULL;
}

size_t brim_slots_ram_bytes(const struct brim_slots *slots)
{
    return atomic_load_explicit(&slots->ram_bytes, memory_order_relaxed);
}

/* Makes place for one more slot: moves the used ones to the front, or into a bigger table. */
static enum brim_err grow(struct brim_slots *slots)
{
    size_t used = slots->end - slots->first;
    struct brim_slot *items = slots->items;

    if (slots->end < slots->capacity)
        return BRIM_OK;
    if (used * 2 > slots->capacity) {
        size_t capacity = slots->capacity * 4;

        items = calloc(capacity, sizeof(*items));
        if (items == NULL)
            return BRIM_ENOMEM;
        atomic_fetch_add(&slots->ram_bytes, (capacity - slots->capacity) * sizeof(*items));
        slots->capacity = capacity;
    }
    if (used > 0)
        memmove(items, slots->items + slots->first, used * sizeof(*items));
    if (items != slots->items && slots->items != &slots->only)
        free(slots->items);
    slots->items = items;
    slots->first = 0;
    slots->end = used;
    return BRIM_OK;
}

/* Just what is still expected; where that is not known, 16 KiB first and then double. */
static size_t next_capacity(const struct brim_slots *slots, const struct brim_slots_want *want,
                            uint64_t start)
{
    uint64_t ahead = start - want->end;
    uint64_t size = CHUNK_FIRST;

    if (want->rest != UINT64_MAX && want->rest > ahead)
        size = want->rest - ahead;
    else if (!brim_slots_is_empty(slots))
        size = brim_chunk_capacity(slots->items[slots->end - 1].chunk) * 2;
    return size < want->chunk_max ? (size_t)size : want->chunk_max;
}

static enum brim_err push(struct brim_slots *slots, const struct brim_slots_want *want)
{
    uint64_t start = want->end;
    struct brim_chunk *chunk;

    if (!brim_slots_is_empty(slots)) {
        const struct brim_slot *last = &slots->items[slots->end - 1];

        start = last->start + brim_chunk_capacity(last->chunk);
    }
    chunk = brim_chunk_new(next_capacity(slots, want, start));
    if (chunk == NULL)
        return BRIM_ENOMEM;
    if (grow(slots) != BRIM_OK) {
        brim_chunk_unref(chunk);
        return BRIM_ENOMEM;
    }
    slots->items[slots->end++] = (struct brim_slot){.start = start, .chunk = chunk};
    atomic_fetch_add(&slots->ram_bytes, chunk_cost(chunk));
    return BRIM_OK;
}

static void pop(struct brim_slots *slots)
{
    struct brim_chunk *chunk = slots->items[--slots->end].chunk;

    atomic_fetch_sub(&slots->ram_bytes, chunk_cost(chunk));
    brim_chunk_unref(chunk);
}

enum brim_err brim_slots_reserve(struct brim_slots *slots, const struct brim_slots_want *want,
                                 size_t *count_out)
{
    size_t pushed = 0, room = 0, with_room;

    INVARIANT(want->chunk_max > 0);
    *count_out = 0;
    if (!brim_slots_is_empty(slots)) {
        const struct brim_slot *tail = &slots->items[slots->end - 1];

        room = brim_chunk_capacity(tail->chunk) - tail->len;
    }
    with_room = room > 0;
    while (room < want->len) {
        if (push(slots, want) != BRIM_OK) {
            for (; pushed > 0; pushed--)
                pop(slots);
            return BRIM_ENOMEM;
        }
        room += brim_chunk_capacity(slots->items[slots->end - 1].chunk);
        pushed++;
    }
    *count_out = with_room + pushed;
    return BRIM_OK;
}

static size_t room_for(const struct brim_slot *slot, size_t len)
{
    size_t room = brim_chunk_capacity(slot->chunk) - slot->len;

    return room < len ? room : len;
}

void brim_slots_copy(struct brim_slots *slots, size_t count, const void *bytes, size_t len)
{
    const struct brim_slot *slot = &slots->items[slots->end - count];
    const uint8_t *from = bytes;

    for (; len > 0; slot++) {
        size_t n = room_for(slot, len);

        memcpy(brim_chunk_data(slot->chunk) + slot->len, from, n);
        from += n;
        len -= n;
    }
}

void brim_slots_publish(struct brim_slots *slots, size_t count, size_t len)
{
    for (struct brim_slot *slot = &slots->items[slots->end - count]; len > 0; slot++) {
        size_t n = room_for(slot, len);

        slot->len += n;
        len -= n;
    }
}

struct brim_chunk *brim_slots_drop(struct brim_slots *slots, uint64_t upto,
                                   enum brim_slots_tail tail)
{
    size_t stop = slots->end;
    struct brim_chunk *list = NULL;

    if (tail == BRIM_SLOTS_KEEP_TAIL) {
        while (stop > slots->first && slots->items[stop - 1].len == 0)
            stop--;
        stop -= stop > slots->first;
    }
    while (slots->first < stop) {
        struct brim_slot *slot = &slots->items[slots->first];

        if (slot->start + slot->len > upto)
            break;
        atomic_fetch_sub(&slots->ram_bytes, chunk_cost(slot->chunk));
        brim_chunk_link(slot->chunk, &list);
        slot->chunk = NULL;
        slots->first++;
    }
    return list;
}

struct brim_chunk *brim_slots_trim(struct brim_slots *slots)
{
    struct brim_slot *tail;
    struct brim_chunk *old, *exact;

    if (brim_slots_is_empty(slots))
        return NULL;
    tail = &slots->items[slots->end - 1];
    old = tail->chunk;
    if (brim_chunk_capacity(old) - tail->len <= brim_chunk_capacity(old) / 8)
        return NULL;
    exact = brim_chunk_new(tail->len);
    if (exact == NULL)
        return NULL;
    memcpy(brim_chunk_data(exact), brim_chunk_data(old), tail->len);
    tail->chunk = exact;
    atomic_fetch_sub(&slots->ram_bytes, chunk_cost(old) - chunk_cost(exact));
    return old;
}

/* ---- finding ---- */

static const struct brim_slot *slot_at(const struct brim_slots *slots, uint64_t offset)
{
    size_t low = slots->first, high = slots->end;

    INVARIANT(low < high);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (slots->items[middle].start <= offset)
            low = middle;
        else
            high = middle;
    }
    INVARIANT(offset - slots->items[low].start < slots->items[low].len);
    return &slots->items[low];
}

struct brim_str brim_slots_get(const struct brim_slots *slots, uint64_t offset,
                               struct brim_chunk **chunk_out)
{
    const struct brim_slot *slot = slot_at(slots, offset);
    size_t skip = (size_t)(offset - slot->start);

    brim_chunk_ref(slot->chunk);
    *chunk_out = slot->chunk;
    return brim_str((const char *)brim_chunk_data(slot->chunk) + skip, slot->len - skip);
}

size_t brim_slots_aligned(const struct brim_slots *slots, uint64_t from, size_t size)
{
    const struct brim_slot *stop = slots->items + slots->end;
    size_t aligned = 0;

    for (const struct brim_slot *slot = slot_at(slots, from); slot < stop; slot++) {
        if (slot->start + slot->len - from > size)
            break;
        aligned = (size_t)(slot->start + slot->len - from);
    }
    return aligned;
}

struct brim_chunk *brim_slots_gather(const struct brim_slots *slots, uint64_t from, size_t size)
{
    const struct brim_slot *slot = slot_at(slots, from);
    struct brim_chunk *chunk;
    size_t done = 0;

    if (slot->start == from && slot->len == size) {
        brim_chunk_ref(slot->chunk);
        return slot->chunk;
    }
    chunk = brim_chunk_new(size);
    for (; chunk != NULL && done < size; slot++) {
        size_t skip = (size_t)(from + done - slot->start);
        size_t n = slot->len - skip < size - done ? slot->len - skip : size - done;

        memcpy(brim_chunk_data(chunk) + done, brim_chunk_data(slot->chunk) + skip, n);
        done += n;
    }
    return chunk;
}
