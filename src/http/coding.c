/* SPDX-License-Identifier: MIT */
#include "brim/http/coding.h"

#include "brim/base/invariant.h"
#include "brim/base/text.h"
#include "brim/http/weight.h"

static const struct brim_str names[BRIM_CODINGS] = {
    [BRIM_CODING_BR] = {"br", 2},
    [BRIM_CODING_ZSTD] = {"zstd", 4},
    [BRIM_CODING_GZIP] = {"gzip", 4},
    [BRIM_CODING_IDENTITY] = {"identity", 8},
};

struct brim_str brim_coding_name(enum brim_coding coding)
{
    INVARIANT(coding < BRIM_CODINGS);
    return names[coding];
}

static enum brim_coding coding_called(struct brim_str name)
{
    for (int i = 0; i < BRIM_CODINGS; i++)
        if (brim_str_is_nocase(name, names[i]))
            return (enum brim_coding)i;
    return brim_str_is_nocase(name, BRIM_STR("x-gzip")) ? BRIM_CODING_GZIP : BRIM_CODINGS;
}

enum brim_coding brim_coding_of(struct brim_fields response)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member, another;

    if (!brim_fields_next_member(response, BRIM_STR("content-encoding"), &cursor, &member))
        return BRIM_CODING_IDENTITY;
    if (brim_fields_next_member(response, BRIM_STR("content-encoding"), &cursor, &another))
        return BRIM_CODINGS;
    return coding_called(member);
}

/* ---- Accept-Encoding ---- */

/* A coding named twice has the smaller of its weights; what is not readable is not wanted. */
static void note(int *weight, int said)
{
    if (said < 0)
        said = 0;
    if (*weight < 0 || said < *weight)
        *weight = said;
}

void brim_accept_parse(struct brim_fields request, struct brim_accept *accept_out)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    int weights[BRIM_CODINGS + 1], any = -1;

    for (int i = 0; i <= BRIM_CODINGS; i++)
        weights[i] = -1;
    while (brim_fields_next_member(request, BRIM_STR("accept-encoding"), &cursor, &member)) {
        struct brim_weighted one = brim_weighted_parse(member);

        if (brim_str_is(one.token, BRIM_STR("*")))
            note(&any, one.weight);
        else
            note(&weights[coding_called(one.token)], one.weight);
    }
    for (int i = 0; i < BRIM_CODINGS; i++)
        accept_out->weights[i] = weights[i] >= 0 ? weights[i] : any > 0 ? any : 0;
    /* Identity is acceptable unless it is ruled out, and wanted least where it is not named. */
    if (weights[BRIM_CODING_IDENTITY] < 0)
        accept_out->weights[BRIM_CODING_IDENTITY] = any == 0 ? 0 : 1;
}

enum brim_coding brim_accept_best(const struct brim_accept *accept, unsigned tried)
{
    enum brim_coding best = BRIM_CODING_IDENTITY;
    int weight = accept->weights[BRIM_CODING_IDENTITY];

    for (int i = BRIM_CODING_IDENTITY - 1; i >= 0; i--) {
        if ((tried & 1u << i) != 0 || accept->weights[i] == 0 || accept->weights[i] < weight)
            continue;
        best = (enum brim_coding)i;
        weight = accept->weights[i];
    }
    return best;
}

/* ---- what is worth it ---- */

/* `type/subtype`, all of `type/` and a star, or what ends with `+suffix`. */
static bool is_type(struct brim_str type, struct brim_str pattern)
{
    size_t len = pattern.len;

    if (len > 1 && pattern.base[0] == '+')
        return type.len > len &&
               brim_str_is_nocase(brim_str(type.base + type.len - len, len), pattern);
    if (len > 2 && pattern.base[len - 1] == '*' && pattern.base[len - 2] == '/')
        return type.len >= len &&
               brim_str_is_nocase(brim_str(type.base, len - 1), brim_str(pattern.base, len - 1));
    return brim_str_is_nocase(type, pattern);
}

static bool is_listed(struct brim_str type, struct brim_targets types)
{
    if (brim_str_is_nocase(type, BRIM_STR("text/event-stream")))
        return false;
    for (size_t i = 0; i < types.count; i++)
        if (is_type(type, types.names[i]))
            return true;
    return false;
}

static struct brim_str media_type(struct brim_str value)
{
    const char *semicolon = memchr(value.base, ';', value.len);

    return brim_str_trim(
        semicolon == NULL ? value : brim_str(value.base, (size_t)(semicolon - value.base)));
}

bool brim_coding_is_fixed(struct brim_fields response)
{
    return brim_fields_has_token(response, BRIM_STR("cache-control"), BRIM_STR("no-transform"));
}

bool brim_coding_suits(struct brim_fields response, struct brim_targets types)
{
    const struct brim_field *type = brim_fields_only(response, BRIM_STR("content-type"));

    if (type == NULL || brim_coding_of(response) == BRIM_CODINGS ||
        brim_fields_find(response, BRIM_STR("content-range")) != NULL ||
        brim_coding_is_fixed(response))
        return false;
    return is_listed(media_type(type->value), types);
}

size_t brim_coding_etag(struct brim_str etag, struct brim_recoding recoding, char *buffer,
                        size_t buffer_bytes)
{
    struct brim_text text = brim_text_in(buffer, buffer_bytes);
    bool is_strong = etag.len > 1 && etag.base[0] == '"' && etag.base[etag.len - 1] == '"';

    if (recoding.as == recoding.own || !is_strong) {
        brim_text_put(&text, etag);
        return text.is_cut ? 0 : text.len;
    }
    if (recoding.is_anew)
        brim_text_put(&text, BRIM_STR("W/"));
    brim_text_put(&text, brim_str(etag.base, etag.len - 1));
    brim_text_put(&text, BRIM_STR("-"));
    brim_text_put(&text, brim_coding_name(recoding.as));
    brim_text_put(&text, BRIM_STR("\""));
    return text.is_cut ? 0 : text.len;
}

/* How much of a tag, without its quotes, is there before the suffix; 0: it has none. */
static size_t stem_len(struct brim_str opaque)
{
    for (int i = 0; i < BRIM_CODINGS; i++) {
        size_t suffix = names[i].len + 1, stem = opaque.len - suffix;

        if (opaque.len > suffix && opaque.base[stem] == '-' &&
            brim_str_is(brim_str(opaque.base + stem + 1, names[i].len), names[i]))
            return stem;
    }
    return 0;
}

size_t brim_coding_etags_for_origin(struct brim_str list, char *buffer, size_t buffer_bytes)
{
    struct brim_text text = brim_text_in(buffer, buffer_bytes);
    const char *at = list.base, *end = list.base + list.len, *open, *close;
    bool is_changed = false;

    while ((open = memchr(at, '"', (size_t)(end - at))) != NULL &&
           (close = memchr(open + 1, '"', (size_t)(end - open - 1))) != NULL) {
        struct brim_str opaque = brim_str(open + 1, (size_t)(close - open - 1));
        size_t stem = stem_len(opaque);
        bool is_weak = open - at >= 2 && open[-1] == '/' && open[-2] == 'W';

        brim_text_put(&text, brim_str(at, (size_t)(close + 1 - at)));
        if (stem > 0) {
            brim_text_put(&text, is_weak ? BRIM_STR(", W/\"") : BRIM_STR(", \""));
            brim_text_put(&text, brim_str(opaque.base, stem));
            brim_text_put(&text, BRIM_STR("\""));
            is_changed = true;
        }
        at = close + 1;
    }
    brim_text_put(&text, brim_str(at, (size_t)(end - at)));
    return is_changed && !text.is_cut ? text.len : 0;
}
