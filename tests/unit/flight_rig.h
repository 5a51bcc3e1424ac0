/* SPDX-License-Identifier: MIT */
/*
 * flight_rig - flights with real exchanges against servers whose answers are scripted, and who
 * waits for them.
 */
#ifndef BRIM_TESTS_FLIGHT_RIG_H
#define BRIM_TESTS_FLIGHT_RIG_H

#include "brim/origin/flight.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/base/metric_group.h"
#include "scripted_origin.h"
#include "unit.h"

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
static _Atomic int kept;

static inline void keep_ref(void *keep)
{
    (void)keep;
    kept++;
}

static inline void keep_unref(void *keep)
{
    (void)keep;
    kept--;
}

static inline void open_cache(struct brim_cache_config config)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 16};
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    config.pool = pool;
    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
}

static inline void setup_with(struct brim_cache_config config_of_cache)
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

static inline struct brim_cache_config cache_config(void)
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

static inline void setup(void)
{
    setup_with(cache_config());
}

static inline void open_pools(void)
{
    for (unsigned i = 0; i < 2; i++)
        pools[i].balance = brim_balance_open(&configs[i]);
}

static inline void with_fallback(void)
{
    pools[0].fallback = &pools[1];
    configs[0].has_fallback = true;
}

static inline void start(unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++)
        scripted_start(&servers[i]);
}

static inline void teardown(void)
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

/* ---- waiting ---- */

/* Each notification holds a count: who has left drops it at once. */
static inline void on_news(struct brim_port *port)
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
static inline void on_destroy(struct brim_port *port)
{
    struct waiter *w = (struct waiter *)port;

    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->rang);
    free(w);
}

/* NULL where it is refused, and why in *why_out. */
static inline struct waiter *try_join(struct brim_flight_ask ask, enum brim_err *why_out)
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

static inline struct brim_flight_ask ask_of(enum brim_flight_kind kind, const char *method)
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

static inline struct waiter *join(enum brim_flight_kind kind, const char *method)
{
    enum brim_err why;
    struct waiter *w = try_join(ask_of(kind, method), &why);

    ck_assert_int_eq(why, BRIM_OK);
    return w;
}

static inline struct brim_flight_view wait_for(struct waiter *w)
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

static inline void leave(struct waiter *w)
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

#endif
