/* SPDX-License-Identifier: MIT */
/*
 * What a site says of every response, whoever made it, beside what the origin says: who may read it
 * from other pages (CORS), and how browsers are to be careful with it. And what needs nobody's
 * answer but the edge's: preflights, and that the rest is to be asked by https.
 */
#include <stdio.h>

#include "brim/base/invariant.h"
#include "brim/serve/deliver_head.h"
#include "brim/serve/proxy_status.h"
#include "brim/serve/request_inside.h"

enum { PRESET_OFF, PRESET_BASIC, PRESET_STRICT }; /* values of security_headers.preset */

static bool is_https(const struct request *r)
{
    return brim_str_is(brim_request_str(r->req->input.scheme->name), BRIM_STR("https"));
}

/* ---- fields ---- */

static bool has_field(const struct brim_delivery *d, struct brim_str name)
{
    const h2o_headers_t *headers = &d->req->res.headers;

    for (size_t i = 0; i < headers->size; i++)
        if (brim_str_is(brim_request_str(*headers->entries[i].name), name))
            return true;
    return false;
}

/* The origin's own word goes before ours. */
static void add_unless_said(struct brim_delivery *d, const char *name, struct brim_str value)
{
    if (value.len > 0 && !has_field(d, brim_str_of(name)))
        brim_deliver_add_text(d, NULL, name, value);
}

static void tell_security(struct brim_delivery *d, const struct brim_route *route, bool is_secure)
{
    bool is_strict = route->security == PRESET_STRICT;

    if (is_secure) /* nobody believes it elsewhere (RFC 6797 7.2) */
        add_unless_said(d, "strict-transport-security", route->hsts);
    if (route->security == PRESET_OFF)
        return;
    add_unless_said(d, "x-content-type-options", BRIM_STR("nosniff"));
    add_unless_said(d, "referrer-policy",
                    is_strict ? BRIM_STR("no-referrer")
                              : BRIM_STR("strict-origin-when-cross-origin"));
    add_unless_said(d, "x-frame-options", is_strict ? BRIM_STR("DENY") : BRIM_STR("SAMEORIGIN"));
    if (!is_strict)
        return;
    add_unless_said(d, "content-security-policy",
                    BRIM_STR("default-src 'self'; object-src 'none'; base-uri 'self'; "
                             "frame-ancestors 'none'"));
    add_unless_said(d, "cross-origin-opener-policy", BRIM_STR("same-origin"));
    add_unless_said(d, "cross-origin-resource-policy", BRIM_STR("same-origin"));
    add_unless_said(d, "permissions-policy", BRIM_STR("camera=(), geolocation=(), microphone=()"));
}

static void tell_cors(struct brim_delivery *d, const struct brim_cors *cors)
{
    struct brim_field fields[BRIM_CORS_FIELDS_MAX];
    h2o_headers_t *headers = &d->req->res.headers;
    size_t kept = 0, count = brim_cors_answer(cors, d->request, fields);

    for (size_t i = 0; i < headers->size; i++)
        if (!brim_cors_replaces(brim_request_str(*headers->entries[i].name)))
            headers->entries[kept++] = headers->entries[i];
    headers->size = kept;
    for (size_t i = 0; i < count; i++)
        brim_deliver_add_text(d, NULL, fields[i].name.base, fields[i].value);
}

void brim_request_dress(struct brim_delivery *d)
{
    struct request *r = (struct request *)d; /* it stands first */

    if (r->route == NULL)
        return;
    if (r->route->cors != NULL && !r->is_preflight)
        tell_cors(d, r->route->cors);
    tell_security(d, r->route, is_https(r));
}

/* ---- answers of the edge's own ---- */

bool brim_request_answer_preflight(struct request *r)
{
    const struct brim_cors *cors = r->route->cors;
    struct brim_field *fields;
    size_t count;

    if (cors == NULL || !brim_cors_is_preflight(r->method, r->fields))
        return false;
    fields = h2o_mem_alloc_pool(&r->req->pool, BRIM_CORS_FIELDS_MAX * sizeof(*fields));
    count = brim_cors_preflight(cors, r->fields, fields);
    r->is_preflight = true;
    r->state = REQUEST_DELIVER;
    brim_deliver_said(&r->delivery, 204, (struct brim_fields){fields, count}, BRIM_STR(""),
                      "preflight");
    return true;
}

bool brim_request_answer_redirect(struct request *r)
{
    static const unsigned statuses[] = {0, 301, 308}; /* sites[].redirect_https */
    struct brim_deliver_error error = {.status = statuses[r->route->redirect],
                                       .text = "by https, please",
                                       .proxy_error = BRIM_PROXY_OWN};
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_ERROR, .detail = "redirect"};
    size_t room = r->host.len + r->target.len + 32;
    char *header;
    int len;

    if (error.status == 0 || is_https(r))
        return false;
    header = h2o_mem_alloc_pool(&r->req->pool, room);
    len = snprintf(header, room, "location: https://%.*s%.*s", (int)r->host.len, r->host.base,
                   (int)r->target.len, r->target.base);
    INVARIANT(len > 0 && (size_t)len < room);
    error.header = header;
    r->state = REQUEST_DELIVER;
    brim_deliver_error(&r->delivery, &error, &facts);
    return true;
}

void brim_request_look_at_challenge(struct request *r)
{
    static const struct brim_field fields[] = {
        {BRIM_STR("content-type"), BRIM_STR("application/octet-stream")},
        {BRIM_STR("cache-control"), BRIM_STR("no-store")},
    };
    struct brim_str text;

    switch (brim_acme_look(r->challenge, &text)) {
    case BRIM_ACME_WAIT:
        return;
    case BRIM_ACME_THERE: /* it lives as long as the request */
        r->state = REQUEST_DELIVER;
        brim_deliver_said(&r->delivery, 200, (struct brim_fields){fields, 2}, text, "acme");
        return;
    case BRIM_ACME_NONE:
        brim_request_answer_error(r, 404, "no such challenge", "acme", BRIM_PROXY_OWN);
        return;
    }
}

bool brim_request_answer_challenge(struct request *r)
{
    struct brim_str token = brim_acme_token(r->target);

    if (r->route->acme_webroot[0] == '\0' || token.len == 0 ||
        (!brim_request_method_is(r, "GET") && !brim_request_method_is(r, "HEAD")))
        return false;
    r->challenge =
        brim_acme_begin(r->env->hashers, r->route->acme_webroot, token, brim_request_port(r));
    if (r->challenge != NULL)
        r->state = REQUEST_GATE;
    else
        brim_request_answer_error(r, 503, "too many wait", "acme", BRIM_PROXY_OWN);
    return true;
}
