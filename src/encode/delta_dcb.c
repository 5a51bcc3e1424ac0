/* SPDX-License-Identifier: MIT */
#include "brim/encode/delta_dcb.h"

#if BRIM_HAS_DCB

#include <brotli/encode.h>

#include "brim/base/log.h"

/* RFC 9842 4: at most 16 MB. Matches in the dictionary reach beyond it. */
#define WINDOW_LOG BROTLI_MAX_WINDOW_BITS

bool brim_delta_dcb_is_built(void)
{
    return true;
}

static bool encode(BrotliEncoderState *encoder, struct brim_str body, unsigned char *delta,
                   size_t room, size_t *len_inout)
{
    const uint8_t *in = (const uint8_t *)body.base;
    size_t in_left = body.len, out_left = room - *len_inout;
    uint8_t *out = delta + *len_inout;

    if (!BrotliEncoderCompressStream(encoder, BROTLI_OPERATION_FINISH, &in_left, &in, &out_left,
                                     &out, NULL))
        return false;
    *len_inout = room - out_left;
    return true;
}

enum brim_err brim_delta_dcb_append(struct brim_str dictionary, int level, struct brim_str body,
                                    unsigned char *delta, size_t room, size_t *len_inout)
{
    BrotliEncoderPreparedDictionary *prepared =
        BrotliEncoderPrepareDictionary(BROTLI_SHARED_DICTIONARY_RAW, dictionary.len,
                                       (const uint8_t *)dictionary.base, level, NULL, NULL, NULL);
    BrotliEncoderState *encoder = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    enum brim_err err = BRIM_ENOMEM;

    if (prepared == NULL || encoder == NULL)
        goto out;
    err = BRIM_EIO;
    if (!BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, (uint32_t)level) ||
        !BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN, WINDOW_LOG) ||
        !BrotliEncoderAttachPreparedDictionary(encoder, prepared) ||
        !encode(encoder, body, delta, room, len_inout)) {
        BRIM_LOG(WARN, "encode.delta", "coding=dcb bytes=%zu", body.len);
        goto out;
    }
    err = BrotliEncoderIsFinished(encoder) ? BRIM_OK : BRIM_ELIMIT;
out:
    if (encoder != NULL)
        BrotliEncoderDestroyInstance(encoder);
    if (prepared != NULL)
        BrotliEncoderDestroyPreparedDictionary(prepared);
    return err;
}

#else

bool brim_delta_dcb_is_built(void)
{
    return false;
}

enum brim_err brim_delta_dcb_append(struct brim_str dictionary, int level, struct brim_str body,
                                    unsigned char *delta, size_t room, size_t *len_inout)
{
    (void)dictionary;
    (void)level;
    (void)body;
    (void)delta;
    (void)room;
    (void)len_inout;
    return BRIM_EINVAL;
}

#endif
