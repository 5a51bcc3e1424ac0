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

/* One byte range as it is asked for, before the length of the body is known. */
struct brim_range_spec {
    uint64_t first; /* of a suffix range: how many bytes from the end */
    uint64_t last;  /* UINT64_MAX: to the end */
    bool is_suffix;
};

/* Reads the value of a Range field; false: not valid, not bytes, or more than one range. */
bool brim_range_spec_parse(struct brim_str value, struct brim_range_spec *spec_out);
/* Judges what was read for a body of length bytes. */
enum brim_range_verdict brim_range_resolve(const struct brim_range_spec *spec, uint64_t length,
                                           struct brim_range *range_out);

/* Both at once. */
enum brim_range_verdict brim_range_parse(struct brim_str value, uint64_t length,
                                         struct brim_range *range_out);

/* Content-Range as parsed from a 206 (RFC 9110 14.4). length_out: UINT64_MAX for "*". */
bool brim_content_range_parse(struct brim_str value, struct brim_range *range_out,
                              uint64_t *length_out);

#endif
