/* SPDX-License-Identifier: MIT */
#include "brim/base/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "brim/base/invariant.h"

void brim_sha256(const void *bytes, size_t len, unsigned char digest_out[BRIM_SHA256_BYTES])
{
    _Static_assert(BRIM_SHA256_BYTES == SHA256_DIGEST_LENGTH, "SHA-256");
    /* The one-shot call takes no library context and allocates nothing that can fail. */
    (void)SHA256(bytes, len, digest_out);
}

void brim_hmac_sha256(const struct brim_hmac_key *key, const void *bytes, size_t len,
                      unsigned char mac_out[BRIM_SHA256_BYTES])
{
    unsigned mac_len = 0;
    const unsigned char *made =
        HMAC(EVP_sha256(), key->bytes, (int)key->len, bytes, len, mac_out, &mac_len);

    INVARIANT(made != NULL && mac_len == BRIM_SHA256_BYTES);
}

bool brim_bytes_are_same(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
