/* SPDX-License-Identifier: MIT */
#include "brim/http/redact.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/text.h"

#define NAME_BYTES 256u /* a longer parameter name is compared by its beginning */

void brim_redact_init(struct brim_redact *redact, char *const *names, size_t count)
{
    redact->count = count;
    redact->names = count == 0 ? NULL : brim_alloc(count * sizeof(*redact->names));
    for (size_t i = 0; i < count; i++)
        redact->names[i] = brim_str_of(brim_strdup(names[i]));
}

void brim_redact_fini(struct brim_redact *redact)
{
    for (size_t i = 0; i < redact->count; i++)
        free((char *)(uintptr_t)redact->names[i].base);
    free(redact->names);
    *redact = (struct brim_redact){0};
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The name as a server would read it. */
static struct brim_str decoded(struct brim_str name, char buffer[NAME_BYTES])
{
    size_t len = 0;

    for (size_t i = 0; i < name.len && len < NAME_BYTES; i++) {
        bool is_escape = name.base[i] == '%' && i + 2 < name.len && hex_of(name.base[i + 1]) >= 0 &&
                         hex_of(name.base[i + 2]) >= 0;

        buffer[len++] = is_escape ? (char)(hex_of(name.base[i + 1]) * 16 + hex_of(name.base[i + 2]))
                                  : name.base[i];
        i += is_escape ? 2 : 0;
    }
    return brim_str(buffer, len);
}

static bool is_named(const struct brim_redact *redact, struct brim_str name)
{
    char buffer[NAME_BYTES];
    struct brim_str plain = decoded(name, buffer);

    for (size_t i = 0; i < redact->count; i++) {
        struct brim_str rule = redact->names[i];

        if (rule.len > 0 && rule.base[rule.len - 1] == '*') {
            rule.len--;
            if (plain.len >= rule.len && brim_str_is_nocase(brim_str(plain.base, rule.len), rule))
                return true;
        } else if (brim_str_is_nocase(plain, rule)) {
            return true;
        }
    }
    return false;
}

static size_t find_any(struct brim_str text, size_t from, const char *ends)
{
    while (from < text.len && strchr(ends, text.base[from]) == NULL)
        from++;
    return from;
}

struct brim_str brim_redact_query(const struct brim_redact *redact, struct brim_str url,
                                  char *buffer, size_t room)
{
    const char *query = url.len == 0 ? NULL : memchr(url.base, '?', url.len);
    struct brim_text text = brim_text_in(buffer, room);
    size_t at, copied = 0;

    if (query == NULL || redact->count == 0)
        return url;
    for (at = (size_t)(query - url.base) + 1; at < url.len && url.base[at] != '#'; at++) {
        size_t end = find_any(url, at, "&;#");
        size_t equals = find_any(url, at, "=&;#");

        if (equals < end && end > equals + 1 &&
            is_named(redact, brim_str(url.base + at, equals - at))) {
            brim_text_put(&text, brim_str(url.base + copied, equals + 1 - copied));
            brim_text_put(&text, BRIM_STR("***"));
            copied = end;
        }
        at = end;
        if (at < url.len && url.base[at] == '#')
            break;
    }
    if (copied == 0)
        return url;
    brim_text_put(&text, brim_str(url.base + copied, url.len - copied));
    return brim_text_str(&text);
}
