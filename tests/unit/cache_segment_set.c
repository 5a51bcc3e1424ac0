/* SPDX-License-Identifier: MIT */
#include "brim/cache/segment_set.h"

#include <stdlib.h>

#include "unit.h"

enum { NUMBERS = 200, ROUNDS = 200 };

static struct brim_segment_set set;

static void setup(void)
{
    set = (struct brim_segment_set){0};
}

static void teardown(void)
{
    brim_segment_set_fini(&set);
}

static void add(uint32_t segment)
{
    ck_assert_int_eq(brim_segment_set_add(&set, segment), BRIM_OK);
}

START_TEST(empty_has_none)
{
    ck_assert(!brim_segment_set_has(&set, 0));
    ck_assert(!brim_segment_set_has(&set, UINT32_MAX));
    ck_assert_uint_eq(brim_segment_set_lowest(&set), UINT32_MAX);
    ck_assert_uint_eq(brim_segment_set_ram_bytes(&set), 0);
}
END_TEST

/* As a body that is written in one go, however many segments it takes. */
START_TEST(what_follows_on_takes_no_more_memory)
{
    size_t bytes;

    add(7);
    bytes = brim_segment_set_ram_bytes(&set);
    for (uint32_t segment = 7; segment < 1000; segment++)
        add(segment);
    for (uint32_t segment = 6; segment > 0; segment--)
        add(segment);
    ck_assert_uint_eq(brim_segment_set_ram_bytes(&set), bytes);
    ck_assert_uint_eq(brim_segment_set_lowest(&set), 1);
    ck_assert(brim_segment_set_has(&set, 500));
    ck_assert(!brim_segment_set_has(&set, 0));
    ck_assert(!brim_segment_set_has(&set, 1000));
}
END_TEST

START_TEST(the_highest_numbers_are_like_others)
{
    add(UINT32_MAX);
    add(0);
    ck_assert(brim_segment_set_has(&set, UINT32_MAX));
    ck_assert(!brim_segment_set_has(&set, UINT32_MAX - 1));
    add(UINT32_MAX - 1);
    ck_assert(brim_segment_set_has(&set, UINT32_MAX - 1));
    ck_assert(brim_segment_set_has(&set, 0));
    ck_assert(!brim_segment_set_has(&set, 1));
}
END_TEST

/* In any order, with numbers that come again. */
START_TEST(it_has_what_was_added_and_nothing_else)
{
    srand(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool added[NUMBERS] = {false};

        for (int i = rand() % NUMBERS; i >= 0; i--) {
            uint32_t segment = (uint32_t)(rand() % NUMBERS);

            add(segment);
            added[segment] = true;
        }
        for (uint32_t segment = 0; segment < NUMBERS; segment++)
            ck_assert_int_eq(brim_segment_set_has(&set, segment), added[segment]);
        ck_assert(added[brim_segment_set_lowest(&set)]);
        for (uint32_t segment = 0; segment < brim_segment_set_lowest(&set); segment++)
            ck_assert(!added[segment]);
        brim_segment_set_fini(&set);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/segment_set");
    TCase *tc = tcase_create("segment_set");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, empty_has_none);
    tcase_add_test(tc, what_follows_on_takes_no_more_memory);
    tcase_add_test(tc, the_highest_numbers_are_like_others);
    tcase_add_test(tc, it_has_what_was_added_and_nothing_else);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
