/* SPDX-License-Identifier: MIT */
/*
 * record - the rows of the index as bytes: what stands in its tables, and nothing else.
 *
 * Pure and without a library: index.c keeps them, tests and tools read them.
 *
 * Segments die strictly oldest first. That makes "does this record lean on a segment that is gone"
 * one comparison: every record says the lowest segment that it leans on.
 */
#ifndef BRIM_CACHE_RECORD_H
#define BRIM_CACHE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/hash.h"
#include "brim/cache/body.h"
#include "brim/cache/purge.h"

/* What the index knows of one object. */
struct brim_record {
    struct brim_extent meta; /* extent that describes the object; length is its whole payload */
    uint32_t oldest_segment; /* lowest segment in which any of its extents stands */
    uint32_t piece_count;    /* body extents beside `meta` */
    uint64_t body_bytes;
};

enum brim_segment_state {
    BRIM_SEGMENT_LIVE = 1,     /* named by records, perhaps still growing */
    BRIM_SEGMENT_RETIRING = 2, /* no record may name it any more; a walk takes the rest out */
};

struct brim_segment_row {
    uint32_t id;
    uint32_t state;    /* enum brim_segment_state */
    uint32_t capacity; /* bytes of the file */
    uint32_t tail;     /* everything that records name stands before it */
};

/* One row as it stands in a table. */
struct brim_row_bytes {
    uint8_t key[16];
    uint8_t value[40];
    size_t key_len;
    size_t value_len;
};

static inline bool brim_extent_is_at(struct brim_extent a, struct brim_extent b)
{
    return a.segment == b.segment && a.offset == b.offset;
}

/* Writes the key of objects. Thread: any. */
void brim_record_key(struct brim_digest digest, struct brim_row_bytes *row_out);

BRIM_MUST_USE enum brim_err brim_record_key_decode(struct brim_str key,
                                                   struct brim_digest *digest_out);

/* Writes a whole row. Thread: any. */
void brim_record_encode(struct brim_digest digest, const struct brim_record *record,
                        struct brim_row_bytes *row_out);
void brim_segment_row_encode(const struct brim_segment_row *segment,
                             struct brim_row_bytes *row_out);
/* Without the text of a pattern, which stands behind it. */
void brim_epoch_encode(const struct brim_purge_epoch *epoch, struct brim_row_bytes *row_out);

/* Reads a row. BRIM_ENOENT: not one that this version can read, as good as none. Thread: any. */
BRIM_MUST_USE enum brim_err brim_record_decode(struct brim_str value,
                                               struct brim_record *record_out);
BRIM_MUST_USE enum brim_err brim_segment_row_decode(struct brim_str key, struct brim_str value,
                                                    struct brim_segment_row *segment_out);
BRIM_MUST_USE enum brim_err brim_epoch_decode(struct brim_str key, struct brim_str value,
                                              struct brim_purge_epoch *epoch_out);

#endif
