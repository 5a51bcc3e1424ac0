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

#include "brim/serve/choice.h"
#include "brim/serve/delivery.h"

/* Prepares a zeroed delivery. */
void brim_deliver_init(struct brim_delivery *delivery, struct brim_env *env, h2o_req_t *req,
                       struct brim_fields request);

/* Whether delivering object can finish without ever waiting, so that no port is needed. */
bool brim_deliver_is_immediate(const struct brim_object *object);

/* Answers with object (takes the caller's count). Preconditions and ranges of the request are
 * applied unless facts say as_received. Call once. Thread: loop. */
void brim_deliver_object(struct brim_delivery *delivery, struct brim_object *object,
                         const struct brim_deliver_facts *facts);

/*
 * The same for an object of which there may be content codings: in the one that was chosen (takes
 * the count of its body). Preconditions, ranges and validators are those of the coding (RFC 9110
 * 8.8.3.3).
 */
void brim_deliver_coded(struct brim_delivery *delivery, struct brim_object *object,
                        const struct brim_chosen *chosen, const struct brim_deliver_facts *facts);

/* Bytes of a stored or growing part. */
struct brim_deliver_part {
    struct brim_object *object; /* counted; taken by the call */
    uint64_t first;             /* within its body */
    uint64_t length;
};

/*
 * Answers a GET from parts, of which this is the first: as 206, as 200 if no range was asked for
 * (NULL: all of total), or as preconditions say. head: whose fields and age are shown (counted by
 * the call). If there are more, delivery->more is called for each. Call once, instead of
 * brim_deliver_object.
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

/* Answers with what a handler made; fields and body live as long as the request. Likewise. */
void brim_deliver_answer(struct brim_delivery *delivery, unsigned status, struct brim_fields fields,
                         struct brim_str body);

/* The same of the edge's own; detail: for Cache-Status, static. */
void brim_deliver_said(struct brim_delivery *delivery, unsigned status, struct brim_fields fields,
                       struct brim_str body, const char *detail);

/* Progress of the body: called when the port fired. */
void brim_deliver_wake(struct brim_delivery *delivery);

/* What is on the ledger for it, or its share of that. */
size_t brim_deliver_memory(const struct brim_delivery *delivery);

/* Lets go of everything. From the request's dispose. */
void brim_deliver_fini(struct brim_delivery *delivery);

#endif
