/* SPDX-License-Identifier: MIT */
/*
 * base64url - RFC 4648 5 without padding, as tokens, keys of JSON and signatures in URLs have it;
 * and RFC 4648 4 with its padding, for bytes in JSON.
 *
 * Strict: one text for each run of bytes, so that what was checked cannot be written another way.
 * OpenSSL's reader skips white space and takes loose bits.
 */
#ifndef BRIM_BASE_BASE64URL_H
#define BRIM_BASE_BASE64URL_H

#include "brim/base/str.h"

/* Characters that bytes take. */
#define BRIM_BASE64URL_LEN(bytes) (((bytes)*4 + 2) / 3)

/* Writes BRIM_BASE64URL_LEN(len) characters, no NUL. Thread: any, like the other. */
void brim_base64url_write(const void *bytes, size_t len, char *out);

/* Reads text to room, which has text.len * 3 / 4 bytes at least. False: it is not base64url. */
bool brim_base64url_read(struct brim_str text, void *room, size_t *len_out);

/* Characters that bytes take in the padded one. */
#define BRIM_BASE64_LEN(bytes) (((bytes) + 2) / 3 * 4)

/* As those above. */
void brim_base64_write(const void *bytes, size_t len, char *out);
bool brim_base64_read(struct brim_str text, void *room, size_t *len_out);

#endif
