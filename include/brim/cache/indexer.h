/* SPDX-License-Identifier: MIT */
/*
 * indexer - the one thread that writes the index: takes changes from anybody, commits in batches.
 *
 * Changes are applied in the order in which they were queued, and lookups find them once they are
 * committed: by count, after 50 ms, or when somebody waits. It refuses to know what a record says.
 */
#ifndef BRIM_CACHE_INDEXER_H
#define BRIM_CACHE_INDEXER_H

#include "brim/cache/index.h"

struct brim_indexer; /* opaque */

/* What the keeper of the segments does for a commit. Called on the writer thread, no lock held. */
struct brim_indexer_hooks {
    /* Records are about to be committed: makes their bytes durable and returns the rows that must
     * commit with them (freed by the indexer). On failure the records are dropped. */
    enum brim_err (*prepare)(void *ctx, struct brim_segment_row **rows_out, size_t *count_out);
    /* These rows have been committed. */
    void (*committed)(void *ctx, const struct brim_segment_row *rows, size_t count);
    void *ctx;
};

/*
 * Starts the writer of index (borrowed). hooks is copied; NULL: none. queue_max: records that may
 * wait; more are refused. Errors: BRIM_EIO. Thread: init.
 */
BRIM_MUST_USE enum brim_err brim_indexer_open(struct brim_index *index,
                                              const struct brim_indexer_hooks *hooks,
                                              unsigned queue_max,
                                              struct brim_indexer **indexer_out);

/* Commits what is queued and how far segments were written, syncs, ends the thread: another process
 * may write from then on. Later changes are refused (BRIM_ECLOSED) or forgotten. Once, before
 * close. Thread: any but a loop. */
void brim_indexer_end(struct brim_indexer *indexer);

/* Commits what is queued, syncs, ends the thread. Accepts NULL. Thread: init. */
void brim_indexer_close(struct brim_indexer *indexer);

/* ---- queued; Thread: any ---- */

/* Stores record under digest. It is dropped if a segment it leans on is being retired by then.
 * Errors: BRIM_ELIMIT queue full; BRIM_ECLOSED ended; BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_indexer_put(struct brim_indexer *indexer,
                                             struct brim_digest digest,
                                             const struct brim_record *record);

/* Like put, but only where the record under digest still says `from`. */
BRIM_MUST_USE enum brim_err brim_indexer_move(struct brim_indexer *indexer,
                                              struct brim_digest digest, struct brim_extent from,
                                              const struct brim_record *record);

/* Removes the record under digest; _at: if it still says `from`; _leaning: if it leans on segment
 * or an older one. The first is in force when it returns: see brim_indexer_pending(). */
void brim_indexer_drop(struct brim_indexer *indexer, struct brim_digest digest);
void brim_indexer_drop_at(struct brim_indexer *indexer, struct brim_digest digest,
                          struct brim_extent from);
void brim_indexer_drop_leaning(struct brim_indexer *indexer, struct brim_digest digest,
                               uint32_t segment);

/* The latest put or drop of digest that is under way. Ask before the index: what is not under way
 * any more has been committed, or given up. */
enum brim_pending brim_indexer_pending(struct brim_indexer *indexer, struct brim_digest digest);

/* ---- committed when they return; Thread: any but a loop ---- */

/* From here on no record that leans on segment or an older one is stored. Faults are logged. */
void brim_indexer_retire(struct brim_indexer *indexer, uint32_t segment);

/* Forgets the row of segment; records that lean on anything below floor do not exist any more.
 * Synced, so that the file may go. Faults are logged: the row is then taken out at a later start.
 */
void brim_indexer_remove(struct brim_indexer *indexer, uint32_t segment, uint32_t floor);

/* Keeps epochs. Synced. Errors: BRIM_ECLOSED ended; those of a commit. */
BRIM_MUST_USE enum brim_err brim_indexer_put_epochs(struct brim_indexer *indexer,
                                                    const struct brim_purge_epoch *epochs,
                                                    size_t count);

/* Waits until everything queued so far is committed or dropped. */
void brim_indexer_flush(struct brim_indexer *indexer);

#endif
