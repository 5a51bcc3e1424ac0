/* SPDX-License-Identifier: MIT */
/*
 * The file's chunk is run for every request, so that its locals and globals are new. Where a
 * request has provably left no trace, its run keeps what the chunk made, and the next request in
 * that run goes without. All of these must hold:
 *
 *   - run once more when the VM was opened, the chunk called nothing but functions whose result
 *     depends on their arguments alone, and set no global: run again it would make the same;
 *   - what the handlers reach by upvalues, their own and those of functions that they reach, is the
 *     environment, frozen tables, functions and plain values: nothing that can change inside;
 *   - when the request ends, each of these upvalues is what it was, and the environment is empty;
 *   - the VM has loaded no module. Without one there is no place where a function or a table of a
 *     request could outlive it and lead back here.
 *
 * Where one does not hold, the chunk is run anew, and nobody can tell the difference.
 */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/policy/script_inside.h"

#define FUNCTIONS_MAX 64
#define TRACES_MAX    8 /* requests in a row that left one: then it is not worth looking */
#define ENTRY         3 /* function, index, value */
#define LIST_ENV      1 /* the environment, if it is reached */
#define LIST_FIRST    2

struct walk {
    lua_State *L;
    int env; /* stack indices */
    int seen;
    int list;
    lua_Integer at;
    unsigned functions;
    bool reaches_env;
    bool is_fine;
};

/* ---- whether the chunk would make the same again ---- */

/* Stack: (..., table of pure functions, globals). Many of a library guard Lua's own, which they
 * call and have as upvalue. */
static void add_pure(lua_State *L, const char *library, const char *const *names)
{
    int pure = lua_gettop(L) - 1;

    lua_pushvalue(L, -1);
    if (library != NULL)
        lua_getfield(L, -1, library);
    for (; *names != NULL; names++) {
        lua_getfield(L, -1, *names);
        if (lua_getupvalue(L, -1, 1) != NULL) {
            lua_pushboolean(L, true);
            lua_rawset(L, pure);
        }
        lua_pushboolean(L, true);
        lua_rawset(L, pure);
    }
    lua_settop(L, pure + 1);
}

void brim_script_keep_open(lua_State *L)
{
    static const char *const base[] = {"assert", "tonumber", "type", NULL};
    static const char *const math[] = {"abs", "ceil", "floor", "max", "min", "tointeger", NULL};
    static const char *const string[] = {"byte",  "char", "find",  "len", "lower",
                                         "match", "sub",  "upper", NULL};
    struct brim_script_vm *vm = brim_script_vm_of(L);

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->env_meta);
    lua_newtable(L);
    lua_getfield(L, -2, "__index");
    add_pure(L, NULL, base);
    add_pure(L, "math", math);
    add_pure(L, "string", string);
    lua_pop(L, 1);
    vm->pure = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
}

/* Only main chunks are called by what is not a script: the file's, and modules', which end it all.
 */
void brim_script_keep_on_call(lua_State *L, lua_Debug *info)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);
    int top = lua_gettop(L);

    if (lua_getinfo(L, "Sf", info) == 0) {
        vm->keeps = false;
    } else if (strcmp(info->what, "main") != 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm->pure);
        lua_pushvalue(L, top + 1);
        if (lua_rawget(L, -2) == LUA_TNIL)
            vm->keeps = false;
    }
    lua_settop(L, top);
}

/* ---- what the handlers reach ---- */

static void walk_function(struct walk *w);

/* The value on top is upvalue i of the function below it. */
static void walk_value(struct walk *w, int i)
{
    lua_State *L = w->L;
    int value = lua_gettop(L);

    switch (lua_type(L, value)) {
    case LUA_TTABLE:
        if (lua_rawequal(L, value, w->env)) {
            w->reaches_env = true;
            lua_pushvalue(L, value);
            lua_rawseti(L, w->list, LIST_ENV);
        } else if (!brim_script_is_frozen(L, value)) {
            w->is_fine = false;
        }
        break;
    case LUA_TFUNCTION:
        if (!lua_iscfunction(L, value))
            walk_function(w);
        break;
    case LUA_TUSERDATA:
    case LUA_TTHREAD:
        w->is_fine = false;
        break;
    default:
        break;
    }
    lua_pushvalue(L, value - 1);
    lua_rawseti(L, w->list, w->at);
    lua_pushinteger(L, i);
    lua_rawseti(L, w->list, w->at + 1);
    lua_pushvalue(L, value);
    lua_rawseti(L, w->list, w->at + 2);
    w->at += ENTRY;
}

/* The function on top, which stays there. */
static void walk_function(struct walk *w)
{
    lua_State *L = w->L;
    int function = lua_gettop(L);

    luaL_checkstack(L, 8, NULL);
    lua_pushvalue(L, function);
    if (lua_rawget(L, w->seen) != LUA_TNIL || ++w->functions > FUNCTIONS_MAX) {
        w->is_fine = w->is_fine && w->functions <= FUNCTIONS_MAX;
        lua_settop(L, function);
        return;
    }
    lua_settop(L, function);
    lua_pushvalue(L, function);
    lua_pushboolean(L, true);
    lua_rawset(L, w->seen);
    for (int i = 1; w->is_fine && lua_getupvalue(L, function, i) != NULL; i++) {
        walk_value(w, i);
        lua_settop(L, function);
    }
}

/* (..., environment, functions or nil of the phases), which stay. */
void brim_script_keep_note(lua_State *L, struct brim_script_run *run)
{
    struct brim_script_vm *vm = run->vm;
    int top = lua_gettop(L), env = top - BRIM_SCRIPT_PHASES;
    struct walk w = {.L = L, .env = env, .at = LIST_FIRST, .is_fine = true};

    INVARIANT(run->noted == 0);
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    w.seen = lua_gettop(L);
    lua_newtable(L);
    w.list = lua_gettop(L);
    lua_pushnil(L);
    w.is_fine = lua_next(L, w.env) == 0;
    lua_settop(L, w.list);
    for (int at = env + 1; at <= top && w.is_fine; at++) {
        lua_pushvalue(L, at);
        if (lua_isfunction(L, at)) /* one of C has nothing to keep */
            walk_function(&w);
        lua_settop(L, w.list);
    }
    vm->keeps = w.is_fine && !vm->has_modules;
    if (vm->keeps) {
        run->reaches_env = w.reaches_env;
        run->noted_end = w.at;
        run->noted = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_settop(L, top);
}

/* ---- whether a request has left a trace ---- */

static bool is_as_noted(lua_State *L, int list, lua_Integer at)
{
    bool is_same;

    lua_rawgeti(L, list, at + 2);
    lua_rawgeti(L, list, at);
    lua_rawgeti(L, list, at + 1);
    is_same = lua_getupvalue(L, list + 2, (int)lua_tointeger(L, list + 3)) != NULL &&
              lua_rawequal(L, list + 1, list + 4);
    lua_settop(L, list);
    return is_same;
}

static bool is_env_empty(lua_State *L, int list)
{
    bool is_empty;

    lua_rawgeti(L, list, LIST_ENV);
    lua_pushnil(L);
    is_empty = lua_next(L, list + 1) == 0;
    lua_settop(L, list);
    return is_empty;
}

static bool left_no_trace(struct brim_script_run *run)
{
    lua_State *L = run->co;
    bool is_clean = true;
    int list;

    if (!run->reaches_env && run->noted_end == LIST_FIRST)
        return true; /* there is nothing that could hold one */
    lua_rawgeti(L, LUA_REGISTRYINDEX, run->noted);
    list = lua_gettop(L);
    if (run->reaches_env)
        is_clean = is_env_empty(L, list);
    for (lua_Integer at = LIST_FIRST; is_clean && at < run->noted_end; at += ENTRY)
        is_clean = is_as_noted(L, list, at);
    lua_settop(L, list - 1);
    return is_clean;
}

bool brim_script_keep_is_clean(struct brim_script_run *run)
{
    struct brim_script_vm *vm = run->vm;

    if (run->noted == 0 || !vm->keeps || vm->has_modules || vm->lines != NULL)
        return false;
    if (left_no_trace(run)) {
        vm->traces = 0;
        return true;
    }
    if (++vm->traces >= TRACES_MAX)
        vm->keeps = false;
    return false;
}

void brim_script_keep_drop(struct brim_script_run *run)
{
    if (run->noted != 0)
        luaL_unref(run->vm->main, LUA_REGISTRYINDEX, run->noted);
    run->noted = 0;
}
