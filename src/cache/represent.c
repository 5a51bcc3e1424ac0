/* SPDX-License-Identifier: MIT */
/*
 *     KEY-TEXT "#e:" CODING ":" BODY-ID as 16 hexadecimal digits
 */
#include "brim/cache/represent.h"

#define ID_DIGITS 16u

static char *put(char *at, struct brim_str text)
{
    memcpy(at, text.base, text.len);
    return at + text.len;
}

/* snprintf would be a good part of what a hit costs. */
static char *put_id(char *at, uint64_t id)
{
    for (unsigned i = 0; i < ID_DIGITS; i++)
        at[i] = "0123456789abcdef"[id >> (4 * (ID_DIGITS - 1 - i)) & 15];
    return at + ID_DIGITS;
}

struct brim_key brim_represent_key(const struct brim_object *object, enum brim_coding coding,
                                   char *buffer)
{
    char *at = put(buffer, object->key.text);

    at = put(at, BRIM_STR("#e:"));
    at = put(at, brim_coding_name(coding));
    *at++ = ':';
    at = put_id(at, object->body_id);
    return brim_key_of(brim_str(buffer, (size_t)(at - buffer)));
}
