/* SPDX-License-Identifier: MIT */
/*
 * The header block of an origin's answer, line by line with whatever line ends it has: what is
 * taken has fields that can be sent on as they are, a status of three digits, and stays within the
 * limits.
 */
#include "brim/origin/response.h"
#include "fuzz.h"

enum { BYTES_MAX = 4096, COUNT_MAX = 20 };

static void check_fields(struct brim_fields fields)
{
    INVARIANT(fields.count <= COUNT_MAX);
    for (size_t i = 0; i < fields.count; i++) {
        struct brim_str name = fields.items[i].name, value = fields.items[i].value;

        INVARIANT(brim_field_name_is_valid(name));
        for (size_t j = 0; j < name.len; j++)
            INVARIANT(name.base[j] < 'A' || name.base[j] > 'Z');
        for (size_t j = 0; j < value.len; j++)
            INVARIANT(value.base[j] != '\r' && value.base[j] != '\n' && value.base[j] != '\0');
    }
}

/* Takes the lines of rest until the block ends. */
static void read_block(struct brim_response *response, struct brim_str rest)
{
    while (rest.len > 0) {
        struct brim_str before = rest;
        size_t len = before.len - (fuzz_line(&rest), rest.len);
        enum brim_response_got got = brim_response_line(response, brim_str(before.base, len));

        if (got == BRIM_RESPONSE_BAD) {
            INVARIANT(brim_response_fault(response) != NULL);
            INVARIANT(brim_response_err(response) != BRIM_OK);
            return;
        }
        if (got == BRIM_RESPONSE_FINAL) {
            unsigned status = brim_response_status(response);

            INVARIANT(status >= 200 && status <= 999);
            check_fields(brim_response_fields(response));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_response_limits limits = {.header_bytes_max = BYTES_MAX,
                                          .header_count_max = COUNT_MAX};
    struct brim_response *response = brim_response_new(&limits);

    INVARIANT(response != NULL);
    for (int i = 0; i < 2; i++) { /* the second on what the first left */
        read_block(response, brim_str((const char *)data, size));
        brim_response_reset(response);
    }
    brim_response_free(response);
    return 0;
}
