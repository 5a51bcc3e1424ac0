/* SPDX-License-Identifier: MIT */
#include "lua_rig.h"

static char purged[256];
static const char *missing; /* what the host says of it; NULL: nothing */

static const char *note_purge(void *ctx, const struct brim_script_purge *purge)
{
    size_t at = 0;

    (void)ctx;
    purged[0] = '\0';
    for (size_t i = 0; i < purge->count && at < sizeof(purged); i++)
        at += (size_t)snprintf(purged + at, sizeof(purged) - at, "%s %.*s;",
                               brim_purge_noun_words(purge->names[i].noun).one,
                               (int)purge->names[i].text.len, purge->names[i].text.base);
    (void)snprintf(purged + at, sizeof(purged) - at, "%s%s", purge->is_all ? "all" : "",
                   purge->is_soft ? "soft" : "");
    return missing;
}

static void setup(void)
{
    lua_rig_host.purge = note_purge;
    missing = NULL;
}

START_TEST(names_are_handed_on)
{
    lua_rig_run("eq(brim.cache.purge{url = 'http://a/b'}, true)");
    ck_assert_str_eq(purged, "URL http://a/b;");
    lua_rig_run("eq(brim.cache.purge{tags = {'x', 'y'}, soft = true}, true)");
    ck_assert_str_eq(purged, "tag x;tag y;soft");
    lua_rig_run("eq(brim.cache.purge{prefixes = {'//a/img/*'}}, true)");
    ck_assert_str_eq(purged, "prefix //a/img/*;");
    lua_rig_run("eq(brim.cache.purge{hosts = {'a.example'}}, true)");
    ck_assert_str_eq(purged, "host a.example;");
    lua_rig_run("eq(brim.cache.purge{all = true}, true)");
    ck_assert_str_eq(purged, "all");
}
END_TEST

START_TEST(a_mistake_purges_nothing)
{
    purged[0] = '\0';
    lua_rig_run("local p = brim.cache.purge "
                "raises('table expected', p) raises('nothing is named', p, {}) "
                "raises('nothing is named', p, {all = false, soft = true}) "
                "raises('no member \"sotf\"', p, {all = true, sotf = true}) "
                "raises('no member \"\"', p, {'http://a/'}) "
                "raises('list of names', p, {tags = 'x'}) "
                "raises('text is expected', p, {tags = {1}}) "
                "raises('tags: not one tag', p, {tags = {'x', ''}}) "
                "raises('urls: not an absolute', p, {tags = {'x'}, url = '/b'}) "
                "raises('true or false', p, {all = 1}) "
                "local many = {} for i = 1, 101 do many[i] = 'x' end "
                "raises('more than 100', p, {tags = many})");
    ck_assert_str_eq(purged, "");
}
END_TEST

START_TEST(what_is_missing_is_said)
{
    missing = "a restart may forget it";
    lua_rig_run("bad('restart', brim.cache.purge{all = true})");
    lua_rig_host.purge = NULL;
    lua_rig_run("raises('nothing is cached', brim.cache.purge, {all = true})");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_cache");
    TCase *tcase = tcase_create("purge");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, names_are_handed_on);
    tcase_add_test(tcase, a_mistake_purges_nothing);
    tcase_add_test(tcase, what_is_missing_is_said);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
