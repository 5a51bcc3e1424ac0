/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <zlib.h>

#include "brim/base/invariant.h"
#include "brim/encode/codec.h"

#define WINDOW_BITS_GZIP (15 + 16) /* zlib: a gzip wrapper instead of its own */
#define MEMORY_LEVEL     8

static void *encoder_open(const struct brim_coder_config *config)
{
    z_stream *stream = brim_alloc(sizeof(*stream));

    if (deflateInit2(stream, config->level, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) == Z_OK)
        return stream;
    free(stream);
    return NULL;
}

static void *decoder_open(const struct brim_coder_config *config)
{
    z_stream *stream = brim_alloc(sizeof(*stream));

    (void)config;
    if (inflateInit2(stream, WINDOW_BITS_GZIP) == Z_OK)
        return stream;
    free(stream);
    return NULL;
}

static void encoder_close(void *state)
{
    (void)deflateEnd(state);
    free(state);
}

static void decoder_close(void *state)
{
    (void)inflateEnd(state);
    free(state);
}

/* zlib counts in 32 bits. */
static uInt capped(size_t len)
{
    return len > 1u << 30 ? 1u << 30 : (uInt)len;
}

static void give(z_stream *stream, const struct brim_codec_step *step)
{
    stream->next_in = (Bytef *)(uintptr_t)step->in->base; /* zlib does not write to it */
    stream->avail_in = capped(step->in->len);
    stream->next_out = (Bytef *)step->out;
    stream->avail_out = capped(step->room);
}

static void take(const z_stream *stream, const struct brim_codec_step *step)
{
    size_t taken = capped(step->in->len) - stream->avail_in;

    *step->made = capped(step->room) - stream->avail_out;
    *step->in = brim_str(step->in->base + taken, step->in->len - taken);
}

static enum brim_err encoder_run(void *state, const struct brim_codec_step *step)
{
    static const int flushes[] = {[BRIM_CODER_MORE] = Z_NO_FLUSH,
                                  [BRIM_CODER_FLUSH] = Z_SYNC_FLUSH,
                                  [BRIM_CODER_END] = Z_FINISH};
    z_stream *stream = state;
    int code;

    give(stream, step);
    code = deflate(stream, flushes[step->flush]);
    take(stream, step);
    *step->done = code == Z_STREAM_END;
    return code == Z_STREAM_ERROR ? BRIM_EIO : BRIM_OK;
}

static enum brim_err decoder_run(void *state, const struct brim_codec_step *step)
{
    z_stream *stream = state;
    int code;

    give(stream, step);
    code = inflate(stream, Z_NO_FLUSH);
    take(stream, step);
    *step->done = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR)
        return BRIM_ENOMEM;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR ? BRIM_OK : BRIM_ECORRUPT;
}

const struct brim_codec brim_codec_gzip_encode = {encoder_open, encoder_close, encoder_run};
const struct brim_codec brim_codec_gzip_decode = {decoder_open, decoder_close, decoder_run};
