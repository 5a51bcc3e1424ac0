/* SPDX-License-Identifier: MIT */
#include "brim/origin/changes.h"

#include "brim/http/uri.h"
#include "brim/origin/method.h"
#include "brim/origin/resolve.h"

#define URL_TEXT_MAX 16384u

/* The key text that the response's field called name points at; empty: none, or another origin's.
 */
static struct brim_str pointed_at(struct brim_fields response, struct brim_str name,
                                  struct brim_str base, char *buffer)
{
    const struct brim_field *field = brim_fields_only(response, name);
    size_t len = field == NULL ? 0 : brim_resolve(base, field->value, buffer, URL_TEXT_MAX);

    if (len == 0 || !brim_uri_is_same_origin(base, brim_str(buffer, len)))
        return brim_str(NULL, 0);
    return brim_str(buffer, len);
}

void brim_changes_of(const struct brim_exchange *exchange, struct brim_str key_text,
                     brim_changed_fn changed, void *ctx)
{
    static const struct brim_str names[] = {BRIM_STR("location"), BRIM_STR("content-location")};
    char buffer[URL_TEXT_MAX];

    if (brim_method_is_safe(exchange->method) || exchange->status < 200 || exchange->status > 399)
        return;
    changed(key_text, ctx);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct brim_str text = pointed_at(exchange->response, names[i], key_text, buffer);

        if (text.len > 0)
            changed(text, ctx);
    }
}
