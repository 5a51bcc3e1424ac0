/* SPDX-License-Identifier: MIT */
#include "brim/cache/purge_pattern.h"

struct brim_str brim_purge_pattern_prefix(struct brim_str pattern)
{
    const char *star = memchr(pattern.base, '*', pattern.len);

    return star == NULL ? pattern : brim_str(pattern.base, (size_t)(star - pattern.base));
}

static struct brim_str skip(struct brim_str text, size_t len)
{
    return brim_str(text.base + len, text.len - len);
}

bool brim_purge_pattern_matches(struct brim_str pattern, struct brim_str text)
{
    struct brim_str piece = brim_purge_pattern_prefix(pattern);

    if (!brim_str_has_prefix(text, piece))
        return false;
    if (piece.len == pattern.len)
        return text.len == pattern.len;
    text = skip(text, piece.len);
    pattern = skip(pattern, piece.len + 1);
    for (;;) {
        const char *found;

        piece = brim_purge_pattern_prefix(pattern);
        if (piece.len > text.len)
            return false;
        if (piece.len == pattern.len) /* the last one stands at the end */
            return brim_str_is(skip(text, text.len - piece.len), piece);
        found = piece.len == 0 ? text.base : memmem(text.base, text.len, piece.base, piece.len);
        if (found == NULL)
            return false;
        text = skip(text, (size_t)(found - text.base) + piece.len);
        pattern = skip(pattern, piece.len + 1);
    }
}
