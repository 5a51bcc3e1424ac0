/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_test_read.h"

#include <ctype.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void *brim_script_test_keep(void *pool, size_t bytes)
{
    lua_State *L = pool;
    void *memory;

    luaL_checkstack(L, 4, NULL);
    memory = lua_newuserdatauv(L, bytes + 1, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, memory);
    return memory;
}

static struct brim_str keep_text(lua_State *L, const char *base, size_t len)
{
    char *copy = brim_script_test_keep(L, len);

    if (len > 0)
        memcpy(copy, base, len);
    return brim_str(copy, len);
}

static void add_test_field(lua_State *L, struct brim_script_headers *headers)
{
    size_t name_len, value_len;
    const char *name = luaL_checklstring(L, -2, &name_len);
    const char *value = luaL_checklstring(L, -1, &value_len);
    struct brim_field *field = &headers->items[headers->count];

    if (headers->count == BRIM_SCRIPT_TEST_FIELDS)
        luaL_error(L, "more than %d headers", BRIM_SCRIPT_TEST_FIELDS);
    field->name = keep_text(L, name, name_len);
    for (size_t i = 0; i < name_len; i++)
        ((char *)(uintptr_t)field->name.base)[i] = (char)tolower((unsigned char)name[i]);
    field->value = keep_text(L, value, value_len);
    headers->count++;
}

/* From the field `headers` of the table at index: text, or a list of texts. */
struct brim_script_headers brim_script_test_headers(lua_State *L, int index)
{
    struct brim_script_headers headers = {
        .items = brim_script_test_keep(L, BRIM_SCRIPT_TEST_FIELDS * sizeof(struct brim_field)),
        .room = BRIM_SCRIPT_TEST_FIELDS,
        .memory = {brim_script_test_keep, L},
    };

    if (lua_getfield(L, index, "headers") != LUA_TTABLE) {
        lua_pop(L, 1);
        return headers;
    }
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (lua_type(L, -1) == LUA_TTABLE) {
            for (lua_Integer i = 1; i <= luaL_len(L, -1); i++) {
                lua_pushvalue(L, -2);
                lua_geti(L, -2, i);
                add_test_field(L, &headers);
                lua_pop(L, 2);
            }
        } else {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            add_test_field(L, &headers);
            lua_remove(L, -2);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return headers;
}

struct brim_str brim_script_test_text(lua_State *L, int index, const char *key,
                                      const char *otherwise)
{
    struct brim_str text = {0};

    (void)lua_getfield(L, index, key);
    text.base = luaL_optlstring(L, -1, otherwise, &text.len);
    text = keep_text(L, text.base, text.len);
    lua_pop(L, 1);
    return text;
}

static void take_place_text(lua_State *L, const char *key, char *out, size_t room)
{
    lua_pushstring(L, key);
    if (lua_rawget(L, -2) == LUA_TSTRING)
        (void)snprintf(out, room, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

static double take_number(lua_State *L, const char *key, bool *is_there)
{
    double number;

    lua_pushstring(L, key);
    *is_there = lua_rawget(L, -2) == LUA_TNUMBER;
    number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

void brim_script_test_place(lua_State *L, struct brim_geo_place *p)
{
    bool has_latitude, has_asn;

    *p = (struct brim_geo_place){.asn = 0};
    take_place_text(L, "continent", p->continent, sizeof(p->continent));
    take_place_text(L, "country", p->country, sizeof(p->country));
    take_place_text(L, "region", p->region, sizeof(p->region));
    take_place_text(L, "city", p->city, sizeof(p->city));
    take_place_text(L, "time_zone", p->time_zone, sizeof(p->time_zone));
    take_place_text(L, "organisation", p->organisation, sizeof(p->organisation));
    p->asn = (uint32_t)take_number(L, "asn", &has_asn);
    p->latitude = take_number(L, "latitude", &has_latitude);
    p->longitude = take_number(L, "longitude", &p->has_position);
    p->has_position = p->has_position && has_latitude;
}
