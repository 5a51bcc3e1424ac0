/* SPDX-License-Identifier: MIT */
#include "brim/http/cache_key.h"

#include "brim/base/text.h"
#include "brim/http/weight.h"

#define PARAMETERS_MAX 256u /* a query with more is left as it is, and is a key of its own */

bool brim_cache_key_has_query(const struct brim_key_rules *rules)
{
    return rules->query_keep.count + rules->query_drop.count > 0 || rules->query_sort;
}

bool brim_cache_key_has_selector(const struct brim_key_rules *rules)
{
    return rules->headers.count + rules->cookies.count + rules->languages.count > 0 ||
           rules->device;
}

/* ---- query ---- */

static struct brim_str name_of(struct brim_str parameter)
{
    const char *equals = memchr(parameter.base, '=', parameter.len);

    return equals == NULL ? parameter : brim_str(parameter.base, (size_t)(equals - parameter.base));
}

static bool is_listed(const struct brim_targets *list, struct brim_str name)
{
    for (size_t i = 0; i < list->count; i++) {
        struct brim_str entry = list->names[i];
        bool is_open = entry.len > 0 && entry.base[entry.len - 1] == '*';

        if (is_open ? brim_str_has_prefix(name, brim_str(entry.base, entry.len - 1))
                    : brim_str_is(name, entry))
            return true;
    }
    return false;
}

static bool is_cookie_listed(const struct brim_targets *list, struct brim_str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (brim_str_is(name, list->names[i]))
            return true;
    return false;
}

static bool counts(const struct brim_key_rules *rules, struct brim_str parameter)
{
    struct brim_str name = name_of(parameter);

    if (rules->query_keep.count > 0 && !is_listed(&rules->query_keep, name))
        return false;
    return !is_listed(&rules->query_drop, name);
}

static int order_of(struct brim_str a, struct brim_str b)
{
    struct brim_str left = name_of(a), right = name_of(b);
    int order = memcmp(left.base, right.base, left.len < right.len ? left.len : right.len);

    return order != 0 ? order : (left.len > right.len) - (left.len < right.len);
}

/* Puts parameter where it belongs among the count that are there. */
static void insert(struct brim_str *parameters, size_t count, struct brim_str parameter, bool sort)
{
    size_t at = count;

    while (sort && at > 0 && order_of(parameters[at - 1], parameter) > 0)
        at--;
    memmove(&parameters[at + 1], &parameters[at], (count - at) * sizeof(*parameters));
    parameters[at] = parameter;
}

/* The parameters of query that count; PARAMETERS_MAX + 1: there are too many to say. */
static size_t collect(const struct brim_key_rules *rules, struct brim_str query,
                      struct brim_str *parameters)
{
    size_t count = 0;

    while (query.len > 0) {
        const char *end = memchr(query.base, '&', query.len);
        size_t len = end == NULL ? query.len : (size_t)(end - query.base);
        struct brim_str parameter = brim_str(query.base, len);

        if (len > 0 && counts(rules, parameter)) {
            if (count == PARAMETERS_MAX)
                return PARAMETERS_MAX + 1;
            insert(parameters, count++, parameter, rules->query_sort);
        }
        len += end == NULL ? 0 : 1;
        query = brim_str(query.base + len, query.len - len);
    }
    return count;
}

size_t brim_cache_key_target(const struct brim_key_rules *rules, struct brim_str target,
                             char *buffer)
{
    const char *mark = memchr(target.base, '?', target.len);
    struct brim_str parameters[PARAMETERS_MAX + 1];
    size_t len, count;

    memcpy(buffer, target.base, target.len);
    if (mark == NULL || !brim_cache_key_has_query(rules))
        return target.len;
    len = (size_t)(mark - target.base);
    count = collect(rules, brim_str(mark + 1, target.len - len - 1), parameters);
    if (count > PARAMETERS_MAX)
        return target.len;
    for (size_t i = 0; i < count; i++) {
        buffer[len++] = i == 0 ? '?' : '&';
        memcpy(buffer + len, parameters[i].base, parameters[i].len);
        len += parameters[i].len;
    }
    return len;
}

/* ---- selector ---- */

static bool is_plain(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void put_escaped(struct brim_text *out, struct brim_str text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len && !out->is_cut; i++) {
        unsigned char c = (unsigned char)text.base[i];
        char escape[3] = {'%', digits[c >> 4], digits[c & 15]};

        brim_text_put(out, is_plain(c) ? brim_str(&text.base[i], 1) : brim_str(escape, 3));
    }
}

/* Begins a part: ";h:" and the escaped name. */
static void put_part(struct brim_text *out, const char *kind, struct brim_str name)
{
    if (out->len > 0)
        brim_text_put(out, BRIM_STR(";"));
    brim_text_put(out, brim_str_of(kind));
    put_escaped(out, name);
}

static void put_header(struct brim_text *out, struct brim_fields request, struct brim_str name)
{
    put_part(out, "h:", name);
    for (size_t i = 0; i < request.count; i++)
        if (brim_str_is(request.items[i].name, name)) {
            brim_text_put(out, BRIM_STR("="));
            put_escaped(out, request.items[i].value);
        }
}

/* Walks the pairs of all Cookie fields; false at the end. */
struct cookies {
    size_t field;
    size_t offset;
};

static bool next_cookie(struct brim_fields request, struct cookies *at, struct brim_str *pair_out)
{
    for (; at->field < request.count; at->field++, at->offset = 0) {
        struct brim_str value = request.items[at->field].value;

        if (!brim_str_is(request.items[at->field].name, BRIM_STR("cookie")))
            continue;
        while (at->offset < value.len) {
            struct brim_str rest = brim_str(value.base + at->offset, value.len - at->offset);
            const char *end = memchr(rest.base, ';', rest.len);
            size_t len = end == NULL ? rest.len : (size_t)(end - rest.base);

            at->offset += len + 1;
            *pair_out = brim_str_trim(brim_str(rest.base, len));
            if (pair_out->len > 0)
                return true;
        }
    }
    return false;
}

static void put_cookie(struct brim_text *out, struct brim_fields request, struct brim_str name)
{
    struct cookies at = {0};
    struct brim_str pair;

    put_part(out, "c:", name);
    while (next_cookie(request, &at, &pair)) {
        struct brim_str own = name_of(pair);

        if (!brim_str_is(own, name))
            continue;
        brim_text_put(out, BRIM_STR("="));
        put_escaped(out, brim_str(pair.base + own.len, pair.len - own.len));
    }
}

size_t brim_cache_key_selector(const struct brim_key_rules *rules, struct brim_fields request,
                               struct brim_str part, char *buffer, size_t room)
{
    struct brim_text out = brim_text_in(buffer, room);

    for (size_t i = 0; i < rules->headers.count; i++)
        put_header(&out, request, rules->headers.names[i]);
    for (size_t i = 0; i < rules->cookies.count; i++)
        put_cookie(&out, request, rules->cookies.names[i]);
    if (rules->device)
        put_part(&out, "d:", brim_cache_key_device(request));
    if (rules->languages.count > 0)
        put_part(&out, "l:", brim_cache_key_language(rules, request));
    if (part.len > 0)
        put_part(&out, "k:", part);
    return out.is_cut ? SIZE_MAX : out.len;
}

size_t brim_cache_key_cookies_room(struct brim_fields request)
{
    size_t room = 0;

    for (size_t i = 0; i < request.count; i++)
        if (brim_str_is(request.items[i].name, BRIM_STR("cookie")))
            room += request.items[i].value.len + 2;
    return room;
}

size_t brim_cache_key_cookies(const struct brim_key_rules *rules, struct brim_fields request,
                              char *buffer)
{
    struct cookies at = {0};
    struct brim_str pair;
    size_t len = 0;

    while (next_cookie(request, &at, &pair)) {
        if (!is_cookie_listed(&rules->cookies, name_of(pair)))
            continue;
        if (len > 0) {
            memcpy(buffer + len, "; ", 2);
            len += 2;
        }
        memcpy(buffer + len, pair.base, pair.len);
        len += pair.len;
    }
    return len;
}

/* ---- classes ---- */

static bool contains(struct brim_str text, const char *word)
{
    return memmem(text.base, text.len, word, strlen(word)) != NULL;
}

struct brim_str brim_cache_key_device(struct brim_fields request)
{
    const struct brim_field *hint = brim_fields_only(request, BRIM_STR("sec-ch-ua-mobile"));
    const struct brim_field *agent = brim_fields_only(request, BRIM_STR("user-agent"));
    struct brim_str text = agent == NULL ? brim_str("", 0) : agent->value;

    if (contains(text, "iPad") || contains(text, "Tablet") ||
        (contains(text, "Android") && !contains(text, "Mobile")))
        return BRIM_STR("tablet");
    if (hint != NULL && brim_str_is(hint->value, BRIM_STR("?1")))
        return BRIM_STR("mobile");
    if (contains(text, "Mobi") || contains(text, "iPhone"))
        return BRIM_STR("mobile");
    return BRIM_STR("desktop");
}

/* Cuts the last subtag off, and a single letter before it (RFC 4647 3.4). */
static struct brim_str shorter(struct brim_str range)
{
    size_t len = range.len;

    while (len > 0 && range.base[len - 1] != '-')
        len--;
    if (len > 0)
        len--;
    if (len > 2 && range.base[len - 2] == '-')
        len -= 2;
    return brim_str(range.base, len);
}

static bool lookup(const struct brim_key_rules *rules, struct brim_str range,
                   struct brim_str *tag_out)
{
    for (; range.len > 0; range = shorter(range))
        for (size_t i = 0; i < rules->languages.count; i++)
            if (brim_str_is_nocase(range, rules->languages.names[i])) {
                *tag_out = rules->languages.names[i];
                return true;
            }
    return false;
}

struct brim_str brim_cache_key_language(const struct brim_key_rules *rules,
                                        struct brim_fields request)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str best = rules->languages.names[0], member, tag;
    int weight = 0;

    while (brim_fields_next_member(request, BRIM_STR("accept-language"), &cursor, &member)) {
        struct brim_weighted one = brim_weighted_parse(member);

        if (one.weight > weight && lookup(rules, one.token, &tag)) {
            best = tag;
            weight = one.weight;
        }
    }
    return best;
}
