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

/* A body may be several members, one after the other (RFC 1952 2.2). */
struct decoder {
    z_stream stream;
    bool is_between; /* members: this may have been the last */
};

static void *decoder_open(const struct brim_coder_config *config)
{
    struct decoder *decoder = brim_alloc(sizeof(*decoder));

    (void)config;
    if (inflateInit2(&decoder->stream, WINDOW_BITS_GZIP) == Z_OK)
        return decoder;
    free(decoder);
    return NULL;
}

static void encoder_close(void *state)
{
    (void)deflateEnd(state);
    free(state);
}

static void decoder_close(void *state)
{
    struct decoder *decoder = state;

    (void)inflateEnd(&decoder->stream);
    free(decoder);
}

/* zlib counts in 32 bits. */
static uInt capped(size_t len)
{
    return len > 1u << 30 ? 1u << 30 : (uInt)len;
}

static void give(z_stream *stream, const struct brim_coder_step *step)
{
    stream->next_in = (Bytef *)(uintptr_t)step->in.base; /* zlib does not write to it */
    stream->avail_in = capped(step->in.len);
    stream->next_out = (Bytef *)step->out;
    stream->avail_out = capped(step->room);
}

static void take(const z_stream *stream, struct brim_coder_step *step)
{
    size_t taken = capped(step->in.len) - stream->avail_in;

    step->made = capped(step->room) - stream->avail_out;
    step->in = brim_str(step->in.base + taken, step->in.len - taken);
}

static enum brim_err encoder_run(void *state, struct brim_coder_step *step)
{
    static const int flushes[] = {[BRIM_CODER_MORE] = Z_NO_FLUSH,
                                  [BRIM_CODER_FLUSH] = Z_SYNC_FLUSH,
                                  [BRIM_CODER_END] = Z_FINISH};
    z_stream *stream = state;
    int code;

    give(stream, step);
    code = deflate(stream, flushes[step->flush]);
    take(stream, step);
    step->is_done = code == Z_STREAM_END;
    return code == Z_STREAM_ERROR ? BRIM_EIO : BRIM_OK;
}

/* A member, or a part of one. */
static enum brim_err run_member(struct decoder *decoder, struct brim_coder_step *step)
{
    int code;

    give(&decoder->stream, step);
    code = inflate(&decoder->stream, Z_NO_FLUSH);
    take(&decoder->stream, step);
    decoder->is_between = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR)
        return BRIM_ENOMEM;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR ? BRIM_OK : BRIM_ECORRUPT;
}

static enum brim_err decoder_run(void *state, struct brim_coder_step *step)
{
    struct decoder *decoder = state;
    enum brim_err err = BRIM_OK;

    if (decoder->is_between && step->in.len > 0)
        (void)inflateReset(&decoder->stream); /* fails for what is no stream only */
    if (!decoder->is_between || step->in.len > 0)
        err = run_member(decoder, step);
    step->is_done = decoder->is_between && step->in.len == 0 && step->flush == BRIM_CODER_END;
    return err;
}

const struct brim_codec brim_codec_gzip_encode = {encoder_open, encoder_close, encoder_run};
const struct brim_codec brim_codec_gzip_decode = {decoder_open, decoder_close, decoder_run};
