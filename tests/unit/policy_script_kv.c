/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "brim/cache/kv.h"
#include "folder.h"
#include "lua_rig.h"

#define EXPIRED_ROWS 20000u
#define BUDGET_UNITS 500000u

static char folder[64];

static void setup(void)
{
    const struct brim_kv_config config = {.path = folder, .size_bytes = 16u * 1024 * 1024};

    snprintf(folder, sizeof(folder), "/tmp/brim-kv-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(brim_kv_open(&config, &lua_rig_host.kv), BRIM_OK);
}

static void teardown(void)
{
    brim_kv_close(lua_rig_host.kv);
    lua_rig_host.kv = NULL;
    folder_remove(folder);
}

START_TEST(values_are_kept)
{
    lua_rig_run("local kv = brim.kv eq(kv.get('s', 'a'), nil) eq(kv.set('s', 'a', 'x\\0y'), true) "
                "eq(kv.get('s', 'a'), 'x\\0y') eq(kv.get('t', 'a'), nil) "
                "kv.set('s', 'long', ('z'):rep(200000)) eq(#kv.get('s', 'long'), 200000) "
                "eq(kv.incr('s', 'n'), 1) eq(kv.incr('s', 'n', 9), 10) eq(kv.get('s', 'n'), '10') "
                "eq(table.concat(kv.list('s'), ' '), 'a long n') "
                "eq(table.concat(kv.list('s', 'l', 5), ' '), 'long') "
                "eq(table.concat(kv.list('s', '', 1, 'a'), ' '), 'long') "
                "eq(kv.delete('s', 'a'), true) eq(kv.get('s', 'a'), nil) eq(#kv.list('none'), 0)");
}
END_TEST

START_TEST(values_end_with_their_ttl)
{
    lua_rig_run("brim.kv.set('s', 'k', 'v', 60)");
    lua_rig.wall_ms += 59999;
    lua_rig_run("eq(brim.kv.get('s', 'k'), 'v')");
    lua_rig.wall_ms += 1;
    lua_rig_run("eq(brim.kv.get('s', 'k'), nil)");
}
END_TEST

START_TEST(bad_keys_are_nil_and_wrong_usage_raises)
{
    lua_rig_run(
        "local kv = brim.kv bad('key', kv.get('s', '')) bad('key', kv.set('s', 'a\\0', 'v')) "
        "bad('key', kv.incr('s', ('k'):rep(256))) bad('key', kv.list('s', 'a\\0b')) "
        "kv.set('s', 'word', 'w') bad('number', kv.incr('s', 'word')) "
        "raises('name', kv.get, 'a/b', 'k') raises('string expected', kv.get, 's') "
        "raises('longer', kv.set, 's', 'k', ('v'):rep(262145)) "
        "raises('ttl', kv.set, 's', 'k', 'v', 0) raises('1 to 1000', kv.list, 's', '', 0)");
}
END_TEST

/* Rows that have expired, but not by the clock of the sweep. */
static void set_expired_rows(void)
{
    const int64_t in_2100_ms = 4102444800000;
    enum brim_err err;
    char key[16];

    for (unsigned i = 0; i < EXPIRED_ROWS; i++) {
        struct brim_kv_name name = {.store = BRIM_STR("s")};

        (void)snprintf(key, sizeof(key), "%u", i);
        name.key = brim_str_of(key);
        while ((err = brim_kv_set(lua_rig_host.kv, &name, BRIM_STR(""), in_2100_ms)) == BRIM_ELIMIT)
            ck_assert_int_eq(brim_kv_sync(lua_rig_host.kv), BRIM_OK);
        ck_assert_int_eq(err, BRIM_OK);
    }
    ck_assert_int_eq(brim_kv_sync(lua_rig_host.kv), BRIM_OK);
    lua_rig.wall_ms = in_2100_ms;
}

static void charge_to_a_budget(lua_State *L, size_t units)
{
    lua_rig.charged += units;
    if (lua_rig.charged > BUDGET_UNITS)
        luaL_error(L, "the budget is used up");
}

/* A list that finds nothing may have passed over all there is, while a loop waited for it. */
START_TEST(what_a_list_passes_over_is_charged)
{
    set_expired_rows();
    lua_rig_run("brim.kv.set('s', 'live', '')");
    lua_rig.charged = 0;
    lua_rig_host.charge = charge_to_a_budget;
    lua_rig_run("raises('budget', brim.kv.list, 's', '', 1)");
    ck_assert_uint_lt(lua_rig.charged, 2 * BUDGET_UNITS); /* it did not go on to the end */
    lua_rig_host.charge = lua_rig_charge;
    lua_rig_run("eq(table.concat(brim.kv.list('s'), ' '), 'live')"); /* and holds no lock */
}
END_TEST

START_TEST(without_stores_it_says_so)
{
    struct brim_kv *kv = lua_rig_host.kv;

    lua_rig_host.kv = NULL;
    lua_rig_run("raises('kv.path', brim.kv.get, 's', 'k')");
    lua_rig_host.kv = kv;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_kv");
    TCase *tcase = tcase_create("kv");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, values_are_kept);
    tcase_add_test(tcase, values_end_with_their_ttl);
    tcase_add_test(tcase, bad_keys_are_nil_and_wrong_usage_raises);
    tcase_add_test(tcase, what_a_list_passes_over_is_charged);
    tcase_add_test(tcase, without_stores_it_says_so);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
