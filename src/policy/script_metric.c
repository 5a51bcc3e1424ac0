/* SPDX-License-Identifier: MIT */
/*
 * brim.metric(name [, n]): counts in a counter of the script's own. The alphabet is that of
 * Prometheus; how many names there may be is the host's to bound.
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/policy/script_lib.h"

#define NAME_BYTES_MAX 64u
#define STEP_MAX       1000000000 /* so that no sum wraps in a lifetime */

static bool is_name(struct brim_str name)
{
    if (name.len == 0 || (name.base[0] >= '0' && name.base[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.base[i];

        if (c != '_' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

static int metric(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);
    struct brim_str name = brim_script_check_bytes(L, 1, NAME_BYTES_MAX);
    lua_Integer n = luaL_optinteger(L, 2, 1);

    luaL_argcheck(L, is_name(name), 1, "not a name of a-z, 0-9 and _");
    luaL_argcheck(L, n >= 0 && n <= STEP_MAX, 2, "not 0 to 1000000000");
    if (host->count == NULL)
        return luaL_error(L, "nothing counts here");
    host->count(host->ctx, name, n);
    return 0;
}

int brim_script_open_metric(lua_State *L)
{
    lua_pushcfunction(L, metric);
    return 1;
}
