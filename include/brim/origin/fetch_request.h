/* SPDX-License-Identifier: MIT */
/*
 * fetch_request - what is sent to an origin server, and what that origin allows.
 */
#ifndef BRIM_ORIGIN_FETCH_REQUEST_H
#define BRIM_ORIGIN_FETCH_REQUEST_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/http/field.h"

#define BRIM_FETCH_SERVERS_MAX 256u

/* What one origin allows. Borrowed until the last exchange with it has ended. */
struct brim_fetch_origin {
    unsigned id;      /* id % threads is its fetcher */
    unsigned metrics; /* its group of base/metric_group; BRIM_METRIC_ORIGIN_NONE: health checks */
    unsigned sockets; /* the group that its connections count in, whoever opens them */
    unsigned connections_max;
    unsigned queue_max; /* exchanges waiting for a connection */
    uint64_t connect_timeout_ms;
    uint64_t first_byte_timeout_ms;
    uint64_t between_bytes_timeout_ms;
    bool is_http2; /* where it is spoken; of http:// servers it is known */
    bool tls_verify;
    const char *tls_ca_file;     /* NULL: system store */
    const char *tls_server_name; /* NULL: host of the URL; name for SNI and verification */
};

struct brim_fetch_request {                 /* everything is copied by start */
    const struct brim_fetch_origin *origin; /* borrowed, see there */
    struct brim_str method;
    unsigned server_number;          /* below BRIM_FETCH_SERVERS_MAX; for the next */
    unsigned server_connections_max; /* exchanges with this server at a time; 0: no limit */
    struct brim_str server;          /* "http://host:port" or "https://host[:port]", no path */
    struct brim_str target;          /* origin-form: path and query, sent as is */
    struct brim_str host;            /* value for the Host field */
    struct brim_fields fields;       /* without Host, framing and hop-by-hop fields */
    struct brim_field mark;          /* one more (origin/tier); empty name: none */
    const void *body;
    size_t body_bytes; /* 0: no body (Content-Length: 0 is sent for POST/PUT/PATCH) */
    uint64_t slow_ms;  /* slow() is called if there are no headers by then; 0: never */
    bool has_body;
};

#endif
