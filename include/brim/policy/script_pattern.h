/* SPDX-License-Identifier: MIT */
/*
 * script_pattern - Lua's patterns (reference manual 6.4.1), matched in counted steps.
 *
 * The library's own matcher goes back without a bound and inside one C call, where no instruction
 * hook reaches it; this one gives up after steps_max. Knows bytes only, no Lua.
 */
#ifndef BRIM_POLICY_SCRIPT_PATTERN_H
#define BRIM_POLICY_SCRIPT_PATTERN_H

#include "brim/base/str.h"

#define BRIM_PATTERN_CAPTURES_MAX 32

struct brim_pattern_capture {
    const char *base;
    ptrdiff_t len; /* or one of the two below */
};
#define BRIM_PATTERN_OPEN     (-1)
#define BRIM_PATTERN_POSITION (-2)

struct brim_pattern { /* the caller fills the first three and zeroes the rest */
    struct brim_str subject;
    struct brim_str pattern; /* without the anchor */
    size_t steps_max;        /* over all calls with this struct */
    size_t steps;
    unsigned depth;
    unsigned captures;
    const char *error; /* the pattern is malformed, or too expensive: a sentence */
    struct brim_pattern_capture capture[BRIM_PATTERN_CAPTURES_MAX];
};

/* Where the match that begins at `at` ends; NULL: none, or match->error. Forgets the captures of
 * the call before. Thread: any. */
const char *brim_pattern_match(struct brim_pattern *match, const char *at);

/* Whether text has no byte that means something in a pattern. */
bool brim_pattern_is_plain(struct brim_str text);

#endif
