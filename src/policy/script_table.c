/* SPDX-License-Identifier: MIT */
/*
 * table and utf8: Lua's own functions behind checks of what a script chooses. Their loops are C, so
 * the hook does not see them; each is charged before it begins by what it may cost.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "brim/policy/script_inside.h"

#define RANGE_MAX     1000000 /* elements of one call */
#define SORT_MAX      50000
#define ELEMENT_UNITS 32u

/* Calls the function in the first upvalue with the arguments as they are. */
static int forward(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static void charge_range(lua_State *L, lua_Integer first, lua_Integer last)
{
    if (last < first)
        return;
    if ((lua_Unsigned)last - (lua_Unsigned)first >= RANGE_MAX)
        luaL_error(L, "more than %d elements in one call", RANGE_MAX);
    brim_script_charge(L, ((size_t)((lua_Unsigned)last - (lua_Unsigned)first) + 1) * ELEMENT_UNITS);
}

/* The elements of the table from the one that argument `first` names to the one that the argument
 * behind it does: where that is its end, it is told, so that __len is not asked again, which may
 * say something else by then. */
static void settle_range(lua_State *L, int first)
{
    lua_Integer last;

    lua_settop(L, first + 1);
    last = luaL_opt(L, luaL_checkinteger, first + 1, luaL_len(L, 1));
    charge_range(L, luaL_optinteger(L, first, 1), last);
    lua_pushinteger(L, last);
    lua_replace(L, first + 1);
}

static int safe_concat(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    settle_range(L, 3);
    return forward(L);
}

static int safe_unpack(lua_State *L)
{
    settle_range(L, 2);
    return forward(L);
}

static int safe_move(lua_State *L)
{
    charge_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return forward(L);
}

/* Lua's own function asks again, and is told by the script how long it is to loop. */
static void refuse_len(lua_State *L)
{
    if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
        luaL_error(L, "not of a table with __len, which may say something else each time");
}

/* insert, remove: with a position they shift what stands behind it. */
static int shift(lua_State *L, int args_with_position)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_gettop(L) >= args_with_position) {
        refuse_len(L);
        charge_range(L, 1, luaL_len(L, 1));
    }
    return forward(L);
}

static int safe_insert(lua_State *L)
{
    return shift(L, 3);
}

static int safe_remove(lua_State *L)
{
    return shift(L, 2);
}

/* n log n comparisons, of which each may look at all of two strings. */
static int safe_sort(lua_State *L)
{
    lua_Integer count;
    size_t bytes = 0, depth = 1;

    luaL_checktype(L, 1, LUA_TTABLE);
    count = luaL_len(L, 1);
    if (count > SORT_MAX)
        return luaL_error(L, "more than %d elements to sort", SORT_MAX);
    refuse_len(L);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 1, i) == LUA_TSTRING)
            bytes += lua_rawlen(L, -1);
        bytes += ELEMENT_UNITS;
        lua_pop(L, 1);
    }
    while (((lua_Integer)1 << depth) < count)
        depth++;
    brim_script_charge(L, bytes * depth);
    return forward(L);
}

static int safe_text(lua_State *L) /* utf8: work grows with the text */
{
    size_t bytes;

    (void)luaL_checklstring(L, 1, &bytes);
    brim_script_charge(L, bytes);
    return forward(L);
}

/* Replaces field name of the table on top by check, which forwards to it. */
static void guard(lua_State *L, const char *name, lua_CFunction check)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, check, 1);
    lua_setfield(L, -2, name);
}

void brim_script_push_table(lua_State *L)
{
    luaL_requiref(L, "table", luaopen_table, 0);
    guard(L, "concat", safe_concat);
    guard(L, "unpack", safe_unpack);
    guard(L, "move", safe_move);
    guard(L, "insert", safe_insert);
    guard(L, "remove", safe_remove);
    guard(L, "sort", safe_sort);
}

void brim_script_push_utf8(lua_State *L)
{
    luaL_requiref(L, "utf8", luaopen_utf8, 0);
    guard(L, "len", safe_text);
    guard(L, "codepoint", safe_text);
    guard(L, "offset", safe_text);
    guard(L, "codes", safe_text);
}
