/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

#define UNIT        16u
#define ARENA_BYTES ((size_t)1024 * 1024)
#ifdef __SANITIZE_ADDRESS__
#define SMALL_MAX ((size_t)0) /* malloc's objects have red zones */
#else
#define SMALL_MAX ((size_t)BRIM_SCRIPT_ARENA_SIZES * UNIT)
#endif

static size_t size_of(size_t bytes)
{
    return (bytes - 1) / UNIT;
}

static bool is_ours(const struct brim_script_arena *arena, const void *memory)
{
    return arena->base != NULL && (uintptr_t)memory - (uintptr_t)arena->base < ARENA_BYTES;
}

static void *take(struct brim_script_arena *arena, size_t bytes)
{
    size_t size, rounded;
    void *memory;

    if (bytes > SMALL_MAX)
        return malloc(bytes);
    size = size_of(bytes);
    memory = arena->free[size];
    if (memory != NULL) {
        memcpy(&arena->free[size], memory, sizeof(void *));
        return memory;
    }
    rounded = (size + 1) * UNIT;
    if (arena->base == NULL)
        arena->base = malloc(ARENA_BYTES); /* pages come as they are touched */
    if (arena->base == NULL || arena->taken + rounded > ARENA_BYTES)
        return malloc(bytes);
    memory = arena->base + arena->taken;
    arena->taken += rounded;
    return memory;
}

void brim_script_arena_free(struct brim_script_arena *arena, void *memory, size_t bytes)
{
    if (!is_ours(arena, memory)) {
        free(memory);
        return;
    }
    INVARIANT(bytes > 0 && bytes <= SMALL_MAX);
    memcpy(memory, &arena->free[size_of(bytes)], sizeof(void *));
    arena->free[size_of(bytes)] = memory;
}

void *brim_script_arena_resize(struct brim_script_arena *arena, void *memory, size_t old_bytes,
                               size_t new_bytes)
{
    void *moved;

    if (memory == NULL)
        return take(arena, new_bytes);
    if (!is_ours(arena, memory))
        return realloc(memory, new_bytes);
    if (new_bytes <= SMALL_MAX && size_of(new_bytes) == size_of(old_bytes))
        return memory;
    moved = take(arena, new_bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, memory, old_bytes < new_bytes ? old_bytes : new_bytes);
    brim_script_arena_free(arena, memory, old_bytes);
    return moved;
}

void brim_script_arena_fini(struct brim_script_arena *arena)
{
    free(arena->base);
    *arena = (struct brim_script_arena){0};
}
