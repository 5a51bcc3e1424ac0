/* SPDX-License-Identifier: MIT */
/*
 * Entity-tags have a list syntax of their own: a backslash in one is an ordinary byte (RFC 9110
 * 8.8.3), so the quoted-string walk of field.h would misread `"a\", "b"`. This file walks them.
 */
#include "brim/http/conditional.h"

#include "brim/http/date.h"

/* How long after Last-Modified a Date must be for the former to be strong (RFC 9110 8.8.2.2). */
#define STRONG_AFTER_S 1

struct tag {
    struct brim_str opaque; /* with its quotes */
    bool weak;
};

/* Length of the entity-tag at the front of text, or 0. */
static size_t tag_len(struct brim_str text)
{
    size_t i = text.len >= 2 && text.base[0] == 'W' && text.base[1] == '/' ? 2 : 0;

    if (i >= text.len || text.base[i] != '"')
        return 0;
    for (i++; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];
        if (c == '"')
            return i + 1;
        if (c <= 0x20 || c == 0x7f) /* etagc = %x21 / %x23-7E / obs-text */
            return 0;
    }
    return 0;
}

/* Reads text as exactly one entity-tag. */
static bool parse_tag(struct brim_str text, struct tag *tag_out)
{
    *tag_out = (struct tag){0};
    if (text.len == 0 || tag_len(text) != text.len)
        return false;
    tag_out->weak = text.base[0] == 'W';
    size_t skip = tag_out->weak ? 2 : 0;
    tag_out->opaque = brim_str(text.base + skip, text.len - skip);
    return true;
}

enum comparison { STRONG, WEAK }; /* RFC 9110 8.8.3.2 */

static bool tags_match(struct brim_str a, struct brim_str b, enum comparison comparison)
{
    struct tag left;
    struct tag right;

    if (!parse_tag(a, &left) || !parse_tag(b, &right)) {
        /* What an origin sends in place of an entity-tag comes back as it went out; that it is the
         * same bytes is good enough to say "you have it", never to combine parts of bodies. */
        return comparison == WEAK && a.len > 0 && brim_str_is(a, b);
    }
    if (comparison == STRONG && (left.weak || right.weak))
        return false;
    return brim_str_is(left.opaque, right.opaque);
}

/* Takes the next member of a list of entity-tags; one that is none reaches to its comma. */
static bool take_member(struct brim_str *list, struct brim_str *member_out)
{
    size_t i = 0;

    *member_out = brim_str(NULL, 0);
    while (i < list->len && (list->base[i] == ',' || list->base[i] == ' ' || list->base[i] == '\t'))
        i++;
    *list = brim_str(list->base + i, list->len - i);
    if (list->len == 0)
        return false;
    i = tag_len(*list);
    while (i < list->len && list->base[i] != ',')
        i++;
    *member_out = brim_str_trim(brim_str(list->base, i));
    *list = brim_str(list->base + i, list->len - i);
    return true;
}

bool brim_conditional_lists(struct brim_fields request, struct brim_str etag)
{
    struct brim_str list, member;

    for (size_t i = 0; i < request.count; i++) {
        if (!brim_str_is(request.items[i].name, BRIM_STR("if-none-match")))
            continue;
        list = request.items[i].value;
        while (take_member(&list, &member))
            if (brim_str_is(member, etag))
                return true;
    }
    return false;
}

/* Whether "*" or a member of If-None-Match matches the representation, which exists. */
static bool any_matches(struct brim_fields request, struct brim_str etag)
{
    struct brim_str name = BRIM_STR("if-none-match");
    const struct brim_field *only = brim_fields_only(request, name);

    if (only != NULL && brim_str_is(only->value, BRIM_STR("*")))
        return true;
    for (size_t i = 0; i < request.count; i++) {
        struct brim_str list = request.items[i].value;
        struct brim_str member;
        if (!brim_str_is(request.items[i].name, name))
            continue;
        while (take_member(&list, &member)) {
            if (tags_match(member, etag, WEAK))
                return true;
        }
    }
    return false;
}

/* Whether the request has exactly one field called name and that is a date. */
static bool find_date(struct brim_fields request, struct brim_str name, int64_t now_wall_s,
                      int64_t *date_wall_s_out)
{
    const struct brim_field *field = brim_fields_only(request, name);

    *date_wall_s_out = field == NULL ? INT64_MIN : brim_date_parse(field->value, now_wall_s);
    return *date_wall_s_out != INT64_MIN;
}

bool brim_conditional_is_for_origin(struct brim_fields request, int64_t now_wall_s)
{
    int64_t since;

    return brim_fields_find(request, BRIM_STR("if-match")) != NULL ||
           find_date(request, BRIM_STR("if-unmodified-since"), now_wall_s, &since);
}

bool brim_conditional_is_not_modified(struct brim_fields request,
                                      const struct brim_validators *validators, int64_t now_wall_s)
{
    int64_t since;

    if (brim_fields_find(request, BRIM_STR("if-none-match")) != NULL)
        return any_matches(request, validators->etag);
    if (!find_date(request, BRIM_STR("if-modified-since"), now_wall_s, &since))
        return false;
    /* Without Last-Modified a cache compares with Date (RFC 9111 4.3.2). */
    int64_t modified = validators->last_modified_wall_s != -1 ? validators->last_modified_wall_s
                                                              : validators->date_wall_s;
    return modified != -1 && modified <= since;
}

bool brim_etag_is_strong(struct brim_str value)
{
    struct tag tag;

    return parse_tag(value, &tag) && !tag.weak;
}

bool brim_last_modified_is_strong(int64_t modified_wall_s, int64_t date_wall_s)
{
    return modified_wall_s != INT64_MIN && modified_wall_s != -1 &&
           date_wall_s >= modified_wall_s + STRONG_AFTER_S;
}

bool brim_conditional_range_applies(struct brim_fields request,
                                    const struct brim_validators *validators, int64_t now_wall_s)
{
    const struct brim_field *field = brim_fields_only(request, BRIM_STR("if-range"));

    if (field == NULL)
        return brim_fields_find(request, BRIM_STR("if-range")) == NULL;
    /* A date has no quote among its first three bytes, an entity-tag has (RFC 9110 13.1.5). */
    if (tag_len(field->value) > 0)
        return tags_match(field->value, validators->etag, STRONG);
    int64_t date = brim_date_parse(field->value, now_wall_s);
    return date != INT64_MIN && date == validators->last_modified_wall_s &&
           brim_last_modified_is_strong(validators->last_modified_wall_s, validators->date_wall_s);
}
