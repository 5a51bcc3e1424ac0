/* SPDX-License-Identifier: MIT */
/*
 * spans - a set of small numbers as text: "200-299,404".
 */
#ifndef BRIM_BASE_SPANS_H
#define BRIM_BASE_SPANS_H

#include <stdbool.h>

#include "brim/base/err.h"

#define BRIM_SPANS_MAX 32u

struct brim_spans {
    unsigned count;
    struct brim_span {
        unsigned first;
        unsigned last;
    } items[BRIM_SPANS_MAX];
};

/* Reads numbers and ranges of at most four digits between commas; blanks do not count.
 * Errors: BRIM_EINVAL no such text, or a range that ends before it begins; BRIM_ELIMIT more than
 * BRIM_SPANS_MAX. Thread: any. */
BRIM_MUST_USE enum brim_err brim_spans_parse(const char *text, struct brim_spans *spans_out);

bool brim_spans_has(const struct brim_spans *spans, unsigned number);

#endif
