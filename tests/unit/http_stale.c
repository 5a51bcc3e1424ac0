/* SPDX-License-Identifier: MIT */
/* Stale responses where two rules meet: s-maxage beside stale-* and soft purges beside errors. */
#include "brim/http/freshness.h"

#include "http_fields.h"

#define NOW_MS 1764000000000LL

static void compute(const char *control, bool s_maxage_stale, struct brim_freshness *fresh_out)
{
    struct brim_cache_rules rules = {.default_ttl_ms = -1,
                                     .max_ttl_ms = -1,
                                     .negative_ttl_ms = -1,
                                     .swr_ms = 20000,
                                     .grace_ms = 50000,
                                     .s_maxage_stale = s_maxage_stale};
    struct brim_field field = {BRIM_STR("cache-control"), brim_str_of(control)};
    struct brim_exchange exchange = {.method = BRIM_STR("GET"),
                                     .status = 200,
                                     .response = {&field, 1},
                                     .request_wall_ms = NOW_MS,
                                     .response_wall_ms = NOW_MS};

    brim_freshness_compute(&exchange, &rules, fresh_out);
}

static const struct {
    const char *control;
    bool s_maxage_stale;
    int64_t swr_ms;
    int64_t sie_ms;
    bool must_revalidate;
} rows[] = {
    /* RFC 9111 4.2.4, 5.2.2.10: s-maxage forbids, whatever stands beside it */
    {"s-maxage=1, stale-while-revalidate=3", false, 0, 0, true},
    {"s-maxage=1, stale-if-error=4", false, 0, 0, true},
    /* told that the origin means it: what it says itself, and nothing that the site adds */
    {"s-maxage=1, stale-while-revalidate=3", true, 3000, 0, false},
    {"s-maxage=1, stale-if-error=4", true, 0, 4000, false},
    {"s-maxage=1, stale-while-revalidate=3, stale-if-error=4", true, 3000, 4000, false},
    {"s-maxage=1", true, 0, 0, true},
    {"s-maxage=1, stale-if-error=0", true, 0, 0, true},
    {"s-maxage=1, stale-if-error=x", true, 0, 0, true},
    {"s-maxage=1, stale-if-error=4, must-revalidate", true, 0, 0, true},
    {"s-maxage=1, stale-if-error=4, proxy-revalidate", true, 0, 0, true},
    {"s-maxage=1, stale-if-error=4, x=\"y", true, 0, 0, true},
    {"s-maxage=1, stale-if-error=4, no-cache", true, 0, 0, false},
    {"max-age=1", true, 20000, 50000, false},
};

/* Stale where the origin forbids it shows old prices; not where it allows it shows errors. */
START_TEST(s_maxage_forbids_stale_unless_the_operator_knows_better)
{
    struct brim_freshness fresh;

    compute(rows[_i].control, rows[_i].s_maxage_stale, &fresh);
    ck_assert_int_eq(fresh.swr_ms, rows[_i].swr_ms);
    ck_assert_int_eq(fresh.sie_ms, rows[_i].sie_ms);
    ck_assert_int_eq(fresh.must_revalidate, rows[_i].must_revalidate);
}
END_TEST

/* RFC 5861 4: a soft purge sends the next request to the origin; if that fails, the purged response
 * is as good as it would have been without the purge, and no longer. */
START_TEST(a_soft_purge_leaves_stale_if_error_as_it_was)
{
    struct brim_request_control any = {.max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};
    struct brim_freshness fresh;

    compute("max-age=60, stale-if-error=30", false, &fresh);
    ck_assert_int_eq(brim_freshness_use(&fresh, &any, NOW_MS + 1000, false), BRIM_USE_FRESH);
    ck_assert_int_ne(brim_freshness_use(&fresh, &any, NOW_MS + 1000, true), BRIM_USE_FRESH);
    ck_assert(brim_freshness_may_serve_error(&fresh, &any, NOW_MS + 1000));
    ck_assert(brim_freshness_may_serve_error(&fresh, &any, NOW_MS + 89999));
    ck_assert(!brim_freshness_may_serve_error(&fresh, &any, NOW_MS + 90000));

    compute("max-age=60, stale-if-error=0", false, &fresh);
    ck_assert(!brim_freshness_may_serve_error(&fresh, &any, NOW_MS + 1000));
    compute("max-age=60, must-revalidate", false, &fresh);
    ck_assert(!brim_freshness_may_serve_error(&fresh, &any, NOW_MS + 1000));
}
END_TEST

/* Of the time that is left when it comes: a shield's answer of a great age is not always ending. */
START_TEST(ending_is_the_last_part_of_the_time_here)
{
    static const struct {
        int64_t initial_age_ms, after_ms, percent;
        bool is_ending;
    } endings[] = {
        {0, 0, 10, false},       {0, 899999, 10, false},     {0, 900000, 10, true},
        {0, 999999, 10, true},   {0, 1000000, 10, false}, /* stale: another rule */
        {0, 999999, 0, false},   {0, 10000, 99, true},       {0, 9999, 99, false},
        {900000, 0, 10, false},  {900000, 89999, 10, false}, {900000, 90000, 10, true},
        {1000000, 0, 99, false}, {2000000, 0, 99, false},
    };

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        struct brim_freshness fresh = {.response_wall_ms = NOW_MS,
                                       .date_wall_ms = NOW_MS,
                                       .initial_age_ms = endings[i].initial_age_ms,
                                       .lifetime_ms = 1000000};

        ck_assert_msg(
            brim_freshness_is_ending(&fresh, endings[i].percent, NOW_MS + endings[i].after_ms) ==
                endings[i].is_ending,
            "row %zu", i);
    }
}
END_TEST

/* A host that starts with its clock a year ahead, and its origin beside it: what came in the
 * minutes until the clock was set right would count as just received for a year. What a request has
 * waited for is a little later than its own beginning, and as good as ever. */
START_TEST(a_clock_that_was_set_back_ends_freshness)
{
    static const int64_t year_ms = INT64_C(365) * 86400 * 1000;
    struct brim_request_control any = {.max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};
    struct brim_freshness fresh;

    compute("max-age=60, stale-while-revalidate=0", false, &fresh);
    ck_assert_int_eq(brim_freshness_use(&fresh, &any, NOW_MS - 600000, false), BRIM_USE_FRESH);
    ck_assert_int_eq(brim_freshness_use(&fresh, &any, NOW_MS - 600001, false), BRIM_USE_REVALIDATE);
    ck_assert_int_eq(brim_freshness_use(&fresh, &any, NOW_MS - year_ms, false),
                     BRIM_USE_REVALIDATE);
    compute("max-age=60, stale-while-revalidate=30", false, &fresh);
    ck_assert_int_eq(brim_freshness_use(&fresh, &any, NOW_MS - year_ms, false), BRIM_USE_STALE_SWR);
    ck_assert(brim_freshness_may_serve_error(&fresh, &any, NOW_MS - year_ms));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_stale");
    TCase *tcase = tcase_create("stale");

    tcase_add_loop_test(tcase, s_maxage_forbids_stale_unless_the_operator_knows_better, 0,
                        sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, a_soft_purge_leaves_stale_if_error_as_it_was);
    tcase_add_test(tcase, ending_is_the_last_part_of_the_time_here);
    tcase_add_test(tcase, a_clock_that_was_set_back_ends_freshness);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
