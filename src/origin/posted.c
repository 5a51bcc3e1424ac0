/* SPDX-License-Identifier: MIT */
#include "brim/origin/posted.h"

#include "brim/origin/resolve.h"

#define URL_TEXT_MAX 16384u

static bool has(struct brim_fields fields, struct brim_str name)
{
    return brim_fields_find(fields, name) != NULL;
}

/* Whether the one Content-Location names the URL itself. */
static bool is_located_here(struct brim_fields response, struct brim_str key_text)
{
    const struct brim_field *field = brim_fields_only(response, BRIM_STR("content-location"));
    char buffer[URL_TEXT_MAX];
    size_t len = field == NULL ? 0 : brim_resolve(key_text, field->value, buffer, sizeof(buffer));

    return len > 0 && brim_str_is(brim_str(buffer, len), key_text);
}

/* Anything by which the answer could be one client's, or one for which GET's key is too coarse: a
 * POST goes out with all that its client sent, also the Accept-Encoding that no key normalised. */
static bool depends_on_client(const struct brim_exchange *exchange)
{
    return has(exchange->request, BRIM_STR("authorization")) ||
           has(exchange->request, BRIM_STR("cookie")) ||
           has(exchange->response, BRIM_STR("set-cookie")) ||
           has(exchange->response, BRIM_STR("vary")) ||
           has(exchange->response, BRIM_STR("content-encoding"));
}

bool brim_posted_is_storable(const struct brim_exchange *exchange,
                             const struct brim_cache_rules *rules, struct brim_str key_text)
{
    struct brim_cache_rules own_word = *rules;
    struct brim_exchange as_get = *exchange;
    struct brim_freshness fresh;
    const char *reason;

    if (!brim_str_is(exchange->method, BRIM_STR("POST")) || exchange->status != 200 ||
        depends_on_client(exchange) || !is_located_here(exchange->response, key_text))
        return false;
    own_word.default_ttl_ms = -1; /* "explicit freshness information" (RFC 9110 9.3.3) */
    as_get.method = BRIM_STR("GET");
    if (brim_freshness_verdict(&as_get, &own_word, &reason) != BRIM_STORE)
        return false;
    brim_freshness_compute(&as_get, &own_word, &fresh);
    return !fresh.heuristic && !fresh.no_cache && fresh.lifetime_ms > fresh.initial_age_ms;
}
