/* SPDX-License-Identifier: MIT */
/*
 * The gates between a request and everything that could answer it (handlers, cache, origin), in
 * this order, the cheapest first:
 *
 *   address -> rate limits -> token, password -> rate limits by a token's subject -> signed URL
 *
 * Each is a leaf of policy/ that is given facts and says yes or no; what follows from a no stands
 * here. Site and route each have their say. A request that a handler sends on to another route
 * passes that one's own gates too; those of the site it has passed. What a gate answers is never
 * stored.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/serve/deliver_head.h"
#include "brim/serve/proxy_status.h"
#include "brim/serve/request_inside.h"
#include "brim/serve/subrequest.h"
#include "brim/serve/tls.h"

#define RATE_TEXT_BYTES  160u /* two members of a RateLimit field */
#define RETRY_TEXT_BYTES 64u
#define KEYS_BYTES_MAX   262144u /* of a JSON Web Key Set */

enum { SITE, ROUTE, RATES };

static const struct sockaddr *client_of(const struct request *r)
{
    return (const struct sockaddr *)&r->conn->peer;
}

/* ---- connection ---- */

/* Before everything else: what follows would be decided for a client that is not where it believes
 * to be. A node of the tier below asks for the name of this node, whatever it passes on. The
 * connection goes on: others of its requests are right. */
bool brim_request_is_well_directed(struct request *r)
{
    if (r->conn->shown == NULL || r->delivery.is_for_tier ||
        !brim_tls_is_misdirected(r->conn->shown, r->host))
        return true;
    BRIM_COUNT(MISDIRECTED);
    brim_request_answer_error(r, 421, "this connection is not one for this host", "misdirected",
                              BRIM_PROXY_DENIED);
    return false;
}

/* ---- address ---- */

static bool pass_address(struct request *r, const struct brim_access *access)
{
    bool may_ask = brim_access_allows(access, client_of(r));

    if (may_ask && (r->conn->client_fingerprint != NULL || !brim_access_needs_certificate(access)))
        return true;
    BRIM_COUNT(ACCESS_DENIED);
    brim_request_answer_error(r, 403,
                              may_ask ? "a client certificate is needed"
                                      : "requests from this address are not allowed",
                              "denied", BRIM_PROXY_DENIED);
    return false;
}

/* ---- rate limits ---- */

static const struct brim_rate_limit *limit_of(const struct request *r, int which)
{
    return which == SITE ? r->admitted->site_rate : r->admitted->rate;
}

/* RateLimit-Policy and RateLimit of the limits that the request was counted against. */
void brim_request_tell_rates(struct brim_delivery *d)
{
    struct request *r = (struct request *)d; /* it stands first */
    char *room;
    struct brim_text policy, state;

    if (r->admitted == NULL || (r->admitted->site_rate == NULL && r->admitted->rate == NULL))
        return;
    room = h2o_mem_alloc_pool(&d->req->pool, (size_t)RATES * RATE_TEXT_BYTES);
    policy = brim_text_in(room, RATE_TEXT_BYTES);
    state = brim_text_in(room + RATE_TEXT_BYTES, RATE_TEXT_BYTES);

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

/* header: "name: value" of the answer, NULL: none. */
static void refuse(struct request *r, unsigned status, const char *text, const char *detail,
                   const char *header)
{
    struct brim_deliver_error error = {
        .status = status, .text = text, .header = header, .proxy_error = BRIM_PROXY_DENIED};
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_ERROR, .detail = detail};

    r->state = REQUEST_DELIVER;
    brim_deliver_error(&r->delivery, &error, &facts);
}

static void answer_limited(struct request *r, uint64_t wait_s)
{
    char *header = h2o_mem_alloc_pool(&r->req->pool, RETRY_TEXT_BYTES);

    BRIM_COUNT(RATE_LIMITED);
    (void)snprintf(header, RETRY_TEXT_BYTES, "retry-after: %llu",
                   (unsigned long long)(wait_s == 0 ? 1 : wait_s));
    refuse(r, 429, "too many requests", "rate-limited", header);
}

static bool pass_rate(struct request *r, int which, bool has_subject)
{
    const struct brim_rate_limit *limit = limit_of(r, which);
    struct brim_rate_limit_client client = {client_of(r), r->fields, r->subject};

    if (limit == NULL || brim_rate_limit_is_by_subject(limit) != has_subject)
        return true;
    r->rates[which] = brim_rate_limit_take(limit, r->env->dict, &client, r->started_us);
    if (r->rates[which].is_allowed)
        return true;
    answer_limited(r, r->rates[which].wait_s);
    return false;
}

/* The request's fields but those called name. */
static struct brim_fields without(struct request *r, struct brim_str name)
{
    struct brim_field *items =
        h2o_mem_alloc_pool(&r->req->pool, (r->fields.count + 1) * sizeof(*items));
    size_t count = 0;

    for (size_t i = 0; i < r->fields.count; i++)
        if (!brim_str_is(r->fields.items[i].name, name))
            items[count++] = r->fields.items[i];
    return (struct brim_fields){items, count};
}

static bool is_edge_field(const struct brim_route *route, struct brim_str name)
{
    for (size_t i = 0; i < route->edge_fields.count; i++)
        if (brim_field_name_is_read_as(name, route->edge_fields.names[i]))
            return true;
    return false;
}

/* Nobody but a gate says what an origin is told by gates, and nobody but the listener who the
 * client's certificate is of. */
static void tell_subject(struct request *r)
{
    struct brim_field *items;
    size_t count = 0;

    if (r->route->edge_fields.count == 0)
        return;
    items = h2o_mem_alloc_pool(&r->req->pool, (r->fields.count + 1) * sizeof(*items));
    for (size_t i = 0; i < r->fields.count; i++)
        if (!is_edge_field(r->route, r->fields.items[i].name))
            items[count++] = r->fields.items[i];
    if (r->route->subject_field.len > 0 && r->conn->client_subject != NULL)
        items[count++] =
            (struct brim_field){r->route->subject_field, brim_str_of(r->conn->client_subject)};
    r->fields = r->delivery.request = (struct brim_fields){items, count};
}

/* ---- token ---- */

static void *pool_alloc(void *pool, size_t bytes)
{
    return h2o_mem_alloc_pool(pool, bytes);
}

static void on_keys(void *ctx);

/* Its keys are somewhere else. Where they cannot be asked for, the gate says so when asked again.
 */
static bool begin_fetch(struct request *r, struct brim_jwt_gate *gate, bool has_keys)
{
    struct brim_str url = brim_jwt_gate_url(gate);
    struct brim_subrequest_ask ask = {
        .env = r->env,
        .routes = r->routes,
        .url = {brim_request_str(r->req->input.scheme->name), r->authority, url},
        .origin = brim_jwt_gate_origin(gate),
        .method = BRIM_STR("GET"),
        .may_cache = !has_keys,
        .body_max = KEYS_BYTES_MAX,
        .client = r->fields,
        .peer = brim_str_of(r->conn->peer_text),
        .is_ipv6 = r->conn->peer.ss_family == AF_INET6,
        .on_end = on_keys,
        .ctx = r,
    };
    const char *why = NULL;

    if (url.base[0] == '/' || brim_uri_parse(url, &ask.url))
        r->keys = brim_subrequest_begin(&ask, &why);
    if (r->keys == NULL)
        BRIM_LOG(WARN, "jwt.keys", "url=%.*s reason=\"%s\"", (int)url.len, url.base,
                 why == NULL ? "not a URL" : why);
    return r->keys != NULL;
}

/* False: they are not there yet. */
static bool take_keys(struct request *r, struct brim_jwt_gate *gate)
{
    struct brim_subrequest_view view;
    struct brim_str text = {NULL, 0};

    brim_subrequest_view(r->keys, &view);
    if (view.state == BRIM_SUBREQUEST_WAIT)
        return false;
    if (view.state == BRIM_SUBREQUEST_DONE && view.status == 200)
        text = view.body;
    brim_jwt_gate_take_keys(gate, text, r->started_us / 1000);
    brim_subrequest_end(r->keys);
    r->keys = NULL;
    return true;
}

static bool end_token(struct request *r, const struct brim_jwt_news *news)
{
    if (news->state == BRIM_JWT_IN) {
        r->fields = r->delivery.request = news->fields;
        r->subject = news->subject;
        r->shown_to = r->route->jwt;
        return true;
    }
    BRIM_COUNT(UNAUTHORIZED);
    refuse(r, news->status, news->why, "token", news->challenge);
    return false;
}

/* False: refused, or waits for keys. */
static bool pass_token(struct request *r, bool has_fetched)
{
    struct brim_jwt_gate *gate = r->route->jwt;
    struct brim_jwt_ask ask = {
        .fields = r->fields,
        .kv = r->env->kv,
        .now_wall_ms = r->delivery.now_wall_ms,
        .now_mono_ms = r->started_us / 1000,
        .has_fetched = has_fetched,
        .alloc = pool_alloc,
        .ctx = &r->req->pool,
    };
    struct brim_jwt_news news;

    if (gate == NULL || gate == r->shown_to)
        return true; /* a route that a handler chose has its site's, which has seen the token */
    brim_jwt_gate_ask(gate, &ask, &news);
    if (news.state != BRIM_JWT_KEYS)
        return end_token(r, &news);
    if (begin_fetch(r, gate, news.has_keys) && !take_keys(r, gate)) {
        r->state = REQUEST_GATE;
        return false;
    }
    return pass_token(r, true);
}

/* ---- password ---- */

static bool end_password(struct request *r, bool fits)
{
    struct brim_basic_auth *auth = r->route->basic;

    if (!fits) {
        BRIM_COUNT(UNAUTHORIZED);
        refuse(r, 401, "user and password are needed", "password", brim_basic_auth_challenge(auth));
        return false;
    }
    if (brim_basic_auth_strips(auth))
        r->fields = r->delivery.request = without(r, BRIM_STR("authorization"));
    r->known_to = auth;
    return true;
}

/* A hash has to be computed, which takes tens of milliseconds, somewhere else. */
static void begin_password(struct request *r)
{
    struct brim_str password = brim_str(r->basic->password, r->basic->password_len);

    r->password =
        brim_password_begin(r->env->hashers, password, r->basic->hash, brim_request_port(r));
    explicit_bzero(r->basic->password, sizeof(r->basic->password));
    if (r->password != NULL)
        r->state = REQUEST_GATE;
    else
        refuse(r, 503, "too many passwords are being checked", "password", "retry-after: 1");
}

/* False: refused, or waits. */
static bool pass_password(struct request *r)
{
    struct brim_basic_auth *auth = r->route->basic;

    if (auth == NULL || auth == r->known_to)
        return true;
    if (r->basic == NULL)
        r->basic = h2o_mem_alloc_pool(&r->req->pool, sizeof(*r->basic));
    brim_basic_auth_ask(auth, r->fields, r->started_us / 1000, r->basic);
    if (r->basic->state != BRIM_BASIC_HASH)
        return end_password(r, r->basic->state == BRIM_BASIC_IN);
    begin_password(r);
    return false;
}

/* ---- signed URL ---- */

static bool pass_signature(struct request *r)
{
    const struct brim_url_keys *keys = r->route->signing;
    struct brim_signed_url_ask ask = {
        .host = r->host, .target = r->target, .now_s = r->delivery.now_wall_ms / 1000};
    const char *why;
    char *room;

    if (keys == NULL || keys == r->signed_by)
        return true;
    room = h2o_mem_alloc_pool(&r->req->pool, r->target.len + 1);
    why = brim_signed_url_check(keys, &ask, room, &r->target);
    if (why == NULL && !brim_request_method_is(r, "GET") && !brim_request_method_is(r, "HEAD"))
        why = "a signed URL is for GET and HEAD";
    if (why == NULL) {
        r->signed_by = keys;
        return true;
    }
    BRIM_COUNT(UNAUTHORIZED);
    refuse(r, 403, why, "signature", NULL);
    return false;
}

/* ---- all of them ---- */

/* What stands behind those that have to know who asks. */
static bool pass_rest(struct request *r)
{
    bool is_first = !r->is_counted;

    r->is_counted = true;
    return (!is_first || pass_rate(r, SITE, true)) && pass_rate(r, ROUTE, true) &&
           pass_signature(r);
}

static bool pass_identity(struct request *r, bool has_fetched)
{
    return pass_token(r, has_fetched) && pass_password(r) && pass_rest(r);
}

/* The hash is there, or not yet. */
static void take_password(struct request *r)
{
    enum brim_password_state state = brim_password_look(r->password);
    bool fits = state == BRIM_PASSWORD_FITS && r->basic->is_known;

    if (state == BRIM_PASSWORD_WAIT)
        return;
    brim_password_end(r->password);
    r->password = NULL;
    r->state = REQUEST_START;
    if (fits)
        brim_basic_auth_keep(r->route->basic, r->basic, r->started_us / 1000);
    if (end_password(r, fits) && pass_rest(r))
        r->admitted_then(r);
}

void brim_request_look_at_gate(struct request *r)
{
    if (r->password != NULL)
        take_password(r);
    else if (r->challenge != NULL)
        brim_request_look_at_challenge(r);
}

static void on_keys(void *ctx)
{
    struct request *r = ctx;

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    if (r->state != REQUEST_GATE || r->delivery.started || !take_keys(r, r->route->jwt))
        return;
    r->state = REQUEST_START;
    if (pass_identity(r, true))
        r->admitted_then(r);
}

bool brim_request_admit(struct request *r, void (*then)(struct request *r))
{
    const struct brim_route *route = r->route;
    bool is_first = r->admitted == NULL;

    if (r->admitted == route)
        return true;
    r->admitted = route;
    r->admitted_then = then;
    r->rates[ROUTE] = (struct brim_rate_limit_news){.is_told = false};
    if (is_first && (brim_request_answer_challenge(r) || brim_request_answer_redirect(r)))
        return false;
    if (is_first && !pass_address(r, route->site_access))
        return false;
    if (!pass_address(r, route->access))
        return false;
    if (is_first && brim_request_answer_preflight(r)) /* which bring nothing that a gate wants */
        return false;
    if (is_first)
        tell_subject(r);
    if (is_first && !pass_rate(r, SITE, false))
        return false;
    return pass_rate(r, ROUTE, false) && pass_identity(r, false);
}

void brim_request_end_gates(struct request *r)
{
    brim_subrequest_end(r->keys);
    r->keys = NULL;
    brim_password_end(r->password);
    r->password = NULL;
    brim_acme_end(r->challenge);
    r->challenge = NULL;
}
