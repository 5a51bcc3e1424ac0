/* SPDX-License-Identifier: MIT */
#include "brim/base/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"

#define SECRET_BYTES_MAX 4096u
#define MAC_BYTES        32u

struct brim_secret {
    size_t len;
    unsigned char bytes[];
};

enum brim_err brim_secret_open(const char *file, struct brim_secret **secret_out)
{
    char bytes[SECRET_BYTES_MAX + 1];
    FILE *in = fopen(file, "rbe");
    struct brim_str key;
    size_t len;
    bool failed;

    *secret_out = NULL;
    if (in == NULL)
        return BRIM_EIO;
    len = fread(bytes, 1, sizeof(bytes), in);
    failed = ferror(in) != 0;
    (void)fclose(in);
    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        len--;
    key = brim_str_trim(brim_str(bytes, len));
    if (!failed && key.len >= BRIM_SECRET_BYTES_MIN && len <= SECRET_BYTES_MAX) {
        *secret_out = brim_alloc(sizeof(**secret_out) + key.len);
        (*secret_out)->len = key.len;
        memcpy((*secret_out)->bytes, key.base, key.len);
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    if (failed)
        return BRIM_EIO;
    return *secret_out == NULL ? BRIM_EINVAL : BRIM_OK;
}

void brim_secret_close(struct brim_secret *secret)
{
    if (secret == NULL)
        return;
    OPENSSL_cleanse(secret->bytes, secret->len);
    free(secret);
}

void brim_secret_sign(const struct brim_secret *secret, struct brim_str text,
                      char sign_out[BRIM_SECRET_SIGN_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const void *made = HMAC(EVP_sha256(), secret->bytes, (int)secret->len,
                            (const unsigned char *)text.base, text.len, mac, &len);

    INVARIANT(made != NULL && len == MAC_BYTES);
    for (unsigned i = 0; i < MAC_BYTES; i++) {
        sign_out[2 * i] = digits[mac[i] >> 4];
        sign_out[2 * i + 1] = digits[mac[i] & 15];
    }
}

bool brim_secret_is_equal(const char a[BRIM_SECRET_SIGN_BYTES],
                          const char b[BRIM_SECRET_SIGN_BYTES])
{
    return CRYPTO_memcmp(a, b, BRIM_SECRET_SIGN_BYTES) == 0;
}

bool brim_secret_is_signed(const struct brim_secret *secret, struct brim_str text,
                           struct brim_str sign)
{
    char own[BRIM_SECRET_SIGN_BYTES];

    if (sign.len != sizeof(own))
        return false;
    brim_secret_sign(secret, text, own);
    return brim_secret_is_equal(own, sign.base);
}
