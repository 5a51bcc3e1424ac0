/* SPDX-License-Identifier: MIT */
#include "brim/base/hash.h"

#include <xxhash.h>

#include "brim/base/invariant.h"

uint64_t brim_hash64(const void *bytes, size_t len)
{
    INVARIANT(bytes != NULL || len == 0);
    return XXH3_64bits(bytes, len);
}

struct brim_digest brim_hash128(const void *bytes, size_t len)
{
    INVARIANT(bytes != NULL || len == 0);

    XXH128_hash_t h = XXH3_128bits(bytes, len);

    return (struct brim_digest){.hi = h.high64, .lo = h.low64};
}
