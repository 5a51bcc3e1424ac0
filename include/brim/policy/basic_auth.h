/* SPDX-License-Identifier: MIT */
/*
 * basic_auth - lets in who knows a user and his password (RFC 7617), of a file as htpasswd(1)
 * writes it.
 *
 * Hashes are slow on purpose, so this says when one has to be computed, and keeps for a while what
 * has proved right, under a MAC whose key is this process's own. An unknown user costs what some
 * known one costs, always the same. Passwords that were wrong are not kept: each try costs its time
 * again.
 */
#ifndef BRIM_POLICY_BASIC_AUTH_H
#define BRIM_POLICY_BASIC_AUTH_H

#include "brim/base/conf.h"
#include "brim/base/sha256.h"
#include "brim/http/field.h"
#include "brim/policy/password.h"

struct brim_basic_auth; /* opaque */

/* NULL in *auth_out: none is configured. Errors: BRIM_EINVAL the file cannot be used, which was
 * logged with the line. Thread: init or control. */
BRIM_MUST_USE enum brim_err brim_basic_auth_compile(const struct brim_conf_basic_auth *conf,
                                                    struct brim_basic_auth **auth_out);
void brim_basic_auth_free(struct brim_basic_auth *auth); /* accepts NULL */

/* ---- Thread: any ---- */

enum brim_basic_state {
    BRIM_BASIC_IN,
    BRIM_BASIC_OUT,
    BRIM_BASIC_HASH, /* whether the password fits the hash is to be found out */
};

struct brim_basic_news {
    enum brim_basic_state state;
    const char *hash; /* HASH: lives as long as auth */
    size_t password_len;
    char password[BRIM_PASSWORD_BYTES_MAX];
    bool is_known;                               /* HASH: else it does not count that it fits */
    unsigned char credential[BRIM_SHA256_BYTES]; /* HASH: for brim_basic_auth_keep() */
};

void brim_basic_auth_ask(struct brim_basic_auth *auth, struct brim_fields fields,
                         uint64_t now_mono_ms, struct brim_basic_news *news_out);
/* The password did fit. */
void brim_basic_auth_keep(struct brim_basic_auth *auth, const struct brim_basic_news *news,
                          uint64_t now_mono_ms);

/* "www-authenticate: Basic ..." */
const char *brim_basic_auth_challenge(const struct brim_basic_auth *auth);
bool brim_basic_auth_strips(const struct brim_basic_auth *auth);

#endif
