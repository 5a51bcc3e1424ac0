/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <zstd.h>

#include "brim/base/invariant.h"
#include "brim/encode/codec.h"

#define WINDOW_LOG_MAX 23 /* 8 MiB: what browsers take of zstd (RFC 8878 3.1.1.1.2, RFC 9659) */

static void *encoder_open(const struct brim_coder_config *config)
{
    ZSTD_CCtx *encoder = ZSTD_createCCtx();

    if (encoder == NULL)
        return NULL;
    (void)ZSTD_CCtx_setParameter(encoder, ZSTD_c_compressionLevel, config->level);
    if (config->window_log > 0)
        (void)ZSTD_CCtx_setParameter(encoder, ZSTD_c_windowLog, config->window_log);
    else if (config->size_hint > (uint64_t)1 << WINDOW_LOG_MAX || config->size_hint == 0)
        (void)ZSTD_CCtx_setParameter(encoder, ZSTD_c_windowLog, WINDOW_LOG_MAX);
    if (config->size_hint > 0) /* fits the tables to it, and is written into the frame */
        (void)ZSTD_CCtx_setPledgedSrcSize(encoder, config->size_hint);
    return encoder;
}

static void encoder_close(void *state)
{
    (void)ZSTD_freeCCtx(state);
}

static enum brim_err encoder_run(void *state, struct brim_coder_step *step)
{
    static const ZSTD_EndDirective directives[] = {
        [BRIM_CODER_MORE] = ZSTD_e_continue,
        [BRIM_CODER_FLUSH] = ZSTD_e_flush,
        [BRIM_CODER_END] = ZSTD_e_end,
    };
    ZSTD_inBuffer in = {step->in.base, step->in.len, 0};
    ZSTD_outBuffer out = {step->out, step->room, 0};
    size_t left = ZSTD_compressStream2(state, &out, &in, directives[step->flush]);

    if (ZSTD_isError(left))
        return BRIM_EIO;
    step->in = brim_str(step->in.base + in.pos, step->in.len - in.pos);
    step->made = out.pos;
    step->is_done = step->flush == BRIM_CODER_END && left == 0;
    return BRIM_OK;
}

/* A body may be several frames, one after the other (RFC 8878 3): the library goes on by itself. */
struct decoder {
    ZSTD_DCtx *context;
    bool is_between; /* frames: this may have been the last */
};

static void *decoder_open(const struct brim_coder_config *config)
{
    struct decoder *decoder = brim_alloc(sizeof(*decoder));

    (void)config;
    decoder->context = ZSTD_createDCtx();
    if (decoder->context == NULL) {
        free(decoder);
        return NULL;
    }
    (void)ZSTD_DCtx_setParameter(decoder->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return decoder;
}

static void decoder_close(void *state)
{
    struct decoder *decoder = state;

    (void)ZSTD_freeDCtx(decoder->context);
    free(decoder);
}

/* Frames, or a part of one. */
static enum brim_err run_frames(struct decoder *decoder, struct brim_coder_step *step)
{
    ZSTD_inBuffer in = {step->in.base, step->in.len, 0};
    ZSTD_outBuffer out = {step->out, step->room, 0};
    size_t left = ZSTD_decompressStream(decoder->context, &out, &in);

    if (ZSTD_isError(left))
        return BRIM_ECORRUPT;
    step->in = brim_str(step->in.base + in.pos, step->in.len - in.pos);
    step->made = out.pos;
    decoder->is_between = left == 0;
    return BRIM_OK;
}

static enum brim_err decoder_run(void *state, struct brim_coder_step *step)
{
    struct decoder *decoder = state;
    enum brim_err err = BRIM_OK;

    if (!decoder->is_between || step->in.len > 0)
        err = run_frames(decoder, step);
    step->is_done = decoder->is_between && step->in.len == 0 && step->flush == BRIM_CODER_END;
    return err;
}

const struct brim_codec brim_codec_zstd_encode = {encoder_open, encoder_close, encoder_run};
const struct brim_codec brim_codec_zstd_decode = {decoder_open, decoder_close, decoder_run};
