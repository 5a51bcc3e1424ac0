/* SPDX-License-Identifier: MIT */
/*
 * script_arena - memory for the small objects of one VM: one piece of address space, cut in sizes
 * of 16 bytes each, with a list of free ones per size.
 *
 * A handler's objects live for microseconds, and a general allocator spends as long on each as the
 * handler does. What is larger, or comes when the piece is used up, is malloc's: a script that
 * wants to waste the piece by filling it with one size only makes its own VM slower.
 */
#ifndef BRIM_POLICY_SCRIPT_ARENA_H
#define BRIM_POLICY_SCRIPT_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

#define BRIM_SCRIPT_ARENA_UNIT  ((size_t)16)
#define BRIM_SCRIPT_ARENA_SIZES 32 /* of a unit: up to 512 */
#define BRIM_SCRIPT_ARENA_BYTES ((size_t)1024 * 1024)

struct brim_script_arena { /* zeroed: nothing is taken yet; all private */
    char *base;
    size_t taken;
    void *free[BRIM_SCRIPT_ARENA_SIZES];
};

/* Memory for so many bytes, not 0. NULL: none left. */
void *brim_script_arena_take_new(struct brim_script_arena *arena, size_t bytes);
/* Like realloc, told the old size; memory may be NULL, new_bytes is not 0. NULL: none left. */
void *brim_script_arena_resize(struct brim_script_arena *arena, void *memory, size_t old_bytes,
                               size_t new_bytes);
/* Everything has been freed. */
void brim_script_arena_fini(struct brim_script_arena *arena);

static inline bool brim_script_arena_has(const struct brim_script_arena *arena, const void *memory)
{
    return arena->base != NULL &&
           (uintptr_t)memory - (uintptr_t)arena->base < BRIM_SCRIPT_ARENA_BYTES;
}

static inline size_t brim_script_arena_size(size_t bytes)
{
    return (bytes - 1) / BRIM_SCRIPT_ARENA_UNIT;
}

/* The two of every object, in the caller's code. */
static inline void *brim_script_arena_take(struct brim_script_arena *arena, size_t bytes)
{
    size_t size = brim_script_arena_size(bytes);
    void *memory = size < BRIM_SCRIPT_ARENA_SIZES ? arena->free[size] : NULL;

    if (memory == NULL)
        return brim_script_arena_take_new(arena, bytes);
    memcpy(&arena->free[size], memory, sizeof(void *));
    return memory;
}

/* Accepts NULL. */
static inline void brim_script_arena_free(struct brim_script_arena *arena, void *memory,
                                          size_t bytes)
{
    size_t size = brim_script_arena_size(bytes);

    if (!brim_script_arena_has(arena, memory)) {
        free(memory);
        return;
    }
    INVARIANT(size < BRIM_SCRIPT_ARENA_SIZES);
    memcpy(memory, &arena->free[size], sizeof(void *));
    arena->free[size] = memory;
}

#endif
