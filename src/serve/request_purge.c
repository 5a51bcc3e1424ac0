/* SPDX-License-Identifier: MIT */
/*
 * PURGE from those whom the site's purge list allows: the exact URL, in force in every worker
 * before the answer, durable soon after it. Everybody else is answered as if there were no such
 * method, and an origin never sees it, whoever sends it.
 *
 *   Soft-Purge: 1    stale instead of gone
 */
#include "brim/base/log.h"
#include "brim/policy/access.h"
#include "brim/serve/guard.h"
#include "brim/serve/proxy_status.h"
#include "brim/serve/request_inside.h"

static bool is_allowed(const struct request *r)
{
    return r->route->purge != NULL &&
           brim_access_allows(r->route->purge, (const struct sockaddr *)&r->conn->peer);
}

/* The key that a GET of this URL has; what else tells answers apart is purged with it. */
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

    *scope_out = is_made ? brim_purge_scope_url(r->find.primary.text) : 0;
    return is_made;
}

static enum brim_purge_kind kind_of(const struct request *r)
{
    const struct brim_field *field = brim_fields_only(r->fields, BRIM_STR("soft-purge"));

    return field != NULL && brim_str_is(field->value, BRIM_STR("1")) ? BRIM_PURGE_SOFT
                                                                     : BRIM_PURGE_HARD;
}

void brim_request_purge(struct request *r)
{
    static const struct brim_guard_refusal refusal = {.status = 405,
                                                      .reason = "method not allowed"};
    enum brim_purge_kind kind = kind_of(r);
    uint64_t scope;

    if (!is_allowed(r)) {
        brim_request_refuse(r, &refusal);
    } else if (!make_scope(r, &scope)) {
        brim_request_answer_error(r, 414, "the URL is too long", "refused", BRIM_PROXY_REQUEST);
    } else if (brim_cache_purge_soon(r->env->cache, &scope, 1, kind) != BRIM_OK) {
        brim_request_answer_error(r, 503, "purged, but a restart would forget it", "purge",
                                  BRIM_PROXY_OWN);
    } else {
        BRIM_LOG(INFO, "request.purge", "site=%s peer=%s kind=%s", r->route->site,
                 r->conn->peer_text, kind == BRIM_PURGE_SOFT ? "soft" : "hard");
        brim_request_answer_error(r, 200, kind == BRIM_PURGE_SOFT ? "purged (soft)" : "purged",
                                  "purge", BRIM_PROXY_OWN);
    }
}
