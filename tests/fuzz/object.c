/* SPDX-License-Identifier: MIT */
/*
 * Metadata of an object as it stands in a segment: what is accepted is encoded to the same bytes.
 */
#include "brim/cache/object.h"

#include "fuzz.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_body *body = brim_body_from("", 0);
    struct brim_object *object;
    void *bytes;
    size_t len;

    if (brim_object_decode(data, size, body, &object) == BRIM_OK) {
        INVARIANT(brim_object_encode(object, &bytes, &len) == BRIM_OK);
        /* an encoder shares the primary text wherever it can, an input need not */
        INVARIANT(len <= size);
        INVARIANT(len != size || memcmp(bytes, data, size) == 0);
        free(bytes);
        brim_object_unref(object);
    }
    brim_body_unref(body);
    return 0;
}
