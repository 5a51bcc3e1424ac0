/* SPDX-License-Identifier: MIT */
/*
 * A token is read by libjwt's own rules but once: the header for algorithm and kid, which are
 * compared before any key is touched; then, with its signature checked, the claims. What is signed
 * is the text, so nothing can be read into it that its issuer did not write.
 */
#include "brim/policy/jwt_gate.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/base64url.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/cache/kv.h"
#include "brim/http/cache_key.h"
#include "brim/policy/compile_faults.h"
#include "brim/policy/jwt.h"
#include "brim/policy/jwt_keys.h"

#define GATE_MAGIC     0x6a677465u
#define COOKIES_MAX    BRIM_JWT_TOKEN_MAX
#define VALUE_MAX      1024u  /* of a claim that the origin is told */
#define RETRY_MS       10000u /* between two fetches that did not bring what was wanted */
#define KEY_FILE_MAX   262144u
#define CHALLENGE_ROOM 640u

static const char *const algs[] = {
    "",      "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}; /* jwt.alg */

struct brim_jwt_gate {
    uint32_t magic;
    const char *alg;
    char *url, *origin; /* "" */
    uint64_t refresh_ms;
    char *issuer;
    struct brim_str *audience;
    size_t audience_count;
    double leeway_s;
    bool may_lack_exp;
    char *cookie;
    char *realm;
    char *revoked, *revoked_claim;
    char **claims;                 /* names, beside the fields of the same position */
    struct brim_str *claim_fields; /* lower-case */
    size_t claim_count;
    bool strips;
    pthread_mutex_t lock;
    struct brim_jwt_keys *keys; /* lock; NULL: not fetched yet */
    uint64_t asked_ms;          /* lock; mono, when keys were last asked for; 0: never */
    uint64_t taken_ms;          /* lock; when they were last had */
};

/* ---- compiling ---- */

/* libjwt is the system's: the option names what the newest knows. */
static bool is_possible(const struct brim_jwt_gate *gate)
{
    bool is_known = brim_jwt_alg_is_known(gate->alg);

    if (!is_known)
        BRIM_LOG(ERROR, "jwt.alg", "alg=%s reason=\"the installed libjwt does not know it\"",
                 gate->alg);
    return is_known;
}

static enum brim_err read_key(struct brim_jwt_gate *gate, const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = brim_alloc(KEY_FILE_MAX + 1);
    const char *why = "cannot be read";
    enum brim_err err = BRIM_EINVAL;
    size_t len = 0;

    if (file != NULL) {
        len = fread(text, 1, KEY_FILE_MAX + 1, file);
        if (len > KEY_FILE_MAX)
            why = "is longer than 256 KiB";
        else if (!ferror(file))
            err = brim_jwt_keys_read(gate->alg, brim_str(text, len), &gate->keys, &why);
        (void)fclose(file);
    }
    if (err != BRIM_OK)
        BRIM_LOG(ERROR, "jwt.key", "file=%s alg=%s reason=\"%s\"", path, gate->alg, why);
    explicit_bzero(text, len);
    free(text);
    return err;
}

static void copy_claims(struct brim_jwt_gate *gate, const struct brim_conf_strings *conf)
{
    gate->claims = brim_alloc((conf->count + 1) * sizeof(*gate->claims));
    gate->claim_fields = brim_alloc((conf->count + 1) * sizeof(*gate->claim_fields));
    for (size_t i = 0; i < conf->count; i++) {
        const char *equals = strchr(conf->items[i], '=');

        INVARIANT(equals != NULL);
        gate->claims[i] = brim_strdup(conf->items[i]);
        gate->claims[i][equals - conf->items[i]] = '\0';
        gate->claim_fields[i] = brim_str_of(brim_strdup_lower(equals + 1));
    }
    gate->claim_count = conf->count;
}

enum brim_err brim_jwt_gate_compile(const struct brim_conf_jwt *conf,
                                    struct brim_compile_faults *faults,
                                    struct brim_jwt_gate **gate_out)
{
    struct brim_jwt_gate *gate;
    bool is_usable;

    *gate_out = NULL;
    if (conf->alg == 0)
        return BRIM_OK;
    gate = brim_alloc(sizeof(*gate));
    gate->magic = GATE_MAGIC;
    pthread_mutex_init(&gate->lock, NULL);
    gate->alg = algs[conf->alg];
    gate->url = brim_strdup(conf->jwks_url);
    gate->origin = brim_strdup(conf->jwks_origin);
    gate->refresh_ms = (uint64_t)conf->jwks_refresh_ms;
    gate->issuer = brim_strdup(conf->issuer);
    gate->audience = brim_alloc((conf->audience.count + 1) * sizeof(*gate->audience));
    for (size_t i = 0; i < conf->audience.count; i++)
        gate->audience[gate->audience_count++] = brim_str_of(brim_strdup(conf->audience.items[i]));
    gate->leeway_s = (double)conf->leeway_ms / 1000;
    gate->may_lack_exp = !conf->require_exp;
    gate->cookie = brim_strdup(conf->cookie);
    gate->realm = brim_strdup(conf->realm);
    gate->revoked = brim_strdup(conf->revoked);
    gate->revoked_claim = brim_strdup(conf->revoked_claim);
    copy_claims(gate, &conf->claims);
    gate->strips = conf->strip;
    brim_compile_faults_in(faults, "jwt.alg");
    is_usable = is_possible(gate);
    brim_compile_faults_in(faults, "jwt.key");
    if (!is_usable || (conf->key[0] != '\0' && read_key(gate, conf->key) != BRIM_OK)) {
        brim_jwt_gate_free(gate);
        return BRIM_EINVAL;
    }
    *gate_out = gate;
    return BRIM_OK;
}

void brim_jwt_gate_free(struct brim_jwt_gate *gate)
{
    if (gate == NULL)
        return;
    OBJ_CHECK(gate, GATE_MAGIC);
    for (size_t i = 0; i < gate->claim_count; i++) {
        free(gate->claims[i]);
        free((void *)(uintptr_t)gate->claim_fields[i].base);
    }
    for (size_t i = 0; i < gate->audience_count; i++)
        free((void *)(uintptr_t)gate->audience[i].base);
    free(gate->claims);
    free(gate->claim_fields);
    free(gate->audience);
    free(gate->url);
    free(gate->origin);
    free(gate->issuer);
    free(gate->cookie);
    free(gate->realm);
    free(gate->revoked);
    free(gate->revoked_claim);
    brim_jwt_keys_unref(gate->keys);
    pthread_mutex_destroy(&gate->lock);
    gate->magic = 0;
    free(gate);
}

/* ---- keys ---- */

struct brim_str brim_jwt_gate_url(const struct brim_jwt_gate *gate)
{
    return brim_str_of(gate->url);
}

struct brim_str brim_jwt_gate_origin(const struct brim_jwt_gate *gate)
{
    return brim_str_of(gate->origin);
}

/* The keys there are (counted), or NULL; and whether newer ones should be had first. */
static struct brim_jwt_keys *get_keys(struct brim_jwt_gate *gate, struct brim_str kid,
                                      const struct brim_jwt_ask *ask, bool *fetch_out)
{
    struct brim_jwt_keys *keys;

    *fetch_out = false;
    pthread_mutex_lock(&gate->lock);
    keys = gate->keys == NULL ? NULL : brim_jwt_keys_ref(gate->keys);
    if (gate->url[0] != '\0' && !ask->has_fetched) {
        bool is_due = ask->now_mono_ms >= gate->taken_ms + gate->refresh_ms ||
                      (keys != NULL && !brim_jwt_keys_has(keys, kid));
        bool may_ask = gate->asked_ms == 0 || ask->now_mono_ms >= gate->asked_ms + RETRY_MS;

        *fetch_out = keys == NULL || (is_due && may_ask);
        if (*fetch_out) /* one asks; who comes meanwhile goes on with what is there */
            gate->asked_ms = ask->now_mono_ms;
    }
    pthread_mutex_unlock(&gate->lock);
    return keys;
}

void brim_jwt_gate_take_keys(struct brim_jwt_gate *gate, struct brim_str text, uint64_t now_mono_ms)
{
    struct brim_jwt_keys *keys = NULL, *old = NULL;
    const char *why = "cannot be fetched";

    OBJ_CHECK(gate, GATE_MAGIC);
    if (text.base == NULL || brim_jwt_keys_read(gate->alg, text, &keys, &why) != BRIM_OK) {
        BRIM_LOG(WARN, "jwt.keys", "url=%s alg=%s reason=\"%s\"", gate->url, gate->alg, why);
        return;
    }
    pthread_mutex_lock(&gate->lock);
    old = gate->keys;
    gate->keys = keys;
    gate->taken_ms = now_mono_ms;
    pthread_mutex_unlock(&gate->lock);
    brim_jwt_keys_unref(old);
}

void brim_jwt_gate_inherit(struct brim_jwt_gate *gate, struct brim_jwt_gate *old)
{
    struct brim_jwt_keys *keys = NULL;
    uint64_t asked_ms, taken_ms;

    OBJ_CHECK(gate, GATE_MAGIC);
    OBJ_CHECK(old, GATE_MAGIC);
    if (gate->url[0] == '\0' || strcmp(gate->url, old->url) != 0 || gate->alg != old->alg)
        return;
    pthread_mutex_lock(&old->lock);
    if (old->keys != NULL)
        keys = brim_jwt_keys_ref(old->keys);
    asked_ms = old->asked_ms;
    taken_ms = old->taken_ms;
    pthread_mutex_unlock(&old->lock);
    pthread_mutex_lock(&gate->lock);
    if (keys != NULL && (gate->keys == NULL || gate->taken_ms < taken_ms)) {
        struct brim_jwt_keys *older = gate->keys;

        gate->keys = keys;
        gate->asked_ms = asked_ms;
        gate->taken_ms = taken_ms;
        keys = older;
    }
    pthread_mutex_unlock(&gate->lock);
    brim_jwt_keys_unref(keys);
}

/* ---- the token ---- */

static const char *token_of_cookie(const struct brim_jwt_gate *gate, const struct brim_jwt_ask *ask)
{
    struct brim_str name = brim_str_of(gate->cookie);
    const struct brim_key_rules rules = {.cookies = {&name, 1}};
    size_t room = brim_cache_key_cookies_room(ask->fields), len;
    char *text;

    if (name.len == 0 || room == 0 || room >= COOKIES_MAX)
        return NULL;
    text = ask->alloc(ask->ctx, room + 1);
    len = brim_cache_key_cookies(&rules, ask->fields, text);
    if (len <= name.len + 1)
        return NULL;
    text[len] = '\0';
    return text + name.len + 1;
}

/* NULL: there is none. A credential of another scheme is none. */
static const char *token_of(const struct brim_jwt_gate *gate, const struct brim_jwt_ask *ask)
{
    const struct brim_field *field = brim_fields_only(ask->fields, BRIM_STR("authorization"));
    static const struct brim_str scheme = BRIM_STR("bearer ");
    struct brim_str token;
    char *text;

    if (field == NULL || field->value.len <= scheme.len || field->value.len > BRIM_JWT_TOKEN_MAX ||
        !brim_str_is_nocase(brim_str(field->value.base, scheme.len), scheme))
        return token_of_cookie(gate, ask);
    token = brim_str_trim(brim_str(field->value.base + scheme.len, field->value.len - scheme.len));
    text = ask->alloc(ask->ctx, token.len + 1);
    memcpy(text, token.base, token.len);
    text[token.len] = '\0';
    return text;
}

/* A part of the token; NULL: it is not base64url of a JSON object. */
static json_t *part_of(const char *begin, size_t len)
{
    char *room = brim_alloc(len + 1);
    json_t *part = NULL;
    size_t bytes;

    if (brim_base64url_read(brim_str(begin, len), room, &bytes))
        part = json_loadb(room, bytes, JSON_REJECT_DUPLICATES, NULL);
    free(room);
    if (json_is_object(part))
        return part;
    json_decref(part);
    return NULL;
}

struct token {
    const char *text;
    json_t *header; /* owned */
    json_t *claims; /* owned; trusted once the signature is checked */
};

static bool read_token(struct token *token)
{
    const char *dot = strchr(token->text, '.');
    const char *second = dot == NULL ? NULL : strchr(dot + 1, '.');

    if (second == NULL || strchr(second + 1, '.') != NULL)
        return false;
    token->header = part_of(token->text, (size_t)(dot - token->text));
    token->claims = part_of(dot + 1, (size_t)(second - dot) - 1);
    return token->header != NULL && token->claims != NULL;
}

static struct brim_str text_of(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);

    return brim_str(json_string_value(member), json_string_length(member));
}

/* ---- claims ---- */

static const char *check_dates(const struct brim_jwt_gate *gate, const json_t *claims, double now_s)
{
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");

    if ((exp != NULL && !json_is_number(exp)) || (nbf != NULL && !json_is_number(nbf)))
        return "a date is not a number";
    if (exp == NULL && !gate->may_lack_exp)
        return "exp is missing";
    if (exp != NULL && !(now_s < json_number_value(exp) + gate->leeway_s))
        return "expired";
    if (nbf != NULL && !(now_s >= json_number_value(nbf) - gate->leeway_s))
        return "not valid yet";
    return NULL;
}

static bool is_audience(const struct brim_jwt_gate *gate, const json_t *text)
{
    struct brim_str one = {json_string_value(text), json_string_length(text)};

    for (size_t i = 0; one.base != NULL && i < gate->audience_count; i++)
        if (brim_str_is(one, gate->audience[i]))
            return true;
    return false;
}

static bool has_audience(const struct brim_jwt_gate *gate, const json_t *claims)
{
    const json_t *aud = json_object_get(claims, "aud");

    if (gate->audience_count == 0)
        return true;
    for (size_t i = 0; i < json_array_size(aud); i++)
        if (is_audience(gate, json_array_get(aud, i)))
            return true;
    return is_audience(gate, aud);
}

/* NULL: it is not. */
static const char *check_revoked(const struct brim_jwt_gate *gate, const json_t *claims,
                                 const struct brim_jwt_ask *ask, unsigned *status)
{
    struct brim_kv_name name = {brim_str_of(gate->revoked), text_of(claims, gate->revoked_claim)};
    char room[1];
    size_t len;

    if (gate->revoked[0] == '\0')
        return NULL;
    if (name.key.base == NULL || !brim_kv_key_is_valid(name.key))
        return "nothing tells it from others, so that it could be revoked";
    *status = 503;
    if (ask->kv == NULL)
        return "there are no stores to look for revoked tokens in";
    switch (brim_kv_get(ask->kv, &name, ask->now_wall_ms, (struct brim_kv_room){room, 1}, &len)) {
    case BRIM_ENOENT:
        *status = 401;
        return NULL;
    case BRIM_OK:
    case BRIM_ELIMIT:
        *status = 401;
        return "revoked";
    default:
        return "revoked tokens cannot be looked up";
    }
}

static const char *check_claims(const struct brim_jwt_gate *gate, const json_t *claims,
                                const struct brim_jwt_ask *ask, unsigned *status)
{
    const char *why = check_dates(gate, claims, (double)ask->now_wall_ms / 1000);

    if (why != NULL)
        return why;
    if (gate->issuer[0] != '\0' && !brim_str_is(text_of(claims, "iss"), brim_str_of(gate->issuer)))
        return "another issuer";
    if (!has_audience(gate, claims))
        return "another audience";
    return check_revoked(gate, claims, ask, status);
}

/* ---- what goes on ---- */

static bool is_claim_field(const struct brim_jwt_gate *gate, struct brim_str name)
{
    for (size_t i = 0; i < gate->claim_count; i++)
        if (brim_field_name_is_read_as(name, gate->claim_fields[i]))
            return true;
    return false;
}

/* A claim as the value of a field; none where it is neither text nor number nor bool, or cannot
 * stand in one. */
static struct brim_str claim_text(const json_t *claim, const struct brim_jwt_ask *ask)
{
    char number[32];
    struct brim_str text = {json_string_value(claim), json_string_length(claim)};
    char *copy;

    if (json_is_integer(claim)) {
        int len =
            snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(claim));

        text = brim_str(number, (size_t)len);
    } else if (json_is_boolean(claim)) {
        text = json_is_true(claim) ? BRIM_STR("true") : BRIM_STR("false");
    }
    if (text.base == NULL || text.len > VALUE_MAX || !brim_field_value_is_valid(text))
        return brim_str(NULL, 0);
    copy = ask->alloc(ask->ctx, text.len + 1);
    memcpy(copy, text.base, text.len);
    return brim_str(copy, text.len);
}

static struct brim_fields fields_for(const struct brim_jwt_gate *gate, const json_t *claims,
                                     const struct brim_jwt_ask *ask)
{
    size_t room = ask->fields.count + gate->claim_count, count = 0;
    struct brim_field *items;

    if (gate->claim_count == 0 && !gate->strips)
        return ask->fields;
    items = ask->alloc(ask->ctx, (room + 1) * sizeof(*items));
    for (size_t i = 0; i < ask->fields.count; i++) {
        struct brim_str name = ask->fields.items[i].name;

        if (is_claim_field(gate, name) ||
            (gate->strips && brim_str_is(name, BRIM_STR("authorization"))))
            continue;
        items[count++] = ask->fields.items[i];
    }
    for (size_t i = 0; i < gate->claim_count; i++) {
        struct brim_str text = claim_text(json_object_get(claims, gate->claims[i]), ask);

        if (text.base != NULL)
            items[count++] = (struct brim_field){gate->claim_fields[i], text};
    }
    return (struct brim_fields){items, count};
}

const struct brim_str *brim_jwt_gate_claim_fields(const struct brim_jwt_gate *gate,
                                                  size_t *count_out)
{
    *count_out = gate->claim_count;
    return gate->claim_fields;
}

/* ---- asking ---- */

/* RFC 6750 3: without a token no error is told. The realm was checked to need no escape. */
static const char *challenge_for(const struct brim_jwt_gate *gate, const struct brim_jwt_ask *ask,
                                 const char *why)
{
    char *text = ask->alloc(ask->ctx, CHALLENGE_ROOM);
    int len;

    if (why == NULL)
        len = snprintf(text, CHALLENGE_ROOM, "www-authenticate: Bearer realm=\"%s\"", gate->realm);
    else
        len = snprintf(text, CHALLENGE_ROOM,
                       "www-authenticate: Bearer realm=\"%s\", error=\"invalid_token\", "
                       "error_description=\"%s\"",
                       gate->realm, why);
    INVARIANT(len > 0 && (size_t)len < CHALLENGE_ROOM);
    return text;
}

/* NULL: it is good, or (state KEYS) cannot be told yet. */
static const char *judge(struct brim_jwt_gate *gate, struct token *token,
                         const struct brim_jwt_ask *ask, struct brim_jwt_news *news)
{
    struct brim_jwt_keys *keys;
    struct brim_str kid;
    bool is_signed, must_fetch;

    if (!read_token(token))
        return "not a token";
    if (!brim_str_is(text_of(token->header, "alg"), brim_str_of(gate->alg)))
        return "another algorithm";
    if (json_object_get(token->header, "crit") != NULL)
        return "critical extensions are not known";
    kid = text_of(token->header, "kid");
    keys = get_keys(gate, kid, ask, &must_fetch);
    if (must_fetch) {
        news->state = BRIM_JWT_KEYS;
        news->has_keys = keys != NULL;
        brim_jwt_keys_unref(keys);
        return NULL;
    }
    if (keys == NULL) {
        news->status = 503;
        return "the keys cannot be fetched";
    }
    is_signed = brim_jwt_keys_verify(keys, kid, token->text);
    brim_jwt_keys_unref(keys);
    return is_signed ? check_claims(gate, token->claims, ask, &news->status)
                     : "the signature is wrong";
}

void brim_jwt_gate_ask(struct brim_jwt_gate *gate, const struct brim_jwt_ask *ask,
                       struct brim_jwt_news *news_out)
{
    struct token token = {.text = token_of(gate, ask)};
    struct brim_str subject;
    const char *why;

    OBJ_CHECK(gate, GATE_MAGIC);
    *news_out = (struct brim_jwt_news){.state = BRIM_JWT_IN, .status = 401};
    if (token.text == NULL) {
        news_out->state = BRIM_JWT_OUT;
        news_out->why = "a token is needed";
        news_out->challenge = challenge_for(gate, ask, NULL);
        return;
    }
    why = judge(gate, &token, ask, news_out);
    if (why != NULL) {
        news_out->state = BRIM_JWT_OUT;
        news_out->why = why;
        news_out->challenge = news_out->status == 401 ? challenge_for(gate, ask, why) : NULL;
    } else if (news_out->state == BRIM_JWT_IN) {
        news_out->fields = fields_for(gate, token.claims, ask);
        subject = claim_text(json_object_get(token.claims, "sub"), ask);
        news_out->subject = subject.base == NULL ? BRIM_STR("") : subject;
    }
    json_decref(token.header);
    json_decref(token.claims);
}
