/* SPDX-License-Identifier: MIT */
#include "lua_rig.h"

START_TEST(values_go_there_and_back)
{
    lua_rig_run(
        "local j = brim.json "
        "for _, text in ipairs{'null', 'true', '1', '-9223372036854775808', '0.1', '1e+300', "
        "'\"a\\\\u0000\\\\n\\\\\"\\\\\\\\\"', '[]', '{}', '[1,[],{}]', '{\"a\":{\"b\":[null]}}'} "
        "do "
        "eq(j.encode(j.decode(text)), text) end "
        "local t = j.decode('{\"a\":[1,2,3],\"b\":null}') eq(#t.a, 3) eq(t.b, j.null) "
        "eq(math.type(j.decode('1')), 'integer') eq(math.type(j.decode('1.0')), 'float') "
        "eq(j.decode('\"\\\\u00e9\\\\ud83d\\\\ude00\"'), '\\u{e9}\\u{1F600}') "
        "eq(j.encode({}), '{}') eq(j.encode(j.array()), '[]') eq(j.encode(j.array{}), '[]') "
        "eq(j.encode{1, 'x', false}, '[1,\"x\",false]') eq(j.encode('\\127'), '\"\\\\u007f\"') "
        "local long = ('y'):rep(100000) eq(j.encode(long), '\"' .. long .. '\"')");
}
END_TEST

START_TEST(bad_data_is_nil_and_a_reason)
{
    lua_rig_run(
        "local j = brim.json "
        "bad('line 1', j.decode('')) bad('line 1', j.decode('{')) bad('line 1', j.decode('[1] x')) "
        "bad('line 2', j.decode('[\\nx]')) bad('duplicate', j.decode('{\"a\":1,\"a\":2}')) "
        "bad('big integer', j.decode('9223372036854775808')) bad('line', j.decode('\"\\xff\"')) "
        "bad('deeper than 64', j.decode(('['):rep(65))) "
        "bad('100000 values', j.decode('[' .. ('0,'):rep(100001) .. '0]')) "
        "eq(type(j.decode('\"' .. (','):rep(200000) .. '\"')), 'string') "
        "bad('UTF-8', j.encode('\\xff')) bad('UTF-8', j.encode{a = '\\xed\\xa0\\x80'}) "
        "bad('UTF-8', j.encode('\\xc0\\x80')) bad('UTF-8', j.encode('a\\xc3')) "
        "bad('finite', j.encode(1/0)) bad('finite', j.encode{0/0}) "
        "bad('longer', j.encode{('x'):rep(600000), ('x'):rep(600000)})");
}
END_TEST

START_TEST(wrong_usage_raises)
{
    lua_rig_run("local j = brim.json local loop = {} loop[1] = loop "
                "raises('deeper', j.encode, loop) raises('function', j.encode, {print}) "
                "raises('no string', j.encode, {[true] = 1}) raises('value expected', j.encode) "
                "raises('longer than', j.decode, (' '):rep(1048577)) "
                "raises('metatable', j.array, setmetatable({}, {})) "
                "raises('protected', setmetatable, j.decode('[]'), {}) "
                "eq(getmetatable(j.array()), false)");
}
END_TEST

/* Metamethods of a script's table are not asked: they could do anything in the middle. */
START_TEST(encoding_is_raw)
{
    lua_rig_run("local t = setmetatable({a = 1}, {__index = error, __pairs = error, "
                "__len = error}) eq(brim.json.encode(t), '{\"a\":1}')");
}
END_TEST

/* The tree of jansson is freed by the error that Lua raises in the middle. */
START_TEST(running_out_of_memory_leaks_nothing)
{
    lua_State *L = lua_rig_open();

    lua_rig.memory_max = lua_rig.memory + 1024u * 1024;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ne(
            luaL_dostring(L, "return brim.json.decode('[' .. ('[],'):rep(40000) .. '0]')"), LUA_OK);
        lua_settop(L, 0);
        ck_assert_int_ne(luaL_dostring(L, "local t = {} for i = 1, 9 do t[i] = ('x'):rep(99999) "
                                          "end return brim.json.encode(t)"),
                         LUA_OK);
        lua_settop(L, 0);
        lua_gc(L, LUA_GCCOLLECT);
    }
    lua_close(L);
    ck_assert_uint_eq(lua_rig.memory, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_json");
    TCase *tcase = tcase_create("json");

    tcase_add_test(tcase, values_go_there_and_back);
    tcase_add_test(tcase, bad_data_is_nil_and_a_reason);
    tcase_add_test(tcase, wrong_usage_raises);
    tcase_add_test(tcase, encoding_is_raw);
    tcase_add_test(tcase, running_out_of_memory_leaks_nothing);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
