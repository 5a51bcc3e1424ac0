/* SPDX-License-Identifier: MIT */
/*
 * upstream - the request as the origin gets it: end-to-end fields only, normalised where the answer
 * may be shared, plus Via and who the client is.
 *
 * What brim says about the client replaces what the client claims (X-Forwarded-Host and its kin),
 * so that no unkeyed claim can change a stored response.
 */
#ifndef BRIM_SERVE_UPSTREAM_H
#define BRIM_SERVE_UPSTREAM_H

#include "brim/origin/flight.h"
#include "brim/policy/route.h"
#include "brim/serve/env.h"

struct brim_upstream_client {
    struct brim_str peer;        /* address text */
    struct brim_str scheme;      /* "http" or "https" */
    struct brim_str host;        /* as received */
    struct brim_str traceparent; /* in place of the client's; empty: the client's */
    bool begins_trace;           /* which knows nothing of a tracestate */
    bool counts_hops;            /* OPTIONS: Max-Forwards is one less for the next */
    int version;                 /* of HTTP, as received: 0x101 */
    bool is_ipv6;
    bool is_in_parts; /* parts of the whole are asked for: a part cannot be decoded */
};

/*
 * Makes the fields for a flight of this kind from the client's; memory from pool (h2o's), valid as
 * long as that. Thread: loop. Spec: RFC 9110 7.6.1, 7.6.3; RFC 7239.
 */
struct brim_fields brim_upstream_fields(h2o_mem_pool_t *pool, struct brim_env *env,
                                        const struct brim_route *route, enum brim_flight_kind kind,
                                        struct brim_fields client_fields,
                                        const struct brim_upstream_client *client);

/* How many hops more Max-Forwards allows an OPTIONS; -1: nothing that can be read limits them.
 * Spec: RFC 9110 7.6.2. */
int64_t brim_upstream_hops_left(struct brim_fields fields);

/* What balance: hash of an origin goes by, for this request; key: its primary cache key. */
uint64_t brim_upstream_hash(h2o_mem_pool_t *pool, const struct brim_origin *origin,
                            struct brim_digest key, struct brim_fields fields,
                            const struct brim_upstream_client *client);

/* What a flight's failure means, as a sentence. Static. */
unsigned brim_upstream_failure_status(enum brim_err why);
const char *brim_upstream_failure(enum brim_err why);

/* Whether an origin's status is one that a stale response may stand in for. Spec: RFC 5861 4. */
static inline bool brim_upstream_is_error(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

#endif
