/* SPDX-License-Identifier: MIT */
/*
 * What others wrote, as JSON, which is UTF-8 and nothing else: paths of files, messages of Lua,
 * URLs. A byte that belongs to no character becomes U+FFFD, so that nobody misses the rest of the
 * text.
 */
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/utf8.h"
#include "brim/serve/admin_inside.h"

static json_t *replaced(struct brim_str text)
{
    static const char mark[] = "\xef\xbf\xbd";
    size_t mark_len = sizeof(mark) - 1, len = 0;
    char *room = brim_alloc(text.len * mark_len + 1);
    json_t *json;

    for (size_t at = 0; at < text.len;) {
        size_t taken = brim_utf8_length(brim_str(text.base + at, text.len - at));

        memcpy(room + len, taken == 0 ? mark : text.base + at, taken == 0 ? mark_len : taken);
        len += taken == 0 ? mark_len : taken;
        at += taken == 0 ? 1 : taken;
    }
    json = json_stringn(room, len);
    free(room);
    return json;
}

json_t *brim_admin_text(struct brim_str text)
{
    json_t *json = json_stringn(text.base == NULL ? "" : text.base, text.len);

    return json != NULL ? json : replaced(text);
}
