/* SPDX-License-Identifier: MIT */
/*
 * A request as HTTP/2 delivers it: method, path, authority and scheme on a line each, then fields
 * as "name: value". What passes can be written as HTTP/1 without becoming two requests.
 */
#include "brim/serve/guard.h"
#include "fuzz.h"

static void check_text(struct brim_str text)
{
    for (size_t i = 0; i < text.len; i++)
        INVARIANT(text.base[i] != '\r' && text.base[i] != '\n' && text.base[i] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct brim_guard_limits limits = {65536, 128, 8192};
    struct brim_field items[FUZZ_FIELDS_MAX];
    struct brim_str rest = brim_str((const char *)data, size);
    struct brim_guard_h2_request request = {0};

    request.method = fuzz_line(&rest);
    request.path = fuzz_line(&rest);
    request.authority = fuzz_line(&rest);
    request.scheme = fuzz_line(&rest);
    request.fields = fuzz_named_fields(rest, items);
    if (brim_guard_scan_h2(&request, &limits).status != 0)
        return 0;
    INVARIANT(request.method.len > 0 && request.path.len > 0);
    check_text(request.method);
    check_text(request.path);
    check_text(request.authority);
    for (size_t i = 0; i < request.fields.count; i++) {
        check_text(request.fields.items[i].value);
        INVARIANT(brim_field_name_is_valid(request.fields.items[i].name));
        INVARIANT(!brim_field_is_hop_by_hop(request.fields.items[i].name) ||
                  brim_str_is(request.fields.items[i].name, BRIM_STR("te")) ||
                  !brim_str_is(request.fields.items[i].name, BRIM_STR("transfer-encoding")));
    }
    return 0;
}
