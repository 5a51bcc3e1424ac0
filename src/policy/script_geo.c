/* SPDX-License-Identifier: MIT */
/*
 * brim.geo(ip): where an address is (policy/geo.h).
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/policy/geo.h"
#include "brim/policy/script_lib.h"

#define IP_BYTES   64
#define FIND_UNITS 5000u

static void set_text(lua_State *L, const char *key, const char *text)
{
    if (text[0] == '\0')
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

static void push_place(lua_State *L, const struct brim_geo_place *place)
{
    lua_createtable(L, 0, 9);
    set_text(L, "continent", place->continent);
    set_text(L, "country", place->country);
    set_text(L, "region", place->region);
    set_text(L, "city", place->city);
    set_text(L, "time_zone", place->time_zone);
    set_text(L, "organisation", place->organisation);
    if (place->asn != 0) {
        lua_pushinteger(L, (lua_Integer)place->asn);
        lua_setfield(L, -2, "asn");
    }
    if (place->has_position) {
        lua_pushnumber(L, place->latitude);
        lua_setfield(L, -2, "latitude");
        lua_pushnumber(L, place->longitude);
        lua_setfield(L, -2, "longitude");
    }
}

static int geo(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);
    struct brim_str ip = brim_script_check_bytes(L, 1, IP_BYTES);
    struct brim_geo_place place = {.asn = 0};
    enum brim_err err;

    if (host->geo == NULL)
        return luaL_error(L, "brim.geo: no file; set node.geo in the config");
    brim_script_charge(L, FIND_UNITS);
    err = host->geo(host->ctx, ip, &place);
    if (err == BRIM_OK) {
        push_place(L, &place);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, err == BRIM_EINVAL   ? "not an address"
                      : err == BRIM_ENOENT ? "nothing is known of it"
                                           : "the file is damaged");
    return 2;
}

int brim_script_open_geo(lua_State *L)
{
    lua_pushcfunction(L, geo);
    return 1;
}
