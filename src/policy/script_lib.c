/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_lib.h"

#include <lauxlib.h>
#include <lua.h>
#include <sys/random.h>

#include "brim/base/clock.h"

/* Lua keeps a pointer's room before each lua_State and copies it into every new coroutine. */
void brim_script_host_set(lua_State *L, struct brim_script_host *host)
{
    *(struct brim_script_host **)lua_getextraspace(L) = host;
}

struct brim_script_host *brim_script_host_of(lua_State *L)
{
    return *(struct brim_script_host **)lua_getextraspace(L);
}

static uint64_t host_mono(void *ctx)
{
    (void)ctx;
    return brim_clock_mono_us();
}

static int64_t host_wall(void *ctx)
{
    (void)ctx;
    return brim_clock_wall_ms();
}

static enum brim_err host_random(void *ctx, void *bytes_out, size_t bytes)
{
    (void)ctx;
    return getrandom(bytes_out, bytes, 0) == (ssize_t)bytes ? BRIM_OK : BRIM_EIO;
}

void brim_script_host_use_system(struct brim_script_host *host)
{
    host->now_mono_us = host_mono;
    host->now_wall_ms = host_wall;
    host->random = host_random;
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
