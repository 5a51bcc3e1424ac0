/* SPDX-License-Identifier: MIT */
#include "brim/origin/answer.h"

#include <stdlib.h>

#include "brim/cache/purge.h"
#include "brim/http/coding.h"
#include "brim/http/vary.h"
#include "brim/origin/tier.h"

/* Whether name says what the content is, or who may have it. That is for all recipients, whatever
 * Connection says of it (RFC 9110 7.6.1): without it the content would be stored for others than
 * those whom it was sent to. */
static bool is_of_content(struct brim_str name)
{
    static const struct brim_str names[] = {
        BRIM_STR("cache-control"), BRIM_STR("date"),       BRIM_STR("etag"),
        BRIM_STR("expires"),       BRIM_STR("set-cookie"), BRIM_STR("last-modified"),
        BRIM_STR("location"),      BRIM_STR("vary"),
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (brim_str_is(name, names[i]))
            return true;
    return brim_str_has_prefix(name, BRIM_STR("content-"));
}

static bool is_kept(struct brim_fields all, struct brim_str name, enum brim_answer_use use,
                    bool bodyless)
{
    if (brim_field_is_hop_by_hop(name) ||
        (brim_fields_has_token(all, BRIM_STR("connection"), name) && !is_of_content(name)))
        return false;
    if (brim_str_is(name, BRIM_STR("content-length")))
        return use == BRIM_ANSWER_FORWARD && bodyless;
    return use == BRIM_ANSWER_FORWARD || !brim_str_is(name, BRIM_STR("age"));
}

struct brim_fields brim_answer_fields(struct brim_fields fields, enum brim_answer_use use,
                                      struct brim_str method, unsigned status,
                                      struct brim_field *out)
{
    bool bodyless = status == 304 || brim_str_is(method, BRIM_STR("HEAD"));
    size_t count = 0;

    for (size_t i = 0; i < fields.count; i++)
        if (is_kept(fields, fields.items[i].name, use, bodyless))
            out[count++] = fields.items[i];
    return (struct brim_fields){out, count};
}

static bool is_listed(const struct brim_targets *names, struct brim_str name)
{
    for (size_t i = 0; i < names->count; i++)
        if (brim_str_is(names->names[i], name))
            return true;
    return false;
}

struct brim_fields brim_answer_without_tags(struct brim_field *items, size_t count,
                                            const struct brim_cache_rules *rules)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (!is_listed(&rules->tags, items[i].name) &&
            !brim_str_is(items[i].name, BRIM_STR(BRIM_TIER_TAGS_FIELD)))
            items[kept++] = items[i];
    return (struct brim_fields){items, kept};
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

static enum brim_err add_tag(struct brim_str tag, uint64_t *tags, size_t *count)
{
    uint64_t scope = brim_purge_scope_tag(tag);

    for (size_t i = 0; i < *count; i++)
        if (tags[i] == scope)
            return BRIM_OK;
    if (*count == BRIM_OBJECT_TAGS_MAX)
        return BRIM_ELIMIT;
    tags[(*count)++] = scope;
    return BRIM_OK;
}

static enum brim_err add_tags(struct brim_str value, uint64_t *tags, size_t *count)
{
    enum brim_err err = BRIM_OK;

    for (size_t i = 0; i < value.len && err == BRIM_OK;) {
        size_t begin = i;

        while (i < value.len && !is_separator(value.base[i]))
            i++;
        if (i > begin)
            err = add_tag(brim_str(value.base + begin, i - begin), tags, count);
        else
            i++;
    }
    return err;
}

enum brim_err brim_answer_tags(struct brim_fields response, const struct brim_cache_rules *rules,
                               uint64_t *tags, size_t *count_out)
{
    enum brim_err err = BRIM_ENOENT;

    *count_out = 0;
    for (size_t i = 0; i < response.count; i++) {
        if (!is_listed(&rules->tags, response.items[i].name))
            continue;
        err = add_tags(response.items[i].value, tags, count_out);
        if (err != BRIM_OK)
            return err;
    }
    return err;
}

struct brim_fields brim_answer_stored_fields(struct brim_field *items, size_t count,
                                             struct brim_fields response,
                                             const struct brim_cache_rules *rules)
{
    bool lists = brim_cache_control_excludes_any(response, rules->targets);
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct brim_str name = items[i].name;

        if (rules->set_cookie == BRIM_SET_COOKIE_STRIP && brim_str_is(name, BRIM_STR("set-cookie")))
            continue;
        if (!lists || !brim_cache_control_excludes(response, rules->targets, name))
            items[kept++] = items[i];
    }
    return (struct brim_fields){items, kept};
}

struct brim_fields brim_answer_with_dictionary(struct brim_field *items, size_t count,
                                               unsigned status,
                                               const struct brim_cache_rules *rules)
{
    struct brim_str name = BRIM_STR("use-as-dictionary");
    struct brim_fields fields = {items, count};

    if (status == 200 && rules->use_as_dictionary.len > 0 && brim_fields_find(fields, name) == NULL)
        items[fields.count++] = (struct brim_field){name, rules->use_as_dictionary};
    return fields;
}

/* Fields of a 304 that do not replace stored ones: they speak of a body, and the stored body is the
 * one that is served (RFC 9111 3.2). */
static bool describes_body(struct brim_str name)
{
    return brim_str_is(name, BRIM_STR("content-length")) ||
           brim_str_is(name, BRIM_STR("content-encoding")) ||
           brim_str_is(name, BRIM_STR("content-range")) ||
           brim_str_is(name, BRIM_STR("content-digest")) ||
           brim_str_is(name, BRIM_STR("content-md5"));
}

/* `W/` does not count here: a 304 answers a weak comparison (RFC 9110 13.1.2). */
static struct brim_str opaque_tag(struct brim_str etag)
{
    if (brim_str_has_prefix(etag, BRIM_STR("W/")))
        return brim_str(etag.base + 2, etag.len - 2);
    return etag;
}

static bool speaks_of(struct brim_fields response, const struct brim_object *stale)
{
    const struct brim_field *etag = brim_fields_only(response, BRIM_STR("etag"));

    if (etag == NULL || stale->etag.len == 0)
        return true;
    return brim_str_is(opaque_tag(etag->value), opaque_tag(stale->etag));
}

/* The stored fields, then the 304's; a name that the 304 has replaces all stored ones. A 304
 * without Date is as old as its receipt (RFC 9110 6.6.1), not as what it confirms. out has room for
 * both. */
static struct brim_fields merge(struct brim_fields stored, struct brim_fields fresh,
                                struct brim_field *out)
{
    size_t count = 0;

    for (size_t i = 0; i < stored.count; i++) {
        struct brim_str name = stored.items[i].name;

        if (brim_str_is(name, BRIM_STR("date")))
            continue;
        if (describes_body(name) || brim_fields_find(fresh, name) == NULL)
            out[count++] = stored.items[i];
    }
    for (size_t i = 0; i < fresh.count; i++)
        if (!describes_body(fresh.items[i].name))
            out[count++] = fresh.items[i];
    return (struct brim_fields){out, count};
}

/* The Age of a 304 counts for freshness, but is not among the fields that are kept. */
static struct brim_fields with_age(struct brim_fields merged, struct brim_fields response,
                                   struct brim_field *out)
{
    const struct brim_field *age = brim_fields_find(response, BRIM_STR("age"));

    memcpy(out, merged.items, merged.count * sizeof(*out));
    if (age == NULL)
        return (struct brim_fields){out, merged.count};
    out[merged.count] = *age;
    return (struct brim_fields){out, merged.count + 1};
}

/* Whether the 304 has a field that the merged response's Cache-Control leaves out. */
static bool brings_own(const struct brim_answer_update *update, struct brim_fields merged)
{
    const struct brim_fields *fresh = &update->exchange->response;

    if (!brim_cache_control_excludes_any(merged, update->rules->targets))
        return false;
    for (size_t i = 0; i < fresh->count; i++)
        if (brim_cache_control_excludes(merged, update->rules->targets, fresh->items[i].name))
            return true;
    return false;
}

/* A 304 may leave out what has not changed; those that it names are all there are. False: they are
 * too many. */
static bool refresh_tags(const struct brim_answer_update *update, uint64_t *tags,
                         struct brim_object_spec *spec)
{
    struct brim_fields response = update->exchange->response;
    enum brim_err err = brim_answer_tags(response, update->rules, tags, &spec->tag_count);
    bool has_tier =
        update->is_from_tier && brim_fields_find(response, BRIM_STR(BRIM_TIER_TAGS_FIELD)) != NULL;

    spec->tags = tags;
    if (err == BRIM_ENOENT && !has_tier) {
        spec->tags = update->stale->tags;
        spec->tag_count = update->stale->tag_count;
        return true;
    }
    return err != BRIM_ELIMIT &&
           (!has_tier ||
            brim_tier_read_tags(response, tags, BRIM_OBJECT_TAGS_MAX, &spec->tag_count));
}

enum brim_err brim_answer_refresh(const struct brim_answer_update *update,
                                  struct brim_object **object_out, struct brim_object **own_out,
                                  enum brim_store_verdict *verdict_out)
{
    const struct brim_object *stale = update->stale;
    struct brim_exchange judged = *update->exchange;
    size_t room = stale->fields.count + judged.response.count + 1;
    struct brim_field *scratch;
    struct brim_fields kept, merged;
    uint64_t tags[BRIM_OBJECT_TAGS_MAX];
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = stale->status,
        .key = stale->key,
        .primary = stale->primary,
        .seq = update->seq,
        .version = update->version,
        .body = stale->body,
    };
    const char *reason;
    enum brim_err err;

    *object_out = *own_out = NULL;
    *verdict_out = BRIM_STORE_NOT;
    if (!speaks_of(judged.response, stale) || brim_vary_adds(judged.response, stale->fields))
        return BRIM_EAGAIN;
    scratch = malloc(3 * room * sizeof(*scratch));
    if (scratch == NULL)
        return BRIM_ENOMEM;
    kept = brim_answer_fields(judged.response, BRIM_ANSWER_STORE, judged.method, 304, scratch);
    kept = brim_answer_without_tags(scratch, kept.count, update->rules);
    merged = merge(stale->fields, kept, scratch + room);
    judged.status = stale->status;
    judged.response = with_age(merged, update->exchange->response, scratch + 2 * room);
    *verdict_out = brim_freshness_verdict(&judged, update->rules, &reason);
    brim_freshness_compute(&judged, update->rules, &spec.fresh);
    spec.fields = merged;
    spec.body_id = stale->body_id;
    spec.is_codable = stale->status == 200 && update->rules->compress &&
                      brim_coding_suits(merged, update->rules->compress_types);
    if (!refresh_tags(update, tags, &spec)) {
        *verdict_out = BRIM_STORE_NOT;
        spec.tag_count = 0;
    }
    /* What the 304 brings for him alone who asked is his. */
    err = *verdict_out == BRIM_STORE && brings_own(update, judged.response)
              ? brim_object_new(&spec, own_out)
              : BRIM_OK;
    if (*verdict_out == BRIM_STORE) /* a cookie stored before the rules changed goes too */
        spec.fields =
            brim_answer_stored_fields(scratch + room, merged.count, judged.response, update->rules);
    if (err == BRIM_OK)
        err = brim_object_new(&spec, object_out);
    if (err != BRIM_OK) {
        brim_object_unref(*own_out);
        *own_out = NULL;
    }
    free(scratch);
    return err;
}
