/* SPDX-License-Identifier: MIT */
/*
 * codec - what each codec library is to coder.c: a table of functions; and the words that both use.
 * One file a library.
 */
#ifndef BRIM_ENCODE_CODEC_H
#define BRIM_ENCODE_CODEC_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/http/coding.h"

enum brim_coder_way { BRIM_CODER_ENCODE, BRIM_CODER_DECODE };

struct brim_coder_config {
    enum brim_coding coding; /* not IDENTITY */
    enum brim_coder_way way;
    int level;          /* ENCODE: gzip 1 to 9, br 0 to 11, zstd 1 to 19 */
    int window_log;     /* ENCODE: br, zstd look back so far, 10 to 23; 0: the codec decides */
    uint64_t size_hint; /* ENCODE: bytes that will come; 0: not known */
    uint64_t bytes_max; /* DECODE: most bytes that may come out */
};

enum brim_coder_flush {
    BRIM_CODER_MORE,  /* more input will come */
    BRIM_CODER_FLUSH, /* ... but give out what there is (ENCODE) */
    BRIM_CODER_END,   /* this is the last of it */
};

/* What goes in and comes out at once. */
struct brim_coder_step {
    struct brim_str in; /* what is taken is gone from its front */
    enum brim_coder_flush flush;
    char *out;
    size_t room;
    size_t made; /* said of the step, like the next */
    bool is_done;
};

struct brim_codec {
    void *(*open)(const struct brim_coder_config *config); /* NULL: out of memory */
    void (*close)(void *state);
    enum brim_err (*run)(void *state, struct brim_coder_step *step);
};

extern const struct brim_codec brim_codec_gzip_encode, brim_codec_gzip_decode;
extern const struct brim_codec brim_codec_brotli_encode, brim_codec_brotli_decode;
extern const struct brim_codec brim_codec_zstd_encode, brim_codec_zstd_decode;

#endif
