/* SPDX-License-Identifier: MIT */
/*
 * One table row per directive: how it is told, where it goes, and what it means if its argument
 * cannot be read. Rules that the RFC leaves to the cache, and why they are as they are:
 *
 * - Twice the same directive: RFC 9111 4.2.1 offers "use the first" and "consider it stale". The
 *   smallest value satisfies both at every moment: while it lasts the first one lasts too, and
 *   after it the response is considered stale.
 * - An argument that is no number: stale (4.2.1 encourages that), hence 0.
 * - `max-age =60`, `private; max-age=60` and the like are no directives by the grammar. The token
 * in front still says what the sender was about, so it counts as if its argument were wrong.
 * - An unclosed quote: see field.h for what the list then is. Which side of the quote was meant is
 *   unknown, so restrictions count on both sides and permissions on neither.
 *
 * A targeted field is a Dictionary instead, which leaves less to guess: it is valid or it is not
 * there, and of two values the last counts (RFC 9651 4.2.2). Left open is a directive whose value
 * has the wrong type, `max-age="60"` or `no-store=1`: RFC 9213 2.1 says not to use such a value.
 * To drop the directive could leave a response to heuristics of which the sender wanted a limit,
 * so it stays, with the strictest meaning it can have. `no-store=?0` says in so many words that
 * the directive is not given.
 */
#include "brim/http/cache_control.h"

#include <stddef.h>

#include "brim/base/invariant.h"
#include "brim/http/structured.h"

enum directive_kind {
    RESTRICTION, /* bool; counts whatever its argument is */
    PERMISSION,  /* bool; counts only without argument */
    QUALIFIED,   /* two bools: without names, and the next member with names */
    SECONDS_MIN, /* int64_t; the smallest counts, not valid is 0 */
    SECONDS_MAX, /* int64_t; the largest counts, not valid is the largest there is */
    SECONDS_ANY, /* as SECONDS_MIN, but without argument it is without limit */
};

struct directive {
    struct brim_str name;
    enum directive_kind kind;
    size_t offset;
};

#define DIRECTIVE(text, kind, member)                                                              \
    {                                                                                              \
        {text, sizeof(text) - 1}, kind, offsetof(struct brim_cache_control, member)                \
    }
static const struct directive directives[] = {
    DIRECTIVE("max-age", SECONDS_MIN, max_age_s),
    DIRECTIVE("s-maxage", SECONDS_MIN, s_maxage_s),
    DIRECTIVE("stale-while-revalidate", SECONDS_MIN, swr_s),
    DIRECTIVE("stale-if-error", SECONDS_MIN, sie_s),
    DIRECTIVE("max-stale", SECONDS_ANY, max_stale_s),
    DIRECTIVE("min-fresh", SECONDS_MAX, min_fresh_s),
    DIRECTIVE("no-store", RESTRICTION, no_store),
    DIRECTIVE("no-cache", QUALIFIED, no_cache),
    DIRECTIVE("private", QUALIFIED, is_private),
    DIRECTIVE("must-revalidate", RESTRICTION, must_revalidate),
    DIRECTIVE("proxy-revalidate", RESTRICTION, proxy_revalidate),
    DIRECTIVE("no-transform", RESTRICTION, no_transform),
    DIRECTIVE("only-if-cached", RESTRICTION, only_if_cached),
    DIRECTIVE("public", PERMISSION, is_public),
    DIRECTIVE("must-understand", PERMISSION, must_understand),
    DIRECTIVE("immutable", PERMISSION, immutable),
};
#undef DIRECTIVE

/* apply() finds the second flag of a QUALIFIED directive right behind the first. */
_Static_assert(offsetof(struct brim_cache_control, no_cache_fields) ==
                   offsetof(struct brim_cache_control, no_cache) + sizeof(bool),
               "no_cache_fields follows no_cache");
_Static_assert(offsetof(struct brim_cache_control, private_fields) ==
                   offsetof(struct brim_cache_control, is_private) + sizeof(bool),
               "private_fields follows is_private");

int64_t brim_delta_seconds_parse(struct brim_str text)
{
    int64_t seconds = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] < '0' || text.base[i] > '9')
            return -1;
        seconds = seconds * 10 + (text.base[i] - '0');
        if (seconds > BRIM_DELTA_SECONDS_MAX)
            seconds = BRIM_DELTA_SECONDS_MAX;
    }
    return text.len > 0 ? seconds : -1;
}

/* One member of the list, cut at its first "=". */
struct member {
    struct brim_str name; /* the token in front */
    struct brim_str argument;
    bool has_argument; /* also for anything else that is not the end behind the token */
};

static bool is_quoted(struct brim_str text)
{
    return text.len >= 2 && text.base[0] == '"' && text.base[text.len - 1] == '"';
}

static struct member cut(struct brim_str text)
{
    struct member member = {.name = text};
    size_t len = 0;

    while (len < text.len && brim_field_name_is_valid(brim_str(text.base + len, 1)))
        len++;
    member.name.len = len;
    member.has_argument = len < text.len;
    if (len < text.len && text.base[len] == '=') {
        /* Both forms count, whichever the directive is defined with (RFC 9111 5.2). */
        member.argument = brim_str(text.base + len + 1, text.len - len - 1);
        if (is_quoted(member.argument))
            member.argument = brim_str(member.argument.base + 1, member.argument.len - 2);
    }
    return member;
}

/* Fields without which the rest of a response says something else: what it is, how long it lasts,
 * to whom it may be given, where it leads. */
static bool is_vital(struct brim_str name)
{
    static const struct brim_str vital[] = {
        BRIM_STR("age"),           BRIM_STR("cache-control"), BRIM_STR("cdn-cache-control"),
        BRIM_STR("date"),          BRIM_STR("etag"),          BRIM_STR("expires"),
        BRIM_STR("last-modified"), BRIM_STR("location"),      BRIM_STR("vary"),
    };
    struct brim_str content = BRIM_STR("content-");

    if (name.len > content.len && brim_str_is_nocase(brim_str(name.base, content.len), content))
        return true;
    for (size_t i = 0; i < sizeof(vital) / sizeof(vital[0]); i++)
        if (brim_str_is_nocase(name, vital[i]))
            return true;
    return false;
}

/* Whether text is a list of one or more names of fields that a response can do without, and nothing
 * else. Any other list restricts the whole response: more than it says, never less. */
static bool is_name_list(struct brim_str text)
{
    struct brim_field field = {.value = text};
    struct brim_list_cursor cursor = {0};
    struct brim_str name;
    size_t count = 0;

    while (brim_fields_next_member((struct brim_fields){&field, 1}, field.name, &cursor, &name)) {
        if (!brim_field_name_is_valid(name) || is_vital(name))
            return false;
        count++;
    }
    return count > 0;
}

static void apply_seconds(const struct directive *directive, const struct member *member,
                          int64_t *value)
{
    bool largest = directive->kind == SECONDS_MAX;
    int64_t seconds = brim_delta_seconds_parse(member->argument);

    if (seconds < 0 && directive->kind == SECONDS_ANY && !member->has_argument)
        seconds = INT64_MAX;
    else if (seconds < 0)
        seconds = largest ? BRIM_DELTA_SECONDS_MAX : 0;
    if (*value < 0 || (largest ? seconds > *value : seconds < *value))
        *value = seconds;
}

static void apply(const struct directive *directive, const struct member *member,
                  struct brim_cache_control *control)
{
    void *at = (char *)control + directive->offset;
    bool *flag = at;

    switch (directive->kind) {
    case RESTRICTION:
        *flag = true;
        break;
    case PERMISSION:
        if (!member->has_argument)
            *flag = true;
        break;
    case QUALIFIED:
        flag[is_name_list(member->argument) ? 1 : 0] = true;
        break;
    case SECONDS_MIN:
    case SECONDS_MAX:
    case SECONDS_ANY:
        apply_seconds(directive, member, at);
        break;
    }
}

static const struct directive *directive_called(struct brim_str name)
{
    for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++)
        if (brim_str_is_nocase(name, directives[i].name))
            return &directives[i];
    return NULL;
}

static const struct brim_cache_control says_nothing = {
    .max_age_s = -1,
    .s_maxage_s = -1,
    .swr_s = -1,
    .sie_s = -1,
    .max_stale_s = -1,
    .min_fresh_s = -1,
};

void brim_cache_control_parse(struct brim_fields fields, struct brim_str name,
                              struct brim_cache_control *control_out)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str text;

    *control_out = says_nothing;
    control_out->present = brim_fields_find(fields, name) != NULL;
    while (brim_fields_next_member(fields, name, &cursor, &text)) {
        struct member member = cut(text);
        const struct directive *directive = directive_called(member.name);

        control_out->unclosed |= cursor.unclosed;
        if (directive != NULL)
            apply(directive, &member, control_out);
    }
}

/* ---- targeted fields ---- */

static void set_seconds(const struct directive *directive,
                        const struct brim_structured_member *member, int64_t *value)
{
    bool is_true = member->type == BRIM_STRUCTURED_BOOLEAN && member->boolean;

    if (member->type == BRIM_STRUCTURED_INTEGER && member->integer >= 0)
        *value =
            member->integer < BRIM_DELTA_SECONDS_MAX ? member->integer : BRIM_DELTA_SECONDS_MAX;
    else if (directive->kind == SECONDS_ANY && is_true)
        *value = INT64_MAX;
    else
        *value = directive->kind == SECONDS_MAX ? BRIM_DELTA_SECONDS_MAX : 0;
}

/* As apply(), but what was said before under the same key is gone. */
static void set(const struct directive *directive, const struct brim_structured_member *member,
                struct brim_cache_control *control)
{
    void *at = (char *)control + directive->offset;
    bool *flag = at;
    bool is_boolean = member->type == BRIM_STRUCTURED_BOOLEAN;
    bool lists_names = member->type == BRIM_STRUCTURED_STRING && !member->is_cut &&
                       is_name_list(brim_str(member->text, member->text_len));

    switch (directive->kind) {
    case RESTRICTION:
        *flag = !is_boolean || member->boolean;
        break;
    case PERMISSION:
        *flag = is_boolean && member->boolean;
        break;
    case QUALIFIED:
        flag[0] = !lists_names && (!is_boolean || member->boolean);
        flag[1] = lists_names;
        break;
    case SECONDS_MIN:
    case SECONDS_MAX:
    case SECONDS_ANY:
        set_seconds(directive, member, at);
        break;
    }
}

/* Whether the field is there, valid and not empty; only then control_out is what it says. */
static bool parse_targeted(struct brim_fields response, struct brim_str name,
                           struct brim_cache_control *control_out)
{
    struct brim_structured in = brim_structured_open(response, name);
    struct brim_structured_member member;

    *control_out = says_nothing;
    while (brim_structured_next(&in, &member)) {
        const struct directive *directive = directive_called(brim_str(member.key, member.key_len));

        control_out->present = control_out->is_targeted = true;
        if (directive != NULL)
            set(directive, &member, control_out);
    }
    return control_out->present && !in.failed;
}

/* The targeted field that counts, with what it says; NULL: none. */
static const struct brim_str *find_target(struct brim_fields response, struct brim_targets targets,
                                          struct brim_cache_control *control_out)
{
    for (size_t i = 0; i < targets.count; i++)
        if (brim_fields_find(response, targets.names[i]) != NULL &&
            parse_targeted(response, targets.names[i], control_out))
            return &targets.names[i];
    return NULL;
}

void brim_cache_control_parse_response(struct brim_fields response, struct brim_targets targets,
                                       struct brim_cache_control *control_out)
{
    if (find_target(response, targets, control_out) == NULL)
        brim_cache_control_parse(response, BRIM_STR("cache-control"), control_out);
}

/* ---- fields that are not for all ---- */

static bool is_qualified(struct brim_str directive)
{
    return brim_str_is_nocase(directive, BRIM_STR("no-cache")) ||
           brim_str_is_nocase(directive, BRIM_STR("private"));
}

static bool names_has(struct brim_str names, struct brim_str field)
{
    struct brim_field list = {.value = names};

    return brim_fields_has_token((struct brim_fields){&list, 1}, list.name, field);
}

bool brim_cache_control_lists_field(struct brim_fields fields, struct brim_str name,
                                    struct brim_str field)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str text;

    while (brim_fields_next_member(fields, name, &cursor, &text)) {
        struct member member = cut(text);

        if (is_qualified(member.name) && names_has(member.argument, field))
            return true;
    }
    return false;
}

static bool target_lists_field(struct brim_fields response, struct brim_str target,
                               struct brim_str field)
{
    struct brim_structured in = brim_structured_open(response, target);
    struct brim_structured_member member;

    while (brim_structured_next(&in, &member))
        if (is_qualified(brim_str(member.key, member.key_len)) &&
            member.type == BRIM_STRUCTURED_STRING &&
            names_has(brim_str(member.text, member.text_len), field))
            return true;
    return false;
}

bool brim_cache_control_excludes(struct brim_fields response, struct brim_targets targets,
                                 struct brim_str field)
{
    struct brim_cache_control control;
    const struct brim_str *target;

    for (size_t i = 0; i < targets.count; i++)
        if (brim_str_is(field, targets.names[i]))
            return false;
    if (is_vital(field))
        return false;
    target = find_target(response, targets, &control);
    if (target != NULL)
        return target_lists_field(response, *target, field);
    return brim_cache_control_lists_field(response, BRIM_STR("cache-control"), field);
}

bool brim_cache_control_excludes_any(struct brim_fields response, struct brim_targets targets)
{
    struct brim_cache_control control;

    brim_cache_control_parse_response(response, targets, &control);
    if (!control.no_cache_fields && !control.private_fields)
        return false; /* as nearly always */
    for (size_t i = 0; i < response.count; i++)
        if (brim_cache_control_excludes(response, targets, response.items[i].name))
            return true;
    return false;
}
