/* SPDX-License-Identifier: MIT */
/*
 * spill - carries a SPILL body to disk while it grows, and publishes its object once all of it is
 * there.
 *
 * One pool job at a time for each body. Whatever goes wrong (no room, device error, pool full), the
 * body turns to WINDOW mode and whoever reads it gets all of it; only storing has failed.
 */
#ifndef BRIM_CACHE_SPILL_H
#define BRIM_CACHE_SPILL_H

#include "brim/base/pool.h"
#include "brim/cache/disk.h"
#include "brim/cache/object.h"

struct brim_spill; /* opaque, counted inside */

struct brim_spill_config {
    struct brim_disk *disk; /* borrowed */
    struct brim_pool *pool; /* borrowed; closed before disk */
    struct brim_body *body; /* in SPILL mode; counted */
    struct brim_digest digest;
    size_t piece_bytes_min; /* at most half of the body's window */
    /* object, of a body that has ended: all of it is on disk, or it will never be. Pool or writer
     * thread, no lock held. */
    void (*ended)(struct brim_object *object, bool is_whole, void *ctx);
    void *ctx;
};

/* Called once, after ended(); fn may be NULL. */
struct brim_spill_end {
    void (*fn)(void *ctx);
    void *ctx;
};

/* Thread: the body's writer, for all of these. */
struct brim_spill *brim_spill_new(const struct brim_spill_config *config);

/* bytes more have been appended. */
void brim_spill_kick(struct brim_spill *spill, size_t bytes);

/* Whether the disk has refused; the body is in WINDOW mode then. */
bool brim_spill_has_failed(const struct brim_spill *spill);

/* The body is complete: writes the rest, then calls config.ended with object, then end, both
 * perhaps before this returns. Takes spill. */
void brim_spill_end(struct brim_spill *spill, struct brim_object *object,
                    struct brim_spill_end end);

/* Nothing more is written or published, and the body turns to WINDOW. Takes spill. */
void brim_spill_abandon(struct brim_spill *spill);

#endif
