/* SPDX-License-Identifier: MIT */
/*
 * A URL whose secrets are taken out: done twice it is the same, and a value is gone whole.
 */
#include "brim/http/redact.h"
#include "fuzz.h"

#define BUFFER_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char first[BUFFER_BYTES], second[BUFFER_BYTES];
    static char token[] = "token", prefix[] = "x-*";
    static char *const names[] = {token, prefix};
    static struct brim_redact redact;

    if (redact.count == 0)
        brim_redact_init(&redact, names, 2);
    if (size > BUFFER_BYTES / 4)
        return 0;
    struct brim_str once =
        brim_redact_query(&redact, brim_str((const char *)data, size), first, sizeof(first));
    struct brim_str twice = brim_redact_query(&redact, once, second, sizeof(second));
    INVARIANT(brim_str_is(once, twice));
    return 0;
}
