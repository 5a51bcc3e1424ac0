/* SPDX-License-Identifier: MIT */
/*
 * str - a borrowed run of bytes: pointer and length, never NUL-terminated by promise.
 *
 * The layout is that of an iovec on purpose, so that arrays of these go to servers without a copy.
 */
#ifndef BRIM_BASE_STR_H
#define BRIM_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct brim_str {
    const char *base;
    size_t len;
};

#define BRIM_STR(literal) ((struct brim_str){"" literal, sizeof(literal) - 1})

static inline struct brim_str brim_str(const char *base, size_t len)
{
    return (struct brim_str){base, len};
}

static inline struct brim_str brim_str_of(const char *text)
{
    return (struct brim_str){text, text == NULL ? 0 : strlen(text)};
}

static inline bool brim_str_is(struct brim_str a, struct brim_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

/* ASCII case-insensitive. */
static inline bool brim_str_is_nocase(struct brim_str a, struct brim_str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.base, b.base, a.len) == 0);
}

static inline bool brim_str_has_prefix(struct brim_str s, struct brim_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.base, prefix.base, prefix.len) == 0);
}

/* Without leading and trailing SP and HTAB (OWS, RFC 9110 5.6.3). */
static inline struct brim_str brim_str_trim(struct brim_str s)
{
    while (s.len > 0 && (s.base[0] == ' ' || s.base[0] == '\t')) {
        s.base++;
        s.len--;
    }
    while (s.len > 0 && (s.base[s.len - 1] == ' ' || s.base[s.len - 1] == '\t'))
        s.len--;
    return s;
}

#define BRIM_NUMBER_DIGITS 18u /* always fit an int64_t */

/* Reads digits and nothing else, from one to digits_max (at most BRIM_NUMBER_DIGITS); -1: that is
 * not what text is. */
static inline int64_t brim_str_number(struct brim_str text, size_t digits_max)
{
    int64_t number = 0;

    if (text.len == 0 || text.len > digits_max)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] < '0' || text.base[i] > '9')
            return -1;
        number = number * 10 + (text.base[i] - '0');
    }
    return number;
}

#endif
