/* SPDX-License-Identifier: MIT */
/*
 * Two requests that mean the same should find the same variant, and two that do not must not. So a
 * value is normalised only in ways that RFC 9111 4.1 allows for every list (lines joined, white
 * space around members dropped), and further only for the two fields whose meaning is known here.
 */
#include "brim/http/vary.h"

#include "brim/base/invariant.h"
#include "brim/http/weight.h"

/* Members of one Accept-Language that are sorted; longer lists keep their order. */
#define LANGUAGES_MAX 32u

static const struct brim_str vary = {"vary", 4};
static const struct brim_str cookie = {"cookie", 6};
static const struct brim_str accept_encoding = {"accept-encoding", 15};
static const struct brim_str accept_language = {"accept-language", 15};

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return c;
}

bool brim_vary_is_any(struct brim_fields response)
{
    return brim_fields_has_token(response, vary, BRIM_STR("*"));
}

bool brim_vary_is_by_sender(struct brim_fields response)
{
    static const struct brim_str names[] = {BRIM_STR("cdn-loop"), BRIM_STR("forwarded"),
                                            BRIM_STR("via"), BRIM_STR("x-forwarded-for")};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (brim_fields_has_token(response, vary, names[i]))
            return true;
    return false;
}

/* Order of names: by bytes, a prefix first. Both are in lower case. */
static int compare(struct brim_str a, struct brim_str b)
{
    int order = memcmp(a.base, b.base, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

enum brim_err brim_vary_names(struct brim_fields response, char *scratch, size_t scratch_bytes,
                              struct brim_str *names_out, size_t *count_out)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    size_t count = 0;
    size_t used = 0;

    *count_out = 0;
    while (brim_fields_next_member(response, vary, &cursor, &member)) {
        if (!brim_field_name_is_valid(member) || brim_str_is(member, BRIM_STR("*")))
            return BRIM_EINVAL;
        if (member.len > scratch_bytes - used)
            return BRIM_ELIMIT;
        struct brim_str name = brim_str(scratch + used, member.len);
        for (size_t i = 0; i < member.len; i++)
            scratch[used + i] = lower(member.base[i]);

        size_t at = count;
        while (at > 0 && compare(names_out[at - 1], name) > 0)
            at--;
        if (at > 0 && compare(names_out[at - 1], name) == 0)
            continue; /* its copy is overwritten by the next */
        if (count == BRIM_VARY_NAMES_MAX)
            return BRIM_ELIMIT;
        memmove(&names_out[at + 1], &names_out[at], (count - at) * sizeof(*names_out));
        names_out[at] = name;
        used += member.len;
        count++;
    }
    *count_out = count;
    return BRIM_OK;
}

/* Text that is being written to a buffer; once it has not fitted it stays that way. */
struct sink {
    char *base;
    size_t len;
    size_t room;
    bool full;
};

static void put(struct sink *sink, struct brim_str text)
{
    if (sink->full || text.len > sink->room - sink->len) {
        sink->full = true;
        return;
    }
    if (text.len > 0)
        memcpy(sink->base + sink->len, text.base, text.len);
    sink->len += text.len;
}

static void put_lower(struct sink *sink, struct brim_str text)
{
    size_t start = sink->len;

    put(sink, text);
    for (size_t i = start; i < sink->len; i++)
        sink->base[i] = lower(sink->base[i]);
}

/* Nothing for 1, else ";q=0" and as few decimals as the weight needs. */
static void put_weight(struct sink *sink, int weight)
{
    char text[] = ";q=0.000";
    size_t len = sizeof(text) - 1;

    if (weight == BRIM_WEIGHT_MAX)
        return;
    for (size_t i = len; i > len - 3; i--) {
        text[i - 1] = (char)('0' + weight % 10);
        weight /= 10;
    }
    while (text[len - 1] == '0' && len > sizeof(";q=0") - 1)
        len--;
    if (text[len - 1] == '.')
        len--;
    put(sink, brim_str(text, len));
}

/* Order of languages: by tag in any case, then by weight. */
static int compare_languages(const struct brim_weighted *a, const struct brim_weighted *b)
{
    size_t shared = a->token.len < b->token.len ? a->token.len : b->token.len;
    int order = strncasecmp(a->token.base, b->token.base, shared);

    if (order == 0)
        order = (a->token.len > b->token.len) - (a->token.len < b->token.len);
    return order != 0 ? order : (a->weight > b->weight) - (a->weight < b->weight);
}

/*
 * Reads Accept-Language sorted; false if it has a member that is no weighted tag or too many.
 * Order says nothing in this field (RFC 9110 12.5.4), weights do; tags match in any case.
 */
static bool sort_languages(struct brim_fields request, struct brim_weighted *languages,
                           size_t *count_out)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    size_t count = 0;

    *count_out = 0;
    while (brim_fields_next_member(request, accept_language, &cursor, &member)) {
        struct brim_weighted language = brim_weighted_parse(member);
        if (language.weight < 0 || !brim_field_name_is_valid(language.token) ||
            count == LANGUAGES_MAX)
            return false;
        size_t at = count;
        while (at > 0 && compare_languages(&languages[at - 1], &language) > 0)
            at--;
        memmove(&languages[at + 1], &languages[at], (count - at) * sizeof(*languages));
        languages[at] = language;
        count++;
    }
    *count_out = count;
    return true;
}

static void put_languages(struct sink *sink, const struct brim_weighted *languages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_languages(&languages[i - 1], &languages[i]) == 0)
            continue;
        if (i > 0)
            put(sink, BRIM_STR(","));
        put_lower(sink, languages[i].token);
        put_weight(sink, languages[i].weight);
    }
}

/* One line of a list: white space beside the commas says nothing (RFC 9110 5.6.1). A member without
 * a byte does where no list is read, as of an Origin or by who only splits. */
static void put_line(struct sink *sink, struct brim_str value)
{
    static const char blanks[] = " \t";
    bool in_quotes = false, behind_comma = false;

    for (size_t i = 0, step = 1; i < value.len; i += step, step = 1) {
        char c = value.base[i];

        if (!in_quotes && (c == ' ' || c == '\t')) {
            while (i + step < value.len && memchr(blanks, value.base[i + step], 2) != NULL)
                step++;
            if (behind_comma || (i + step < value.len && value.base[i + step] == ','))
                continue;
        } else if (in_quotes && c == '\\' && i + 1 < value.len) {
            step = 2; /* quoted-pair */
        } else if (c == '"') {
            in_quotes = !in_quotes;
        }
        put(sink, brim_str(value.base + i, step));
        behind_comma = !in_quotes && c == ',';
    }
}

/* Fields whose commas divide nothing: origins look for what stands beside them, too. */
static bool is_no_list(struct brim_str name)
{
    static const struct brim_str names[] = {BRIM_STR("authorization"), BRIM_STR("from"),
                                            BRIM_STR("origin"), BRIM_STR("referer"),
                                            BRIM_STR("user-agent")};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (brim_str_is(name, names[i]))
            return true;
    return false;
}

static void put_lines(struct sink *sink, struct brim_fields request, struct brim_str name)
{
    bool first = true;

    for (size_t i = 0; i < request.count; i++) {
        if (!brim_str_is(request.items[i].name, name))
            continue;
        if (!first)
            put(sink, BRIM_STR(","));
        if (is_no_list(name))
            put(sink, request.items[i].value);
        else
            put_line(sink, request.items[i].value);
        first = false;
    }
}

/* Cookie is no list: a comma in it is a byte like any other, and its lines, HTTP/2's crumbs, are
 * joined as they go out (RFC 9113 8.2.3). Lines without a byte say nothing. */
static void put_cookies(struct sink *sink, struct brim_fields request)
{
    size_t from = sink->len;

    for (size_t i = 0; i < request.count; i++) {
        if (!brim_str_is(request.items[i].name, cookie) || request.items[i].value.len == 0)
            continue;
        if (sink->len > from)
            put(sink, BRIM_STR("; "));
        put(sink, request.items[i].value);
    }
    if (sink->len == from)
        put(sink, BRIM_STR(BRIM_VARY_ABSENT));
}

/* Fields of clients that no shared fill shows to an origin (serve/upstream). The first two brim
 * answers itself (RFC 9842 2.2, 2.3), the others it writes itself, of what the key begins with:
 * what the origin sends does not depend on a client's. */
static bool is_kept_from_origins(struct brim_str name)
{
    return brim_str_is_nocase(name, BRIM_STR("available-dictionary")) ||
           brim_str_is_nocase(name, BRIM_STR("dictionary-id")) ||
           brim_str_is_nocase(name, BRIM_STR("x-forwarded-host")) ||
           brim_str_is_nocase(name, BRIM_STR("x-forwarded-proto"));
}

bool brim_vary_adds(struct brim_fields response, struct brim_fields stored)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;

    if (brim_vary_is_any(response) || brim_vary_is_by_sender(response))
        return false; /* nor is it stored */
    while (brim_fields_next_member(response, vary, &cursor, &member))
        if (!brim_str_is_nocase(member, accept_encoding) && !is_kept_from_origins(member) &&
            !brim_fields_has_token(stored, vary, member))
            return true;
    return false;
}

size_t brim_vary_value(struct brim_fields request, struct brim_str name, char *buffer,
                       size_t buffer_bytes)
{
    struct brim_weighted languages[LANGUAGES_MAX];
    struct sink sink = {.base = buffer, .room = buffer_bytes};
    size_t count;

    INVARIANT(buffer != NULL || buffer_bytes == 0);
    if (brim_str_is(name, accept_encoding))
        put(&sink, BRIM_STR(""));
    else if (brim_fields_find(request, name) == NULL || is_kept_from_origins(name))
        put(&sink, BRIM_STR(BRIM_VARY_ABSENT));
    else if (brim_str_is(name, cookie))
        put_cookies(&sink, request);
    else if (brim_str_is(name, accept_language) && sort_languages(request, languages, &count))
        put_languages(&sink, languages, count);
    else
        put_lines(&sink, request, name);
    return sink.full ? SIZE_MAX : sink.len;
}

enum brim_err brim_vary_names_for(struct brim_fields request, struct brim_fields response,
                                  char *scratch, size_t scratch_bytes, struct brim_str *names_out,
                                  size_t *count_out)
{
    enum brim_err err = brim_vary_names(response, scratch, scratch_bytes, names_out, count_out);

    if (err != BRIM_OK || brim_fields_find(request, BRIM_STR(BRIM_VARY_KEY)) == NULL)
        return err;
    if (*count_out == BRIM_VARY_NAMES_MAX)
        return BRIM_ELIMIT;
    memmove(names_out + 1, names_out, *count_out * sizeof(*names_out));
    names_out[0] = BRIM_STR(BRIM_VARY_KEY); /* a colon sorts before all names */
    (*count_out)++;
    return BRIM_OK;
}

static struct brim_str key_of(struct brim_fields request)
{
    const struct brim_field *field = brim_fields_find(request, BRIM_STR(BRIM_VARY_KEY));

    return field == NULL ? brim_str("", 0) : field->value;
}

#define SAME_BYTES 8192u /* of a Vary field, and of one selecting value */

bool brim_vary_is_by_twin(struct brim_fields request, struct brim_fields response)
{
    struct brim_str names[BRIM_VARY_NAMES_MAX];
    char scratch[SAME_BYTES];
    size_t count;

    if (brim_vary_names(response, scratch, sizeof(scratch), names, &count) != BRIM_OK)
        return false; /* it is not stored either */
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < request.count; j++)
            if (brim_field_name_is_twin(request.items[j].name, names[i]))
                return true;
    return false;
}

bool brim_vary_selects_same(struct brim_fields response, struct brim_fields a, struct brim_fields b)
{
    struct brim_str names[BRIM_VARY_NAMES_MAX];
    char scratch[SAME_BYTES], left[SAME_BYTES], right[SAME_BYTES];
    size_t count;

    if (!brim_str_is(key_of(a), key_of(b)))
        return false;
    if (brim_fields_find(response, BRIM_STR("vary")) == NULL)
        return true;
    if (brim_vary_is_any(response) || brim_vary_is_by_sender(response) ||
        brim_vary_names(response, scratch, sizeof(scratch), names, &count) != BRIM_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t left_len = brim_vary_value(a, names[i], left, sizeof(left));
        size_t right_len = brim_vary_value(b, names[i], right, sizeof(right));

        if (left_len == SIZE_MAX || right_len == SIZE_MAX ||
            !brim_str_is(brim_str(left, left_len), brim_str(right, right_len)))
            return false;
    }
    return true;
}
