/* SPDX-License-Identifier: MIT */
/*
 * hash - XXH3 behind two functions, so that the library stays in one file.
 *
 * Not keyed and not collision-proof against an attacker: whoever looks something up by a digest
 * compares the text behind it as well (see cache/object.h: url).
 */
#ifndef BRIM_BASE_HASH_H
#define BRIM_BASE_HASH_H

#include <stdint.h>

#include "brim/base/str.h"

/* A 128-bit digest. Compared with brim_digest_is. */
struct brim_digest {
    uint64_t hi;
    uint64_t lo;
};

static inline bool brim_digest_is(struct brim_digest a, struct brim_digest b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

/* XXH3-64 of bytes. Thread: any. */
uint64_t brim_hash64(const void *bytes, size_t len);

/* XXH3-128 of bytes. Thread: any. */
struct brim_digest brim_hash128(const void *bytes, size_t len);

#endif
