/* SPDX-License-Identifier: MIT */
/* Whom a flight asks, who joins it, and what it takes. */
#include "flight_rig.h"

/* The first byte of what was answered; or 0 and why in *why_out. */
static char ask(enum brim_flight_kind kind, const char *method, unsigned *status_out,
                enum brim_err *why_out)
{
    struct waiter *w;
    struct brim_flight_view view;
    char byte = 0;

    w = join(kind, method);
    view = wait_for(w);
    *why_out = view.why;
    *status_out = view.origin_status;
    if (view.state != BRIM_FLIGHT_FAILED) {
        ck_assert(view.state == BRIM_FLIGHT_READY || view.state == BRIM_FLIGHT_ALONE);
        byte = view.object->status == 200 ? 'a' : 'b';
        brim_object_unref(view.object);
    }
    leave(w);
    return byte;
}

static unsigned status_of(enum brim_flight_kind kind, const char *method)
{
    enum brim_err why;
    unsigned status;

    (void)ask(kind, method, &status, &why);
    return status;
}

static enum brim_err why_of(enum brim_flight_kind kind, const char *method)
{
    enum brim_err why;
    unsigned status;

    ck_assert_int_eq(ask(kind, method, &status, &why), 0);
    return why;
}

static unsigned asked(unsigned first, unsigned last)
{
    unsigned sum = 0;

    for (unsigned i = first; i <= last; i++)
        sum += servers[i].asked;
    return sum;
}

/* ---- what is tested ---- */

START_TEST(one_exchange_serves_all_who_wait)
{
    struct waiter *waiters[8];

    start(0, 0);
    configs[0].server_count = 1;
    open_pools();
    servers[0].hangs = true;
    for (unsigned i = 0; i < 8; i++)
        waiters[i] = join(BRIM_FLIGHT_SHARED, "GET");
    servers[0].hangs = false;
    for (unsigned i = 0; i < 8; i++) {
        struct brim_flight_view view = wait_for(waiters[i]);

        ck_assert_int_eq(view.state, BRIM_FLIGHT_READY);
        ck_assert_int_eq(view.led, i == 0);
        brim_object_unref(view.object);
        leave(waiters[i]);
    }
    ck_assert_uint_eq(servers[0].asked, 1);
}
END_TEST

START_TEST(a_server_that_refuses_is_followed_by_the_next)
{
    start(1, 1);
    open_pools();
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "POST"), 200); /* nothing had been sent */
    ck_assert_uint_eq(servers[1].asked, 4);
}
END_TEST

/* The request may have been carried out: only asking twice what does no harm is allowed. */
START_TEST(a_server_that_drops_a_request_is_followed_if_asking_twice_does_no_harm)
{
    start(0, 1);
    open_pools();
    servers[0].answer = servers[1].answer = NULL;
    ck_assert_int_eq(why_of(BRIM_FLIGHT_PASS, "POST"), BRIM_EPROTO);
    ck_assert_uint_eq(asked(0, 1), 1);
    ck_assert_int_eq(why_of(BRIM_FLIGHT_PASS, "PUT"), BRIM_EPROTO);
    ck_assert_uint_eq(asked(0, 1), 3); /* each once */
}
END_TEST

START_TEST(a_pool_is_followed_by_the_one_that_stands_in)
{
    start(2, 3);
    with_fallback();
    open_pools();
    for (unsigned i = 0; i < 20; i++)
        ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "POST"), 200);
    ck_assert_uint_eq(asked(2, 3), 20);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_FAILOVERS), 20);
}
END_TEST

/* Nobody stands in for the last, and all have been asked: twice at most. */
START_TEST(a_chain_has_an_end)
{
    with_fallback();
    open_pools();
    ck_assert_int_eq(why_of(BRIM_FLIGHT_PASS, "GET"), BRIM_ECONNECT);
    ck_assert_int_le(brim_metric_read(BRIM_METRIC_ORIGIN_REQUESTS), 8);
}
END_TEST

/* Its answer is as good as any, when nobody else has one. */
START_TEST(who_is_out_is_the_last_resort)
{
    start(0, 0);
    with_fallback();
    configs[0].server_count = 1;
    configs[0].eject_failures = 1;
    configs[0].eject_ms = 3600000;
    open_pools();
    servers[0].answer = BUSY;
    ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "GET"), 503); /* out from now on */
    servers[0].answer = PASSED;
    ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "GET"), 200);
    ck_assert_uint_eq(servers[0].asked, 2);
}
END_TEST

START_TEST(nobody_is_asked_when_all_are_down)
{
    start(0, 1);
    configs[0].fall = configs[0].rise = 1;
    open_pools();
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(brim_balance_checked(pools[0].balance, i, BRIM_BALANCE_BAD, 1),
                         BRIM_BALANCE_WENT_DOWN);
    ck_assert_int_eq(why_of(BRIM_FLIGHT_PASS, "GET"), BRIM_ENOENT);
    ck_assert_uint_eq(asked(0, 1), 0);
}
END_TEST

/* ... unless it is all there is, or the method forbids it. */
START_TEST(an_answer_of_retry_on_is_dropped_for_a_better_one)
{
    start(0, 1);
    pools[0].retry_on = (struct brim_spans){1, {{503, 503}}};
    open_pools();
    servers[0].answer = BUSY;
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "GET"), 200);
    ck_assert_uint_eq(status_of(BRIM_FLIGHT_SHARED, "GET"), 200);
    servers[1].answer = BUSY;
    ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "GET"), 503);
    ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "POST"), 503);
}
END_TEST

START_TEST(a_slow_server_is_hedged_by_another)
{
    struct brim_flight_view view;
    struct waiter *w;

    start(0, 1);
    servers[0].answer = BUSY;
    servers[0].hangs = true;
    pools[0].hedge_ms = 1;
    open_pools();
    w = join(BRIM_FLIGHT_PASS, "GET");
    view = wait_for(w);
    ck_assert_uint_eq(view.origin_status, 200);
    brim_object_unref(view.object);
    leave(w);
    ck_assert_uint_eq(servers[1].asked, 1);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_HEDGES), 1);
}
END_TEST

/* The second cannot be reached: the first is waited for as if nothing had been. */
START_TEST(a_hedge_that_fails_costs_nothing)
{
    struct brim_flight_view view;
    struct waiter *w;

    start(0, 0);
    servers[0].hangs = true;
    pools[0].hedge_ms = 1;
    open_pools();
    w = join(BRIM_FLIGHT_PASS, "GET");
    while (brim_metric_read(BRIM_METRIC_ORIGIN_ERRORS) == 0)
        usleep(1000);
    servers[0].hangs = false;
    view = wait_for(w);
    ck_assert_uint_eq(view.origin_status, 200);
    brim_object_unref(view.object);
    leave(w);
}
END_TEST

/* The first fails after the second was asked: whose answer comes is who counts. */
START_TEST(a_hedge_outlives_the_first)
{
    struct brim_flight_view view;
    struct waiter *w;

    start(0, 1);
    servers[0].hangs = servers[1].hangs = true;
    servers[0].answer = NULL;
    pools[0].hedge_ms = 1;
    open_pools();
    w = join(BRIM_FLIGHT_PASS, "GET");
    while (servers[1].asked == 0)
        usleep(1000);
    servers[0].hangs = false;
    while (brim_metric_read(BRIM_METRIC_ORIGIN_ERRORS) == 0)
        usleep(1000);
    servers[1].hangs = false;
    view = wait_for(w);
    ck_assert_uint_eq(view.origin_status, 200);
    brim_object_unref(view.object);
    leave(w);
}
END_TEST

/* A client that leaves while both are asked: both end. */
START_TEST(who_leaves_ends_both)
{
    struct waiter *w;

    start(0, 1);
    servers[0].hangs = servers[1].hangs = true;
    pools[0].hedge_ms = 1;
    open_pools();
    w = join(BRIM_FLIGHT_PASS, "GET");
    while (servers[1].asked == 0)
        usleep(1000);
    leave(w);
    while (kept > 0)
        usleep(1000);
}
END_TEST

START_TEST(what_changes_something_is_not_hedged)
{
    struct brim_flight_view view;
    struct waiter *w;

    start(0, 1);
    servers[0].hangs = true;
    pools[0].hedge_ms = 1;
    pools[0].fetch.first_byte_timeout_ms = 300;
    open_pools();
    w = join(BRIM_FLIGHT_PASS, "PUT");
    view = wait_for(w);
    ck_assert_int_eq(view.why, BRIM_ETIMEOUT);
    ck_assert_uint_eq(servers[1].asked, 0);
    leave(w);
}
END_TEST

/* Each exchange takes its memory before it begins and gives it back when it is over, not when its
 * waiters leave; who joins one takes nothing, and the rest of an answer that has begun is fetched
 * in any case. Nothing goes to the origin for who is refused. */
START_TEST(an_exchange_is_refused_when_clients_hold_all)
{
    struct brim_flight_ask sequel = ask_of(BRIM_FLIGHT_PASS, "GET");
    struct waiter *waiters[EXCHANGES_MAX], *joined, *late;
    int64_t refused = brim_metric_read(BRIM_METRIC_MEMORY_REFUSED_EXCHANGE);
    enum brim_err why;

    start(0, 0);
    configs[0].server_count = 1;
    pools[0].fetch.connections_max = EXCHANGES_MAX + 2;
    servers[0].hangs = true;
    open_pools();
    waiters[0] = join(BRIM_FLIGHT_SHARED, "GET");
    for (unsigned i = 1; i < EXCHANGES_MAX; i++)
        waiters[i] = join(BRIM_FLIGHT_PASS, "GET");
    ck_assert_int_eq(brim_ledger_held(ledger), (int64_t)(EXCHANGES_MAX * BRIM_FLIGHT_BYTES));
    joined = join(BRIM_FLIGHT_SHARED, "GET");
    ck_assert_ptr_null(try_join(ask_of(BRIM_FLIGHT_PASS, "GET"), &why));
    ck_assert_int_eq(why, BRIM_ENOSPC);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_MEMORY_REFUSED_EXCHANGE), refused + 1);
    ck_assert_int_eq(brim_ledger_held(ledger), (int64_t)(EXCHANGES_MAX * BRIM_FLIGHT_BYTES));
    ck_assert_uint_eq(brim_flight_weight(waiters[0]->flight, &waiters[0]->port), BRIM_FLIGHT_BYTES);
    ck_assert_uint_eq(brim_flight_weight(joined->flight, &joined->port), 0);
    sequel.is_sequel = true;
    late = try_join(sequel, &why);
    ck_assert_int_eq(why, BRIM_OK);
    servers[0].hangs = false;
    brim_object_unref(wait_for(joined).object);
    brim_object_unref(wait_for(late).object);
    for (unsigned i = 0; i < EXCHANGES_MAX; i++)
        brim_object_unref(wait_for(waiters[i]).object);
    while (brim_ledger_held(ledger) >= (int64_t)BRIM_FLIGHT_BYTES)
        usleep(1000);
    ck_assert_uint_eq(servers[0].asked, EXCHANGES_MAX + 1);
    leave(joined);
    leave(late);
    for (unsigned i = 0; i < EXCHANGES_MAX; i++)
        leave(waiters[i]);
}
END_TEST

/* ---- variants, in RAM only ---- */

static const struct brim_field red = {BRIM_STR("x-kind"), BRIM_STR("red")};
static const struct brim_field blue = {BRIM_STR("x-kind"), BRIM_STR("blue")};

/* So small that it is one shard, of a few hundred objects. */
static void setup_small(void)
{
    struct brim_cache_config config = cache_config();

    config.memory_bytes = 1 << 18;
    setup_with(config);
}

/* One GET with this X-Kind, whose answer is stored. Counted. */
static struct brim_object *fetch_kind(const struct brim_field *kind)
{
    struct brim_flight_ask ask = ask_of(BRIM_FLIGHT_SHARED, "GET");
    struct brim_flight_view view;
    struct waiter *w;
    enum brim_err why;

    ask.fields = (struct brim_fields){kind, 1};
    ask.looked_again = true;
    w = try_join(ask, &why);
    ck_assert_int_eq(why, BRIM_OK);
    view = wait_for(w);
    ck_assert_int_eq(view.state, BRIM_FLIGHT_READY);
    leave(w);
    while (kept > 0)
        usleep(1000);
    return view.object;
}

static bool is_stored(const struct brim_field *kind)
{
    struct brim_find find = {.primary = ask_of(BRIM_FLIGHT_SHARED, "GET").primary,
                             .request = {kind, 1}};
    enum brim_found found = brim_cache_find(cache, &find);

    brim_find_fini(&find);
    brim_object_unref(find.object);
    return found == BRIM_FOUND_OBJECT;
}

static void store_other(unsigned i)
{
    char url[32];
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE, .status = 200};
    struct brim_fill *fill;

    snprintf(url, sizeof(url), "http://h/other/%u", i);
    spec.primary = spec.key = brim_key_of(brim_str_of(url));
    ck_assert_int_eq(
        brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0}, 0, NULL, &fill),
        BRIM_OK);
    brim_fill_finish(fill);
}

static struct brim_object *red_object;

static void store_red(void)
{
    configs[0].server_count = 1;
    start(0, 0);
    open_pools();
    servers[0].answer = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: X-Kind\r\n"
                        "Content-Length: 1\r\n\r\na";
    red_object = fetch_kind(&red);
    ck_assert(is_stored(&red));
}

/* RAM lets the marker go and not the variant, which has been read. */
static void lose_marker_of_red(void)
{
    struct brim_object *read;

    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(brim_cache_load(cache, &red_object->key, &read), BRIM_OK);
        brim_object_unref(read);
    }
    for (unsigned i = 0; i < 2000; i++)
        store_other(i);
    ck_assert(!brim_cache_has(cache, &red_object->primary));
    ck_assert(brim_cache_has(cache, &red_object->key));
}

/* A POST that was answered well takes what is stored (RFC 9111 4.4), though RAM has let go of the
 * marker that leads to it: with the next marker it must not come back. */
START_TEST(a_variant_that_lost_its_marker_is_not_found_after_a_change)
{
    store_red();
    lose_marker_of_red();
    ck_assert_uint_eq(status_of(BRIM_FLIGHT_PASS, "POST"), 200);
    brim_object_unref(fetch_kind(&blue));
    ck_assert(is_stored(&blue));
    ck_assert(!is_stored(&red));
    brim_object_unref(red_object);
}
END_TEST

/* A crowd of variants outlives the eviction of a small marker. */
START_TEST(a_variant_that_lost_its_marker_is_found_by_the_next_one)
{
    store_red();
    lose_marker_of_red();
    brim_object_unref(fetch_kind(&blue));
    ck_assert(is_stored(&red));
    brim_object_unref(red_object);
}
END_TEST

/* What is stale for a soft purge may be served while it is asked for, though the marker is written
 * anew for the purge and another URL has changed meanwhile. */
START_TEST(a_variant_outlives_a_soft_purge_and_a_change_elsewhere)
{
    uint64_t all = brim_purge_scope_all();

    store_red();
    brim_cache_note_change(cache);
    ck_assert_int_eq(brim_cache_purge(cache, &all, 1, BRIM_PURGE_SOFT), BRIM_OK);
    brim_object_unref(fetch_kind(&blue));
    ck_assert(is_stored(&red));
    brim_object_unref(red_object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/flight");
    TCase *tcase = tcase_create("flight");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_exchange_serves_all_who_wait);
    tcase_add_test(tcase, a_server_that_refuses_is_followed_by_the_next);
    tcase_add_test(tcase, a_server_that_drops_a_request_is_followed_if_asking_twice_does_no_harm);
    tcase_add_test(tcase, a_pool_is_followed_by_the_one_that_stands_in);
    tcase_add_test(tcase, a_chain_has_an_end);
    tcase_add_test(tcase, who_is_out_is_the_last_resort);
    tcase_add_test(tcase, nobody_is_asked_when_all_are_down);
    tcase_add_test(tcase, an_answer_of_retry_on_is_dropped_for_a_better_one);
    tcase_add_test(tcase, a_slow_server_is_hedged_by_another);
    tcase_add_test(tcase, a_hedge_that_fails_costs_nothing);
    tcase_add_test(tcase, a_hedge_outlives_the_first);
    tcase_add_test(tcase, who_leaves_ends_both);
    tcase_add_test(tcase, what_changes_something_is_not_hedged);
    tcase_add_test(tcase, an_exchange_is_refused_when_clients_hold_all);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("variants");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup_small, teardown);
    tcase_add_test(tcase, a_variant_that_lost_its_marker_is_not_found_after_a_change);
    tcase_add_test(tcase, a_variant_that_lost_its_marker_is_found_by_the_next_one);
    tcase_add_test(tcase, a_variant_outlives_a_soft_purge_and_a_change_elsewhere);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
