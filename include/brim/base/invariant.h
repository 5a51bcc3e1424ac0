/* SPDX-License-Identifier: MIT */
/*
 * invariant - what holds if our own code is right; stays in release builds.
 *
 * Never applied to bytes from network, disk, config or Lua: those are errors.
 */
#ifndef BRIM_BASE_INVARIANT_H
#define BRIM_BASE_INVARIANT_H

#include <stddef.h>

/* Prints where and what to stderr and aborts. */
__attribute__((noreturn, cold)) void brim_invariant_failed(const char *file, int line,
                                                           const char *what);

#define INVARIANT(x)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(!(x), 0))                                                             \
            brim_invariant_failed(__FILE__, __LINE__, #x);                                         \
    } while (0)

/* Entry check for structs that travel as void * or across threads: they start with `magic`. */
#define OBJ_CHECK(p, m)                                                                            \
    do {                                                                                           \
        INVARIANT((p) != NULL);                                                                    \
        INVARIANT((p)->magic == (m));                                                              \
    } while (0)

/* Zeroed memory for small fixed sizes; aborts on exhaustion (house rule: not for sizes that a
 * peer influences). The caller owns it and frees it with free(). */
void *brim_alloc(size_t bytes) __attribute__((returns_nonnull, malloc));

/* Like strdup, aborts on exhaustion; NULL gives NULL. */
char *brim_strdup(const char *text);

/* The same with A to Z as a to z, as names of fields and hosts are kept. text is not NULL. */
char *brim_strdup_lower(const char *text);

#endif
