/* SPDX-License-Identifier: MIT */
/*
 * Range and Content-Range: eight bytes of length, then the value.
 */
#include "brim/http/range.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t length;
    struct brim_range range;

    if (size < sizeof(length))
        return 0;
    memcpy(&length, data, sizeof(length));
    struct brim_str value = brim_str((const char *)data + sizeof(length), size - sizeof(length));

    if (brim_range_parse(value, length, &range) == BRIM_RANGE_ONE)
        INVARIANT(range.first <= range.last && range.last < length);
    if (brim_content_range_parse(value, &range, &length))
        INVARIANT(range.first <= range.last && range.last < length);
    return 0;
}
