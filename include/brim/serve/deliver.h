/* SPDX-License-Identifier: MIT */
/*
 * deliver - turns an object into the response to one request: precondition, range, header, body.
 *
 * The object may be complete or growing, in RAM or on disk: the body is pulled through a reader at
 * the client's pace, at most ~1 MiB per connection and loop turn. What was cut off upstream is cut
 * off towards the client in a way that it can detect.
 * Refuses to know why this object was chosen; the facts say it for Cache-Status.
 */
#ifndef BRIM_SERVE_DELIVER_H
#define BRIM_SERVE_DELIVER_H

#include "brim/cache/reader.h"
#include "brim/http/range.h"
#include "brim/serve/env.h"
#include "brim/serve/wake.h"

enum brim_outcome {
    BRIM_OUTCOME_HIT,
    BRIM_OUTCOME_MISS,
    BRIM_OUTCOME_STALE,
    BRIM_OUTCOME_REVALIDATED,
    BRIM_OUTCOME_PASS,
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
    struct brim_reader reader;
    h2o_timeout_entry_t yield;
    int64_t now_wall_ms;
    uint64_t first_byte_us; /* mono; 0: not started */
    uint64_t bytes_sent;
    uint64_t turn; /* loop turn that turn_bytes belongs to */
    size_t turn_bytes;
    uint64_t first;          /* range of the source's body to send */
    uint64_t length;         /* of the response's body */
    struct brim_range range; /* 206: of the whole */
    uint64_t total;          /* 206, 416: bytes of the whole */
    uint64_t rest;           /* bytes of the response that further parts bring */
    /* A part has been sent and there is a rest: brim_deliver_continue() or _break(), now or later.
     */
    void (*more)(struct brim_delivery *delivery);
    unsigned status;
    bool started;     /* h2o_start_response was called */
    bool sending;     /* h2o owns a send */
    bool dated;       /* the header block went out with `date` */
    bool finished;    /* FINAL or ERROR was sent */
    bool complete;    /* ... and it was FINAL */
    bool waits_whole; /* holds back until the body's length is known */
    bool unframed;    /* end of body = end of connection */
    bool reader_open;
    bool in_parts; /* the object is a 206 that stands for the whole */
    bool awaits_part;
};

/* Prepares a zeroed delivery. */
void brim_deliver_init(struct brim_delivery *delivery, struct brim_env *env, h2o_req_t *req,
                       struct brim_fields request);

/* Whether delivering object can finish without ever waiting, so that no port is needed. */
bool brim_deliver_is_immediate(const struct brim_object *object);

/* Answers with object (takes the caller's count). Preconditions and ranges of the request are
 * applied unless facts say as_received. Call once. Thread: loop. */
void brim_deliver_object(struct brim_delivery *delivery, struct brim_object *object,
                         const struct brim_deliver_facts *facts);

/* Bytes of a stored or growing part. */
struct brim_deliver_part {
    struct brim_object *object; /* counted; taken by the call */
    uint64_t first;             /* within its body */
    uint64_t length;
};

/*
 * Answers a GET from parts, of which this is the first: as 206, as 200 if range is all of total, or
 * as preconditions say. head: whose fields and age are shown (counted by the call). If there are
 * more, delivery->more is called for each. Call once, instead of brim_deliver_object.
 */
void brim_deliver_parts(struct brim_delivery *delivery, struct brim_object *head,
                        const struct brim_deliver_part *part, const struct brim_range *range,
                        uint64_t total, const struct brim_deliver_facts *facts);
void brim_deliver_continue(struct brim_delivery *delivery, const struct brim_deliver_part *part);
/* The rest cannot be had: cuts the response off so that the client can tell. */
void brim_deliver_break(struct brim_delivery *delivery);

/* Answers 416 for a resource of total bytes; takes head. */
void brim_deliver_unsatisfiable(struct brim_delivery *delivery, struct brim_object *head,
                                uint64_t total, const struct brim_deliver_facts *facts);

/* Answers with a short text of brim's own. Call once, instead of brim_deliver_object. */
struct brim_deliver_error {
    unsigned status;
    const char *text;        /* one sentence: what is wrong, for people */
    const char *header;      /* "allow: GET" and the like; NULL: none */
    const char *proxy_error; /* error type of Proxy-Status (proxy_status.h); NULL: none */
    bool close;              /* HTTP/1: close the connection */
};
void brim_deliver_error(struct brim_delivery *delivery, const struct brim_deliver_error *error,
                        const struct brim_deliver_facts *facts);

/* Progress of the body: called when the port fired. */
void brim_deliver_wake(struct brim_delivery *delivery);

/* Lets go of everything. From the request's dispose. */
void brim_deliver_fini(struct brim_delivery *delivery);

#endif
