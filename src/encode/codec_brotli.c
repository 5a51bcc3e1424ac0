/* SPDX-License-Identifier: MIT */
#include <brotli/decode.h>
#include <brotli/encode.h>

#include "brim/encode/codec.h"

static void *encoder_open(const struct brim_coder_config *config)
{
    BrotliEncoderState *encoder = BrotliEncoderCreateInstance(NULL, NULL, NULL);

    if (encoder == NULL)
        return NULL;
    (void)BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, (uint32_t)config->level);
    if (config->window_log > 0)
        (void)BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN, (uint32_t)config->window_log);
    if (config->size_hint > 0 && config->size_hint <= UINT32_MAX)
        (void)BrotliEncoderSetParameter(encoder, BROTLI_PARAM_SIZE_HINT,
                                        (uint32_t)config->size_hint);
    return encoder;
}

static void encoder_close(void *state)
{
    BrotliEncoderDestroyInstance(state);
}

static enum brim_err encoder_run(void *state, struct brim_coder_step *step)
{
    static const BrotliEncoderOperation operations[] = {
        [BRIM_CODER_MORE] = BROTLI_OPERATION_PROCESS,
        [BRIM_CODER_FLUSH] = BROTLI_OPERATION_FLUSH,
        [BRIM_CODER_END] = BROTLI_OPERATION_FINISH,
    };
    const uint8_t *in = (const uint8_t *)step->in.base;
    uint8_t *out = (uint8_t *)step->out;
    size_t in_left = step->in.len, room = step->room;

    if (!BrotliEncoderCompressStream(state, operations[step->flush], &in_left, &in, &room, &out,
                                     NULL))
        return BRIM_ENOMEM;
    step->in = brim_str((const char *)in, in_left);
    step->made = step->room - room;
    step->is_done = BrotliEncoderIsFinished(state) != 0;
    return BRIM_OK;
}

static void *decoder_open(const struct brim_coder_config *config)
{
    (void)config;
    return BrotliDecoderCreateInstance(NULL, NULL, NULL);
}

static void decoder_close(void *state)
{
    BrotliDecoderDestroyInstance(state);
}

static enum brim_err decoder_run(void *state, struct brim_coder_step *step)
{
    const uint8_t *in = (const uint8_t *)step->in.base;
    uint8_t *out = (uint8_t *)step->out;
    size_t in_left = step->in.len, room = step->room;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state, &in_left, &in, &room, &out, NULL);

    step->in = brim_str((const char *)in, in_left);
    step->made = step->room - room;
    step->is_done = result == BROTLI_DECODER_RESULT_SUCCESS;
    return result == BROTLI_DECODER_RESULT_ERROR ? BRIM_ECORRUPT : BRIM_OK;
}

const struct brim_codec brim_codec_brotli_encode = {encoder_open, encoder_close, encoder_run};
const struct brim_codec brim_codec_brotli_decode = {decoder_open, decoder_close, decoder_run};
