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

/*
 * Whether the request has a condition on the representation that the origin has now: If-Match, or
 * an If-Unmodified-Since that is a date. A stored one, even a fresh one, says nothing about it, so
 * a cache answers neither 412 nor 200 but asks. Thread: any. Spec: RFC 9110 13.1.1, 13.1.4;
 * RFC 9111 4.3.2 ("not applicable to a cache").
 */
bool brim_conditional_is_for_origin(struct brim_fields request, int64_t now_wall_s);

/* Evaluates If-None-Match, or If-Modified-Since where that is absent: whether the answer is 304.
 * Thread: any. Spec: RFC 9110 13.2.2 steps 3 and 4, RFC 9111 4.3.2. */
bool brim_conditional_is_not_modified(struct brim_fields request,
                                      const struct brim_validators *validators, int64_t now_wall_s);

/* Whether If-None-Match lists this very tag, byte for byte; weak and strong are two. Thread: any.
 */
bool brim_conditional_lists(struct brim_fields request, struct brim_str etag);

/* Whether value is one strong entity-tag (RFC 9110 8.8.3). */
bool brim_etag_is_strong(struct brim_str value);

/* Whether Last-Modified, of a response made at date, is a strong validator (RFC 9110 8.8.2.2).
 * modified_wall_s: INT64_MIN or -1: none. */
bool brim_last_modified_is_strong(int64_t modified_wall_s, int64_t date_wall_s);

/* Whether a Range field counts: no If-Range, or it matches (strong; RFC 9110 13.1.5). */
bool brim_conditional_range_applies(struct brim_fields request,
                                    const struct brim_validators *validators, int64_t now_wall_s);

#endif
