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

#include <stddef.h>

#define BRIM_SCRIPT_ARENA_SIZES 32 /* of 16 bytes: up to 512 */

struct brim_script_arena { /* zeroed: nothing is taken yet; all private */
    char *base;
    size_t taken;
    void *free[BRIM_SCRIPT_ARENA_SIZES];
};

/* Like realloc, told the old size; memory may be NULL, new_bytes is not 0. NULL: none left. */
void *brim_script_arena_resize(struct brim_script_arena *arena, void *memory, size_t old_bytes,
                               size_t new_bytes);
/* Accepts NULL. */
void brim_script_arena_free(struct brim_script_arena *arena, void *memory, size_t bytes);
/* Everything has been freed. */
void brim_script_arena_fini(struct brim_script_arena *arena);

#endif
