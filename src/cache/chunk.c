/* SPDX-License-Identifier: MIT */
#include "brim/cache/chunk.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "brim/base/invariant.h"

struct brim_chunk {
    _Atomic unsigned refs;
    struct brim_chunk *next; /* on a list of brim_chunk_link() */
    size_t capacity;
    uint8_t data[];
};
static_assert(sizeof(struct brim_chunk) <= BRIM_CHUNK_OVERHEAD, "what a chunk is charged");

struct brim_chunk *brim_chunk_new(size_t capacity)
{
    struct brim_chunk *chunk;

    if (capacity > SIZE_MAX - sizeof(*chunk))
        return NULL;
    chunk = malloc(sizeof(*chunk) + capacity);
    if (chunk == NULL)
        return NULL;
    atomic_init(&chunk->refs, 1);
    chunk->next = NULL;
    chunk->capacity = capacity;
    return chunk;
}

void brim_chunk_ref(struct brim_chunk *chunk)
{
    unsigned old = atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);

    INVARIANT(old > 0);
}

void brim_chunk_unref(struct brim_chunk *chunk)
{
    unsigned old = atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel);

    INVARIANT(old > 0);
    if (old == 1)
        free(chunk);
}

uint8_t *brim_chunk_data(struct brim_chunk *chunk)
{
    return chunk->data;
}

size_t brim_chunk_capacity(const struct brim_chunk *chunk)
{
    return chunk->capacity;
}

void brim_chunk_link(struct brim_chunk *chunk, struct brim_chunk **list)
{
    chunk->next = *list;
    *list = chunk;
}

void brim_chunk_unref_list(struct brim_chunk *list)
{
    while (list != NULL) {
        struct brim_chunk *next = list->next;

        list->next = NULL;
        brim_chunk_unref(list);
        list = next;
    }
}
