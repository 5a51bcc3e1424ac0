/* SPDX-License-Identifier: MIT */
#include "brim/encode/delta.h"

#include <stdlib.h>
#include <zstd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/sha256.h"
#include "brim/encode/delta_dcb.h"

bool brim_delta_is_built(enum brim_delta_coding coding)
{
    return coding == BRIM_DELTA_DCZ || brim_delta_dcb_is_built();
}

static bool is_dictionary(const struct brim_delta_source *source)
{
    unsigned char digest[BRIM_SHA256_BYTES];

    brim_sha256(source->dictionary.base, source->dictionary.len, digest);
    return memcmp(digest, source->hash->bytes, sizeof(digest)) == 0;
}

/* The raw text is logged here; an encoder that ran out of memory is the only fault to expect. */
static enum brim_err zstd_err(size_t code)
{
    if (!ZSTD_isError(code))
        return BRIM_OK;
    BRIM_LOG(WARN, "encode.delta", "coding=dcz error=\"%s\"", ZSTD_getErrorName(code));
    return BRIM_EIO;
}

static enum brim_err set_up(ZSTD_CCtx *encoder, const struct brim_delta_source *source)
{
    int window_log = (int)brim_dictionary_window_log(source->dictionary.len, source->body.len);
    enum brim_err err =
        zstd_err(ZSTD_CCtx_setParameter(encoder, ZSTD_c_compressionLevel, source->level));

    if (err == BRIM_OK)
        err = zstd_err(ZSTD_CCtx_setParameter(encoder, ZSTD_c_windowLog, window_log));
    /* Two versions of one file have long runs in common, far apart in a large one: what this
     * search is for. */
    if (err == BRIM_OK)
        err = zstd_err(ZSTD_CCtx_setParameter(encoder, ZSTD_c_enableLongDistanceMatching, 1));
    if (err == BRIM_OK)
        err =
            zstd_err(ZSTD_CCtx_refPrefix(encoder, source->dictionary.base, source->dictionary.len));
    return err;
}

static enum brim_err append_dcz(const struct brim_delta_source *source, unsigned char *delta,
                                size_t room, size_t *len_inout)
{
    ZSTD_CCtx *encoder = ZSTD_createCCtx();
    enum brim_err err = BRIM_ENOMEM;

    if (encoder == NULL)
        return err;
    err = set_up(encoder, source);
    if (err == BRIM_OK) {
        size_t len = ZSTD_compress2(encoder, delta + *len_inout, room - *len_inout,
                                    source->body.base, source->body.len);
        err = zstd_err(len);
        *len_inout += err == BRIM_OK ? len : 0;
    }
    ZSTD_freeCCtx(encoder);
    return err;
}

enum brim_err brim_delta_make(const struct brim_delta_source *source, unsigned char **delta_out,
                              size_t *delta_len_out)
{
    /* Brotli's own bound is for streams without a dictionary; that of Zstandard is larger. */
    size_t room = BRIM_DICTIONARY_DCZ_BYTES + ZSTD_compressBound(source->body.len);
    size_t len = BRIM_DICTIONARY_DCZ_BYTES;
    unsigned char *delta;
    enum brim_err err;

    *delta_out = NULL;
    *delta_len_out = 0;
    if (!brim_delta_is_built(source->coding) || !is_dictionary(source))
        return BRIM_EINVAL;
    delta = malloc(room);
    if (delta == NULL)
        return BRIM_ENOMEM;
    if (source->coding == BRIM_DELTA_DCB) {
        len = BRIM_DICTIONARY_DCB_BYTES;
        brim_dictionary_put_dcb(source->hash, delta);
        err = brim_delta_dcb_append(source->dictionary, source->level, source->body, delta, room,
                                    &len);
    } else {
        brim_dictionary_put_dcz(source->hash, delta);
        err = append_dcz(source, delta, room, &len);
    }
    if (err != BRIM_OK) {
        free(delta);
        return err;
    }
    INVARIANT(len <= room);
    *delta_out = delta;
    *delta_len_out = len;
    return BRIM_OK;
}
