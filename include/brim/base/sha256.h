/* SPDX-License-Identifier: MIT */
/*
 * sha256 - SHA-256 of bytes in memory: where a digest travels to others who check it, unlike
 * base/hash.h, which is for lookups of our own; and as a MAC, where only who has the key can make
 * it.
 */
#ifndef BRIM_BASE_SHA256_H
#define BRIM_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>

#define BRIM_SHA256_BYTES 32

/* Writes the SHA-256 of bytes. Thread: any. */
void brim_sha256(const void *bytes, size_t len, unsigned char digest_out[BRIM_SHA256_BYTES]);

/* Writes HMAC-SHA-256 (RFC 2104) of bytes under key. Likewise. */
struct brim_hmac_key {
    const void *bytes;
    size_t len;
};
void brim_hmac_sha256(const struct brim_hmac_key *key, const void *bytes, size_t len,
                      unsigned char mac_out[BRIM_SHA256_BYTES]);

/* In a time that does not tell where they differ. */
bool brim_bytes_are_same(const void *a, const void *b, size_t len);

#endif
