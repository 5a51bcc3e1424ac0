/* SPDX-License-Identifier: MIT */
/*
 * url_pattern - the part of URL patterns (urlpattern.spec.whatwg.org) that says which URLs of one
 * origin a dictionary is for (RFC 9842 2.1.1, 2.2.2): path and query, with *, :name, {...} and
 * their modifiers ? * +, resolved against the URL that the pattern came with.
 *
 * Main rule: a pattern is compiled or it is refused. Refused are regular expressions, as the RFC
 * asks; and what costs more than it gives here: wildcards in scheme, host or port, patterns for
 * another origin, a fragment, and whatever is over a limit below. A pattern that is refused is used
 * for nothing, so a client gets the answer that it would get without dictionaries.
 */
#ifndef BRIM_HTTP_URL_PATTERN_H
#define BRIM_HTTP_URL_PATTERN_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

#define BRIM_URL_PATTERN_TEXT_BYTES   1280 /* literals of one pattern, the base's included */
#define BRIM_URL_PATTERN_PARTS_MAX    24
#define BRIM_URL_PATTERN_TARGET_BYTES 2048 /* a longer path or query matches nothing */
#define BRIM_URL_PATTERN_REPEATS_MAX  64   /* of one {...}* or {...}+ */

enum brim_url_pattern_kind {
    BRIM_URL_PATTERN_FIXED,   /* only the prefix */
    BRIM_URL_PATTERN_SEGMENT, /* :name: one or more bytes without '/' (in a path) */
    BRIM_URL_PATTERN_ANY,     /* *: any bytes, none too */
};

/* Literal, what stands for bytes, literal; as often as the modifier says. */
struct brim_url_pattern_part {
    enum brim_url_pattern_kind kind;
    char modifier; /* 0, '?', '*' or '+' */
    uint16_t prefix_at;
    uint16_t prefix_len;
    uint16_t suffix_at;
    uint16_t suffix_len;
};

/* A compiled pattern; holds no pointer, so it may be copied. Private. */
struct brim_url_pattern {
    size_t text_len;
    size_t path_parts; /* the first parts; the others are the query's */
    size_t parts;
    bool any_query; /* the pattern says nothing about it */
    struct brim_url_pattern_part part[BRIM_URL_PATTERN_PARTS_MAX];
    char text[BRIM_URL_PATTERN_TEXT_BYTES];
};

/*
 * Compiles pattern, resolved against base, a key text (http/uri.h).
 *
 * Errors: BRIM_EINVAL not a pattern, or one that is refused; BRIM_ELIMIT over a limit.
 * Spec:   RFC 9842 2.1.1. A pattern with a path and without a query matches any query; one with a
 *         query alone has the base's path; an empty one is the base.
 */
BRIM_MUST_USE enum brim_err brim_url_pattern_compile(struct brim_str pattern, struct brim_str base,
                                                     struct brim_url_pattern *pattern_out);

/* Whether the pattern matches url, a key text of the base's origin: whose origin it is, is the
 * caller's question. Percent-encoding is compared as it stands. Thread: any. */
bool brim_url_pattern_matches(const struct brim_url_pattern *pattern, struct brim_str url);

#endif
