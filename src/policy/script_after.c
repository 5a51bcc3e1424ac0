/* SPDX-License-Identifier: MIT */
/*
 * brim.after: functions that run when the response is out of the way, in the order in which they
 * were given, in a slice of the same run. An error ends them all.
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/policy/script_inside.h"

#define FUNCTIONS_MAX 16

/* (function) */
static int after(lua_State *L)
{
    struct brim_script_run *run = brim_script_vm_of(L)->current;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (run == NULL || run->call == NULL)
        luaL_error(L, "brim.after: not while the file is loaded");
    if (run->is_after)
        luaL_error(L, "brim.after: not in a function that runs after");
    if (run->phase == BRIM_SCRIPT_ORIGIN_RESPONSE)
        luaL_error(L, "brim.after: not in origin_response, which has no client");
    if (run->after == 0) {
        lua_newtable(L);
        run->after = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, run->after);
    if (lua_rawlen(L, -1) >= FUNCTIONS_MAX)
        luaL_error(L, "brim.after: more than %d functions", FUNCTIONS_MAX);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

void brim_script_push_after(lua_State *L)
{
    lua_pushcfunction(L, after);
}

void brim_script_call_after(lua_State *L, struct brim_script_run *run)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, run->after);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TFUNCTION; i++)
        lua_call(L, 0, 0);
    lua_pop(L, 2);
}

void brim_script_drop_after(struct brim_script_run *run)
{
    if (run->after != 0)
        luaL_unref(run->vm->main, LUA_REGISTRYINDEX, run->after);
    run->after = 0;
}
