/* SPDX-License-Identifier: MIT */
/*
 * brim.json. Decoding is jansson's; encoding is ours.
 *
 * Why jansson: lua-cjson keeps its buffers in malloc() and jumps over their free() where Lua runs
 * out of memory, which a script can bring about as often as it likes. A jansson tree hangs on a
 * userdata from its first byte, so that an error frees it; and what it may take outside of the VM's
 * cap is bounded before it is built, by a walk over the text that counts depth and values.
 *
 * Encoding writes into one userdata that grows by doubling, so its memory is the VM's. A buffer of
 * lauxlib would not do: it wants to be on top of the stack, where a table's keys are.
 *
 * null is brim.json.null. An array that was decoded, and what brim.json.array() made, carries a
 * metatable, so that an empty one is written as [] again; else a table is an array where t[1] is
 * not nil, and an object otherwise.
 */
#include <inttypes.h>
#include <jansson.h>
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdio.h>

#include "brim/base/utf8.h"
#include "brim/policy/script_lib.h"

#define TEXT_BYTES_MAX 1048576u /* 1 MiB, in and out */
#define DEPTH_MAX      64
#define VALUES_MAX     100000u
#define VALUE_UNITS    100u /* what building one value costs, in bytes copied */
#define NUMBER_BYTES   32u
#define FIRST_BYTES    512u
#define TREE_TYPE      "brim.json.tree"
#define ARRAY_TYPE     "brim.json.array"

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

/* ---- decoding ---- */

/* How much a text would build, without building it. Counts too much rather than too little. */
static const char *measure(struct brim_str text, size_t *values_out)
{
    size_t values = 1, depth = 0;
    bool in_string = false;

    *values_out = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];

        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\' ? 1 : 0;
        else if (c == '[' || c == '{')
            depth++, values++;
        else if (c == ']' || c == '}')
            depth -= depth > 0 ? 1 : 0;
        else if (c == ',')
            values++;
        if (depth > DEPTH_MAX)
            return "nested deeper than 64";
        if (values > VALUES_MAX)
            return "more than 100000 values";
    }
    *values_out = values;
    return NULL;
}

static int free_tree(lua_State *L)
{
    json_t **tree = luaL_checkudata(L, 1, TREE_TYPE);

    json_decref(*tree);
    *tree = NULL;
    return 0;
}

/* Depth is bounded by measure(). Each value is on the stack before the next is made. */
static void push_value(lua_State *L, json_t *value) /* NOLINT(misc-no-recursion) */
{
    const char *name;
    json_t *member;
    size_t at;

    luaL_checkstack(L, 4, "JSON");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        lua_createtable(L, 0, (int)json_object_size(value));
        json_object_foreach(value, name, member)
        {
            push_value(L, member);
            lua_setfield(L, -2, name);
        }
        break;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(value), 0);
        json_array_foreach(value, at, member)
        {
            push_value(L, member);
            lua_rawseti(L, -2, (lua_Integer)at + 1);
        }
        luaL_setmetatable(L, ARRAY_TYPE);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        break;
    default:
        lua_pushboolean(L, json_is_true(value));
    }
}

static int decode(lua_State *L)
{
    struct brim_str text = brim_script_check_bytes(L, 1, TEXT_BYTES_MAX);
    const char *reason;
    json_error_t error;
    json_t **tree;
    size_t values;

    lua_settop(L, 1);
    reason = measure(text, &values);
    if (reason != NULL)
        return fail(L, reason);
    brim_script_charge(L, values * VALUE_UNITS);
    tree = lua_newuserdatauv(L, sizeof(*tree), 0);
    *tree = NULL;
    luaL_setmetatable(L, TREE_TYPE);
    *tree = json_loadb(text.base, text.len,
                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (*tree == NULL) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s at line %d, column %d", error.text, error.line, error.column);
        return 2;
    }
    push_value(L, *tree);
    json_decref(*tree); /* not later, when the collector comes by */
    *tree = NULL;
    return 1;
}

/* ---- encoding ---- */

#define SLOT 2 /* where the writer's memory stands on the stack */

struct writer {
    lua_State *L;
    char *base;
    size_t len;
    size_t room;
    const char *fault; /* what is wrong with the data; the first reason stays */
};

static void set_fault(struct writer *w, const char *fault)
{
    if (w->fault == NULL)
        w->fault = fault;
}

/* Room for bytes more, or NULL with a fault. Lua may raise here. */
static char *reserve(struct writer *w, size_t bytes)
{
    size_t room = w->room;
    char *grown;

    if (w->fault != NULL || bytes > TEXT_BYTES_MAX - w->len) {
        set_fault(w, "longer than 1048576 bytes");
        return NULL;
    }
    while (room - w->len < bytes)
        room *= 2;
    if (room != w->room) {
        grown = lua_newuserdatauv(w->L, room, 0);
        memcpy(grown, w->base, w->len);
        w->base = grown;
        w->room = room;
        lua_replace(w->L, SLOT);
    }
    return w->base + w->len;
}

static void put(struct writer *w, const char *bytes, size_t len)
{
    char *at = reserve(w, len);

    if (at == NULL)
        return;
    memcpy(at, bytes, len);
    w->len += len;
}

static void put_escape(struct writer *w, char c)
{
    static const char names[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    char text[8];
    int len;

    for (size_t i = 0; i + 1 < sizeof(names); i += 2) {
        if (names[i] == c) {
            put(w, (char[]){'\\', names[i + 1]}, 2);
            return;
        }
    }
    len = snprintf(text, sizeof(text), "\\u%04x", (unsigned)(uint8_t)c);
    put(w, text, (size_t)len);
}

static void put_string(struct writer *w, struct brim_str text)
{
    size_t from = 0, at = 0;

    put(w, "\"", 1);
    while (at < text.len && w->fault == NULL) {
        char c = text.base[at];
        size_t len = brim_utf8_length(brim_str(text.base + at, text.len - at));

        if (len == 0) {
            set_fault(w, "a string is not UTF-8");
        } else if (c == '"' || c == '\\' || (uint8_t)c < 0x20 || c == 0x7f) {
            put(w, text.base + from, at - from);
            put_escape(w, c);
            from = at + 1;
        }
        at += len;
    }
    put(w, text.base + from, at - from);
    put(w, "\"", 1);
}

static void put_number(struct writer *w, int index)
{
    char text[NUMBER_BYTES];
    lua_Number number;
    int len;

    if (lua_isinteger(w->L, index)) {
        len = snprintf(text, sizeof(text), "%" PRId64, (int64_t)lua_tointeger(w->L, index));
    } else {
        number = lua_tonumber(w->L, index);
        if (!isfinite(number)) {
            set_fault(w, "a number is not finite");
            return;
        }
        /* 17 digits bring every double back, but 0.1 is nicer than 0.10000000000000001. */
        len = snprintf(text, sizeof(text), "%.15g", number);
        if (strtod(text, NULL) != number)
            len = snprintf(text, sizeof(text), "%.17g", number);
    }
    put(w, text, (size_t)len);
}

static void put_value(struct writer *w, int depth);

static bool is_array(lua_State *L, int index)
{
    bool is_marked = false;

    if (lua_getmetatable(L, index)) {
        luaL_getmetatable(L, ARRAY_TYPE);
        is_marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (!is_marked) {
        is_marked = lua_rawgeti(L, index, 1) != LUA_TNIL;
        lua_pop(L, 1);
    }
    return is_marked;
}

static void put_array(struct writer *w, int index, int depth) /* NOLINT(misc-no-recursion) */
{
    lua_Unsigned count = lua_rawlen(w->L, index);

    put(w, "[", 1);
    for (lua_Unsigned i = 1; i <= count && w->fault == NULL; i++) {
        if (i > 1)
            put(w, ",", 1);
        lua_rawgeti(w->L, index, (lua_Integer)i);
        put_value(w, depth);
        lua_pop(w->L, 1);
    }
    put(w, "]", 1);
}

static void put_object(struct writer *w, int index, int depth) /* NOLINT(misc-no-recursion) */
{
    const char *separator = "";
    struct brim_str name = {0};

    put(w, "{", 1);
    lua_pushnil(w->L);
    while (lua_next(w->L, index)) {
        if (lua_type(w->L, -2) != LUA_TSTRING)
            luaL_error(w->L, "a table for a JSON object has a key that is no string");
        put(w, separator, strlen(separator));
        name.base = lua_tolstring(w->L, -2, &name.len);
        put_string(w, name);
        put(w, ":", 1);
        put_value(w, depth);
        lua_pop(w->L, 1);
        separator = ",";
        if (w->fault != NULL) {
            lua_pop(w->L, 1);
            return;
        }
    }
    put(w, "}", 1);
}

/* The value on top of the stack, which stays there. */
static void put_value(struct writer *w, int depth) /* NOLINT(misc-no-recursion) */
{
    lua_State *L = w->L;
    int index = lua_gettop(L);
    struct brim_str text = {0};

    luaL_checkstack(L, 8, "JSON");
    brim_script_charge(L, VALUE_UNITS / 4);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        put(w, "null", 4);
        break;
    case LUA_TBOOLEAN:
        text = lua_toboolean(L, index) ? BRIM_STR("true") : BRIM_STR("false");
        put(w, text.base, text.len);
        break;
    case LUA_TNUMBER:
        put_number(w, index);
        break;
    case LUA_TSTRING:
        text.base = lua_tolstring(L, index, &text.len);
        put_string(w, text);
        break;
    case LUA_TTABLE:
        if (depth >= DEPTH_MAX)
            luaL_error(L, "nested deeper than 64 (or a table that holds itself)");
        (is_array(L, index) ? put_array : put_object)(w, index, depth + 1);
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) != NULL)
            luaL_error(L, "userdata has no JSON");
        put(w, "null", 4);
        break;
    default:
        luaL_error(L, "a %s has no JSON", luaL_typename(L, index));
    }
}

static int encode(lua_State *L)
{
    struct writer w = {.L = L, .room = FIRST_BYTES};

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    w.base = lua_newuserdatauv(L, w.room, 0); /* SLOT */
    lua_pushvalue(L, 1);
    put_value(&w, 0);
    if (w.fault != NULL)
        return fail(L, w.fault);
    brim_script_charge(L, w.len);
    lua_pushlstring(L, w.base, w.len);
    return 1;
}

static int array(lua_State *L)
{
    if (lua_isnoneornil(L, 1))
        lua_newtable(L);
    else
        luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1))
        return luaL_argerror(L, 1, "a table with a metatable");
    luaL_setmetatable(L, ARRAY_TYPE);
    return 1;
}

static void make_types(lua_State *L)
{
    luaL_newmetatable(L, TREE_TYPE);
    lua_pushcfunction(L, free_tree);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newmetatable(L, ARRAY_TYPE);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

int brim_script_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"decode", decode}, {"encode", encode}, {"array", array}, {NULL, NULL}};

    make_types(L);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
