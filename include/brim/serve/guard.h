/* SPDX-License-Identifier: MIT */
/*
 * guard - stands before h2o and before everything of ours: refuses what is not exactly HTTP, and
 * closes HTTP/2 connections that attack. Refuses, never repairs.
 *
 * Two halves: a pure scanner for requests (guard_scan, no h2o in it), and a filter between the
 * socket and h2o's HTTP/2 code that polices frames and defuses finished streams, without which
 * libh2o 2.2.5 can be aborted by any client (upstream 00977f672).
 */
#ifndef BRIM_SERVE_GUARD_H
#define BRIM_SERVE_GUARD_H

#include "brim/http/field.h"
#include "brim/serve/conn.h"

struct brim_guard_limits {
    size_t header_bytes_max;
    size_t header_count_max;
    size_t target_bytes_max;
};

/* status 0: fine. Else what to answer and why (static text for log and body). */
struct brim_guard_refusal {
    unsigned status;
    const char *reason;
};

/*
 * Scans a raw HTTP/1 header block (from the request line to the blank line) as RFC 9112 asks: CRLF
 * only, no fold, exactly one valid Host (none allowed on 1.0), at most one Content-Length, not with
 * Transfer-Encoding, which is exactly "chunked" on 1.1; methods are tokens, the target is
 * origin-form (or "*" for OPTIONS, or absolute-form whose authority must equal Host).
 * 400 unless: 414 target too long, 431 too many or too large fields, 501 unknown transfer coding,
 * 505 version. Pure; thread: any. Spec: RFC 9112 2.2, 3, 5, 6.
 */
struct brim_guard_refusal brim_guard_scan_h1(struct brim_str raw,
                                             const struct brim_guard_limits *limits);

/* The same rules for what HTTP/2 delivers: pseudo-fields and fields (RFC 9113 8.2, 8.3). */
struct brim_guard_h2_request {
    struct brim_str method;
    struct brim_str path;
    struct brim_str authority; /* len 0: absent */
    struct brim_str scheme;
    struct brim_fields fields;
};
struct brim_guard_refusal brim_guard_scan_h2(const struct brim_guard_h2_request *request,
                                             const struct brim_guard_limits *limits);

/*
 * Checks a request that h2o hands over, whichever protocol: finds the raw block for HTTP/1 (in the
 * socket's input), takes the decoded fields for HTTP/2. Call before anything else looks at it.
 * For an HTTP/1 refusal the caller also sets req->http1_is_persistent = 0. Thread: loop.
 */
struct brim_guard_refusal brim_guard_check(h2o_req_t *req, struct brim_fields fields,
                                           const struct brim_guard_limits *limits);

/* Puts the filter in front of an HTTP/2 connection just accepted by h2o_http2_accept. Bytes already
 * in sock->input must have been swapped out before; see listener.c. Thread: loop. */
void brim_guard_h2_install(struct brim_conn *conn);

/* Re-checks that the filter is still in place; kills the connection if not. Thread: loop. */
void brim_guard_h2_check(struct brim_conn *conn);

/* A request was disposed before it was answered: counts towards the reset budget. */
void brim_guard_count_cancelled(struct brim_conn *conn);

/* Ends the connection now: shutdown(2), RST where possible, input discarded from here on; an
 * HTTP/1 request that waits is answered with close. The socket closes on a later turn. */
void brim_guard_kill(struct brim_conn *conn, const char *reason);

#endif
