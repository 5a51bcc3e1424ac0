/* SPDX-License-Identifier: MIT */
/*
 * What exchanges wait for, and for how long: a name server, or their turn. Real fetchers, a
 * scripted server, look-ups of the test's own.
 */
#include "brim/base/log.h"
#include "brim/base/metric_group.h"
#include "brim/origin/fetch.h"
#include "scripted_origin.h"

#define PAGE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
#define HALF "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" /* and no more */

static struct scripted server;
static struct brim_fetchers *fetchers;
static char url[64];
static struct brim_fetch_origin origin;
static _Atomic unsigned begun, ended;
static _Atomic bool hangs;
static _Atomic int result;
static _Atomic unsigned answered, done;

static enum brim_err look_up(void *ctx, const char *name, struct brim_dns_found *found_out)
{
    (void)ctx;
    (void)name;
    begun++;
    while (hangs)
        usleep(1000);
    *found_out = (struct brim_dns_found){.count = 1, .ttl_ms = 1, .addresses = {"127.0.0.1"}};
    ended++;
    return BRIM_OK;
}

static enum brim_err on_headers(void *ctx, unsigned status, struct brim_fields fields,
                                uint64_t length, enum brim_http_version version)
{
    (void)ctx;
    (void)status;
    (void)fields;
    (void)length;
    (void)version;
    answered++;
    return BRIM_OK;
}

static enum brim_err on_data(void *ctx, const void *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    return BRIM_OK;
}

static void on_done(void *ctx, enum brim_err err, enum brim_fetch_cause cause, const char *detail)
{
    (void)ctx;
    (void)cause;
    (void)detail;
    result = (int)err;
    done++;
}

static void start(void)
{
    static const struct brim_fetch_callbacks callbacks = {
        .headers = on_headers, .data = on_data, .done = on_done};
    struct brim_fetch_request request = {.origin = &origin,
                                         .method = BRIM_STR("GET"),
                                         .server = brim_str_of(url),
                                         .target = BRIM_STR("/"),
                                         .host = BRIM_STR("a.test")};
    struct brim_fetch *fetch;

    ck_assert_int_eq(brim_fetch_start(fetchers, &request, &callbacks, NULL, &fetch), BRIM_OK);
    brim_fetch_unref(fetch);
}

/* Ten seconds, so that a fault ends the test. */
static void until(const _Atomic unsigned *count, unsigned wanted)
{
    for (unsigned i = 0; i < 10000 && *count < wanted; i++)
        usleep(1000);
    ck_assert_uint_ge(*count, wanted);
}

static void set_up(void)
{
    struct brim_fetch_config config = {
        .threads = 1,
        .header_bytes_max = 65536,
        .header_count_max = 100,
        .names = {.ttl_min_ms = 1, .ttl_max_ms = 1, .idle_ms = 1, .lookup = look_up}};

    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    scripted_open(&server, PAGE);
    scripted_start(&server);
    (void)snprintf(url, sizeof(url), "http://a.test%s", strrchr(server.url, ':'));
    origin = (struct brim_fetch_origin){.metrics = BRIM_METRIC_ORIGIN_NONE,
                                        .sockets = BRIM_METRIC_ORIGIN_NONE,
                                        .connections_max = 8,
                                        .connect_timeout_ms = 60000,
                                        .first_byte_timeout_ms = 60000,
                                        .between_bytes_timeout_ms = 60000};
    ck_assert_int_eq(brim_fetchers_open(&config, &fetchers), BRIM_OK);
}

static void tear_down(void)
{
    hangs = false;
    brim_fetchers_close(fetchers);
    scripted_close(&server);
}

/* Until nobody looks it up any more, as nobody asks for it. */
static void fall_asleep(void)
{
    unsigned before;

    for (unsigned i = 0; i < 100; i++) {
        before = begun;
        usleep(50000);
        if (begun == before && ended == before)
            return;
    }
}

/* An origin that is asked every ten minutes has its name looked up each time. While no name server
 * answers it would get no answer at all, though one that is asked each second does. */
START_TEST(a_name_that_slept_leads_where_it_did)
{
    start();
    until(&done, 1);
    ck_assert_int_eq(result, BRIM_OK);
    fall_asleep();
    origin.connect_timeout_ms = 2000;
    hangs = true;
    server.hangs = true;
    start();
    until(&server.asked, 2);
    hangs = false; /* what was waited for comes when the request is out */
    until(&ended, begun);
    server.hangs = false;
    until(&done, 2);
    ck_assert_int_eq(result, BRIM_OK);
}
END_TEST

START_TEST(a_name_that_was_never_found_leads_nowhere)
{
    origin.connect_timeout_ms = 10;
    hangs = true;
    start();
    until(&done, 1);
    ck_assert_int_eq(result, BRIM_EDNS);
}
END_TEST

/* An origin that hangs with a full pool, or streams without an end, would hold up for ever who
 * comes then: long after he could have been given something stale, or told. */
START_TEST(nobody_waits_for_his_turn_longer_than_for_an_answer)
{
    origin.connections_max = 1;
    origin.queue_max = 8;
    server.answer = HALF;
    start();
    until(&answered, 1);
    origin.first_byte_timeout_ms = 10;
    start();
    start();
    until(&done, 2);
    ck_assert_int_eq(result, BRIM_ELIMIT);
    ck_assert_uint_eq(server.asked, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin.fetch");
    TCase *tcase = tcase_create("fetch");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_name_that_slept_leads_where_it_did);
    tcase_add_test(tcase, a_name_that_was_never_found_leads_nowhere);
    tcase_add_test(tcase, nobody_waits_for_his_turn_longer_than_for_an_answer);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
