/* SPDX-License-Identifier: MIT */
#include "lua_rig.h"

START_TEST(urls_come_apart_and_together)
{
    lua_rig_run(
        "local u = brim.url local p = u.parse('https://Example.com:8443/a%20b?x=1&y#f') "
        "eq(p.scheme, 'https') eq(p.port, 8443) eq(p.path, '/a%20b') eq(p.query, 'x=1&y') "
        "eq(p.fragment, 'f') eq(p.host, 'Example.com') "
        "eq(u.parse('http://h').path, '/') eq(u.parse('http://h').port, 80) "
        "eq(u.parse('http://h/').query, nil) eq(u.parse('https://[::1]/').host, '[::1]') "
        "eq(u.build{host = 'h'}, 'https://h/') "
        "eq(u.build{scheme = 'http', host = 'h', port = 80, path = '/p', query = 'a=b'}, "
        "'http://h/p?a=b') eq(u.build{host = '[::1]', port = 8443}, 'https://[::1]:8443/')");
}
END_TEST

START_TEST(queries_come_apart_and_together)
{
    lua_rig_run("local u = brim.url local map, list = u.parse_query('a=1&b=x+y%26&a=2&&c') "
                "eq(map.a, '1') eq(map.b, 'x y&') eq(map.c, '') eq(#list, 4) "
                "eq(list[3][1], 'a') eq(list[3][2], '2') eq(next((u.parse_query(''))), nil) "
                "eq(u.build_query(list), 'a=1&b=x%20y%26&a=2&c=') eq(u.build_query{}, '') "
                "eq(u.build_query{{'n', 5}}, 'n=5') "
                "eq(u.encode('a/b \\xff~'), 'a%2Fb%20%FF~') eq(u.decode('a%2fb+'), 'a/b+')");
}
END_TEST

START_TEST(bad_data_is_nil_and_a_reason)
{
    lua_rig_run("local u = brim.url bad('percent', u.decode('%2')) bad('percent', u.decode('%zz')) "
                "bad('percent', u.parse_query('a=%')) bad('256', u.parse_query(('a&'):rep(257))) "
                "bad('URL', u.parse('ftp://h/')) bad('URL', u.parse('//h/')) "
                "bad('URL', u.parse('http://u@h/')) bad('URL', u.parse('http://h/a b')) "
                "bad('scheme', u.build{scheme = 'file', host = 'h'}) "
                "bad('valid', u.build{}) bad('valid', u.build{host = 'h/x'}) "
                "bad('valid', u.build{host = 'h', path = 'x'}) "
                "bad('valid', u.build{host = 'a', path = '.evil/'}) "
                "bad('valid', u.build{host = 'h', query = 'a\\r\\nb'}) "
                "bad('valid', u.build{host = 'h\\0x'}) "
                "bad('valid', u.build{host = 'h:81'}) "
                "bad('valid', u.build{host = 'h:81', port = 81}) "
                "bad('valid', u.build{host = 'h', path = '/p?admin=1'}) "
                "bad('valid', u.build{host = 'h', path = '/p?', query = 'a'}) "
                "eq(u.build{host = 'h', query = 'a?b'}, 'https://h/?a?b')");
}
END_TEST

START_TEST(wrong_usage_raises)
{
    lua_rig_run("local u = brim.url raises('table expected', u.build, 'x') "
                "raises('host is not a string', u.build, {host = {}}) "
                "raises('1 to 65535', u.build, {host = 'h', port = 0}) "
                "raises('{name, value}', u.build_query, {'a'}) "
                "raises('{name, value}', u.build_query, {{'a'}}) "
                "raises('longer than', u.encode, ('x'):rep(65537))");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_url");
    TCase *tcase = tcase_create("url");

    tcase_add_test(tcase, urls_come_apart_and_together);
    tcase_add_test(tcase, queries_come_apart_and_together);
    tcase_add_test(tcase, bad_data_is_nil_and_a_reason);
    tcase_add_test(tcase, wrong_usage_raises);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
