/* SPDX-License-Identifier: MIT */
/*
 * jwt_keys - the keys that tokens of one algorithm may be signed with: a secret, a PEM, or a JSON
 * Web Key Set (RFC 7517) of which those that are for the algorithm are kept. Immutable, counted.
 */
#ifndef BRIM_POLICY_JWT_KEYS_H
#define BRIM_POLICY_JWT_KEYS_H

#include "brim/base/err.h"
#include "brim/base/str.h"

struct brim_jwt_keys; /* opaque */

/*
 * Reads text, whichever of the three it is; of a secret the line's end does not count. alg: known
 * to policy/jwt, borrowed for life (static).
 * Errors: BRIM_EINVAL, *why_out says what is wrong: static text. Thread: any, like all of it.
 */
BRIM_MUST_USE enum brim_err brim_jwt_keys_read(const char *alg, struct brim_str text,
                                               struct brim_jwt_keys **keys_out,
                                               const char **why_out);
struct brim_jwt_keys *brim_jwt_keys_ref(struct brim_jwt_keys *keys);
void brim_jwt_keys_unref(struct brim_jwt_keys *keys); /* accepts NULL */

/* Whether there is a key that a token with this kid (base NULL: with none) may be signed with. */
bool brim_jwt_keys_has(const struct brim_jwt_keys *keys, struct brim_str kid);
/* Whether token is signed with one of those. */
bool brim_jwt_keys_verify(const struct brim_jwt_keys *keys, struct brim_str kid, const char *token);

#endif
