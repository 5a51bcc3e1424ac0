/* SPDX-License-Identifier: MIT */
/* Flights with real exchanges against servers whose answers are scripted. */
#include "brim/origin/flight.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/base/metric_group.h"
#include "scripted_origin.h"
#include "unit.h"

#define LARGE         2000
#define SERVERS       4
#define EXCHANGES_MAX 12u /* that the ledger has room for */
#define OK(body)      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\n" body
#define PASSED        "HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 1\r\n\r\np"
#define BUSY          "HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nb"

/* Who waits for a flight. */
struct waiter {
    struct brim_port port;
    pthread_mutex_t lock;
    pthread_cond_t rang;
    bool has_news; /* a notification is outstanding */
    bool has_left;
    struct brim_flight *flight;
};

static struct scripted servers[SERVERS];
static struct brim_balance_server known[SERVERS];
static struct brim_origin pools[2]; /* of two servers each */
static struct brim_balance_config configs[2];
static struct brim_cache_rules rules;
static struct brim_pool *pool;
static struct brim_cache *cache;
static struct brim_fetchers *fetchers;
static struct brim_flights *flights;
static struct brim_ledger *ledger;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static char folder[64]; /* of the disk tier, where there is one */
static _Atomic int kept;

static void keep_ref(void *keep)
{
    (void)keep;
    kept++;
}

static void keep_unref(void *keep)
{
    (void)keep;
    kept--;
}

static void open_cache(struct brim_cache_config config)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 16};
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    config.pool = pool;
    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
}

static void setup_with(struct brim_cache_config config_of_cache)
{
    struct brim_fetch_config fetch = {
        .threads = 1, .header_bytes_max = 65536, .header_count_max = 100};
    struct brim_flights_config config = {.pass_ttl_ms = 1000, .flights_max = 100};

    ledger = brim_ledger_open((int64_t)(EXCHANGES_MAX * BRIM_FLIGHT_BYTES / 7 * 8 + 64));
    config.ledger = ledger;
    open_cache(config_of_cache);
    ck_assert_int_eq(brim_fetchers_open(&fetch, &fetchers), BRIM_OK);
    config.cache = cache;
    config.fetchers = fetchers;
    ck_assert_int_eq(brim_flights_open(&config, &flights), BRIM_OK);
    rules = (struct brim_cache_rules){.default_ttl_ms = -1, .max_ttl_ms = -1};
    for (unsigned i = 0; i < SERVERS; i++) {
        scripted_open(&servers[i], OK("a"));
        known[i] = (struct brim_balance_server){.url = servers[i].url, .weight = 1};
    }
    for (unsigned i = 0; i < 2; i++) {
        configs[i] = (struct brim_balance_config){.name = i == 0 ? "first" : "second",
                                                  .servers = &known[2 * i],
                                                  .server_count = 2,
                                                  .retry_percent = 20};
        pools[i] = (struct brim_origin){.name = configs[i].name,
                                        .fetch = {.id = i,
                                                  .metrics = BRIM_METRIC_ORIGIN_NONE,
                                                  .sockets = BRIM_METRIC_ORIGIN_NONE,
                                                  .connections_max = 8,
                                                  .queue_max = 8,
                                                  .connect_timeout_ms = 60000,
                                                  .first_byte_timeout_ms = 60000,
                                                  .between_bytes_timeout_ms = 60000}};
    }
}

static struct brim_cache_config cache_config(void)
{
    return (struct brim_cache_config){
        .path = "",
        .segment_bytes = 1 << 20,
        .memory_bytes = 8 << 20,
        .memory_object_bytes = 1 << 16,
        .object_bytes_max = 1 << 20,
        .window_bytes = 1 << 16,
        .write_queue_max = 16,
        .purge_epochs_max = 100,
    };
}

static void setup(void)
{
    setup_with(cache_config());
}

/* A body of LARGE bytes goes to disk as it comes, with its first bytes. */
static void setup_with_disk(void)
{
    struct brim_cache_config config = cache_config();

    snprintf(folder, sizeof(folder), "/tmp/brim-flight-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    config.path = folder;
    config.disk_bytes = 64 << 20;
    config.memory_object_bytes = LARGE / 2;
    config.window_bytes = LARGE;
    setup_with(config);
}

static void open_pools(void)
{
    for (unsigned i = 0; i < 2; i++)
        pools[i].balance = brim_balance_open(&configs[i]);
}

static void with_fallback(void)
{
    pools[0].fallback = &pools[1];
    configs[0].has_fallback = true;
}

static void start(unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++)
        scripted_start(&servers[i]);
}

static void teardown(void)
{
    for (unsigned i = 0; i < SERVERS; i++)
        servers[i].hangs = false;
    brim_fetchers_close(fetchers);
    ck_assert_int_eq(kept, 0); /* every flight is over and has let go */
    brim_cache_close(cache);
    brim_pool_close(pool);
    brim_flights_close(flights);
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    brim_ledger_close(ledger);
    for (unsigned i = 0; i < 2; i++)
        brim_balance_close(pools[i].balance);
    for (unsigned i = 0; i < SERVERS; i++)
        scripted_close(&servers[i]);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void teardown_with_disk(void)
{
    teardown();
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- waiting ---- */

/* Each notification holds a count: who has left drops it at once. */
static void on_news(struct brim_port *port)
{
    struct waiter *w = (struct waiter *)port;
    bool has_left;

    pthread_mutex_lock(&w->lock);
    has_left = w->has_left;
    w->has_news = true;
    pthread_cond_signal(&w->rang);
    pthread_mutex_unlock(&w->lock);
    if (has_left)
        brim_port_unref(port);
    pthread_mutex_lock(&gate); /* the exchange goes on when the test lets it */
    pthread_mutex_unlock(&gate);
}

/* The last to let go, perhaps the thread that fires. */
static void on_destroy(struct brim_port *port)
{
    struct waiter *w = (struct waiter *)port;

    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->rang);
    free(w);
}

/* NULL where it is refused, and why in *why_out. */
static struct waiter *try_join(struct brim_flight_ask ask, enum brim_err *why_out)
{
    struct waiter *w = brim_alloc(sizeof(*w));

    brim_port_init(&w->port, on_news, on_destroy);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->rang, NULL);
    *why_out = brim_flight_join(flights, &ask, &w->port, &w->flight);
    if (*why_out == BRIM_OK)
        return w;
    brim_port_unref(&w->port);
    return NULL;
}

static struct brim_flight_ask ask_of(enum brim_flight_kind kind, const char *method)
{
    static const char url[] = "http://h/x";
    return (struct brim_flight_ask){
        .kind = kind,
        .primary = brim_key_of(brim_str_of(url)),
        .key = brim_key_of(brim_str_of(url)),
        .method = brim_str_of(method),
        .target = BRIM_STR("/x"),
        .host = BRIM_STR("h"),
        .origin = &pools[0],
        .rules = &rules,
        .keep_ref = keep_ref,
        .keep_unref = keep_unref,
    };
}

static struct waiter *join(enum brim_flight_kind kind, const char *method)
{
    enum brim_err why;
    struct waiter *w = try_join(ask_of(kind, method), &why);

    ck_assert_int_eq(why, BRIM_OK);
    return w;
}

static struct brim_flight_view wait_for(struct waiter *w)
{
    struct brim_flight_view view;

    for (;;) {
        brim_flight_view(w->flight, &w->port, (struct brim_fields){NULL, 0}, &view);
        brim_flight_let_go(&view.hold); /* nobody reads ahead here */
        if (view.state != BRIM_FLIGHT_WAIT)
            return view;
        pthread_mutex_lock(&w->lock);
        while (!w->has_news)
            pthread_cond_wait(&w->rang, &w->lock);
        w->has_news = false;
        pthread_mutex_unlock(&w->lock);
        brim_port_begin(&w->port);
        brim_port_unref(&w->port);
    }
}

static void leave(struct waiter *w)
{
    bool has_news;

    brim_flight_leave(w->flight, &w->port);
    pthread_mutex_lock(&w->lock);
    has_news = w->has_news;
    w->has_left = true;
    pthread_mutex_unlock(&w->lock);
    if (has_news)
        brim_port_unref(&w->port);
    brim_port_unref(&w->port);
}

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

static pthread_mutex_t disk_is_busy = PTHREAD_MUTEX_INITIALIZER;

static _Atomic bool is_stuck;

static void wait_for_disk(struct brim_job *job)
{
    (void)job;
    is_stuck = true;
    pthread_mutex_lock(&disk_is_busy);
    pthread_mutex_unlock(&disk_is_busy);
}

/* Until the pool takes no more: its thread is stuck in one job, and the queue is full behind it. */
static void fill_pool(void)
{
    static struct brim_job jobs[64];

    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        jobs[i].run = wait_for_disk;
        if (brim_pool_submit(pool, BRIM_JOB_WRITE, &jobs[i]) != BRIM_OK)
            return;
        while (!is_stuck)
            usleep(1000);
    }
    ck_abort_msg("the pool takes whatever comes");
}

/* Looks, whenever a body moves on, whether who has all of it would ask for it again. */
static struct {
    struct brim_port port;
    struct brim_body *body;
    unsigned whole; /* moments */
    unsigned not_landing;
    struct brim_object *peeked; /* by who has read the end already */
    struct brim_flight_hold hold;
} probe;

static void on_progress(struct brim_port *port)
{
    struct brim_flight_ask ask = ask_of(BRIM_FLIGHT_SHARED, "GET");
    bool is_purged;

    if (brim_body_bytes(probe.body) == LARGE) {
        probe.whole++;
        probe.not_landing += !brim_flights_are_landing(flights, &ask.primary);
        if (probe.peeked == NULL)
            probe.peeked = brim_flight_peek(flights, &ask.primary, (struct brim_fields){NULL, 0},
                                            &is_purged, &probe.hold);
    }
    brim_port_begin(port);
    brim_port_unref(port);
}

static void keep_probe(struct brim_port *port)
{
    (void)port;
}

/* Another reads all of it; whether it can still be read from the beginning then. */
static bool is_there_after_reading(struct brim_body *body)
{
    struct brim_body_reader *reader = brim_body_attach(body, 0);
    bool is_there;

    ck_assert_ptr_nonnull(reader);
    brim_body_advance(body, reader, LARGE);
    brim_body_detach(body, reader);
    reader = brim_body_attach(body, 0);
    is_there = reader != NULL;
    if (is_there)
        brim_body_detach(body, reader);
    return is_there;
}

/* The disk refuses with the last bytes. What stands under the key is older and is taken away, and
 * until it is, who has read the end must be known to have. */
START_TEST(an_answer_refused_at_its_end_lands_until_what_it_replaces_is_gone)
{
    static char answer[LARGE + 200];
    int len = snprintf(answer, sizeof(answer),
                       "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                       "Content-Length: %d\r\n\r\n%0*d",
                       LARGE, LARGE, 0);
    struct brim_flight_view view;
    struct waiter *w;

    ck_assert_int_lt(len, (int)sizeof(answer));
    servers[0].answer = answer;
    configs[0].server_count = 1;
    start(0, 0);
    open_pools();
    pthread_mutex_lock(&gate);
    pthread_mutex_lock(&disk_is_busy);
    fill_pool();
    w = join(BRIM_FLIGHT_SHARED, "GET");
    view = wait_for(w); /* the fetcher is at the gate now, and has no byte of the body */
    ck_assert_int_eq(view.state, BRIM_FLIGHT_READY);
    probe.body = view.object->body;
    brim_port_init(&probe.port, on_progress, keep_probe);
    brim_watch_add(brim_body_watch(probe.body), &probe.port);
    pthread_mutex_unlock(&gate);
    while (brim_body_state(probe.body) == BRIM_BODY_GROWING ||
           brim_flights_are_landing(flights, &view.object->primary))
        usleep(1000);
    pthread_mutex_unlock(&disk_is_busy);
    ck_assert_int_eq(brim_body_mode(probe.body), BRIM_BODY_WINDOW); /* it was refused */
    ck_assert_uint_gt(probe.whole, 0);
    ck_assert_uint_eq(probe.not_landing, 0);
    /* He who found it then may still begin to read it, and only because he holds it. */
    ck_assert_ptr_eq(probe.peeked, view.object);
    ck_assert_ptr_eq(probe.hold.body, probe.body);
    ck_assert(is_there_after_reading(probe.body));
    brim_flight_let_go(&probe.hold);
    ck_assert(!is_there_after_reading(probe.body));
    brim_object_unref(probe.peeked);
    brim_watch_remove(brim_body_watch(probe.body), &probe.port);
    brim_object_unref(view.object);
    leave(w);
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
    tcase = tcase_create("with a disk");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup_with_disk, teardown_with_disk);
    tcase_add_test(tcase, an_answer_refused_at_its_end_lands_until_what_it_replaces_is_gone);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
