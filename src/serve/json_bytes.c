/* SPDX-License-Identifier: MIT */
#include "brim/serve/json_bytes.h"

#include <jansson.h>
#include <stdlib.h>

#include "brim/base/base64url.h"

json_t *brim_json_bytes(struct brim_str bytes)
{
    size_t len = BRIM_BASE64_LEN(bytes.len);
    json_t *json = json_stringn(bytes.base, bytes.len); /* NULL: not UTF-8 */
    char *letters;

    if (json != NULL)
        return json;
    letters = malloc(len + 1);
    if (letters == NULL)
        return NULL;
    brim_base64_write(bytes.base, bytes.len, letters);
    json = json_pack("{s:s%}", "base64", letters, len);
    free(letters);
    return json;
}
