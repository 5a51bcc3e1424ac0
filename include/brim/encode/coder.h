/* SPDX-License-Identifier: MIT */
/*
 * coder - one stream through one codec: gzip (zlib), br (libbrotli) or zstd (libzstd), in either
 * direction.
 *
 * Input is taken and output given piece by piece, so that bodies of any size need little memory.
 * What is decoded is bounded: by bytes, and by how much more comes out than went in, so that no
 * origin can fill memory with a small answer. Refuses to know where bytes come from and go to.
 */
#ifndef BRIM_ENCODE_CODER_H
#define BRIM_ENCODE_CODER_H

#include "brim/encode/codec.h"

struct brim_coder; /* opaque */

/* Errors: BRIM_ENOMEM. Thread: any; one thread at a time uses a coder. */
BRIM_MUST_USE enum brim_err brim_coder_open(const struct brim_coder_config *config,
                                            struct brim_coder **coder_out);
void brim_coder_close(struct brim_coder *coder); /* accepts NULL */

/*
 * Takes from the front of the input and writes up to room bytes. Call it until nothing of the input
 * is left and less than room bytes were made; with END until it is done.
 * Errors: BRIM_ECORRUPT the input is not the coding, or ends in the middle; BRIM_ELIMIT decoding
 *         would give more than is allowed; BRIM_ENOMEM.
 */
BRIM_MUST_USE enum brim_err brim_coder_run(struct brim_coder *coder, struct brim_coder_step *step);

#endif
