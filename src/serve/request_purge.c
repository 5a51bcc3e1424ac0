/* SPDX-License-Identifier: MIT */
/*
 * PURGE from those whom the site's purge list allows: the exact URL, in force in every worker
 * before the answer, durable soon after it. Everybody else is answered as if there were no such
 * method, and an origin never sees it, whoever sends it.
 *
 * Where there is a tier above, that one purges first (purge_line.h) while the request waits; if it
 * does not, nothing is purged here.
 *
 *   Soft-Purge: 1    stale instead of gone
 */
#include <stdio.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/policy/access.h"
#include "brim/serve/guard.h"
#include "brim/serve/proxy_status.h"
#include "brim/serve/purge_line.h"
#include "brim/serve/request_inside.h"

static bool is_allowed(const struct request *r)
{
    return r->route->purge != NULL &&
           brim_access_allows(r->route->purge, (const struct sockaddr *)&r->conn->peer);
}

/* The key that a GET of this URL has; what else tells answers apart is purged with it. Leaves in
 * key_target what would be fetched. */
static bool make_scope(struct request *r, uint64_t *scope_out)
{
    struct brim_lookup lookup = {
        .pool = &r->req->pool,
        .scheme = brim_request_str(r->req->input.scheme->name),
        .host = r->authority,
        .target = r->target,
        .fields = r->fields,
    };
    bool is_made = brim_lookup_make(&lookup, &r->route->key, &r->find);

    r->key_target = lookup.key_target;
    *scope_out = is_made ? brim_purge_scope_url(r->find.primary.text) : 0;
    return is_made;
}

static enum brim_purge_kind kind_of(const struct request *r)
{
    const struct brim_field *field = brim_fields_only(r->fields, BRIM_STR("soft-purge"));

    return field != NULL && brim_str_is(field->value, BRIM_STR("1")) ? BRIM_PURGE_SOFT
                                                                     : BRIM_PURGE_HARD;
}

static void answer_purged(struct request *r)
{
    const char *kind = kind_of(r) == BRIM_PURGE_SOFT ? "soft" : "hard";

    BRIM_LOG(INFO, "request.purge", "site=%s peer=%s kind=%s", r->route->site, r->conn->peer_text,
             kind);
    brim_request_answer_error(r, 200, kind[0] == 's' ? "purged (soft)" : "purged", "purge",
                              BRIM_PROXY_OWN);
}

static void answer_forgetful(struct request *r)
{
    brim_request_answer_error(r, 503, "purged, but a restart would forget it", "purge",
                              BRIM_PROXY_OWN);
}

/* ---- the tier above ---- */

/* What the tier above has the answer under, where a route rewrites what it asks for; empty: as
 * here. */
static struct brim_str sent_url(struct request *r)
{
    struct brim_str scheme = brim_request_str(r->req->input.scheme->name);
    struct brim_str target = brim_lookup_sent(&r->req->pool, r->route, r->key_target);
    struct brim_str host = r->route->rewrite.host;
    size_t room = scheme.len + 3 + r->authority.len + host.len + target.len + 1;
    char *text;
    int len;

    if (r->route->rewrite.text.len == 0)
        return brim_str(NULL, 0);
    if (host.len == 0)
        host = r->authority;
    text = h2o_mem_alloc_pool(&r->req->pool, room);
    len = snprintf(text, room, "%.*s://%.*s%.*s", (int)scheme.len, scheme.base, (int)host.len,
                   host.base, (int)target.len, target.base);
    INVARIANT(len > 0 && (size_t)len < room);
    return brim_str(text, (size_t)len);
}

static void begin_above(struct request *r, uint64_t scope)
{
    struct brim_script_purge_name names[2] = {{BRIM_PURGE_URL, r->find.primary.text},
                                              {BRIM_PURGE_URL, sent_url(r)}};
    struct brim_purge_order order = {
        .named = {.names = names,
                  .count = names[1].text.len > 0 ? 2 : 1,
                  .is_soft = kind_of(r) == BRIM_PURGE_SOFT},
        .scopes = &scope,
        .scope_count = 1,
    };

    r->state = REQUEST_PURGE;
    r->purge = brim_purge_line_ask(r->env->purge_line, &order, brim_request_port(r));
    if (r->purge == NULL)
        brim_request_answer_error(r, 503, "too many purges wait for the tier above", "purge",
                                  BRIM_PROXY_OWN);
}

static void answer_not_passed(struct request *r, const char *wrong)
{
    static const char before[] = "nothing is purged: ";
    size_t room = sizeof(before) + strlen(wrong);
    char *text = h2o_mem_alloc_pool(&r->req->pool, room);

    (void)snprintf(text, room, "%s%s", before, wrong);
    brim_request_answer_error(r, 502, text, "purge", BRIM_PROXY_OWN);
}

void brim_request_look_at_purge(struct request *r)
{
    const char *wrong;

    switch (brim_purge_line_look(r->purge, &wrong)) {
    case BRIM_PURGE_LINE_WAITS:
        return;
    case BRIM_PURGE_LINE_MADE:
        answer_purged(r);
        return;
    case BRIM_PURGE_LINE_FORGETFUL:
        answer_forgetful(r);
        return;
    case BRIM_PURGE_LINE_NOT_PASSED:
        answer_not_passed(r, wrong);
        return;
    }
}

void brim_request_end_purge(struct request *r)
{
    brim_purge_line_end(r->purge);
    r->purge = NULL;
}

/* ---- the request ---- */

void brim_request_purge(struct request *r)
{
    static const struct brim_guard_refusal refusal = {.status = 405,
                                                      .reason = "method not allowed"};
    uint64_t scope;

    if (!is_allowed(r)) {
        brim_request_refuse(r, &refusal);
    } else if (!make_scope(r, &scope)) {
        brim_request_answer_error(r, 414, "the URL is too long", "refused", BRIM_PROXY_REQUEST);
    } else if (r->env->purge_line != NULL) {
        begin_above(r, scope);
    } else if (brim_cache_purge_soon(r->env->cache, &scope, 1, kind_of(r)) != BRIM_OK) {
        answer_forgetful(r);
    } else {
        answer_purged(r);
    }
}
