/* SPDX-License-Identifier: MIT */
/*
 * transcode - a body read through a coder: without the content coding that it is kept in, or in
 * one.
 *
 * It stands between a reader and whoever wants the bytes, and gives out a piece at a time, so that
 * a body of any size needs one buffer. Refuses to know who that is.
 */
#ifndef BRIM_SERVE_TRANSCODE_H
#define BRIM_SERVE_TRANSCODE_H

#include "brim/cache/reader.h"
#include "brim/encode/coder.h"

struct brim_transcode; /* opaque */

/* What one takes: its buffer and an encoder; a decoder goes by its window and mostly takes less. */
#define BRIM_TRANSCODE_BYTES ((size_t)1088 * 1024)

/* Errors: BRIM_ENOMEM. Thread: any; one at a time uses it. */
BRIM_MUST_USE enum brim_err brim_transcode_open(const struct brim_coder_config *config,
                                                struct brim_transcode **transcode_out);
void brim_transcode_close(struct brim_transcode *transcode); /* accepts NULL */

/*
 * The next piece of what becomes of reader's bytes, valid until the following call; otherwise as
 * brim_reader_next(). DECODE: FAILED also where the bytes are not in the coding, or are a bomb; no
 * byte at all decodes to none.
 * ENCODE: what has come goes out before WAIT is said, so that nobody waits for more of it.
 */
enum brim_reader_got brim_transcode_next(struct brim_transcode *transcode,
                                         struct brim_reader *reader, struct brim_str *piece_out);

/* Bytes of the reader's that went in so far: what the work was. */
uint64_t brim_transcode_taken(const struct brim_transcode *transcode);

#endif
