/* SPDX-License-Identifier: MIT */
#include "brim/serve/deliver_head.h"

#include "brim/base/invariant.h"
#include "brim/base/text.h"
#include "brim/origin/tier.h"

#define HEAD_ADDED        7 /* fields that are added to an object's own */
#define STATUS_TEXT_BYTES 256
#define NUMBER_BYTES      24

static_assert(sizeof(struct brim_str) == sizeof(h2o_iovec_t) &&
                  offsetof(struct brim_str, len) == offsetof(h2o_iovec_t, len),
              "fields are handed to h2o without a copy");

/* h2o knows fields by the address of their token. Vary is handed over as an unknown name: with the
 * token h2o would replace it by Cache-Control: private for old browsers (http1.c:flatten_headers).
 */
static void add_field(struct brim_delivery *d, const struct brim_field *field)
{
    h2o_headers_t *headers = &d->req->res.headers;
    const h2o_token_t *token = h2o_lookup_token(field->name.base, field->name.len);
    union { /* one layout, see the static_assert; h2o only reads it */
        const struct brim_str *ours;
        h2o_iovec_t *theirs;
    } name = {.ours = &field->name};

    if (token != NULL && token != H2O_TOKEN_VARY)
        name.theirs = (h2o_iovec_t *)(uintptr_t)&token->buf;
    h2o_vector_reserve(&d->req->pool, headers, headers->size + 1);
    headers->entries[headers->size++] =
        (h2o_header_t){name.theirs, NULL, {(char *)(uintptr_t)field->value.base, field->value.len}};
}

void brim_deliver_set_fields(struct brim_delivery *d, struct brim_fields fields)
{
    d->req->res.headers = (h2o_headers_t){0};
    for (size_t i = 0; i < fields.count; i++)
        add_field(d, &fields.items[i]);
}

/* name: static text; value: memory of the request's pool, or static. */
void brim_deliver_add_text(struct brim_delivery *d, const h2o_token_t *token, const char *name,
                           struct brim_str value)
{
    char *base = (char *)(uintptr_t)value.base;

    if (token != NULL)
        h2o_add_header(&d->req->pool, &d->req->res.headers, token, NULL, base, value.len);
    else
        h2o_add_header_by_str(&d->req->pool, &d->req->res.headers, name, strlen(name), 0, NULL,
                              base, value.len);
}

static struct brim_text pool_text(struct brim_delivery *d, size_t room)
{
    return brim_text_in(h2o_mem_alloc_pool(&d->req->pool, room), room);
}

static struct brim_str pool_number(struct brim_delivery *d, int64_t number)
{
    struct brim_text text = pool_text(d, NUMBER_BYTES);

    brim_text_put_int(&text, number);
    return brim_text_str(&text);
}

bool brim_deliver_is_head(const struct brim_delivery *d)
{
    return h2o_memis(d->req->input.method.base, d->req->input.method.len, H2O_STRLIT("HEAD"));
}

/* Whether the content that goes out is the content that the fields came with. */
static bool is_of_same_content(const struct brim_delivery *d)
{
    return d->facts.as_received ||
           (d->status == d->object->status && !d->in_parts && !brim_deliver_is_head(d));
}

/* Digests of the content of one message (RFC 9530 2), not of what it represents. */
static bool is_content_digest(struct brim_str name)
{
    return brim_str_is(name, BRIM_STR("content-digest")) ||
           brim_str_is(name, BRIM_STR("content-md5"));
}

/* What a 304 (RFC 9110 15.4.5) and a 416 leave out: metadata of a body that is not there. */
static bool is_of_content(struct brim_str name)
{
    return brim_str_is(name, BRIM_STR("content-type")) ||
           brim_str_is(name, BRIM_STR("content-encoding")) ||
           brim_str_is(name, BRIM_STR("content-language")) ||
           brim_str_is(name, BRIM_STR("content-range"));
}

/* What is true of the whole, and would let caches behind keep the refusal of one range for all. */
static bool unsatisfiable_drops(struct brim_str name)
{
    return is_of_content(name) || brim_str_is(name, BRIM_STR("cache-control")) ||
           brim_str_is(name, BRIM_STR("cdn-cache-control")) ||
           brim_str_is(name, BRIM_STR("surrogate-control")) ||
           brim_str_is(name, BRIM_STR("expires"));
}

/* Fields that are others in another coding, or are about the bytes of one (RFC 9530). */
static bool is_of_coding(const struct brim_delivery *d, struct brim_str name)
{
    if (brim_str_is(name, BRIM_STR("vary")) || brim_str_is(name, BRIM_STR("etag")) ||
        brim_str_is(name, BRIM_STR("content-encoding")))
        return true;
    if (d->is_recoded && brim_str_is(name, BRIM_STR("accept-ranges")))
        return true; /* there are none of what is made while it is sent */
    return d->coding != d->own &&
           (is_content_digest(name) || brim_str_is(name, BRIM_STR("digest")) ||
            brim_str_is(name, BRIM_STR("repr-digest")));
}

/* Vary: what the object says, and Accept-Encoding. */
static void add_vary(struct brim_delivery *d)
{
    struct brim_str own = BRIM_STR("Accept-Encoding"), name = BRIM_STR("vary");
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    struct brim_text text;
    size_t room = own.len + 1;

    if (brim_fields_has_token(d->object->fields, name, own))
        own.len = 0;
    while (brim_fields_next_member(d->object->fields, name, &cursor, &member))
        room += member.len + 2;
    text = pool_text(d, room);
    cursor = (struct brim_list_cursor){0};
    while (brim_fields_next_member(d->object->fields, name, &cursor, &member)) {
        if (text.len > 0)
            brim_text_put(&text, BRIM_STR(", "));
        brim_text_put(&text, member);
    }
    if (text.len > 0 && own.len > 0)
        brim_text_put(&text, BRIM_STR(", "));
    brim_text_put(&text, own);
    INVARIANT(!text.is_cut);
    brim_deliver_add_text(d, NULL, "vary", brim_text_str(&text));
}

/* What the coding makes of the object's fields. */
static void add_coding(struct brim_delivery *d)
{
    struct brim_str etag = d->etag;

    if (!d->is_chosen)
        return;
    add_vary(d);
    if (etag.len > 0)
        brim_deliver_add_text(d, H2O_TOKEN_ETAG, NULL, etag);
    if (d->coding != BRIM_CODING_IDENTITY && d->status != 304 && !brim_deliver_is_own_416(d))
        brim_deliver_add_text(d, H2O_TOKEN_CONTENT_ENCODING, NULL, brim_coding_name(d->coding));
}

static void add_object_fields(struct brim_delivery *d)
{
    struct brim_fields fields = d->object->fields;
    bool keeps_digests = is_of_same_content(d);

    h2o_vector_reserve(&d->req->pool, &d->req->res.headers, fields.count + HEAD_ADDED);
    for (size_t i = 0; i < fields.count; i++) {
        const struct brim_field *field = &fields.items[i];

        if (field->name.len == 4 && memcmp(field->name.base, "date", 4) == 0)
            continue; /* h2o writes Date: see send_dated() */
        if (field->name.len == 14 && memcmp(field->name.base, "content-length", 14) == 0)
            continue; /* only HEAD and 304 passes keep it: see answer_length() */
        if (field->name.len == 3 && memcmp(field->name.base, "via", 3) == 0)
            continue; /* see add_via() */
        if (d->in_parts && brim_str_is(field->name, BRIM_STR("content-range")))
            continue; /* the part's; see add_content_range() */
        if (d->status == 304 && is_of_content(field->name))
            continue;
        if (brim_deliver_is_own_416(d) && unsatisfiable_drops(field->name))
            continue; /* see brim_deliver_head() */
        if (!keeps_digests && is_content_digest(field->name))
            continue;
        if (d->is_chosen && is_of_coding(d, field->name))
            continue; /* see add_coding() */
        add_field(d, field);
    }
}

/* As a String (RFC 9651 3.3.3): a key text has no byte outside ASCII, as no target has. */
static void put_key(struct brim_text *text, struct brim_str key)
{
    brim_text_put(text, BRIM_STR("; key=\""));
    for (size_t i = 0; i < key.len; i++) {
        if (key.base[i] == '"' || key.base[i] == '\\')
            brim_text_put(text, BRIM_STR("\\"));
        brim_text_put(text, brim_str(&key.base[i], 1));
    }
    brim_text_put(text, BRIM_STR("\""));
}

/* Cache-Status of this hop; those of caches above stay before it (RFC 9211 2). */
void brim_deliver_add_cache_status(struct brim_delivery *d)
{
    const struct brim_deliver_facts *facts = &d->facts;
    struct brim_text text = pool_text(d, STATUS_TEXT_BYTES + 2 * d->key.len);

    brim_text_put(&text, d->env->node_id);
    if (facts->fwd == NULL && facts->outcome != BRIM_OUTCOME_ERROR &&
        facts->outcome != BRIM_OUTCOME_HANDLER)
        brim_text_put(&text, BRIM_STR("; hit"));
    if (facts->fwd != NULL) {
        brim_text_put(&text, BRIM_STR("; fwd="));
        brim_text_put(&text, brim_str_of(facts->fwd));
    }
    if (facts->fwd_status != 0) {
        brim_text_put(&text, BRIM_STR("; fwd-status="));
        brim_text_put_int(&text, facts->fwd_status);
    }
    if (facts->stored)
        brim_text_put(&text, BRIM_STR("; stored"));
    if (facts->collapsed)
        brim_text_put(&text, BRIM_STR("; collapsed"));
    if (d->object != NULL && (facts->fwd == NULL || facts->stored)) {
        brim_text_put(&text, BRIM_STR("; ttl="));
        brim_text_put_int(&text, (d->object->fresh.lifetime_ms -
                                  brim_freshness_age_ms(&d->object->fresh, d->now_wall_ms)) /
                                     1000);
    }
    if (d->key.len > 0)
        put_key(&text, d->key);
    if (facts->detail != NULL) {
        brim_text_put(&text, BRIM_STR("; detail="));
        brim_text_put(&text, brim_str_of(facts->detail));
    }
    INVARIANT(!text.is_cut); /* all parts are short and static */
    brim_deliver_add_text(d, NULL, "cache-status", brim_text_str(&text));
}

static void add_content_range(struct brim_delivery *d)
{
    struct brim_text text = pool_text(d, 4 * NUMBER_BYTES);

    brim_text_put(&text, BRIM_STR("bytes "));
    if (d->status == 206) {
        brim_text_put_int(&text, (int64_t)d->range.first);
        brim_text_put(&text, BRIM_STR("-"));
        brim_text_put_int(&text, (int64_t)d->range.last);
    } else {
        brim_text_put(&text, BRIM_STR("*"));
    }
    brim_text_put(&text, BRIM_STR("/"));
    brim_text_put_int(&text, (int64_t)d->total);
    brim_deliver_add_text(d, H2O_TOKEN_CONTENT_RANGE, NULL, brim_text_str(&text));
}

/* Said of a stored object; an origin's own comes with its body. */
bool brim_deliver_is_own_416(const struct brim_delivery *d)
{
    return d->status == 416 && d->object->status != 416;
}

/* One field, with those of the hops above before ours (RFC 9110 7.6.3). */
static void add_via(struct brim_delivery *d)
{
    struct brim_str own = d->env->via[d->object->version];
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    size_t len = own.len;
    char *text, *at;

    while (brim_fields_next_member(d->object->fields, BRIM_STR("via"), &cursor, &member))
        len += member.len + 2;
    if (len == own.len) {
        brim_deliver_add_text(d, H2O_TOKEN_VIA, NULL, own);
        return;
    }
    text = at = h2o_mem_alloc_pool(&d->req->pool, len);
    cursor = (struct brim_list_cursor){0};
    while (brim_fields_next_member(d->object->fields, BRIM_STR("via"), &cursor, &member)) {
        memcpy(at, member.base, member.len);
        memcpy(at + member.len, ", ", 2);
        at += member.len + 2;
    }
    memcpy(at, own.base, own.len);
    brim_deliver_add_text(d, H2O_TOKEN_VIA, NULL, brim_str(text, len));
}

/* The origin's own fields of them are not passed on, and the tier below purges by them too. */
static void add_tier_tags(struct brim_delivery *d)
{
    size_t count = d->object->tag_count;

    if (d->is_for_tier && count > 0)
        brim_deliver_add_text(
            d, NULL, BRIM_TIER_TAGS_FIELD,
            brim_tier_write_tags(d->object->tags, count,
                                 h2o_mem_alloc_pool(&d->req->pool, count * BRIM_TIER_TAG_BYTES)));
}

void brim_deliver_head(struct brim_delivery *d)
{
    add_object_fields(d);
    add_coding(d);
    if ((d->in_parts || d->status != d->object->status) && (d->status == 206 || d->status == 416))
        add_content_range(d);
    if (brim_deliver_is_own_416(d))
        brim_deliver_add_text(d, H2O_TOKEN_CACHE_CONTROL, NULL, BRIM_STR("no-store"));
    if (d->facts.outcome != BRIM_OUTCOME_PASS && d->facts.outcome != BRIM_OUTCOME_MISS)
        brim_deliver_add_text(
            d, H2O_TOKEN_AGE, NULL,
            pool_number(d, brim_freshness_age_ms(&d->object->fresh, d->now_wall_ms) / 1000));
    else if (d->facts.outcome == BRIM_OUTCOME_MISS &&
             (d->facts.collapsed || d->object->fresh.initial_age_ms >= 1000) &&
             brim_fields_find(d->object->fields, BRIM_STR("age")) == NULL) /* the origin's own */
        brim_deliver_add_text(
            d, H2O_TOKEN_AGE, NULL,
            pool_number(d, brim_freshness_age_ms(&d->object->fresh, d->now_wall_ms) / 1000));
    add_via(d);
    add_tier_tags(d);
    brim_deliver_add_cache_status(d);
}

/* One member, as Cache-Status: this hop made the response, so none stand before it. */
void brim_deliver_add_proxy_status(struct brim_delivery *d, const char *type)
{
    struct brim_text text = pool_text(d, STATUS_TEXT_BYTES);

    brim_text_put(&text, d->env->node_id);
    brim_text_put(&text, BRIM_STR("; error="));
    brim_text_put(&text, brim_str_of(type));
    INVARIANT(!text.is_cut);
    brim_deliver_add_text(d, NULL, "proxy-status", brim_text_str(&text));
}

/* Milliseconds, to the microsecond. */
static void put_milliseconds(struct brim_text *text, uint64_t us)
{
    char fraction[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                        (char)('0' + us % 10)};

    brim_text_put_int(text, (int64_t)(us / 1000));
    brim_text_put(text, brim_str(fraction, sizeof(fraction)));
}

void brim_deliver_add_timing(struct brim_delivery *d)
{
    struct brim_text text = pool_text(d, STATUS_TEXT_BYTES);

    brim_text_put(&text, BRIM_STR("brim;dur="));
    put_milliseconds(&text, d->first_byte_us - d->timed_since_us);
    if (d->origin_ms > 0) {
        brim_text_put(&text, BRIM_STR(", origin;dur="));
        brim_text_put_int(&text, (int64_t)d->origin_ms);
    }
    INVARIANT(!text.is_cut);
    brim_deliver_add_text(d, NULL, "server-timing", brim_text_str(&text));
}

void brim_deliver_add_error_header(struct brim_delivery *d, const char *header)
{
    const char *colon = strchr(header, ':');

    INVARIANT(colon != NULL && colon[1] == ' ');
    h2o_add_header_by_str(&d->req->pool, &d->req->res.headers, header, (size_t)(colon - header), 0,
                          NULL, colon + 2, strlen(colon + 2));
}
