/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_lib.h"

#include <lauxlib.h>
#include <lua.h>

/* Lua keeps a pointer's room before each lua_State and copies it into every new coroutine. */
void brim_script_host_set(lua_State *L, struct brim_script_host *host)
{
    *(struct brim_script_host **)lua_getextraspace(L) = host;
}

struct brim_script_host *brim_script_host_of(lua_State *L)
{
    return *(struct brim_script_host **)lua_getextraspace(L);
}

void brim_script_charge(lua_State *L, size_t units)
{
    struct brim_script_host *host = brim_script_host_of(L);

    if (host->charge != NULL)
        host->charge(L, units);
}

struct brim_str brim_script_check_bytes(lua_State *L, int arg, size_t bytes_max)
{
    struct brim_str text = {0};

    text.base = luaL_checklstring(L, arg, &text.len);
    if (text.len > bytes_max)
        luaL_argerror(L, arg, lua_pushfstring(L, "longer than %I bytes", (lua_Integer)bytes_max));
    brim_script_charge(L, text.len);
    return text;
}
