/* SPDX-License-Identifier: MIT */
/*
 * khash - stands in for the header of that name, which h2o/http2_internal.h includes but which the
 * library's -dev package does not install.
 *
 * Declares just enough for that header to compile: the guard reads fields of h2o's HTTP/2
 * connection, and of the map of streams among them only that it is a pointer. Looking anything up
 * through these macros finds nothing, so do not.
 */
#ifndef BRIM_SRC_KHASH_H
#define BRIM_SRC_KHASH_H

#include <stdint.h>

typedef uint32_t khiter_t; /* the name that http2_internal.h uses */

#define KHASH_MAP_INIT_INT64(name, type)                                                           \
    struct kh_##name##_stub;                                                                       \
    typedef type kh_##name##_value;
#define khash_t(name)          struct kh_##name##_stub
#define kh_get(name, map, key) ((void)(map), (void)(key), (khiter_t)0)
#define kh_end(map)            ((void)(map), (khiter_t)0)
#define kh_val(map, iter)      ((void)(map), (void)(iter), NULL)

#endif
