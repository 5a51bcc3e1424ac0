/* SPDX-License-Identifier: MIT */
/*
 * rate_limit - how often one client may ask: a token bucket for each, in the node's dict, so that
 * all workers count together and the number of buckets is bounded (those not used for longest go).
 *
 * A site and a route have a limit each, with buckets of their own. What a client is told follows
 * draft-ietf-httpapi-ratelimit-headers: a policy of `burst` requests in the time that so many take
 * to come back.
 */
#ifndef BRIM_POLICY_RATE_LIMIT_H
#define BRIM_POLICY_RATE_LIMIT_H

#include "brim/base/conf.h"
#include "brim/base/text.h"
#include "brim/http/field.h"

struct sockaddr;
struct brim_dict;
struct brim_rate_limit; /* opaque: one limit */

struct brim_rate_limit_place {
    const char *site;  /* first host name */
    const char *route; /* pattern; NULL: the site's own limit */
};

/* NULL: any number. conf was checked and may be freed. Thread: init or control. */
struct brim_rate_limit *brim_rate_limit_compile(const struct brim_conf_rate_limit *conf,
                                                const struct brim_rate_limit_place *place);
void brim_rate_limit_free(struct brim_rate_limit *limit); /* accepts NULL */

/* Who asks. */
struct brim_rate_limit_client {
    const struct sockaddr *address;
    struct brim_fields fields; /* of the request */
    struct brim_str subject;   /* of its token; empty: it has none */
};

/* Whether it counts by the token's subject, and so has to wait until the token is checked. */
bool brim_rate_limit_is_by_subject(const struct brim_rate_limit *limit);

struct brim_rate_limit_news {
    bool is_allowed;
    bool is_told;       /* the client may know */
    uint32_t remaining; /* how many more would be allowed now */
    uint64_t wait_s;    /* until one is allowed, if it was not; else until all are again */
};

/* Takes one request out of the client's bucket. Where dict has no memory, it is allowed. Thread:
 * any. */
struct brim_rate_limit_news brim_rate_limit_take(const struct brim_rate_limit *limit,
                                                 struct brim_dict *dict,
                                                 const struct brim_rate_limit_client *client,
                                                 uint64_t now_us);

/* Appends this limit's member of RateLimit-Policy, and of RateLimit. */
void brim_rate_limit_put_policy(const struct brim_rate_limit *limit, struct brim_text *text);
void brim_rate_limit_put_state(const struct brim_rate_limit *limit,
                               const struct brim_rate_limit_news *news, struct brim_text *text);

#endif
