/* SPDX-License-Identifier: MIT */
/*
 * conditional - preconditions of a GET or HEAD against a stored representation (RFC 9110 13).
 */
#ifndef BRIM_HTTP_CONDITIONAL_H
#define BRIM_HTTP_CONDITIONAL_H

#include <stdint.h>

#include "brim/http/field.h"

struct brim_validators {
    struct brim_str etag;         /* with quotes and W/; len 0: none */
    int64_t last_modified_wall_s; /* -1: none */
    int64_t date_wall_s; /* Date of the response, for dates against it or Last-Modified; -1: none */
};

enum brim_condition {
    BRIM_CONDITION_OK,           /* no precondition, or they hold: answer normally */
    BRIM_CONDITION_NOT_MODIFIED, /* 304 */
    BRIM_CONDITION_FAILED,       /* 412 */
};

/* Evaluates If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since in the order of
 * RFC 9110 13.2.2. FAILED is the stored representation's answer; the first two fields are about the
 * origin's current one (RFC 9111 4.3.2), so a cache asks there before it says 412. Thread: any. */
enum brim_condition brim_conditional_check(struct brim_fields request,
                                           const struct brim_validators *validators,
                                           int64_t now_wall_s);

/* Whether value is one strong entity-tag (RFC 9110 8.8.3). */
bool brim_etag_is_strong(struct brim_str value);

/* Whether Last-Modified, of a response made at date, is a strong validator (RFC 9110 8.8.2.2).
 * modified_wall_s: INT64_MIN or -1: none. */
bool brim_last_modified_is_strong(int64_t modified_wall_s, int64_t date_wall_s);

/* Whether a Range field counts: no If-Range, or it matches (strong; RFC 9110 13.1.5). */
bool brim_conditional_range_applies(struct brim_fields request,
                                    const struct brim_validators *validators, int64_t now_wall_s);

#endif
