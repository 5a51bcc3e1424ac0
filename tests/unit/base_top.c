/* SPDX-License-Identifier: MIT */
#include "brim/base/top.h"

#include <stdio.h>

#include "unit.h"

static struct brim_top *top;
static struct brim_top_entry entries[BRIM_TOP_ENTRIES * 2];

static void set_up(void)
{
    top = brim_top_open(2);
}

static void tear_down(void)
{
    brim_top_close(top);
}

static void count(size_t worker, const char *target, unsigned times)
{
    while (times-- > 0)
        brim_top_count(top, worker, BRIM_STR("a.example"), brim_str_of(target));
}

/* It costs nothing while nobody wants to know. */
START_TEST(nothing_is_counted_before_the_first_look)
{
    count(0, "/a", 3);
    ck_assert_uint_eq(brim_top_read(top, entries, 5), 0);
    count(0, "/a", 3);
    ck_assert_uint_eq(brim_top_read(top, entries, 5), 1);
    ck_assert_uint_eq(entries[0].count, 3);
}
END_TEST

/* Connections of one visitor are spread over all workers. */
START_TEST(workers_are_added_up_and_the_most_comes_first)
{
    (void)brim_top_read(top, entries, 1);
    count(0, "/a", 3);
    count(1, "/a?token=1", 3);
    count(1, "/b", 4);
    count(0, "/c", 1);
    ck_assert_uint_eq(brim_top_read(top, entries, 2), 2);
    ck_assert_str_eq(entries[0].text, "a.example/a");
    ck_assert_uint_eq(entries[0].count, 6);
    ck_assert_str_eq(entries[1].text, "a.example/b");
}
END_TEST

/* A crawler asks for a million URLs once each: what is popular must stand out of them. */
START_TEST(a_popular_url_is_found_among_many)
{
    char target[32];

    (void)brim_top_read(top, entries, 1);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(target, sizeof(target), "/page/%d", i);
        count(0, target, 1);
        if (i % 20 == 0)
            count(0, "/popular", 1);
    }
    ck_assert_uint_gt(brim_top_read(top, entries, 1), 0);
    ck_assert_str_eq(entries[0].text, "a.example/popular");
    ck_assert_uint_ge(entries[0].count, 1000);
    ck_assert_uint_le(entries[0].count - entries[0].error, 1000);
}
END_TEST

START_TEST(a_long_url_is_cut)
{
    char target[600];

    memset(target, 'x', sizeof(target) - 1);
    target[0] = '/';
    target[sizeof(target) - 1] = '\0';
    (void)brim_top_read(top, entries, 1);
    count(0, target, 1);
    ck_assert_uint_eq(brim_top_read(top, entries, 1), 1);
    ck_assert_uint_eq(strlen(entries[0].text), BRIM_TOP_TEXT_BYTES - 1);
}
END_TEST

/* What was popular yesterday is not top now. */
START_TEST(counts_fade)
{
    (void)brim_top_read(top, entries, 1);
    count(0, "/a", 5);
    count(0, "/b", 1);
    brim_top_tick(top); /* the first that it has ever seen */
    ck_assert_uint_eq(brim_top_read(top, entries, 5), 1);
    ck_assert_uint_eq(entries[0].count, 2);
    brim_top_tick(top); /* too soon */
    ck_assert_uint_eq(brim_top_read(top, entries, 5), 1);
    ck_assert_uint_eq(entries[0].count, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/top");
    TCase *tcase = tcase_create("top");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, nothing_is_counted_before_the_first_look);
    tcase_add_test(tcase, workers_are_added_up_and_the_most_comes_first);
    tcase_add_test(tcase, a_popular_url_is_found_among_many);
    tcase_add_test(tcase, a_long_url_is_cut);
    tcase_add_test(tcase, counts_fade);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
