/* SPDX-License-Identifier: MIT */
/*
 * delta - a body as the difference from a dictionary that the client has: the codings dcz
 * (Zstandard) and dcb (Brotli) of RFC 9842.
 *
 * Main rule: what is made here names, in its first bytes, the SHA-256 of the very bytes that it was
 * made with; a dictionary that is not what its hash says is refused.
 *
 * Both bodies are whole in memory, and so is the work of the encoder (some 10 to 20 times the
 * larger body): callers bound what they hand over, and call this from a pool thread, never a loop.
 */
#ifndef BRIM_ENCODE_DELTA_H
#define BRIM_ENCODE_DELTA_H

#include "brim/base/err.h"
#include "brim/http/dictionary.h"

enum brim_delta_coding {
    BRIM_DELTA_DCZ,
    BRIM_DELTA_DCB,
};

/* What a delta is made from. All borrowed. */
struct brim_delta_source {
    enum brim_delta_coding coding;
    int level; /* of the codec: Zstandard 1 to 19, Brotli 0 to 11 */
    const struct brim_dictionary_hash *hash;
    struct brim_str dictionary;
    struct brim_str body;
};

/* Whether this build makes the coding: dcb needs libbrotlienc 1.1. Thread: any. */
bool brim_delta_is_built(enum brim_delta_coding coding);

/*
 * Makes the delta, its header in front.
 *
 * Owns:   *delta_out is the caller's, freed with free().
 * Thread: any; takes CPU time, not for loops.
 * Errors: BRIM_EINVAL the dictionary's SHA-256 is not hash, or the coding is not built;
 *         BRIM_ENOMEM; BRIM_EIO the codec failed.
 * Spec:   RFC 9842 4, 5.
 */
BRIM_MUST_USE enum brim_err brim_delta_make(const struct brim_delta_source *source,
                                            unsigned char **delta_out, size_t *delta_len_out);

#endif
