/* SPDX-License-Identifier: MIT */
/*
 * The checks of one config are a set, counted: by whoever follows it and by each check under way.
 * When another config comes into force the old set starts nothing more, its results count for
 * nothing, and the last check that ends lets go of it.
 *
 *   idle --due--> running --done()--> idle        (cancelled when its time is over)
 *
 * Checks are spread: the first of each server within half of the interval, and each interval is a
 * tenth longer or shorter, so that many servers, and many nodes, do not ask in step.
 *
 * Lock order: checks before balance. Not held while an exchange starts.
 */
#include "brim/origin/checks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brim/base/clock.h"
#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric_group.h"

#define CHECKS_MAGIC 0x68656c31u
#define SET_MAGIC    0x68656c32u
#define BODY_BYTES   65536u
#define IDLE_MS      3600000u

struct check {
    struct set *set;
    struct brim_origin *origin;
    const struct brim_fetch_origin *fetch_origin;
    unsigned server;
    bool is_running;
    bool is_late;             /* cancelled, as its time is over */
    uint64_t next_ms;         /* idle: when it is due; running: when its time is over */
    struct brim_fetch *fetch; /* counted; once start has returned */
    /* of the exchange under way, its fetcher's: */
    unsigned status;
    char *body;
    size_t body_bytes;
    bool is_cut;
};

struct set {
    uint32_t magic;
    struct brim_checks *checks_of;
    struct brim_checks_keep keep;
    unsigned refs; /* lock */
    struct brim_origin **origins;
    size_t origin_count;
    struct brim_fetch_origin *fetch_origins; /* one an origin */
    size_t count;
    struct check checks[];
};

struct brim_checks {
    uint32_t magic;
    struct brim_fetchers *fetchers;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows, and of what checks say of their state */
    pthread_cond_t changed;
    struct set *set; /* that is followed; NULL: none */
    uint64_t seed;
    bool is_stopping;
    bool is_joined;
};

/* ---- sets ---- */

static uint64_t drawn(struct brim_checks *h, uint64_t below)
{
    h->seed++;
    return below == 0 ? 0 : brim_hash64(&h->seed, sizeof(h->seed)) % below;
}

/* Exchanges of checks: at once, beside the pool, within the time of the check. */
static struct brim_fetch_origin fetch_origin(const struct brim_origin *origin)
{
    struct brim_fetch_origin fetch = origin->fetch;

    fetch.metrics = BRIM_METRIC_ORIGIN_NONE;
    fetch.connections_max = brim_balance_count(origin->balance);
    fetch.queue_max = 0;
    fetch.connect_timeout_ms = origin->health.timeout_ms;
    fetch.first_byte_timeout_ms = origin->health.timeout_ms;
    fetch.between_bytes_timeout_ms = origin->health.timeout_ms;
    return fetch;
}

static void add_checks(struct brim_checks *h, struct set *set, size_t position, uint64_t now_ms)
{
    struct brim_origin *origin = set->origins[position];

    set->fetch_origins[position] = fetch_origin(origin);
    for (unsigned i = 0; i < brim_balance_count(origin->balance); i++)
        set->checks[set->count++] = (struct check){
            .set = set,
            .origin = origin,
            .fetch_origin = &set->fetch_origins[position],
            .server = i,
            .next_ms = now_ms + drawn(h, origin->health.interval_ms / 2),
        };
}

static struct set *set_new(struct brim_checks *h, struct brim_origin *const *origins, size_t count,
                           const struct brim_checks_keep *keep)
{
    size_t servers = 0;
    struct set *set;

    for (size_t i = 0; i < count; i++)
        if (origins[i]->health.path != NULL)
            servers += brim_balance_count(origins[i]->balance);
    set = brim_alloc(sizeof(*set) + servers * sizeof(set->checks[0]));
    set->magic = SET_MAGIC;
    set->checks_of = h;
    set->keep = *keep;
    set->refs = 1;
    set->origins = brim_alloc((count + 1) * sizeof(struct brim_origin *));
    set->fetch_origins = brim_alloc((count + 1) * sizeof(*set->fetch_origins));
    for (size_t i = 0; i < count; i++)
        set->origins[set->origin_count++] = origins[i];
    for (size_t i = 0; i < count; i++)
        if (origins[i]->health.path != NULL)
            add_checks(h, set, i, brim_clock_mono_ms());
    INVARIANT(set->count == servers);
    return set;
}

static void set_free(struct set *set)
{
    OBJ_CHECK(set, SET_MAGIC);
    for (size_t i = 0; i < set->count; i++) {
        INVARIANT(!set->checks[i].is_running);
        free(set->checks[i].body);
    }
    set->keep.unref(set->keep.what);
    set->magic = 0;
    free(set->origins);
    free(set->fetch_origins);
    free(set);
}

/* Lock held; the caller frees what is returned when it has let the lock go. */
static struct set *unref_locked(struct set *set)
{
    if (set == NULL || --set->refs > 0)
        return NULL;
    return set;
}

static void free_if_any(struct set *set)
{
    if (set != NULL)
        set_free(set);
}

/* Lock held: nobody is taken down or up meanwhile. sign: 1 or -1. */
static void count_servers(const struct set *set, int64_t sign)
{
    for (size_t i = 0; i < set->origin_count; i++) {
        const struct brim_origin *origin = set->origins[i];

        brim_metric_count_origin(origin->fetch.metrics, BRIM_METRIC_ORIGIN_SERVERS,
                                 sign * (int64_t)brim_balance_count(origin->balance));
        brim_metric_count_origin(origin->fetch.metrics, BRIM_METRIC_ORIGIN_DOWN,
                                 sign * (int64_t)brim_balance_down(origin->balance));
    }
}

/* Lock held. These are in force. */
static void show(const struct set *set)
{
    count_servers(set, 1);
    for (size_t i = 0; i < set->origin_count; i++)
        brim_balance_show(set->origins[i]->balance);
}

static void hide(const struct set *set)
{
    count_servers(set, -1);
    for (size_t i = 0; i < set->origin_count; i++)
        brim_balance_hide(set->origins[i]->balance);
}

/* ---- one check: fetcher thread ---- */

static enum brim_err on_headers(void *ctx, unsigned status, struct brim_fields fields,
                                uint64_t length, enum brim_http_version version)
{
    struct check *check = ctx;

    (void)fields;
    (void)length;
    (void)version;
    check->status = status;
    return BRIM_OK;
}

static enum brim_err on_data(void *ctx, const void *bytes, size_t len)
{
    struct check *check = ctx;

    if (len > BODY_BYTES - check->body_bytes) {
        check->is_cut = true;
        len = BODY_BYTES - check->body_bytes;
    }
    if (check->origin->health.body != NULL && len > 0) {
        if (check->body == NULL)
            check->body = brim_alloc(BODY_BYTES);
        memcpy(check->body + check->body_bytes, bytes, len);
    }
    check->body_bytes += len;
    return check->is_cut ? BRIM_ELIMIT : BRIM_OK;
}

/* What is wrong with the answer; NULL: nothing. */
static const char *fault_of(const struct check *check, enum brim_err result)
{
    const struct brim_check_rules *rules = &check->origin->health;

    if (check->is_late || result == BRIM_ETIMEOUT)
        return "timeout";
    if (result != BRIM_OK && !check->is_cut)
        return brim_err_name(result);
    if (!brim_spans_has(&rules->statuses, check->status))
        return "status";
    if (rules->body != NULL &&
        (check->body == NULL ||
         memmem(check->body, check->body_bytes, rules->body, strlen(rules->body)) == NULL))
        return "body";
    return NULL;
}

/* fault: why it went down; NULL: it came up. */
static void log_change(const struct check *check, const char *fault, unsigned status)
{
    const char *server = brim_balance_url(check->origin->balance, check->server);

    if (fault != NULL)
        BRIM_LOG(WARN, "origin.down", "origin=%s server=%s reason=%s status=%u",
                 check->origin->name, server, fault, status);
    else
        BRIM_LOG(INFO, "origin.up", "origin=%s server=%s status=%u", check->origin->name, server,
                 status);
}

/* Lock held, the set followed. */
static enum brim_balance_change take_result(struct check *check, const char *fault)
{
    unsigned metrics = check->origin->fetch.metrics;
    enum brim_balance_change change = brim_balance_checked(
        check->origin->balance, check->server, fault == NULL ? BRIM_BALANCE_GOOD : BRIM_BALANCE_BAD,
        brim_clock_mono_ms());

    brim_metric_count_origin(metrics, BRIM_METRIC_ORIGIN_CHECKS, 1);
    if (fault != NULL)
        brim_metric_count_origin(metrics, BRIM_METRIC_ORIGIN_CHECKS_FAILED, 1);
    if (change != BRIM_BALANCE_SAME)
        brim_metric_count_origin(metrics, BRIM_METRIC_ORIGIN_DOWN,
                                 change == BRIM_BALANCE_WENT_DOWN ? 1 : -1);
    return change;
}

static void on_done(void *ctx, enum brim_err result, enum brim_fetch_cause cause,
                    const char *detail)
{
    struct check *check = ctx;
    struct set *set = check->set, *last;
    struct brim_checks *h = set->checks_of;
    enum brim_balance_change change = BRIM_BALANCE_SAME;
    struct brim_fetch *fetch;
    const char *fault;
    unsigned status;

    (void)cause;
    (void)detail;
    OBJ_CHECK(set, SET_MAGIC);
    pthread_mutex_lock(&h->lock);
    fault = fault_of(check, result);
    status = check->status;
    if (h->set == set && !h->is_stopping && (result != BRIM_ECLOSED || check->is_late))
        change = take_result(check, fault);
    fetch = check->fetch;
    check->fetch = NULL;
    check->is_running = false;
    check->next_ms = brim_clock_mono_ms() + check->origin->health.interval_ms * 9 / 10 +
                     drawn(h, check->origin->health.interval_ms / 5);
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
    if (change != BRIM_BALANCE_SAME)
        log_change(check, fault, status);
    if (fetch != NULL)
        brim_fetch_unref(fetch);
    pthread_mutex_lock(&h->lock);
    last = unref_locked(set);
    pthread_mutex_unlock(&h->lock);
    free_if_any(last);
}

/* ---- planning ---- */

static enum brim_err start(struct check *check, struct brim_fetch **fetch_out)
{
    static const struct brim_fetch_callbacks callbacks = {
        .headers = on_headers, .data = on_data, .done = on_done};
    static const struct brim_field agent = {BRIM_STR("user-agent"), BRIM_STR("brim-health")};
    const struct brim_origin *origin = check->origin;
    const char *url = brim_balance_url(origin->balance, check->server);
    const char *host = origin->health.host != NULL ? origin->health.host
                       : origin->host != NULL      ? origin->host
                                                   : strstr(url, "://") + 3;
    struct brim_fetch_request request = {
        .origin = check->fetch_origin,
        .method = BRIM_STR("GET"),
        .server = brim_str_of(url),
        .target = brim_str_of(origin->health.path),
        .host = brim_str_of(host),
        .fields = {&agent, 1},
    };

    return brim_fetch_start(check->set->checks_of->fetchers, &request, &callbacks, check,
                            fetch_out);
}

/* Lock held; let go while the exchange starts. */
static void begin(struct brim_checks *h, struct check *check)
{
    struct brim_fetch *fetch = NULL;
    enum brim_err err;

    check->is_running = true;
    check->is_late = check->is_cut = false;
    check->status = 0;
    check->body_bytes = 0;
    check->next_ms = brim_clock_mono_ms() + check->origin->health.timeout_ms;
    check->set->refs++;
    pthread_mutex_unlock(&h->lock);
    err = start(check, &fetch);
    pthread_mutex_lock(&h->lock);
    if (err == BRIM_OK && check->is_running) {
        check->fetch = fetch;
        return;
    }
    if (err == BRIM_OK) { /* it is over already */
        brim_fetch_unref(fetch);
        return;
    }
    check->is_running = false;
    check->next_ms = brim_clock_mono_ms() + check->origin->health.interval_ms;
    check->set->refs--; /* not the last: who calls has one */
}

/* Lock held. Its time is over: cancels. */
static void give_up(struct check *check)
{
    check->is_late = true;
    check->next_ms += IDLE_MS;
    if (check->fetch != NULL)
        brim_fetch_cancel(check->fetch);
}

/* Lock held; let go in between. Returns when there is something to do next. */
static uint64_t turn(struct brim_checks *h, struct set *set)
{
    uint64_t next_ms = brim_clock_mono_ms() + IDLE_MS;

    for (size_t i = 0; i < set->count && h->set == set && !h->is_stopping; i++) {
        struct check *check = &set->checks[i];

        if (check->next_ms <= brim_clock_mono_ms()) {
            if (check->is_running)
                give_up(check);
            else
                begin(h, check);
        }
        next_ms = check->next_ms < next_ms ? check->next_ms : next_ms;
    }
    return h->set == set ? next_ms : 0;
}

static void wait_until(struct brim_checks *h, uint64_t mono_ms)
{
    struct timespec at = {.tv_sec = (time_t)(mono_ms / 1000),
                          .tv_nsec = (long)(mono_ms % 1000) * 1000000};

    (void)pthread_cond_timedwait(&h->changed, &h->lock, &at);
}

static void *checks_main(void *arg)
{
    struct brim_checks *h = arg;

    pthread_setname_np(pthread_self(), "brim-checks");
    pthread_mutex_lock(&h->lock);
    while (!h->is_stopping) {
        struct set *set = h->set, *last;
        uint64_t next_ms;

        if (set == NULL) {
            pthread_cond_wait(&h->changed, &h->lock);
            continue;
        }
        set->refs++;
        next_ms = turn(h, set);
        last = unref_locked(set);
        if (last != NULL) {
            pthread_mutex_unlock(&h->lock);
            set_free(last);
            pthread_mutex_lock(&h->lock);
        } else if (h->set == set && !h->is_stopping && next_ms > brim_clock_mono_ms()) {
            wait_until(h, next_ms);
        }
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* ---- interface ---- */

struct brim_checks *brim_checks_open(struct brim_fetchers *fetchers)
{
    struct brim_checks *h = brim_alloc(sizeof(*h));
    pthread_condattr_t attributes;

    h->magic = CHECKS_MAGIC;
    h->fetchers = fetchers;
    h->seed = brim_clock_mono_us();
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&h->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&h->thread, NULL, checks_main, h) != 0) {
        BRIM_LOG(ERROR, "checks.no_thread", "what=\"servers are not checked\"");
        h->is_joined = true;
    }
    return h;
}

void brim_checks_follow(struct brim_checks *h, struct brim_origin *const *origins, size_t count,
                        const struct brim_checks_keep *keep)
{
    struct set *old, *last;

    OBJ_CHECK(h, CHECKS_MAGIC);
    pthread_mutex_lock(&h->lock);
    old = h->set;
    h->set = set_new(h, origins, count, keep);
    show(h->set);
    if (old != NULL)
        hide(old);
    for (size_t i = 0; old != NULL && i < old->count; i++)
        if (old->checks[i].fetch != NULL)
            brim_fetch_cancel(old->checks[i].fetch); /* only queues a command */
    last = unref_locked(old);
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
    free_if_any(last);
}

void brim_checks_stop(struct brim_checks *h)
{
    if (h == NULL)
        return;
    OBJ_CHECK(h, CHECKS_MAGIC);
    pthread_mutex_lock(&h->lock);
    h->is_stopping = true;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
    if (!h->is_joined)
        pthread_join(h->thread, NULL);
    h->is_joined = true;
}

void brim_checks_close(struct brim_checks *h)
{
    if (h == NULL)
        return;
    brim_checks_stop(h);
    if (h->set != NULL) {
        INVARIANT(h->set->refs == 1);
        hide(h->set);
        set_free(h->set);
    }
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    h->magic = 0;
    free(h);
}
