/* SPDX-License-Identifier: MIT */
#include <openssl/err.h>

#include "lua_rig.h"
#include "tokens.h"

static void set(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setglobal(L, name);
}

/* In place of brim.fetch; in a coroutine it yields first, as that does. */
static int answer_fetch(lua_State *L, int status, lua_KContext ctx)
{
    const char *url = lua_tostring(L, 1);

    (void)status;
    (void)ctx;
    lua_getfield(L, 2, "origin");
    if (strcmp(url, "/down") == 0 || (strcmp(url, "/named") == 0 && lua_isnil(L, -1))) {
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    }
    lua_newtable(L);
    lua_pushinteger(L, strcmp(url, "/404") == 0 ? 404 : 200);
    lua_setfield(L, -2, "status");
    lua_pushstring(L, strcmp(url, "/bad") == 0 ? "{" : token_jwks);
    lua_setfield(L, -2, "body");
    return 1;
}

static int mock_fetch(lua_State *L)
{
    if (lua_isyieldable(L))
        return lua_yieldk(L, 0, 0, answer_fetch);
    return answer_fetch(L, LUA_OK, 0);
}

static void give_tokens(lua_State *L)
{
    set(L, "hs", token_hs);
    set(L, "rs", token_rs);
    set(L, "es", token_es);
    set(L, "es_nokid", token_es_nokid);
    set(L, "crit", token_crit);
    set(L, "noexp", token_noexp);
    set(L, "badexp", token_badexp);
    set(L, "none", token_none);
    set(L, "confused", token_confused);
    set(L, "rs_pem", token_rs_pem);
    set(L, "es_pem", token_es_pem);
    set(L, "jwks", token_jwks);
    set(L, "secret", "0123456789abcdef0123456789abcdef");
    lua_pushcfunction(L, mock_fetch);
    lua_setfield(L, LUA_REGISTRYINDEX, BRIM_SCRIPT_FETCH);
}

static void setup(void)
{
    lua_rig_prepare = give_tokens;
    lua_rig.wall_ms = 1700000000000;
}

START_TEST(good_tokens_give_their_claims)
{
    lua_rig_run("local v = brim.jwt.verify eq(v(hs, {alg = 'HS256', key = secret}).sub, 'u1') "
                "eq(v(rs, {alg = 'RS256', key = rs_pem}).sub, 'u1') "
                "eq(v(es, {alg = 'ES256', key = es_pem, iss = 'https://id.example', "
                "aud = 'web'}).aud[1], 'api') "
                "for token, alg in pairs{[hs] = 'HS256', [rs] = 'RS256', [es] = 'ES256', "
                "[es_nokid] = 'ES256'} do eq(assert(v(token, {alg = alg, jwks = jwks})).sub, 'u1') "
                "eq(v(token, {alg = alg, jwks = brim.json.decode(jwks)}).sub, 'u1') end "
                "eq(v(noexp, {alg = 'HS256', key = secret, require_exp = false}).sub, 'x')");
    ck_assert_uint_ge(lua_rig.charged, 50000);
}
END_TEST

/* RFC 8725: the algorithm is pinned, and no public key is ever a secret. */
START_TEST(another_algorithm_is_refused)
{
    lua_rig_run(
        "local v = brim.jwt.verify bad('algorithm', v(none, {alg = 'HS256', key = secret})) "
        "bad('algorithm', v(rs, {alg = 'HS256', key = secret})) "
        "bad('algorithm', v(hs, {alg = 'RS256', key = rs_pem})) "
        "bad('algorithm', v(confused, {alg = 'RS256', key = rs_pem})) "
        "raises('PEM', v, confused, {alg = 'HS256', key = rs_pem}) "
        "raises('not PEM', v, rs, {alg = 'RS256', key = secret}) "
        "raises('alg is missing', v, rs, {key = rs_pem}) "
        "raises('not one', v, rs, {alg = 'none', key = rs_pem}) "
        "raises('not one', v, rs, {alg = 'rs256', key = rs_pem}) "
        "bad('signature', v(es, {alg = 'ES256', key = rs_pem})) "
        "bad('critical', v(crit, {alg = 'HS256', key = secret}))");
}
END_TEST

START_TEST(forged_tokens_are_refused)
{
    lua_rig_run(
        "local v = brim.jwt.verify local function with(t) return {alg = 'HS256', key = t} end "
        "bad('signature', v(hs, with('another'))) bad('not a token', v('', with(secret))) "
        "bad('not a token', v('a.b', with(secret))) bad('not a token', v(hs .. '.x', "
        "with(secret))) "
        "bad('not a token', v(hs .. '\\0', with(secret))) "
        "bad('signature', v(hs:match('.*%.'), with(secret))) "
        "local head, body, mac = hs:match('(.*)%.(.*)%.(.*)') "
        "local forged = brim.base64.encode_url('{\"sub\":\"root\",\"exp\":1800000000}') "
        "bad('signature', v(head .. '.' .. forged .. '.' .. mac, with(secret))) "
        "bad('signature', v(es:sub(1, -5) .. 'AAAA', {alg = 'ES256', key = es_pem})) "
        "bad('no key', v(rs, {alg = 'RS256', jwks = {keys = {}}})) "
        "bad('no key', v(rs, {alg = 'RS256', jwks = {keys = {{kty = 'RSA', kid = 'r', n = 'AQAB', "
        "e = 'AQAB'}}}})) "
        "bad('no key', v(es, {alg = 'ES256', jwks = {keys = {{kty = 'EC', kid = 'e', crv = "
        "'P-256', "
        "x = ('A'):rep(43), y = ('A'):rep(43)}}}}))");
    ck_assert_uint_eq(ERR_peek_error(), 0); /* TLS on this thread would stumble over it */
}
END_TEST

START_TEST(claims_are_checked)
{
    lua_rig_run("local v = brim.jwt.verify local function with(more) more.alg = 'HS256' "
                "more.key = secret return more end "
                "bad('issuer', v(hs, with{iss = 'x'})) bad('audience', v(hs, with{aud = 'x'})) "
                "bad('exp is missing', v(noexp, with{})) bad('expired', v(badexp, with{})) "
                "raises('leeway', v, hs, with{leeway = -1}) "
                "raises('iss is not', v, hs, with{iss = 1}) "
                "raises('neither key nor jwks', v, hs, {alg = 'HS256'}) "
                "raises('longer', v, ('x'):rep(16385), with{})");
    lua_rig.wall_ms = 1700000900000 + 29000;
    lua_rig_run("assert(brim.jwt.verify(hs, {alg = 'HS256', key = secret}))");
    lua_rig.wall_ms += 1000;
    lua_rig_run("bad('expired', brim.jwt.verify(hs, {alg = 'HS256', key = secret})) "
                "bad('expired', brim.jwt.verify(hs, {alg = 'HS256', key = secret, leeway = 0}))");
    lua_rig.wall_ms = 1699999990000 - 31000;
    lua_rig_run("bad('not valid yet', brim.jwt.verify(hs, {alg = 'HS256', key = secret}))");
}
END_TEST

START_TEST(keys_are_fetched_where_a_url_is_named)
{
    lua_rig_run("local v = brim.jwt.verify "
                "eq(v(rs, {alg = 'RS256', jwks_url = '/jwks'}).sub, 'u1') "
                "eq(v(rs, {alg = 'RS256', jwks_url = '/named', jwks_origin = 'idp'}).sub, 'u1') "
                "bad('fetched: timeout', v(rs, {alg = 'RS256', jwks_url = '/down'})) "
                "bad('fetched: timeout', v(rs, {alg = 'RS256', jwks_url = '/named'})) "
                "bad('another status', v(rs, {alg = 'RS256', jwks_url = '/404'})) "
                "raises('not JSON', v, rs, {alg = 'RS256', jwks_url = '/bad'}) "
                "raises('alg is missing', v, rs, {jwks_url = '/jwks'}) "
                "bad('algorithm', v(rs, {alg = 'ES256', jwks_url = '/jwks'})) "
                "eq(v(hs, {alg = 'HS256', key = secret, jwks_url = '/down'}).sub, 'u1')");
    lua_rig_run("local next = coroutine.wrap(function() "
                "return brim.jwt.verify(es, {alg = 'ES256', jwks_url = '/jwks'}) end) "
                "eq(next(), nil) eq(next().sub, 'u1')");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_jwt");
    TCase *tcase = tcase_create("jwt");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, good_tokens_give_their_claims);
    tcase_add_test(tcase, another_algorithm_is_refused);
    tcase_add_test(tcase, forged_tokens_are_refused);
    tcase_add_test(tcase, claims_are_checked);
    tcase_add_test(tcase, keys_are_fetched_where_a_url_is_named);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
