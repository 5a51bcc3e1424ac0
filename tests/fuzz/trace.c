/* SPDX-License-Identifier: MIT */
/*
 * traceparent, one field a line: what is read is written as one that is read again, same trace.
 */
#include "brim/http/trace.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_field items[FUZZ_FIELDS_MAX];
    struct brim_str name = BRIM_STR("traceparent");
    struct brim_fields fields = fuzz_fields(brim_str((const char *)data, size), name, items);
    struct brim_trace first, second;
    char text[BRIM_TRACE_BYTES];

    if (!brim_trace_read(fields, 1, &first))
        return 0;
    INVARIANT(fields.count == 1);
    brim_trace_write(&first, text);
    items[0].value = brim_str(text, sizeof(text));
    INVARIANT(brim_trace_read((struct brim_fields){items, 1}, 2, &second));
    INVARIANT(memcmp(first.id, second.id, sizeof(first.id)) == 0);
    return 0;
}
