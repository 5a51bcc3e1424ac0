/* SPDX-License-Identifier: MIT */
/*
 * A pattern becomes a list of parts, as the standard's parser makes them:
 *
 *   /app/:version?/main.*.js  ->  "/app"  "/" segment ?  "/main."  any  ".js"
 *
 * A '/' in front of a wildcard belongs to the wildcard's part, so that a modifier takes it along.
 *
 * The standard matches by a regular expression made from the parts. Here a set of positions walks
 * over the text, part by part: where can the match stand after this part? Each step is one pass, so
 * that no pattern, whoever wrote it, costs more than parts * repeats * length (the limits stand in
 * the header). A regular expression library would backtrack, and would not be cheaper to bound.
 */
#include "brim/http/url_pattern.h"

#include "brim/base/invariant.h"
#include "brim/http/uri.h"

#define NO_DELIMITER (-1)

/* One component of a pattern while it is read. */
struct reader {
    const char *text;
    size_t len;
    size_t at;
    bool has_prefix; /* '/' goes with the wildcard behind it: the path, not the query */
    struct brim_url_pattern *out;
    uint16_t fixed_at; /* literal bytes that no part has yet: text[fixed_at..text_len) of out */
    struct brim_str names[BRIM_URL_PATTERN_PARTS_MAX];
    size_t name_count;
};

/* ---- bytes and literals ---- */

static bool is_name_start(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static bool is_special(int c)
{
    return c == '*' || c == ':' || c == '{' || c == '}' || c == '(' || c == '?' || c == '+' ||
           c == '\\';
}

static int peek(const struct reader *in)
{
    return in->at < in->len ? (unsigned char)in->text[in->at] : -1;
}

static bool skip_if(struct reader *in, int byte)
{
    if (peek(in) != byte)
        return false;
    in->at++;
    return true;
}

static bool put(struct brim_url_pattern *out, struct brim_str bytes)
{
    if (bytes.len > sizeof(out->text) - out->text_len)
        return false;
    if (bytes.len > 0)
        memcpy(out->text + out->text_len, bytes.base, bytes.len);
    out->text_len += bytes.len;
    return true;
}

/* Takes literal bytes, escaped ones too, up to what is none; with stop_at_prefix also up to a '/'
 * that a wildcard follows. */
static enum brim_err take_literal(struct reader *in, bool stop_at_prefix)
{
    for (;;) {
        int c = peek(in);
        bool escaped = c == '\\';

        if (c == -1 || (is_special(c) && !escaped))
            return BRIM_OK;
        if (c == '/' && stop_at_prefix && in->at + 1 < in->len &&
            (in->text[in->at + 1] == '*' || in->text[in->at + 1] == ':'))
            return BRIM_OK;
        in->at += escaped;
        if (peek(in) == -1)
            return BRIM_EINVAL; /* an escape of nothing */
        if (!put(in->out, brim_str(in->text + in->at, 1)))
            return BRIM_ELIMIT;
        in->at++;
    }
}

/* ---- parts ---- */

static enum brim_err add_part(struct reader *in, struct brim_url_pattern_part part)
{
    if (in->out->parts == BRIM_URL_PATTERN_PARTS_MAX)
        return BRIM_ELIMIT;
    in->out->part[in->out->parts++] = part;
    in->fixed_at = (uint16_t)in->out->text_len;
    return BRIM_OK;
}

/* What stands in the text since the last part becomes a part of its own. */
static enum brim_err flush_literal(struct reader *in)
{
    size_t len = in->out->text_len - in->fixed_at;

    if (len == 0)
        return BRIM_OK;
    return add_part(
        in, (struct brim_url_pattern_part){.prefix_at = in->fixed_at, .prefix_len = (uint16_t)len});
}

static bool is_new_name(struct reader *in, struct brim_str name)
{
    for (size_t i = 0; i < in->name_count; i++)
        if (brim_str_is(in->names[i], name))
            return false;
    if (in->name_count < BRIM_URL_PATTERN_PARTS_MAX)
        in->names[in->name_count++] = name;
    return true;
}

/* Takes `*` or `:name`; FIXED where there is neither. */
static enum brim_err take_wildcard(struct reader *in, enum brim_url_pattern_kind *kind_out)
{
    size_t from = in->at + 1;

    *kind_out = BRIM_URL_PATTERN_FIXED;
    if (skip_if(in, '*')) {
        *kind_out = BRIM_URL_PATTERN_ANY;
    } else if (skip_if(in, ':')) {
        if (!is_name_start(peek(in)))
            return BRIM_EINVAL;
        while (is_name_start(peek(in)) || (peek(in) >= '0' && peek(in) <= '9'))
            in->at++;
        if (!is_new_name(in, brim_str(in->text + from, in->at - from)))
            return BRIM_EINVAL;
        *kind_out = BRIM_URL_PATTERN_SEGMENT;
    }
    return BRIM_OK;
}

static char take_modifier(struct reader *in)
{
    int c = peek(in);

    if (c != '?' && c != '*' && c != '+')
        return 0;
    in->at++;
    return (char)c;
}

/* A wildcard with the '/' in front of it, or without. */
static enum brim_err read_wildcard(struct reader *in)
{
    struct brim_url_pattern_part part = {0};
    enum brim_err err = flush_literal(in);

    if (err != BRIM_OK)
        return err;
    part.prefix_at = (uint16_t)in->out->text_len;
    if (skip_if(in, '/')) {
        if (!put(in->out, BRIM_STR("/")))
            return BRIM_ELIMIT;
        part.prefix_len = 1;
    }
    err = take_wildcard(in, &part.kind);
    if (err != BRIM_OK)
        return err;
    part.modifier = take_modifier(in);
    return add_part(in, part);
}

/* Behind the opening brace: literal, wildcard, literal, and nothing deeper. */
static enum brim_err read_group(struct reader *in)
{
    struct brim_url_pattern_part part = {0};
    enum brim_err err = flush_literal(in);

    part.prefix_at = (uint16_t)in->out->text_len;
    if (err == BRIM_OK)
        err = take_literal(in, false);
    part.prefix_len = (uint16_t)(in->out->text_len - part.prefix_at);
    if (err == BRIM_OK)
        err = take_wildcard(in, &part.kind);
    part.suffix_at = (uint16_t)in->out->text_len;
    if (err == BRIM_OK)
        err = take_literal(in, false);
    part.suffix_len = (uint16_t)(in->out->text_len - part.suffix_at);
    if (err != BRIM_OK)
        return err;
    if (!skip_if(in, '}'))
        return BRIM_EINVAL;
    part.modifier = take_modifier(in);
    return add_part(in, part);
}

static bool at_wildcard(const struct reader *in)
{
    int c = peek(in);

    return c == '*' || c == ':' || c == '/';
}

static enum brim_err read_component(struct brim_str text, bool is_path,
                                    struct brim_url_pattern *out)
{
    struct reader in = {.text = text.base, .len = text.len, .has_prefix = is_path, .out = out};
    enum brim_err err = BRIM_OK;

    in.fixed_at = (uint16_t)out->text_len;
    while (err == BRIM_OK && peek(&in) != -1) {
        err = take_literal(&in, in.has_prefix);
        if (err != BRIM_OK || peek(&in) == -1)
            break;
        if (skip_if(&in, '{'))
            err = read_group(&in);
        else
            err = at_wildcard(&in) ? read_wildcard(&in) : BRIM_EINVAL;
    }
    return err == BRIM_OK ? flush_literal(&in) : err;
}

/* ---- the components of a pattern ---- */

/* A key text's path and query, the '?' in neither. */
struct target {
    struct brim_str path;
    struct brim_str query;
};

static struct target target_of(struct brim_str url)
{
    size_t origin_len = brim_uri_origin(url).len;
    struct brim_str rest = brim_str(url.base + origin_len, url.len - origin_len);
    const char *mark = rest.len == 0 ? NULL : memchr(rest.base, '?', rest.len);

    if (mark == NULL)
        return (struct target){.path = rest};
    size_t path_len = (size_t)(mark - rest.base);
    return (struct target){brim_str(rest.base, path_len),
                           brim_str(mark + 1, rest.len - path_len - 1)};
}

/* Where the pattern's query begins: at a '?' that is no modifier, outside of braces. pattern.len:
 * nowhere. SIZE_MAX: the pattern has what is refused everywhere. */
static size_t find_query(struct brim_str pattern)
{
    bool in_group = false, behind_wildcard = false;
    size_t query = pattern.len;

    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.base[i];

        if (c == '(' || c == '#')
            return SIZE_MAX;
        if (c == '?' && !in_group && !behind_wildcard && query == pattern.len)
            query = i;
        if (c == '\\') {
            i++;
            behind_wildcard = false;
        } else if (c == ':') {
            while (i + 1 < pattern.len &&
                   (is_name_start(pattern.base[i + 1]) ||
                    (pattern.base[i + 1] >= '0' && pattern.base[i + 1] <= '9')))
                i++;
            behind_wildcard = true;
        } else {
            in_group = c == '{' || (in_group && c != '}');
            behind_wildcard = c == '*' || c == '}';
        }
    }
    return query;
}

/* Takes the base's origin from the front of an absolute pattern. False: it has another, or one
 * that is more than its literal text. */
static bool strip_origin(struct brim_str *pattern, struct brim_str origin)
{
    if (pattern->len == 0 || pattern->base[0] == '/' || pattern->base[0] == '?' ||
        memmem(pattern->base, pattern->len, "://", 3) == NULL)
        return true; /* relative */
    if (!brim_str_has_prefix(*pattern, origin) || pattern->len == origin.len ||
        pattern->base[origin.len] != '/')
        return false;
    *pattern = brim_str(pattern->base + origin.len, pattern->len - origin.len);
    return true;
}

static bool is_absolute_path(struct brim_str path)
{
    return brim_str_has_prefix(path, BRIM_STR("/")) || brim_str_has_prefix(path, BRIM_STR("\\/")) ||
           brim_str_has_prefix(path, BRIM_STR("{/"));
}

struct scratch {
    char bytes[2 * BRIM_URL_PATTERN_TEXT_BYTES];
    size_t len;
};

static bool put_scratch(struct scratch *out, struct brim_str text, bool escape)
{
    for (size_t i = 0; i < text.len; i++) {
        if (out->len + 2 > sizeof(out->bytes))
            return false;
        if (escape && is_special((unsigned char)text.base[i]))
            out->bytes[out->len++] = '\\';
        out->bytes[out->len++] = text.base[i];
    }
    return true;
}

/* The path's pattern, what the base gives to it included. */
static bool resolve_path(struct brim_str path, struct brim_str base_path, struct scratch *out)
{
    const char *slash = memrchr(base_path.base, '/', base_path.len);

    INVARIANT(slash != NULL);
    if (path.len == 0)
        return put_scratch(out, base_path, true);
    if (is_absolute_path(path))
        return put_scratch(out, path, false);
    return put_scratch(out, brim_str(base_path.base, (size_t)(slash - base_path.base) + 1), true) &&
           put_scratch(out, path, false);
}

enum brim_err brim_url_pattern_compile(struct brim_str pattern, struct brim_str base,
                                       struct brim_url_pattern *pattern_out)
{
    struct target of_base = target_of(base);
    struct scratch path = {.len = 0}, query = {.len = 0};
    size_t mark;

    pattern_out->text_len = pattern_out->parts = pattern_out->path_parts = 0;
    pattern_out->any_query = false;
    if (of_base.path.len == 0 || !strip_origin(&pattern, brim_uri_origin(base)))
        return BRIM_EINVAL;
    mark = find_query(pattern);
    if (mark == SIZE_MAX)
        return BRIM_EINVAL;
    if (!resolve_path(brim_str(pattern.base, mark), of_base.path, &path))
        return BRIM_ELIMIT;
    if (mark < pattern.len) {
        if (!put_scratch(&query, brim_str(pattern.base + mark + 1, pattern.len - mark - 1), false))
            return BRIM_ELIMIT;
    } else if (pattern.len > 0) {
        pattern_out->any_query = true;
    } else if (!put_scratch(&query, of_base.query, true)) {
        return BRIM_ELIMIT;
    }
    enum brim_err err = read_component(brim_str(path.bytes, path.len), true, pattern_out);
    pattern_out->path_parts = pattern_out->parts;
    if (err == BRIM_OK && !pattern_out->any_query)
        err = read_component(brim_str(query.bytes, query.len), false, pattern_out);
    return err;
}

/* ---- matching ---- */

/* The positions between the bytes of a text at which a match may stand. */
struct positions {
    bool at[BRIM_URL_PATTERN_TARGET_BYTES + 1];
};

/* Moves every position over the literal that stands there; the others are gone. */
static void step_literal(struct brim_str text, struct brim_str literal, struct positions *where)
{
    if (literal.len == 0)
        return;
    for (size_t end = text.len + 1; end-- > 0;)
        where->at[end] = end >= literal.len && where->at[end - literal.len] &&
                         memcmp(text.base + end - literal.len, literal.base, literal.len) == 0;
}

static void step_wildcard(struct brim_str text, enum brim_url_pattern_kind kind, int delimiter,
                          struct positions *where)
{
    bool running = false;

    if (kind == BRIM_URL_PATTERN_FIXED)
        return;
    for (size_t i = 0; i <= text.len; i++) {
        bool starts = where->at[i];

        where->at[i] = running || (starts && kind == BRIM_URL_PATTERN_ANY);
        running |= starts;
        if (i < text.len && kind == BRIM_URL_PATTERN_SEGMENT && text.base[i] == delimiter)
            running = false;
    }
}

/* One part once. */
static void step_once(const struct brim_url_pattern *pattern,
                      const struct brim_url_pattern_part *part, struct brim_str text, int delimiter,
                      struct positions *where)
{
    step_literal(text, brim_str(pattern->text + part->prefix_at, part->prefix_len), where);
    step_wildcard(text, part->kind, delimiter, where);
    step_literal(text, brim_str(pattern->text + part->suffix_at, part->suffix_len), where);
}

/* Adds what is new in `more` to where; `more` keeps only that. False: nothing was new. */
static bool merge(struct positions *where, struct positions *more, size_t len)
{
    bool grew = false;

    for (size_t i = 0; i <= len; i++) {
        more->at[i] &= !where->at[i];
        where->at[i] |= more->at[i];
        grew |= more->at[i];
    }
    return grew;
}

/* One part as often as its modifier says. */
static void step(const struct brim_url_pattern *pattern, const struct brim_url_pattern_part *part,
                 struct brim_str text, int delimiter, struct positions *where)
{
    size_t rounds = part->modifier == '?' ? 1 : BRIM_URL_PATTERN_REPEATS_MAX;

    if (part->modifier == 0 || part->modifier == '+')
        step_once(pattern, part, text, delimiter, where);
    if (part->modifier == 0)
        return;
    struct positions more = *where;
    for (size_t i = 0; i < rounds; i++) {
        step_once(pattern, part, text, delimiter, &more);
        if (!merge(where, &more, text.len))
            return;
    }
}

static bool matches(const struct brim_url_pattern *pattern, size_t from, size_t to,
                    struct brim_str text, int delimiter)
{
    struct positions where;

    if (text.len > BRIM_URL_PATTERN_TARGET_BYTES)
        return false;
    memset(&where, 0, sizeof(where));
    where.at[0] = true;
    for (size_t i = from; i < to; i++)
        step(pattern, &pattern->part[i], text, delimiter, &where);
    return where.at[text.len];
}

bool brim_url_pattern_matches(const struct brim_url_pattern *pattern, struct brim_str url)
{
    struct target target = target_of(url);

    INVARIANT(pattern->path_parts <= pattern->parts);
    return target.path.len > 0 && matches(pattern, 0, pattern->path_parts, target.path, '/') &&
           (pattern->any_query ||
            matches(pattern, pattern->path_parts, pattern->parts, target.query, NO_DELIMITER));
}
