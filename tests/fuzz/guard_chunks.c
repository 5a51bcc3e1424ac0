/* SPDX-License-Identifier: MIT */
/*
 * The chunked coding: whole, and in two pieces cut where the first byte says. Both ways give the
 * same body and the same end.
 */
#include "brim/serve/guard.h"
#include "fuzz.h"

#define BODY_BYTES 4096

struct decoded {
    char body[BODY_BYTES];
    size_t len;
    ssize_t result;
};

/* Decodes more behind what there is. */
static void feed(struct phr_chunked_decoder *decoder, struct decoded *to, struct brim_str more)
{
    size_t len = more.len;

    if (to->result != -2)
        return;
    if (len > 0)
        memcpy(to->body + to->len, more.base, len);
    to->result = phr_decode_chunked(decoder, to->body + to->len, &len);
    INVARIANT(len <= more.len && to->result <= (ssize_t)(more.len - len));
    to->len += len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoded whole, halves;
    struct phr_chunked_decoder one = {.consume_trailer = 1}, two = {.consume_trailer = 1};
    struct brim_str input;
    size_t cut;

    if (size == 0 || size > BODY_BYTES)
        return 0;
    input = brim_str((const char *)data + 1, size - 1);
    cut = data[0] > input.len ? input.len : data[0];
    whole.len = halves.len = 0;
    whole.result = halves.result = -2;
    feed(&one, &whole, input);
    feed(&two, &halves, brim_str(input.base, cut));
    if (halves.result >= 0) /* what stands behind the end was not all shown */
        halves.result += (ssize_t)(input.len - cut);
    else
        feed(&two, &halves, brim_str(input.base + cut, input.len - cut));
    INVARIANT(whole.result == halves.result);
    if (whole.result != -1)
        INVARIANT(brim_str_is(brim_str(whole.body, whole.len), brim_str(halves.body, halves.len)));
    return 0;
}
