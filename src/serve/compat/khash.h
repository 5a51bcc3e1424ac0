/* SPDX-License-Identifier: MIT */
/*
 * khash - stands in for the header of that name, which h2o/http2_internal.h includes but which the
 * library's -dev package does not install.
 *
 * Declares what that header needs to compile, and how the map of streams lies in memory (khash of
 * klib 0.2.6 and later), so that the guard can walk it; see guard_h2_streams.c. Looking anything up
 * through these macros finds nothing, so do not.
 */
#ifndef BRIM_SRC_KHASH_H
#define BRIM_SRC_KHASH_H

#include <stdint.h>

typedef uint32_t khiter_t; /* the name that http2_internal.h uses */

#define KHASH_MAP_INIT_INT64(name, type)                                                           \
    struct kh_##name##_map {                                                                       \
        uint32_t buckets;                                                                          \
        uint32_t size;                                                                             \
        uint32_t occupied; /* and deleted ones */                                                  \
        uint32_t upper_bound;                                                                      \
        uint32_t *flags; /* two bits a bucket; both 0: there is something in it */                 \
        uint64_t *keys;                                                                            \
        type *values;                                                                              \
    };
#define khash_t(name)          struct kh_##name##_map
#define kh_get(name, map, key) ((void)(map), (void)(key), (khiter_t)0)
#define kh_end(map)            ((void)(map), (khiter_t)0)
#define kh_val(map, iter)      ((void)(map), (void)(iter), NULL)

#endif
