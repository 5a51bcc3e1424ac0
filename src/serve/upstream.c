/* SPDX-License-Identifier: MIT */
#include "brim/serve/upstream.h"

#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/text.h"
#include "brim/http/cache_key.h"
#include "brim/http/coding.h"

/* Fields that brim adds at most: Via, CDN-Loop, Cookie (joined), X-Forwarded-{For,Proto,Host},
 * Forwarded, Accept-Encoding, traceparent. */
#define UPSTREAM_ADDED_MAX 9
#define HOPS_BYTES         24

struct list {
    struct brim_field *items;
    size_t count;
};

static void list_add(struct list *list, struct brim_str name, struct brim_str value)
{
    list->items[list->count].name = name;
    list->items[list->count].value = value;
    list->count++;
}

static bool name_is_one_of(struct brim_str name, const struct brim_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (brim_field_name_is_read_as(name, names[i]))
            return true;
    return false;
}

/* What a client may not claim: brim says it, or nobody does. An origin that believed these would
 * let an unkeyed field change what is stored for everybody. */
static bool is_claim(struct brim_str name)
{
    static const struct brim_str claims[] = {
        BRIM_STR("forwarded"),
        BRIM_STR("x-forwarded-host"),
        BRIM_STR("x-forwarded-proto"),
        BRIM_STR("x-forwarded-port"),
        BRIM_STR("x-forwarded-scheme"),
        BRIM_STR("x-forwarded-prefix"),
        BRIM_STR("x-forwarded-server"),
        BRIM_STR("x-host"),
        BRIM_STR("x-forwarded-protocol"),
        BRIM_STR("x-forwarded-ssl"),
        BRIM_STR("front-end-https"),
        BRIM_STR("x-url-scheme"),
        BRIM_STR("x-forwarded-uri"),
        BRIM_STR("x-forwarded-path"),
        BRIM_STR("script-name"),
        BRIM_STR("path-info"),
        BRIM_STR("x-sendfile-type"),
        BRIM_STR("x-accel-mapping"),
        BRIM_STR("x-original-url"),
        BRIM_STR("x-original-host"),
        BRIM_STR("x-rewrite-url"),
        BRIM_STR("x-http-method-override"),
        BRIM_STR("x-http-method"),
        BRIM_STR("x-method-override"),
        BRIM_STR("x-real-ip"),
        BRIM_STR("x-client-ip"),
        BRIM_STR("true-client-ip"),
        BRIM_STR("x-cluster-client-ip"),
        BRIM_STR("x-forwarded-for"),
        BRIM_STR(BRIM_TIER_FIELD),
        BRIM_STR("proxy"), /* httpoxy: CGI makes HTTP_PROXY of it */
    };
    return name_is_one_of(name, claims, sizeof(claims) / sizeof(claims[0]));
}

/* What asks for a part, a condition or a coding: a shared fill asks for the whole. */
static bool is_partial(struct brim_str name)
{
    static const struct brim_str partial[] = {
        BRIM_STR("range"),
        BRIM_STR("if-range"),
        BRIM_STR("if-match"),
        BRIM_STR("if-none-match"),
        BRIM_STR("if-modified-since"),
        BRIM_STR("if-unmodified-since"),
        BRIM_STR("accept-encoding"),
        BRIM_STR("available-dictionary"),
        BRIM_STR("dictionary-id"),
    };
    return name_is_one_of(name, partial, sizeof(partial) / sizeof(partial[0]));
}

/* What Connection names is gone by now (request.c), and handlers name nothing in it: see
 * policy/script_view.c. */
static bool is_kept(struct brim_str name, enum brim_flight_kind kind)
{
    if (brim_field_is_hop_by_hop(name) || brim_str_is(name, BRIM_STR("host")) ||
        brim_str_is(name, BRIM_STR("content-length")) || brim_str_is(name, BRIM_STR("expect")) ||
        brim_str_is(name, BRIM_STR("via")) || brim_str_is(name, BRIM_STR("cookie")) ||
        brim_str_is(name, BRIM_STR("cdn-loop")))
        return false; /* the last three, and X-Forwarded-For, are written again, joined */
    return !is_claim(name) && (kind != BRIM_FLIGHT_SHARED || !is_partial(name));
}

/* All values of name, each followed by separator (two bytes), then own. */
static struct brim_str joined(h2o_mem_pool_t *pool, struct brim_fields fields, struct brim_str name,
                              const char *separator, struct brim_str own)
{
    size_t len = own.len;
    char *text, *at;

    for (size_t i = 0; i < fields.count; i++)
        if (brim_str_is(fields.items[i].name, name))
            len += fields.items[i].value.len + 2;
    text = at = h2o_mem_alloc_pool(pool, len + 1);
    for (size_t i = 0; i < fields.count; i++) {
        const struct brim_field *field = &fields.items[i];

        if (!brim_str_is(field->name, name) || field->value.len == 0)
            continue;
        memcpy(at, field->value.base, field->value.len);
        memcpy(at + field->value.len, separator, 2);
        at += field->value.len + 2;
    }
    if (own.len > 0)
        memcpy(at, own.base, own.len);
    at += own.len;
    return brim_str(text, (size_t)(at - text));
}

/* HTTP/2 clients may split Cookie into several fields; HTTP/1 wants one (RFC 9113 8.2.3). */
static void add_cookie(h2o_mem_pool_t *pool, struct list *list, struct brim_fields fields)
{
    struct brim_str cookie = joined(pool, fields, BRIM_STR("cookie"), "; ", brim_str(NULL, 0));

    if (cookie.len > 2)
        list_add(list, BRIM_STR("cookie"), brim_str(cookie.base, cookie.len - 2));
}

/* Conditions on what brim gave out in a coding of its own. */
static struct brim_str conditions(h2o_mem_pool_t *pool, const struct brim_field *field)
{
    size_t room = BRIM_CODING_ETAGS_ROOM(field->value.len), len;
    char *text;

    if (!brim_str_is(field->name, BRIM_STR("if-match")) &&
        !brim_str_is(field->name, BRIM_STR("if-none-match")))
        return field->value;
    text = h2o_mem_alloc_pool(pool, room);
    len = brim_coding_etags_for_origin(field->value, text, room);
    return len > 0 ? brim_str(text, len) : field->value;
}

int64_t brim_upstream_hops_left(struct brim_fields fields)
{
    const struct brim_field *field = brim_fields_only(fields, BRIM_STR("max-forwards"));

    return field == NULL ? -1 : brim_str_number(field->value, BRIM_NUMBER_DIGITS);
}

/* Who asks for Max-Forwards: 0 was answered here: see request.c. */
static struct brim_str hops_for_next(h2o_mem_pool_t *pool, int64_t hops)
{
    struct brim_text text = brim_text_in(h2o_mem_alloc_pool(pool, HOPS_BYTES), HOPS_BYTES);

    brim_text_put_int(&text, hops > 0 ? hops - 1 : 0);
    return brim_text_str(&text);
}

static struct brim_str value_for_origin(h2o_mem_pool_t *pool, const struct brim_route *route,
                                        const struct brim_upstream_client *client, int64_t hops,
                                        const struct brim_field *field)
{
    if (client->counts_hops && hops >= 0 && brim_str_is(field->name, BRIM_STR("max-forwards")))
        return hops_for_next(pool, hops);
    return route->rules.compress ? conditions(pool, field) : field->value;
}

/* for=, host= and proto= of RFC 7239 4; IPv6 addresses are quoted and bracketed. The client's own
 * Forwarded is dropped: see is_claim. */
static struct brim_str forwarded(h2o_mem_pool_t *pool, const struct brim_upstream_client *client)
{
    size_t bytes = client->peer.len + client->host.len + client->scheme.len + 64;
    char *text = h2o_mem_alloc_pool(pool, bytes);
    const char *open = client->is_ipv6 ? "\"[" : "";
    const char *close = client->is_ipv6 ? "]\"" : "";
    int len = snprintf(text, bytes, "for=%s%.*s%s;host=\"%.*s\";proto=%.*s", open,
                       (int)client->peer.len, client->peer.base, close, (int)client->host.len,
                       client->host.base, (int)client->scheme.len, client->scheme.base);

    INVARIANT(len > 0 && (size_t)len < bytes);
    return brim_str(text, (size_t)len);
}

static void add_client(h2o_mem_pool_t *pool, const struct brim_route *route, struct list *list,
                       struct brim_fields fields, const struct brim_upstream_client *client)
{
    if (route->forwarded == BRIM_FORWARDED_X || route->forwarded == BRIM_FORWARDED_BOTH) {
        list_add(list, BRIM_STR("x-forwarded-for"),
                 joined(pool, fields, BRIM_STR("x-forwarded-for"), ", ", client->peer));
        list_add(list, BRIM_STR("x-forwarded-proto"), client->scheme);
        list_add(list, BRIM_STR("x-forwarded-host"), client->host);
    }
    if (route->forwarded == BRIM_FORWARDED_RFC7239 || route->forwarded == BRIM_FORWARDED_BOTH)
        list_add(list, BRIM_STR("forwarded"), forwarded(pool, client));
}

static bool is_replaced_trace(const struct brim_upstream_client *client, struct brim_str name)
{
    return (client->traceparent.len > 0 && brim_str_is(name, BRIM_STR("traceparent"))) ||
           (client->begins_trace && brim_str_is(name, BRIM_STR("tracestate")));
}

struct brim_fields brim_upstream_fields(h2o_mem_pool_t *pool, struct brim_env *env,
                                        const struct brim_route *route, enum brim_flight_kind kind,
                                        struct brim_fields client_fields,
                                        const struct brim_upstream_client *client)
{
    size_t room = client_fields.count + UPSTREAM_ADDED_MAX;
    struct list list = {.items = h2o_mem_alloc_pool(pool, room * sizeof(struct brim_field))};
    struct brim_str via = env->via[brim_http_version_of(client->version)];
    int64_t hops = client->counts_hops ? brim_upstream_hops_left(client_fields) : -1;

    for (size_t i = 0; i < client_fields.count; i++)
        if (is_kept(client_fields.items[i].name, kind) &&
            !is_replaced_trace(client, client_fields.items[i].name))
            list_add(&list, client_fields.items[i].name,
                     value_for_origin(pool, route, client, hops, &client_fields.items[i]));

    if (kind == BRIM_FLIGHT_SHARED)
        list_add(&list, BRIM_STR("accept-encoding"),
                 client->is_in_parts ? BRIM_STR("identity") : route->accept_encoding);
    list_add(&list, BRIM_STR("via"), joined(pool, client_fields, BRIM_STR("via"), ", ", via));
    list_add(&list, BRIM_STR("cdn-loop"),
             joined(pool, client_fields, BRIM_STR("cdn-loop"), ", ", env->loop_member));
    add_cookie(pool, &list, client_fields);
    add_client(pool, route, &list, client_fields, client);
    if (client->traceparent.len > 0)
        list_add(&list, BRIM_STR("traceparent"), client->traceparent);
    INVARIANT(list.count <= room);
    return (struct brim_fields){list.items, list.count};
}

static uint64_t hash_of(struct brim_str text)
{
    return brim_hash64(text.base, text.len);
}

static uint64_t cookie_hash(h2o_mem_pool_t *pool, struct brim_str name, struct brim_fields fields)
{
    struct brim_key_rules rules = {.cookies = {&name, 1}};
    char *buffer = h2o_mem_alloc_pool(pool, brim_cache_key_cookies_room(fields) + 1);

    return brim_hash64(buffer, brim_cache_key_cookies(&rules, fields, buffer));
}

uint64_t brim_upstream_hash(h2o_mem_pool_t *pool, const struct brim_origin *origin,
                            struct brim_digest key, struct brim_fields fields,
                            const struct brim_upstream_client *client)
{
    const struct brim_field *field;

    switch (origin->hash_on) {
    case BRIM_HASH_ON_URL:
        return key.lo;
    case BRIM_HASH_ON_CLIENT:
        return hash_of(client->peer);
    case BRIM_HASH_ON_HEADER:
        field = brim_fields_find(fields, origin->hash_name);
        return field == NULL ? 0 : hash_of(field->value);
    case BRIM_HASH_ON_COOKIE:
        return cookie_hash(pool, origin->hash_name, fields);
    }
    return 0;
}

unsigned brim_upstream_failure_status(enum brim_err why)
{
    switch (why) {
    case BRIM_ETIMEOUT:
        return 504;
    case BRIM_ELIMIT:
    case BRIM_ENOENT:
    case BRIM_ENOMEM:
    case BRIM_ENOSPC:
        return 503;
    default:
        return 502;
    }
}

const char *brim_upstream_failure(enum brim_err why)
{
    switch (why) {
    case BRIM_ETIMEOUT:
        return "the origin did not answer in time";
    case BRIM_ECONNECT:
        return "the origin refused or dropped the connection";
    case BRIM_EDNS:
        return "the origin's name could not be resolved";
    case BRIM_ETLS:
        return "TLS with the origin failed";
    case BRIM_EPROTO:
        return "the origin's answer is not valid HTTP";
    case BRIM_ENOENT:
        return "no server of the origin is up";
    case BRIM_ELIMIT:
        return "too many requests wait for the origin";
    case BRIM_ENOSPC:
        return BRIM_LEDGER_REFUSAL;
    default:
        return "the origin could not be asked";
    }
}
