/* SPDX-License-Identifier: MIT */
/*
 * lua_rig - a bare lua_State with every leaf table at brim.NAME and a host whose clock and chance
 * the test sets: a test is a chunk of Lua that asserts.
 */
#ifndef BRIM_TESTS_LUA_RIG_H
#define BRIM_TESTS_LUA_RIG_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

#include "brim/policy/script_lib.h"
#include "unit.h"

static struct lua_rig {
    uint64_t mono_us;
    int64_t wall_ms;
    uint8_t chance; /* every random byte */
    char counted[128];
    int64_t counted_n;
    size_t charged;
    size_t memory; /* Lua's, now */
    size_t memory_max;
} lua_rig = {.wall_ms = 1700000000123, .chance = 0xab, .memory_max = 64u * 1024 * 1024};

static inline uint64_t lua_rig_mono_us(void *ctx)
{
    (void)ctx;
    return lua_rig.mono_us;
}

static inline int64_t lua_rig_wall_ms(void *ctx)
{
    (void)ctx;
    return lua_rig.wall_ms;
}

static inline enum brim_err lua_rig_random(void *ctx, void *bytes_out, size_t bytes)
{
    (void)ctx;
    memset(bytes_out, lua_rig.chance, bytes);
    return BRIM_OK;
}

static inline void lua_rig_count(void *ctx, struct brim_str name, int64_t n)
{
    (void)ctx;
    snprintf(lua_rig.counted, sizeof(lua_rig.counted), "%.*s", (int)name.len, name.base);
    lua_rig.counted_n += n;
}

static inline void lua_rig_charge(lua_State *L, size_t units)
{
    (void)L;
    lua_rig.charged += units;
}

static struct brim_script_host lua_rig_host = {.now_mono_us = lua_rig_mono_us,
                                               .now_wall_ms = lua_rig_wall_ms,
                                               .random = lua_rig_random,
                                               .count = lua_rig_count,
                                               .charge = lua_rig_charge};

/* An allocator with a cap, as the VM has one. */
static inline void *lua_rig_alloc(void *ctx, void *memory, size_t old_bytes, size_t bytes)
{
    size_t old = memory == NULL ? 0 : old_bytes;
    void *moved;

    (void)ctx;
    if (bytes == 0) {
        lua_rig.memory -= old;
        free(memory);
        return NULL;
    }
    if (bytes > old && lua_rig.memory + (bytes - old) > lua_rig.memory_max)
        return NULL;
    moved = realloc(memory, bytes);
    if (moved != NULL)
        lua_rig.memory = lua_rig.memory - old + bytes;
    return moved;
}

/* Globals of the test's own. */
static void (*lua_rig_prepare)(lua_State *L);

static inline lua_State *lua_rig_open(void)
{
    static const struct {
        const char *name;
        lua_CFunction open;
    } leaves[] = {
#define LUA_RIG_ROW(name) {#name, brim_script_open_##name},
        BRIM_SCRIPT_LIB_TABLE(LUA_RIG_ROW)
#undef LUA_RIG_ROW
    };
    lua_State *L = lua_newstate(lua_rig_alloc, NULL);

    luaL_openlibs(L);
    brim_script_host_set(L, &lua_rig_host);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        ck_assert_int_eq(leaves[i].open(L), 1);
        lua_setfield(L, -2, leaves[i].name);
    }
    lua_setglobal(L, "brim");
    if (lua_rig_prepare != NULL)
        lua_rig_prepare(L);
    ck_assert_int_eq(lua_gettop(L), 0);
    return L;
}

/* Runs chunk in a state of its own; it fails the test by raising. */
static inline void lua_rig_run(const char *chunk)
{
    static const char prelude[] =
        "local function eq(got, want) if got ~= want then error('got ' .. tostring(got) .. "
        "', want ' .. tostring(want), 2) end end "
        "local function raises(part, fn, ...) local ok, err = pcall(fn, ...) "
        "if ok then error('did not raise: ' .. part, 2) end "
        "if not tostring(err):find(part, 1, true) then error('raised ' .. tostring(err), 2) end "
        "end "
        "local function bad(part, value, err) if value ~= nil or type(err) ~= 'string' or "
        "not err:find(part, 1, true) then error('got ' .. tostring(value) .. ', ' .. "
        "tostring(err), 2) end end ";
    lua_State *L = lua_rig_open();

    lua_pushstring(L, prelude);
    lua_pushstring(L, chunk);
    lua_concat(L, 2);
    if (luaL_loadbuffer(L, lua_tostring(L, -1), lua_rawlen(L, -1), "=test") != LUA_OK ||
        lua_pcall(L, 0, 0, 0) != LUA_OK)
        ck_abort_msg("%s", lua_tostring(L, -1));
    lua_close(L);
}

#endif
