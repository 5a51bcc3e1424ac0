/* SPDX-License-Identifier: MIT */
/*
 * segment - the files that hold bodies: append-only, of fixed size, numbered without end; and the
 * account of what the cache takes on disk.
 *
 * Main invariant: files (those included that are unlinked but still read) + the bound of the index
 * + a reserve never exceed the quota; a new file is accounted before it is made, and it gets all
 * its blocks at once. Files die oldest first.
 *
 * Refuses to know what an object is, and which extents are still wanted: see cache/retire.
 */
#ifndef BRIM_CACHE_SEGMENT_H
#define BRIM_CACHE_SEGMENT_H

#include "brim/cache/extent.h"
#include "brim/cache/index.h"
#include "brim/cache/segment_file.h"

struct brim_segments; /* opaque */

/* Bytes that a segment costs beside its own size: directory entry, the file system's block maps. */
#define BRIM_SEGMENT_OVERHEAD 8192u

struct brim_segments_config {
    const char *path;        /* directory, made if missing */
    uint64_t bytes_max;      /* the quota */
    uint64_t reserve_bytes;  /* not for segments: one step of the index, and slack_bytes */
    uint64_t slack_bytes;    /* what has no account of its own: small files, directories */
    uint64_t index_bytes;    /* what the index may take now */
    uint64_t kept_bytes;     /* of retired segments, for who reads them */
    uint32_t segment_bytes;  /* size of new files; a multiple of 4096 */
    unsigned files_open_max; /* files kept open, beside those in use */
    uint64_t (*now_mono_ms)(void);
    /* There is something to retire or to reap. Any thread, no lock held; must not block. */
    void (*pressure)(void *ctx);
    void *ctx;
};

/*
 * Takes over the files that the rows in index name; removes files that it does not name. One
 * directory listing, no look into a file.
 *
 * Errors: BRIM_EIO, logged here. Thread: init.
 */
BRIM_MUST_USE enum brim_err brim_segments_open(const struct brim_segments_config *config,
                                               struct brim_index *index,
                                               struct brim_segments **segments_out);
void brim_segments_close(struct brim_segments *segments); /* accepts NULL */

/* ---- extents ---- */

/* An extent to be written: bytes has BRIM_EXTENT_HEAD_BYTES of room in front of the payload. */
struct brim_extent_draft {
    uint8_t *bytes;
    size_t payload_len;
    enum brim_extent_type type;
    struct brim_digest digest;
    uint32_t meta_len;
    uint32_t piece_count;
};

/*
 * Writes draft at the head of the log, several callers side by side. No promise of durability: see
 * brim_segments_prepare. Errors: BRIM_ENOSPC no room in the quota or on the device, or larger than
 * a segment; BRIM_EIO. A fault is logged once, then writes are refused for a second at a time until
 * one succeeds. Thread: any but a loop.
 */
BRIM_MUST_USE enum brim_err brim_segments_append(struct brim_segments *segments,
                                                 const struct brim_extent_draft *draft,
                                                 struct brim_extent *extent_out);

/*
 * Reads and verifies the extent at `at` into payload (at.length bytes).
 * Errors: BRIM_ENOENT no such segment (any more); BRIM_ECORRUPT (*head_out is filled if the header
 * is right and only the payload is not); BRIM_EIO from the device;
 * BRIM_EAGAIN nowait, and it would wait. Thread: any; loop only with nowait.
 */
BRIM_MUST_USE enum brim_err brim_segments_read(struct brim_segments *segments,
                                               struct brim_extent at, enum brim_segments_wait wait,
                                               void *payload, struct brim_extent_head *head_out);

/* Whether an extent can stand at `at`: BRIM_ENOENT no such segment (any more), BRIM_ECORRUPT beyond
 * its end. To be asked before memory is taken for what a record says. Thread: any. */
BRIM_MUST_USE enum brim_err brim_segments_check(struct brim_segments *segments,
                                                struct brim_extent at);

/* Whether a segment of this number is there to stay, or will be; false, where it is being retired
 * or gone, is for good. Thread: any, wait-free. */
bool brim_segments_has(const struct brim_segments *segments, uint32_t segment);

/* The lowest of those that stay. Thread: any, wait-free. */
uint32_t brim_segments_lowest(const struct brim_segments *segments);

/* A body that is being read. Private. */
struct brim_segments_use {
    struct brim_segments_use *next;
    struct brim_segments_use *prev;
    const struct brim_segment_set *kept;
};

/* Until end_use, a segment of kept that is retired can be read on, as far as kept_bytes have room
 * for such. use and kept are borrowed meanwhile. Thread: any, also a loop. */
void brim_segments_begin_use(struct brim_segments *segments, struct brim_segments_use *use,
                             const struct brim_segment_set *kept);
/* Adds this one's segment to what a use that has begun keeps. Errors: BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_segments_widen_use(struct brim_segments *segments,
                                                    struct brim_segment_set *kept,
                                                    struct brim_extent extent);
void brim_segments_end_use(struct brim_segments *segments, struct brim_segments_use *use);

/* ---- for the index ---- */

/* Hooks of cache/indexer: makes durable what was appended and gives the rows that changed. */
enum brim_err brim_segments_prepare(void *segments, struct brim_segment_row **rows_out,
                                    size_t *count_out);
void brim_segments_committed(void *segments, const struct brim_segment_row *rows, size_t count);

/* Hook of cache/index: charges the index with bytes if the quota allows it. If not, room is made
 * and it may be asked again. */
bool brim_segments_may_grow(void *segments, uint64_t bytes);

/* ---- retirement: one thread ---- */

/* Closes files of removed segments that nobody reads any more; where room is wanted and those that
 * are read take too much, the oldest of them, too. */
void brim_segments_reap(struct brim_segments *segments);

/* Whether room is wanted and a segment can be retired for it. */
bool brim_segments_wants_retire(struct brim_segments *segments);

/* Picks the oldest segment, ends writing to it. Errors: BRIM_ENOENT nothing to retire. */
BRIM_MUST_USE enum brim_err brim_segments_retire(struct brim_segments *segments,
                                                 struct brim_segment_row *row_out);

/* Raw bytes of a segment, without any check. Errors: BRIM_ENOENT, BRIM_ECORRUPT beyond the end of
 * the file, BRIM_EIO. */
BRIM_MUST_USE enum brim_err brim_segments_peek(struct brim_segments *segments,
                                               struct brim_extent at, void *bytes);

/* The segment is not to be committed any more, nor read, but for those who have said that they do
 * (begin_use); returns the lowest that is left. */
uint32_t brim_segments_bury(struct brim_segments *segments, uint32_t segment);

/* Unlinks its file. The room is free when the last reader is gone. */
void brim_segments_remove(struct brim_segments *segments, uint32_t segment);

/* Segments whose row is there but whose file is not; takes them out one by one. ENOENT: none. */
BRIM_MUST_USE enum brim_err brim_segments_take_missing(struct brim_segments *segments,
                                                       uint32_t *segment_out);

/* Segments that the account has now, those included that wait for their readers. Thread: any. */
unsigned brim_segments_count(struct brim_segments *segments);

#endif
