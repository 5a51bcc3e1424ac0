/* SPDX-License-Identifier: MIT */
/*
 * The first row that fits counts: the rows of a reason stand together, the one for any cause last.
 * A reason that has no row is a fault of this node rather than of the origin.
 */
#include "brim/serve/proxy_status.h"

#include <stddef.h>

#define ANY BRIM_FETCH_CAUSE_UNKNOWN /* what else the reason stands for */

static const struct {
    enum brim_err why;
    enum brim_fetch_cause cause;
    const char *type;
} failures[] = {
    {BRIM_EDNS, ANY, "dns_error"},
    {BRIM_ECONNECT, BRIM_FETCH_CAUSE_REFUSED, "connection_refused"},
    {BRIM_ECONNECT, BRIM_FETCH_CAUSE_CONNECT_TIMEOUT, "connection_timeout"},
    {BRIM_ECONNECT, BRIM_FETCH_CAUSE_UNROUTABLE, "destination_ip_unroutable"},
    {BRIM_ECONNECT, ANY, "destination_unavailable"},
    {BRIM_ETIMEOUT, ANY, "connection_read_timeout"},
    {BRIM_ETLS, BRIM_FETCH_CAUSE_CERTIFICATE, "tls_certificate_error"},
    {BRIM_ETLS, BRIM_FETCH_CAUSE_OWN_TLS, "proxy_configuration_error"},
    {BRIM_ETLS, ANY, "tls_protocol_error"},
    {BRIM_EPROTO, BRIM_FETCH_CAUSE_DROPPED, "connection_terminated"},
    {BRIM_EPROTO, BRIM_FETCH_CAUSE_INCOMPLETE, BRIM_PROXY_INCOMPLETE},
    {BRIM_EPROTO, ANY, "http_protocol_error"},
    {BRIM_ELIMIT, ANY, "connection_limit_reached"},
    {BRIM_ENOENT, ANY, "destination_unavailable"},
};

const char *brim_proxy_status_failure(enum brim_err why, enum brim_fetch_cause cause)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (failures[i].why == why && (failures[i].cause == cause || failures[i].cause == ANY))
            return failures[i].type;
    return BRIM_PROXY_INTERNAL;
}

const char *brim_proxy_status_refusal(unsigned status)
{
    /* http_request_error is for 4xx (RFC 9209 2.3.21). */
    return status >= 400 && status <= 499 ? BRIM_PROXY_REQUEST : BRIM_PROXY_DENIED;
}
