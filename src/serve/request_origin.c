/* SPDX-License-Identifier: MIT */
/*
 * Where a request goes when it goes up: which origin, with which target; and who has written reads
 * where he wrote (policy/pin), past the cache, where a route has a write origin.
 */
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/http/cache_key.h"
#include "brim/origin/method.h"
#include "brim/serve/deliver_head.h"
#include "brim/serve/request_inside.h"

bool brim_request_is_pinned(const struct request *r)
{
    return r->has_written && r->route->write_origin != NULL;
}

struct brim_origin *brim_request_origin(const struct request *r)
{
    return r->origin != NULL ? r->origin
                             : brim_lookup_origin(r->route, r->method, brim_request_is_pinned(r));
}

struct brim_str brim_request_sent(struct request *r, enum brim_flight_kind kind)
{
    return brim_lookup_sent(&r->req->pool, r->route,
                            kind == BRIM_FLIGHT_SHARED ? r->key_target : r->target);
}

void brim_request_read_tier(struct request *r)
{
    const struct brim_field *field = brim_fields_find(r->fields, BRIM_STR(BRIM_TIER_FIELD));
    const struct brim_secret *secret = brim_routes_tier_secret(r->routes);
    const struct brim_tier_request request = {r->method, r->target, r->delivery.now_wall_ms / 1000};
    struct brim_tier_mark mark;

    if (field == NULL || secret == NULL)
        return;
    if (!brim_tier_read(secret, field->value, &request, &mark)) {
        BRIM_COUNT(TIER_MARKS_REFUSED);
        BRIM_LOG(WARN, "tier.mark_refused", "peer=%s mark=\"%.*s\"", r->conn->peer_text,
                 (int)(field->value.len < 24 ? field->value.len : 24), field->value.base);
        return;
    }
    /* All that is made of the scheme is made for the client: key, what the origin is told. */
    r->req->input.scheme = mark.is_https ? &H2O_URL_SCHEME_HTTPS : &H2O_URL_SCHEME_HTTP;
    r->is_from_peer = mark.hop == BRIM_TIER_PEER;
    r->delivery.is_for_tier = true;
}

void brim_request_begin_pin(struct request *r)
{
    const struct brim_pin *pin = r->route->pin;
    h2o_mem_pool_t *pool = &r->req->pool;

    if (pin == NULL || !brim_pin_is_named(pin, r->fields))
        return;
    r->has_written = brim_method_is_safe(r->method) &&
                     brim_pin_holds(pin, r->fields, r->delivery.now_wall_ms / 1000);
    r->fields = brim_pin_strip(
        pin, r->fields, h2o_mem_alloc_pool(pool, (r->fields.count + 1) * sizeof(struct brim_field)),
        h2o_mem_alloc_pool(pool, 2 * brim_cache_key_cookies_room(r->fields) + 1));
    r->delivery.request = r->fields;
    if (brim_request_is_pinned(r))
        BRIM_COUNT(READS_PINNED);
}

void brim_request_tell_pin(struct brim_delivery *d)
{
    struct request *r = (struct request *)d; /* it stands first */
    char *text;

    if (r->route == NULL || r->route->pin == NULL || r->route->write_origin == NULL ||
        brim_method_is_safe(r->method) || d->facts.outcome != BRIM_OUTCOME_PASS ||
        d->status < 200 || d->status > 399)
        return;
    text = h2o_mem_alloc_pool(&d->req->pool, BRIM_PIN_COOKIE_BYTES);
    brim_deliver_add_text(d, H2O_TOKEN_SET_COOKIE, NULL,
                          brim_pin_cookie(r->route->pin, d->now_wall_ms / 1000,
                                          r->req->input.scheme == &H2O_URL_SCHEME_HTTPS, text));
}
