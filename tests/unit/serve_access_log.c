/* SPDX-License-Identifier: MIT */
#include "brim/serve/access_log.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "unit.h"

enum { JSON, COMBINED };

#define RING_BYTES 65536u

static char directory[] = "/tmp/brim-access-log-XXXXXX";
static char path[128];
static char other[128];
static struct brim_access_log *access_log;

static const struct brim_access_record plain = {
    .start_wall_ms = 1769860799042, /* 2026-01-31 11:59:59.042 UTC */
    .duration_us = 12345,
    .first_byte_us = 1007,
    .origin_ms = 9,
    .bytes_sent = 4096,
    .request_bytes = 17,
    .status = 200,
    .origin_status = 304,
    .peer = {"203.0.113.7", 11},
    .method = {"GET", 3},
    .scheme = {"https", 5},
    .host = {"example.com", 11},
    .target = {"/a?b=c", 6},
    .protocol = {"HTTP/2", 6},
    .cache = {"revalidated", 11},
    .reason = {"expired", 7},
    .site = {"example", 7},
    .user_agent = {"curl/8.0", 8},
    .referer = {"https://example.com/", 20},
    .request_id = {0x0123456789abcdefu, 0x2a},
    .complete = true,
};

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_lt(snprintf(path, sizeof(path), "%s/log", directory), (int)sizeof(path));
    ck_assert_int_lt(snprintf(other, sizeof(other), "%s/log.1", directory), (int)sizeof(other));
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static void tear_down(void)
{
    (void)unlink(path);
    (void)unlink(other);
    (void)rmdir(directory);
}

static void open_log(const char *to, int format, size_t workers)
{
    struct brim_conf_access_log conf = {
        .path = brim_strdup(to), .format = format, .buffer_bytes = RING_BYTES, .sample = 1};

    ck_assert_int_eq(brim_access_log_open(&conf, workers, &access_log), BRIM_OK);
    ck_assert_ptr_nonnull(access_log);
    free(conf.path);
}

static void close_log(void)
{
    brim_access_log_close(access_log);
    access_log = NULL;
}

static char *read_file(const char *from)
{
    FILE *file = fopen(from, "re");
    char *text = NULL;
    size_t capacity = 0;

    if (file == NULL)
        return brim_strdup("");
    if (getdelim(&text, &capacity, '\0', file) < 0) {
        free(text);
        text = brim_strdup("");
    }
    fclose(file);
    return text;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    while ((text = strchr(text, '\n')) != NULL) {
        lines++;
        text++;
    }
    return lines;
}

/* Returns when the file has that many lines; the time limit of the runner is the deadline. */
static void wait_lines(const char *from, size_t lines)
{
    for (;;) {
        char *text = read_file(from);
        size_t seen = count_lines(text);

        free(text);
        if (seen >= lines)
            return;
        sched_yield();
    }
}

static void assert_written(const char *from, const char *expected)
{
    char *text = read_file(from);

    ck_assert_str_eq(text, expected);
    free(text);
}

static uint64_t dropped(void)
{
    return (uint64_t)brim_metric_read(BRIM_METRIC_LOG_DROPPED);
}

/* What one record with this target and user agent gives, without what stands around them. */
static void assert_target(int format, struct brim_str target, const char *expected)
{
    struct brim_access_record record = plain;
    const char *before = format == JSON ? "\"target\":\"" : "\"GET ";
    const char *after = format == JSON ? "\",\"protocol\"" : " HTTP/2\"";
    char *text, *begin, *end;

    record.target = target;
    open_log(path, format, 1);
    brim_access_log_put(access_log, 0, &record);
    close_log();
    text = read_file(path);
    ck_assert_uint_eq(count_lines(text), 1);
    begin = strstr(text, before);
    ck_assert_ptr_nonnull(begin);
    begin += strlen(before);
    end = strstr(begin, after);
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    ck_assert_str_eq(begin, expected);
    free(text);
    ck_assert_int_eq(unlink(path), 0);
}

/* Operators' pipelines parse these names and types; they are an interface. */
START_TEST(json_line_has_every_member)
{
    open_log(path, JSON, 1);
    brim_access_log_put(access_log, 0, &plain);
    close_log();
    assert_written(
        path,
        "{\"time\":\"2026-01-31T11:59:59.042Z\",\"id\":\"0123456789abcdef000000000000002a\","
        "\"peer\":\"203.0.113.7\",\"method\":\"GET\",\"scheme\":\"https\",\"host\":\"example.com\","
        "\"target\":\"/a?b=c\",\"protocol\":\"HTTP/2\",\"status\":200,\"cache\":\"revalidated\","
        "\"reason\":\"expired\",\"site\":\"example\",\"bytes\":4096,\"request_bytes\":17,"
        "\"duration_ms\":12.345,\"ttfb_ms\":1.007,\"origin_ms\":9,\"origin_status\":304,"
        "\"complete\":true,\"user_agent\":\"curl/8.0\",\"referer\":\"https://example.com/\"}\n");
}
END_TEST

/* A request that was refused before it was read has hardly anything to say. */
START_TEST(json_line_of_empty_record_is_whole)
{
    struct brim_access_record record = {.start_wall_ms = 0};

    open_log(path, JSON, 1);
    brim_access_log_put(access_log, 0, &record);
    close_log();
    assert_written(
        path,
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"id\":\"00000000000000000000000000000000\","
        "\"peer\":\"\",\"method\":\"\",\"scheme\":\"\",\"host\":\"\",\"target\":\"\","
        "\"protocol\":\"\",\"status\":0,\"cache\":\"\",\"reason\":\"\",\"site\":\"\",\"bytes\":0,"
        "\"request_bytes\":0,\"duration_ms\":0.000,\"ttfb_ms\":0.000,\"origin_ms\":0,"
        "\"origin_status\":0,\"complete\":false,\"user_agent\":\"\",\"referer\":\"\"}\n");
}
END_TEST

/* Tools for Apache's format must read ours without knowing us. */
START_TEST(combined_line_is_what_apache_writes)
{
    struct brim_access_record empty = {.start_wall_ms = 1000, .status = 400};

    open_log(path, COMBINED, 1);
    brim_access_log_put(access_log, 0, &plain);
    brim_access_log_put(access_log, 0, &empty);
    close_log();
    assert_written(path, "203.0.113.7 - - [31/Jan/2026:11:59:59 +0000] \"GET /a?b=c HTTP/2\" 200 "
                         "4096 \"https://example.com/\" \"curl/8.0\"\n"
                         "- - - [01/Jan/1970:00:00:01 +0000] \"- - -\" 400 - \"-\" \"-\"\n");
}
END_TEST

static const struct {
    struct brim_str in;
    const char *json;
    const char *apache;
} hostile[] = {
    {{"a\"b\\c", 5}, "a\\\"b\\\\c", "a\\\"b\\\\c"},
    {{"\n\r\t\b\v\f", 6}, "\\u000a\\u000d\\u0009\\u0008\\u000b\\u000c", "\\n\\r\\t\\b\\v\\x0c"},
    {{"a\0b\x1f\x7f", 5}, "a\\u0000b\\u001f\\u007f", "a\\x00b\\x1f\\x7f"},
    {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9},
     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
     "\\xc3\\xa9\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80"},
    {{"\xff\xfe", 2}, "\\u00ff\\u00fe", "\\xff\\xfe"},
    {{"\xc0\xaf", 2}, "\\u00c0\\u00af", "\\xc0\\xaf"},                 /* overlong */
    {{"\xe0\x80\xaf", 3}, "\\u00e0\\u0080\\u00af", "\\xe0\\x80\\xaf"}, /* likewise */
    {{"\xed\xa0\x80", 3}, "\\u00ed\\u00a0\\u0080", "\\xed\\xa0\\x80"}, /* surrogate */
    {{"\xf4\x90\x80\x80", 4}, "\\u00f4\\u0090\\u0080\\u0080", "\\xf4\\x90\\x80\\x80"},
    {{"x\xe2\x82", 3}, "x\\u00e2\\u0082", "x\\xe2\\x82"}, /* cut */
    {{"\xc3(", 2}, "\\u00c3(", "\\xc3("},
};

/* A client chooses these bytes: none may end a line, forge a member, or make it invalid JSON. */
START_TEST(hostile_bytes_stay_inside_their_member)
{
    assert_target(JSON, hostile[_i].in, hostile[_i].json);
    assert_target(COMBINED, hostile[_i].in, hostile[_i].apache);
}
END_TEST

/* One client must not be able to fill the ring with a few requests. */
START_TEST(long_strings_are_cut)
{
    char *text = brim_alloc(20000);
    char *expected = brim_alloc(4096 * 6 + 1);

    memset(text, 'a', 20000);
    memset(expected, 'a', 4096);
    assert_target(JSON, brim_str(text, 20000), expected);
    memset(text, 0x01, 20000);
    for (size_t i = 0; i < 4096; i++)
        memcpy(expected + i * 6, "\\u0001", 6);
    assert_target(JSON, brim_str(text, 20000), expected);
    free(text);
    free(expected);
}
END_TEST

/* "off" costs nothing and needs no question at the call sites. */
START_TEST(off_is_null_and_every_call_takes_it)
{
    char off[] = "off";
    struct brim_conf_access_log conf = {.path = off, .buffer_bytes = RING_BYTES, .sample = 1};
    struct brim_access_log *none = (struct brim_access_log *)&plain; /* poison */

    ck_assert_int_eq(brim_access_log_open(&conf, 1, &none), BRIM_OK);
    ck_assert_ptr_null(none);
    brim_access_log_put(NULL, 0, &plain);
    brim_access_log_reopen(NULL);
    brim_access_log_close(NULL);
}
END_TEST

/* A node that cannot log as asked must say so at start, not serve in silence. */
START_TEST(path_that_cannot_be_opened_is_an_error)
{
    char missing[] = "/nonexistent/dir/log";
    struct brim_conf_access_log conf = {.path = missing, .buffer_bytes = RING_BYTES, .sample = 1};

    ck_assert_int_eq(brim_access_log_open(&conf, 1, &access_log), BRIM_EIO);
    ck_assert_ptr_null(access_log);
}
END_TEST

/* An idle node's only line must not wait for the next one, and must not need the end either. */
START_TEST(single_line_arrives_by_itself)
{
    open_log(path, JSON, 2);
    for (size_t i = 1; i <= 3; i++) {
        brim_access_log_put(access_log, i % 2, &plain);
        wait_lines(path, i);
    }
    close_log();
}
END_TEST

/* What logrotate does: rename, signal. No line is lost and none goes to the old file afterwards. */
START_TEST(reopen_moves_to_a_new_file)
{
    open_log(path, COMBINED, 1);
    brim_access_log_put(access_log, 0, &plain);
    wait_lines(path, 1);
    ck_assert_int_eq(rename(path, other), 0);
    brim_access_log_reopen(access_log);
    while (access(path, F_OK) != 0)
        sched_yield();
    brim_access_log_put(access_log, 0, &plain);
    brim_access_log_put(access_log, 0, &plain);
    close_log();
    wait_lines(other, 1);
    wait_lines(path, 2);
    ck_assert_uint_eq(dropped(), 0);
}
END_TEST

struct reader {
    const char *path;
    pthread_t thread;
    int fd;
    char *text;
    size_t len;
};

static void *read_fifo(void *arg)
{
    struct reader *r = arg;
    FILE *text = open_memstream(&r->text, &r->len);
    char buffer[4096];
    ssize_t n;

    while ((n = read(r->fd, buffer, sizeof(buffer))) > 0)
        fwrite(buffer, 1, (size_t)n, text);
    fclose(text);
    return NULL;
}

/* Every line ends with the number of its record (in user_agent); numbers rise, none is torn. */
static size_t check_sequence(const char *text)
{
    size_t lines = 0;
    uint64_t last = 0;

    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        const char *number;

        ck_assert_ptr_nonnull(end);
        ck_assert_int_eq(strncmp(text, "203.0.113.7 - - [", 17), 0);
        ck_assert_int_eq(end[-1], '"');
        number = end - 2;
        while (*number >= '0' && *number <= '9')
            number--;
        ck_assert_int_eq(*number, '"');
        ck_assert_uint_gt(strtoull(number + 1, NULL, 10), last);
        last = strtoull(number + 1, NULL, 10);
        text = end + 1;
        lines++;
    }
    return lines;
}

static void put_number(size_t worker, uint64_t number)
{
    struct brim_access_record record = plain;
    char text[24];
    int len = snprintf(text, sizeof(text), "%ju", (uintmax_t)number);

    record.user_agent = brim_str(text, (size_t)len);
    record.target.len = 1 + number % 6; /* records of several sizes: gaps at the ring's end */
    brim_access_log_put(access_log, worker, &record);
}

/* A log shipper that hangs must cost lines, never requests: open and put return, and each line is
 * either written whole or counted. */
START_TEST(fifo_that_nobody_reads_drops_and_counts)
{
    struct reader reader = {.path = path};
    const uint64_t puts = 5000;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    open_log(path, COMBINED, 1);
    for (uint64_t i = 1; i <= puts; i++)
        put_number(0, i);
    ck_assert_uint_gt(dropped(), 0);
    reader.fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(reader.fd, 0);
    ck_assert_int_eq(pthread_create(&reader.thread, NULL, read_fifo, &reader), 0);
    close_log();
    pthread_join(reader.thread, NULL);
    ck_assert_uint_eq(check_sequence(reader.text) + dropped(), puts);
    free(reader.text);
    close(reader.fd);
}
END_TEST

/* The way out of a hung shipper: point the path elsewhere and send the signal. */
START_TEST(reopen_leaves_a_blocked_output)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    open_log(path, COMBINED, 1);
    for (uint64_t i = 1; i <= 5000; i++)
        put_number(0, i);
    ck_assert_uint_gt(dropped(), 0);
    ck_assert_int_eq(rename(path, other), 0);
    brim_access_log_reopen(access_log);
    while (access(path, F_OK) != 0)
        sched_yield();
    put_number(0, 6000);
    close_log();
    wait_lines(path, 1);
}
END_TEST

/* A full disk is a loss that monitoring must see. */
START_TEST(lines_that_do_not_fit_the_disk_are_counted)
{
    open_log("/dev/full", JSON, 1);
    for (size_t i = 0; i < 10; i++)
        brim_access_log_put(access_log, 0, &plain);
    close_log();
    ck_assert_uint_eq(dropped(), 10);
}
END_TEST

/* A disk that filled up within a line: the next line must not be glued to the half one. */
START_TEST(line_cut_by_a_full_disk_is_ended)
{
    struct rlimit limit;
    rlim_t full;
    char *text, *half;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    full = limit.rlim_cur;
    limit.rlim_cur = 40;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    open_log(path, COMBINED, 1);
    put_number(0, 1);
    while (dropped() == 0)
        sched_yield();
    limit.rlim_cur = full;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put_number(0, 2);
    put_number(0, 3);
    close_log();
    text = read_file(path);
    half = strchr(text, '\n');
    ck_assert_int_eq(half - text, 40);
    ck_assert_uint_eq(check_sequence(half + 1), 2);
    ck_assert_uint_eq(dropped(), 1);
    free(text);
}
END_TEST

#define THREADS 4u

static void *put_many(void *arg)
{
    size_t worker = (size_t)(uintptr_t)arg;

    for (uint64_t i = 1; i <= 20000; i++) {
        put_number(worker, i);
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

/* Workers share nothing but the writer; whatever the interleaving, a line is whole or counted. */
START_TEST(many_workers_lose_nothing_uncounted)
{
    pthread_t threads[THREADS];
    char *text;

    open_log(path, COMBINED, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_many, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < 50; i++) {
        brim_access_log_reopen(access_log);
        sched_yield();
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    close_log();
    text = read_file(path);
    ck_assert_uint_eq(count_lines(text) + dropped(), THREADS * 20000u);
    free(text);
}
END_TEST

/* Around the end of the ring thousands of times, with the reader close behind. */
START_TEST(ring_wraps_without_a_torn_line)
{
    char *text;

    open_log(path, COMBINED, 1);
    for (uint64_t i = 1; i <= 20000; i++) {
        uint64_t before = dropped();

        put_number(0, i);
        while (dropped() != before) { /* full: the same one again */
            sched_yield();
            before = dropped();
            put_number(0, i);
        }
    }
    close_log();
    text = read_file(path);
    ck_assert_uint_eq(check_sequence(text), 20000);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/access_log");
    TCase *formats = tcase_create("formats");
    TCase *outputs = tcase_create("outputs");

    tcase_add_checked_fixture(formats, set_up, tear_down);
    tcase_add_test(formats, json_line_has_every_member);
    tcase_add_test(formats, json_line_of_empty_record_is_whole);
    tcase_add_test(formats, combined_line_is_what_apache_writes);
    tcase_add_loop_test(formats, hostile_bytes_stay_inside_their_member, 0,
                        sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_test(formats, long_strings_are_cut);
    suite_add_tcase(suite, formats);

    tcase_add_checked_fixture(outputs, set_up, tear_down);
    tcase_set_timeout(outputs, 120);
    tcase_add_test(outputs, off_is_null_and_every_call_takes_it);
    tcase_add_test(outputs, path_that_cannot_be_opened_is_an_error);
    tcase_add_test(outputs, single_line_arrives_by_itself);
    tcase_add_test(outputs, reopen_moves_to_a_new_file);
    tcase_add_test(outputs, fifo_that_nobody_reads_drops_and_counts);
    tcase_add_test(outputs, reopen_leaves_a_blocked_output);
    tcase_add_test(outputs, lines_that_do_not_fit_the_disk_are_counted);
    tcase_add_test(outputs, line_cut_by_a_full_disk_is_ended);
    tcase_add_test(outputs, many_workers_lose_nothing_uncounted);
    tcase_add_test(outputs, ring_wraps_without_a_torn_line);
    suite_add_tcase(suite, outputs);
    return unit_run(suite);
}
