/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_arena.h"

#ifdef __SANITIZE_ADDRESS__
#define SMALL_MAX ((size_t)0) /* malloc's objects have red zones */
#else
#define SMALL_MAX (BRIM_SCRIPT_ARENA_SIZES * BRIM_SCRIPT_ARENA_UNIT)
#endif

void *brim_script_arena_take_new(struct brim_script_arena *arena, size_t bytes)
{
    size_t rounded;
    char *memory;

    if (bytes > SMALL_MAX)
        return malloc(bytes);
    rounded = (brim_script_arena_size(bytes) + 1) * BRIM_SCRIPT_ARENA_UNIT;
    if (arena->base == NULL)
        arena->base = malloc(BRIM_SCRIPT_ARENA_BYTES); /* pages come as they are touched */
    if (arena->base == NULL || arena->taken + rounded > BRIM_SCRIPT_ARENA_BYTES)
        return malloc(bytes);
    memory = arena->base + arena->taken;
    arena->taken += rounded;
    return memory;
}

void *brim_script_arena_resize(struct brim_script_arena *arena, void *memory, size_t old_bytes,
                               size_t new_bytes)
{
    void *moved;

    if (memory == NULL)
        return brim_script_arena_take(arena, new_bytes);
    if (!brim_script_arena_has(arena, memory))
        return realloc(memory, new_bytes);
    INVARIANT(old_bytes > 0 && old_bytes <= SMALL_MAX);
    if (new_bytes <= SMALL_MAX &&
        brim_script_arena_size(new_bytes) == brim_script_arena_size(old_bytes))
        return memory;
    moved = brim_script_arena_take(arena, new_bytes);
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
