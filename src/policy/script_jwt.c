/* SPDX-License-Identifier: MIT */
/*
 * brim.jwt.verify: JSON Web Tokens (RFC 7519), by policy/jwt, under the rules of RFC 8725.
 *
 * The algorithm is the caller's: a token that says another one is refused before any key is looked
 * at, so that no public key is ever used as a secret. A key of a set must be of the algorithm's
 * kind. Texts are decoded by brim.base64 and brim.json (upvalues), which are stricter than libjwt:
 * what the two would read in two ways is refused. Nothing that libjwt or OpenSSL allocate lives
 * while Lua may raise. Fetching key sets is the handler's business (brim.fetch).
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/policy/jwt.h"
#include "brim/policy/script_lib.h"

#define KEYS_MAX      64
#define VERIFY_UNITS  50000u
#define LEEWAY_S      30
#define LEEWAY_S_MAX  3600
#define JSON_DECODE   lua_upvalueindex(1)
#define BASE64_DECODE lua_upvalueindex(2)

enum slot { TOKEN = 1, OPTS, JWKS, HEADER, CLAIMS, KEY, SLOTS = KEY };

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

/* Field name of the table at index as a string, or nothing; pushes it. */
static struct brim_str push_text(lua_State *L, int index, const char *name)
{
    struct brim_str text = {0};

    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    if (lua_rawget(L, index) == LUA_TSTRING)
        text.base = lua_tolstring(L, -1, &text.len);
    return text;
}

static bool field_is(lua_State *L, int index, const char *name, struct brim_str want)
{
    struct brim_str text = push_text(L, index, name);
    bool is = text.base != NULL && brim_str_is(text, want);

    lua_pop(L, 1);
    return is;
}

/* Replaces the text on top of the stack by what decoder (an upvalue) makes of it; false: nil. */
static bool decode_top(lua_State *L, int decoder)
{
    lua_pushvalue(L, decoder);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return !lua_isnil(L, -1);
}

/* A part of the token as a table in slot. */
static bool read_part(lua_State *L, struct brim_str part, int slot)
{
    lua_pushlstring(L, part.base, part.len);
    if (!decode_top(L, BASE64_DECODE) || !decode_top(L, JSON_DECODE) || !lua_istable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_replace(L, slot);
    return true;
}

/* ---- keys ---- */

/* Field name of the JWK at index, decoded; pushes it. */
static struct brim_str push_bytes(lua_State *L, int index, const char *name)
{
    struct brim_str bytes = {0};

    if (push_text(L, index, name).base != NULL && decode_top(L, BASE64_DECODE))
        bytes.base = lua_tolstring(L, -1, &bytes.len);
    return bytes;
}

/* Puts the JWK at index into KEY as PEM or secret, if it is one for alg. */
static bool take_jwk(lua_State *L, int index, const char *alg)
{
    const char *curve = brim_jwt_alg_curve(alg);
    int top = lua_gettop(L);
    char pem[BRIM_JWT_KEY_MAX];
    struct brim_jwk jwk;
    size_t len;

    if (brim_jwt_alg_is_secret(alg)) {
        if (!field_is(L, index, "kty", BRIM_STR("oct")) || push_bytes(L, index, "k").len == 0)
            goto none;
        lua_replace(L, KEY);
        lua_settop(L, top);
        return true;
    }
    if (!field_is(L, index, "kty", curve == NULL ? BRIM_STR("RSA") : BRIM_STR("EC")) ||
        (curve != NULL && !field_is(L, index, "crv", brim_str_of(curve))))
        goto none;
    jwk.a = push_bytes(L, index, curve == NULL ? "n" : "x");
    jwk.b = push_bytes(L, index, curve == NULL ? "e" : "y");
    len = brim_jwk_to_pem(alg, &jwk, pem);
    if (len == 0)
        goto none;
    lua_pushlstring(L, pem, len);
    lua_replace(L, KEY);
    lua_settop(L, top);
    return true;
none:
    lua_settop(L, top);
    return false;
}

/* Whether the JWK at index is the one that the token means. */
static bool is_meant(lua_State *L, int index, const char *alg)
{
    struct brim_str kid = push_text(L, HEADER, "kid");
    bool is = kid.base == NULL || field_is(L, index, "kid", kid);

    if (push_text(L, index, "alg").base != NULL)
        is = is && strcmp(lua_tostring(L, -1), alg) == 0;
    if (push_text(L, index, "use").base != NULL)
        is = is && strcmp(lua_tostring(L, -1), "sig") == 0;
    lua_pop(L, 3);
    return is;
}

/* From a JWKS: a table, or its JSON. */
static bool find_key(lua_State *L, const char *alg)
{
    bool is_found = false;
    int keys;

    lua_pushvalue(L, JWKS);
    if (lua_type(L, -1) == LUA_TSTRING && !decode_top(L, JSON_DECODE))
        luaL_error(L, "jwks is not JSON");
    if (!lua_istable(L, -1))
        luaL_error(L, "neither key nor jwks nor jwks_url is given");
    lua_getfield(L, -1, "keys");
    if (!lua_istable(L, -1))
        luaL_error(L, "jwks has no keys");
    keys = lua_gettop(L);
    if (lua_rawlen(L, keys) > KEYS_MAX)
        luaL_error(L, "jwks has more than 64 keys");
    for (lua_Integer i = 1; !is_found && lua_rawgeti(L, keys, i) == LUA_TTABLE; i++) {
        is_found = is_meant(L, keys + 1, alg) && take_jwk(L, keys + 1, alg);
        lua_settop(L, keys);
    }
    lua_settop(L, SLOTS);
    return is_found;
}

static bool choose_key(lua_State *L, const char *alg)
{
    struct brim_str key;

    if (push_text(L, OPTS, "key").base == NULL) {
        lua_pop(L, 1);
        return find_key(L, alg);
    }
    lua_replace(L, KEY);
    key.base = lua_tolstring(L, KEY, &key.len);
    if (key.len == 0 || key.len > BRIM_JWT_KEY_MAX)
        luaL_error(L, "key is not 1 to 16384 bytes");
    if (brim_jwt_alg_is_secret(alg) == brim_str_has_prefix(key, BRIM_STR("-----BEGIN ")))
        luaL_error(L,
                   brim_jwt_alg_is_secret(alg) ? "key is PEM, not a secret for %s"
                                               : "key is not PEM for %s",
                   alg);
    return true;
}

/* ---- claims ---- */

/* Absent: false, and *at_out unchanged. A date that is no number fails the token. */
static bool get_date(lua_State *L, const char *name, lua_Number *at_out, const char **reason)
{
    bool is_there;

    lua_pushstring(L, name);
    is_there = lua_rawget(L, CLAIMS) != LUA_TNIL;
    if (is_there && lua_type(L, -1) != LUA_TNUMBER)
        *reason = "a date is not a number";
    else if (is_there)
        *at_out = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return is_there && *reason == NULL;
}

static const char *check_dates(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);
    lua_Number now_s = (lua_Number)host->now_wall_ms(host->ctx) / 1000, at_s = 0;
    const char *reason = NULL;
    bool may_lack_exp;
    lua_Integer leeway;

    lua_getfield(L, OPTS, "leeway");
    leeway = luaL_optinteger(L, -1, LEEWAY_S);
    if (leeway < 0 || leeway > LEEWAY_S_MAX)
        luaL_error(L, "leeway is not 0 to 3600 seconds");
    lua_getfield(L, OPTS, "require_exp");
    may_lack_exp = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    lua_pop(L, 2);
    if (get_date(L, "exp", &at_s, &reason)) {
        if (!(now_s < at_s + (lua_Number)leeway))
            return "expired";
    } else if (reason == NULL && !may_lack_exp) {
        return "exp is missing";
    }
    if (get_date(L, "nbf", &at_s, &reason) && !(now_s >= at_s - (lua_Number)leeway))
        return "not valid yet";
    return reason;
}

/* Whether the claim, a text or a list of texts, has the text in the option of that name. */
static bool claim_has(lua_State *L, const char *name)
{
    struct brim_str want = push_text(L, OPTS, name), one;
    int top = lua_gettop(L);
    bool has = false;

    if (want.base == NULL) {
        if (!lua_isnil(L, -1))
            luaL_error(L, "%s is not a string", name);
        lua_pop(L, 1);
        return true;
    }
    lua_pushstring(L, name);
    if (lua_rawget(L, CLAIMS) == LUA_TSTRING) {
        one.base = lua_tolstring(L, -1, &one.len);
        has = brim_str_is(one, want);
    } else if (lua_istable(L, -1) && strcmp(name, "aud") == 0) {
        for (lua_Integer i = 1; !has && lua_rawgeti(L, top + 1, i) == LUA_TSTRING; i++) {
            one.base = lua_tolstring(L, -1, &one.len);
            has = brim_str_is(one, want);
            lua_pop(L, 1);
        }
    }
    lua_settop(L, top - 1);
    return has;
}

/* ---- verify ---- */

static const char *check_alg(lua_State *L)
{
    const char *alg;

    lua_getfield(L, OPTS, "alg");
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "alg is missing: say which algorithm you trust");
    alg = lua_tostring(L, -1);
    if (!brim_jwt_alg_is_known(alg))
        luaL_error(L, "alg %s is not one that libjwt has here", alg);
    lua_pop(L, 1); /* OPTS keeps it */
    return alg;
}

static bool signature_is_valid(lua_State *L)
{
    struct brim_str key;

    key.base = lua_tolstring(L, KEY, &key.len);
    brim_script_charge(L, VERIFY_UNITS);
    return brim_jwt_is_signed(lua_tostring(L, TOKEN), key);
}

/* Keys, if they come as a set, stand in JWKS. */
static int verify_token(lua_State *L)
{
    struct brim_str token = brim_script_check_bytes(L, TOKEN, BRIM_JWT_TOKEN_MAX);
    const char *alg, *dot, *second, *reason;

    lua_settop(L, SLOTS);
    alg = check_alg(L);
    dot = memchr(token.base, '.', token.len);
    second = dot == NULL ? NULL : strchr(dot + 1, '.');
    if (second == NULL || strlen(token.base) != token.len || strchr(second + 1, '.') != NULL ||
        !read_part(L, brim_str(token.base, (size_t)(dot - token.base)), HEADER) ||
        !read_part(L, brim_str(dot + 1, (size_t)(second - dot) - 1), CLAIMS))
        return fail(L, "not a token");
    if (!field_is(L, HEADER, "alg", brim_str_of(alg)))
        return fail(L, "another algorithm");
    lua_getfield(L, HEADER, "crit");
    if (!lua_isnil(L, -1))
        return fail(L, "critical extensions are not known");
    lua_pop(L, 1);
    if (!choose_key(L, alg))
        return fail(L, "no key for it");
    if (!signature_is_valid(L))
        return fail(L, "the signature is wrong");
    reason = check_dates(L);
    if (reason != NULL)
        return fail(L, reason);
    if (!claim_has(L, "iss"))
        return fail(L, "another issuer");
    if (!claim_has(L, "aud"))
        return fail(L, "another audience");
    lua_settop(L, CLAIMS);
    return 1;
}

/* (token, opts, response or nil, why). Also the continuation. */
static int take_keys(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    lua_settop(L, 4);
    if (lua_isnil(L, 3)) {
        lua_pushliteral(L, "the keys cannot be fetched: ");
        lua_insert(L, 4);
        lua_concat(L, 2);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_getfield(L, 3, "status");
    if (lua_tointeger(L, -1) != 200)
        return fail(L, "the keys cannot be fetched: another status than 200");
    lua_getfield(L, 3, "body");
    lua_replace(L, JWKS);
    return verify_token(L);
}

/* Through the cache, so for as long as their answer says. */
static int fetch_keys(lua_State *L)
{
    lua_settop(L, OPTS);
    if (lua_getfield(L, LUA_REGISTRYINDEX, BRIM_SCRIPT_FETCH) != LUA_TFUNCTION)
        luaL_error(L, "jwks_url: nothing can be fetched here");
    lua_getfield(L, OPTS, "jwks_url");
    lua_createtable(L, 0, 1);
    if (lua_getfield(L, OPTS, "jwks_origin") != LUA_TNIL)
        lua_setfield(L, -2, "origin");
    else
        lua_pop(L, 1);
    lua_callk(L, 2, 2, 0, take_keys);
    return take_keys(L, LUA_OK, 0);
}

/* (token, opts) */
static int verify(lua_State *L)
{
    bool has_key;

    (void)brim_script_check_bytes(L, TOKEN, BRIM_JWT_TOKEN_MAX);
    luaL_checktype(L, OPTS, LUA_TTABLE);
    lua_settop(L, OPTS);
    (void)check_alg(L);
    has_key = lua_getfield(L, OPTS, "key") != LUA_TNIL;
    lua_settop(L, OPTS);
    lua_getfield(L, OPTS, "jwks");
    if (!has_key && lua_isnil(L, JWKS) && lua_getfield(L, OPTS, "jwks_url") != LUA_TNIL)
        return fetch_keys(L);
    return verify_token(L);
}

int brim_script_open_jwt(lua_State *L)
{
    lua_createtable(L, 0, 1);
    brim_script_open_json(L);
    lua_getfield(L, -1, "decode");
    lua_remove(L, -2);
    brim_script_open_base64(L);
    lua_getfield(L, -1, "decode_url");
    lua_remove(L, -2);
    lua_pushcclosure(L, verify, 2);
    lua_setfield(L, -2, "verify");
    return 1;
}
