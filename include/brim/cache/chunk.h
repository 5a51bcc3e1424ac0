/* SPDX-License-Identifier: MIT */
/*
 * chunk - a counted run of bytes in RAM, the unit that bodies, readers and the segment writer
 * share.
 *
 * Bytes are written once, by whoever made it, and are not changed while anybody else can see them.
 */
#ifndef BRIM_CACHE_CHUNK_H
#define BRIM_CACHE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

struct brim_chunk; /* opaque, counted */

/* Bytes that a chunk costs beside its capacity. */
#define BRIM_CHUNK_OVERHEAD 24u

/* A chunk with room for capacity bytes, one count. NULL: out of memory. Thread: any. */
struct brim_chunk *brim_chunk_new(size_t capacity);
void brim_chunk_ref(struct brim_chunk *chunk);
void brim_chunk_unref(struct brim_chunk *chunk);
uint8_t *brim_chunk_data(struct brim_chunk *chunk);
size_t brim_chunk_capacity(const struct brim_chunk *chunk);

/* Puts chunk, with its count, on a list of chunks to let go. One list at a time: only the party
 * whose table the chunk stood in does this. */
void brim_chunk_link(struct brim_chunk *chunk, struct brim_chunk **list);

/* Drops a count of each; outside of locks, as large chunks go back to the kernel. Accepts NULL. */
void brim_chunk_unref_list(struct brim_chunk *list);

#endif
