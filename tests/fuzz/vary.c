/* SPDX-License-Identifier: MIT */
/*
 * Vary and the values that it selects by: the first input line is Vary, the rest is a request's
 * Accept-Language, Accept-Encoding and an unknown field.
 */
#include "brim/http/vary.h"
#include "fuzz.h"

#define BUFFER_BYTES 4096

/* A normal form stays as it is when it is normalised again. */
static void check_value(struct brim_fields request, struct brim_str name)
{
    static char first[BUFFER_BYTES];
    static char second[BUFFER_BYTES];
    size_t len = brim_vary_value(request, name, first, sizeof(first));

    if (len == SIZE_MAX || brim_str_is(brim_str(first, len), BRIM_STR(BRIM_VARY_ABSENT)))
        return;
    struct brim_field field = {name, brim_str_trim(brim_str(first, len))};
    size_t again = brim_vary_value((struct brim_fields){&field, 1}, name, second, sizeof(second));
    INVARIANT(brim_str_is(field.value, brim_str(second, again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_str rest = brim_str((const char *)data, size);
    struct brim_field vary = {BRIM_STR("vary"), brim_str_trim(fuzz_line(&rest))};
    struct brim_field items[] = {{BRIM_STR("accept-language"), brim_str_trim(rest)},
                                 {BRIM_STR("accept-encoding"), brim_str_trim(rest)},
                                 {BRIM_STR("foo"), brim_str_trim(rest)}};
    struct brim_fields request = {items, sizeof(items) / sizeof(items[0])};
    struct brim_str names[BRIM_VARY_NAMES_MAX];
    char scratch[256];
    size_t count;

    if (brim_vary_names((struct brim_fields){&vary, 1}, scratch, sizeof(scratch), names, &count) ==
        BRIM_OK) {
        INVARIANT(!brim_vary_is_any((struct brim_fields){&vary, 1}));
        for (size_t i = 1; i < count; i++)
            INVARIANT(!brim_str_is(names[i - 1], names[i]));
    }
    for (size_t i = 0; i < request.count; i++)
        check_value(request, items[i].name);
    return 0;
}
