/* SPDX-License-Identifier: MIT */
/*
 * brim.cache.purge{...}: the same members as POST /v1/purge. Checked whole before anything is
 * purged, so that a mistake purges nothing.
 */
#include <lauxlib.h>
#include <lua.h>

#include "brim/policy/script_lib.h"

#define NAMES_MAX  100
#define NAME_BYTES 16384
#define NAME_UNITS 5000u

static void add_name(lua_State *L, int value, enum brim_purge_noun noun,
                     struct brim_script_purge *purge)
{
    struct brim_script_purge_name *names = lua_touserdata(L, 2);
    struct brim_purge_words words = brim_purge_noun_words(noun);
    uint64_t scopes[BRIM_PURGE_NAME_SCOPES];
    struct brim_str text;

    if (purge->count == NAMES_MAX)
        luaL_error(L, "brim.cache.purge: more than %d names", NAMES_MAX);
    if (lua_type(L, value) != LUA_TSTRING)
        luaL_error(L, "brim.cache.purge: %s: text is expected, not %s", words.list,
                   luaL_typename(L, value));
    text = brim_script_check_bytes(L, value, NAME_BYTES);
    brim_script_charge(L, NAME_UNITS);
    if (brim_purge_name_scopes(noun, text, scopes) == 0)
        luaL_error(L, "brim.cache.purge: %s: not %s", words.list, words.what);
    names[purge->count++] = (struct brim_script_purge_name){noun, text};
}

/* The texts stay in the list, which stays in the argument. */
static void add_list(lua_State *L, int list, enum brim_purge_noun noun,
                     struct brim_script_purge *purge)
{
    lua_Integer count;

    luaL_argexpected(L, lua_istable(L, list), 1, "list of names");
    count = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i);
        add_name(L, lua_gettop(L), noun, purge);
        lua_pop(L, 1);
    }
}

/* The member's name at index 3, its value at 4. */
static void take_member(lua_State *L, struct brim_script_purge *purge)
{
    const char *member = lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3) : "";

    for (unsigned noun = 0; noun < BRIM_PURGE_NOUNS; noun++)
        if (strcmp(member, brim_purge_noun_words((enum brim_purge_noun)noun).list) == 0) {
            add_list(L, 4, (enum brim_purge_noun)noun, purge);
            return;
        }
    if (strcmp(member, "url") == 0) {
        add_name(L, 4, BRIM_PURGE_URL, purge);
        return;
    }
    if (strcmp(member, "all") != 0 && strcmp(member, "soft") != 0)
        luaL_error(L, "brim.cache.purge: there is no member \"%s\"", member);
    luaL_argexpected(L, lua_isboolean(L, 4), 1, "true or false for all and soft");
    *(member[0] == 'a' ? &purge->is_all : &purge->is_soft) = lua_toboolean(L, 4);
}

/* ({urls =, prefixes =, hosts =, tags =, url =, all =, soft =}) */
static int purge(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);
    struct brim_script_purge purge = {0};
    const char *missing;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    purge.names = lua_newuserdatauv(L, NAMES_MAX * sizeof(*purge.names), 0);
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        take_member(L, &purge);
        lua_settop(L, 3);
    }
    if (purge.count == 0 && !purge.is_all)
        luaL_error(L, "brim.cache.purge: nothing is named that is to be purged");
    if (host->purge == NULL)
        luaL_error(L, "brim.cache.purge: nothing is cached here");
    missing = host->purge(host->ctx, &purge);
    if (missing == NULL) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, missing);
    return 2;
}

int brim_script_open_cache(lua_State *L)
{
    static const luaL_Reg functions[] = {{"purge", purge}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
