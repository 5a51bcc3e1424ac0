/* SPDX-License-Identifier: MIT */
/*
 * What a handler finds at its disposal: the base library less what leads out of the sandbox, with
 * own versions of everything that catches errors, makes code, or sets metatables.
 *
 *   absent     io, debug, package, dofile, loadfile, os.execute and its kin, string.dump,
 *              coroutine.close on what runs, collectgarbage but "count", math.randomseed
 *   own        pcall, xpcall, error objects of a stop (raised again), coroutine.resume/wrap,
 *              setmetatable (no __gc), rawset (not on frozen tables), load (text, bounded),
 *              require (below the root), print (to the log)
 *
 * Frozen: an empty table whose metatable reads through to the real one, refuses writes, and does
 * not show itself. The real one is nowhere else.
 */
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/policy/script_file.h"
#include "brim/policy/script_inside.h"

#define LOAD_BYTES_MAX   (64u * 1024u)
#define MODULE_NAME_MAX  128
#define LOG_BYTES_MAX    800u
#define COROUTINE_UNITS  4000u /* making or resuming one: what the hook of its own does not see */
#define PARSE_UNITS      50u   /* a byte of source */
#define FREEZE_DEPTH_MAX 8

/* ---- frozen tables ---- */

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "this table is read-only");
}

/* pairs(): walks the real table, which stands in the upvalue. */
static int frozen_next(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 2);
    return lua_next(L, 2) != 0 ? 2 : 0;
}

static int frozen_pairs(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, frozen_next, 1);
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

static int frozen_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
    return 1;
}

static void freeze(lua_State *L, int depth)
{
    int real = lua_gettop(L);

    luaL_checkstack(L, 8, "tables are nested too deeply");
    if (depth > FREEZE_DEPTH_MAX)
        luaL_error(L, "tables are nested too deeply to be shared");
    lua_pushnil(L);
    while (lua_next(L, real) != 0) {
        if (lua_type(L, -1) == LUA_TTABLE && luaL_getmetafield(L, -1, "__metatable") == LUA_TNIL) {
            freeze(L, depth + 1);
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, real); /* replaces what is there: allowed while walking */
        } else {
            lua_settop(L, real + 1);
        }
    }
    lua_createtable(L, 0, 0);
    lua_createtable(L, 0, 5);
    lua_pushvalue(L, real);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, real);
    lua_pushcclosure(L, frozen_pairs, 1);
    lua_setfield(L, -2, "__pairs");
    lua_pushvalue(L, real);
    lua_pushcclosure(L, frozen_len, 1);
    lua_setfield(L, -2, "__len");
    lua_setmetatable(L, -2);
    lua_replace(L, real);
}

void brim_script_freeze(lua_State *L)
{
    freeze(L, 0);
}

bool brim_script_is_frozen(lua_State *L, int index)
{
    bool is;

    if (luaL_getmetafield(L, index, "__newindex") == LUA_TNIL)
        return false;
    is = lua_tocfunction(L, -1) == refuse_write; /* no script can get hold of it */
    lua_pop(L, 1);
    return is;
}

/* ---- catching errors ---- */

/* Lua's own message where memory ran out: one that is caught would leave the budget exceeded. */
static void check_caught(lua_State *L, int status)
{
    if (status == LUA_ERRMEM && brim_script_vm_of(L)->stop == BRIM_SCRIPT_OK)
        brim_script_stop(L, BRIM_SCRIPT_MEMORY);
    brim_script_check_stop(L);
}

static int pcall_done(lua_State *L, int status, lua_KContext ctx)
{
    check_caught(L, status);
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    lua_replace(L, 1);
    (void)ctx;
    return lua_gettop(L);
}

/* Index 1 becomes the answer's boolean. */
static int safe_pcall(lua_State *L)
{
    int status;

    luaL_checkany(L, 1);
    lua_pushnil(L);
    lua_insert(L, 1);
    status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, pcall_done);
    return pcall_done(L, status, 0);
}

/* The handler runs after unwinding, as an ordinary call: inside Lua's own it would run where a stop
 * calls it again and again. */
static int xpcall_done(lua_State *L, int status, lua_KContext ctx)
{
    check_caught(L, status);
    if (status == LUA_OK || status == LUA_YIELD) {
        lua_pushboolean(L, true);
        lua_replace(L, 1);
        return lua_gettop(L);
    }
    (void)ctx;
    lua_pushvalue(L, 1); /* handler */
    lua_insert(L, 2);
    lua_settop(L, 3);
    lua_call(L, 1, 1);
    lua_pushboolean(L, false);
    lua_replace(L, 1);
    return 2;
}

/* (f, handler, ...) */
static int safe_xpcall(lua_State *L)
{
    int status;

    luaL_checkany(L, 2);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 1);
    lua_replace(L, 2);
    lua_replace(L, 1);
    status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, xpcall_done);
    return xpcall_done(L, status, 0);
}

/* ---- coroutines ---- */

static int safe_create(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    brim_script_charge(L, COROUTINE_UNITS);
    co = lua_newthread(L); /* inherits the hook */
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

#define RESUME_FAILED (-1)
#define RESUME_WAITS  (-2)

/* Resumes co with the args on top of L; returns how many results it pushed; FAILED and the error;
 * or WAITS: what it waits for, the run waits for, and then this is called again without args. */
static int resume(lua_State *L, lua_State *co, int args)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);
    bool may_wait = vm->may_wait;
    int status, results;

    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
        lua_pushliteral(L, "cannot resume dead coroutine");
        return RESUME_FAILED;
    }
    if (!lua_checkstack(co, args))
        luaL_error(L, "too many arguments to resume");
    lua_xmove(L, co, args);
    vm->running = co;
    vm->may_wait = may_wait && lua_isyieldable(L);
    status = lua_resume(co, L, args, &results);
    vm->running = L;
    vm->may_wait = may_wait;
    if (status == LUA_YIELD && vm->is_waiting)
        return RESUME_WAITS;
    if (status == LUA_OK || status == LUA_YIELD) {
        brim_script_check_stop(L);
        if (!lua_checkstack(L, results + 1))
            luaL_error(L, "too many results to resume");
        lua_xmove(co, L, results);
        return results;
    }
    check_caught(L, status);
    lua_xmove(co, L, 1);
    return RESUME_FAILED;
}

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    luaL_argexpected(L, co != NULL, 1, "coroutine");
    return co;
}

static int resume_again(lua_State *L, int status, lua_KContext ctx);

static int end_resume(lua_State *L, int results)
{
    if (results == RESUME_WAITS)
        return lua_yieldk(L, 0, 0, resume_again);
    lua_pushboolean(L, results >= 0);
    lua_insert(L, results < 0 ? -2 : -(results + 1));
    return results < 0 ? 2 : results + 1;
}

static int resume_again(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return end_resume(L, resume(L, lua_tothread(L, 1), 0));
}

static int safe_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);

    brim_script_charge(L, COROUTINE_UNITS);
    return end_resume(L, resume(L, co, lua_gettop(L) - 1));
}

static int wrapped_again(lua_State *L, int status, lua_KContext ctx);

static int end_wrapped(lua_State *L, int results)
{
    if (results == RESUME_WAITS)
        return lua_yieldk(L, 0, 0, wrapped_again);
    if (results < 0)
        return lua_error(L);
    return results;
}

static int wrapped_again(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return end_wrapped(L, resume(L, lua_tothread(L, lua_upvalueindex(1)), 0));
}

static int wrapped(lua_State *L)
{
    brim_script_charge(L, COROUTINE_UNITS);
    return end_wrapped(L, resume(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L)));
}

static int safe_wrap(lua_State *L)
{
    safe_create(L);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static void push_coroutine(lua_State *L)
{
    static const luaL_Reg own[] = {
        {"create", safe_create},
        {"resume", safe_resume},
        {"wrap", safe_wrap},
        {NULL, NULL},
    };
    static const char *const kept[] = {"isyieldable", "running", "status", "yield"};

    luaL_newlib(L, own);
    luaL_requiref(L, "coroutine", luaopen_coroutine, 0);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, -3, kept[i]);
    }
    lua_pop(L, 1);
}

/* ---- tables and metatables ---- */

static int safe_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "finalizers (__gc) are not available");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int safe_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "this table is read-only");
    lua_rawset(L, 1);
    return 1;
}

static int safe_collectgarbage(lua_State *L)
{
    const char *what = luaL_optstring(L, 1, "collect");

    if (strcmp(what, "count") != 0)
        return luaL_error(L, "collectgarbage: only \"count\" is available");
    lua_pushnumber(L, (lua_Number)brim_script_vm_of(L)->used / 1024);
    return 1;
}

/* ---- code ---- */

/* Pushes the environment of the request: upvalue _ENV of whoever calls would need the debug
 * library, so the run's is kept in the registry by its coroutine. */
static void push_env(lua_State *L)
{
    lua_createtable(L, 0, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, brim_script_vm_of(L)->env_meta);
    lua_setmetatable(L, -2);
}

static int load_failed(lua_State *L)
{
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
}

/* load(text [, name [, mode [, env]]]): text only. Without env: a new one over the globals. */
static int safe_load(lua_State *L)
{
    size_t bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    const char *name = luaL_optstring(L, 2, "=(load)");
    bool has_env = !lua_isnone(L, 4);

    luaL_argcheck(L, bytes <= LOAD_BYTES_MAX, 1, "longer than 65536 bytes");
    brim_script_charge(L, bytes * PARSE_UNITS);
    if (luaL_loadbufferx(L, text, bytes, name, "t") != LUA_OK)
        return load_failed(L);
    if (has_env)
        lua_pushvalue(L, 4);
    else
        push_env(L);
    if (lua_setupvalue(L, -2, 1) == NULL)
        lua_pop(L, 1);
    return 1;
}

/* "a.b_c" -> ROOT/a/b_c.lua, resolved, and still below ROOT. Dots separate, so ".." cannot be
 * written; what a symbolic link leads to is compared after resolving. */
static struct brim_str module_text(lua_State *L, const char *name)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);
    char path[PATH_MAX], real[PATH_MAX], root[PATH_MAX];
    struct brim_str text;
    size_t at, root_len;
    int len;

    if (name[0] == '\0' || name[0] == '.' || strlen(name) > MODULE_NAME_MAX ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
            strlen(name) ||
        strstr(name, "..") != NULL)
        luaL_error(L, "require: \"%s\" is not a module name", name);
    len = snprintf(path, sizeof(path), "%s/", vm->root);
    at = (size_t)len;
    if (len < 0 || at + strlen(name) + sizeof(".lua") > sizeof(path))
        luaL_error(L, "require: the path is too long");
    for (const char *c = name; *c != '\0'; c++)
        path[at++] = *c == '.' ? '/' : *c;
    memcpy(path + at, ".lua", sizeof(".lua"));
    if (brim_script_files_find(vm->files, path, &text))
        return text;
    if (realpath(vm->root, root) == NULL || realpath(path, real) == NULL)
        luaL_error(L, "require: module \"%s\" not found below %s", name, vm->root);
    root_len = strlen(root);
    if (strncmp(real, root, root_len) != 0 || (real[root_len] != '/' && root_len > 1))
        luaL_error(L, "require: module \"%s\" leads out of %s", name, vm->root);
    if (brim_script_files_read(vm->files, path, real, &text) != BRIM_OK)
        luaL_error(L, "require: module \"%s\" cannot be read, or is larger than 1 MiB", name);
    return text;
}

/* A module is loaded once per VM; its table is frozen, as all requests share it. */
static int safe_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct brim_str text;

    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "brim.modules");
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    text = module_text(L, name);
    brim_script_vm_of(L)->has_modules = true;
    brim_script_charge(L, text.len * PARSE_UNITS);
    if (luaL_loadbufferx(L, text.base, text.len, lua_pushfstring(L, "@%s.lua", name), "t") !=
        LUA_OK)
        return lua_error(L);
    push_env(L);
    if (lua_setupvalue(L, -2, 1) == NULL)
        lua_pop(L, 1);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
        lua_pushboolean(L, true);
    } else if (lua_type(L, -1) == LUA_TTABLE &&
               luaL_getmetafield(L, -1, "__metatable") == LUA_TNIL) {
        brim_script_freeze(L);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

/* ---- log ---- */

static int levelled_log(lua_State *L, enum brim_log_level level, int first)
{
    struct brim_script_host *host = brim_script_host_of(L);
    luaL_Buffer text;
    int last = lua_gettop(L);

    luaL_checkstack(L, 8, NULL);
    luaL_buffinit(L, &text);
    for (int i = first; i <= last && luaL_bufflen(&text) < LOG_BYTES_MAX; i++) {
        if (i > first)
            luaL_addchar(&text, ' ');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    brim_script_charge(L, 1000);
    if (host->log != NULL) {
        struct brim_str line = {0};

        line.base = lua_tolstring(L, -1, &line.len);
        if (line.len > LOG_BYTES_MAX)
            line.len = LOG_BYTES_MAX;
        host->log(host->ctx, level, line);
    }
    return 0;
}

static int print_log(lua_State *L)
{
    return levelled_log(L, BRIM_LOG_INFO, 1);
}

static int brim_log(lua_State *L)
{
    static const char *const names[] = {"error", "warn", "info", "debug", NULL};

    return levelled_log(L, (enum brim_log_level)luaL_checkoption(L, 1, NULL, names), 2);
}

/* ---- os and math ---- */

static int64_t wall_s(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);

    return host->now_wall_ms(host->ctx) / 1000;
}

/* Upvalue: Lua's own, for the time of a given date. */
static int os_time(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushinteger(L, wall_s(L));
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int os_date(lua_State *L)
{
    size_t bytes;

    (void)luaL_optlstring(L, 1, "", &bytes);
    luaL_argcheck(L, bytes <= 256, 1, "longer than 256 bytes");
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_pushliteral(L, "%c");
    }
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushinteger(L, wall_s(L));
    }
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

static void push_os(lua_State *L)
{
    lua_createtable(L, 0, 4);
    luaL_requiref(L, "os", luaopen_os, 0);
    lua_getfield(L, -1, "clock");
    lua_setfield(L, -3, "clock");
    lua_getfield(L, -1, "difftime");
    lua_setfield(L, -3, "difftime");
    lua_getfield(L, -1, "time");
    lua_pushcclosure(L, os_time, 1);
    lua_setfield(L, -3, "time");
    lua_getfield(L, -1, "date");
    lua_pushcclosure(L, os_date, 1);
    lua_setfield(L, -3, "date");
    lua_pop(L, 1);
}

static void push_math(lua_State *L)
{
    luaL_requiref(L, "math", luaopen_math, 0);
    lua_pushnil(L);
    lua_setfield(L, -2, "randomseed"); /* its state is shared by requests */
}

/* ---- all ---- */

static void push_env_constants(lua_State *L, const char *const *env)
{
    lua_newtable(L);
    for (size_t i = 0; env != NULL && env[i] != NULL; i += 2) {
        lua_pushstring(L, env[i + 1]);
        lua_setfield(L, -2, env[i]);
    }
}

static void push_brim(lua_State *L, const char *const *env)
{
    lua_newtable(L);
    lua_pushcfunction(L, brim_log);
    lua_setfield(L, -2, "log");
    brim_script_push_fetch(L);
    lua_setfield(L, -2, "fetch");
    brim_script_push_all(L);
    lua_setfield(L, -2, "all");
    brim_script_push_after(L);
    lua_setfield(L, -2, "after");
    push_env_constants(L, env);
    lua_setfield(L, -2, "env");
    lua_pushliteral(L, BRIM_VERSION);
    lua_setfield(L, -2, "version");
#define OPEN(name)                                                                                 \
    lua_pushcfunction(L, brim_script_open_##name);                                                 \
    lua_call(L, 0, 1);                                                                             \
    lua_setfield(L, -2, #name);
    BRIM_SCRIPT_LIB_TABLE(OPEN)
#undef OPEN
}

/* getmetatable("") must not lead to the table that every string reads. Table on top: string. */
static void guard_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void set_base(lua_State *L)
{
    static const char *const kept[] = {"assert",   "error",    "getmetatable", "ipairs",  "next",
                                       "pairs",    "rawequal", "rawget",       "rawlen",  "select",
                                       "tonumber", "tostring", "type",         "_VERSION"};
    static const luaL_Reg own[] = {
        {"collectgarbage", safe_collectgarbage},
        {"load", safe_load},
        {"pcall", safe_pcall},
        {"print", print_log},
        {"rawset", safe_rawset},
        {"require", safe_require},
        {"setmetatable", safe_setmetatable},
        {"xpcall", safe_xpcall},
        {NULL, NULL},
    };

    luaL_requiref(L, "_G", luaopen_base, 0);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, -3, kept[i]);
    }
    lua_pop(L, 1);
    luaL_setfuncs(L, own, 0);
}

void brim_script_push_globals(lua_State *L, const char *const *env)
{
    static const struct {
        const char *name;
        void (*push)(lua_State *L);
    } libraries[] = {
        {"coroutine", push_coroutine},
        {"math", push_math},
        {"os", push_os},
        {"table", brim_script_push_table},
        {"utf8", brim_script_push_utf8},
    };

    lua_newtable(L);
    set_base(L);
    brim_script_push_string(L);
    guard_strings(L);
    brim_script_freeze(L);
    lua_setfield(L, -2, "string");
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        libraries[i].push(L);
        brim_script_freeze(L);
        lua_setfield(L, -2, libraries[i].name);
    }
    push_brim(L, env);
    brim_script_freeze(L);
    lua_setfield(L, -2, "brim");
}
