/* SPDX-License-Identifier: MIT */
/*
 * fetch_once - one blocking HTTP exchange, for command-line tools, and for what a thread of its own
 * may wait for.
 */
#ifndef BRIM_ORIGIN_FETCH_ONCE_H
#define BRIM_ORIGIN_FETCH_ONCE_H

#include <stddef.h>

#include "brim/base/err.h"

struct brim_fetch_call {
    const char *method;
    const char *url;
    const char *json_body;   /* NULL: none */
    const char *unix_socket; /* NULL: TCP */
    const char *token;       /* bearer; "" or NULL: none */
    unsigned timeout_ms;     /* of the whole; 0: two minutes */
    size_t answer_bytes_max; /* 0: as long as it is */
};

/* One blocking exchange for command-line tools: whole answer (NUL-terminated, caller frees).
 * Errors: as done(); BRIM_ELIMIT the answer is longer. Thread: any but a loop. */
struct brim_fetch_answer {
    unsigned status;
    char *body;
    size_t body_bytes;
};
BRIM_MUST_USE enum brim_err brim_fetch_once(const struct brim_fetch_call *call,
                                            struct brim_fetch_answer *answer_out);

/* The reason that a result of libcurl's (CURLcode) is to a tool. Thread: any. */
enum brim_err brim_fetch_once_reason(int curl_code);

#endif
