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
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/http/uri.h"
#include "brim/http/vary.h"
#include "brim/serve/request_inside.h"

#define SCHEME_ROOM    16u /* "https://" and a port */
#define SELECTOR_BYTES 8192u
#define ADDED_MAX      4u

static size_t cookie_bytes(struct brim_fields fields)
{
    size_t bytes = 1;

    for (size_t i = 0; i < fields.count; i++)
        if (brim_str_is(fields.items[i].name, BRIM_STR("cookie")))
            bytes += fields.items[i].value.len + 2;
    return bytes;
}

static bool is_replaced(const struct brim_key_rules *rules, struct brim_str name)
{
    return (rules->cookies.count > 0 && brim_str_is(name, BRIM_STR("cookie"))) ||
           (rules->languages.count > 0 && brim_str_is(name, BRIM_STR("accept-language"))) ||
           (rules->device && brim_str_is(name, BRIM_STR("x-device")));
}

/* What is replaced, in its new form. */
static size_t add_replaced(struct request *r, const struct brim_key_rules *rules,
                           struct brim_field *out)
{
    size_t count = 0;

    if (rules->cookies.count > 0) {
        char *text = h2o_mem_alloc_pool(&r->req->pool, cookie_bytes(r->fields));
        size_t len = brim_cache_key_cookies(rules, r->fields, text);

        if (len > 0)
            out[count++] = (struct brim_field){BRIM_STR("cookie"), brim_str(text, len)};
    }
    if (rules->languages.count > 0)
        out[count++] = (struct brim_field){BRIM_STR("accept-language"),
                                           brim_cache_key_language(rules, r->fields)};
    if (rules->device)
        out[count++] = (struct brim_field){BRIM_STR("x-device"), brim_cache_key_device(r->fields)};
    return count;
}

struct brim_fields brim_request_without_key(struct brim_fields fields)
{
    if (fields.count == 0 || !brim_str_is(fields.items[0].name, BRIM_STR(BRIM_VARY_KEY)))
        return fields;
    return (struct brim_fields){fields.items + 1, fields.count - 1};
}

static struct brim_fields key_first(struct request *r, struct brim_str selector,
                                    struct brim_fields fields)
{
    struct brim_field *out = h2o_mem_alloc_pool(&r->req->pool, (fields.count + 1) * sizeof(*out));

    out[0] = (struct brim_field){BRIM_STR(BRIM_VARY_KEY), selector};
    for (size_t i = 0; i < fields.count; i++)
        out[i + 1] = fields.items[i];
    return (struct brim_fields){out, fields.count + 1};
}

struct brim_fields brim_request_with_key(struct request *r, struct brim_fields fields)
{
    const struct brim_field *key = brim_fields_find(r->fields, BRIM_STR(BRIM_VARY_KEY));

    return key == NULL ? fields : key_first(r, key->value, fields);
}

/* False: what counts does not fit. */
static bool make_fields(struct request *r, const struct brim_key_rules *rules)
{
    struct brim_field *out;
    size_t len, count = 0;
    char *text;

    r->find.request = r->fields;
    if (!brim_cache_key_has_selector(rules) && r->key_part.len == 0)
        return true;
    text = h2o_mem_alloc_pool(&r->req->pool, SELECTOR_BYTES);
    len = brim_cache_key_selector(rules, r->fields, r->key_part, text, SELECTOR_BYTES);
    if (len == SIZE_MAX)
        return false;
    /* Also among the client's own: what is stored of a pass (RFC 9110 9.3.3) varies by it too. */
    r->fields = key_first(r, brim_str(text, len), r->fields);
    out = h2o_mem_alloc_pool(&r->req->pool, (r->fields.count + ADDED_MAX) * sizeof(*out));
    for (size_t i = 0; i < r->fields.count; i++)
        if (!is_replaced(rules, r->fields.items[i].name))
            out[count++] = r->fields.items[i];
    count += add_replaced(r, rules, out + count);
    INVARIANT(count <= r->fields.count + ADDED_MAX);
    r->find.request = (struct brim_fields){out, count};
    BRIM_LOG(DEBUG, "request.key", "key=%.*s selector=%.*s", (int)r->find.primary.text.len,
             r->find.primary.text.base, (int)len, text);
    return true;
}

bool brim_request_make_key(struct request *r)
{
    const struct brim_key_rules *rules = &r->route->key;
    size_t room = r->authority.len + r->target.len + SCHEME_ROOM, len;
    char *text = h2o_mem_alloc_pool(&r->req->pool, room);

    r->key_target = r->target;
    if (brim_cache_key_has_query(rules)) {
        char *path = h2o_mem_alloc_pool(&r->req->pool, r->target.len + 1);

        r->key_target = brim_str(path, brim_cache_key_target(rules, r->target, path));
    }
    len = brim_uri_key_text(brim_request_str(r->req->input.scheme->name), r->authority,
                            r->key_target, text, room);
    r->find.primary = brim_key_of(brim_str(text, len));
    r->find.key = r->find.primary;
    r->find.now_wall_ms = r->delivery.now_wall_ms;
    if (rules->in_status)
        r->delivery.key = r->find.primary.text;
    return len > 0 && make_fields(r, rules);
}
