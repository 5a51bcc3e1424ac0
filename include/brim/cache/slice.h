/* SPDX-License-Identifier: MIT */
/*
 * slice - a large resource that is kept in parts: what a 206 says about itself, and under which
 * keys its parts stand. Pure.
 *
 * Under `URL#` stands the head: an object without body bytes whose Content-Range tells the length
 * of the whole. Under `URL#VERSION:N` stands slice N, or a run of bytes within it, of one version
 * of the resource: parts of two versions can never meet. '#' is in no URL's key text.
 */
#ifndef BRIM_CACHE_SLICE_H
#define BRIM_CACHE_SLICE_H

#include "brim/cache/object.h"

/* No body has more bytes: where slices end can be said in 64 bits. */
#define BRIM_PART_TOTAL_MAX ((uint64_t)INT64_MAX)

/* What a 206 brings. */
struct brim_part {
    uint64_t first;
    uint64_t last; /* inclusive */
    uint64_t total;
    /* Digest of the strong validator and the total; 0: there is none, so that the part may not be
     * combined with others (RFC 9110 15.3.7.3). */
    uint64_t version;
};

/*
 * Reads the fields of a 206 with one range. False: no such Content-Range, a total that is not told
 * or beyond BRIM_PART_TOTAL_MAX, or multipart/byteranges. Spec: RFC 9110 14.4, 8.8.1. Thread: any.
 */
bool brim_part_read(struct brim_fields response, int64_t date_wall_s, struct brim_part *part_out);

/* The same of a stored one. */
bool brim_part_of(const struct brim_object *object, struct brim_part *part_out);

#define BRIM_SLICE_TEXT_ROOM 48u /* that a key text grows by */

/* Write the key text of the head, and of slice n of a version, of the URL with this key text.
 * buffer has room for url.len + BRIM_SLICE_TEXT_ROOM; the key borrows it. */
struct brim_key brim_slice_head_key(struct brim_str url, char *buffer);
struct brim_key brim_slice_part_key(struct brim_str url, const struct brim_part *version,
                                    uint64_t n, char *buffer);

#endif
