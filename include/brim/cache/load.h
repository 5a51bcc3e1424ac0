/* SPDX-License-Identifier: MIT */
/*
 * load - reads one object from the disk tier without ever waiting: at once where no disk access is
 * needed, else on the pool.
 */
#ifndef BRIM_CACHE_LOAD_H
#define BRIM_CACHE_LOAD_H

#include "brim/base/watch.h"
#include "brim/cache/disk.h"

struct brim_cache_load; /* opaque, counted inside: a read under way */

/* Where it is read, and who is told. */
struct brim_load_from {
    struct brim_disk *disk;
    struct brim_pool *pool;
    struct brim_port *port;     /* fired when a read ends; NULL: begin none */
    struct brim_ledger *ledger; /* of who reads; NULL: the whole of the body's */
};

/*
 * The object under locator->digest; *locator is where it stood. *load: NULL at first, then the
 * caller's to keep until it is fetched or forgotten; one that is under way for another digest is
 * forgotten.
 *
 * Errors: BRIM_EAGAIN call again when the port fires (or with a port); BRIM_ENOENT; those of
 * brim_disk_load(). Thread: loop.
 */
BRIM_MUST_USE enum brim_err brim_load_get(const struct brim_load_from *from,
                                          struct brim_locator *locator,
                                          struct brim_cache_load **load,
                                          struct brim_object **object_out);

/* Drops a read; if it is under way it ends by itself. Accepts a NULL in *load, leaves one there. */
void brim_load_forget(struct brim_cache_load **load);

#endif
