/* SPDX-License-Identifier: MIT */
/*
 * fetch_wire - a request in the form in which libcurl takes it: checked, copied, its own lines
 * switched off where we do not send them.
 */
#ifndef BRIM_ORIGIN_FETCH_WIRE_H
#define BRIM_ORIGIN_FETCH_WIRE_H

#include "brim/origin/fetch_request.h"
#include "brim/origin/names.h"

struct curl_slist;

struct brim_wire { /* zeroed: empty */
    char *url;     /* scheme and authority */
    char *target;
    char *method;
    struct curl_slist *headers;
    char *name; /* of the server; NULL: it is an address */
    char *port;
    struct curl_slist *connect_to; /* where the URL's host is not what libcurl connects to */
    struct curl_slist *resolve;    /* where that leads */
    char *body;
    size_t body_bytes;
    uint64_t uploaded; /* of it, when it was last looked at */
    bool has_body;     /* Content-Length is sent */
};

/* Copies request. Owns: brim_wire_fini() frees. Errors: BRIM_EINVAL a part would break the request
 * line or a field (control bytes, spaces); BRIM_ENOMEM. Thread: any. */
BRIM_MUST_USE enum brim_err brim_wire_write(const struct brim_fetch_request *request,
                                            struct brim_wire *wire_out);
void brim_wire_fini(struct brim_wire *wire);

/* Has libcurl connect to where the server's name leads. False: out of memory. Thread: any. */
bool brim_wire_lead(struct brim_wire *wire, const struct brim_names_way *way);
/* The same for where it led when it was last looked up. False: it never was, too. Thread: any. */
bool brim_wire_lead_last(struct brim_wire *wire, struct brim_names *names);

/* Sets whom a handle of libcurl's asks, for what, and how: buffers, TLS, HTTP/2. Borrows both.
 * Thread: the handle's. */
void brim_wire_set_way(const struct brim_wire *wire, const struct brim_fetch_origin *origin,
                       void *easy);
/* Sets method and body of a handle of libcurl's, which borrows them. Thread: the handle's. */
void brim_wire_set_method(const struct brim_wire *wire, void *easy);

/* Whether more of the body has gone out by a handle of libcurl's than when this was last asked.
 * Thread: the handle's. */
bool brim_wire_goes_out(struct brim_wire *wire, void *easy);

/* Whether to ask twice does what to ask once does. Spec: RFC 9110 9.2.2. Thread: any. */
bool brim_wire_is_idempotent(const struct brim_wire *wire);

bool brim_wire_method_is(const struct brim_wire *wire, const char *method);

#endif
