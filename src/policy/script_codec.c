/* SPDX-License-Identifier: MIT */
/*
 * brim.base64 and brim.hex. Decoders are strict: one text for one run of bytes (RFC 4648 3.3, 3.5),
 * because what two servers decode in two ways is how signatures are forged. OpenSSL's decoder skips
 * white space and accepts loose bits, so these forty lines are ours.
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/policy/script_lib.h"

#define INPUT_BYTES_MAX 4194304u /* 4 MiB */
#define BAD             0xffu

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

/* ---- base64 ---- */

static size_t put_group(const char *letters, const uint8_t *in, size_t bytes, char *out)
{
    unsigned bits = (unsigned)in[0] << 16;

    if (bytes > 1)
        bits |= (unsigned)in[1] << 8;
    if (bytes > 2)
        bits |= in[2];
    for (size_t i = 0; i <= bytes; i++)
        out[i] = letters[bits >> (18 - 6 * i) & 63u];
    return bytes + 1;
}

static int encode(lua_State *L, const char *letters)
{
    struct brim_str in = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, in.len / 3 * 4 + 4);
    size_t len = 0, at;

    for (at = 0; at + 3 <= in.len; at += 3)
        len += put_group(letters, (const uint8_t *)in.base + at, 3, out + len);
    if (at < in.len)
        len += put_group(letters, (const uint8_t *)in.base + at, in.len - at, out + len);
    while (letters == standard && len % 4 != 0)
        out[len++] = '=';
    luaL_pushresultsize(&b, len);
    return 1;
}

static int encode_standard(lua_State *L)
{
    return encode(L, standard);
}

static int encode_url(lua_State *L)
{
    return encode(L, url_safe);
}

static unsigned value_of(char c, bool is_url)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == (is_url ? '-' : '+'))
        return 62;
    return c == (is_url ? '_' : '/') ? 63 : BAD;
}

/* Decodes in, which has no padding any more. Returns false where it is not base64. */
static bool decode_into(struct brim_str in, bool is_url, char *out, size_t *len_out)
{
    unsigned bits = 0, have = 0;
    size_t len = 0;

    *len_out = 0;
    if (in.len % 4 == 1)
        return false;
    for (size_t i = 0; i < in.len; i++) {
        unsigned value = value_of(in.base[i], is_url);

        if (value == BAD)
            return false;
        bits = (bits << 6 | value) & 0xffffu;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[len++] = (char)(bits >> have & 0xffu);
        }
    }
    *len_out = len;
    return (bits & ((1u << have) - 1)) == 0; /* bits that no byte takes must be 0 */
}

/* Padding: whole in the standard alphabet; in the url-safe one whole or none. */
static bool strip_padding(struct brim_str *in, bool is_url)
{
    size_t whole = in->len;

    while (in->len > 0 && whole - in->len < 2 && in->base[in->len - 1] == '=')
        in->len--;
    return whole % 4 == 0 || (is_url && in->len == whole);
}

static int decode(lua_State *L, bool is_url)
{
    struct brim_str in = brim_script_check_bytes(L, 1, INPUT_BYTES_MAX / 3 * 4);
    luaL_Buffer b;
    char *out;
    size_t len;

    if (!strip_padding(&in, is_url))
        return fail(L, "not base64: wrong length or padding");
    out = luaL_buffinitsize(L, &b, in.len / 4 * 3 + 3);
    if (!decode_into(in, is_url, out, &len))
        return fail(L, "not base64");
    luaL_pushresultsize(&b, len);
    return 1;
}

static int decode_standard(lua_State *L)
{
    return decode(L, false);
}

static int decode_url(lua_State *L)
{
    return decode(L, true);
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
