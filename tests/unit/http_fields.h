/* SPDX-License-Identifier: MIT */
/*
 * http_fields - field lists for table rows: "name: value" lines, ended by NULL.
 */
#ifndef BRIM_TESTS_HTTP_FIELDS_H
#define BRIM_TESTS_HTTP_FIELDS_H

#include "brim/http/field.h"

#include "unit.h"

#define FIELDS_MAX 8

struct fields {
    struct brim_field items[FIELDS_MAX];
};

/* Reads lines into fields, values without surrounding white space, as servers give them. */
static inline struct brim_fields fields_of(const char *const *lines, struct fields *fields)
{
    size_t count = 0;

    for (; count < FIELDS_MAX && lines[count] != NULL; count++) {
        const char *colon = strchr(lines[count], ':');
        ck_assert_ptr_nonnull(colon);
        fields->items[count].name = brim_str(lines[count], (size_t)(colon - lines[count]));
        fields->items[count].value = brim_str_trim(brim_str_of(colon + 1));
    }
    return (struct brim_fields){fields->items, count};
}

#endif
