/* SPDX-License-Identifier: MIT */
/*
 * extent - the header in front of every run of bytes in a segment.
 *
 * Pure: bytes in, facts out. It names where it stands, so that bytes that were left behind by an
 * earlier life of the file, or that were written to the wrong place, are not taken for others.
 */
#ifndef BRIM_CACHE_EXTENT_H
#define BRIM_CACHE_EXTENT_H

#include "brim/base/hash.h"
#include "brim/cache/body.h"

#define BRIM_EXTENT_HEAD_BYTES 64u
#define BRIM_EXTENT_ALIGN      64u

enum brim_extent_type {
    BRIM_EXTENT_OBJECT = 1, /* list of body extents, metadata, and the body if it is small */
    BRIM_EXTENT_PIECE = 2,  /* a piece of a body */
};

struct brim_extent_head {
    enum brim_extent_type type;
    struct brim_digest digest;
    struct brim_extent place; /* length: of the payload */
    uint32_t meta_len;        /* OBJECT: bytes of metadata, after the list */
    uint32_t piece_count;     /* OBJECT: entries of the list in front of the metadata */
    uint64_t payload_hash;
};

/* One entry of an OBJECT's list of body extents, in bytes. */
#define BRIM_EXTENT_ENTRY_BYTES 12u

/* Bytes that an extent with this payload takes in a segment. */
static inline uint64_t brim_extent_stride(uint64_t payload_len)
{
    return (BRIM_EXTENT_HEAD_BYTES + payload_len + BRIM_EXTENT_ALIGN - 1) &
           ~(uint64_t)(BRIM_EXTENT_ALIGN - 1);
}

/* Writes the header's BRIM_EXTENT_HEAD_BYTES. Thread: any. */
void brim_extent_head_encode(const struct brim_extent_head *head, uint8_t *bytes_out);

/* Reads a header. BRIM_ECORRUPT: not one, or damaged. The payload is the caller's to check. */
BRIM_MUST_USE enum brim_err brim_extent_head_decode(const uint8_t *bytes,
                                                    struct brim_extent_head *head_out);

/* The list of body extents: count entries of BRIM_EXTENT_ENTRY_BYTES. */
void brim_extent_list_encode(const struct brim_extent *extents, size_t count, uint8_t *bytes_out);
void brim_extent_list_decode(const uint8_t *bytes, size_t count, struct brim_extent *extents_out);

#endif
