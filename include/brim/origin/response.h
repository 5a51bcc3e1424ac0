/* SPDX-License-Identifier: MIT */
/*
 * response - the header block of an origin's answer, line by line, judged strictly.
 *
 * The client library forgives too much (two framings at once, differing lengths, folded lines, bare
 * LF), and what one hop forgives the next may read otherwise. Refuses, never repairs. Pure.
 */
#ifndef BRIM_ORIGIN_RESPONSE_H
#define BRIM_ORIGIN_RESPONSE_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/http/field.h"
#include "brim/http/version.h"

struct brim_response_limits {
    size_t header_bytes_max;
    size_t header_count_max;
    bool may_be_http2; /* was offered, or is known to be spoken */
};

struct brim_response; /* opaque */

/* NULL: out of memory. */
struct brim_response *brim_response_new(const struct brim_response_limits *limits);
void brim_response_free(struct brim_response *response);

/* Forgets everything, for a new exchange. */
void brim_response_reset(struct brim_response *response);

enum brim_response_got {
    BRIM_RESPONSE_MORE,  /* the block goes on, or an interim one has ended */
    BRIM_RESPONSE_FINAL, /* the header of the final response is complete */
    BRIM_RESPONSE_BAD,   /* see brim_response_fault() */
};

/*
 * Takes one line with its line end, as received: status line, field line or the blank line. After
 * FINAL, lines are trailers and are dropped (MORE).
 * BAD: not CRLF, folded, space before the colon, name or value not valid, Content-Length repeated
 * or not digits or beside Transfer-Encoding, Transfer-Encoding other than one "chunked" on 1.1 (in
 * HTTP/2 none), HTTP/2 where it may not be, status not 100..999 or 101, too many interim responses,
 * over a limit. Spec: RFC 9112 4, 5, 6.
 */
enum brim_response_got brim_response_line(struct brim_response *response, struct brim_str line);

enum brim_http_version brim_response_version(const struct brim_response *response);
unsigned brim_response_status(const struct brim_response *response);
/* Names in lower case, values trimmed; borrowed until the next line, reset or free. */
struct brim_fields brim_response_fields(struct brim_response *response);
uint64_t brim_response_length(const struct brim_response *response); /* UINT64_MAX: not said */
/* Why it is BAD: static text; BRIM_EPROTO or BRIM_ELIMIT or BRIM_ENOMEM. */
const char *brim_response_fault(const struct brim_response *response);
enum brim_err brim_response_err(const struct brim_response *response);

#endif
