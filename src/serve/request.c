/* SPDX-License-Identifier: MIT */
/*
 * The steps, top to bottom; each arrow is one function here:
 *
 *   START -> guard -> (next turn, after TURN_REQUESTS) -> site and route -> gates -> method
 *      |         \-> refused            \-> PASS flight (unsafe, bypass, no-store)
 *      |  (where a gate or a handler waits: GATE or HANDLER, then on from there)
 *      v
 *   FIND  -> fresh object ------------------------------> DELIVER
 *      |  -> stale but allowed (and refresh behind) ----> DELIVER
 *      |  -> cold disk: wait, FIND again
 *      v
 *      |  -> nothing, and a range is asked or parts are stored: SLICES, part by part
 *      v
 *   FLIGHT (join or start; with the stale object to revalidate)
 *      |  -> READY, ALONE ------------------------------> DELIVER
 *      |  -> REFUSED: a PASS flight of one's own
 *      |  -> FAILED or 5xx: the stale object if allowed, else an error
 *      v
 *   DELIVER -> dispose: access log, counters
 *
 * A request lives in h2o's pool on its worker's loop and is never touched by another thread; what
 * other threads may fire is the wake (serve/wake.h).
 */
#include "brim/serve/request.h"

#include <netinet/in.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/cache/marker.h"
#include "brim/http/conditional.h"
#include "brim/http/uri.h"
#include "brim/http/vary.h"
#include "brim/policy/answer_handler.h"
#include "brim/serve/delta_answer.h"
#include "brim/serve/proxy_status.h"
#include "brim/serve/request_inside.h"
#include "brim/serve/upstream.h"

#define VARY_SCRATCH_BYTES 8192u
#define TURN_REQUESTS      128u /* of a connection and loop turn; of HTTP/2 there are 100 at once */
#define VARIANTS_TRIED_MAX 3u   /* then alone: an origin that varies by something else each time */

static void find_anew(struct request *r);
static void on_wake(void *ctx);

struct brim_port *brim_request_port(struct request *r)
{
    if (r->wake == NULL)
        r->wake = brim_wake_new(&r->env->wakes, on_wake, r);
    return brim_wake_port(r->wake);
}

/* ---- the end of every request ---- */

static void leave_flight(struct request *r)
{
    if (r->flight != NULL)
        brim_flight_leave(r->flight, brim_wake_port(r->wake));
    r->flight = NULL;
}

/* The pool's dispose: runs for every request, answered or not (h2o's only reliable end). */
static void on_dispose(void *memory)
{
    struct request *r = memory;

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    if (!r->delivery.started) {
        r->delivery.facts.outcome = BRIM_OUTCOME_ERROR;
        r->delivery.facts.detail = "client-left";
        brim_guard_count_cancelled(r->conn);
    }
    brim_request_account(r);
    h2o_timeout_unlink(&r->turn);
    brim_flight_let_go(&r->newest.hold);
    brim_find_fini(&r->find);
    brim_deliver_fini(&r->delivery);
    leave_flight(r);
    brim_slices_free(r->slices);
    brim_request_end_gates(r);
    brim_request_end_purge(r);
    brim_request_end_handlers(r);
    brim_request_end_choice(r);
    brim_wake_cancel(r->wake);
    brim_object_unref(r->stale);
    free(r->variant_text);
    brim_routes_unref(r->routes);
    r->magic = 0;
}

/* ---- answers ---- */

/* type: error type of Proxy-Status. */
void brim_request_answer_error(struct request *r, unsigned status, const char *text,
                               const char *detail, const char *type)
{
    struct brim_deliver_error error = {.status = status, .text = text, .proxy_error = type};
    struct brim_deliver_facts facts = {
        .outcome = BRIM_OUTCOME_ERROR, .fwd = r->fwd, .detail = detail};

    r->state = REQUEST_DELIVER;
    if (status == 503)
        error.header = "retry-after: 1";
    brim_deliver_error(&r->delivery, &error, &facts);
}

static void answer_object(struct request *r, struct brim_object *object,
                          const struct brim_deliver_facts *facts)
{
    struct brim_deliver_facts told = *facts;
    const char *coding = NULL;

    if (!facts->as_received && !r->control.no_transform)
        object = brim_delta_answer(r->env->dictionaries, r->fields, object, r->delivery.now_wall_ms,
                                   &coding);
    if (!facts->as_received && brim_choice_is_foreign(object, r->fields)) {
        brim_object_unref(object);
        leave_flight(r);
        r->fwd = "vary-miss";
        brim_request_fly(r, BRIM_FLIGHT_PASS); /* the origin has another for it */
        return;
    }
    if (!facts->as_received &&
        (brim_encoders_might(r->env->encoders, object) || brim_choice_can_decode(object))) {
        brim_request_answer_stored(r, object, facts);
        return;
    }
    if (coding != NULL)
        told.detail = coding;
    r->state = REQUEST_DELIVER;
    if (!brim_deliver_is_immediate(object))
        r->delivery.port = brim_request_port(r);
    if (!facts->as_received || !brim_request_code_received(r, object, &told))
        brim_deliver_object(&r->delivery, object, &told);
}

/* RFC 9111 5.2.1.7. */
static void answer_not_cached(struct request *r)
{
    brim_request_answer_error(r, 504, "not in the cache, and only-if-cached was asked",
                              "only-if-cached", BRIM_PROXY_OWN);
}

/* Serves the stale object instead of an error; false if that is not allowed. */
static bool answer_stale(struct request *r)
{
    struct brim_object *stale = r->stale;
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_STALE,
                                       .fwd = r->fwd,
                                       .fwd_status = r->origin_status,
                                       .detail = "stale-if-error"};

    if (stale == NULL ||
        !brim_freshness_may_serve_error(&stale->fresh, &r->control, r->delivery.now_wall_ms))
        return false;
    r->stale = NULL;
    BRIM_COUNT(STALE_ERROR);
    answer_object(r, stale, &facts);
    return true;
}

/* ---- flight ---- */

static void answer_failure(struct request *r, enum brim_err why, enum brim_fetch_cause cause)
{
    unsigned status = brim_upstream_failure_status(why);

    /* What must be validated and cannot be: 504 (RFC 9111 5.2.2.2). */
    if (r->stale != NULL && r->stale->fresh.must_revalidate && status == 502)
        status = 504;
    if (!answer_stale(r))
        brim_request_answer_error(r, status, brim_upstream_failure(why), brim_err_name(why),
                                  brim_proxy_status_failure(why, cause));
}

/* Where this request is fetched from. What a peer asks is not asked of another. */
static struct brim_origin *origin_of(const struct request *r)
{
    struct brim_origin *origin = r->asking != NULL ? r->asked_origin : brim_request_origin(r);

    while (r->is_from_peer && origin->tier == BRIM_TIER_PEER && origin->fallback != NULL)
        origin = origin->fallback;
    return origin;
}

void brim_request_fill_ask(struct request *r, enum brim_flight_kind kind,
                           struct brim_flight_ask *ask)
{
    const struct brim_script_request *asking = r->asking;
    struct brim_str method = asking != NULL ? asking->method : r->method;
    struct brim_fields fields = kind == BRIM_FLIGHT_SHARED ? r->find.request : r->fields;
    struct brim_str host = brim_uri_authority(r->find.primary.text);
    struct brim_upstream_client client = {
        .peer = brim_str_of(r->conn->peer_text),
        .scheme = brim_request_str(r->req->input.scheme->name),
        .host = host,
        .counts_hops = brim_request_method_is(r, "OPTIONS"),
        .version = r->req->version,
        .is_ipv6 = r->conn->peer.ss_family == AF_INET6,
        .is_in_parts = r->state == REQUEST_SLICES,
        .traceparent = brim_request_traceparent(r),
        .begins_trace = r->trace.is_made,
    };

    if (asking != NULL)
        fields = brim_lookup_with_key(
            &r->req->pool, r->fields,
            (struct brim_fields){asking->headers.items, asking->headers.count});
    *ask = (struct brim_flight_ask){
        .kind = kind,
        .primary = r->find.primary,
        .key = r->find.key,
        .method = kind == BRIM_FLIGHT_SHARED ? BRIM_STR("GET") : method,
        .target = asking != NULL ? asking->target : brim_request_sent(r, kind),
        .host = host,
        .host_sent = r->route->rewrite.host,
        .fields = brim_upstream_fields(&r->req->pool, r->env, r->route, kind, fields, &client),
        .body = r->req->entity.base,
        .body_bytes = r->req->entity.base == NULL ? 0 : r->req->entity.len,
        .has_body = kind == BRIM_FLIGHT_PASS && r->req->entity.base != NULL,
        .exceeds_key = kind == BRIM_FLIGHT_PASS && r->exceeds_key,
        .stale = kind == BRIM_FLIGHT_SHARED ? r->stale : NULL,
        .hash = brim_upstream_hash(&r->req->pool, origin_of(r), r->find.primary.digest, r->fields,
                                   &client),
        .ledger = r->conn->ledger,
        .origin = origin_of(r),
        .rules = &r->route->rules,
        .hook = brim_answer_handler_hook(r->handlers),
        .keep_ref = (void (*)(void *))brim_routes_ref,
        .keep_unref = (void (*)(void *))brim_routes_unref,
        .keep = r->routes,
    };
    brim_request_prefer(r, ask);
}

static void fly_shared(struct request *r)
{
    brim_request_fly(r, BRIM_FLIGHT_SHARED);
}

static void fly_alone(struct request *r)
{
    brim_request_fly(r, BRIM_FLIGHT_PASS);
}

void brim_request_fly(struct request *r, enum brim_flight_kind kind)
{
    struct brim_flight_ask ask;
    enum brim_err err;

    INVARIANT(r->flight == NULL);
    r->is_shared = kind == BRIM_FLIGHT_SHARED;
    if (!brim_request_ask_handler(r, r->is_shared ? fly_shared : fly_alone))
        return;
    r->state = REQUEST_FLIGHT;
    brim_request_fill_ask(r, kind, &ask);
    r->asked = ask.fields;
    ask.looked_again = r->looked_again;
    err = brim_flight_join(r->env->flights, &ask, brim_request_port(r), &r->flight);
    if (err == BRIM_EAGAIN) {
        r->looked_again = true;
        find_anew(r);
    } else if (err != BRIM_OK) {
        answer_failure(r, err, BRIM_FETCH_CAUSE_UNKNOWN);
    } else {
        on_wake(r); /* it may have news already */
    }
}

static void refresh_behind(struct request *r, struct brim_object *stale)
{
    struct brim_flight_ask ask;

    r->is_shared = true;
    if (!brim_request_ask_handler(r, NULL))
        return; /* the client gets what is there */
    brim_request_fill_ask(r, BRIM_FLIGHT_SHARED, &ask);
    ask.stale = stale;
    brim_flight_refresh(r->env->flights, &ask);
}

/* A popular object that will soon end is revalidated while it is still a hit. */
static void renew_ahead(struct request *r, struct brim_object *object)
{
    int64_t percent = r->route->rules.ahead_percent;

    if (percent == 0 ||
        !brim_freshness_is_ending(&object->fresh, percent, r->delivery.now_wall_ms) ||
        !brim_object_claim_renewal(object))
        return;
    BRIM_COUNT(REFRESHES_AHEAD);
    refresh_behind(r, object);
}

static void answer_flown(struct request *r, const struct brim_flight_view *view)
{
    bool alone = view->state == BRIM_FLIGHT_ALONE;
    struct brim_deliver_facts facts = {
        .outcome = alone               ? BRIM_OUTCOME_PASS
                   : view->revalidated ? BRIM_OUTCOME_REVALIDATED
                                       : BRIM_OUTCOME_MISS,
        .fwd = r->fwd,
        .fwd_status = view->revalidated ? 304 : 0,
        .stored = view->stored && !alone,
        .collapsed = r->is_shared && !view->led,
        .as_received = !r->is_shared,
    };

    if (brim_upstream_is_error(view->origin_status) && answer_stale(r)) {
        brim_object_unref(view->object);
        return;
    }
    answer_object(r, view->object, &facts);
}

/* The names that object's Vary lists, as brim_marker_variant wants them; false: not usable. */
static bool vary_names(const struct request *r, const struct brim_object *object,
                       struct brim_field *items, char *scratch, struct brim_fields *names_out)
{
    struct brim_str names[BRIM_VARY_NAMES_MAX];
    size_t count;

    if (brim_vary_names_for(r->asked, object->fields, scratch, VARY_SCRATCH_BYTES, names, &count) !=
        BRIM_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct brim_field){.name = names[i]};
    *names_out = (struct brim_fields){items, count};
    return true;
}

/* The shared answer is another variant's: this request joins, or starts, the flight of its own. */
static void fly_own_variant(struct request *r, struct brim_object *other)
{
    struct brim_field items[BRIM_VARY_NAMES_MAX];
    char scratch[VARY_SCRATCH_BYTES];
    struct brim_fields names;
    struct brim_key key;
    char *text = NULL;
    bool known = r->variants_tried++ < VARIANTS_TRIED_MAX &&
                 vary_names(r, other, items, scratch, &names) &&
                 brim_marker_variant(&r->find.primary, &names, r->asked, &text, &key) == BRIM_OK;

    brim_object_unref(other);
    leave_flight(r);
    if (!known) {
        brim_request_fly(r, BRIM_FLIGHT_PASS);
        return;
    }
    free(r->variant_text);
    r->variant_text = text;
    r->find.key = key;
    r->fwd = "vary-miss";
    brim_request_fly(r, BRIM_FLIGHT_SHARED);
}

void brim_request_answer(struct request *r, struct brim_flight_view *view)
{
    r->origin_status = view->origin_status;
    r->delivery.origin_ms = view->origin_ms;
    r->served_by = view->origin;
    r->served_server = view->server;
    switch (view->state) {
    case BRIM_FLIGHT_READY:
    case BRIM_FLIGHT_ALONE:
        answer_flown(r, view);
        brim_flight_let_go(&view->hold); /* what is sent is being read by now */
        return;
    case BRIM_FLIGHT_OTHER:
        fly_own_variant(r, view->object);
        return;
    case BRIM_FLIGHT_REFUSED:
        leave_flight(r);
        if (brim_upstream_is_error(view->origin_status) && answer_stale(r))
            return;
        brim_request_fly(r, BRIM_FLIGHT_PASS);
        return;
    case BRIM_FLIGHT_FAILED:
        leave_flight(r);
        answer_failure(r, view->why, view->cause);
        return;
    case BRIM_FLIGHT_WAIT:
        return;
    }
}

static void look_at_flight(struct request *r)
{
    struct brim_flight_view view;

    brim_flight_view(r->flight, brim_wake_port(r->wake), r->asked, &view);
    if (view.state != BRIM_FLIGHT_WAIT)
        brim_request_answer(r, &view);
}

/* ---- lookup ---- */

/* Of an object that is there and may not be used: fresh, but not for this client, or stale for all
 * (RFC 9211 2.2). */
static const char *why_asked(const struct request *r, const struct brim_object *object)
{
    static const struct brim_request_control nothing = {
        .max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};
    enum brim_use use =
        brim_freshness_use(&object->fresh, &nothing, r->delivery.now_wall_ms, r->find.soft_purged);

    return use == BRIM_USE_FRESH ? "request" : "stale";
}

static void use_object(struct request *r, struct brim_object *object)
{
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_HIT};
    enum brim_use use = brim_freshness_use(&object->fresh, &r->control, r->delivery.now_wall_ms,
                                           r->find.soft_purged);

    switch (use) {
    case BRIM_USE_FRESH:
        renew_ahead(r, object);
        answer_object(r, object, &facts);
        return;
    case BRIM_USE_STALE:
    case BRIM_USE_STALE_SWR:
        facts.outcome = BRIM_OUTCOME_STALE;
        brim_metric_add(
            use == BRIM_USE_STALE_SWR ? BRIM_METRIC_STALE_BEHIND : BRIM_METRIC_STALE_ASKED, 1);
        if (use == BRIM_USE_STALE_SWR)
            refresh_behind(r, object);
        answer_object(r, object, &facts);
        return;
    case BRIM_USE_REVALIDATE:
        break;
    }
    r->stale = object;
    r->fwd = why_asked(r, object);
    if (r->control.only_if_cached)
        answer_not_cached(r);
    else
        brim_request_fly(r, BRIM_FLIGHT_SHARED);
}

static enum brim_found search(struct request *r)
{
    const struct brim_lookup_places places = {r->env->cache, r->env->flights};

    return brim_lookup_find(&r->newest, &places, &r->control, &r->find);
}

static void find(struct request *r)
{
    enum brim_found found;

    r->state = REQUEST_FIND;
    found = search(r);
    if (found == BRIM_FOUND_WAIT && r->find.port == NULL) {
        r->find.port = brim_request_port(r); /* only a cold read pays for a port */
        found = search(r);
    }
    if (found == BRIM_FOUND_WAIT)
        return;
    if (found == BRIM_FOUND_OBJECT) {
        use_object(r, r->find.object);
        return;
    }
    r->fwd = brim_digest_is(r->find.key.digest, r->find.primary.digest) ? "uri-miss" : "vary-miss";
    if (r->control.only_if_cached)
        answer_not_cached(r);
    else if (found == BRIM_FOUND_PASS || r->control.no_store)
        brim_request_fly(r, BRIM_FLIGHT_PASS);
    else
        brim_request_fetch(r);
}

/* With nothing kept of an earlier search: what the URL varies by may have changed too. */
static void find_anew(struct request *r)
{
    brim_find_fini(&r->find);
    find(r);
}

static void on_wake(void *ctx)
{
    struct request *r = ctx;

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    if (r->delivery.started || r->state == REQUEST_DELIVER)
        brim_deliver_wake(&r->delivery);
    else if (r->state == REQUEST_FIND)
        find(r);
    else if (r->state == REQUEST_GATE)
        brim_request_look_at_gate(r);
    else if (r->state == REQUEST_PURGE)
        brim_request_look_at_purge(r);
    else if (r->state == REQUEST_CHOICE)
        brim_request_look_at_choice(r);
    else if (r->state == REQUEST_SLICES)
        brim_request_look_at_parts(r);
    else if (r->flight != NULL)
        look_at_flight(r);
}

/* ---- start ---- */

static struct brim_fields fields_of(h2o_req_t *req)
{
    size_t count = req->headers.size;
    struct brim_field *fields = h2o_mem_alloc_pool(&req->pool, (count + 1) * sizeof(*fields));

    for (size_t i = 0; i < count; i++) {
        const h2o_header_t *header = &req->headers.entries[i];

        fields[i].name = brim_request_str(*header->name);
        fields[i].value = brim_str_trim(brim_request_str(header->value));
    }
    return (struct brim_fields){fields, count};
}

/* What is said on every response, whoever made it. */
static void dress(struct brim_delivery *delivery)
{
    brim_request_tell_rates(delivery);
    brim_request_dress(delivery);
    brim_request_tell_pin(delivery);
    brim_request_tell_sticky(delivery);
}

static size_t held_memory(const struct brim_conn_request *link)
{
    const struct request *r = H2O_STRUCT_FROM_MEMBER(struct request, delivery.link, link);

    return brim_deliver_memory(&r->delivery) +
           (r->flight == NULL ? 0 : brim_flight_weight(r->flight, brim_wake_port(r->wake)));
}

static struct request *request_new(struct brim_env *env, h2o_req_t *req)
{
    struct request *r = h2o_mem_alloc_shared(&req->pool, sizeof(*r), on_dispose);

    memset(r, 0, sizeof(*r));
    r->magic = BRIM_REQUEST_MAGIC;
    r->env = env;
    r->req = req;
    r->started_us = brim_clock_mono_us();
    r->id[0] = env->id_high;
    r->id[1] = env->id_low++;
    r->method = brim_request_str(req->input.method);
    r->target = brim_request_str(req->input.path);
    r->authority = brim_str_trim(brim_request_str(req->input.authority));
    r->fields = fields_of(req);
    r->routes = env->routes;
    brim_routes_ref(r->routes);
    brim_deliver_init(&r->delivery, env, req, r->fields);
    r->delivery.dress = dress;
    r->delivery.link.memory = held_memory;
    r->conn = r->delivery.conn;
    return r;
}

void brim_request_refuse(struct request *r, const struct brim_guard_refusal *refusal)
{
    struct brim_deliver_error error = {.status = refusal->status,
                                       .text = refusal->reason,
                                       .proxy_error = brim_proxy_status_refusal(refusal->status),
                                       .close = true};
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_ERROR, .detail = "refused"};

    if (refusal->status == 405)
        error.header = "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    brim_deliver_error(&r->delivery, &error, &facts);
}

bool brim_request_match_route(struct request *r)
{
    const struct brim_lookup_url url = {r->authority, r->target, {r->method, r->fields}};

    r->route = brim_lookup_route(&r->req->pool, r->routes, &url, &r->host);
    r->delivery.error_page = r->route == NULL ? NULL : r->route->error_page;
    return r->route != NULL;
}

/* Whether this very node has forwarded the request before (RFC 8586). */
static bool is_loop(const struct request *r)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;

    while (brim_fields_next_member(r->fields, BRIM_STR("cdn-loop"), &cursor, &member))
        if (brim_str_is(member, r->env->loop_member))
            return true;
    return false;
}

/* OPTIONS with Max-Forwards: 0 is for this hop (RFC 9110 7.6.2). */
static bool is_for_this_hop(const struct request *r)
{
    return brim_request_method_is(r, "OPTIONS") && brim_upstream_hops_left(r->fields) == 0;
}

static bool has_read_method(const struct request *r)
{
    return brim_request_method_is(r, "GET") || brim_request_method_is(r, "HEAD");
}

static bool has_body(const struct request *r)
{
    return r->req->entity.base != NULL && r->req->entity.len > 0;
}

/* A GET with a body means something to its origin that the key does not show; what If-Match asks
 * only the origin knows. */
static bool is_cacheable_request(const struct request *r)
{
    return !r->route->rules.bypass && !brim_request_is_pinned(r) && !has_body(r) &&
           has_read_method(r) &&
           !brim_conditional_is_for_origin(r->fields, r->delivery.now_wall_ms / 1000);
}

/* libh2o keeps an HTTP/1.1 connection only if there is no Connection field or it says keep-alive,
 * and keeps it for "close, keep-alive" (RFC 9112 9.3). */
static void decide_persistence(struct request *r)
{
    h2o_req_t *req = r->req;
    struct brim_str name = BRIM_STR("connection");
    bool close = brim_fields_has_token(r->fields, name, BRIM_STR("close"));
    bool keep =
        req->version >= 0x101 || brim_fields_has_token(r->fields, name, BRIM_STR("keep-alive"));

    if (req->version < 0x200)
        req->http1_is_persistent = keep && !close && !req->conn->ctx->shutdown_requested;
}

/* What Connection names is not for those behind brim, so it must not be in a key, a route or a gate
 * either: an answer would be stored under a field that its origin never saw. And it goes before
 * brim adds any, so that none of those is taken away. */
static void drop_this_hop(struct request *r)
{
    struct brim_field *items = (struct brim_field *)(uintptr_t)r->fields.items; /* fields_of */

    r->fields = r->delivery.request = brim_fields_beyond_hop(r->fields, items);
}

static bool make_key(struct request *r)
{
    struct brim_lookup lookup = {
        .pool = &r->req->pool,
        .scheme = brim_request_str(r->req->input.scheme->name),
        .host = r->authority,
        .target = r->target,
        .part = brim_lookup_part(&r->req->pool, r->route, r->origin_named, r->key_part),
        .fields = r->fields,
    };
    bool is_made = brim_lookup_make(&lookup, &r->route->key, &r->find);

    r->fields = lookup.fields;
    r->key_target = lookup.key_target;
    r->exceeds_key = lookup.exceeds_key;
    r->find.now_wall_ms = r->delivery.now_wall_ms;
    if (r->route->key.in_status)
        r->delivery.key = r->find.primary.text;
    return is_made;
}

void brim_request_look(struct request *r)
{
    if (!brim_request_admit(r, brim_request_look))
        return; /* a handler chose another route, whose gates are in the way */
    if (!make_key(r)) {
        brim_request_answer_error(r, 414, "the URL is too long", "refused", BRIM_PROXY_REQUEST);
        return;
    }
    brim_request_control_parse(r->fields, &r->route->rules, &r->control);
    if (!is_cacheable_request(r)) {
        r->fwd = has_read_method(r) ? "bypass" : "method";
        if (r->control.only_if_cached && has_read_method(r))
            answer_not_cached(r);
        else
            brim_request_fly(r, BRIM_FLIGHT_PASS);
        return;
    }
    find(r);
}

/* What the gates have let in. */
static void enter(struct request *r)
{
    if (is_loop(r)) {
        brim_request_answer_error(r, 508,
                                  "this node has seen the request before: origins form a loop",
                                  "loop", BRIM_PROXY_LOOP);
        return;
    }
    if (is_for_this_hop(r)) {
        brim_request_answer_error(r, 200, "answered by the cache, as Max-Forwards asks",
                                  "max-forwards", BRIM_PROXY_OWN);
        return;
    }
    brim_request_begin_pin(r);
    if (brim_request_handle(r))
        brim_request_look(r);
}

static void begin(struct request *r)
{
    if (brim_str_is(brim_request_str(r->req->input.path), BRIM_STR("*"))) {
        brim_request_answer_error(r, 501, "OPTIONS * is not answered here", "refused",
                                  BRIM_PROXY_DENIED);
        return;
    }
    if (r->req->input.authority.base == r->req->hostconf->authority.hostport.base) {
        brim_request_answer_error(r, 400, "the request names no host", "refused",
                                  BRIM_PROXY_REQUEST); /* h2o put its own there */
        return;
    }
    brim_request_read_tier(r);
    if (!brim_request_match_route(r)) {
        brim_request_answer_error(r, 404, "no site is configured for this host", "unknown-host",
                                  BRIM_PROXY_NO_SITE);
        return;
    }
    if (!brim_request_is_well_directed(r))
        return;
    brim_request_begin_trace(r);
    if (r->route->server_timing)
        r->delivery.timed_since_us = r->started_us;
    if (brim_request_method_is(r, "PURGE")) {
        brim_request_purge(r);
        return;
    }
    if (brim_request_admit(r, enter))
        enter(r);
}

static void on_turn(h2o_timeout_entry_t *entry)
{
    struct request *r = H2O_STRUCT_FROM_MEMBER(struct request, turn, entry);

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    if (!r->delivery.started) /* else its connection was killed meanwhile */
        begin(r);
}

/* Whether the request may begin in this turn of the loop. h2o goes from one to the next of a
 * connection as long as it finds any in what it has read: thousands, while all others wait. */
static bool has_turn(struct request *r)
{
    struct brim_conn *conn = r->conn;

    if (conn->turn != r->env->turn) {
        conn->turn = r->env->turn;
        conn->turn_requests = 0;
    }
    conn->turn_requests++;
    return conn->turn_requests <= TURN_REQUESTS;
}

int brim_request_start(h2o_handler_t *handler, h2o_req_t *req)
{
    struct brim_env *env = brim_env_of(req);
    struct request *r = request_new(env, req);
    struct brim_guard_refusal refusal = brim_guard_check(req, r->fields, &env->limits);

    (void)handler;
    if (refusal.status != 0) {
        brim_guard_count_refused(r->conn);
        brim_request_refuse(r, &refusal);
        return 0;
    }
    r->target = brim_request_str(req->input.path); /* of what was absolute-form the rest */
    decide_persistence(r);
    drop_this_hop(r);
    if (has_turn(r)) {
        begin(r);
        return 0;
    }
    BRIM_COUNT(REQUESTS_POSTPONED);
    r->turn.cb = on_turn;
    h2o_timeout_link(env->ctx.loop, &env->yield, &r->turn);
    return 0;
}
