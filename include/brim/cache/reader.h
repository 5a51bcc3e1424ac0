/* SPDX-License-Identifier: MIT */
/*
 * reader - one party reading a range of one body, in order, wherever the bytes are.
 *
 * next() hands out memory that stays valid until the following next() or fini(). When bytes are
 * not there yet (growing body, cold disk) it says WAIT, and fires the port when it is worth asking
 * again. Embedded in its owner's struct.
 */
#ifndef BRIM_CACHE_READER_H
#define BRIM_CACHE_READER_H

#include "brim/cache/body.h"
#include "brim/cache/load.h"
#include "brim/cache/segment.h"

enum brim_reader_got {
    BRIM_READER_DATA,   /* iov filled */
    BRIM_READER_WAIT,   /* port will fire */
    BRIM_READER_END,    /* the range is done */
    BRIM_READER_FAILED, /* truncated or unreadable: the receiver must be able to tell */
};

#define BRIM_READER_IOV_MAX 16

struct brim_reader_load; /* opaque: a disk read under way */

struct brim_reader { /* private: all of it */
    struct brim_body *body;
    struct brim_body_reader *place;
    struct brim_load_from from;
    struct brim_reader_load *load;
    uint64_t offset;
    uint64_t end;
    struct brim_chunk *held[BRIM_READER_IOV_MAX];
    unsigned held_count;
    bool watching;
    struct brim_chunk *read; /* the extent read last, for callers that take it in parts */
    struct brim_extent read_extent;
    size_t on_ledger; /* of its body: what it reads from disk */
    struct brim_segments_use use;
    bool is_using;
};

/*
 * Prepares reader for bytes [offset, offset + length) of body; length BRIM_BODY_LENGTH_UNKNOWN: to
 * the end. from: where bytes that are not in RAM are read, its disk NULL for a node without a disk
 * tier; its port also fires when a growing body has more. Counts body; all of from is borrowed (the
 * port is counted while something is under way).
 * Errors: BRIM_ENOENT the body no longer has these bytes; BRIM_ENOSPC it is on disk, and clients
 * hold all they may (base/ledger). Thread: loop.
 */
BRIM_MUST_USE enum brim_err brim_reader_init(struct brim_reader *reader, struct brim_body *body,
                                             uint64_t offset, uint64_t length,
                                             const struct brim_load_from *from);

/* Next bytes, at most max_bytes in at most BRIM_READER_IOV_MAX pieces, none of length 0. The port
 * may also fire when there is nothing new: once watching, a reader hears of all growth. FAILED
 * comes after everything that is there, and also where the body ends before the range does. */
enum brim_reader_got brim_reader_next(struct brim_reader *reader, size_t max_bytes,
                                      struct brim_str *iov_out, size_t *count_out);

/* Whether the next call to next() would say END without waiting. */
bool brim_reader_is_done(const struct brim_reader *reader);

/* RAM that is on the ledger for this reader: what it reads from disk, and its share of its body. */
size_t brim_reader_memory(const struct brim_reader *reader);

/* Lets everything go; a disk read under way ends by itself. Idempotent on a zeroed reader. */
void brim_reader_fini(struct brim_reader *reader);

#endif
