/* SPDX-License-Identifier: MIT */
/*
 * Text of a variant:
 *
 *     PRIMARY-TEXT { LF name ":" normalised-value }
 *
 * in the marker's order. It cannot be read in two ways: neither a key text nor a field value holds
 * a line feed, and no name holds a colon, so no client can make its values look like another
 * variant.
 */
#include "brim/cache/key.h"

#include "brim/base/invariant.h"
#include "brim/http/vary.h"

struct brim_key brim_key_of(struct brim_str text)
{
    return (struct brim_key){.digest = brim_hash128(text.base, text.len), .text = text};
}

/* Appends one "LF name : value" at *at. */
static enum brim_err append_selector(struct brim_fields request, struct brim_str name, char *buffer,
                                     size_t buffer_bytes, size_t *at)
{
    size_t value;

    if (name.len + 2 > buffer_bytes - *at)
        return BRIM_ELIMIT;
    buffer[*at] = '\n';
    memcpy(buffer + *at + 1, name.base, name.len);
    buffer[*at + 1 + name.len] = ':';
    *at += name.len + 2;

    value = brim_vary_value(request, name, buffer + *at, buffer_bytes - *at);
    if (value == SIZE_MAX)
        return BRIM_ELIMIT;
    INVARIANT(value <= buffer_bytes - *at);
    *at += value;
    return BRIM_OK;
}

enum brim_err brim_key_variant(const struct brim_key *primary,
                               const struct brim_fields *names_as_fields,
                               struct brim_fields request, char *buffer, size_t buffer_bytes,
                               struct brim_key *variant_out)
{
    size_t at = primary->text.len;

    INVARIANT(names_as_fields->count > 0);
    *variant_out = (struct brim_key){.digest = {0, 0}};
    if (buffer_bytes > BRIM_KEY_TEXT_MAX)
        buffer_bytes = BRIM_KEY_TEXT_MAX;
    if (at > buffer_bytes)
        return BRIM_ELIMIT;
    memcpy(buffer, primary->text.base, at);

    for (size_t i = 0; i < names_as_fields->count; i++) {
        enum brim_err err =
            append_selector(request, names_as_fields->items[i].name, buffer, buffer_bytes, &at);

        if (err != BRIM_OK)
            return err;
    }
    *variant_out = brim_key_of(brim_str(buffer, at));
    return BRIM_OK;
}
