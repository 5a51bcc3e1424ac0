/* SPDX-License-Identifier: MIT */
/*
 * A body in a content coding that the first byte names: it never gives more than is allowed.
 */
#include "brim/encode/coder.h"
#include "fuzz.h"

#define BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[4096];
    struct brim_coder_config config = {.way = BRIM_CODER_DECODE, .bytes_max = BYTES_MAX};
    struct brim_coder *coder;
    enum brim_err err = BRIM_OK;
    size_t all = 0;

    if (size == 0)
        return 0;
    config.coding = (enum brim_coding)(data[0] % BRIM_CODING_IDENTITY);
    struct brim_coder_step step = {.in = brim_str((const char *)data + 1, size - 1),
                                   .flush = BRIM_CODER_END,
                                   .out = out,
                                   .room = sizeof(out)};
    INVARIANT(brim_coder_open(&config, &coder) == BRIM_OK);
    while (err == BRIM_OK && !step.is_done) {
        err = brim_coder_run(coder, &step);
        if (err != BRIM_OK)
            break;
        INVARIANT(step.made <= sizeof(out));
        all += step.made;
        INVARIANT(all <= BYTES_MAX);
    }
    INVARIANT(err == BRIM_OK || err == BRIM_ECORRUPT || err == BRIM_ELIMIT);
    brim_coder_close(coder);
    return 0;
}
