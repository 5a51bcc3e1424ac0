/* SPDX-License-Identifier: MIT */
#include "brim/base/sha256.h"

#include <openssl/sha.h>

void brim_sha256(const void *bytes, size_t len, unsigned char digest_out[BRIM_SHA256_BYTES])
{
    _Static_assert(BRIM_SHA256_BYTES == SHA256_DIGEST_LENGTH, "SHA-256");
    /* The one-shot call takes no library context and allocates nothing that can fail. */
    (void)SHA256(bytes, len, digest_out);
}
