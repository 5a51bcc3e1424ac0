/* SPDX-License-Identifier: MIT */
/* The qualified forms of no-cache and private (RFC 9111 5.2.2.4, 5.2.2.7) as freshness sees them.
 */
#include "brim/http/freshness.h"

#include "http_fields.h"

#define NOW_MS 1764000000000LL

static const struct {
    const char *control;
    enum brim_store_verdict verdict;
    const char *reason;
    bool no_cache;
} rows[] = {
    {"max-age=60, private=\"x\"", BRIM_STORE, "fresh", false},
    {"max-age=60, private=x", BRIM_STORE, "fresh", false},
    {"max-age=60, Private=\"X, Y\"", BRIM_STORE, "fresh", false},
    {"max-age=60, no-cache=\"x\"", BRIM_STORE, "fresh", false},
    /* the cookie itself is what is left out */
    {"max-age=60, private=\"Set-Cookie\"", BRIM_STORE, "fresh", false},
    /* a list that is none, or names what the response cannot do without: as without names */
    {"max-age=60, private=\"vary\"", BRIM_STORE_PASS, "private", false},
    {"max-age=60, private=\"x, Content-Type\"", BRIM_STORE_PASS, "private", false},
    {"max-age=60, private=\"\"", BRIM_STORE_PASS, "private", false},
    {"max-age=60, private=\"x y\"", BRIM_STORE_PASS, "private", false},
    {"max-age=60, private=\"x\", private", BRIM_STORE_PASS, "private", false},
    {"max-age=60, no-cache=\"location\"", BRIM_STORE_PASS, "no-cache-no-validator", true},
    {"max-age=60, no-cache=\"x\", no-cache", BRIM_STORE_PASS, "no-cache-no-validator", true},
    /* which side of an open quote was meant is unknown */
    {"max-age=60, private=\"x\", y=\"z", BRIM_STORE_PASS, "private", false},
    {"max-age=60, no-cache=\"x\", y=\"z", BRIM_STORE_PASS, "no-cache-no-validator", true},
};

/* Too wide, and nothing of such an origin is cached; too narrow, and one client's field leaks. */
START_TEST(names_restrict_the_fields_and_not_the_response)
{
    struct brim_cache_rules rules = {.default_ttl_ms = -1,
                                     .max_ttl_ms = -1,
                                     .negative_ttl_ms = -1,
                                     .set_cookie = BRIM_SET_COOKIE_STORE};
    struct brim_field field = {BRIM_STR("cache-control"), brim_str_of(rows[_i].control)};
    struct brim_exchange exchange = {.method = BRIM_STR("GET"),
                                     .status = 200,
                                     .response = {&field, 1},
                                     .request_wall_ms = NOW_MS,
                                     .response_wall_ms = NOW_MS};
    struct brim_freshness fresh;
    const char *reason;

    ck_assert_int_eq(brim_freshness_verdict(&exchange, &rules, &reason), rows[_i].verdict);
    ck_assert_str_eq(reason, rows[_i].reason);
    brim_freshness_compute(&exchange, &rules, &fresh);
    ck_assert_int_eq(fresh.no_cache, rows[_i].no_cache);
}
END_TEST

/* A response with Set-Cookie is one client's, unless its origin takes the cookie out of it. */
START_TEST(a_cookie_that_is_left_out_does_not_keep_the_rest_from_being_stored)
{
    static const struct {
        const char *control;
        enum brim_store_verdict verdict;
    } cookies[] = {
        {"max-age=60", BRIM_STORE_PASS},
        {"max-age=60, private=\"Set-Cookie\"", BRIM_STORE},
        {"max-age=60, no-cache=\"set-cookie\"", BRIM_STORE},
        {"max-age=60, no-cache=\"x\"", BRIM_STORE_PASS},
        {"max-age=60, private=\"set-cookie2\"", BRIM_STORE_PASS},
    };
    struct brim_cache_rules rules = {.default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};

    for (size_t i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        struct brim_field fields[] = {{BRIM_STR("cache-control"), brim_str_of(cookies[i].control)},
                                      {BRIM_STR("set-cookie"), BRIM_STR("a=b")}};
        struct brim_exchange exchange = {.method = BRIM_STR("GET"),
                                         .status = 200,
                                         .response = {fields, 2},
                                         .request_wall_ms = NOW_MS,
                                         .response_wall_ms = NOW_MS};
        const char *reason;

        ck_assert_int_eq(brim_freshness_verdict(&exchange, &rules, &reason), cookies[i].verdict);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_qualified");
    TCase *tcase = tcase_create("qualified");

    tcase_add_loop_test(tcase, names_restrict_the_fields_and_not_the_response, 0,
                        sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, a_cookie_that_is_left_out_does_not_keep_the_rest_from_being_stored);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
