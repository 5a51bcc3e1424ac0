/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_lib.h"

#include <lauxlib.h>
#include <lua.h>

#include "unit.h"

static size_t charged;

static void charge(lua_State *L, size_t units)
{
    (void)L;
    charged += units;
}

static struct brim_script_host host = {.charge = charge};

static int take_four(lua_State *L)
{
    struct brim_str text = brim_script_check_bytes(L, 1, 4);

    lua_pushlstring(L, text.base, text.len);
    return 1;
}

/* A leaf runs in coroutines that the script made: they find the same host. */
START_TEST(a_coroutine_finds_the_host_of_its_state)
{
    lua_State *L = luaL_newstate();
    lua_State *thread;

    brim_script_host_set(L, &host);
    thread = lua_newthread(L);
    ck_assert_ptr_eq(brim_script_host_of(thread), &host);
    lua_close(L);
}
END_TEST

START_TEST(what_is_too_long_is_refused_and_the_rest_charged)
{
    lua_State *L = luaL_newstate();

    brim_script_host_set(L, &host);
    lua_pushcfunction(L, take_four);
    lua_pushstring(L, "four");
    ck_assert_int_eq(lua_pcall(L, 1, 1, 0), LUA_OK);
    ck_assert_uint_eq(charged, 4);
    lua_pushcfunction(L, take_four);
    lua_pushstring(L, "and one");
    ck_assert_int_eq(lua_pcall(L, 1, 1, 0), LUA_ERRRUN);
    ck_assert_ptr_nonnull(strstr(lua_tostring(L, -1), "longer than 4 bytes"));
    lua_close(L);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_lib");
    TCase *tcase = tcase_create("script_lib");

    tcase_add_test(tcase, a_coroutine_finds_the_host_of_its_state);
    tcase_add_test(tcase, what_is_too_long_is_refused_and_the_rest_charged);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
