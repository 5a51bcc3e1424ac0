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
 * Transfer-Encoding, which is exactly "chunked" on 1.1; Connection names no more fields than there
 * may be; methods are tokens, the target is origin-form (or "*" for OPTIONS, or absolute-form whose
 * authority must equal Host).
 * 400 unless: 405 CONNECT and TRACE, 414 target too long, 417 an expectation but 100-continue, 431
 * too many or too large fields, 501 unknown transfer coding or endless method, 505 version. One
 * empty line before the request is skipped. What follows the blank line is not looked at.
 * Pure; thread: any. Spec: RFC 9112 2.2, 3, 5, 6.
 */
struct brim_guard_refusal brim_guard_scan_h1(struct brim_str raw,
                                             const struct brim_guard_limits *limits);

/* tchar (RFC 9110 5.6.2). */
bool brim_guard_is_token(char c);

/*
 * libh2o's own decoder of chunked request bodies, defined again so that it takes RFC 9112 7.1 and
 * nothing else (guard_chunks.c). Decodes what has come into the front of buf, *bufsz bytes of body;
 * returns -2 for more to come, -1 for what is not the coding, else how many bytes stand behind it.
 * The struct is libh2o's. Pure; thread: any.
 */
struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char _hex_count;
    char _state;
};
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz);
int phr_decode_chunked_is_in_data(struct phr_chunked_decoder *decoder);

/* Splits an absolute-form target ("http://host/path?query") where its path begins: *authority_out
 * is "host", *rest_out "/path?query" or "". False if it is not absolute-form. */
bool brim_guard_split_absolute(struct brim_str target, struct brim_str *authority_out,
                               struct brim_str *rest_out);

/* Whether method is one that brim never serves: CONNECT, TRACE (405). */
bool brim_guard_is_method_refused(struct brim_str method);

/* The same rules for what HTTP/2 delivers: pseudo-fields and fields (RFC 9113 8.2, 8.3). Several
 * Cookie fields count as one: they are crumbs of one (RFC 9113 8.2.3). */
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
 * For an HTTP/1 refusal the caller also sets req->http1_is_persistent = 0, and answers at once, in
 * one send: where it has a body, the connection lingers behind that. An absolute-form target that
 * passed becomes origin-form in req->input.path and req->query_at; req->input.scheme is the
 * connection's, whatever HTTP/2's :scheme says. Thread: loop.
 */
struct brim_guard_refusal brim_guard_check(h2o_req_t *req, struct brim_fields fields,
                                           const struct brim_guard_limits *limits);

/* Enters request bodies of an HTTP/1 connection in the ledger while they come, and refuses them
 * when clients hold all they may. Just behind h2o_http1_accept(), inside of brim_conn_enter(); the
 * socket may be closed. Thread: loop. */
void brim_guard_h1_install(struct brim_conn *conn);

/* Behind each h2o_send() of an answer, inside of brim_conn_enter(); the socket may be closed. Of
 * HTTP/2: nothing. Thread: loop. */
void brim_guard_h1_sent(struct brim_conn *conn);

/* One of its requests is disposed of, so that h2o is about to read the next. Thread: loop. */
void brim_guard_h1_resume(struct brim_conn *conn, h2o_context_t *ctx);

/* The last answer of an HTTP/1 connection has been written, and its client may be sending still:
 * closed is told when that is over, as if the write had ended then, and is to close the socket. In
 * place of h2o's callback of the write. Thread: loop. */
void brim_guard_linger(struct brim_conn *conn, h2o_socket_cb closed);

/* Puts the filter in front of an HTTP/2 connection just accepted by h2o_http2_accept. Bytes already
 * in sock->input must have been swapped out before; they follow as `early` (consumed). The
 * connection may be closed afterwards. Thread: loop. */
void brim_guard_h2_install(struct brim_conn *conn, h2o_buffer_t *early);

/* Whether h2o knows a Content-Length for a request that came without a body (it hides the field).
 * Only for HTTP/2. Thread: loop. */
bool brim_guard_h2_lacks_body(h2o_req_t *req);

/* A request was disposed before it was answered: counts towards the reset budget. Safe inside
 * h2o's callbacks: what follows from it follows when the client's next frames are read. */
void brim_guard_count_cancelled(struct brim_conn *conn);
/* brim_guard_check() refused a request: charged to the address, while the connection goes on. */
void brim_guard_count_refused(struct brim_conn *conn);

/* What of its budgets an HTTP/2 connection has spent since its window began is charged to its
 * address: while the connection closes. Thread: loop. */
void brim_guard_charge(struct brim_conn *conn);

/* Bytes of memory that h2o holds for an HTTP/2 connection; conn->h2_memory, which is to be the last
 * answer, while h2o cannot be asked because it does not read. Thread: loop. */
size_t brim_guard_h2_memory(const struct brim_conn *conn);

/* Of those, bytes of request bodies. Only while h2o reads. */
size_t brim_guard_h2_bodies(const struct brim_conn *conn);

/* Streams whose request has not come to its end; 0 while h2o cannot be asked. */
unsigned brim_guard_h2_incoming(const struct brim_conn *conn);

/* Ends the connection now, counts it, and logs it: shutdown(2), RST where possible, input discarded
 * from here on; an HTTP/1 request that nothing would wake is aborted. The socket closes on a later
 * turn, or already in here. Thread: loop. */
void brim_guard_kill(struct brim_conn *conn, enum brim_ending ending);

/* Counts and logs an ending, and charges it to the client's address if it is abuse. Thread: loop.
 */
void brim_guard_tell_ending(struct brim_conn *conn, enum brim_ending ending);

#endif
