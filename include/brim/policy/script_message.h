/* SPDX-License-Identifier: MIT */
/*
 * script_message - a request and a response as they are lent to handlers: what the server fills in,
 * and takes back changed.
 */
#ifndef BRIM_POLICY_SCRIPT_MESSAGE_H
#define BRIM_POLICY_SCRIPT_MESSAGE_H

#include "brim/http/field.h"

/* Memory that lives as long as the message; never NULL. */
struct brim_script_memory {
    void *(*alloc)(void *pool, size_t bytes);
    void *pool;
};

struct brim_script_headers {
    struct brim_field *items; /* room for `room`; replaced when it is full */
    size_t count;
    size_t room;
    struct brim_script_memory memory;
    bool is_read_only;
    bool is_changed;
};

struct brim_script_request {
    struct brim_script_headers headers;
    struct brim_str method;
    struct brim_str scheme;
    struct brim_str host;   /* with port, as received */
    struct brim_str target; /* path and query */
    struct brim_str origin; /* chosen by the handler; empty: the route's */
    struct brim_str key;    /* parts that the handler adds to the cache key */
    uint64_t id[2];         /* text only when it is asked for */
    struct brim_str ip;
    struct brim_str version;     /* "1.1", "2" */
    uint16_t port;               /* the client's; 0: not known */
    struct brim_str tls_version; /* "TLSv1.3"; len 0: no TLS */
    struct brim_str tls_cipher;
    struct brim_str tls_client_subject;     /* of its verified certificate; len 0: none */
    struct brim_str tls_client_fingerprint; /* likewise */
    bool is_read_only;
    bool key_is_made; /* the cache has been asked: `key` comes too late */
    bool is_changed;
};

struct brim_script_response {
    struct brim_script_headers headers;
    unsigned status;
    struct brim_str body;
    bool is_origins;           /* origin_response: may be kept, so ttl, tags and body can be set: */
    bool takes_body;           /* there is one to replace */
    bool has_body;             /* it was replaced */
    struct brim_str ttl_field; /* the field that says how long, to brim */
    struct brim_str tags_field; /* len 0: none is read */
};

#define BRIM_SCRIPT_HEADERS_MAX      200
#define BRIM_SCRIPT_HEADER_BYTES_MAX (64u * 1024u)
#define BRIM_SCRIPT_BODY_MAX         (1024u * 1024u)

#endif
