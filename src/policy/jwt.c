/* SPDX-License-Identifier: MIT */
#include "brim/policy/jwt.h"

#include <jwt.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#define RSA_BYTES_MIN      256u /* 2048 bits (RFC 8725 3.5) */
#define RSA_BYTES_MAX      2048u
#define EXPONENT_BYTES_MAX 8u
#define POINT_BYTES_MAX    66u

static const struct curve {
    const char *alg;
    const char *name; /* of OpenSSL too */
    size_t bytes;
} curves[] = {{"ES256", "P-256", 32}, {"ES384", "P-384", 48}, {"ES512", "P-521", 66}};

static const struct curve *curve_of(const char *alg)
{
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (strcmp(curves[i].alg, alg) == 0)
            return &curves[i];
    return NULL;
}

bool brim_jwt_alg_is_known(const char *alg)
{
    /* libjwt takes lower case too; NONE is 0, INVAL the last. */
    return jwt_str_alg(alg) != JWT_ALG_INVAL && jwt_str_alg(alg) != JWT_ALG_NONE &&
           strpbrk(alg, "abcdefghijklmnopqrstuvwxyz") == NULL;
}

bool brim_jwt_alg_is_secret(const char *alg)
{
    return alg[0] == 'H';
}

const char *brim_jwt_alg_curve(const char *alg)
{
    const struct curve *curve = curve_of(alg);

    return curve == NULL ? NULL : curve->name;
}

/* ---- keys ---- */

static bool push_params(const struct brim_jwk *jwk, const struct curve *curve, OSSL_PARAM_BLD *bld,
                        BIGNUM *const numbers[2], unsigned char *point)
{
    size_t half = jwk->a.len;

    if (curve == NULL)
        return OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, numbers[0]) == 1 &&
               OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, numbers[1]) == 1;
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, jwk->a.base, half);
    memcpy(point + 1 + half, jwk->b.base, half);
    return OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->name, 0) == 1 &&
           OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 2 * half + 1) == 1;
}

static bool is_of_size(const struct brim_jwk *jwk, const struct curve *curve)
{
    if (curve != NULL)
        return jwk->a.len == curve->bytes && jwk->b.len == curve->bytes;
    return jwk->a.len >= RSA_BYTES_MIN && jwk->a.len <= RSA_BYTES_MAX && jwk->b.len > 0 &&
           jwk->b.len <= EXPONENT_BYTES_MAX;
}

/* libjwt takes PEM only. */
size_t brim_jwk_to_pem(const char *alg, const struct brim_jwk *jwk, char pem[BRIM_JWT_KEY_MAX])
{
    const struct curve *curve = curve_of(alg);
    unsigned char point[1 + 2 * POINT_BYTES_MAX];
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[2] = {NULL, NULL};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, curve == NULL ? "RSA" : "EC", NULL);
    BIO *out = BIO_new(BIO_s_mem());
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;
    int len = 0;

    if (is_of_size(jwk, curve)) {
        numbers[0] = BN_bin2bn((const unsigned char *)jwk->a.base, (int)jwk->a.len, NULL);
        numbers[1] = BN_bin2bn((const unsigned char *)jwk->b.base, (int)jwk->b.len, NULL);
    }
    if (bld != NULL && numbers[0] != NULL && numbers[1] != NULL && ctx != NULL && out != NULL &&
        push_params(jwk, curve, bld, numbers, point))
        params = OSSL_PARAM_BLD_to_param(bld);
    if (params != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1 &&
        PEM_write_bio_PUBKEY(out, key) == 1)
        len = BIO_read(out, pem, (int)BRIM_JWT_KEY_MAX);
    EVP_PKEY_free(key);
    OSSL_PARAM_free(params);
    BIO_free(out);
    EVP_PKEY_CTX_free(ctx);
    BN_free(numbers[1]);
    BN_free(numbers[0]);
    OSSL_PARAM_BLD_free(bld);
    ERR_clear_error(); /* or the next TLS call of this thread would find it */
    return len > 0 ? (size_t)len : 0;
}

bool brim_jwt_is_signed(const char *token, struct brim_str key)
{
    jwt_t *jwt = NULL;
    int rc = jwt_decode(&jwt, token, (const unsigned char *)key.base, (int)key.len);

    if (rc == 0)
        jwt_free(jwt);
    ERR_clear_error();
    return rc == 0;
}
