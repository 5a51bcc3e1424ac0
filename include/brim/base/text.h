/* SPDX-License-Identifier: MIT */
/*
 * text - building a short text in memory that is there: what stdio would do at many times the cost
 * on a path that every response takes.
 *
 * Never writes past its room; what does not fit is left out and the text says so (is_cut).
 */
#ifndef BRIM_BASE_TEXT_H
#define BRIM_BASE_TEXT_H

#include <stdint.h>

#include "brim/base/str.h"

struct brim_text {
    char *base;
    size_t len;
    size_t room;
    bool is_cut;
};

static inline struct brim_text brim_text_in(char *buffer, size_t room)
{
    return (struct brim_text){.base = buffer, .room = room};
}

static inline struct brim_str brim_text_str(const struct brim_text *text)
{
    return brim_str(text->base, text->len);
}

static inline void brim_text_put(struct brim_text *text, struct brim_str part)
{
    if (part.len > text->room - text->len) {
        text->is_cut = true;
        return;
    }
    if (part.len > 0)
        memcpy(text->base + text->len, part.base, part.len);
    text->len += part.len;
}

/* Decimal, with a sign where it is negative. */
static inline void brim_text_put_int(struct brim_text *text, int64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        digits[--at] = '-';
    brim_text_put(text, brim_str(digits + at, sizeof(digits) - at));
}

#endif
