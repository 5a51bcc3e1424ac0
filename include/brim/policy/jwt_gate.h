/* SPDX-License-Identifier: MIT */
/*
 * jwt_gate - lets in who shows a token (RFC 7519, RFC 6750): signed with a key of the config's
 * algorithm, in its time, by the issuer and for the audience that the config names, not revoked.
 *
 * Keys come from a file, or from a URL: then somebody else fetches them, when this says so, and
 * hands the text over; the gate keeps them for `jwks_refresh`, and asks for newer ones early where
 * a token names a key that it has not got. What was once fetched stays good while newer keys cannot
 * be had.
 */
#ifndef BRIM_POLICY_JWT_GATE_H
#define BRIM_POLICY_JWT_GATE_H

#include "brim/base/conf.h"
#include "brim/http/field.h"

struct brim_compile_faults;
struct brim_kv;
struct brim_jwt_gate; /* opaque */

/* NULL in *gate_out: none is configured. conf was checked and may be freed. Errors: BRIM_EINVAL the
 * key cannot be used, which was logged, or with faults told there. Thread: init or control. */
BRIM_MUST_USE enum brim_err brim_jwt_gate_compile(const struct brim_conf_jwt *conf,
                                                  struct brim_compile_faults *faults,
                                                  struct brim_jwt_gate **gate_out);
/* Has gate go on with what old has fetched, if that is newer than what it has, and both fetch for
 * the same algorithm by the same URL. That it is asked of the same origin, the caller knows.
 * Thread: init or control; old may be in use. */
void brim_jwt_gate_inherit(struct brim_jwt_gate *gate, struct brim_jwt_gate *old);
void brim_jwt_gate_free(struct brim_jwt_gate *gate); /* accepts NULL */

/* ---- Thread: any ---- */

struct brim_jwt_ask {
    struct brim_fields fields; /* of the request */
    struct brim_kv *kv;        /* named stores; NULL: none */
    int64_t now_wall_ms;
    uint64_t now_mono_ms;
    bool has_fetched;                        /* keys, for this request: there are no newer ones */
    void *(*alloc)(void *ctx, size_t bytes); /* lives as long as the request */
    void *ctx;
};

enum brim_jwt_state {
    BRIM_JWT_IN,
    BRIM_JWT_OUT,
    BRIM_JWT_KEYS, /* are to be fetched first; then ask again */
};

struct brim_jwt_news {
    enum brim_jwt_state state;
    struct brim_fields fields; /* IN: as the request goes on: with claims, perhaps without token */
    struct brim_str subject;   /* IN: claim `sub`; empty: it has none */
    /* KEYS: there are some. Then a fetch is for newer ones, and what a cache has kept is no answer;
     * it happens once in ten seconds at most. Without keys every request fetches: from the cache.
     */
    bool has_keys;
    unsigned status;       /* OUT: 401; 503 where it cannot be told */
    const char *why;       /* OUT: static */
    const char *challenge; /* OUT, 401: "www-authenticate: Bearer ..." */
};

void brim_jwt_gate_ask(struct brim_jwt_gate *gate, const struct brim_jwt_ask *ask,
                       struct brim_jwt_news *news_out);

/* Where keys are fetched from. */
struct brim_str brim_jwt_gate_url(const struct brim_jwt_gate *gate);
struct brim_str brim_jwt_gate_origin(const struct brim_jwt_gate *gate); /* empty: the route's */
/* What was fetched; text.base NULL: it could not be. */
void brim_jwt_gate_take_keys(struct brim_jwt_gate *gate, struct brim_str text,
                             uint64_t now_mono_ms);

/* Names of fields that only this gate may set, lower-case. */
const struct brim_str *brim_jwt_gate_claim_fields(const struct brim_jwt_gate *gate,
                                                  size_t *count_out);

#endif
