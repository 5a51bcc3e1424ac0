/* SPDX-License-Identifier: MIT */
/*
 * The gates between a request and everything that could answer it (handlers, cache, origin), in
 * this order, the cheapest first:
 *
 *   address -> rate limits
 *
 * Each is a leaf of policy/ that is given facts and says yes or no; what follows from a no stands
 * here. Site and route each have their say. A request that a handler sends on to another route
 * passes that one's own gates too; those of the site it has passed. What a gate answers is never
 * stored.
 */
#include <stdio.h>

#include "brim/base/metric.h"
#include "brim/serve/deliver_head.h"
#include "brim/serve/proxy_status.h"
#include "brim/serve/request_inside.h"

#define RATE_TEXT_BYTES 160u /* two members of a RateLimit field */

enum { SITE, ROUTE, RATES };

static const struct sockaddr *client_of(const struct request *r)
{
    return (const struct sockaddr *)&r->conn->peer;
}

/* ---- address ---- */

static bool pass_address(struct request *r, const struct brim_access *access)
{
    if (brim_access_allows(access, client_of(r)))
        return true;
    BRIM_COUNT(ACCESS_DENIED);
    brim_request_answer_error(r, 403, "requests from this address are not allowed", "denied",
                              BRIM_PROXY_DENIED);
    return false;
}

/* ---- rate limits ---- */

static const struct brim_rate_limit *limit_of(const struct request *r, int which)
{
    return which == SITE ? r->admitted->site_rate : r->admitted->rate;
}

/* RateLimit-Policy and RateLimit of the limits that the request was counted against. */
static void tell_rates(struct brim_delivery *d)
{
    struct request *r = (struct request *)d; /* it stands first */
    char *room = h2o_mem_alloc_pool(&d->req->pool, (size_t)RATES * RATE_TEXT_BYTES);
    struct brim_text policy = brim_text_in(room, RATE_TEXT_BYTES);
    struct brim_text state = brim_text_in(room + RATE_TEXT_BYTES, RATE_TEXT_BYTES);

    for (int i = 0; i < RATES; i++) {
        if (!r->rates[i].is_told || limit_of(r, i) == NULL)
            continue;
        brim_rate_limit_put_policy(limit_of(r, i), &policy);
        brim_rate_limit_put_state(limit_of(r, i), &r->rates[i], &state);
    }
    if (policy.len == 0)
        return;
    brim_deliver_add_text(d, NULL, "ratelimit-policy", brim_text_str(&policy));
    brim_deliver_add_text(d, NULL, "ratelimit", brim_text_str(&state));
}

static void answer_limited(struct request *r, uint64_t wait_s)
{
    char *header = h2o_mem_alloc_pool(&r->req->pool, 64);
    struct brim_deliver_error error = {.status = 429,
                                       .text = "too many requests",
                                       .header = header,
                                       .proxy_error = BRIM_PROXY_DENIED};
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_ERROR, .detail = "rate-limited"};

    BRIM_COUNT(RATE_LIMITED);
    (void)snprintf(header, 64, "retry-after: %llu", (unsigned long long)(wait_s == 0 ? 1 : wait_s));
    r->state = REQUEST_DELIVER;
    brim_deliver_error(&r->delivery, &error, &facts);
}

static bool pass_rate(struct request *r, int which)
{
    const struct brim_rate_limit *limit = limit_of(r, which);
    struct brim_rate_limit_client client = {client_of(r), r->fields};

    if (limit == NULL)
        return true;
    r->rates[which] = brim_rate_limit_take(limit, r->env->dict, &client, r->started_us);
    if (r->rates[which].is_allowed)
        return true;
    answer_limited(r, r->rates[which].wait_s);
    return false;
}

/* ---- all of them ---- */

bool brim_request_admit(struct request *r)
{
    const struct brim_route *route = r->route;
    bool is_first = r->admitted == NULL;

    if (r->admitted == route)
        return true;
    r->admitted = route;
    r->rates[ROUTE] = (struct brim_rate_limit_news){.is_told = false};
    if (route->site_rate != NULL || route->rate != NULL)
        r->delivery.dress = tell_rates;
    if (is_first && !pass_address(r, route->site_access))
        return false;
    if (!pass_address(r, route->access))
        return false;
    if (is_first && !pass_rate(r, SITE))
        return false;
    return pass_rate(r, ROUTE);
}
