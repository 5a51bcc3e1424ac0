/* SPDX-License-Identifier: MIT */
#include "brim/base/metric.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

enum { THREADS = 4, COUNTS = 10000 };

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < COUNTS; i++)
        BRIM_COUNT(REQ_HIT);
    BRIM_ADD(HOT_BYTES, -5);
    return NULL;
}

/* Totals that fall when a thread ends would look like a restart to Prometheus. */
START_TEST(counts_of_ended_threads_stay)
{
    pthread_t threads[THREADS];

    BRIM_ADD(REQ_HIT, 7);
    BRIM_ADD(HOT_BYTES, 100);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    (void)brim_metric_read(BRIM_METRIC_REQ_HIT); /* while they run */
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_REQ_HIT), THREADS * COUNTS + 7);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_HOT_BYTES), 100 - 5 * THREADS);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_REQ_MISS), 0);
}
END_TEST

static pthread_key_t late_key;

static void count_late(void *arg)
{
    (void)arg;
    BRIM_COUNT(PURGES);
}

static void *count_from_destructor(void *arg)
{
    BRIM_COUNT(PURGES);
    ck_assert_int_eq(pthread_setspecific(late_key, arg), 0);
    return NULL;
}

/* Libraries end their per-thread state in destructors too, and what they release may be counted
 * after our own destructor has run. */
START_TEST(counts_made_while_a_thread_ends_are_kept)
{
    pthread_t thread;
    int something = 0;

    BRIM_COUNT(PURGES);
    ck_assert_int_eq(pthread_key_create(&late_key, count_late), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, count_from_destructor, &something), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_PURGES), 3);
    ck_assert_int_eq(pthread_key_delete(late_key), 0);
}
END_TEST

static unsigned count_of(const char *text, const char *needle)
{
    unsigned count = 0;

    for (; (text = strstr(text, needle)) != NULL; text++)
        count++;
    return count;
}

/* Prometheus refuses a page on which a name is described twice. */
START_TEST(render_describes_each_name_once)
{
    char *text = NULL;
    size_t len = 0;

    BRIM_ADD(REQ_MISS, 3);
    BRIM_ADD(CONN_OPEN, 2);
    brim_metric_set(BRIM_METRIC_BUILD_INFO, 1);
    brim_metric_render(&text, &len);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert_uint_eq(count_of(text, "# HELP brim_requests_total Requests answered.\n"), 1);
    ck_assert_uint_eq(count_of(text, "# TYPE brim_requests_total counter\n"), 1);
    ck_assert_uint_eq(count_of(text, "\nbrim_requests_total{cache=\"miss\"} 3\n"), 1);
    ck_assert_uint_eq(count_of(text, "# TYPE brim_connections gauge\nbrim_connections 2\n"), 1);
    ck_assert_uint_eq(count_of(text, "\nbrim_build_info{version=\"" BRIM_VERSION "\"} 1\n"), 1);
    free(text);
}
END_TEST

/* The table is edited often; these mistakes in it would only show in a scraper's log. */
START_TEST(rows_of_a_name_stand_together_and_begin_with_help)
{
    char *text = NULL;
    size_t len = 0;

    brim_metric_render(&text, &len);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        char head[256];
        size_t name_len;

        if (strncmp(line, "# HELP ", 7) != 0)
            continue;
        name_len = strcspn(line + 7, " ");
        ck_assert_int_ne(line[7 + name_len + 1], '\n'); /* a help text */
        (void)snprintf(head, sizeof(head), "# HELP %.*s ", (int)name_len, line + 7);
        ck_assert_uint_eq(count_of(text, head), 1);
    }
    ck_assert_int_eq(text[len - 1], '\n');
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/metric");
    TCase *tcase = tcase_create("metric");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, counts_of_ended_threads_stay);
    tcase_add_test(tcase, counts_made_while_a_thread_ends_are_kept);
    tcase_add_test(tcase, render_describes_each_name_once);
    tcase_add_test(tcase, rows_of_a_name_stand_together_and_begin_with_help);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
