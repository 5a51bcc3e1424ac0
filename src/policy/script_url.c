/* SPDX-License-Identifier: MIT */
/*
 * brim.url: absolute http(s) URLs and queries (RFC 3986; queries as HTML forms write them, where
 * `+` is a space). Nothing is repaired: what is not valid is nil and a reason.
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/http/uri.h"
#include "brim/policy/script_lib.h"

#define URL_BYTES_MAX  65536u
#define PARAMETERS_MAX 256u
#define PORT_MAX       65535

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

/* ---- percent-encoding ---- */

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_encoded(luaL_Buffer *b, struct brim_str text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.base[i];

        if (is_unreserved(text.base[i])) {
            luaL_addchar(b, text.base[i]);
            continue;
        }
        luaL_addchar(b, '%');
        luaL_addchar(b, digits[byte >> 4]);
        luaL_addchar(b, digits[byte & 15u]);
    }
}

static int encode(lua_State *L)
{
    struct brim_str text = brim_script_check_bytes(L, 1, URL_BYTES_MAX);
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    add_encoded(&b, text);
    luaL_pushresult(&b);
    return 1;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pushes text decoded, or returns false and pushes nothing. */
static bool push_decoded(lua_State *L, struct brim_str text, bool plus_is_space)
{
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, text.len);
    int top = lua_gettop(L);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int high, low;

        if (text.base[i] != '%') {
            out[len++] = plus_is_space && text.base[i] == '+' ? ' ' : text.base[i];
            continue;
        }
        high = i + 2 < text.len ? digit_of(text.base[i + 1]) : -1;
        low = high < 0 ? -1 : digit_of(text.base[i + 2]);
        if (low < 0) {
            luaL_pushresultsize(&b, 0); /* ends the buffer */
            lua_pop(L, 1);
            return false;
        }
        out[len++] = (char)(high << 4 | low);
        i += 2;
    }
    (void)top;
    luaL_pushresultsize(&b, len);
    return true;
}

static int decode(lua_State *L)
{
    struct brim_str text = brim_script_check_bytes(L, 1, URL_BYTES_MAX);

    if (!push_decoded(L, text, false))
        return fail(L, "a percent sign without two hex digits");
    return 1;
}

/* ---- URLs ---- */

static void set_str(lua_State *L, const char *name, struct brim_str value)
{
    lua_pushlstring(L, value.base, value.len);
    lua_setfield(L, -2, name);
}

static struct brim_str cut_at(struct brim_str *text, char separator)
{
    const char *at = text->len == 0 ? NULL : memchr(text->base, separator, text->len);
    struct brim_str rest = {0};

    if (at != NULL) {
        rest = brim_str(at + 1, text->len - (size_t)(at - text->base) - 1);
        text->len = (size_t)(at - text->base);
    }
    return rest;
}

static int parse(lua_State *L)
{
    struct brim_str url = brim_script_check_bytes(L, 1, URL_BYTES_MAX);
    struct brim_str fragment = cut_at(&url, '#');
    struct brim_str host, path, query;
    struct brim_uri uri;
    uint16_t port;

    if (!brim_uri_parse(url, &uri) || !brim_uri_parse_authority(uri.authority, &host, &port) ||
        !brim_uri_target_is_valid(uri.target))
        return fail(L, "not an absolute http or https URL");
    path = uri.target;
    query = cut_at(&path, '?');
    lua_createtable(L, 0, 6);
    set_str(L, "scheme", uri.scheme);
    set_str(L, "host", host);
    if (port == 0)
        port = brim_str_is(uri.scheme, BRIM_STR("https")) ? 443 : 80;
    lua_pushinteger(L, port);
    lua_setfield(L, -2, "port");
    set_str(L, "path", path);
    if (query.base != NULL)
        set_str(L, "query", query);
    if (fragment.base != NULL)
        set_str(L, "fragment", fragment);
    return 1;
}

/* Field name of the table at 1 as text; what is absent is `otherwise`. Stays on the stack. */
static struct brim_str get_part(lua_State *L, const char *name, const char *otherwise)
{
    struct brim_str part = {0};

    if (lua_getfield(L, 1, name) == LUA_TNIL) {
        lua_pushstring(L, otherwise);
        lua_replace(L, -2);
    }
    if (lua_type(L, -1) != LUA_TSTRING && !lua_isnil(L, -1))
        luaL_error(L, "%s is not a string", name);
    if (!lua_isnil(L, -1))
        part.base = lua_tolstring(L, -1, &part.len);
    return part;
}

static lua_Integer get_port(lua_State *L, bool is_https)
{
    lua_Integer port = is_https ? 443 : 80;
    int is_integer = 1;

    if (lua_getfield(L, 1, "port") != LUA_TNIL)
        port = lua_tointegerx(L, -1, &is_integer);
    lua_pop(L, 1);
    if (!is_integer || port < 1 || port > PORT_MAX)
        luaL_error(L, "port is not 1 to 65535");
    return port;
}

static int build(lua_State *L)
{
    struct brim_str scheme, host, path, query, checked, named;
    struct brim_uri uri;
    lua_Integer port;
    uint16_t named_port;
    const char *url;
    bool is_https;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    scheme = get_part(L, "scheme", "https");
    is_https = brim_str_is(scheme, BRIM_STR("https"));
    if (!is_https && !brim_str_is(scheme, BRIM_STR("http")))
        return fail(L, "scheme is not http or https");
    host = get_part(L, "host", NULL);
    path = get_part(L, "path", "/");
    query = get_part(L, "query", NULL);
    port = get_port(L, is_https);
    if (host.len + path.len + query.len > URL_BYTES_MAX)
        return fail(L, "longer than 65536 bytes");
    lua_pushfstring(L, "%s://%s", scheme.base, host.base == NULL ? "" : host.base);
    if (port != (is_https ? 443 : 80))
        lua_pushfstring(L, ":%I", port);
    else
        lua_pushliteral(L, "");
    lua_pushlstring(L, path.base, path.len);
    lua_pushstring(L, query.base == NULL ? "" : "?");
    lua_pushlstring(L, query.base == NULL ? "" : query.base, query.len);
    lua_concat(L, 5);
    url = lua_tolstring(L, -1, &checked.len);
    checked.base = url;
    /* Parsed again, so that no part can pass for another one: a host with a slash or a port, a path
     * that begins with an authority or ends with a query. */
    if (!brim_uri_parse(checked, &uri) || !brim_uri_target_is_valid(uri.target) ||
        !brim_uri_parse_authority(uri.authority, &named, &named_port) ||
        !brim_str_is(named, host) || !brim_str_has_prefix(uri.target, path) ||
        memchr(path.base, '?', path.len) != NULL)
        return fail(L, "a part is not valid where it stands");
    return 1;
}

/* ---- queries ---- */

/* Adds name and value, which are on top of the stack, to the map at 2 (first one stays) and the
 * list at 3; takes them. */
static void add_parameter(lua_State *L, lua_Integer number)
{
    lua_pushvalue(L, -2);
    if (lua_rawget(L, 2) == LUA_TNIL) {
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -3);
        lua_rawset(L, 2);
    }
    lua_pop(L, 1);
    lua_createtable(L, 2, 0);
    lua_insert(L, -3);
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
    lua_rawseti(L, 3, number);
}

static int query_parse(lua_State *L)
{
    struct brim_str rest = brim_script_check_bytes(L, 1, URL_BYTES_MAX);
    size_t count = 0;

    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    while (rest.len > 0) {
        struct brim_str name = rest, value;

        rest = cut_at(&name, '&');
        if (name.len == 0)
            continue;
        if (++count > PARAMETERS_MAX)
            return fail(L, "more than 256 parameters");
        value = cut_at(&name, '=');
        if (!push_decoded(L, name, true) || !push_decoded(L, value, true))
            return fail(L, "a percent sign without two hex digits");
        add_parameter(L, (lua_Integer)count);
    }
    return 2;
}

/* Pushes element at of the pair on top of the stack as text. */
static void push_element(lua_State *L, lua_Integer at)
{
    lua_rawgeti(L, -1, at);
    if (!lua_isstring(L, -1))
        luaL_error(L, "a parameter is not {name, value}");
    lua_tostring(L, -1); /* numbers */
}

static int query_build(lua_State *L)
{
    lua_Unsigned count;
    luaL_Buffer b;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    count = lua_rawlen(L, 1);
    luaL_argcheck(L, count <= PARAMETERS_MAX, 1, "more than 256 parameters");
    luaL_checkstack(L, (int)count * 2 + 8, "parameters");
    /* Names and values first, so that the buffer has the top of the stack to itself. */
    for (lua_Unsigned i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 1, (lua_Integer)i) != LUA_TTABLE)
            return luaL_error(L, "a parameter is not {name, value}");
        push_element(L, 1);
        lua_insert(L, -2);
        push_element(L, 2);
        lua_replace(L, -2);
    }
    luaL_buffinit(L, &b);
    for (int i = 0; i < (int)count * 2; i++) {
        struct brim_str part = brim_script_check_bytes(L, i + 2, URL_BYTES_MAX);

        if (i > 0)
            luaL_addchar(&b, i % 2 == 0 ? '&' : '=');
        add_encoded(&b, part);
    }
    luaL_pushresult(&b);
    return 1;
}

int brim_script_open_url(lua_State *L)
{
    static const luaL_Reg functions[] = {{"parse", parse},
                                         {"build", build},
                                         {"encode", encode},
                                         {"decode", decode},
                                         {"parse_query", query_parse},
                                         {"build_query", query_build},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
