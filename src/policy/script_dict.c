/* SPDX-License-Identifier: MIT */
/*
 * brim.dict and brim.ratelimit, over policy/dict.h: shared by all workers, in RAM, bounded.
 */
#include <lauxlib.h>
#include <lua.h>
#include <math.h>

#include "brim/policy/dict.h"
#include "brim/policy/script_lib.h"

#define TTL_S_MAX   31536000 /* a year */
#define FIRST_BYTES 1024u    /* most values fit here */
#define CALL_UNITS  500u
#define RATE_MAX    1e6
#define BURST_MAX   1000000

static bool is_name(struct brim_str name)
{
    return name.len > 0 && memchr(name.base, '\0', name.len) == NULL;
}

/* The dictionary, and the names in arguments 1 and 2. A key that is too long is shortened to
 * nothing else: false. */
static struct brim_dict *dict_of(lua_State *L, struct brim_dict_key *key_out, bool *is_valid_out)
{
    struct brim_dict *dict = brim_script_host_of(L)->dict;

    if (dict == NULL)
        luaL_error(L, "no shared dictionaries here");
    key_out->name = brim_script_check_bytes(L, 1, BRIM_DICT_NAME_MAX);
    luaL_argcheck(L, is_name(key_out->name), 1, "not a name: 1 to 64 bytes, none of them 0");
    key_out->key.base = luaL_checklstring(L, 2, &key_out->key.len);
    *is_valid_out = key_out->key.len <= BRIM_DICT_KEY_MAX;
    brim_script_charge(L, CALL_UNITS);
    return dict;
}

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

static int fail_key(lua_State *L)
{
    return fail(L, "the key is longer than 255 bytes");
}

static uint64_t now_us(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);

    return host->now_mono_us(host->ctx);
}

static uint64_t check_expiry(lua_State *L, int arg)
{
    lua_Number ttl_s = luaL_optnumber(L, arg, 0);

    if (lua_isnoneornil(L, arg))
        return 0;
    luaL_argcheck(L, ttl_s > 0 && ttl_s <= TTL_S_MAX, arg, "ttl is not up to 31536000 seconds");
    return now_us(L) / 1000 + (uint64_t)ceil(ttl_s * 1000);
}

static int get(lua_State *L)
{
    struct brim_dict_key key;
    bool is_valid;
    struct brim_dict *dict = dict_of(L, &key, &is_valid);
    struct brim_dict_value value = {.bytes.len = FIRST_BYTES};
    enum brim_err err;

    if (!is_valid)
        return fail_key(L);
    do { /* again with more room; another may have written meanwhile */
        struct brim_dict_room room = {.bytes = value.bytes.len};

        lua_settop(L, 2);
        room.base = lua_newuserdatauv(L, room.bytes, 0);
        err = brim_dict_get(dict, &key, now_us(L) / 1000, room, &value);
    } while (err == BRIM_ELIMIT);
    if (err != BRIM_OK)
        lua_pushnil(L);
    else if (value.is_number)
        lua_pushinteger(L, value.number);
    else
        lua_pushlstring(L, value.bytes.base, value.bytes.len);
    return 1;
}

static int set(lua_State *L)
{
    struct brim_dict_key key;
    bool is_valid;
    struct brim_dict *dict = dict_of(L, &key, &is_valid);
    struct brim_dict_value value = {.is_number = lua_isinteger(L, 3) != 0};
    uint64_t expires_ms = check_expiry(L, 4);

    if (value.is_number)
        value.number = lua_tointeger(L, 3);
    else
        value.bytes = brim_script_check_bytes(L, 3, BRIM_DICT_VALUE_MAX);
    if (!is_valid)
        return fail_key(L);
    if (brim_dict_set(dict, &key, &value, expires_ms) != BRIM_OK)
        return fail(L, "out of memory");
    lua_pushboolean(L, 1);
    return 1;
}

static int delete (lua_State *L)
{
    struct brim_dict_key key;
    bool is_valid;
    struct brim_dict *dict = dict_of(L, &key, &is_valid);

    if (!is_valid)
        return fail_key(L);
    brim_dict_delete(dict, &key);
    lua_pushboolean(L, 1);
    return 1;
}

static int incr(lua_State *L)
{
    struct brim_dict_key key;
    bool is_valid;
    struct brim_dict *dict = dict_of(L, &key, &is_valid);
    struct brim_dict_step step = {.n = luaL_optinteger(L, 3, 1),
                                  .now_ms = now_us(L) / 1000,
                                  .expires_ms = check_expiry(L, 4)};
    enum brim_err err;
    int64_t sum;

    if (!is_valid)
        return fail_key(L);
    err = brim_dict_incr(dict, &key, &step, &sum);
    if (err != BRIM_OK)
        return fail(L,
                    err == BRIM_EINVAL ? "not a number, or the sum is too large" : "out of memory");
    lua_pushinteger(L, sum);
    return 1;
}

int brim_script_open_dict(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get", get}, {"set", set}, {"delete", delete}, {"incr", incr}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}

/* ratelimit(name, key, rate, burst) -> allowed, remaining, seconds. Keys often come from clients,
 * so one that is too long is limited by its beginning: refusing to limit would let it through. */
static int ratelimit(lua_State *L)
{
    struct brim_dict_key key;
    bool is_valid;
    struct brim_dict *dict = dict_of(L, &key, &is_valid);
    struct brim_dict_rate rate = {.per_second = luaL_checknumber(L, 3), .now_us = now_us(L)};
    lua_Integer burst = luaL_checkinteger(L, 4);
    struct brim_dict_allowance allowance;

    luaL_argcheck(L, rate.per_second > 0 && rate.per_second <= RATE_MAX, 3,
                  "not above 0 and up to 1000000 a second");
    luaL_argcheck(L, burst >= 1 && burst <= BURST_MAX, 4, "not 1 to 1000000");
    rate.burst = (uint32_t)burst;
    if (!is_valid)
        key.key.len = BRIM_DICT_KEY_MAX;
    if (brim_dict_take(dict, &key, &rate, &allowance) != BRIM_OK)
        return luaL_error(L, "out of memory");
    lua_pushboolean(L, allowance.is_allowed);
    lua_pushinteger(L, allowance.remaining);
    lua_pushnumber(L, (lua_Number)allowance.wait_us / 1e6);
    return 3;
}

int brim_script_open_ratelimit(lua_State *L)
{
    lua_pushcfunction(L, ratelimit);
    return 1;
}
