/* SPDX-License-Identifier: MIT */
/*
 * index - which object stands where on disk: small fixed records in one LMDB environment.
 *
 * Readers never wait for a writer. What the index does not name does not exist. It refuses to know
 * files, formats of bodies and what an object is: it maps digests to places, and keeps the rows of
 * segments and the epochs of purges beside them because they must commit together. Who queues and
 * batches changes is cache/indexer.
 */
#ifndef BRIM_CACHE_INDEX_H
#define BRIM_CACHE_INDEX_H

#include "brim/cache/record.h"

struct brim_index; /* opaque */

struct brim_index_config {
    const char *path;    /* directory, made if missing */
    uint64_t map_bytes;  /* size to begin with; a bound of the file's size at any time */
    uint64_t growth_max; /* most that one step of growth adds (the map doubles up to there) */
    /* May the index take up to bytes on disk? Once allowed, it is charged. NULL: always.
     * Called by the writer, no lock held. */
    bool (*may_grow)(void *ctx, uint64_t bytes);
    void *ctx;
};

enum brim_change_kind {
    BRIM_CHANGE_PUT,          /* record under digest, unless what it leans on is retired */
    BRIM_CHANGE_MOVE,         /* likewise, but only where the record still says `from` */
    BRIM_CHANGE_DROP,         /* the record under digest */
    BRIM_CHANGE_DROP_AT,      /* likewise, only if it still says `from` */
    BRIM_CHANGE_DROP_LEANING, /* likewise, only if it leans on segment or an older one */
    BRIM_CHANGE_RETIRE,       /* no record that leans on segment or an older one from here on */
    BRIM_CHANGE_REMOVE,       /* the row of segment; nothing that leans below floor exists now */
    BRIM_CHANGE_EPOCH,        /* keeps epoch; that of everything takes out those it covers */
    BRIM_CHANGE_TAILS,        /* nothing but the rows of the segments that were written to */
    BRIM_CHANGE_NONE,
};

/* What is under way for a digest. */
enum brim_pending { BRIM_PENDING_NONE, BRIM_PENDING_PUT, BRIM_PENDING_DROP };

struct brim_change {
    struct brim_change *next;
    enum brim_change_kind kind;
    struct brim_digest digest;
    struct brim_extent from;
    struct brim_record record;
    uint32_t segment;
    uint32_t floor;
    struct brim_purge_epoch epoch;
    struct brim_waiter *waiter;  /* cache/indexer's, like the others */
    enum brim_pending pending;   /* what it is until it is committed, whatever becomes of kind */
    struct brim_change *earlier; /* under way in the same place */
};

/* What commits together: rows and the changes from first up to (not with) end, in order. */
struct brim_index_batch {
    const struct brim_change *first;
    const struct brim_change *end;
    const struct brim_segment_row *rows;
    size_t row_count;
};

/*
 * Opens or makes the index.
 *
 * Errors: BRIM_EVERSION unknown format; BRIM_ECORRUPT no index, or a damaged one, or one that
 *         ended the process twice; BRIM_ENOSPC, BRIM_EIO, BRIM_ENOMEM: each logged here.
 * Limits: must not be carried over fork().
 * Thread: init.
 */
BRIM_MUST_USE enum brim_err brim_index_open(const struct brim_index_config *config,
                                            struct brim_index **index_out);
void brim_index_close(struct brim_index *index); /* accepts NULL; does not sync */

/* Bytes that the file can take at most as it is now. Thread: any. */
uint64_t brim_index_bytes(const struct brim_index *index);

/* Lowest segment number that was never used. Thread: init. */
uint32_t brim_index_next_segment(const struct brim_index *index);

/* Rows and epochs as they are committed. fn must not look anything up. Errors of epochs: not all of
 * them were read; BRIM_EIO, BRIM_ECORRUPT, BRIM_ENOMEM, logged here. Thread: init. */
void brim_index_each_segment(struct brim_index *index,
                             void (*fn)(const struct brim_segment_row *row, void *ctx), void *ctx);
BRIM_MUST_USE enum brim_err
brim_index_each_epoch(struct brim_index *index,
                      void (*fn)(const struct brim_purge_epoch *epoch, void *ctx), void *ctx);

/*
 * Looks digest up. Errors: BRIM_ENOENT no record, or one that leans on a dead segment;
 * BRIM_ECORRUPT, BRIM_ENOMEM, BRIM_EIO from LMDB, logged here. Thread: any, also a loop.
 */
BRIM_MUST_USE enum brim_err brim_index_find(struct brim_index *index, struct brim_digest digest,
                                            struct brim_record *record_out);

/* The digests of up to max records behind `after` (NULL: from the first), in the order of their
 * rows; how many, 0: no more, or LMDB failed, which is logged. Thread: any but a loop. */
size_t brim_index_walk(struct brim_index *index, const struct brim_digest *after,
                       struct brim_digest *digests_out, size_t max);

/*
 * Commits batch as one transaction, growing the map if need be; all of it or nothing.
 * Errors: BRIM_ENOSPC no room on the device or in the quota; BRIM_EIO, BRIM_ENOMEM. Logged here.
 * Thread: writer (one at a time).
 */
BRIM_MUST_USE enum brim_err brim_index_commit(struct brim_index *index,
                                              const struct brim_index_batch *batch);

/* The calling thread is the writer from here on and does nothing else (cache/damage). */
void brim_index_settle(struct brim_index *index);

/* Makes durable what was committed. Errors: BRIM_EIO, logged here. Thread: writer. */
BRIM_MUST_USE enum brim_err brim_index_sync(struct brim_index *index);

#endif
