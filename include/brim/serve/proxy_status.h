/* SPDX-License-Identifier: MIT */
/*
 * proxy_status - error types of Proxy-Status (RFC 9209 2.3) for the responses that brim makes
 * itself. Only registered ones; Cache-Status says how the cache was involved, this says what went
 * wrong. Refuses to know requests and connections.
 */
#ifndef BRIM_SERVE_PROXY_STATUS_H
#define BRIM_SERVE_PROXY_STATUS_H

#include "brim/origin/fetch.h"

/* Types that need no table: what brim answers without asking an origin, or after one broke off. */
#define BRIM_PROXY_DENIED     "http_request_denied"
#define BRIM_PROXY_INCOMPLETE "http_response_incomplete"
#define BRIM_PROXY_INTERNAL   "proxy_internal_error"
#define BRIM_PROXY_LOOP       "proxy_loop_detected"
#define BRIM_PROXY_NO_SITE    "destination_not_found"
#define BRIM_PROXY_OWN        "proxy_internal_response"
#define BRIM_PROXY_REQUEST    "http_request_error"

/* The type for an exchange with an origin that failed. Static text, never NULL. Thread: any. */
const char *brim_proxy_status_failure(enum brim_err why, enum brim_fetch_cause cause);

/* The type for a request that is refused with status. Likewise. */
const char *brim_proxy_status_refusal(unsigned status);

#endif
