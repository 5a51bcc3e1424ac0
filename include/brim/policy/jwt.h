/* SPDX-License-Identifier: MIT */
/*
 * jwt - JSON Web Tokens (RFC 7519) by libjwt, under the rules of RFC 8725: what brim.jwt of
 * handlers and the gate share.
 *
 * The algorithm is the operator's, never the token's. Nothing here keeps state.
 */
#ifndef BRIM_POLICY_JWT_H
#define BRIM_POLICY_JWT_H

#include "brim/base/str.h"

#define BRIM_JWT_TOKEN_MAX 16384u
#define BRIM_JWT_KEY_MAX   16384u

/* Whether alg ("RS256") is a signature or MAC that libjwt knows; "none" is not. Thread: any, like
 * all of it. */
bool brim_jwt_alg_is_known(const char *alg);
/* HS256 and its kin: a shared secret in place of a key pair. */
bool brim_jwt_alg_is_secret(const char *alg);
/* `crv` of a JSON Web Key for alg; NULL: it is RSA, or a secret. */
const char *brim_jwt_alg_curve(const char *alg);

/* The numbers of a JSON Web Key: n and e, or x and y, as bytes. */
struct brim_jwk {
    struct brim_str a;
    struct brim_str b;
};
/* Writes the public key as PEM; 0: it is none for alg (RSA below 2048 bits, a point that is not on
 * the curve). */
size_t brim_jwk_to_pem(const char *alg, const struct brim_jwk *jwk, char pem[BRIM_JWT_KEY_MAX]);

/* Whether token, which says the right alg (the caller has looked), is signed with key: PEM or a
 * secret. */
bool brim_jwt_is_signed(const char *token, struct brim_str key);

#endif
