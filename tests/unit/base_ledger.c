/* SPDX-License-Identifier: MIT */
#include "brim/base/ledger.h"

#include <pthread.h>

#include "brim/base/metric.h"
#include "unit.h"

#define CEILING 8000

static struct brim_ledger *ledger;

static void setup(void)
{
    ledger = brim_ledger_open(CEILING);
}

static void teardown(void)
{
    brim_ledger_close(ledger);
    ledger = NULL;
}

/* Each mark is a limit of its own: what costs much is refused while there is room for the rest. */
START_TEST(a_take_is_granted_up_to_its_mark)
{
    static const struct {
        enum brim_ledger_mark mark;
        size_t bytes;
    } rows[] = {{BRIM_LEDGER_NARROW, 4000},
                {BRIM_LEDGER_CROWDED, 6000},
                {BRIM_LEDGER_CLOSED, 7000},
                {BRIM_LEDGER_FULL, 8000}};

    ck_assert(!brim_ledger_take(ledger, rows[_i].bytes + 1, rows[_i].mark));
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    ck_assert(brim_ledger_take(ledger, rows[_i].bytes, rows[_i].mark));
    ck_assert(!brim_ledger_is_beyond(ledger, rows[_i].mark));
    ck_assert(!brim_ledger_take(ledger, 1, rows[_i].mark));
    brim_ledger_hold(ledger, 1);
    ck_assert(brim_ledger_is_beyond(ledger, rows[_i].mark));
    brim_ledger_hold(ledger, -(int64_t)rows[_i].bytes - 1);
    ck_assert(brim_ledger_take(ledger, 1, rows[_i].mark));
}
END_TEST

START_TEST(what_cannot_be_refused_is_held_beyond_all_marks)
{
    brim_ledger_hold(ledger, 10 * CEILING);
    ck_assert_int_eq(brim_ledger_held(ledger), 10 * CEILING);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_CLIENTS_MEMORY), 10 * CEILING);
    ck_assert(!brim_ledger_take(ledger, 0, BRIM_LEDGER_FULL));
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_CLIENTS_MEMORY), 10 * CEILING);
}
END_TEST

/* Or each worker that looks before they have gone would end clients for the whole excess. Until it
 * is free nobody else may have it. */
START_TEST(what_is_expected_back_is_no_excess_and_not_free)
{
    brim_ledger_hold(ledger, CEILING);
    ck_assert_int_eq(brim_ledger_excess(ledger), 2000);
    brim_ledger_expect(ledger, 3000);
    ck_assert_int_eq(brim_ledger_excess(ledger), -1000);
    ck_assert(!brim_ledger_take(ledger, 1, BRIM_LEDGER_FULL));
    brim_ledger_hold(ledger, -3000);
    brim_ledger_expect(ledger, -3000);
    ck_assert_int_eq(brim_ledger_excess(ledger), -1000);
    ck_assert(brim_ledger_take(ledger, 3000, BRIM_LEDGER_FULL));
}
END_TEST

START_TEST(without_a_ceiling_nothing_is_refused)
{
    struct brim_ledger *endless = brim_ledger_open(0);

    for (int i = 0; i < 2; i++) {
        ck_assert(brim_ledger_take(endless, (size_t)1 << 40, BRIM_LEDGER_NARROW));
        ck_assert(!brim_ledger_is_beyond(endless, BRIM_LEDGER_NARROW));
        ck_assert_int_le(brim_ledger_excess(endless), 0);
        brim_ledger_hold(endless, -(INT64_C(1) << 40));
        ck_assert_int_eq(brim_ledger_held(endless), 0);
        brim_ledger_expect(endless, 1);
        brim_ledger_close(endless);
        endless = NULL;
    }
}
END_TEST

/* Whoever is many times at the door must not keep others out: alone, he stops at a third. */
START_TEST(a_greedy_share_is_refused_before_others_are)
{
    struct brim_ledger greedy = {0}, modest = {0};
    unsigned taken = 0;

    brim_ledger_share(&greedy, ledger);
    brim_ledger_share(&modest, ledger);
    brim_ledger_share(&modest, ledger); /* as good as once */
    ck_assert_ptr_eq(brim_ledger_whole(&greedy), ledger);
    ck_assert_ptr_eq(brim_ledger_whole(ledger), ledger);
    ck_assert_ptr_null(brim_ledger_whole(NULL));
    while (brim_ledger_take(&greedy, 100, BRIM_LEDGER_FULL))
        taken += 100;
    ck_assert_uint_ge(taken, CEILING / 3 - 100);
    ck_assert_uint_le(taken, CEILING / 3 + 100);
    ck_assert(brim_ledger_is_beyond(&greedy, BRIM_LEDGER_CLOSED));
    ck_assert(!brim_ledger_is_beyond(&modest, BRIM_LEDGER_NARROW));
    ck_assert(!brim_ledger_is_beyond(ledger, BRIM_LEDGER_NARROW));
    ck_assert(brim_ledger_take(&modest, CEILING / 3, BRIM_LEDGER_FULL));
    ck_assert(!brim_ledger_take(&modest, 100, BRIM_LEDGER_FULL)); /* no longer modest */
    ck_assert(brim_ledger_take(ledger, 100, BRIM_LEDGER_FULL));
    ck_assert_int_eq(brim_ledger_held(&greedy), taken);
    ck_assert_int_eq(brim_ledger_held(ledger), taken + CEILING / 3 + 100);
    brim_ledger_expect(&greedy, taken);
    brim_ledger_hold(&greedy, -(int64_t)taken);
    brim_ledger_expect(&greedy, -(int64_t)taken);
    brim_ledger_hold(&modest, -CEILING / 3);
    brim_ledger_hold(ledger, -100);
    ck_assert_int_eq(brim_ledger_held(ledger) + brim_ledger_held(&greedy), 0);
    ck_assert_int_eq(brim_ledger_excess(ledger), -CEILING / 4 * 3);
}
END_TEST

/* Up to a quarter of all it is nobody's concern whose it is. */
START_TEST(a_share_is_as_large_as_it_likes_while_little_is_held)
{
    struct brim_ledger share = {0}, endless_share = {0};
    struct brim_ledger *endless = brim_ledger_open(0);

    brim_ledger_share(&share, ledger);
    brim_ledger_hold(&share, CEILING / 4);
    ck_assert(!brim_ledger_is_beyond(&share, BRIM_LEDGER_NARROW));
    ck_assert(!brim_ledger_is_beyond(&share, BRIM_LEDGER_SHARED));
    brim_ledger_hold(&share, 1);
    ck_assert(brim_ledger_is_beyond(&share, BRIM_LEDGER_NARROW));
    ck_assert(!brim_ledger_is_beyond(&share, BRIM_LEDGER_CLOSED));
    brim_ledger_share(&endless_share, endless);
    ck_assert(brim_ledger_take(&endless_share, (size_t)1 << 40, BRIM_LEDGER_FULL));
    ck_assert(!brim_ledger_is_beyond(&endless_share, BRIM_LEDGER_FULL));
    brim_ledger_close(endless);
}
END_TEST

static void *take_and_give(void *arg)
{
    unsigned *taken = arg;

    for (int i = 0; i < 20000; i++) {
        if (!brim_ledger_take(ledger, 3000, BRIM_LEDGER_FULL))
            continue;
        ++*taken;
        ck_assert(!brim_ledger_is_beyond(ledger, BRIM_LEDGER_FULL) ||
                  brim_ledger_held(ledger) <= CEILING + 2 * 3000);
        brim_ledger_hold(ledger, -3000);
    }
    return NULL;
}

/* Two fit, four ask: whatever the order, nothing is lost and nothing is granted twice. */
START_TEST(many_threads_take_and_give_back)
{
    pthread_t threads[4];
    unsigned taken[4] = {0};

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, &taken[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    ck_assert_uint_gt(taken[0] + taken[1] + taken[2] + taken[3], 0);
    ck_assert(brim_ledger_take(ledger, CEILING, BRIM_LEDGER_FULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/ledger");
    TCase *tcase = tcase_create("ledger");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_take_is_granted_up_to_its_mark, 0, 4);
    tcase_add_test(tcase, what_cannot_be_refused_is_held_beyond_all_marks);
    tcase_add_test(tcase, what_is_expected_back_is_no_excess_and_not_free);
    tcase_add_test(tcase, without_a_ceiling_nothing_is_refused);
    tcase_add_test(tcase, a_greedy_share_is_refused_before_others_are);
    tcase_add_test(tcase, a_share_is_as_large_as_it_likes_while_little_is_held);
    tcase_add_test(tcase, many_threads_take_and_give_back);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
