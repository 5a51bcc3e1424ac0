/* SPDX-License-Identifier: MIT */
/*
 * brim.kv: the node's named stores (cache/kv.h). A write is in force when its call returns, durable
 * within milliseconds; nothing here waits. No lock of the store is held where Lua can raise: values
 * are copied to memory of Lua's that is there beforehand.
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/cache/kv.h"
#include "brim/policy/script_lib.h"

#define TTL_S_MAX      315360000 /* ten years */
#define FIRST_BYTES    4096u     /* most values fit here */
#define WRITE_UNITS    2000u
#define READ_UNITS     1000u
#define LIST_DEFAULT   100
#define LIST_KEY_UNITS 500u
#define LIST_ROW_UNITS 100u /* of what is looked at, listed or not */

static struct brim_kv *store_of(lua_State *L, struct brim_kv_name *name_out)
{
    struct brim_kv *kv = brim_script_host_of(L)->kv;

    if (kv == NULL)
        luaL_error(L, "no stores: set kv.path or cache.path in the config");
    name_out->store = brim_script_check_bytes(L, 1, BRIM_KV_STORE_MAX);
    luaL_argcheck(L, brim_kv_store_is_valid(name_out->store), 1,
                  "not a store's name: 1 to 64 letters, digits, - . _");
    return kv;
}

/* What a client sends often becomes a key, so that a key that cannot be is no error of the script:
 * false. Nothing stands under it. */
static struct brim_kv *name_of(lua_State *L, struct brim_kv_name *name_out, bool *is_valid_out)
{
    struct brim_kv *kv = store_of(L, name_out);

    name_out->key.base = luaL_checklstring(L, 2, &name_out->key.len);
    *is_valid_out = brim_kv_key_is_valid(name_out->key);
    return kv;
}

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

static int fail_key(lua_State *L)
{
    return fail(L, "not a key: 1 to 255 bytes, none of them 0");
}

static int fail_err(lua_State *L, enum brim_err err)
{
    switch (err) {
    case BRIM_ELIMIT:
        return fail(L, "too many writes are waiting for the disk");
    case BRIM_ENOSPC:
        return fail(L, "the stores are full");
    case BRIM_EINVAL:
        return fail(L, "not a whole number, or the sum is too large");
    default:
        return fail(L, brim_err_text(err));
    }
}

static int64_t now_ms(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);

    return host->now_wall_ms(host->ctx);
}

/* Seconds at arg as the end of a life; absent: 0, never. */
static int64_t check_expiry(lua_State *L, int arg)
{
    lua_Integer ttl_s = luaL_optinteger(L, arg, 0);

    if (lua_isnoneornil(L, arg))
        return 0;
    luaL_argcheck(L, ttl_s >= 1 && ttl_s <= TTL_S_MAX, arg, "ttl is not 1 to 315360000 seconds");
    return now_ms(L) + ttl_s * 1000;
}

static int get(lua_State *L)
{
    struct brim_kv_name name;
    bool is_valid;
    struct brim_kv *kv = name_of(L, &name, &is_valid);
    size_t room = FIRST_BYTES, len;
    enum brim_err err;
    luaL_Buffer b;

    if (!is_valid)
        return fail_key(L);
    brim_script_charge(L, READ_UNITS);
    for (;;) {
        char *out = luaL_buffinitsize(L, &b, room);

        err = brim_kv_get(kv, &name, now_ms(L), (struct brim_kv_room){out, room}, &len);
        if (err != BRIM_ELIMIT)
            break;
        luaL_pushresultsize(&b, 0); /* ends the buffer; another may have written meanwhile */
        lua_pop(L, 1);
        room = len;
    }
    if (err == BRIM_ENOENT) {
        lua_pushnil(L);
        return 1;
    }
    if (err != BRIM_OK)
        return fail_err(L, err);
    brim_script_charge(L, len);
    luaL_pushresultsize(&b, len);
    return 1;
}

static int done(lua_State *L, enum brim_err err)
{
    if (err != BRIM_OK)
        return fail_err(L, err);
    lua_pushboolean(L, 1);
    return 1;
}

static int set(lua_State *L)
{
    struct brim_kv_name name;
    bool is_valid;
    struct brim_kv *kv = name_of(L, &name, &is_valid);
    struct brim_str value = brim_script_check_bytes(L, 3, BRIM_KV_VALUE_MAX);
    int64_t expires_wall_ms = check_expiry(L, 4);

    if (!is_valid)
        return fail_key(L);
    brim_script_charge(L, WRITE_UNITS);
    return done(L, brim_kv_set(kv, &name, value, expires_wall_ms));
}

static int delete (lua_State *L)
{
    struct brim_kv_name name;
    bool is_valid;
    struct brim_kv *kv = name_of(L, &name, &is_valid);

    if (!is_valid)
        return fail_key(L);
    brim_script_charge(L, WRITE_UNITS);
    return done(L, brim_kv_delete(kv, &name));
}

static int incr(lua_State *L)
{
    struct brim_kv_name name;
    bool is_valid;
    struct brim_kv *kv = name_of(L, &name, &is_valid);
    struct brim_kv_step step = {.n = luaL_optinteger(L, 3, 1),
                                .now_wall_ms = now_ms(L),
                                .expires_wall_ms = check_expiry(L, 4)};
    enum brim_err err;
    int64_t sum;

    if (!is_valid)
        return fail_key(L);
    brim_script_charge(L, WRITE_UNITS);
    err = brim_kv_incr(kv, &name, &step, &sum);
    if (err != BRIM_OK)
        return fail_err(L, err);
    lua_pushinteger(L, sum);
    return 1;
}

static void push_keys(lua_State *L, const char *keys, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 1; i <= count; i++) {
        lua_pushstring(L, keys);
        lua_rawseti(L, -2, (lua_Integer)i);
        keys += strlen(keys) + 1;
    }
}

/* list(store [, prefix [, limit [, after]]]) */
static int list(lua_State *L)
{
    struct brim_kv_query query = {.now_wall_ms = now_ms(L)};
    struct brim_kv *kv = store_of(L, &query.name);
    lua_Integer limit = luaL_optinteger(L, 3, LIST_DEFAULT);
    struct brim_kv_keys keys = {.count = 0};
    enum brim_err err;

    query.name.key.base = luaL_optlstring(L, 2, "", &query.name.key.len);
    query.after.base = luaL_optlstring(L, 4, "", &query.after.len);
    luaL_argcheck(L, limit >= 1 && limit <= (lua_Integer)BRIM_KV_LIST_MAX, 3, "not 1 to 1000");
    if ((query.name.key.len > 0 && !brim_kv_key_is_valid(query.name.key)) ||
        (query.after.len > 0 && !brim_kv_key_is_valid(query.after)))
        return fail_key(L);
    query.limit = (size_t)limit;
    brim_script_charge(L, READ_UNITS + query.limit * LIST_KEY_UNITS);
    keys.room.bytes = query.limit * (BRIM_KV_KEY_MAX + 1);
    keys.room.base = lua_newuserdatauv(L, keys.room.bytes, 0);
    while (!keys.is_whole) {
        err = brim_kv_list(kv, &query, &keys);
        if (err != BRIM_OK)
            return fail_err(L, err);
        brim_script_charge(L, keys.seen * LIST_ROW_UNITS);
    }
    push_keys(L, keys.room.base, keys.count);
    return 1;
}

int brim_script_open_kv(lua_State *L)
{
    static const luaL_Reg functions[] = {{"get", get},   {"set", set},   {"delete", delete},
                                         {"incr", incr}, {"list", list}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
