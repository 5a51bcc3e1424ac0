/* SPDX-License-Identifier: MIT */
#include "lua_rig.h"

/* RFC 4231 2.3 and FIPS 180-4. */
START_TEST(digests_are_those_of_the_standards)
{
    lua_rig_run(
        "local hex = brim.hex.encode "
        "eq(hex(brim.sha256('abc')), "
        "'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad') "
        "local mac = brim.hmac.sign('sha256', 'Jefe', 'what do ya want for nothing?') "
        "eq(hex(mac), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') "
        "eq(#brim.hmac.sign('sha384', 'k', ''), 48) eq(#brim.hmac.sign('sha512', 'k', ''), 64) "
        "eq(#brim.hmac.sign('sha1', 'k', ''), 20) "
        "eq(brim.hmac.verify('sha256', 'Jefe', 'what do ya want for nothing?', mac), true) "
        "eq(brim.hmac.verify('sha256', 'Jeff', 'what do ya want for nothing?', mac), false) "
        "eq(brim.hmac.verify('sha256', 'Jefe', 'x', ''), false) "
        "eq(brim.hmac.equal('ab', 'ab'), true) eq(brim.hmac.equal('ab', 'a'), false)");
}
END_TEST

START_TEST(wrong_usage_raises)
{
    lua_rig_run("raises('invalid option', brim.hmac.sign, 'md5', 'k', 'x') "
                "raises('key is empty', brim.hmac.sign, 'sha256', '', 'x') "
                "raises('65536', brim.random.bytes, 65537) "
                "raises('65536', brim.random.bytes, -1) "
                "raises('less than', brim.random.int, 2, 1)");
}
END_TEST

START_TEST(chance_and_time_are_the_hosts)
{
    lua_rig_run("eq(brim.random.bytes(2), '\\xab\\xab') eq(brim.random.bytes(0), '') "
                "eq(brim.random.int(5, 5), 5) "
                "local n = brim.random.int(-3, 9) assert(n >= -3 and n <= 9) "
                "brim.random.int(math.mininteger, math.maxinteger) "
                "eq(brim.uuid.v4(), 'abababab-abab-4bab-abab-abababababab') "
                "eq(brim.uuid.v7(), '018bcfe5-687b-7bab-abab-abababababab')");
}
END_TEST

/* A hash costs more than the instructions that call it. */
START_TEST(work_is_charged)
{
    lua_rig_run("brim.sha256(('x'):rep(100000))");
    ck_assert_uint_ge(lua_rig.charged, 800000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_crypto");
    TCase *tcase = tcase_create("crypto");

    tcase_add_test(tcase, digests_are_those_of_the_standards);
    tcase_add_test(tcase, wrong_usage_raises);
    tcase_add_test(tcase, chance_and_time_are_the_hosts);
    tcase_add_test(tcase, work_is_charged);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
