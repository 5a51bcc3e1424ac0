/* SPDX-License-Identifier: MIT */
/*
 * fuzz - what every target shares: its entry, and inputs that are several texts, one a line.
 */
#ifndef BRIM_TESTS_FUZZ_H
#define BRIM_TESTS_FUZZ_H

#include <stdint.h>

#include "brim/base/invariant.h"
#include "brim/http/field.h"

#define FUZZ_FIELDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the next line off the front of *rest; the last may lack its end. */
static inline struct brim_str fuzz_line(struct brim_str *rest)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->base, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->base);
    struct brim_str line = brim_str(rest->base, len);

    len = end == NULL ? len : len + 1;
    *rest = brim_str(rest->base + len, rest->len - len);
    return line;
}

/* The lines of *rest as fields with one name. */
static inline struct brim_fields fuzz_fields(struct brim_str rest, struct brim_str name,
                                             struct brim_field items[FUZZ_FIELDS_MAX])
{
    size_t count = 0;

    while (rest.len > 0 && count < FUZZ_FIELDS_MAX)
        items[count++] = (struct brim_field){name, brim_str_trim(fuzz_line(&rest))};
    return (struct brim_fields){items, count};
}

/* The lines of *rest as fields, "name: value"; lines without a colon are passed over. */
static inline struct brim_fields fuzz_named_fields(struct brim_str rest,
                                                   struct brim_field items[FUZZ_FIELDS_MAX])
{
    size_t count = 0;

    while (rest.len > 0 && count < FUZZ_FIELDS_MAX) {
        struct brim_str line = fuzz_line(&rest);
        const char *colon = line.len == 0 ? NULL : memchr(line.base, ':', line.len);

        if (colon == NULL)
            continue;
        size_t len = (size_t)(colon - line.base);
        items[count++] = (struct brim_field){
            brim_str(line.base, len), brim_str_trim(brim_str(colon + 1, line.len - len - 1))};
    }
    return (struct brim_fields){items, count};
}

#endif
