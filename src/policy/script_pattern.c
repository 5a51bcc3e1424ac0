/* SPDX-License-Identifier: MIT */
/*
 * A matcher by recursion: step() takes one item of the pattern (a single class, maybe with a
 * quantifier; a capture's bracket; %b, %f, a back reference) and goes on with the rest in a loop.
 * It recurses only where it may have to come back: after a quantifier and inside a capture.
 */
#include "brim/policy/script_pattern.h"

#include <ctype.h>

#define DEPTH_MAX 200

static const char *step(struct brim_pattern *m, const char *s, const char *p);

static const char *fail(struct brim_pattern *m, const char *error)
{
    if (m->error == NULL)
        m->error = error;
    return NULL;
}

static const char *pattern_end(const struct brim_pattern *m)
{
    return m->pattern.base + m->pattern.len;
}

static const char *subject_end(const struct brim_pattern *m)
{
    return m->subject.base + m->subject.len;
}

static bool count_step(struct brim_pattern *m)
{
    if (++m->steps <= m->steps_max)
        return true;
    (void)fail(m, "the pattern takes too many steps on this subject");
    return false;
}

/* The end of the set that begins at p ('['), or NULL. */
static const char *set_end(struct brim_pattern *m, const char *p)
{
    const char *end = pattern_end(m);

    p++;
    if (p < end && *p == '^')
        p++;
    do { /* a ']' that stands first is an ordinary byte */
        if (p == end)
            return fail(m, "malformed pattern (missing ']')");
        if (*p++ == '%') {
            if (p == end)
                return fail(m, "malformed pattern (missing ']')");
            p++;
        }
    } while (p == end || *p != ']');
    return p + 1;
}

static const char *class_end(struct brim_pattern *m, const char *p)
{
    if (*p == '%') {
        if (p + 1 == pattern_end(m))
            return fail(m, "malformed pattern (ends with '%')");
        return p + 2;
    }
    return *p == '[' ? set_end(m, p) : p + 1;
}

static bool is_in_class(unsigned char c, unsigned char letter)
{
    bool is;

    switch (tolower(letter)) {
    case 'a':
        is = isalpha(c) != 0;
        break;
    case 'c':
        is = iscntrl(c) != 0;
        break;
    case 'd':
        is = isdigit(c) != 0;
        break;
    case 'g':
        is = isgraph(c) != 0;
        break;
    case 'l':
        is = islower(c) != 0;
        break;
    case 'p':
        is = ispunct(c) != 0;
        break;
    case 's':
        is = isspace(c) != 0;
        break;
    case 'u':
        is = isupper(c) != 0;
        break;
    case 'w':
        is = isalnum(c) != 0;
        break;
    case 'x':
        is = isxdigit(c) != 0;
        break;
    default:
        return letter == c;
    }
    return isupper(letter) ? !is : is;
}

/* p at '[', last at its ']'. */
static bool is_in_set(unsigned char c, const char *p, const char *last)
{
    bool found = true;

    if (*++p == '^') {
        found = false;
        p++;
    }
    for (; p < last; p++) {
        if (*p == '%') {
            p++;
            if (is_in_class(c, (unsigned char)*p))
                return found;
        } else if (p[1] == '-' && p + 2 < last) {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return found;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return found;
        }
    }
    return !found;
}

/* Whether the byte at s (there may be none) is of the single class [p, end). */
static bool matches_one(struct brim_pattern *m, const char *s, const char *p, const char *end)
{
    if (s >= subject_end(m) || !count_step(m))
        return false;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return is_in_class((unsigned char)*s, (unsigned char)p[1]);
    case '[':
        return is_in_set((unsigned char)*s, p, end - 1);
    default:
        return *p == *s;
    }
}

static const char *most_first(struct brim_pattern *m, const char *s, const char *p, const char *end)
{
    ptrdiff_t count = 0;

    while (matches_one(m, s + count, p, end))
        count++;
    for (; count >= 0 && m->error == NULL; count--) {
        const char *rest = step(m, s + count, end + 1);

        if (rest != NULL)
            return rest;
    }
    return NULL;
}

static const char *least_first(struct brim_pattern *m, const char *s, const char *p,
                               const char *end)
{
    for (;;) {
        const char *rest = step(m, s, end + 1);

        if (rest != NULL || m->error != NULL)
            return rest;
        if (!matches_one(m, s, p, end))
            return NULL;
        s++;
    }
}

/* %bxy: p at x. */
static const char *balanced(struct brim_pattern *m, const char *s, const char *p)
{
    size_t open = 1;

    if (pattern_end(m) - p < 2)
        return fail(m, "malformed pattern (missing arguments to '%b')");
    if (s >= subject_end(m) || *s != *p)
        return NULL;
    while (++s < subject_end(m) && count_step(m)) {
        if (*s == p[1]) {
            if (--open == 0)
                return s + 1;
        } else if (*s == *p) {
            open++;
        }
    }
    return NULL;
}

static const char *begin_capture(struct brim_pattern *m, const char *s, const char *p,
                                 ptrdiff_t kind)
{
    const char *rest;

    if (m->captures >= BRIM_PATTERN_CAPTURES_MAX)
        return fail(m, "too many captures");
    m->capture[m->captures++] = (struct brim_pattern_capture){s, kind};
    rest = step(m, s, p);
    if (rest == NULL)
        m->captures--;
    return rest;
}

static const char *end_capture(struct brim_pattern *m, const char *s, const char *p)
{
    unsigned at = m->captures;
    const char *rest;

    while (at > 0 && m->capture[at - 1].len != BRIM_PATTERN_OPEN)
        at--;
    if (at == 0)
        return fail(m, "invalid pattern capture");
    m->capture[at - 1].len = s - m->capture[at - 1].base;
    rest = step(m, s, p);
    if (rest == NULL)
        m->capture[at - 1].len = BRIM_PATTERN_OPEN;
    return rest;
}

/* What capture number `digit` holds, again; where that ends. */
static const char *back_reference(struct brim_pattern *m, const char *s, char digit)
{
    unsigned number = (unsigned)(digit - '1');
    size_t len;

    if (number >= m->captures || m->capture[number].len < 0)
        return fail(m, "invalid capture index");
    len = (size_t)m->capture[number].len;
    m->steps += len;
    if (!count_step(m) || (size_t)(subject_end(m) - s) < len ||
        memcmp(m->capture[number].base, s, len) != 0)
        return NULL;
    return s + len;
}

/* %f[set]: p at '['; where the pattern goes on, NULL: no frontier here. */
static const char *frontier(struct brim_pattern *m, const char *s, const char *p)
{
    unsigned char before = s == m->subject.base ? 0 : (unsigned char)s[-1];
    unsigned char here = s < subject_end(m) ? (unsigned char)*s : 0;
    const char *end;

    if (p >= pattern_end(m) || *p != '[')
        return fail(m, "missing '[' after '%f' in pattern");
    end = set_end(m, p);
    if (end == NULL || is_in_set(before, p, end - 1) || !is_in_set(here, p, end - 1))
        return NULL;
    return end;
}

/* The items that begin with '%' and are no class: moves both places on. False: not such an item. */
static bool special(struct brim_pattern *m, const char **s, const char **p)
{
    const char *at = *p + 1;

    if (at >= pattern_end(m))
        return false;
    if (*at == 'b') {
        *s = balanced(m, *s, at + 1);
        *p = at + 3;
    } else if (*at == 'f') {
        *p = frontier(m, *s, at + 1);
        if (*p == NULL)
            *s = NULL;
    } else if (*at >= '1' && *at <= '9') {
        *s = back_reference(m, *s, *at);
        *p = at + 1;
    } else if (*at == '0') {
        *s = fail(m, "invalid capture index");
    } else {
        return false;
    }
    return true;
}

static const char *optional(struct brim_pattern *m, const char *s, const char *p, const char *end)
{
    const char *rest = matches_one(m, s, p, end) ? step(m, s + 1, end + 1) : NULL;

    return rest != NULL || m->error != NULL ? rest : step(m, s, end + 1);
}

static const char *run(struct brim_pattern *m, const char *s, const char *p)
{
    while (s != NULL && p < pattern_end(m)) {
        const char *end;

        if (m->error != NULL || !count_step(m))
            return NULL;
        if (*p == '(')
            return p + 1 < pattern_end(m) && p[1] == ')'
                       ? begin_capture(m, s, p + 2, BRIM_PATTERN_POSITION)
                       : begin_capture(m, s, p + 1, BRIM_PATTERN_OPEN);
        if (*p == ')')
            return end_capture(m, s, p + 1);
        if (*p == '$' && p + 1 == pattern_end(m))
            return s == subject_end(m) ? s : NULL;
        if (*p == '%' && special(m, &s, &p))
            continue;
        end = class_end(m, p);
        if (end == NULL)
            return NULL;
        switch (end < pattern_end(m) ? *end : '\0') {
        case '?':
            return optional(m, s, p, end);
        case '+':
            return matches_one(m, s, p, end) ? most_first(m, s + 1, p, end) : NULL;
        case '*':
            return most_first(m, s, p, end);
        case '-':
            return least_first(m, s, p, end);
        default:
            if (!matches_one(m, s, p, end))
                return NULL;
            s++;
            p = end;
        }
    }
    return s;
}

static const char *step(struct brim_pattern *m, const char *s, const char *p)
{
    const char *end;

    if (m->depth >= DEPTH_MAX)
        return fail(m, "pattern too complex");
    m->depth++;
    end = run(m, s, p);
    m->depth--;
    return m->error == NULL ? end : NULL;
}

const char *brim_pattern_match(struct brim_pattern *match, const char *at)
{
    match->captures = 0;
    match->depth = 0;
    return step(match, at, match->pattern.base);
}

bool brim_pattern_is_plain(struct brim_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] != '\0' && strchr("^$*+?.([%-", text.base[i]) != NULL)
            return false;
    return true;
}
