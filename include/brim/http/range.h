/* SPDX-License-Identifier: MIT */
/*
 * range - byte ranges (RFC 9110 14) over a body of known length.
 */
#ifndef BRIM_HTTP_RANGE_H
#define BRIM_HTTP_RANGE_H

#include <stdint.h>

#include "brim/base/str.h"

enum brim_range_verdict {
    BRIM_RANGE_NONE,          /* no usable Range: send all (also for several ranges) */
    BRIM_RANGE_ONE,           /* send [first, last] as 206 */
    BRIM_RANGE_UNSATISFIABLE, /* 416 */
};

struct brim_range {
    uint64_t first;
    uint64_t last; /* inclusive */
};

/* Judges the value of a Range field for a body of length bytes. */
enum brim_range_verdict brim_range_parse(struct brim_str value, uint64_t length,
                                         struct brim_range *range_out);

/* Content-Range as parsed from a 206 (RFC 9110 14.4). length_out: UINT64_MAX for "*". */
bool brim_content_range_parse(struct brim_str value, struct brim_range *range_out,
                              uint64_t *length_out);

#endif
