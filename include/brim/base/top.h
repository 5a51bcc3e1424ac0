/* SPDX-License-Identifier: MIT */
/*
 * top - which URLs are asked for most, while somebody looks.
 *
 * A Space-Saving sketch a worker: so many counters, and a URL that has none takes the least one
 * over, with its count. What a URL is said to have is never too little, and too much by at most
 * `error`. Counting begins with the first look and ends a minute after the last; older counts fade.
 * URLs are shown without their query, which may hold what is nobody's business.
 */
#ifndef BRIM_BASE_TOP_H
#define BRIM_BASE_TOP_H

#include <stdint.h>

#include "brim/base/str.h"

struct brim_top; /* opaque */

#define BRIM_TOP_TEXT_BYTES 160u
#define BRIM_TOP_ENTRIES    128u /* counters of a worker */

struct brim_top_entry {
    uint64_t hash;
    uint64_t count;
    uint64_t error;
    char text[BRIM_TOP_TEXT_BYTES]; /* host and path, NUL-terminated, cut */
};

/* Owns: the caller closes. Thread: init. */
struct brim_top *brim_top_open(size_t workers);
void brim_top_close(struct brim_top *top);

/* Counts one request; does nothing while nobody looks. Thread: that worker. */
void brim_top_count(struct brim_top *top, size_t worker, struct brim_str host,
                    struct brim_str target);

/* Looks: copies the first of all workers together, most first; returns how many. Thread: any. */
size_t brim_top_read(struct brim_top *top, struct brim_top_entry *entries_out, size_t max);

/* Lets counts fade and counting end. Thread: any, now and then. */
void brim_top_tick(struct brim_top *top);

#endif
