/* SPDX-License-Identifier: MIT */
#include "brim/policy/jwt_keys.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "brim/base/base64url.h"
#include "brim/base/invariant.h"
#include "brim/policy/jwt.h"

#define KEYS_MAGIC       0x6a6b6579u
#define KEYS_MAX         64u
#define TRIES_MAX        8u  /* keys that a token without kid is tried against */
#define SECRET_BYTES_MIN 32u /* RFC 7518 3.2 */

struct key {
    char *kid; /* NULL: it has none */
    char *bytes;
    size_t len;
};

struct brim_jwt_keys {
    uint32_t magic;
    _Atomic unsigned refs;
    const char *alg;
    size_t count;
    struct key items[KEYS_MAX];
};

static void add(struct brim_jwt_keys *keys, const char *kid, struct brim_str bytes)
{
    struct key *key = &keys->items[keys->count++];

    INVARIANT(keys->count <= KEYS_MAX);
    key->kid = brim_strdup(kid);
    key->bytes = brim_alloc(bytes.len + 1);
    memcpy(key->bytes, bytes.base, bytes.len);
    key->len = bytes.len;
}

/* ---- JSON Web Keys ---- */

static bool text_is(const json_t *object, const char *name, const char *want)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL && strcmp(text, want) == 0;
}

/* The bytes of member name in room, or nothing. */
static struct brim_str bytes_of(const json_t *object, const char *name, char *room, size_t room_len)
{
    const json_t *member = json_object_get(object, name);
    struct brim_str text = {json_string_value(member), json_string_length(member)};
    size_t len;

    if (text.base == NULL || text.len > room_len || !brim_base64url_read(text, room, &len))
        return brim_str(NULL, 0);
    return brim_str(room, len);
}

/* Whether the key says itself that it is for something else. */
static bool is_for_other(const json_t *object, const char *alg)
{
    const json_t *own = json_object_get(object, "alg"), *use = json_object_get(object, "use");

    return (own != NULL && !text_is(object, "alg", alg)) ||
           (use != NULL && !text_is(object, "use", "sig"));
}

static void take_secret(struct brim_jwt_keys *keys, const json_t *object)
{
    char room[BRIM_JWT_KEY_MAX];
    struct brim_str secret = bytes_of(object, "k", room, sizeof(room));

    if (text_is(object, "kty", "oct") && secret.len >= SECRET_BYTES_MIN)
        add(keys, json_string_value(json_object_get(object, "kid")), secret);
}

static void take_public(struct brim_jwt_keys *keys, const json_t *object)
{
    const char *curve = brim_jwt_alg_curve(keys->alg);
    char a[4096], b[4096], pem[BRIM_JWT_KEY_MAX];
    struct brim_jwk jwk = {bytes_of(object, curve == NULL ? "n" : "x", a, sizeof(a)),
                           bytes_of(object, curve == NULL ? "e" : "y", b, sizeof(b))};
    size_t len;

    if (!text_is(object, "kty", curve == NULL ? "RSA" : "EC") ||
        (curve != NULL && !text_is(object, "crv", curve)))
        return;
    len = brim_jwk_to_pem(keys->alg, &jwk, pem);
    if (len > 0)
        add(keys, json_string_value(json_object_get(object, "kid")), brim_str(pem, len));
}

static const char *read_set(struct brim_jwt_keys *keys, struct brim_str text)
{
    json_t *set = json_loadb(text.base, text.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(set, "keys"), *object;
    const char *why = NULL;
    size_t i;

    if (set == NULL)
        why = "is not JSON";
    else if (!json_is_array(list))
        why = "has no keys";
    else if (json_array_size(list) > KEYS_MAX)
        why = "has more than 64 keys";
    if (why == NULL) {
        json_array_foreach(list, i, object)
        {
            if (is_for_other(object, keys->alg))
                continue;
            if (brim_jwt_alg_is_secret(keys->alg))
                take_secret(keys, object);
            else
                take_public(keys, object);
        }
        if (keys->count == 0)
            why = "has no key for the algorithm";
    }
    json_decref(set);
    return why;
}

/* ---- the three forms ---- */

static const char *read_plain(struct brim_jwt_keys *keys, struct brim_str text)
{
    bool is_pem = brim_str_has_prefix(text, BRIM_STR("-----BEGIN "));

    if (text.len > BRIM_JWT_KEY_MAX)
        return "is longer than 16 KiB";
    if (is_pem && brim_jwt_alg_is_secret(keys->alg))
        return "is PEM, not a secret, which the algorithm needs";
    if (!is_pem && !brim_jwt_alg_is_secret(keys->alg))
        return "is neither PEM nor a JSON Web Key Set";
    if (is_pem && brim_str_has_prefix(text, BRIM_STR("-----BEGIN CERTIFICATE")))
        return "is a certificate; a public key is accepted (openssl x509 -pubkey -noout)";
    if (!is_pem)
        while (text.len > 0 && (text.base[text.len - 1] == '\n' || text.base[text.len - 1] == '\r'))
            text.len--;
    if (!is_pem && text.len < SECRET_BYTES_MIN)
        return "is a secret of less than 32 bytes";
    add(keys, NULL, text);
    return NULL;
}

enum brim_err brim_jwt_keys_read(const char *alg, struct brim_str text,
                                 struct brim_jwt_keys **keys_out, const char **why_out)
{
    struct brim_jwt_keys *keys = brim_alloc(sizeof(*keys));
    struct brim_str begin = text;

    INVARIANT(brim_jwt_alg_is_known(alg));
    *keys_out = NULL;
    keys->magic = KEYS_MAGIC;
    keys->refs = 1;
    keys->alg = alg;
    while (begin.len > 0 && strchr(" \t\r\n", begin.base[0]) != NULL && begin.base[0] != '\0') {
        begin.base++;
        begin.len--;
    }
    *why_out =
        begin.len > 0 && begin.base[0] == '{' ? read_set(keys, text) : read_plain(keys, text);
    if (*why_out != NULL) {
        brim_jwt_keys_unref(keys);
        return BRIM_EINVAL;
    }
    *keys_out = keys;
    return BRIM_OK;
}

struct brim_jwt_keys *brim_jwt_keys_ref(struct brim_jwt_keys *keys)
{
    OBJ_CHECK(keys, KEYS_MAGIC);
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

void brim_jwt_keys_unref(struct brim_jwt_keys *keys)
{
    if (keys == NULL)
        return;
    OBJ_CHECK(keys, KEYS_MAGIC);
    if (atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->items[i].kid);
        explicit_bzero(keys->items[i].bytes, keys->items[i].len);
        free(keys->items[i].bytes);
    }
    keys->magic = 0;
    free(keys);
}

/* A key without kid is for every token; a token without kid may be of any key. */
static bool is_meant(const struct key *key, struct brim_str kid)
{
    return kid.base == NULL || key->kid == NULL || brim_str_is(kid, brim_str_of(key->kid));
}

bool brim_jwt_keys_has(const struct brim_jwt_keys *keys, struct brim_str kid)
{
    for (size_t i = 0; i < keys->count; i++)
        if (is_meant(&keys->items[i], kid))
            return true;
    return false;
}

bool brim_jwt_keys_verify(const struct brim_jwt_keys *keys, struct brim_str kid, const char *token)
{
    unsigned tries = 0;

    for (size_t i = 0; i < keys->count && tries < TRIES_MAX; i++) {
        const struct key *key = &keys->items[i];

        if (!is_meant(key, kid))
            continue;
        tries++;
        if (brim_jwt_is_signed(token, brim_str(key->bytes, key->len)))
            return true;
    }
    return false;
}
