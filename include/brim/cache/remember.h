/* SPDX-License-Identifier: MIT */
/*
 * remember - the keys of the hot tier, most used first, written to a file now and then, and what
 * they name read back into RAM after a start, behind everything else.
 *
 * It only ever makes a hit cheaper: what it reads is in the disk tier anyway, so a file that is
 * missing, damaged or of another cache costs nothing but that. It ends while there is room in RAM
 * for what requests bring. One thread of its own at low priority.
 */
#ifndef BRIM_CACHE_REMEMBER_H
#define BRIM_CACHE_REMEMBER_H

#include "brim/cache/disk.h"
#include "brim/cache/hot.h"
#include "brim/cache/purge.h"

#define BRIM_REMEMBER_FILE      "hot"
#define BRIM_REMEMBER_BYTES_MIN 64u /* of the file */

struct brim_remember; /* opaque */

struct brim_remember_config {
    const char *path;        /* directory of the cache */
    uint64_t interval_ms;    /* between two writes */
    uint64_t file_bytes_max; /* two files of that size are there at times */
    uint64_t hot_bytes_max;  /* reading ends where the hot tier holds so much */
    struct brim_hot *hot;    /* borrowed, all three */
    struct brim_disk *disk;
    struct brim_purge *purge;
    /* Puts what was read back into RAM, unless the record has changed since it was located. False:
     * it has. On the thread of remember. */
    bool (*promote)(const struct brim_locator *locator, struct brim_object *object, void *ctx);
    void *ctx;
};

/* Starts the thread, which first reads back. Errors: BRIM_EIO no thread, logged. Thread: init. */
BRIM_MUST_USE enum brim_err brim_remember_open(const struct brim_remember_config *config,
                                               struct brim_remember **remember_out);

/* Writes a last time (unless it has not read everything back: then the file is still the better
 * one) and ends the thread. Once. Accepts NULL. Thread: any but a loop. */
void brim_remember_end(struct brim_remember *remember);

/* Ends and frees. Accepts NULL. Thread: init. */
void brim_remember_close(struct brim_remember *remember);

/* Waits until it has read back what there is. For tests. */
void brim_remember_wait(struct brim_remember *remember);

#endif
