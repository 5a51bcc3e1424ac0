/* SPDX-License-Identifier: MIT */
/*
 * A structured Dictionary or Item, one field line a line: lengths stay within the buffers, and what
 * is an Item read alone ends where it should.
 */
#include "brim/http/structured.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_field items[FUZZ_FIELDS_MAX];
    struct brim_str name = BRIM_STR("x");
    struct brim_fields fields = fuzz_fields(brim_str((const char *)data, size), name, items);
    struct brim_structured in = brim_structured_open(fields, name);
    struct brim_structured_member member;
    size_t members = 0;

    while (brim_structured_next(&in, &member)) {
        INVARIANT(!in.failed);
        INVARIANT(member.key_len > 0 && member.key_len <= sizeof(member.key));
        INVARIANT(member.text_len <= sizeof(member.text));
        INVARIANT(++members <= size);
    }
    INVARIANT(!brim_structured_next(&in, &member)); /* the end stays the end */
    if (brim_structured_item(fields, name, &member))
        INVARIANT(member.key_len == 0 && member.text_len <= sizeof(member.text));
    return 0;
}
