/* SPDX-License-Identifier: MIT */
/*
 * The key of a request: scheme, host, path and what counts of the query; and, where the route's
 * rules say so, a field BRIM_VARY_KEY that holds what else tells answers apart. That field goes
 * where Vary is judged and never out to the origin.
 *
 * The fields for lookup and for shared exchanges are the client's with Cookie cut down to the
 * cookies that count, Accept-Language replaced by the language class, and X-Device added: so an
 * answer that varies by any of them varies by what is in the key.
 */
#include "brim/serve/lookup.h"

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/http/uri.h"
#include "brim/http/vary.h"
#include "brim/origin/method.h"

#define SCHEME_ROOM    16u /* "https://" and a port */
#define SELECTOR_BYTES 8192u
#define ADDED_MAX      4u

/* Of a field of the key: it may not go out with a request that others share. */
static bool has_twin(const struct brim_key_rules *rules, struct brim_str name)
{
    for (size_t i = 0; i < rules->headers.count; i++)
        if (brim_field_name_is_twin(name, rules->headers.names[i]))
            return true;
    return false;
}

static bool is_replaced(const struct brim_key_rules *rules, struct brim_str name)
{
    return (rules->cookies.count > 0 && brim_str_is(name, BRIM_STR("cookie"))) ||
           (rules->languages.count > 0 &&
            brim_field_name_is_read_as(name, BRIM_STR("accept-language"))) ||
           (rules->device && brim_field_name_is_read_as(name, BRIM_STR("x-device"))) ||
           has_twin(rules, name);
}

/* What is replaced, in its new form. */
static size_t add_replaced(const struct brim_lookup *lookup, const struct brim_key_rules *rules,
                           struct brim_field *out)
{
    size_t count = 0;

    if (rules->cookies.count > 0) {
        char *text =
            h2o_mem_alloc_pool(lookup->pool, brim_cache_key_cookies_room(lookup->fields) + 1);
        size_t len = brim_cache_key_cookies(rules, lookup->fields, text);

        if (len > 0)
            out[count++] = (struct brim_field){BRIM_STR("cookie"), brim_str(text, len)};
    }
    if (rules->languages.count > 0)
        out[count++] = (struct brim_field){BRIM_STR("accept-language"),
                                           brim_cache_key_language(rules, lookup->fields)};
    if (rules->device)
        out[count++] =
            (struct brim_field){BRIM_STR("x-device"), brim_cache_key_device(lookup->fields)};
    return count;
}

struct brim_fields brim_lookup_without_key(struct brim_fields fields)
{
    if (fields.count == 0 || !brim_str_is(fields.items[0].name, BRIM_STR(BRIM_VARY_KEY)))
        return fields;
    return (struct brim_fields){fields.items + 1, fields.count - 1};
}

static struct brim_fields key_first(h2o_mem_pool_t *pool, struct brim_str selector,
                                    struct brim_fields fields)
{
    struct brim_field *out = h2o_mem_alloc_pool(pool, (fields.count + 1) * sizeof(*out));

    out[0] = (struct brim_field){BRIM_STR(BRIM_VARY_KEY), selector};
    for (size_t i = 0; i < fields.count; i++)
        out[i + 1] = fields.items[i];
    return (struct brim_fields){out, fields.count + 1};
}

struct brim_fields brim_lookup_with_key(h2o_mem_pool_t *pool, struct brim_fields of,
                                        struct brim_fields fields)
{
    const struct brim_field *key = brim_fields_find(of, BRIM_STR(BRIM_VARY_KEY));

    return key == NULL ? fields : key_first(pool, key->value, fields);
}

/* False: what counts does not fit. */
static bool make_fields(struct brim_lookup *lookup, const struct brim_key_rules *rules,
                        struct brim_find *find)
{
    struct brim_field *out;
    size_t len, count = 0;
    char *text;

    find->request = lookup->fields;
    if (!brim_cache_key_has_selector(rules) && lookup->part.len == 0)
        return true;
    text = h2o_mem_alloc_pool(lookup->pool, SELECTOR_BYTES);
    len = brim_cache_key_selector(rules, lookup->fields, lookup->part, text, SELECTOR_BYTES);
    if (len == SIZE_MAX)
        return false;
    /* Also among the client's own: what is stored of a pass (RFC 9110 9.3.3) varies by it too. */
    lookup->fields = key_first(lookup->pool, brim_str(text, len), lookup->fields);
    out = h2o_mem_alloc_pool(lookup->pool, (lookup->fields.count + ADDED_MAX) * sizeof(*out));
    for (size_t i = 0; i < lookup->fields.count; i++)
        if (!is_replaced(rules, lookup->fields.items[i].name))
            out[count++] = lookup->fields.items[i];
    count += add_replaced(lookup, rules, out + count);
    INVARIANT(count <= lookup->fields.count + ADDED_MAX);
    find->request = (struct brim_fields){out, count};
    BRIM_LOG(DEBUG, "request.key", "key=%.*s selector=%.*s", (int)find->primary.text.len,
             find->primary.text.base, (int)len, text);
    return true;
}

/* Whether who asks past the cache tells the origin what the key has not, and what those who share
 * it never do: what comes back is his alone. */
static bool exceeds_key(const struct brim_lookup *lookup, const struct brim_key_rules *rules)
{
    return !brim_str_is(lookup->target, lookup->key_target) || rules->device ||
           rules->languages.count > 0 ||
           (rules->cookies.count > 0 &&
            brim_fields_find(lookup->fields, BRIM_STR("cookie")) != NULL);
}

bool brim_lookup_make(struct brim_lookup *lookup, const struct brim_key_rules *rules,
                      struct brim_find *find)
{
    size_t room = lookup->host.len + lookup->target.len + SCHEME_ROOM, len;
    char *text = h2o_mem_alloc_pool(lookup->pool, room);

    lookup->key_target = lookup->target;
    if (brim_cache_key_has_query(rules)) {
        char *path = h2o_mem_alloc_pool(lookup->pool, lookup->target.len + 1);

        lookup->key_target = brim_str(path, brim_cache_key_target(rules, lookup->target, path));
    }
    lookup->exceeds_key = exceeds_key(lookup, rules);
    len = brim_uri_key_text(lookup->scheme, lookup->host, lookup->key_target, text, room);
    find->primary = brim_key_of(brim_str(text, len));
    find->key = find->primary;
    return len > 0 && make_fields(lookup, rules, find);
}

/* Whether what is about to be published may be of more use than what the cache has. */
static bool wants_unpublished(const struct brim_lookup_newest *newest, enum brim_found found,
                              const struct brim_request_control *control,
                              const struct brim_find *find)
{
    if (newest->has_peeked || (found != BRIM_FOUND_NONE && found != BRIM_FOUND_OBJECT))
        return false;
    return found == BRIM_FOUND_NONE || newest->saw_landing ||
           brim_freshness_use(&find->object->fresh, control, find->now_wall_ms,
                              find->soft_purged) == BRIM_USE_REVALIDATE;
}

/* Neither what was found nor anything older will do. */
static enum brim_found none(struct brim_find *find)
{
    brim_object_unref(find->object);
    find->object = NULL;
    return BRIM_FOUND_NONE;
}

enum brim_found brim_lookup_find(struct brim_lookup_newest *newest,
                                 const struct brim_lookup_places *places,
                                 const struct brim_request_control *control, struct brim_find *find)
{
    struct brim_object *object;
    enum brim_found found;
    bool soft_purged;

    for (;;) {
        /* Asked before the search: a flight that is over by then has published. */
        newest->saw_landing =
            newest->saw_landing || brim_flights_are_landing(places->flights, &find->primary);
        found = brim_cache_find(places->cache, find);
        if (!wants_unpublished(newest, found, control, find))
            return found;
        newest->has_peeked = true;
        object = brim_flight_peek(places->flights, &find->key, find->request, &soft_purged,
                                  &newest->hold);
        if (object != NULL) {
            brim_object_unref(find->object);
            find->object = object;
            find->soft_purged = soft_purged;
            return newest->hold.body != NULL ? BRIM_FOUND_OBJECT : none(find);
        }
        /* It may have been published between the two looks. A flight would notice, but to who flies
         * none that is the last word; and what is found may be older than what is there by now. */
        if (!control->only_if_cached && (found == BRIM_FOUND_NONE || !newest->saw_landing))
            return found;
        brim_object_unref(find->object);
        brim_find_fini(find); /* what the URL varies by may have changed too */
    }
}

struct brim_str brim_lookup_part(h2o_mem_pool_t *pool, const struct brim_route *route,
                                 struct brim_str origin, struct brim_str part)
{
    size_t room = brim_route_part_room(route, origin, part);

    return brim_route_part(route, origin, part, h2o_mem_alloc_pool(pool, room));
}

struct brim_origin *brim_lookup_origin(const struct brim_route *route, struct brim_str method,
                                       bool is_pinned)
{
    bool writes = !brim_method_is_safe(method);

    return route->write_origin != NULL && (writes || is_pinned) ? route->write_origin
                                                                : route->origin;
}

struct brim_str brim_lookup_sent(h2o_mem_pool_t *pool, const struct brim_route *route,
                                 struct brim_str target)
{
    if (route->rewrite.prefix.len == 0)
        return target;
    return brim_rewrite_target(
        &route->rewrite, target,
        h2o_mem_alloc_pool(pool, brim_rewrite_room(&route->rewrite, target)));
}

const struct brim_route *brim_lookup_route(h2o_mem_pool_t *pool, const struct brim_routes *routes,
                                           const struct brim_lookup_url *url,
                                           struct brim_str *host_out)
{
    const char *query = memchr(url->target.base, '?', url->target.len);
    struct brim_str name, path = url->target;
    uint16_t port;
    char *lower;

    if (!brim_uri_parse_authority(url->host, &name, &port))
        return NULL;
    lower = h2o_mem_alloc_pool(pool, name.len + 1);
    memcpy(lower, name.base, name.len);
    h2o_strtolower(lower, name.len);
    if (name.len > 1 && lower[name.len - 1] == '.')
        name.len--;
    *host_out = brim_str(lower, name.len);
    if (query != NULL)
        path.len = (size_t)(query - path.base);
    return brim_routes_match(routes, *host_out, path, &url->ask);
}
