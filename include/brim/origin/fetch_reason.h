/* SPDX-License-Identifier: MIT */
/*
 * fetch_reason - what it means that libcurl ended an exchange as it did.
 */
#ifndef BRIM_ORIGIN_FETCH_REASON_H
#define BRIM_ORIGIN_FETCH_REASON_H

#include <stdbool.h>

#include "brim/base/err.h"

/* What stands behind a reason, where it is known: for messages, not for decisions. */
enum brim_fetch_cause {
    BRIM_FETCH_CAUSE_UNKNOWN,
    BRIM_FETCH_CAUSE_REFUSED,         /* BRIM_ECONNECT: nobody listens */
    BRIM_FETCH_CAUSE_CONNECT_TIMEOUT, /* BRIM_ECONNECT: nobody answers */
    BRIM_FETCH_CAUSE_UNROUTABLE,      /* BRIM_ECONNECT: no way to the address */
    BRIM_FETCH_CAUSE_CERTIFICATE,     /* BRIM_ETLS: the server's is not trusted */
    BRIM_FETCH_CAUSE_OWN_TLS,         /* BRIM_ETLS: our own files cannot be used */
    BRIM_FETCH_CAUSE_DROPPED,         /* BRIM_EPROTO: the connection ended instead of an answer */
    BRIM_FETCH_CAUSE_INCOMPLETE,      /* BRIM_EPROTO: ... or in the middle of one */
};

/* How an exchange ended. */
struct brim_fetch_end {
    void *easy; /* of libcurl */
    int code;   /* CURLcode */
    bool was_sent;
    bool has_headers;
};

enum brim_err brim_fetch_reason_of(const struct brim_fetch_end *end);
/* Meaningful with the reason. */
enum brim_fetch_cause brim_fetch_cause_of(const struct brim_fetch_end *end);

#endif
