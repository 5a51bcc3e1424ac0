/* SPDX-License-Identifier: MIT */
/*
 * disk - the disk tier: index (LMDB) and segments behind one interface.
 *
 * Writing is bytes first, then index; what the index does not name does not exist. The quota is
 * enforced before a write. Any fault here degrades: a write that cannot be done is refused and
 * counted, a read that fails its checks drops the record and says BRIM_ECORRUPT.
 */
#ifndef BRIM_CACHE_DISK_H
#define BRIM_CACHE_DISK_H

#include "brim/base/pool.h"
#include "brim/cache/object.h"
#include "brim/cache/purge.h"

struct brim_disk; /* opaque */
struct brim_segments_use;

struct brim_disk_config {
    const char *path;              /* directory, made if missing */
    uint64_t bytes_max;            /* quota: segments and index together */
    uint64_t segment_bytes;        /* lowered so that at least 8 segments fit */
    uint64_t object_bytes_max;     /* of the largest body that is stored */
    unsigned write_queue_max;      /* objects waiting to be written; more are refused */
    struct brim_pool *pool;        /* borrowed */
    struct brim_ledger *ledger;    /* borrowed, or NULL: what bodies are held on (body.h) */
    uint64_t (*now_mono_ms)(void); /* NULL: the clock; tests give their own */
};

/*
 * Opens or makes the cache directory in O(1) (no scan), takes its lock.
 *
 * Errors: BRIM_EBUSY another process has it; BRIM_EVERSION the directory is of an unknown format;
 *         BRIM_EIO, BRIM_ENOSPC, BRIM_EINVAL (not a directory, not writable, quota too small):
 *         each logged here with what to do.
 * Thread: init.
 */
BRIM_MUST_USE enum brim_err brim_disk_open(const struct brim_disk_config *config,
                                           struct brim_disk **disk_out);

/*
 * Writes out what is queued, syncs, and lets another process have the directory. What is stored
 * goes on being read; writes, drops and epochs from now on are refused. Once.
 * Thread: any but a loop and the pool.
 */
void brim_disk_release(struct brim_disk *disk);

/* Writes out what is queued, syncs, closes. Thread: init (after loops and pool users). */
void brim_disk_close(struct brim_disk *disk);

/* Calls fn for every purge epoch that the index keeps. Errors: not all of them could be read,
 * logged here. Thread: init. */
BRIM_MUST_USE enum brim_err
brim_disk_each_epoch(struct brim_disk *disk,
                     void (*fn)(const struct brim_purge_epoch *epoch, void *ctx), void *ctx);

/* Makes epochs durable (committed and synced when it returns). Thread: any but a loop. */
BRIM_MUST_USE enum brim_err
brim_disk_put_epochs(struct brim_disk *disk, const struct brim_purge_epoch *epochs, size_t count);

/*
 * Looks up where the object under key is: an index lookup that never touches a segment.
 * ENOENT: not there, or a change of it is under way and it cannot be read yet. BRIM_OK:
 * *locator_out is filled. Thread: any, also a loop.
 */
struct brim_locator {
    struct brim_digest digest;
    struct brim_extent meta; /* length: whole payload of the first extent: metadata + body part */
    uint64_t record_id;      /* private: tells whether the index still says the same */
};
BRIM_MUST_USE enum brim_err brim_disk_locate(struct brim_disk *disk, struct brim_digest digest,
                                             struct brim_locator *locator_out);

/* Whether it is found there still. Thread: any, also a loop. */
bool brim_disk_is_current(struct brim_disk *disk, const struct brim_locator *locator);

/* As brim_index_walk(). Thread: any but a loop. */
size_t brim_disk_walk(struct brim_disk *disk, const struct brim_digest *after,
                      struct brim_digest *digests_out, size_t max);

/*
 * Reads, verifies and decodes the object at locator. nowait: only if no disk access is needed
 * (RWF_NOWAIT), else BRIM_EAGAIN: call again on a pool thread with nowait false.
 * Small objects (one extent) come with their body in RAM; larger with a body on disk.
 * Errors: BRIM_ENOENT (retired meanwhile), BRIM_ECORRUPT (record dropped, counted), BRIM_EIO,
 * BRIM_ENOMEM. Thread: any.
 */
enum brim_disk_wait { BRIM_DISK_NOWAIT, BRIM_DISK_WAIT };
BRIM_MUST_USE enum brim_err brim_disk_load(struct brim_disk *disk,
                                           const struct brim_locator *locator,
                                           enum brim_disk_wait wait,
                                           struct brim_object **object_out);

/* Reads and verifies one body extent into a new chunk (one count). Same errors. Thread: any. */
BRIM_MUST_USE enum brim_err brim_disk_read(struct brim_disk *disk, const struct brim_extent *extent,
                                           enum brim_disk_wait wait, struct brim_chunk **chunk_out);

/*
 * Queues object (complete KEEP body, or Vary marker) to be written behind; takes a count until it
 * is done. What stood under its key is not found from here on; an earlier put that is still being
 * written does not come back. Refusals (queue full, no room, fault) are counted, and the object
 * just is not on disk.
 * Thread: any, never waits.
 */
void brim_disk_put(struct brim_disk *disk, struct brim_object *object);

/*
 * Writes one piece of a spilled body now. Errors: BRIM_ENOSPC no room within the quota or on the
 * device; BRIM_EIO. Thread: pool.
 */
BRIM_MUST_USE enum brim_err brim_disk_append(struct brim_disk *disk, struct brim_digest digest,
                                             const void *bytes, size_t len,
                                             struct brim_extent *extent_out);

/* Removes what is under digest or on its way there (not the bytes): it is not found from here on.
 * Thread: any, never waits. */
void brim_disk_drop(struct brim_disk *disk, struct brim_digest digest);

/* Whether something is under digest, or on its way there. Thread: any, also a loop. */
bool brim_disk_has(struct brim_disk *disk, struct brim_digest digest);

/* Whether object, which RAM has and the disk had or was to have, is not there: its segment was
 * retired, or it was refused. Says so once until one more segment is retired: whoever hears it may
 * put the object again, and a disk that takes nothing is left alone. Thread: any, also a loop. */
bool brim_disk_has_lost(struct brim_disk *disk, struct brim_object *object);

/* Whether body stays, as far as it stands on disk: false where a segment of it is being retired, or
 * was. Who begins to read then might not come to the end. Thread: any, wait-free. */
bool brim_disk_holds(const struct brim_disk *disk, const struct brim_body *body);

/* Until end_use, what stands in the segments of kept can be read to its end though they are retired
 * meanwhile (cache/segment.h). use and kept are borrowed. Thread: any. */
void brim_disk_begin_use(struct brim_disk *disk, struct brim_segments_use *use,
                         const struct brim_segment_set *kept);
/* Errors: BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_disk_widen_use(struct brim_disk *disk,
                                                struct brim_segment_set *kept,
                                                struct brim_extent extent);
void brim_disk_end_use(struct brim_disk *disk, struct brim_segments_use *use);

/* Counts a use of the object for second chances at retirement. Thread: any, wait-free. */
void brim_disk_touch(struct brim_disk *disk, struct brim_digest digest);

/* Waits until everything queued so far is written and committed. For tests and shutdown. */
void brim_disk_flush(struct brim_disk *disk);

#endif
