/* SPDX-License-Identifier: MIT */
/*
 * sha256 - SHA-256 of bytes in memory: where a digest travels to others who check it, unlike
 * base/hash.h, which is for lookups of our own.
 */
#ifndef BRIM_BASE_SHA256_H
#define BRIM_BASE_SHA256_H

#include <stddef.h>

#define BRIM_SHA256_BYTES 32

/* Writes the SHA-256 of bytes. Thread: any. */
void brim_sha256(const void *bytes, size_t len, unsigned char digest_out[BRIM_SHA256_BYTES]);

#endif
