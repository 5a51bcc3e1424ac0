/* SPDX-License-Identifier: MIT */
#include "brim/encode/coder.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/encode/codec.h"

#define CODER_MAGIC 0x636f6472u

/* Real text shrinks to a twentieth, now and then to a hundredth. What grows beyond that, past the
 * first MiB, was made to. */
#define RATIO_MAX     1000u
#define RATIO_IS_FREE (1024u * 1024u)

struct brim_coder {
    uint32_t magic;
    const struct brim_codec *codec;
    void *state;
    bool is_decoder;
    bool is_done;
    uint64_t bytes_max;
    uint64_t taken;
    uint64_t made;
};

static const struct brim_codec *codec_for(const struct brim_coder_config *config)
{
    static const struct brim_codec *const codecs[BRIM_CODINGS][2] = {
        [BRIM_CODING_GZIP] = {&brim_codec_gzip_encode, &brim_codec_gzip_decode},
        [BRIM_CODING_BR] = {&brim_codec_brotli_encode, &brim_codec_brotli_decode},
        [BRIM_CODING_ZSTD] = {&brim_codec_zstd_encode, &brim_codec_zstd_decode},
    };

    INVARIANT(config->coding < BRIM_CODINGS);
    return codecs[config->coding][config->way == BRIM_CODER_DECODE];
}

enum brim_err brim_coder_open(const struct brim_coder_config *config, struct brim_coder **coder_out)
{
    const struct brim_codec *codec = codec_for(config);
    void *state = codec->open(config);
    struct brim_coder *coder;

    *coder_out = NULL;
    INVARIANT(config->coding != BRIM_CODING_IDENTITY);
    if (state == NULL)
        return BRIM_ENOMEM;
    coder = brim_alloc(sizeof(*coder));
    *coder = (struct brim_coder){.magic = CODER_MAGIC,
                                 .codec = codec,
                                 .state = state,
                                 .is_decoder = config->way == BRIM_CODER_DECODE,
                                 .bytes_max = config->bytes_max};
    *coder_out = coder;
    return BRIM_OK;
}

void brim_coder_close(struct brim_coder *coder)
{
    if (coder == NULL)
        return;
    OBJ_CHECK(coder, CODER_MAGIC);
    coder->codec->close(coder->state);
    coder->magic = 0;
    free(coder);
}

static bool is_bomb(const struct brim_coder *coder)
{
    if (!coder->is_decoder)
        return false;
    return coder->made > coder->bytes_max ||
           (coder->made > RATIO_IS_FREE && coder->made / RATIO_MAX > coder->taken);
}

enum brim_err brim_coder_run(struct brim_coder *coder, struct brim_coder_step *step)
{
    size_t before = step->in.len;
    enum brim_err err;

    OBJ_CHECK(coder, CODER_MAGIC);
    step->made = 0;
    step->is_done = coder->is_done;
    if (coder->is_done) /* bytes behind the end of the stream */
        return step->in.len == 0 ? BRIM_OK : BRIM_ECORRUPT;
    if (step->in.base == NULL) /* nothing, at no address: codecs step over what they took */
        step->in = brim_str("", 0);
    err = coder->codec->run(coder->state, step);
    if (err != BRIM_OK)
        return err;
    INVARIANT(step->made <= step->room && step->in.len <= before);
    coder->taken += before - step->in.len;
    coder->made += step->made;
    coder->is_done = step->is_done;
    if (is_bomb(coder))
        return BRIM_ELIMIT;
    /* The last of the input is in, there is room, and still no end: it was cut off. */
    if (coder->is_decoder && step->flush == BRIM_CODER_END && step->in.len == 0 && !step->is_done &&
        step->made < step->room)
        return BRIM_ECORRUPT;
    return BRIM_OK;
}
