/* SPDX-License-Identifier: MIT */
#include "lua_rig.h"

START_TEST(times_are_written_and_read)
{
    lua_rig_run("local t = brim.time eq(t.now(), 1700000000) eq(t.now_ms(), 1700000000123) "
                "eq(t.http(784111777), 'Sun, 06 Nov 1994 08:49:37 GMT') "
                "eq(t.parse_http('Sun, 06 Nov 1994 08:49:37 GMT'), 784111777) "
                "eq(t.iso(784111777), '1994-11-06T08:49:37Z') eq(t.iso(), '2023-11-14T22:13:20Z') "
                "eq(t.parse_iso('1994-11-06T08:49:37Z'), 784111777) "
                "eq(t.parse_iso('1994-11-06t09:49:37.25+01:00'), 784111777) "
                "eq(t.parse_iso('1994-11-05 23:49:37-09:00'), 784111777) "
                "eq(t.parse_iso('2024-02-29T00:00:00Z'), 1709164800) "
                "eq(t.iso(-62167219200), '0000-01-01T00:00:00Z')");
}
END_TEST

START_TEST(bad_data_is_nil_and_a_reason)
{
    lua_rig_run("local t = brim.time bad('HTTP date', t.parse_http('yesterday')) "
                "for _, text in ipairs{'', '1994-11-06', '1994-11-06T08:49:37', "
                "'1994-13-06T08:49:37Z', '2023-02-29T00:00:00Z', '1994-11-06T24:00:00Z', "
                "'1994-11-06T08:49:37+25:00', '1994-11-06\\0008:49:37Z', "
                "'1994\\r11-06T08:49:37Z', '1994-11-06T08:49:37Zx'} do "
                "bad('RFC 3339', t.parse_iso(text)) end");
}
END_TEST

START_TEST(wrong_usage_raises)
{
    lua_rig_run("raises('years', brim.time.http, 253402300800) "
                "raises('years', brim.time.iso, math.mininteger) "
                "raises('number expected', brim.time.iso, {})");
}
END_TEST

START_TEST(metrics_are_counted_by_the_host)
{
    lua_rig_run(
        "brim.metric('logins') brim.metric('logins', 2) "
        "raises('not a name', brim.metric, 'a b') raises('not a name', brim.metric, '1a') "
        "raises('not a name', brim.metric, '') raises('longer', brim.metric, ('a'):rep(65)) "
        "raises('not 0 to', brim.metric, 'a', -1)");
    ck_assert_str_eq(lua_rig.counted, "logins");
    ck_assert_int_eq(lua_rig.counted_n, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_time");
    TCase *tcase = tcase_create("time");

    tcase_add_test(tcase, times_are_written_and_read);
    tcase_add_test(tcase, bad_data_is_nil_and_a_reason);
    tcase_add_test(tcase, wrong_usage_raises);
    tcase_add_test(tcase, metrics_are_counted_by_the_host);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
