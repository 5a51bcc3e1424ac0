/* SPDX-License-Identifier: MIT */
#include "brim/base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

static FILE *file;
static char text[65536];

static void setup(void)
{
    file = tmpfile();
    ck_assert_ptr_nonnull(file);
    brim_log_setup(BRIM_LOG_INFO, fileno(file));
}

static void teardown(void)
{
    brim_log_setup(BRIM_LOG_INFO, STDERR_FILENO);
    (void)fclose(file);
}

/* What was written so far. */
static const char *written(void)
{
    ssize_t n = pread(fileno(file), text, sizeof(text) - 1, 0);

    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

static unsigned count_lines(const char *needle)
{
    unsigned lines = 0;

    for (const char *at = written(); (at = strstr(at, needle)) != NULL; at++)
        lines++;
    return lines;
}

static struct brim_log_site speaker;

/* What is wrong inside of a file that a config names is found by those who know no config. */
START_TEST(errors_go_elsewhere_while_they_are_diverted)
{
    char told[512] = "";
    FILE *out = fmemopen(told, sizeof(told), "w");

    ck_assert_ptr_nonnull(out);
    brim_log_divert(out, "a.yaml:3: sites[0]");
    for (int i = 0; i < 12; i++) /* what is told by its place is not told once too often */
        brim_log_write(&speaker, BRIM_LOG_ERROR, "x", "%s", i == 11 ? "last=a\nb" : "");
    BRIM_LOG(WARN, "y.warn", "n=%d", 1);
    brim_log_divert(NULL, NULL);
    BRIM_LOG(ERROR, "z.error", "n=%d", 2);
    (void)fclose(out);
    ck_assert_ptr_nonnull(strstr(told, "a.yaml:3: sites[0]: x last=a?b\n"));
    ck_assert_ptr_null(strstr(written(), "last="));
    ck_assert_ptr_nonnull(strstr(written(), "warn y.warn n=1\n"));
    ck_assert_ptr_nonnull(strstr(written(), "error z.error n=2\n"));
}
END_TEST

/* Operators and their tools parse the line: time, level, event, then key=value. */
START_TEST(line_has_time_level_event_and_arguments)
{
    static const char shape[] = "0000-00-00T00:00:00.000Z warn disk.full path=/x errno=28\n";

    BRIM_LOG(WARN, "disk.full", "path=%s errno=%d", "/x", 28);
    ck_assert_uint_eq(strlen(written()), sizeof(shape) - 1);
    for (size_t i = 0; i < sizeof("0000-00-00T00:00:00.000Z") - 1; i++)
        if (shape[i] == '0' && isdigit((unsigned char)text[i]))
            text[i] = '0';
    ck_assert_str_eq(text, shape);
}
END_TEST

/* Paths and texts of peers come in as arguments: they must not forge a second line. */
START_TEST(control_bytes_become_question_marks)
{
    BRIM_LOG(ERROR, "x", "path=%s", "a\nb\r\t\x1b[31m\x7f end");
    ck_assert_ptr_nonnull(strstr(written(), "path=a?b???[31m? end\n"));
    ck_assert_uint_eq(count_lines("\n"), 1);
}
END_TEST

/* One huge argument must neither split a line nor lose the mark that it was cut. */
START_TEST(long_line_is_cut_and_says_so)
{
    char big[4000];

    memset(big, 'y', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    BRIM_LOG(ERROR, "x", "v=%s", big);
    ck_assert_uint_eq(strlen(written()), 1024);
    ck_assert_str_eq(text + 1024 - 5, "y...\n");
}
END_TEST

/* Level debug is off by default and must cost its format nothing. */
START_TEST(less_important_levels_are_not_written)
{
    BRIM_LOG(DEBUG, "x", "%s", "");
    ck_assert_str_eq(written(), "");
    brim_log_setup(BRIM_LOG_ERROR, fileno(file));
    BRIM_LOG(WARN, "x", "%s", "");
    ck_assert_str_eq(written(), "");
    brim_log_setup(BRIM_LOG_DEBUG, fileno(file));
    BRIM_LOG(DEBUG, "x", "%s", "");
    ck_assert_ptr_nonnull(strstr(written(), " debug x"));
}
END_TEST

/* A fault in a hot path must not fill the disk. The burst may cross seconds, each of which lets ten
 * lines pass, so the bound is generous; what was dropped is told by the next second's line. */
START_TEST(site_in_a_burst_is_limited)
{
    struct brim_log_site site = {0};

    for (int i = 0; i < 10000; i++)
        brim_log_write(&site, BRIM_LOG_ERROR, "burst", "i=%d", i);
    ck_assert_uint_ge(count_lines("error burst"), 10);
    ck_assert_uint_lt(count_lines("error burst"), 1000);
}
END_TEST

/* Silence after a burst must not look like health: the number of lost lines is told. */
START_TEST(first_line_of_a_new_second_tells_what_was_dropped)
{
    struct brim_log_site site = {0};

    atomic_store(&site.window_s, 1); /* some second long ago, with 25 lines */
    atomic_store(&site.seen, 25);
    brim_log_write(&site, BRIM_LOG_WARN, "burst", "i=%d", 1);
    ck_assert_ptr_nonnull(strstr(written(), " warn log.dropped event=burst count=15\n"));
    ck_assert_ptr_nonnull(strstr(text, " warn burst i=1\n"));
    ck_assert_uint_eq(atomic_load(&site.seen), 1);
}
END_TEST

/* A quiet site is not held back by a noisy one. */
START_TEST(sites_are_limited_apart)
{
    struct brim_log_site noisy = {0};

    for (int i = 0; i < 100; i++)
        brim_log_write(&noisy, BRIM_LOG_ERROR, "noisy", "i=%d", i);
    BRIM_LOG(ERROR, "quiet", "a=%d", 1);
    ck_assert_uint_eq(count_lines("error quiet a=1"), 1);
}
END_TEST

/* Callers log a failed call and then translate errno. */
START_TEST(errno_survives)
{
    brim_log_setup(BRIM_LOG_INFO, 1000000); /* not open: the write fails */
    errno = ENOSPC;
    BRIM_LOG(ERROR, "x", "a=%d", 1);
    ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/log");
    TCase *tcase = tcase_create("log");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, errors_go_elsewhere_while_they_are_diverted);
    tcase_add_test(tcase, line_has_time_level_event_and_arguments);
    tcase_add_test(tcase, control_bytes_become_question_marks);
    tcase_add_test(tcase, long_line_is_cut_and_says_so);
    tcase_add_test(tcase, less_important_levels_are_not_written);
    tcase_add_test(tcase, site_in_a_burst_is_limited);
    tcase_add_test(tcase, first_line_of_a_new_second_tells_what_was_dropped);
    tcase_add_test(tcase, sites_are_limited_apart);
    tcase_add_test(tcase, errno_survives);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
