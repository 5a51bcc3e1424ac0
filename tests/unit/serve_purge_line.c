/* SPDX-License-Identifier: MIT */
/*
 * Purges that go to the tier above first: who is above is a scripted server, what is purged here is
 * seen by the purge sequence of a real cache.
 */
#include "brim/serve/purge_line.h"

#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "scripted_origin.h"

#define MIB (1024u * 1024u)
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"purged\":1}"
#define WEB "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt works!"
#define BAD "HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nnever"

static struct scripted above;
static struct brim_pool *pool;
static struct brim_cache *cache;
static struct brim_purge_line *line;
static struct brim_port port;
static _Atomic unsigned fired;

static void on_notify(struct brim_port *p)
{
    fired++;
    brim_port_begin(p);
    brim_port_unref(p);
}

static void on_destroy(struct brim_port *p)
{
    (void)p;
}

static void open_line(void)
{
    static struct brim_conf_purge_via via;
    struct brim_conf_admin conf = {.purge_via = {.items = &via, .count = 1}};
    static char none[] = "";

    via = (struct brim_conf_purge_via){.url = above.url, .token = none};

    line = brim_purge_line_open(brim_purge_up_open(&conf), cache);
    ck_assert_ptr_nonnull(line);
}

static void set_up(void)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 16};
    struct brim_cache_config config = {
        .memory_bytes = 2 * MIB,
        .memory_object_bytes = MIB,
        .object_bytes_max = MIB,
        .window_bytes = 65536,
        .write_queue_max = 16,
        .purge_epochs_max = 100000,
    };

    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    config.pool = pool;
    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
    brim_port_init(&port, on_notify, on_destroy);
    scripted_open(&above, OK);
    scripted_start(&above);
    open_line();
}

static void tear_down(void)
{
    brim_purge_line_close(line);
    scripted_close(&above);
    brim_cache_close(cache);
    brim_pool_close(pool);
}

static struct brim_purge_order order_of(const char *url)
{
    static struct brim_script_purge_name name;
    static uint64_t scope;

    name = (struct brim_script_purge_name){BRIM_PURGE_URL, brim_str_of(url)};
    scope = 42;
    return (struct brim_purge_order){
        .named = {.names = &name, .count = 1}, .scopes = &scope, .scope_count = 1};
}

static struct brim_purge_wait *ask(void)
{
    struct brim_purge_order order = order_of("http://a.example/");
    struct brim_purge_wait *wait = brim_purge_line_ask(line, &order, &port);

    ck_assert_ptr_nonnull(wait);
    return wait;
}

static bool post(void)
{
    struct brim_purge_order order = order_of("http://a.example/");

    return brim_purge_line_post(line, &order);
}

/* A limit of ten seconds, so that a fault ends the test. */
static bool comes_true(bool (*is_true)(const void *what), const void *what)
{
    for (unsigned i = 0; i < 10000; i++) {
        if (is_true(what))
            return true;
        usleep(1000);
    }
    return false;
}

static bool was_asked(const void *times)
{
    return above.asked >= *(const unsigned *)times;
}

static bool has_purged(const void *seq)
{
    return brim_cache_seq(cache) > *(const uint64_t *)seq;
}

static bool has_ended(const void *wait)
{
    const char *wrong;

    return brim_purge_line_look(wait, &wrong) != BRIM_PURGE_LINE_WAITS;
}

/* The reason for all of it: what is purged here first would be filled again from above. */
START_TEST(nothing_is_purged_here_before_the_tier_above_has)
{
    uint64_t seq = brim_cache_seq(cache);
    struct brim_purge_wait *wait;
    const char *wrong;
    unsigned once = 1;

    above.hangs = true;
    wait = ask();
    ck_assert(comes_true(was_asked, &once));
    ck_assert_int_eq(brim_purge_line_look(wait, &wrong), BRIM_PURGE_LINE_WAITS);
    ck_assert_uint_eq(brim_cache_seq(cache), seq);
    above.hangs = false;
    ck_assert(comes_true(has_ended, wait));
    ck_assert_int_eq(brim_purge_line_look(wait, &wrong), BRIM_PURGE_LINE_MADE);
    ck_assert_uint_gt(brim_cache_seq(cache), seq);
    brim_purge_line_end(wait);
}
END_TEST

/* Nothing is purged here, and who asks is told which one did not purge, and how it said so. */
static void expect_not_passed(const char *answer, const char *said)
{
    uint64_t seq = brim_cache_seq(cache);
    struct brim_purge_wait *wait;
    const char *wrong;

    above.answer = answer;
    wait = ask();
    ck_assert(comes_true(has_ended, wait));
    ck_assert_int_eq(brim_purge_line_look(wait, &wrong), BRIM_PURGE_LINE_NOT_PASSED);
    ck_assert_ptr_nonnull(strstr(wrong, above.url));
    ck_assert_ptr_nonnull(strstr(wrong, said));
    ck_assert_uint_eq(brim_cache_seq(cache), seq);
    brim_purge_line_end(wait);
}

START_TEST(who_asks_is_told_which_did_not_purge_and_why)
{
    expect_not_passed(BAD, "answered 401: never");
}
END_TEST

/* A web server that has the port of the tier above says 200 to everything. */
START_TEST(what_is_no_answer_of_a_node_is_no_purge)
{
    expect_not_passed(WEB, "answered 200: It works!");
}
END_TEST

/* A client that leaves does not leave half a purge behind. */
START_TEST(a_purge_goes_on_when_nobody_waits_any_more)
{
    uint64_t seq = brim_cache_seq(cache);
    unsigned once = 1;

    above.hangs = true;
    brim_purge_line_end(ask());
    ck_assert(comes_true(was_asked, &once));
    above.hangs = false;
    ck_assert(comes_true(has_purged, &seq));
}
END_TEST

START_TEST(what_is_posted_is_tried_again_and_made_here_after)
{
    uint64_t seq = brim_cache_seq(cache);
    unsigned twice = 2;

    above.answer = NULL; /* the connection ends without a word */
    ck_assert(post());
    ck_assert(comes_true(was_asked, &twice));
    ck_assert_uint_eq(brim_cache_seq(cache), seq);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_PURGES_POSTED), 1);
    above.answer = OK;
    ck_assert(comes_true(has_purged, &seq));
}
END_TEST

/* Else a node would not end while its shield is down. */
START_TEST(a_line_that_closes_drops_what_cannot_be_passed)
{
    uint64_t seq = brim_cache_seq(cache);
    unsigned once = 1;

    above.answer = BAD;
    for (unsigned i = 0; i < 100; i++)
        ck_assert(post());
    ck_assert(comes_true(was_asked, &once));
    brim_purge_line_close(line);
    ck_assert_uint_lt(above.asked, 100);
    ck_assert_uint_eq(brim_cache_seq(cache), seq);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_PURGES_POSTED), 0);
    open_line();
}
END_TEST

START_TEST(more_than_a_queue_full_is_refused)
{
    unsigned once = 1, taken = 0;

    above.hangs = true;
    ck_assert(post());
    ck_assert(comes_true(was_asked, &once));
    while (taken < 100000 && post())
        taken++;
    ck_assert_uint_eq(taken, 256);
    above.answer = BAD; /* so that they are dropped when the line closes */
    above.hangs = false;
}
END_TEST

START_TEST(a_name_that_json_cannot_hold_is_refused)
{
    struct brim_purge_order order = order_of("http://a.example/\xff");

    ck_assert_ptr_null(brim_purge_line_ask(line, &order, &port));
    ck_assert(!brim_purge_line_post(line, &order));
}
END_TEST

START_TEST(without_a_tier_above_there_is_no_line)
{
    struct brim_script_stores stores = {.cache = cache};

    ck_assert_ptr_null(brim_purge_line_open(NULL, cache));
    ck_assert_ptr_null(brim_purge_line_up(NULL));
    brim_purge_line_serve(NULL, &stores);
    ck_assert(stores.pass_purge == NULL);
    brim_purge_line_serve(line, &stores);
    ck_assert(stores.pass_purge != NULL);
    brim_purge_line_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve.purge_line");
    TCase *tcase = tcase_create("line");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, nothing_is_purged_here_before_the_tier_above_has);
    tcase_add_test(tcase, who_asks_is_told_which_did_not_purge_and_why);
    tcase_add_test(tcase, what_is_no_answer_of_a_node_is_no_purge);
    tcase_add_test(tcase, a_purge_goes_on_when_nobody_waits_any_more);
    tcase_add_test(tcase, what_is_posted_is_tried_again_and_made_here_after);
    tcase_add_test(tcase, a_line_that_closes_drops_what_cannot_be_passed);
    tcase_add_test(tcase, more_than_a_queue_full_is_refused);
    tcase_add_test(tcase, a_name_that_json_cannot_hold_is_refused);
    tcase_add_test(tcase, without_a_tier_above_there_is_no_line);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
