/* SPDX-License-Identifier: MIT */
#include "brim/base/metric_group.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/metric.h"
#include "unit.h"

static char *page(void)
{
    char *text = NULL;
    size_t len = 0;

    brim_metric_render(&text, &len);
    return text;
}

static void assert_shown(const char *line)
{
    char *text = page();
    char wanted[256];

    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    ck_assert_msg(strstr(text, wanted) != NULL, "no line %s in %s", line, text);
    free(text);
}

/* A reload compiles the config again, and its sites go on counting where they were. */
START_TEST(a_name_keeps_its_number)
{
    unsigned a = brim_metric_group(BRIM_METRIC_SITE, "a.example");
    unsigned b = brim_metric_group(BRIM_METRIC_SITE, "b.example");

    ck_assert_uint_ne(a, 0);
    ck_assert_uint_ne(a, b);
    ck_assert_uint_eq(brim_metric_group(BRIM_METRIC_SITE, "a.example"), a);
}
END_TEST

/* A config of ten thousand sites must not make a page that no scraper takes. */
START_TEST(names_beyond_the_bound_count_as_other)
{
    struct brim_metric_request request = {.protocol = BRIM_METRIC_HTTP2, .status = 503};
    char name[32];

    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "s%d.example", i);
        request.site = brim_metric_group(BRIM_METRIC_SITE, name);
        brim_metric_count_request(&request);
    }
    assert_shown("brim_site_requests_total{site=\"s126.example\",cache=\"hit\",protocol=\"HTTP/2\","
                 "class=\"5xx\"} 1");
    assert_shown("brim_site_requests_total{site=\"other\",cache=\"hit\",protocol=\"HTTP/2\","
                 "class=\"5xx\"} 173");
}
END_TEST

static void *answer(void *arg)
{
    brim_metric_count_answer(*(unsigned *)arg, 200, 3000);
    brim_metric_count_answer(*(unsigned *)arg, 502, 61000000);
    return NULL;
}

/* The counts of a thread that ended belong to the totals. */
START_TEST(threads_add_up)
{
    unsigned origin = brim_metric_group(BRIM_METRIC_ORIGIN, "app\"1");
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, answer, &origin), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)answer(&origin);
    assert_shown("brim_origin_pool_responses_total{origin=\"app\\\"1\",class=\"5xx\"} 2");
    assert_shown("brim_origin_response_duration_seconds_bucket{origin=\"app\\\"1\",le=\"0.0025\"} "
                 "0");
    assert_shown(
        "brim_origin_response_duration_seconds_bucket{origin=\"app\\\"1\",le=\"0.005\"} 2");
    assert_shown("brim_origin_response_duration_seconds_bucket{origin=\"app\\\"1\",le=\"60\"} 2");
    assert_shown("brim_origin_response_duration_seconds_bucket{origin=\"app\\\"1\",le=\"+Inf\"} 4");
    assert_shown("brim_origin_response_duration_seconds_sum{origin=\"app\\\"1\"} 122.006");
}
END_TEST

/* More connections than exchanges: the rest waits. A connection that is being made is not less. */
START_TEST(idle_connections_are_never_negative)
{
    unsigned origin = brim_metric_group(BRIM_METRIC_ORIGIN, "app");

    brim_metric_count_origin(origin, BRIM_METRIC_ORIGIN_OPEN, 5);
    brim_metric_count_origin(origin, BRIM_METRIC_ORIGIN_RUNNING, 2);
    assert_shown("brim_origin_pool_idle_connections{origin=\"app\"} 3");
    brim_metric_count_origin(origin, BRIM_METRIC_ORIGIN_RUNNING, 4);
    assert_shown("brim_origin_pool_idle_connections{origin=\"app\"} 0");
}
END_TEST

/* Phase by phase: one that was never called has no line, one that was has all. */
START_TEST(handlers_are_shown_by_site_phase_and_reason)
{
    unsigned handlers = brim_metric_group(BRIM_METRIC_HANDLERS, "www");

    brim_metric_count_handler(handlers, 2, BRIM_METRIC_HANDLER_CALLS, 5);
    brim_metric_count_handler(handlers, 2, BRIM_METRIC_HANDLER_CPU_US, 1500);
    brim_metric_count_handler(handlers, 2, BRIM_METRIC_HANDLER_WALL, 3);
    assert_shown("brim_site_handler_calls_total{site=\"www\",phase=\"origin_response\"} 5");
    assert_shown("brim_site_handler_cpu_seconds_total{site=\"www\",phase=\"origin_response\"} "
                 "0.001500");
    assert_shown("brim_site_handler_failures_total{site=\"www\",phase=\"origin_response\","
                 "reason=\"wall\"} 3");
    assert_shown("brim_site_handler_failures_total{site=\"www\",phase=\"origin_response\","
                 "reason=\"cpu\"} 0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/metric_group");
    TCase *tcase = tcase_create("metric_group");

    tcase_add_test(tcase, a_name_keeps_its_number);
    tcase_add_test(tcase, names_beyond_the_bound_count_as_other);
    tcase_add_test(tcase, threads_add_up);
    tcase_add_test(tcase, idle_connections_are_never_negative);
    tcase_add_test(tcase, handlers_are_shown_by_site_phase_and_reason);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
