/* SPDX-License-Identifier: MIT */
#include "lua_rig.h"

START_TEST(base64_and_hex_go_there_and_back)
{
    lua_rig_run("local b, h = brim.base64, brim.hex "
                "for _, row in ipairs{{'', ''}, {'f', 'Zg=='}, {'fo', 'Zm8='}, {'foo', 'Zm9v'}, "
                "{'foobar', 'Zm9vYmFy'}, {'\\xfb\\xff\\xfe', '+//+'}} do "
                "eq(b.encode(row[1]), row[2]) eq(b.decode(row[2]), row[1]) end "
                "eq(b.encode_url('\\xfb\\xff\\xfe'), '-__-') eq(b.decode_url('-__-'), "
                "'\\xfb\\xff\\xfe') eq(b.encode_url('f'), 'Zg') eq(b.decode_url('Zg'), 'f') "
                "eq(b.decode_url('Zg=='), 'f') "
                "local all = {} for i = 0, 255 do all[i + 1] = string.char(i) end "
                "all = table.concat(all) eq(b.decode(b.encode(all)), all) "
                "eq(h.decode(h.encode(all)), all) eq(h.encode('\\0\\xff'), '00ff') "
                "eq(h.decode('00Ff'), '\\0\\xff')");
}
END_TEST

/* One text for one run of bytes: otherwise a signature has several texts. */
START_TEST(loose_texts_are_refused)
{
    lua_rig_run("local b, h = brim.base64, brim.hex "
                "bad('padding', b.decode('Zg')) bad('padding', b.decode('Zg=')) "
                "bad('base64', b.decode('Zh==')) bad('base64', b.decode('Zg==Zg==')) "
                "bad('base64', b.decode('Zm9 ')) bad('base64', b.decode('-__-')) "
                "bad('base64', b.decode_url('+//+')) bad('base64', b.decode('====')) "
                "bad('base64', b.decode_url('A')) bad('padding', b.decode_url('Zg=')) "
                "bad('hex', h.decode('0')) bad('hex', h.decode('0g')) bad('hex', h.decode(' 0'))");
}
END_TEST

START_TEST(wrong_usage_raises)
{
    lua_rig_run("raises('string expected', brim.base64.encode, {}) "
                "raises('string expected', brim.hex.decode) "
                "raises('longer than', brim.base64.encode, ('x'):rep(4194305))");
}
END_TEST

/* What a script may take is the VM's to bound, and running out of it leaks nothing. */
START_TEST(running_out_of_memory_is_an_error_of_lua)
{
    lua_State *L = lua_rig_open();

    lua_rig.memory_max = lua_rig.memory + 2u * 1024 * 1024;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ne(
            luaL_dostring(L, "return brim.hex.encode(brim.base64.encode(('x'):rep(600000)))"),
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
    Suite *suite = suite_create("policy.script_codec");
    TCase *tcase = tcase_create("codec");

    tcase_add_test(tcase, base64_and_hex_go_there_and_back);
    tcase_add_test(tcase, loose_texts_are_refused);
    tcase_add_test(tcase, wrong_usage_raises);
    tcase_add_test(tcase, running_out_of_memory_is_an_error_of_lua);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
