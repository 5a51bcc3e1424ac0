/* SPDX-License-Identifier: MIT */
/*
 * Whom a flight asks, and whom next.
 *
 * One server after the other of one pool, as its balance picks them; then of the pool that stands
 * in for it, and so on to the end of that chain. If nobody has answered by then, once more from the
 * beginning, now also those that had been passed over as out or as coming back gently: an answer
 * from a server in doubt is better than none.
 *
 * A second exchange runs beside the first only to hedge it: in the same pool, so on the same
 * fetcher thread. The answer that begins first wins, the other is cancelled. While one of the two
 * is still running the end of the other starts nothing.
 */
#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/origin/balance.h"
#include "brim/origin/flight_inside.h"
#include "brim/origin/method.h"

static void on_done(void *ctx, enum brim_err result, enum brim_fetch_cause cause,
                    const char *detail);
static void on_slow(void *ctx);

/* ---- picking ---- */

/* To a pool of the chain, from its first server. Asking one that has been asked already, as a last
 * resort, is trying again; asking another is not. */
static void go_to(struct brim_flight *f, struct brim_origin *origin, unsigned position)
{
    unsigned bit = position < 63 ? position : 63;

    f->origin = origin;
    f->position = bit;
    f->tried = (struct brim_balance_tried){.insists = f->tried.insists,
                                           .is_retry = (f->asked_pools >> bit & 1) != 0};
}

/* In the pool that is asked now. Of peers, where the key's owner is this node itself nobody is: it
 * goes up. */
static enum brim_err pick_here(struct brim_flight *f)
{
    uint64_t now_ms = brim_clock_mono_ms();
    enum brim_err err =
        brim_balance_pick(f->origin->balance, f->hash, now_ms, &f->tried, &f->next.server);

    if (err != BRIM_OK || f->next.server + 1 != f->origin->self)
        return err;
    brim_balance_end(f->origin->balance, f->next.server, BRIM_BALANCE_UNKNOWN, 0, now_ms);
    return BRIM_ENOENT;
}

/* In the pool that is asked now, or in one behind it. */
static enum brim_err pick_on_the_way(struct brim_flight *f)
{
    enum brim_err err;

    for (;;) {
        err = pick_here(f);
        if (err == BRIM_OK || f->origin->fallback == NULL)
            break;
        go_to(f, f->origin->fallback, f->position + 1);
    }
    if (err == BRIM_OK)
        f->asked_pools |= UINT64_C(1) << f->position;
    f->next.is_picked = err == BRIM_OK;
    f->next.origin = f->origin;
    return err;
}

static enum brim_err pick_next(struct brim_flight *f)
{
    enum brim_err err;

    if (f->prefers) {
        f->prefers = false;
        f->next.server = f->preferred;
        f->next.origin = f->origin;
        f->next.is_picked = brim_balance_pick_this(f->origin->balance, f->preferred,
                                                   brim_clock_mono_ms(), &f->tried) == BRIM_OK;
        f->asked_pools |= f->next.is_picked;
        if (f->next.is_picked)
            return BRIM_OK;
    }
    err = pick_on_the_way(f);
    INVARIANT(f->first_origin != NULL);
    if (err == BRIM_OK || f->tried.insists || f->first_origin->fallback == NULL)
        return err;
    f->tried.insists = true;
    go_to(f, f->first_origin, 0);
    return pick_on_the_way(f);
}

/* What was picked and will not be asked. */
static void drop_next(struct brim_flight *f)
{
    if (f->next.is_picked)
        brim_balance_end(f->next.origin->balance, f->next.server, BRIM_BALANCE_UNKNOWN, 0,
                         brim_clock_mono_ms());
    f->next.is_picked = false;
}

/* ---- asking ---- */

static void adopt_fetch(struct brim_flight_try *try, struct brim_fetch *fetch)
{
    struct brim_flight *f = try->flight;
    struct brim_fetch *old;

    pthread_mutex_lock(&f->lock);
    old = try->fetch;
    try->fetch = fetch;
    if (f->wants_resume && f->winner == try) {
        brim_fetch_resume(fetch);
        f->wants_resume = false;
    }
    if (f->wants_cancel || try->has_lost)
        brim_fetch_cancel(fetch);
    pthread_mutex_unlock(&f->lock);
    if (old != NULL)
        brim_fetch_unref(old);
}

static void make_ready(struct brim_flight_try *try)
{
    struct brim_flight *f = try->flight;

    INVARIANT(f->next.is_picked);
    f->next.is_picked = false;
    try->origin = f->next.origin;
    try->server = f->next.server;
    try->request_wall_ms = brim_clock_wall_ms();
    try->request_mono_ms = brim_clock_mono_ms();
    try->status = 0;
    try->took_ms = 0;
    pthread_mutex_lock(&f->lock);
    try->is_running = true;
    try->has_lost = false;
    if (f->winner == try)
        f->winner = NULL;
    pthread_mutex_unlock(&f->lock);
}

/* Tells another brim what it cannot see: whether the client asked by https, and that it is a peer
 * that asks. The key begins with the client's scheme. */
static void put_mark(const struct brim_flight_try *try, struct brim_fetch_request *request,
                     char buffer[BRIM_TIER_MARK_BYTES])
{
    const struct brim_key *primary = brim_letter_primary(try->flight->letter);
    const struct brim_tier_mark mark = {
        .hop = try->origin->tier,
        .is_https = brim_str_has_prefix(primary->text, BRIM_STR("https://")),
    };
    const struct brim_tier_request what = {request->method, request->target,
                                           try->request_wall_ms / 1000};

    request->mark.name = BRIM_STR(BRIM_TIER_FIELD);
    request->mark.value = brim_tier_write(try->origin->tier_secret, &mark, &what, buffer);
}

/* Asks the server that was picked. The exchange's count on the flight is there already. */
static enum brim_err ask_next(struct brim_flight_try *try)
{
    static const struct brim_fetch_callbacks callbacks = {.headers = brim_flight_on_headers,
                                                          .data = brim_flight_on_data,
                                                          .done = on_done,
                                                          .slow = on_slow};
    struct brim_flight *f = try->flight;
    char mark[BRIM_TIER_MARK_BYTES];
    struct brim_fetch_request request;
    struct brim_fetch *fetch = NULL;
    enum brim_err err;

    make_ready(try);
    brim_letter_request(f->letter, f->unconditional ? BRIM_LETTER_PLAIN : BRIM_LETTER_CONDITIONAL,
                        &request);
    request.origin = &try->origin->fetch;
    request.server = brim_str_of(brim_balance_url(try->origin->balance, try->server));
    request.server_number = try->server;
    request.server_connections_max =
        brim_balance_connections_max(try->origin->balance, try->server);
    request.slow_ms = f->has_hedged ? 0 : try->origin->hedge_ms;
    if (brim_letter_host_sent(try->flight->letter).len > 0)
        request.host = brim_letter_host_sent(try->flight->letter);
    else if (try->origin->host != NULL)
        request.host = brim_str_of(try->origin->host);
    if (try->origin->tier_secret != NULL)
        put_mark(try, &request, mark);
    /* The flight may be over, and gone, before start returns: hold it. */
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    BRIM_COUNT(ORIGIN_REQUESTS);
    if (try->origin != f->first_origin)
        BRIM_COUNT(FAILOVERS);
    err = brim_fetch_start(f->flights->fetchers, &request, &callbacks, try, &fetch);
    if (err == BRIM_OK) {
        adopt_fetch(try, fetch);
    } else {
        brim_balance_end(try->origin->balance, try->server, BRIM_BALANCE_UNKNOWN, 0,
                         brim_clock_mono_ms());
        pthread_mutex_lock(&f->lock);
        try->is_running = false;
        pthread_mutex_unlock(&f->lock);
    }
    brim_flight_unref(f);
    return err;
}

enum brim_err brim_flight_launch(struct brim_flight *f)
{
    enum brim_err err = f->next.is_picked ? BRIM_OK : pick_next(f);

    return err == BRIM_OK ? ask_next(&f->tries[0]) : err;
}

/* ---- the answer begins: fetcher thread ---- */

static struct brim_flight_try *other_than(struct brim_flight_try *try)
{
    struct brim_flight *f = try->flight;

    return try == &f->tries[0] ? &f->tries[1] : &f->tries[0];
}

static bool is_running(struct brim_flight_try *try)
{
    bool running;

    pthread_mutex_lock(&try->flight->lock);
    running = try->is_running;
    pthread_mutex_unlock(&try->flight->lock);
    return running;
}

static bool may_ask_twice(const struct brim_flight *f)
{
    return brim_method_is_idempotent(brim_letter_method(f->letter));
}

bool brim_flight_passes_over(struct brim_flight_try *try, unsigned status)
{
    struct brim_flight *f = try->flight;

    if (!brim_spans_has(&try->origin->retry_on, status) || !may_ask_twice(f))
        return false;
    return is_running(other_than(try)) || pick_next(f) == BRIM_OK;
}

bool brim_flight_wins(struct brim_flight_try *try)
{
    struct brim_flight_try *other = other_than(try);
    struct brim_flight *f = try->flight;
    bool wins;

    pthread_mutex_lock(&f->lock);
    wins = !try->has_lost;
    if (wins) {
        f->winner = try;
        if (other->is_running) {
            other->has_lost = true;
            if (other->fetch != NULL)
                brim_fetch_cancel(other->fetch); /* only queues a command */
        }
    }
    pthread_mutex_unlock(&f->lock);
    return wins;
}

/* No answer yet: another server of the pool is asked beside this one, if retries are left. */
static void on_slow(void *ctx)
{
    struct brim_flight_try *try = ctx, *other = other_than(try);
    struct brim_flight *f = try->flight;
    struct brim_str method = brim_letter_method(f->letter);

    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
    if (f->has_hedged || is_running(other) || try->origin != f->origin ||
        (!brim_str_is(method, BRIM_STR("GET")) && !brim_str_is(method, BRIM_STR("HEAD"))))
        return;
    f->has_hedged = true;
    if (pick_here(f) != BRIM_OK)
        return;
    f->next.is_picked = true;
    f->next.origin = f->origin;
    BRIM_COUNT(HEDGES);
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed); /* the exchange's */
    if (ask_next(other) != BRIM_OK)
        brim_flight_unref(f);
}

/* ---- the end of an exchange: fetcher thread ---- */

static bool was_cancelled(struct brim_flight *f)
{
    bool cancelled;

    pthread_mutex_lock(&f->lock);
    cancelled = f->wants_cancel;
    pthread_mutex_unlock(&f->lock);
    return cancelled;
}

/* What the end of an exchange says of its server. */
static void judge_server(struct brim_flight_try *try, enum brim_err result)
{
    enum brim_balance_verdict verdict = BRIM_BALANCE_BAD;
    uint64_t now_ms = brim_clock_mono_ms(), took_ms = try->took_ms;
    bool has_lost;

    pthread_mutex_lock(&try->flight->lock);
    has_lost = try->has_lost;
    try->is_running = false;
    pthread_mutex_unlock(&try->flight->lock);
    if (result == BRIM_OK || result == BRIM_EAGAIN) {
        verdict = try->status == 502 || try->status == 503 || try->status == 504 ||
                          brim_spans_has(&try->origin->retry_on, try->status)
                      ? BRIM_BALANCE_BAD
                      : BRIM_BALANCE_GOOD;
    } else if (has_lost) {
        verdict = BRIM_BALANCE_SLOW;
        took_ms = now_ms - try->request_mono_ms;
    } else if (result == BRIM_ECLOSED || result == BRIM_ENOMEM || result == BRIM_ELIMIT ||
               was_cancelled(try->flight)) {
        verdict = BRIM_BALANCE_UNKNOWN;
    }
    brim_balance_end(try->origin->balance, try->server, verdict, took_ms, now_ms);
}

/* Whether another server may be asked the same: nothing was sent to this one, or it went away
 * without a word, or not in time, and asking twice does no harm. */
static bool may_ask_another(const struct brim_flight_try *try, enum brim_err result,
                            enum brim_fetch_cause cause)
{
    if (result == BRIM_ECONNECT || result == BRIM_EDNS || result == BRIM_ETLS)
        return true;
    if (!may_ask_twice(try->flight))
        return false;
    return (result == BRIM_EPROTO && cause == BRIM_FETCH_CAUSE_DROPPED) ||
           (result == BRIM_ETIMEOUT && try->origin->retry_timeout);
}

static bool try_again(struct brim_flight_try *try, enum brim_err result,
                      enum brim_fetch_cause cause)
{
    struct brim_flight *f = try->flight;

    if (brim_spans_has(&try->origin->retry_on, try->status)) { /* brim_flight_passes_over */
        BRIM_COUNT(RETRIES);
        return (f->next.is_picked || pick_next(f) == BRIM_OK) && ask_next(try) == BRIM_OK;
    }
    if (result == BRIM_EAGAIN && !f->unconditional) { /* take_not_modified: see answer.h */
        f->unconditional = true;
        f->tried = (struct brim_balance_tried){.insists = f->tried.insists};
        return pick_next(f) == BRIM_OK && ask_next(try) == BRIM_OK;
    }
    if (!may_ask_another(try, result, cause) || pick_next(f) != BRIM_OK)
        return false;
    BRIM_COUNT(RETRIES);
    return ask_next(try) == BRIM_OK;
}

/* A 200 without a byte is more often an origin's accident than what it meant: asked again. */
static bool is_empty_page(const struct brim_fill *fill)
{
    const struct brim_object *object = brim_fill_object(fill);

    return object->status == 200 && brim_body_bytes(object->body) == 0;
}

/* The flight is over. */
static void end(struct brim_flight *f, enum brim_err result)
{
    struct brim_fill *fill = f->fill;
    bool asked;

    pthread_mutex_lock(&f->lock);
    asked = f->stage == ASKED;
    pthread_mutex_unlock(&f->lock);
    drop_next(f);
    if (fill != NULL && result == BRIM_OK && is_empty_page(fill)) {
        f->fill = NULL;
        brim_flight_unlist(f); /* before it is seen to be empty: who asks then asks again */
        brim_fill_finish_unstored(fill);
    } else if (fill != NULL && result == BRIM_OK) {
        brim_flight_begin_landing(f);
        brim_flight_finish(f);
    } else if (fill != NULL) {
        f->fill = NULL;
        brim_fill_abort(fill, result);
    }
    if (!f->is_ending)
        brim_flight_unlist(f);
    if (asked)
        brim_flight_move(f, FAILED, NULL, result == BRIM_OK ? BRIM_EPROTO : result);
}

/* Whether the end of this exchange is for the other to outlive: it has lost, or the other may still
 * bring an answer. */
static bool is_left_to_other(struct brim_flight_try *try, enum brim_fetch_cause cause)
{
    struct brim_flight *f = try->flight;
    bool is_left;

    pthread_mutex_lock(&f->lock);
    is_left = try->has_lost || (f->winner == NULL && other_than(try)->is_running);
    if (!is_left)
        f->cause = cause;
    pthread_mutex_unlock(&f->lock);
    return is_left;
}

static bool is_asked(struct brim_flight *f)
{
    bool asked;

    pthread_mutex_lock(&f->lock);
    asked = f->stage == ASKED;
    pthread_mutex_unlock(&f->lock);
    return asked;
}

static void note_failure(const struct brim_flight_try *try, enum brim_err result,
                         const char *detail)
{
    BRIM_COUNT(ORIGIN_ERRORS);
    BRIM_LOG(WARN, "origin.failed", "origin=%s reason=%s detail=\"%s\"", try->origin->name,
             brim_err_name(result), detail == NULL ? "" : detail);
}

static void on_done(void *ctx, enum brim_err result, enum brim_fetch_cause cause,
                    const char *detail)
{
    struct brim_flight_try *try = ctx;
    struct brim_flight *f = try->flight;
    /* ECLOSED: nobody wants it any more, or the node ends; not the origin's doing. */
    bool has_failed = result != BRIM_OK && result != BRIM_ECLOSED;

    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
    judge_server(try, result);
    if (has_failed && result != BRIM_EAGAIN && !was_cancelled(f))
        note_failure(try, result, detail);
    if (!is_left_to_other(try, cause)) {
        if (has_failed && !was_cancelled(f) && is_asked(f) && try_again(try, result, cause))
            return;
        end(f, result);
    }
    if (!is_running(other_than(try)))
        brim_flight_settle(f);
    brim_flight_unref(f);
}
