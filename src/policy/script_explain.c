/* SPDX-License-Identifier: MIT */
/*
 * What is noted of a call that failed: the message and where it happened. For the log; a client
 * sees it only where handlers.debug says so.
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

#include "brim/policy/script_inside.h"

#define LEVELS_MAX  200 /* of a stack whose both ends are told */
#define LEVELS_TOLD 10  /* of a deeper one */

const char *brim_script_stop_text(enum brim_script_end end)
{
    switch (end) {
    case BRIM_SCRIPT_CPU:
        return "stopped: the CPU budget is used up";
    case BRIM_SCRIPT_WALL:
        return "stopped: the deadline has passed";
    default:
        return "stopped: not enough memory within the limit";
    }
}

/* Adds the traceback to the text on top. A level is found by walking to it, so luaL_traceback,
 * which wants the outermost ones, would take a tenth of a second for a recursion that was stopped
 * at 200,000 levels, and nothing would stop it. */
static void add_traceback(lua_State *L)
{
    lua_Debug at;

    if (lua_getstack(L, LEVELS_MAX, &at) == 0) {
        luaL_traceback(L, L, lua_tostring(L, -1), 1);
        return;
    }
    lua_pushliteral(L, "\nstack traceback:");
    for (int level = 1; level <= LEVELS_TOLD; level++) {
        if (lua_getstack(L, level, &at) != 0 && lua_getinfo(L, "Sl", &at) != 0)
            lua_pushfstring(L, "\n\t%s:%d: in a function", at.short_src, at.currentline);
        else
            lua_pushliteral(L, "");
        lua_concat(L, 2);
    }
    lua_pushfstring(L, "\n\t... (more than %d levels)", LEVELS_MAX);
    lua_concat(L, 3);
}

/* Message handler: notes message and traceback where the error stands. Never runs script code: an
 * error object of the script's is named by its type only. */
int brim_script_explain(lua_State *L)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);
    struct brim_script_run *run = vm->current;
    size_t used_max = vm->used_max;
    const char *what;

    lua_settop(L, 1);
    vm->used_max = SIZE_MAX; /* a traceback is small */
    if (vm->stop != BRIM_SCRIPT_OK)
        what = brim_script_stop_text(vm->stop);
    else if (lua_type(L, 1) == LUA_TSTRING)
        what = lua_tostring(L, 1);
    else
        what = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    (void)snprintf(run->error, sizeof(run->error), "%.512s", what);
    lua_pushstring(L, run->error);
    add_traceback(L);
    (void)snprintf(run->error, sizeof(run->error), "%s", lua_tostring(L, -1));
    vm->used_max = used_max;
    lua_settop(L, 1);
    return 1;
}
