/* SPDX-License-Identifier: MIT */
/*
 * date - HTTP-date (RFC 9110 5.6.7): IMF-fixdate, rfc850 and asctime, and nothing else.
 */
#ifndef BRIM_HTTP_DATE_H
#define BRIM_HTTP_DATE_H

#include <stdint.h>

#include "brim/base/str.h"

/* Seconds since the epoch, or INT64_MIN if text is not a valid date. now_wall_s resolves rfc850's
 * two-digit years. Thread: any. */
int64_t brim_date_parse(struct brim_str text, int64_t now_wall_s);

#define BRIM_DATE_BYTES 29
/* Writes IMF-fixdate, exactly BRIM_DATE_BYTES bytes, no NUL. */
void brim_date_format(int64_t wall_s, char out[BRIM_DATE_BYTES]);

#endif
