/* SPDX-License-Identifier: MIT */
#include "brim/base/usage.h"

#include "brim/base/metric.h"
#include "unit.h"

/* In a container of half a core, half a core is all there is: an autoscaler must see 1 there. */
START_TEST(a_quota_is_read_as_cores)
{
    ck_assert_double_eq(brim_usage_quota("50000 100000\n"), 0.5);
    ck_assert_double_eq(brim_usage_quota("400000 100000\n"), 4);
    ck_assert_double_eq(brim_usage_quota("max 100000\n"), 0);
    ck_assert_double_eq(brim_usage_quota(""), 0);
    ck_assert_double_eq(brim_usage_quota("50000"), 0);
}
END_TEST

/* What an autoscaler compares with 0.7 stays a fraction, from the first sample on. */
START_TEST(utilisation_is_a_fraction)
{
    struct brim_usage usage;

    brim_usage_init(&usage);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_CPU_UTILISATION), 0);
    usage.at_us[0] -= 10000000; /* ten idle seconds have passed since */
    brim_usage_tick(&usage);
    ck_assert_int_ge(brim_metric_read(BRIM_METRIC_CPU_UTILISATION), 0);
    ck_assert_int_lt(brim_metric_read(BRIM_METRIC_CPU_UTILISATION), 1000000);
    ck_assert_uint_eq(usage.count, 2);
    brim_usage_tick(&usage);
    ck_assert_uint_eq(usage.count, 2); /* a second has not passed */
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_RESIDENT), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/usage");
    TCase *tcase = tcase_create("usage");

    tcase_add_test(tcase, a_quota_is_read_as_cores);
    tcase_add_test(tcase, utilisation_is_a_fraction);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
