/* SPDX-License-Identifier: MIT */
#include "brim/base/spans.h"

#include <string.h>

#include "unit.h"

START_TEST(numbers_and_ranges_make_a_set)
{
    struct brim_spans spans;

    ck_assert_int_eq(brim_spans_parse(" 200-299, 404 ,500 - 500", &spans), BRIM_OK);
    ck_assert_uint_eq(spans.count, 3);
    ck_assert(brim_spans_has(&spans, 200));
    ck_assert(brim_spans_has(&spans, 299));
    ck_assert(brim_spans_has(&spans, 404));
    ck_assert(brim_spans_has(&spans, 500));
    ck_assert(!brim_spans_has(&spans, 199));
    ck_assert(!brim_spans_has(&spans, 300));
    ck_assert(!brim_spans_has(&spans, 405));
}
END_TEST

static const char *const bad[] = {"",     " ",       "a",      "200-",   "-200",       "299-200",
                                  "200,", ",200",    "200;1",  "200--1", "2 0",        "12345",
                                  "0x10", "200-2o4", "+200,1", "1.5",    "200-299-300"};

START_TEST(what_is_no_set_is_refused)
{
    struct brim_spans spans;

    ck_assert_int_eq(brim_spans_parse(bad[_i], &spans), BRIM_EINVAL);
}
END_TEST

START_TEST(a_set_is_bounded)
{
    char text[2 * BRIM_SPANS_MAX + 2];
    struct brim_spans spans;

    for (unsigned i = 0; i <= BRIM_SPANS_MAX; i++)
        memcpy(text + 2 * (size_t)i, "1,", 2);
    text[2 * BRIM_SPANS_MAX + 1] = '\0';
    ck_assert_int_eq(brim_spans_parse(text, &spans), BRIM_ELIMIT);
    text[2 * BRIM_SPANS_MAX - 1] = '\0';
    ck_assert_int_eq(brim_spans_parse(text, &spans), BRIM_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/spans");
    TCase *tcase = tcase_create("spans");

    tcase_add_test(tcase, numbers_and_ranges_make_a_set);
    tcase_add_loop_test(tcase, what_is_no_set_is_refused, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, a_set_is_bounded);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
