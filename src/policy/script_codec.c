/* SPDX-License-Identifier: MIT */
/*
 * brim.base64 and brim.hex. Decoders are strict: one text for one run of bytes (RFC 4648 3.3, 3.5),
 * because what two servers decode in two ways is how signatures are forged.
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/base/base64url.h"
#include "brim/policy/script_lib.h"

#define INPUT_BYTES_MAX 4194304u /* 4 MiB */
#define TEXT_BYTES_MAX  (INPUT_BYTES_MAX / 3 * 4)
#define BAD             0xffu

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

/* ---- base64 ---- */

static int encode_standard(lua_State *L)
{
    struct brim_str in = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX);
    size_t len = BRIM_BASE64_LEN(in.len);
    luaL_Buffer b;

    brim_base64_write(in.base, in.len, luaL_buffinitsize(L, &b, len));
    luaL_pushresultsize(&b, len);
    return 1;
}

static int encode_url(lua_State *L)
{
    struct brim_str in = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX);
    size_t len = BRIM_BASE64URL_LEN(in.len);
    luaL_Buffer b;

    brim_base64url_write(in.base, in.len, luaL_buffinitsize(L, &b, len));
    luaL_pushresultsize(&b, len);
    return 1;
}

static int decode(lua_State *L, struct brim_str in,
                  bool (*read)(struct brim_str text, void *room, size_t *len_out))
{
    luaL_Buffer b;
    size_t len;

    if (!read(in, luaL_buffinitsize(L, &b, in.len / 4 * 3 + 3), &len))
        return fail(L, "not base64");
    luaL_pushresultsize(&b, len);
    return 1;
}

static int decode_standard(lua_State *L)
{
    struct brim_str in = brim_script_check_bytes(L, 1, TEXT_BYTES_MAX);

    if (in.len % 4 != 0)
        return fail(L, "not base64: wrong length or padding");
    return decode(L, in, brim_base64_read);
}

/* Padding: whole or none. */
static int decode_url(lua_State *L)
{
    struct brim_str in = brim_script_check_bytes(L, 1, TEXT_BYTES_MAX);
    size_t len = in.len;

    while (len > 0 && in.len - len < 2 && in.base[len - 1] == '=')
        len--;
    if (len < in.len && in.len % 4 != 0)
        return fail(L, "not base64: wrong length or padding");
    return decode(L, brim_str(in.base, len), brim_base64url_read);
}

int brim_script_open_base64(lua_State *L)
{
    static const luaL_Reg functions[] = {{"encode", encode_standard},
                                         {"decode", decode_standard},
                                         {"encode_url", encode_url},
                                         {"decode_url", decode_url},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}

/* ---- hex ---- */

static int hex_encode(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    struct brim_str in = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, in.len * 2);

    for (size_t i = 0; i < in.len; i++) {
        uint8_t byte = (uint8_t)in.base[i];

        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15u];
    }
    luaL_pushresultsize(&b, in.len * 2);
    return 1;
}

static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : BAD;
}

static int hex_decode(lua_State *L)
{
    struct brim_str in = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX * 2);
    luaL_Buffer b;
    char *out;

    if (in.len % 2 != 0)
        return fail(L, "not hex: odd length");
    out = luaL_buffinitsize(L, &b, in.len / 2);
    for (size_t i = 0; i < in.len / 2; i++) {
        unsigned high = digit_of(in.base[2 * i]), low = digit_of(in.base[2 * i + 1]);

        if (high == BAD || low == BAD)
            return fail(L, "not hex");
        out[i] = (char)(high << 4 | low);
    }
    luaL_pushresultsize(&b, in.len / 2);
    return 1;
}

int brim_script_open_hex(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"encode", hex_encode}, {"decode", hex_decode}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
