/* SPDX-License-Identifier: MIT */
/*
 * brim.sha256, brim.hmac, brim.random and brim.uuid. Chance and the clock are the host's, so that a
 * test has its own; digests are OpenSSL's one-shot calls, which leave nothing to free behind them.
 */
#include <lauxlib.h>
#include <lua.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "brim/base/sha256.h"
#include "brim/policy/script_lib.h"

#define INPUT_BYTES_MAX  4194304u /* 4 MiB */
#define KEY_BYTES_MAX    65536u
#define RANDOM_BYTES_MAX 65536u
#define HASH_UNITS       8u /* a byte hashed costs about this many bytes copied */
#define UUID_BYTES       16u
#define UUID_TEXT_BYTES  36u

/* ---- digests ---- */

static int sha256(lua_State *L)
{
    struct brim_str in = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX);
    unsigned char digest[BRIM_SHA256_BYTES];

    brim_script_charge(L, in.len * HASH_UNITS);
    brim_sha256(in.base, in.len, digest);
    lua_pushlstring(L, (const char *)digest, sizeof(digest));
    return 1;
}

int brim_script_open_sha256(lua_State *L)
{
    lua_pushcfunction(L, sha256);
    return 1;
}

/* The MAC of argument 3 under the key in argument 2, by the algorithm named in 1. */
static struct brim_str compute_mac(lua_State *L, unsigned char mac[EVP_MAX_MD_SIZE])
{
    static const char *const names[] = {"sha256", "sha384", "sha512", "sha1", NULL};
    const EVP_MD *const digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_sha1()};
    const EVP_MD *digest = digests[luaL_checkoption(L, 1, NULL, names)];
    struct brim_str key = brim_script_check_bytes(L, 2, KEY_BYTES_MAX);
    struct brim_str data = brim_script_check_bytes(L, 3, INPUT_BYTES_MAX);
    unsigned len = 0;

    /* An empty key authenticates nothing: it is always a secret that was not set. */
    luaL_argcheck(L, key.len > 0, 2, "the key is empty");
    brim_script_charge(L, (data.len + key.len) * HASH_UNITS);
    if (HMAC(digest, key.base, (int)key.len, (const unsigned char *)data.base, data.len, mac,
             &len) == NULL)
        luaL_error(L, "HMAC failed");
    return brim_str((const char *)mac, len);
}

static int hmac_sign(lua_State *L)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    struct brim_str out = compute_mac(L, mac);

    lua_pushlstring(L, out.base, out.len);
    return 1;
}

/* Takes as long for a wrong first byte as for a wrong last one. */
static bool is_same(struct brim_str a, struct brim_str b)
{
    return a.len == b.len && CRYPTO_memcmp(a.base, b.base, a.len) == 0;
}

static int hmac_verify(lua_State *L)
{
    struct brim_str given = brim_script_check_bytes(L, 4, INPUT_BYTES_MAX);
    unsigned char mac[EVP_MAX_MD_SIZE];

    lua_pushboolean(L, is_same(compute_mac(L, mac), given));
    return 1;
}

static int hmac_equal(lua_State *L)
{
    struct brim_str a = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX);
    struct brim_str b = brim_script_check_bytes(L, 2, INPUT_BYTES_MAX);

    lua_pushboolean(L, is_same(a, b));
    return 1;
}

int brim_script_open_hmac(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"sign", hmac_sign}, {"verify", hmac_verify}, {"equal", hmac_equal}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}

/* ---- chance ---- */

static void draw(lua_State *L, void *bytes_out, size_t bytes)
{
    struct brim_script_host *host = brim_script_host_of(L);

    if (host->random(host->ctx, bytes_out, bytes) != BRIM_OK)
        luaL_error(L, "the system gave no random bytes");
}

static int random_bytes(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_Buffer b;
    char *out;

    luaL_argcheck(L, count >= 0 && count <= (lua_Integer)RANDOM_BYTES_MAX, 1, "not 0 to 65536");
    brim_script_charge(L, (size_t)count * HASH_UNITS);
    out = luaL_buffinitsize(L, &b, (size_t)count);
    draw(L, out, (size_t)count);
    luaL_pushresultsize(&b, (size_t)count);
    return 1;
}

/* Every value is as likely as any other: draws above the last whole multiple are drawn again. */
static int random_int(lua_State *L)
{
    lua_Integer low = luaL_checkinteger(L, 1), high = luaL_checkinteger(L, 2);
    uint64_t span = (uint64_t)high - (uint64_t)low + 1; /* 0: all of them */
    uint64_t number = 0;

    luaL_argcheck(L, low <= high, 2, "less than the first");
    do {
        brim_script_charge(L, sizeof(number) * HASH_UNITS);
        draw(L, &number, sizeof(number));
    } while (span != 0 && number >= UINT64_MAX - UINT64_MAX % span);
    lua_pushinteger(L, (lua_Integer)((uint64_t)low + (span == 0 ? number : number % span)));
    return 1;
}

int brim_script_open_random(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"bytes", random_bytes}, {"int", random_int}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}

/* ---- UUID (RFC 9562) ---- */

static int push_uuid(lua_State *L, uint8_t id[UUID_BYTES], unsigned version)
{
    static const char digits[] = "0123456789abcdef";
    char text[UUID_TEXT_BYTES];
    size_t len = 0;

    id[6] = (uint8_t)((id[6] & 0x0fu) | version << 4);
    id[8] = (uint8_t)((id[8] & 0x3fu) | 0x80u);
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[len++] = '-';
        text[len++] = digits[id[i] >> 4];
        text[len++] = digits[id[i] & 15u];
    }
    lua_pushlstring(L, text, len);
    return 1;
}

static int uuid_v4(lua_State *L)
{
    uint8_t id[UUID_BYTES];

    draw(L, id, sizeof(id));
    return push_uuid(L, id, 4);
}

/* 48 bits of milliseconds, then chance: sorts by time to the millisecond. */
static int uuid_v7(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);
    uint64_t now_ms = (uint64_t)host->now_wall_ms(host->ctx);
    uint8_t id[UUID_BYTES];

    draw(L, id, sizeof(id));
    for (size_t i = 0; i < 6; i++)
        id[i] = (uint8_t)(now_ms >> (40 - 8 * i));
    return push_uuid(L, id, 7);
}

int brim_script_open_uuid(lua_State *L)
{
    static const luaL_Reg functions[] = {{"v4", uuid_v4}, {"v7", uuid_v7}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
