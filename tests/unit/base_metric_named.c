/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>

#include "brim/base/metric.h"
#include "unit.h"

#define STEPS 10000

static bool has(const char *line)
{
    char *text;
    size_t len;
    bool found;

    brim_metric_render(&text, &len);
    found = strstr(text, line) != NULL;
    free(text);
    return found;
}

static void *count_many(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < STEPS; i++)
        brim_metric_add_named(BRIM_STR("logins"), 1);
    return NULL;
}

START_TEST(names_are_counted_over_threads)
{
    pthread_t threads[4];

    ck_assert(!has("brim_handler_events_total"));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert(has("\nbrim_handler_events_total{name=\"logins\"} 40000\n"));
}
END_TEST

/* A script that makes names of what clients send fills nothing. */
START_TEST(names_beyond_the_bound_are_other)
{
    char name[32];

    for (int i = 0; i < 1000; i++) {
        int len = snprintf(name, sizeof(name), "n%d", i);

        brim_metric_add_named(brim_str(name, (size_t)len), 1);
    }
    ck_assert(has("brim_handler_events_total{name=\"n254\"} 1\n"));
    ck_assert(!has("\"n255\""));
    ck_assert(has("brim_handler_events_total{name=\"other\"} 745\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base.metric_named");
    TCase *tcase = tcase_create("named");

    tcase_add_test(tcase, names_are_counted_over_threads);
    tcase_add_test(tcase, names_beyond_the_bound_are_other);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
