/* SPDX-License-Identifier: MIT */
/*
 * delivery - the state of one response: what deliver (body) and deliver_head (fields) share.
 */
#ifndef BRIM_SERVE_DELIVERY_H
#define BRIM_SERVE_DELIVERY_H

#include "brim/cache/reader.h"
#include "brim/http/coding.h"
#include "brim/http/range.h"
#include "brim/policy/error_page.h"
#include "brim/serve/env.h"
#include "brim/serve/transcode.h"
#include "brim/serve/wake.h"

enum brim_outcome {
    BRIM_OUTCOME_HIT,
    BRIM_OUTCOME_MISS,
    BRIM_OUTCOME_STALE,
    BRIM_OUTCOME_REVALIDATED,
    BRIM_OUTCOME_PASS,
    BRIM_OUTCOME_HANDLER, /* a Lua handler answered, or brim: a PURGE, a redirect */
    BRIM_OUTCOME_ERROR,
};

/* What Cache-Status (RFC 9211) and the access log say. Strings are static. */
struct brim_deliver_facts {
    enum brim_outcome outcome;
    const char *fwd;     /* NULL: not forwarded (a hit) */
    const char *detail;  /* NULL: none */
    unsigned fwd_status; /* 0: none */
    bool stored;
    bool collapsed;
    bool as_received; /* the origin saw the request's conditions and range itself */
};

/*
 * Embedded at the very start of a request's state, which is h2o pool-shared memory: h2o links the
 * memory of `date` to the pool of the response that shows it.
 */
struct brim_delivery {
    h2o_timestamp_string_t date;
    h2o_generator_t generator;
    struct brim_env *env;
    struct brim_conn *conn;
    struct brim_conn_request link; /* in the connection's list, for the sweep */
    h2o_req_t *req;
    struct brim_fields request;
    struct brim_port *port;     /* borrowed: fires brim_deliver_wake; NULL until it is needed */
    struct brim_object *object; /* whose fields and age are shown */
    struct brim_object *source; /* whose body is sent; counted */
    struct brim_deliver_facts facts;
    const struct brim_error_page *error_page; /* the site's; NULL: none */
    struct brim_str key; /* for Cache-Status; empty: not told. Lives as long as the request */
    struct brim_reader reader;
    h2o_timeout_entry_t yield;
    int64_t now_wall_ms;
    uint64_t first_byte_us;  /* mono; 0: not started */
    uint64_t timed_since_us; /* mono: what Server-Timing counts from; 0: none is told */
    uint64_t origin_ms;      /* to the origin's header; 0: not asked */
    uint64_t bytes_sent;
    size_t on_ledger; /* a body that was given to h2o at once, and what codes on the way */
    uint64_t turn;    /* loop turn that turn_bytes belongs to */
    size_t turn_bytes;
    uint64_t first;          /* range of the source's body to send */
    uint64_t length;         /* of the response's body */
    struct brim_range range; /* 206: of the whole */
    uint64_t total;          /* 206, 416: bytes of the whole */
    uint64_t rest;           /* bytes of the response that further parts bring */
    /* A part has been sent and there is a rest: brim_deliver_continue() or _break(), now or later.
     */
    void (*more)(struct brim_delivery *delivery);
    /* Adds what the site says of every response, whoever made it, or NULL. Before on_head. */
    void (*dress)(struct brim_delivery *delivery);
    /* Before the header block goes out, or NULL: may change the response's fields and status.
     * False: it failed, and brim answers 500 without a body. */
    bool (*on_head)(struct brim_delivery *delivery);
    unsigned status;
    bool is_for_tier; /* another brim asks: it is told the tags */
    bool started;     /* h2o_start_response was called */
    bool sending;     /* h2o owns a send */
    bool dated;       /* the header block went out with `date` */
    bool finished;    /* FINAL or ERROR was sent */
    bool complete;    /* ... and it was FINAL */
    bool waits_whole; /* holds back until the body's length is known */
    bool unframed;    /* end of body = end of connection */
    bool reader_open;
    enum brim_coding coding;          /* of what is sent */
    enum brim_coding own;             /* of the object, as its origin sent it */
    struct brim_str etag;             /* in that coding, where it was chosen */
    bool is_chosen;                   /* by Accept-Encoding: the answer says that it varies */
    bool is_recoded;                  /* the source's body is in `own` and is sent in `coding` */
    bool is_streaming;                /* counted in env->streams */
    struct brim_transcode *transcode; /* the work of it, once it is begun */
    bool in_parts;                    /* the object is a 206 that stands for the whole */
    bool awaits_part;
};

#endif
