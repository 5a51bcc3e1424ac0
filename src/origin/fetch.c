/* SPDX-License-Identifier: MIT */
/*
 * One thread, one multi handle, one inbox per fetcher. Other threads only set a want (start,
 * resume, cancel) on an exchange and put it into the inbox; the thread does the rest:
 *
 *   inbox -> [waiting in its origin's queue] -> [server's name] -> running in the multi -> done()
 *
 * An origin's connections are capped here, not in libcurl, whose cap is per host name and would let
 * an exchange wait without end and without a trace. Connecting is timed by libcurl; the queue, the
 * first byte and the silence between bytes by a deadline of ours, looked at on every turn: libcurl
 * has only a timeout for the whole, which streams must not have.
 *
 * Back-pressure: data() says EAGAIN after it has taken bytes; the next write callback then returns
 * PAUSE, libcurl stops reading the socket, and what it has buffered comes again after resume.
 */
#include "brim/origin/fetch.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/origin/fetch_count.h"
#include "brim/origin/fetch_reason.h"
#include "brim/origin/fetch_wire.h"
#include "brim/origin/response.h"

#define FETCH_MAGIC      0x66657431u
#define ORIGIN_BUCKETS   64u
#define IDLE_WAIT_MS     1000
#define BUSY_WAIT_MS     50    /* how late a deadline of ours may be noticed */
#define WATCH_WAIT_MS    5     /* likewise, that somebody is slow */
#define CONNECTIONS_KEPT 1024L /* idle ones, per fetcher */
#define HANDLES_KEPT     64u
#define AFRESH_MAX       2u

enum want { WANT_START = 1, WANT_RESUME = 2, WANT_CANCEL = 4, WANT_FIND = 8 };

struct brim_fetch {
    uint32_t magic;
    _Atomic unsigned refs; /* the caller's and the fetcher's */
    struct fetcher *fetcher;
    struct brim_fetch *inbox_next; /* fetcher->lock */
    unsigned wants;                /* fetcher->lock */
    bool in_inbox;                 /* fetcher->lock */

    /* the fetcher thread's from here on */
    struct brim_fetch *next; /* running list, or origin queue */
    struct brim_fetch *prev;
    struct slot *slot; /* counted there while running */
    const struct brim_fetch_origin *origin;
    struct brim_fetch_callbacks callbacks;
    void *ctx;
    CURL *easy;
    struct brim_response *response;
    struct brim_wire wire;
    uint64_t deadline_ms; /* 0: none */
    unsigned server_number;
    unsigned server_max; /* exchanges with that server; 0: no limit */
    uint64_t slow_ms;    /* as in the request; 0 when it has been told */
    uint64_t begun_us;   /* when it got its turn; 0: it has not */
    bool is_waiting;
    bool is_running;
    bool was_sent;
    bool has_headers;
    unsigned afresh; /* how often it was asked again, on a connection of its own */
    bool is_paused;
    bool paused_in_curl;
    bool is_done;
    enum brim_fetch_cause cause;
    enum brim_err failure; /* decided here; BRIM_OK: as libcurl says */
    const char *detail;
    char error[CURL_ERROR_SIZE];
};

/* What one origin has under way on its fetcher. Lives while it has something. */
struct slot {
    const struct brim_fetch_origin *origin;
    struct slot *next;
    unsigned running;
    unsigned waiting;
    struct brim_fetch *first;
    struct brim_fetch *last;
    unsigned running_of[BRIM_FETCH_SERVERS_MAX]; /* by server */
};

struct fetcher {
    struct brim_names *names;
    pthread_t thread;
    CURLM *multi;
    struct brim_response_limits limits;
    struct brim_fetch *running; /* list */
    struct slot *slots[ORIGIN_BUCKETS];
    CURL *spare[HANDLES_KEPT];
    unsigned spare_count;
    unsigned watched; /* running exchanges that may be told that they are slow */
    pthread_mutex_t lock;
    struct brim_fetch *inbox; /* lock; newest first */
    bool is_closing;          /* lock */
    bool is_started;
};

struct brim_fetchers {
    struct brim_names *names;
    unsigned count;
    struct fetcher items[];
};

static void start_running(struct brim_fetch *f);

/* ---- exchange: life ---- */

static void unref(struct brim_fetch *f)
{
    OBJ_CHECK(f, FETCH_MAGIC);
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    INVARIANT(f->easy == NULL);
    brim_response_free(f->response);
    brim_wire_fini(&f->wire);
    f->magic = 0;
    free(f);
}

void brim_fetch_unref(struct brim_fetch *fetch)
{
    unref(fetch);
}

static void want(struct brim_fetch *f, enum want what)
{
    struct fetcher *fetcher = f->fetcher;

    pthread_mutex_lock(&fetcher->lock);
    f->wants |= what;
    if (!f->in_inbox) {
        f->in_inbox = true;
        atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
        f->inbox_next = fetcher->inbox;
        fetcher->inbox = f;
    }
    pthread_mutex_unlock(&fetcher->lock);
    curl_multi_wakeup(fetcher->multi);
}

void brim_fetch_resume(struct brim_fetch *fetch)
{
    OBJ_CHECK(fetch, FETCH_MAGIC);
    want(fetch, WANT_RESUME);
}

void brim_fetch_cancel(struct brim_fetch *fetch)
{
    OBJ_CHECK(fetch, FETCH_MAGIC);
    want(fetch, WANT_CANCEL);
}

/* ---- callbacks of libcurl ---- */

static void fail(struct brim_fetch *f, enum brim_err why, const char *detail)
{
    if (f->failure == BRIM_OK) {
        f->failure = why;
        f->detail = detail;
    }
}

static void stop_watching(struct fetcher *t, struct brim_fetch *f)
{
    t->watched -= f->slow_ms > 0;
    f->slow_ms = 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct brim_fetch *f = ctx;
    size_t len = size * count;
    enum brim_err err;

    OBJ_CHECK(f, FETCH_MAGIC);
    switch (brim_response_line(f->response, brim_str(bytes, len))) {
    case BRIM_RESPONSE_MORE:
        return len;
    case BRIM_RESPONSE_BAD:
        fail(f, brim_response_err(f->response), brim_response_fault(f->response));
        return 0;
    case BRIM_RESPONSE_FINAL:
        break;
    }
    f->has_headers = true;
    stop_watching(f->fetcher, f);
    brim_metric_count_answer(f->origin->metrics, brim_response_status(f->response),
                             brim_clock_mono_us() - f->begun_us);
    f->deadline_ms = brim_clock_mono_ms() + f->origin->between_bytes_timeout_ms;
    err = f->callbacks.headers(f->ctx, brim_response_status(f->response),
                               brim_response_fields(f->response), brim_response_length(f->response),
                               brim_response_version(f->response));
    if (err != BRIM_OK)
        fail(f, err, "the answer is not wanted");
    return err == BRIM_OK ? len : 0;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *ctx)
{
    struct brim_fetch *f = ctx;
    size_t len = size * count;
    enum brim_err err;

    OBJ_CHECK(f, FETCH_MAGIC);
    if (f->is_paused) {
        f->paused_in_curl = true;
        f->deadline_ms = 0; /* the silence is ours */
        return CURL_WRITEFUNC_PAUSE;
    }
    if (!f->has_headers) {
        fail(f, BRIM_EPROTO, "a body without a header");
        return 0;
    }
    f->deadline_ms = brim_clock_mono_ms() + f->origin->between_bytes_timeout_ms;
    err = f->callbacks.data(f->ctx, bytes, len);
    if (err == BRIM_EAGAIN) {
        f->is_paused = true;
        BRIM_COUNT(ORIGIN_PAUSES);
        return len;
    }
    if (err != BRIM_OK)
        fail(f, err, "the body could not be taken");
    return err == BRIM_OK ? len : 0;
}

/* Connected, TLS included; the request goes out now. */
static int on_connected(void *ctx, char *peer, char *local, int peer_port, int local_port)
{
    struct brim_fetch *f = ctx;

    (void)peer;
    (void)local;
    (void)peer_port;
    (void)local_port;
    f->was_sent = true;
    f->deadline_ms = brim_clock_mono_ms() + f->origin->first_byte_timeout_ms;
    return CURL_PREREQFUNC_OK;
}

/* ---- origin slots ---- */

static struct slot **slot_place(struct fetcher *t, const struct brim_fetch_origin *origin)
{
    struct slot **at = &t->slots[origin->id % ORIGIN_BUCKETS];

    while (*at != NULL && (*at)->origin != origin)
        at = &(*at)->next;
    return at;
}

static struct slot *slot_get(struct fetcher *t, const struct brim_fetch_origin *origin)
{
    struct slot **at = slot_place(t, origin);

    if (*at == NULL) {
        *at = brim_alloc(sizeof(**at));
        (*at)->origin = origin;
    }
    return *at;
}

static void slot_drop_if_empty(struct fetcher *t, struct slot *slot)
{
    struct slot **at;

    if (slot->running > 0 || slot->waiting > 0)
        return;
    at = slot_place(t, slot->origin);
    INVARIANT(*at == slot);
    *at = slot->next;
    free(slot);
}

static void slot_push(struct slot *slot, struct brim_fetch *f)
{
    f->is_waiting = true;
    f->deadline_ms = brim_clock_mono_ms() + f->origin->first_byte_timeout_ms;
    f->next = NULL;
    f->prev = slot->last;
    if (slot->last != NULL)
        slot->last->next = f;
    else
        slot->first = f;
    slot->last = f;
    slot->waiting++;
    brim_metric_count_origin(f->origin->metrics, BRIM_METRIC_ORIGIN_WAITING, 1);
}

static void slot_remove(struct slot *slot, struct brim_fetch *f)
{
    if (f->prev != NULL)
        f->prev->next = f->next;
    else
        slot->first = f->next;
    if (f->next != NULL)
        f->next->prev = f->prev;
    else
        slot->last = f->prev;
    f->is_waiting = false;
    f->next = f->prev = NULL;
    slot->waiting--;
    brim_metric_count_origin(f->origin->metrics, BRIM_METRIC_ORIGIN_WAITING, -1);
}

static bool may_run(const struct slot *slot, const struct brim_fetch *f)
{
    return slot->running < slot->origin->connections_max &&
           (f->server_max == 0 || slot->running_of[f->server_number] < f->server_max);
}

/* The first that waits and may run now; NULL: none. */
static struct brim_fetch *next_to_run(const struct slot *slot)
{
    struct brim_fetch *f = slot->running < slot->origin->connections_max ? slot->first : NULL;

    while (f != NULL && !may_run(slot, f))
        f = f->next;
    return f;
}

static void running_add(struct fetcher *t, struct brim_fetch *f)
{
    f->prev = NULL;
    f->next = t->running;
    if (t->running != NULL)
        t->running->prev = f;
    t->running = f;
    f->is_running = true;
    t->watched += f->slow_ms > 0;
    f->begun_us = brim_clock_mono_us();
    brim_metric_count_origin(f->origin->metrics, BRIM_METRIC_ORIGIN_RUNNING, 1);
}

static void running_remove(struct fetcher *t, struct brim_fetch *f)
{
    if (f->prev != NULL)
        f->prev->next = f->next;
    else
        t->running = f->next;
    if (f->next != NULL)
        f->next->prev = f->prev;
    f->is_running = false;
    stop_watching(t, f);
    f->next = f->prev = NULL;
    brim_metric_count_origin(f->origin->metrics, BRIM_METRIC_ORIGIN_RUNNING, -1);
}

/* ---- the fetcher thread ---- */

static struct brim_response *response_new(const struct brim_fetch *f)
{
    struct brim_response_limits limits = f->fetcher->limits;

    limits.may_be_http2 = f->origin->is_http2;
    return brim_response_new(&limits);
}

static void give_handle_back(struct fetcher *t, struct brim_fetch *f)
{
    brim_fetch_count_connects(f->easy, f->origin, f->was_sent);
    curl_multi_remove_handle(t->multi, f->easy);
    if (t->spare_count < HANDLES_KEPT) {
        curl_easy_reset(f->easy);
        t->spare[t->spare_count++] = f->easy;
    } else {
        curl_easy_cleanup(f->easy);
    }
    f->easy = NULL;
}

/* Takes the exchange off, lets the next one of its origin start, tells its owner: last, as the
 * origin belongs to a config snapshot that the owner may hold the last count of. */
static void finish(struct brim_fetch *f, enum brim_err result, const char *detail)
{
    struct fetcher *t = f->fetcher;
    struct slot *slot = f->slot;
    struct brim_fetch *next;

    INVARIANT(!f->is_done);
    f->is_done = true;
    brim_fetch_count_result(f->origin->metrics, result);
    if (f->is_waiting)
        slot_remove(slot, f);
    if (f->is_running) {
        running_remove(t, f);
        slot->running--;
        slot->running_of[f->server_number]--;
    }
    if (f->easy != NULL)
        give_handle_back(t, f);
    f->slot = NULL;
    if (slot != NULL) {
        next = next_to_run(slot);
        if (next != NULL) {
            slot_remove(slot, next);
            start_running(next);
        } else {
            slot_drop_if_empty(t, slot);
        }
    }
    f->callbacks.done(f->ctx, result, f->cause, detail);
    unref(f);
}

/* libcurl asks again by itself where a connection turns out to be dead, but not where its HTTP/2
 * finds that out: a server that ends or reloads closes some just when they are used, new ones too.
 */
static bool ask_afresh(struct brim_fetch *f, CURLcode code)
{
    struct fetcher *t = f->fetcher;

    if (code != CURLE_HTTP2 || f->failure != BRIM_OK || f->has_headers || f->afresh == AFRESH_MAX ||
        !brim_wire_is_idempotent(&f->wire))
        return false;
    f->afresh++;
    f->was_sent = false;
    f->deadline_ms = 0;
    f->error[0] = '\0';
    brim_response_free(f->response);
    f->response = response_new(f);
    curl_multi_remove_handle(t->multi, f->easy);
    curl_easy_setopt(f->easy, CURLOPT_FRESH_CONNECT, 1L);
    return f->response != NULL && curl_multi_add_handle(t->multi, f->easy) == CURLM_OK;
}

static void collect_done(struct fetcher *t)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(t->multi, &left)) != NULL) {
        struct brim_fetch *f = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &f) != CURLE_OK)
            continue;
        OBJ_CHECK(f, FETCH_MAGIC);
        if (ask_afresh(f, code))
            continue;
        if (f->failure != BRIM_OK) {
            finish(f, f->failure, f->detail);
        } else {
            struct brim_fetch_end end = {.easy = f->easy,
                                         .code = (int)code,
                                         .was_sent = f->was_sent,
                                         .has_headers = f->has_headers};

            f->cause = brim_fetch_cause_of(&end);
            finish(f, brim_fetch_reason_of(&end),
                   f->error[0] != '\0' ? f->error : curl_easy_strerror(code));
        }
    }
}

static void set_options(struct brim_fetch *f)
{
    CURL *easy = f->easy;
    const struct brim_fetch_origin *origin = f->origin;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, f);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->error);
    brim_wire_set_way(&f->wire, origin, easy);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, f);
    brim_fetch_count_sockets(easy, origin->sockets);
}

static void send_request(struct brim_fetch *f)
{
    struct fetcher *t = f->fetcher;

    f->deadline_ms = 0; /* libcurl times the connecting */
    f->easy = t->spare_count > 0 ? t->spare[--t->spare_count] : curl_easy_init();
    f->response = response_new(f);
    if (f->easy == NULL || f->response == NULL) {
        finish(f, BRIM_ENOMEM, "out of memory");
        return;
    }
    set_options(f);
    brim_wire_set_method(&f->wire, f->easy);
    if (curl_multi_add_handle(t->multi, f->easy) != CURLM_OK)
        finish(f, BRIM_ENOMEM, "the exchange could not be added");
}

static void on_name(void *ctx)
{
    want(ctx, WANT_FIND);
    unref(ctx);
}

/* A name that is looked up for the first time is waited for as a connection is. What fails here
 * ends with the next look at deadlines: at once, it would start the next of its queue, and that one
 * the next. */
static void find_server(struct brim_fetch *f)
{
    struct brim_names_way way;
    enum brim_err err = BRIM_OK;

    if (f->wire.name != NULL) {
        atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed); /* on_name's */
        err = brim_names_find(f->fetcher->names, f->wire.name, on_name, f, &way);
        if (err == BRIM_EAGAIN)
            return;
        unref(f);
        if (err == BRIM_OK && !brim_wire_lead(&f->wire, &way))
            err = BRIM_ENOMEM;
    }
    if (err == BRIM_OK) {
        send_request(f);
        return;
    }
    fail(f, err, "the server's name could not be looked up");
    f->deadline_ms = 1;
}

static void start_running(struct brim_fetch *f)
{
    f->slot->running++;
    f->slot->running_of[f->server_number]++;
    running_add(f->fetcher, f);
    f->deadline_ms = brim_clock_mono_ms() + f->origin->connect_timeout_ms;
    find_server(f);
}

static void begin(struct brim_fetch *f)
{
    brim_metric_count_origin(f->origin->metrics, BRIM_METRIC_ORIGIN_ASKED, 1);
    f->slot = slot_get(f->fetcher, f->origin);
    if (may_run(f->slot, f))
        start_running(f);
    else if (f->slot->waiting < f->origin->queue_max)
        slot_push(f->slot, f);
    else
        finish(f, BRIM_ELIMIT, "too many requests wait for the origin");
}

static void resume(struct brim_fetch *f)
{
    f->is_paused = false;
    if (!f->paused_in_curl)
        return;
    f->paused_in_curl = false;
    f->deadline_ms = brim_clock_mono_ms() + f->origin->between_bytes_timeout_ms;
    curl_easy_pause(f->easy, CURLPAUSE_CONT); /* may call on_write at once */
}

static void obey(struct brim_fetch *f, unsigned wants)
{
    if ((wants & WANT_START) != 0) {
        if ((wants & WANT_CANCEL) != 0)
            finish(f, BRIM_ECLOSED, "cancelled");
        else
            begin(f);
        return;
    }
    if (f->is_done)
        return;
    if ((wants & WANT_CANCEL) != 0) {
        finish(f, BRIM_ECLOSED, "cancelled");
        return;
    }
    if ((wants & WANT_FIND) != 0 && f->easy == NULL)
        find_server(f);
    else if ((wants & WANT_RESUME) != 0)
        resume(f);
}

/* Returns whether the fetcher is to end. */
static bool take_inbox(struct fetcher *t)
{
    struct brim_fetch *list, *oldest = NULL, *next;
    bool is_closing;

    pthread_mutex_lock(&t->lock);
    list = t->inbox;
    t->inbox = NULL;
    is_closing = t->is_closing;
    pthread_mutex_unlock(&t->lock);
    for (; list != NULL; list = next) { /* oldest first */
        next = list->inbox_next;
        list->inbox_next = oldest;
        oldest = list;
    }
    for (; oldest != NULL; oldest = next) {
        unsigned wants;

        next = oldest->inbox_next;
        pthread_mutex_lock(&t->lock);
        wants = oldest->wants;
        oldest->wants = 0;
        oldest->in_inbox = false;
        pthread_mutex_unlock(&t->lock);
        obey(oldest, wants);
        unref(oldest);
    }
    return is_closing;
}

/* The first of a queue has waited longest. Somebody runs as long as one waits, so the slot stays.
 */
static void check_queues(struct fetcher *t, uint64_t now_ms)
{
    for (unsigned i = 0; i < ORIGIN_BUCKETS; i++)
        for (struct slot *slot = t->slots[i]; slot != NULL; slot = slot->next)
            while (slot->first != NULL && now_ms >= slot->first->deadline_ms)
                finish(slot->first, BRIM_ELIMIT, "its turn did not come in time");
}

static void check_deadlines(struct fetcher *t)
{
    uint64_t now_ms = brim_clock_mono_ms();
    struct brim_fetch *next;

    for (struct brim_fetch *f = t->running; f != NULL; f = next) {
        next = f->next; /* finish() may start others, at the front of the list */
        if (f->slow_ms != 0 && now_ms >= f->begun_us / 1000 + f->slow_ms) {
            stop_watching(t, f);
            f->callbacks.slow(f->ctx);
        }
        if (f->was_sent && !f->has_headers && brim_wire_goes_out(&f->wire, f->easy))
            f->deadline_ms = now_ms + f->origin->first_byte_timeout_ms; /* this is no silence */
        if (f->deadline_ms == 0 || now_ms < f->deadline_ms)
            continue;
        if (f->failure != BRIM_OK)
            finish(f, f->failure, f->detail);
        else if (f->easy == NULL && brim_wire_lead_last(&f->wire, t->names))
            send_request(f);
        else if (f->easy == NULL)
            finish(f, BRIM_EDNS, "the server's name was not looked up in time");
        else
            finish(f, BRIM_ETIMEOUT,
                   f->has_headers ? "silence inside the answer" : "no answer in time");
    }
    check_queues(t, now_ms);
}

static void end_all(struct fetcher *t)
{
    while (t->running != NULL) {
        struct brim_fetch *f = t->running;

        while (f->slot->first != NULL) /* so that finish() starts nothing */
            finish(f->slot->first, BRIM_ECLOSED, "the node ends");
        finish(f, BRIM_ECLOSED, "the node ends");
        (void)take_inbox(t); /* what done() asked for is ended in the next round */
    }
}

static void *fetcher_main(void *arg)
{
    struct fetcher *t = arg;
    uint64_t checked_ms = 0, now_ms;
    int running, wait_ms;

    pthread_setname_np(pthread_self(), "brim-fetch");
    while (!take_inbox(t)) {
        curl_multi_perform(t->multi, &running);
        collect_done(t);
        now_ms = brim_clock_mono_ms();
        wait_ms = t->running == NULL ? IDLE_WAIT_MS : t->watched > 0 ? WATCH_WAIT_MS : BUSY_WAIT_MS;
        if (now_ms - checked_ms >= (uint64_t)(t->watched > 0 ? WATCH_WAIT_MS : BUSY_WAIT_MS)) {
            checked_ms = now_ms;
            check_deadlines(t);
        }
        curl_multi_poll(t->multi, NULL, 0, wait_ms, NULL);
    }
    end_all(t);
    return NULL;
}

/* ---- interface ---- */

enum brim_err brim_fetch_start(struct brim_fetchers *fetchers,
                               const struct brim_fetch_request *request,
                               const struct brim_fetch_callbacks *callbacks, void *ctx,
                               struct brim_fetch **fetch_out)
{
    struct brim_fetch *f;
    struct fetcher *t = &fetchers->items[request->origin->id % fetchers->count];
    enum brim_err err;

    INVARIANT(request->server_number < BRIM_FETCH_SERVERS_MAX);
    *fetch_out = NULL;
    f = brim_alloc(sizeof(*f));
    f->magic = FETCH_MAGIC;
    atomic_init(&f->refs, 2);
    f->fetcher = t;
    f->origin = request->origin;
    f->callbacks = *callbacks;
    f->server_number = request->server_number;
    f->server_max = request->server_connections_max;
    f->slow_ms = callbacks->slow == NULL ? 0 : request->slow_ms;
    f->ctx = ctx;
    err = brim_wire_write(request, &f->wire);
    pthread_mutex_lock(&t->lock);
    if (err == BRIM_OK && t->is_closing)
        err = BRIM_ECLOSED;
    pthread_mutex_unlock(&t->lock);
    if (err != BRIM_OK) {
        atomic_store(&f->refs, 1);
        unref(f);
        return err;
    }
    *fetch_out = f;
    want(f, WANT_START);
    return BRIM_OK;
}

static enum brim_err fetcher_open(struct fetcher *t, const struct brim_fetch_config *config)
{
    sigset_t all, old;
    int error;

    t->limits = (struct brim_response_limits){.header_bytes_max = config->header_bytes_max,
                                              .header_count_max = config->header_count_max};
    pthread_mutex_init(&t->lock, NULL);
    t->multi = curl_multi_init();
    if (t->multi == NULL)
        return BRIM_ENOMEM;
    curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    curl_multi_setopt(t->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    error = pthread_create(&t->thread, NULL, fetcher_main, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    t->is_started = error == 0;
    return error == 0 ? BRIM_OK : BRIM_ENOMEM;
}

enum brim_err brim_fetchers_open(const struct brim_fetch_config *config,
                                 struct brim_fetchers **fetchers_out)
{
    struct brim_fetchers *fetchers;
    enum brim_err err;

    INVARIANT(config->threads > 0);
    *fetchers_out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return BRIM_EIO;
    fetchers = brim_alloc(sizeof(*fetchers) + config->threads * sizeof(fetchers->items[0]));
    err = brim_names_open(&config->names, &fetchers->names);
    for (unsigned i = 0; err == BRIM_OK && i < config->threads; i++) {
        fetchers->items[fetchers->count++].names = fetchers->names;
        err = fetcher_open(&fetchers->items[i], config);
    }
    if (err != BRIM_OK) {
        brim_fetchers_close(fetchers);
        return err;
    }
    *fetchers_out = fetchers;
    return BRIM_OK;
}

static void fetcher_close(struct fetcher *t)
{
    if (t->is_started) {
        pthread_mutex_lock(&t->lock);
        t->is_closing = true;
        pthread_mutex_unlock(&t->lock);
        curl_multi_wakeup(t->multi);
        pthread_join(t->thread, NULL);
        (void)take_inbox(t); /* wants that came too late */
        end_all(t);
    }
    while (t->spare_count > 0)
        curl_easy_cleanup(t->spare[--t->spare_count]);
    if (t->multi != NULL)
        curl_multi_cleanup(t->multi);
    pthread_mutex_destroy(&t->lock);
}

void brim_fetchers_close(struct brim_fetchers *fetchers)
{
    if (fetchers->names != NULL)
        brim_names_stop(fetchers->names); /* which tells fetchers */
    for (unsigned i = 0; i < fetchers->count; i++)
        fetcher_close(&fetchers->items[i]);
    brim_names_close(fetchers->names);
    free(fetchers);
    curl_global_cleanup();
}
