/* SPDX-License-Identifier: MIT */
#include "brim/policy/geo.h"

#include "lua_rig.h"

static enum brim_err find(void *ctx, struct brim_str ip, struct brim_geo_place *place_out)
{
    (void)ctx;
    if (brim_str_is(ip, BRIM_STR("bad")))
        return BRIM_EINVAL;
    if (brim_str_is(ip, BRIM_STR("192.0.2.9")))
        return BRIM_ENOENT;
    if (brim_str_is(ip, BRIM_STR("192.0.2.8")))
        return BRIM_ECORRUPT;
    *place_out = (struct brim_geo_place){.continent = "EU",
                                         .country = "AT",
                                         .region = "9",
                                         .city = "Wien",
                                         .time_zone = "Europe/Vienna",
                                         .organisation = "Example",
                                         .asn = 4294967295u,
                                         .has_position = true,
                                         .latitude = 48.25,
                                         .longitude = -16.5};
    if (brim_str_is(ip, BRIM_STR("192.0.2.2")))
        *place_out = (struct brim_geo_place){.country = "AT"};
    return BRIM_OK;
}

START_TEST(a_place_is_a_table_of_what_is_known)
{
    lua_rig_host.geo = find;
    lua_rig_run("local p = brim.geo('192.0.2.1') eq(p.continent, 'EU') eq(p.country, 'AT') "
                "eq(p.region, '9') eq(p.city, 'Wien') eq(p.time_zone, 'Europe/Vienna') "
                "eq(p.organisation, 'Example') eq(p.asn, 4294967295) eq(p.latitude, 48.25) "
                "eq(p.longitude, -16.5) p = brim.geo('192.0.2.2') eq(p.country, 'AT') "
                "eq(p.city, nil) eq(p.asn, nil) eq(p.latitude, nil)");
}
END_TEST

START_TEST(what_is_not_known_is_nil_and_a_reason)
{
    lua_rig_host.geo = find;
    lua_rig_run("bad('not an address', brim.geo('bad')) bad('nothing', brim.geo('192.0.2.9')) "
                "bad('damaged', brim.geo('192.0.2.8')) raises('string expected', brim.geo) "
                "raises('longer', brim.geo, ('1'):rep(65))");
    lua_rig_host.geo = NULL;
    lua_rig_run("raises('node.geo', brim.geo, '192.0.2.1')");
}
END_TEST

START_TEST(what_is_no_such_file_is_refused)
{
    struct brim_geo *geo;

    ck_assert_int_eq(brim_geo_open("/nowhere.mmdb", &geo), BRIM_EIO);
    ck_assert_int_eq(brim_geo_open("/etc/passwd", &geo), BRIM_ECORRUPT);
    brim_geo_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_geo");
    TCase *tcase = tcase_create("geo");

    tcase_add_test(tcase, a_place_is_a_table_of_what_is_known);
    tcase_add_test(tcase, what_is_not_known_is_nil_and_a_reason);
    tcase_add_test(tcase, what_is_no_such_file_is_refused);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
