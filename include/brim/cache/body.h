/* SPDX-License-Identifier: MIT */
/*
 * body - the bytes of one representation: growing, complete or failed; in RAM, on disk or both.
 *
 * One type serves a hit from RAM, a large object on disk, a fill that a crowd is reading while it
 * arrives, and a pass-through of any size; readers (cache/reader.h) see no difference.
 *
 * Bytes live in chunks (RAM, counted, never changed below their length) and extents (disk).
 * Three ways of keeping:
 *   KEEP   all chunks stay in RAM until the body is freed (objects for the hot tier);
 *   SPILL  chunks are handed to the segment writer and dropped once they are on disk;
 *   WINDOW chunks are dropped once the slowest reader has passed them (not stored; the writer is
 *          told to pause while more than the window is unread).
 * The writer is one thread (a fetcher); readers are any. State only moves GROWING -> COMPLETE or
 * FAILED. A complete KEEP body is read without a lock.
 *
 * RAM that no store counts as its own is there for clients: it is on their ledger while it is. As
 * that fills up, WINDOW and SPILL are content with less.
 */
#ifndef BRIM_CACHE_BODY_H
#define BRIM_CACHE_BODY_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/ledger.h"
#include "brim/base/str.h"
#include "brim/base/watch.h"
#include "brim/cache/chunk.h"
#include "brim/cache/placed.h"

#define BRIM_BODY_LENGTH_UNKNOWN UINT64_MAX

/* Size of one extent's body part, hence of one verified disk read. */
#define BRIM_EXTENT_BODY_MAX (256u * 1024u)

struct brim_body;        /* opaque, counted */
struct brim_body_reader; /* opaque: a registered position, see brim_body_attach */

enum brim_body_state { BRIM_BODY_GROWING, BRIM_BODY_COMPLETE, BRIM_BODY_FAILED };
enum brim_body_mode { BRIM_BODY_KEEP, BRIM_BODY_SPILL, BRIM_BODY_WINDOW };

/* What the writer's side wants to know. Called on any thread, no lock held, never two at a time for
 * one body. drained may come before the append that said BRIM_EAGAIN has returned. */
struct brim_body_hooks {
    /* WINDOW and SPILL: after BRIM_EAGAIN, unread or unwritten bytes fell below half of the window.
     */
    void (*drained)(void *ctx);
    /* WINDOW and growing: the last reader has left, or the body became WINDOW in the middle with
     * nobody reading. Who is about to attach is the owner's knowledge, so this is news and not an
     * order; but without readers nothing drains, so an owner that expects none must stop. */
    void (*abandoned)(void *ctx);
    void *ctx;
};

/* A growing KEEP body. length: expected bytes or BRIM_BODY_LENGTH_UNKNOWN. One count for the
 * caller. NULL: out of memory. Thread: any. */
struct brim_body *brim_body_new(uint64_t length);

/* A complete KEEP body holding a copy of bytes. */
struct brim_body *brim_body_from(const void *bytes, size_t len);

/* A complete body that is only on disk; extents are copied. */
struct brim_body *brim_body_on_disk(const struct brim_extent *extents, size_t count);

/* Where RAM is entered that no store keeps, instead of where it was; once a store has kept it, in
 * the whole of which this may be a share. Borrowed for the body's life; nobody else sees it yet. */
void brim_body_set_ledger(struct brim_body *body, struct brim_ledger *ledger);

void brim_body_ref(struct brim_body *body);
void brim_body_unref(struct brim_body *body);

/* ---- writer's side (one thread) ---- */

/* Appends a copy and wakes readers. Returns BRIM_EAGAIN with everything taken when the window is
 * full: pause until hooks.drained. BRIM_ENOMEM: nothing taken. */
BRIM_MUST_USE enum brim_err brim_body_append(struct brim_body *body, const void *bytes, size_t len);

/* Moves a growing KEEP body to SPILL or WINDOW with this window in bytes. Once. */
void brim_body_set_mode(struct brim_body *body, enum brim_body_mode mode, size_t window_bytes);

/* Sets or, with NULL, takes away the hooks. When it returns no call to the old ones is running or
 * will come, except that a hook may call this from inside itself. Waits for a running hook: hold no
 * lock that a hook takes. Thread: any. */
void brim_body_set_hooks(struct brim_body *body, const struct brim_body_hooks *hooks);

/* Sets COMPLETE (length becomes what was appended) or FAILED, wakes readers. After it no hook is
 * called again once brim_body_set_hooks(body, NULL) has returned. */
void brim_body_finish(struct brim_body *body);
void brim_body_fail(struct brim_body *body, enum brim_err why);

/* So many unwritten bytes, or half of a window that is smaller, SPILL holds in any case. */
#define BRIM_BODY_SPILL_ROOM ((size_t)128 * 1024)

/* SPILL: takes up to max bytes that are not on disk yet, as one counted chunk (copied together if
 * need be). ENOENT if less than min bytes wait (min 1 at the end), or the body is not SPILL (any
 * more). ENOMEM. min is at most what SPILL holds in any case. Thread: any, one at a time. */
BRIM_MUST_USE enum brim_err brim_body_spill_take(struct brim_body *body, size_t min, size_t max,
                                                 struct brim_chunk **chunk_out, size_t *len_out);
/* The bytes last taken are on disk at extent; drops their chunks. Errors: BRIM_ECLOSED abandoned
 * meanwhile; BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_body_spill_done(struct brim_body *body,
                                                 const struct brim_extent *extent);
/* SPILL: the disk takes no more. What is on disk stays readable there; the rest is kept as in
 * WINDOW mode, so whoever reads now gets everything. Forgets what was taken and not done. Nothing
 * where the body is not SPILL, or all on disk. Thread: as spill_take. */
void brim_body_spill_abandon(struct brim_body *body);

/* What is there for those who read a body that is not settled: end(ctx) is called when it is
 * settled and they are through, or with the body's last count. Once, on any thread, no lock held.
 */
struct brim_body_hold {
    void (*end)(void *ctx);
    void *ctx;
};
/* A body has one at most. Thread: the writer. */
void brim_body_set_hold(struct brim_body *body, const struct brim_body_hold *hold);

/* ---- facts (any thread) ---- */
enum brim_body_state brim_body_state(const struct brim_body *body);
enum brim_body_mode brim_body_mode(const struct brim_body *body);
enum brim_err brim_body_why(const struct brim_body *body); /* reason given to fail */
uint64_t brim_body_bytes(const struct brim_body *body);    /* appended so far */
uint64_t brim_body_length(const struct brim_body *body);   /* expected, or UNKNOWN */
size_t brim_body_ram_bytes(const struct brim_body *body);
/* A store counts these bytes as its own, or does so no longer. Thread: any. */
void brim_body_keep(struct brim_body *body);
void brim_body_let_go(struct brim_body *body);
struct brim_ledger *brim_body_ledger(const struct brim_body *body); /* NULL: none */
/* One reader's share of what the body has on its ledger. */
size_t brim_body_share_bytes(struct brim_body *body);
/* Readers attached to a growing, spilling or passing body now. */
unsigned brim_body_readers(struct brim_body *body);
/* Whether all bytes can be read again at any time: complete and all in RAM or all on disk. */
bool brim_body_is_settled(const struct brim_body *body);
struct brim_watch *brim_body_watch(struct brim_body *body); /* fires on every progress */

/* Copies the list of extents; count in *count_out. Caller frees. NULL if none. */
struct brim_extent *brim_body_extents(struct brim_body *body, size_t *count_out);
/* The segments that a settled body stands in; empty: none, or it is not settled. Borrowed from the
 * body, and does not change any more. Thread: any. */
const struct brim_segment_set *brim_body_segments(const struct brim_body *body);

/* ---- reader's side: used by cache/reader only ---- */

enum brim_body_get { BRIM_GET_RAM, BRIM_GET_DISK, BRIM_GET_WAIT, BRIM_GET_END, BRIM_GET_FAILED };

/* Registers a reader at offset (WINDOW bodies keep what the slowest registered reader has not
 * passed). NULL when offset is already gone. Thread: any. */
struct brim_body_reader *brim_body_attach(struct brim_body *body, uint64_t offset);
void brim_body_detach(struct brim_body *body, struct brim_body_reader *reader);

/* What stands at offset. RAM: *chunk_out is counted for the caller, *bytes_out points into it.
 * DISK: *extent_out and *skip_out (bytes of that extent before offset). */
struct brim_body_piece {
    struct brim_chunk *chunk;
    struct brim_str bytes;
    struct brim_extent extent;
    uint32_t skip;
};
enum brim_body_get brim_body_get(struct brim_body *body, uint64_t offset,
                                 struct brim_body_piece *piece_out);

/* The reader has passed everything before offset. */
void brim_body_advance(struct brim_body *body, struct brim_body_reader *reader, uint64_t offset);

#endif
