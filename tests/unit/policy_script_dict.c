/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "brim/policy/dict.h"
#include "lua_rig.h"

#define KEY   (&(struct brim_dict_key){BRIM_STR("d"), BRIM_STR("k")})
#define STEPS 2000

static void setup(void)
{
    lua_rig_host.dict = brim_dict_open(1024u * 1024);
}

static void teardown(void)
{
    brim_dict_close(lua_rig_host.dict);
    lua_rig_host.dict = NULL;
}

START_TEST(values_are_shared_by_name_and_key)
{
    lua_rig_run("local d = brim.dict eq(d.get('a', 'k'), nil) eq(d.set('a', 'k', 'x\\0y'), true) "
                "eq(d.get('a', 'k'), 'x\\0y') eq(d.get('b', 'k'), nil) eq(d.get('a', ''), nil) "
                "d.set('a', 'n', 5) eq(d.get('a', 'n'), 5) eq(d.incr('a', 'n', -7), -2) "
                "eq(d.incr('a', 'new'), 1) d.set('a', 'long', ('z'):rep(65536)) "
                "eq(#d.get('a', 'long'), 65536) d.delete('a', 'k') eq(d.get('a', 'k'), nil)");
}
END_TEST

START_TEST(values_end_with_their_ttl)
{
    lua_rig_run("brim.dict.set('a', 'k', 'v', 0.5) brim.dict.incr('a', 'n', 1, 10)");
    lua_rig.mono_us += 499999;
    lua_rig_run("eq(brim.dict.get('a', 'k'), 'v')");
    lua_rig.mono_us += 1;
    lua_rig_run("eq(brim.dict.get('a', 'k'), nil) eq(brim.dict.incr('a', 'n', 1, 10), 2)");
    lua_rig.mono_us += 9500000; /* counted from the first */
    lua_rig_run("eq(brim.dict.incr('a', 'n', 1, 10), 1)");
}
END_TEST

START_TEST(bad_data_is_nil_and_wrong_usage_raises)
{
    lua_rig_run("local d = brim.dict bad('longer', d.get('a', ('k'):rep(256))) "
                "d.set('a', 's', 'text') bad('number', d.incr('a', 's')) "
                "d.set('a', 'n', math.maxinteger) bad('too large', d.incr('a', 'n')) "
                "raises('not a name', d.get, '', 'k') raises('longer', d.get, ('n'):rep(65), 'k') "
                "raises('longer', d.set, 'a', 'k', ('v'):rep(65537)) "
                "raises('ttl', d.set, 'a', 'k', 'v', 0) raises('ttl', d.set, 'a', 'k', 'v', 0/0) "
                "raises('not above', brim.ratelimit, 'a', 'k', 0, 1) "
                "raises('not above', brim.ratelimit, 'a', 'k', 0/0, 1) "
                "raises('1000000', brim.ratelimit, 'a', 'k', 1, 0)");
    brim_dict_close(lua_rig_host.dict);
    lua_rig_host.dict = NULL;
    lua_rig_run("raises('no shared', brim.dict.get, 'a', 'k')");
}
END_TEST

/* burst at once, then one each 1/rate; what is refused costs nothing. */
START_TEST(a_rate_is_kept)
{
    lua_rig_run("local r = brim.ratelimit for left = 2, 0, -1 do local ok, n = r('a', 'k', 2, 3) "
                "eq(ok, true) eq(n, left) end "
                "for _ = 1, 5 do local ok, n, wait = r('a', 'k', 2, 3) eq(ok, false) eq(n, 0) "
                "eq(wait, 0.5) end eq((r('a', 'other', 2, 3)), true)");
    lua_rig.mono_us += 500000;
    lua_rig_run("eq((brim.ratelimit('a', 'k', 2, 3)), true) "
                "eq((brim.ratelimit('a', 'k', 2, 3)), false)");
    lua_rig.mono_us += 60000000;
    lua_rig_run("local ok, n, wait = brim.ratelimit('a', 'k', 2, 3) eq(ok, true) eq(n, 2) "
                "eq(wait, 0.5) local long = ('x'):rep(255) "
                "eq((brim.ratelimit('b', long .. '1', 1, 1)), true) "
                "eq((brim.ratelimit('b', long .. '2', 1, 1)), false) "
                "brim.ratelimit('c', 'k', 1e-9, 1000000) brim.ratelimit('c', 'k', 1e6, 1)");
}
END_TEST

/* Whatever is put in, it stays within its bytes, and what is used stays longest. */
START_TEST(the_oldest_go_when_it_is_full)
{
    lua_rig_run("local d = brim.dict local kept = 0 for i = 1, 50000 do "
                "d.set('f', i, ('x'):rep(100)) d.get('f', 1) end "
                "eq(d.get('f', 1), ('x'):rep(100)) eq(d.get('f', 2), nil) "
                "eq(d.get('f', 50000), ('x'):rep(100)) "
                "for i = 1, 50000 do if d.get('f', i) then kept = kept + 1 end end "
                "assert(kept > 3000 and kept < 10000, kept)");
}
END_TEST

static void *add_many(void *ctx)
{
    const struct brim_dict_step step = {.n = 1};
    int64_t sum;

    for (int i = 0; i < STEPS; i++)
        if (brim_dict_incr(ctx, KEY, &step, &sum) != BRIM_OK)
            return ctx;
    return NULL;
}

START_TEST(no_step_of_many_threads_is_lost)
{
    struct brim_dict_value value;
    pthread_t threads[4];
    void *failed;

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, lua_rig_host.dict), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    ck_assert_int_eq(
        brim_dict_get(lua_rig_host.dict, KEY, 0, (struct brim_dict_room){NULL, 0}, &value),
        BRIM_OK);
    ck_assert_int_eq(value.number, 4 * STEPS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_dict");
    TCase *tcase = tcase_create("dict");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, values_are_shared_by_name_and_key);
    tcase_add_test(tcase, values_end_with_their_ttl);
    tcase_add_test(tcase, bad_data_is_nil_and_wrong_usage_raises);
    tcase_add_test(tcase, a_rate_is_kept);
    tcase_add_test(tcase, the_oldest_go_when_it_is_full);
    tcase_add_test(tcase, no_step_of_many_threads_is_lost);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
