/* SPDX-License-Identifier: MIT */
/*
 * Health checks against a scripted server, with real fetchers: what passes, what fails, and after
 * how many of either a server changes.
 */
#include "brim/origin/checks.h"

#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/metric_group.h"
#include "scripted_origin.h"

#define GOOD     "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nI am up."
#define OTHER    "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nI hang. "
#define CREATED  "HTTP/1.1 201 OK\r\nContent-Length: 8\r\n\r\nI am up."
#define ERROR    "HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\nI am up."
#define NONSENSE "200 I am up.\r\n\r\n"

static struct scripted server;
static struct brim_fetchers *fetchers;
static struct brim_checks *checks;
static struct brim_balance_server known;
static struct brim_balance_config config;
static struct brim_origin origin;
static _Atomic unsigned let_go;

static void on_let_go(void *what)
{
    (void)what;
    let_go++;
}

static void follow(size_t count)
{
    static struct brim_origin *const origins[] = {&origin};
    struct brim_checks_keep keep = {on_let_go, NULL};

    brim_checks_follow(checks, origins, count, &keep);
}

static void set_up(void)
{
    struct brim_fetch_config fetch = {
        .threads = 1, .header_bytes_max = 65536, .header_count_max = 100};

    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    scripted_open(&server, GOOD);
    scripted_start(&server);
    known = (struct brim_balance_server){.url = server.url, .weight = 1};
    config = (struct brim_balance_config){
        .name = "app", .servers = &known, .server_count = 1, .rise = 2, .fall = 3};
    origin = (struct brim_origin){
        .name = "app",
        .fetch = {.metrics = BRIM_METRIC_ORIGIN_NONE,
                  .sockets = BRIM_METRIC_ORIGIN_NONE,
                  .connections_max = 1,
                  .connect_timeout_ms = 60000,
                  .first_byte_timeout_ms = 60000,
                  .between_bytes_timeout_ms = 60000},
        .balance = brim_balance_open(&config),
        .health = {.path = "/up", .body = "am up", .interval_ms = 10, .timeout_ms = 20000}};
    ck_assert_int_eq(brim_spans_parse("200", &origin.health.statuses), BRIM_OK);
    ck_assert_int_eq(brim_fetchers_open(&fetch, &fetchers), BRIM_OK);
    checks = brim_checks_open(fetchers);
}

static void tear_down(void)
{
    brim_checks_stop(checks);
    brim_fetchers_close(fetchers);
    brim_checks_close(checks);
    scripted_close(&server);
    brim_balance_close(origin.balance);
}

static bool is_down(void)
{
    return brim_balance_down(origin.balance) == 1;
}

static bool is_up(void)
{
    return brim_balance_down(origin.balance) == 0;
}

static bool was_asked_thrice(void)
{
    return server.asked >= 3;
}

static bool was_let_go(void)
{
    return let_go > 0;
}

/* Ten seconds, so that a fault ends the test. */
static bool comes_true(bool (*is_true)(void))
{
    for (unsigned i = 0; i < 10000 && !is_true(); i++)
        usleep(1000);
    return is_true();
}

static const char *const bad[] = {ERROR, CREATED, OTHER, NONSENSE, NULL};

START_TEST(what_is_not_as_wanted_takes_a_server_down_and_what_is_brings_it_back)
{
    follow(1);
    ck_assert(comes_true(was_asked_thrice));
    ck_assert(is_up());
    server.answer = bad[_i];
    ck_assert(comes_true(is_down));
    server.answer = GOOD;
    ck_assert(comes_true(is_up));
}
END_TEST

/* A server is up until it has failed as often as it takes: each check is one request. */
START_TEST(it_takes_as_many_as_are_configured)
{
    unsigned asked;

    server.answer = ERROR;
    follow(1);
    ck_assert(comes_true(is_down));
    ck_assert_uint_ge(server.asked, 3);
    asked = server.asked;
    server.answer = GOOD;
    ck_assert(comes_true(is_up));
    ck_assert_uint_ge(server.asked, asked + 2);
}
END_TEST

START_TEST(an_answer_that_does_not_come_in_time_is_none)
{
    origin.health.timeout_ms = 20;
    server.hangs = true;
    follow(1);
    ck_assert(comes_true(is_down));
}
END_TEST

/* Only the beginning of a body is looked at, and no more than that is taken. */
START_TEST(a_long_body_is_looked_at_in_part)
{
    static char answer[100000];
    int head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 99000\r\n\r\n");

    memset(answer + head, 'x', 99000);
    memcpy(answer + head + 65000, "am up", 5);
    server.answer = answer;
    follow(1);
    ck_assert(comes_true(was_asked_thrice));
    ck_assert(is_up());
    memcpy(answer + head + 65000, "xxxxx", 5);
    memcpy(answer + head + 66000, "am up", 5);
    ck_assert(comes_true(is_down));
}
END_TEST

/* A reload: the old origins are not checked any more, and let go once. */
START_TEST(what_is_followed_no_longer_is_let_go)
{
    server.hangs = true;
    follow(1);
    for (unsigned i = 0; i < 10000 && server.asked == 0; i++)
        usleep(1000);
    follow(0);
    server.hangs = false;
    ck_assert(comes_true(was_let_go));
    ck_assert_uint_eq(let_go, 1);
    ck_assert(is_up());
}
END_TEST

START_TEST(without_a_path_nobody_is_asked)
{
    origin.health.path = NULL;
    follow(1);
    follow(0);
    ck_assert(comes_true(was_let_go));
    ck_assert_uint_eq(server.asked, 0);
}
END_TEST

/* Its only server. */
static void eject(struct brim_balance *balance)
{
    struct brim_balance_tried tried = {.count = 0};
    unsigned picked;

    ck_assert_int_eq(brim_balance_pick(balance, 0, 1000, &tried, &picked), BRIM_OK);
    brim_balance_end(balance, picked, BRIM_BALANCE_BAD, 1, 1000);
}

static int64_t servers_out(void)
{
    return brim_metric_read(BRIM_METRIC_SERVERS_OUT);
}

/* A long download keeps the old origin for hours: who is out is said by the one in force. */
START_TEST(a_server_that_is_out_is_counted_once_however_long_an_old_config_lives)
{
    struct brim_origin next, *const origins[] = {&next};
    struct brim_checks_keep keep = {on_let_go, NULL};

    config.eject_failures = 1;
    config.eject_ms = 1000000;
    config.has_fallback = true;
    brim_balance_close(origin.balance);
    origin.balance = brim_balance_open(&config);
    origin.health.path = NULL;
    follow(1);
    eject(origin.balance);
    ck_assert_int_eq(servers_out(), 1);
    next = origin;
    next.balance = brim_balance_open(&config);
    brim_balance_inherit(next.balance, origin.balance);
    ck_assert_int_eq(servers_out(), 1); /* the reload may be refused yet */
    brim_checks_follow(checks, origins, 1, &keep);
    ck_assert_int_eq(servers_out(), 1);
    brim_checks_follow(checks, origins, 1, &keep); /* a reload that keeps it */
    ck_assert_int_eq(servers_out(), 1);
    follow(0);
    ck_assert_int_eq(servers_out(), 0);
    brim_balance_close(next.balance);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin.checks");
    TCase *tcase = tcase_create("checks");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, what_is_not_as_wanted_takes_a_server_down_and_what_is_brings_it_back,
                        0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, it_takes_as_many_as_are_configured);
    tcase_add_test(tcase, an_answer_that_does_not_come_in_time_is_none);
    tcase_add_test(tcase, a_long_body_is_looked_at_in_part);
    tcase_add_test(tcase, what_is_followed_no_longer_is_let_go);
    tcase_add_test(tcase, without_a_path_nobody_is_asked);
    tcase_add_test(tcase, a_server_that_is_out_is_counted_once_however_long_an_old_config_lives);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
