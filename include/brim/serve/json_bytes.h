/* SPDX-License-Identifier: MIT */
/*
 * json_bytes - bytes in the JSON of the admin API: a string, or {"base64": ...} for what is not
 * UTF-8, which no string of JSON can hold.
 */
#ifndef BRIM_SERVE_JSON_BYTES_H
#define BRIM_SERVE_JSON_BYTES_H

#include "brim/base/str.h"

struct json_t; /* jansson's */

/* Owns: a reference of the caller's; NULL: out of memory. Thread: any. */
struct json_t *brim_json_bytes(struct brim_str bytes);

#endif
