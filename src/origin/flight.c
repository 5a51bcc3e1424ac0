/* SPDX-License-Identifier: MIT */
/*
 * A flight is moved by one thread, the fetcher's, through these states:
 *
 *   ASKED ---headers---> READY   everybody who waits, and who joins later, gets the object
 *     |        \-------> ALONE   the answer is for the one who asked: he gets it, others REFUSED
 *     |------------------> FAILED  no usable answer
 *   READY, ALONE, FAILED --done--> over (the state stays for those who still look)
 *
 * Only he whose request was sent ever sees an ALONE answer: it may hold what is private to him. If
 * he has left, nobody gets it.
 *
 * The table holds flights that can be joined: those that are asked, and READY ones whose body is
 * still growing and kept from its first byte. A flight that began before the last purge is not
 * joined, as its answer may be older than the purge; who comes later starts another, which takes
 * its place in the table. (The answer of the old one carries its sequence, so that no lookup will
 * find it.)
 *
 * Locks: table before flight. Neither is held while a port fires, a fill ends or a fetch starts.
 */
#include "brim/origin/flight.h"

#include <pthread.h>
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/http/uri.h"
#include "brim/http/vary.h"
#include "brim/origin/answer.h"
#include "brim/origin/balance.h"
#include "brim/origin/letter.h"
#include "brim/origin/resolve.h"

#define FLIGHT_MAGIC  0x666c7431u
#define URL_TEXT_MAX  16384u
#define TABLE_BUCKETS 4096u /* power of two; flights are misses: few at a time */

enum stage { ASKED, READY, ALONE, FAILED, STAGES };

/* Row: from; column: to. */
static const bool may_move[STAGES][STAGES] = {
    [ASKED] = {[READY] = true, [ALONE] = true, [FAILED] = true},
};

struct brim_flight {
    uint32_t magic;
    _Atomic unsigned refs; /* waiters, and one for the exchange until it is done */
    struct brim_flights *flights;
    struct brim_flight *next; /* in the table's bucket */
    bool in_table;            /* table lock */
    enum brim_flight_kind kind;
    struct brim_letter *letter; /* own copy of what was asked */
    uint64_t seq;
    struct brim_origin *origin;
    const struct brim_cache_rules *rules;
    void (*keep_unref)(void *keep);
    void *keep;
    unsigned first_server;
    unsigned tried;     /* servers asked so far */
    bool unconditional; /* a 304 did not fit: asked again without conditions */
    int64_t request_wall_ms;
    uint64_t request_mono_ms;
    struct brim_fill *fill; /* fetcher thread only, like the next two */
    uint64_t expected;      /* body bytes, or BRIM_BODY_LENGTH_UNKNOWN */
    uint64_t received;
    struct brim_watch watch;

    pthread_mutex_t lock; /* of what follows */
    enum stage stage;
    struct brim_port *leader; /* compared, never followed; NULL: left or never was */
    unsigned waiters;
    struct brim_fetch *fetch; /* counted */
    bool wants_resume;        /* before fetch was known */
    bool wants_cancel;
    struct brim_object *object; /* counted; READY, ALONE */
    enum brim_err why;
    enum brim_fetch_cause cause; /* of why */
    unsigned origin_status;
    uint64_t origin_ms;
    const char *reason;
    bool revalidated;
    bool stored;
};

struct brim_flights {
    struct brim_flights_config config;
    pthread_mutex_t lock;
    struct brim_flight *buckets[TABLE_BUCKETS];
    _Atomic unsigned open;
};

static enum brim_err launch(struct brim_flight *f);

/* ---- table ---- */

static struct brim_flight **bucket_of(struct brim_flights *flights, struct brim_digest digest)
{
    return &flights->buckets[digest.lo & (TABLE_BUCKETS - 1)];
}

static void table_remove_locked(struct brim_flight *f)
{
    struct brim_flight **at;

    if (!f->in_table)
        return;
    at = bucket_of(f->flights, brim_letter_key(f->letter)->digest);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->next = NULL;
    f->in_table = false;
}

static void table_remove(struct brim_flight *f)
{
    pthread_mutex_lock(&f->flights->lock);
    table_remove_locked(f);
    pthread_mutex_unlock(&f->flights->lock);
}

static struct brim_flight *table_find_locked(struct brim_flights *flights,
                                             const struct brim_key *key)
{
    struct brim_flight *f = *bucket_of(flights, key->digest);

    while (f != NULL && !brim_key_is(brim_letter_key(f->letter), key))
        f = f->next;
    return f;
}

static void table_add_locked(struct brim_flight *f)
{
    struct brim_flight **bucket = bucket_of(f->flights, brim_letter_key(f->letter)->digest);

    f->next = *bucket;
    *bucket = f;
    f->in_table = true;
}

/* ---- life ---- */

static void flight_unref(struct brim_flight *f)
{
    OBJ_CHECK(f, FLIGHT_MAGIC);
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    INVARIANT(!f->in_table);
    INVARIANT(f->fill == NULL);
    if (f->fetch != NULL)
        brim_fetch_unref(f->fetch);
    brim_object_unref(f->object);
    brim_letter_free(f->letter);
    brim_watch_fini(&f->watch);
    pthread_mutex_destroy(&f->lock);
    f->keep_unref(f->keep);
    atomic_fetch_sub(&f->flights->open, 1);
    BRIM_ADD(FLIGHTS_OPEN, -1);
    f->magic = 0;
    free(f);
}

/* Moves on and tells everybody. object: counted by the call. */
static void move_to(struct brim_flight *f, enum stage stage, struct brim_object *object,
                    enum brim_err why)
{
    pthread_mutex_lock(&f->lock);
    INVARIANT(may_move[f->stage][stage]);
    f->stage = stage;
    f->why = why;
    if (object != NULL)
        f->object = brim_object_ref(object);
    pthread_mutex_unlock(&f->lock);
    brim_watch_fire(&f->watch);
}

static void resume(struct brim_flight *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->fetch == NULL)
        f->wants_resume = true;
    else
        brim_fetch_resume(f->fetch); /* only queues a command */
    pthread_mutex_unlock(&f->lock);
}

static void cancel(struct brim_flight *f)
{
    pthread_mutex_lock(&f->lock);
    f->wants_cancel = true;
    if (f->fetch != NULL)
        brim_fetch_cancel(f->fetch);
    pthread_mutex_unlock(&f->lock);
}

static void on_drained(void *ctx)
{
    resume(ctx);
}

/* Nobody reads a body that is not kept: nothing would ever make room in it. Who was told of it but
 * has not begun to read counts as a waiter; his leaving asks again. */
static void on_abandoned(void *ctx)
{
    struct brim_flight *f = ctx;
    bool awaited;

    pthread_mutex_lock(&f->lock);
    awaited = f->waiters > 0;
    pthread_mutex_unlock(&f->lock);
    if (!awaited)
        cancel(f);
}

/* ---- judging the answer: fetcher thread ---- */

/* Whether those who wait may all see an answer that is not stored: an origin in trouble should not
 * be asked again by the whole crowd. Nothing that could be meant for one client only. */
static bool may_share_error(const struct brim_flight *f, unsigned status,
                            struct brim_fields response)
{
    struct brim_fields request = brim_letter_fields(f->letter);

    return f->kind == BRIM_FLIGHT_SHARED && status >= 500 &&
           brim_fields_find(response, BRIM_STR("set-cookie")) == NULL &&
           !brim_freshness_has_control(response, f->rules) &&
           brim_fields_find(request, BRIM_STR("authorization")) == NULL &&
           brim_fields_find(request, BRIM_STR("cookie")) == NULL;
}

static bool leader_is_here(struct brim_flight *f)
{
    bool here;

    pthread_mutex_lock(&f->lock);
    here = f->leader != NULL;
    pthread_mutex_unlock(&f->lock);
    return here;
}

static struct brim_body_hooks hooks_of(struct brim_flight *f)
{
    return (struct brim_body_hooks){.drained = on_drained, .abandoned = on_abandoned, .ctx = f};
}

static void note_kept(struct brim_flight *f, bool stored, bool revalidated)
{
    pthread_mutex_lock(&f->lock);
    f->stored = stored;
    f->revalidated = revalidated;
    pthread_mutex_unlock(&f->lock);
}

static void note_answer(struct brim_flight *f, unsigned status, const char *reason)
{
    pthread_mutex_lock(&f->lock);
    f->origin_status = status;
    f->origin_ms = brim_clock_mono_ms() - f->request_mono_ms;
    f->reason = reason;
    pthread_mutex_unlock(&f->lock);
}

/* The answer goes to the leader alone, or (an error) to those who are here; nobody joins. */
static enum brim_err begin_unstored(struct brim_flight *f, const struct brim_object_spec *spec,
                                    uint64_t length, enum stage stage)
{
    struct brim_body_hooks hooks = hooks_of(f);
    enum brim_err err;

    table_remove(f);
    err = brim_cache_begin_pass(f->flights->config.cache, spec, length, &hooks, &f->fill);
    if (err != BRIM_OK)
        return err;
    move_to(f, stage, brim_fill_object(f->fill), BRIM_OK);
    /* Nobody may see it if he whose it is has left; the others are refused and ask themselves. */
    return stage == ALONE && !leader_is_here(f) ? BRIM_ECLOSED : BRIM_OK;
}

static enum brim_err begin_stored(struct brim_flight *f, const struct brim_object_spec *spec,
                                  uint64_t length)
{
    struct brim_body_hooks hooks = hooks_of(f);
    enum brim_err err = brim_cache_begin_fill(
        f->flights->config.cache, spec, brim_letter_fields(f->letter), length, &hooks, &f->fill);

    if (err == BRIM_ELIMIT) /* too large to keep: still an answer, for him who asked */
        return begin_unstored(f, spec, length, ALONE);
    if (err != BRIM_OK)
        return err;
    note_kept(f, true, false);
    move_to(f, READY, brim_fill_object(f->fill), BRIM_OK);
    return BRIM_OK;
}

static void remember_pass(struct brim_flight *f, int64_t now_wall_ms)
{
    brim_cache_put_pass(f->flights->config.cache, brim_letter_primary(f->letter),
                        f->flights->config.pass_ttl_ms, now_wall_ms);
}

/* A 304 to the conditions that this flight added: the stored response is good again. */
static enum brim_err take_not_modified(struct brim_flight *f, const struct brim_exchange *exchange)
{
    struct brim_object *stale = brim_letter_stale(f->letter);
    struct brim_object *object = NULL;
    struct brim_answer_update update = {
        .stale = stale, .exchange = exchange, .rules = f->rules, .seq = f->seq};
    enum brim_store_verdict verdict;
    enum brim_err err = brim_answer_refresh(&update, &object, &verdict);

    if (err != BRIM_OK)
        return err;
    note_kept(f, verdict == BRIM_STORE, true);
    if (verdict == BRIM_STORE) {
        brim_cache_put(f->flights->config.cache, object);
        table_remove(f); /* after publishing, as in on_done */
        move_to(f, READY, object, BRIM_OK);
    } else {
        remember_pass(f, exchange->response_wall_ms);
        table_remove(f);
        move_to(f, ALONE, object, BRIM_OK);
    }
    brim_object_unref(object);
    return BRIM_OK;
}

static bool is_unsafe(struct brim_str method) /* RFC 9110 9.2.1 */
{
    return !brim_str_is(method, BRIM_STR("GET")) && !brim_str_is(method, BRIM_STR("HEAD")) &&
           !brim_str_is(method, BRIM_STR("OPTIONS")) && !brim_str_is(method, BRIM_STR("TRACE"));
}

static bool is_in_flight(struct brim_flights *flights, const struct brim_key *primary)
{
    bool found;

    pthread_mutex_lock(&flights->lock);
    found = table_find_locked(flights, primary) != NULL;
    pthread_mutex_unlock(&flights->lock);
    return found;
}

/* Only where something is stored or on its way: each epoch that is kept costs room. */
static void invalidate(struct brim_flights *flights, struct brim_str key_text)
{
    struct brim_key primary = brim_key_of(key_text);

    if (brim_cache_has(flights->config.cache, &primary) || is_in_flight(flights, &primary))
        brim_cache_invalidate(flights->config.cache, &primary);
}

/* A URI of the answer counts only on the same origin (RFC 9111 4.4). */
static void invalidate_reference(struct brim_flight *f, struct brim_fields response,
                                 struct brim_str name)
{
    const struct brim_field *field = brim_fields_only(response, name);
    struct brim_key target;
    char text[URL_TEXT_MAX];
    size_t len;

    if (field == NULL)
        return;
    target = *brim_letter_primary(f->letter);
    len = brim_resolve(target.text, field->value, text, sizeof(text));
    if (len > 0 && brim_uri_is_same_origin(target.text, brim_str(text, len)))
        invalidate(f->flights, brim_str(text, len));
}

/* What a successful unsafe request may have changed (RFC 9111 4.4), before its answer is seen. */
static void invalidate_changed(struct brim_flight *f, const struct brim_exchange *exchange)
{
    if (!is_unsafe(exchange->method) || exchange->status < 200 || exchange->status > 399)
        return;
    invalidate(f->flights, brim_letter_primary(f->letter)->text);
    invalidate_reference(f, exchange->response, BRIM_STR("location"));
    invalidate_reference(f, exchange->response, BRIM_STR("content-location"));
}

static bool is_our_304(const struct brim_flight *f, unsigned status)
{
    return status == 304 && f->kind == BRIM_FLIGHT_SHARED && !f->unconditional &&
           brim_letter_stale(f->letter) != NULL;
}

static enum brim_err judge(struct brim_flight *f, const struct brim_exchange *exchange,
                           struct brim_object_spec *spec, struct brim_field *kept, uint64_t length)
{
    enum brim_store_verdict verdict = BRIM_STORE_NOT;
    enum brim_answer_use use;
    const char *reason = "pass";

    if (f->kind == BRIM_FLIGHT_SHARED)
        verdict = brim_freshness_verdict(exchange, f->rules, &reason);
    note_answer(f, exchange->status, reason);
    brim_freshness_compute(exchange, f->rules, &spec->fresh);
    use = verdict == BRIM_STORE ? BRIM_ANSWER_STORE : BRIM_ANSWER_FORWARD;
    spec->fields =
        brim_answer_fields(exchange->response, use, exchange->method, exchange->status, kept);
    if (verdict == BRIM_STORE) {
        spec->fields = brim_answer_stored_fields(kept, spec->fields.count, f->rules);
        return begin_stored(f, spec, length);
    }
    if (verdict == BRIM_STORE_PASS)
        remember_pass(f, exchange->response_wall_ms);
    else if (may_share_error(f, exchange->status, exchange->response))
        return begin_unstored(f, spec, length, READY);
    return begin_unstored(f, spec, length, ALONE);
}

static enum brim_err on_headers(void *ctx, unsigned status, struct brim_fields fields,
                                uint64_t length)
{
    struct brim_flight *f = ctx;
    struct brim_exchange exchange = {
        .method = brim_letter_method(f->letter),
        .request = brim_letter_fields(f->letter),
        .status = status,
        .response = fields,
        .request_wall_ms = f->request_wall_ms,
        .response_wall_ms = brim_clock_wall_ms(),
    };
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = status,
        .primary = *brim_letter_primary(f->letter),
        .key = *brim_letter_key(f->letter),
        .seq = f->seq,
    };
    struct brim_field *kept;
    enum brim_err err;

    OBJ_CHECK(f, FLIGHT_MAGIC);
    if (is_our_304(f, status)) {
        note_answer(f, status, "revalidated");
        return take_not_modified(f, &exchange);
    }
    invalidate_changed(f, &exchange);
    f->expected = length;
    f->received = 0;
    kept = malloc((fields.count + 1) * sizeof(*kept));
    if (kept == NULL)
        return BRIM_ENOMEM;
    err = judge(f, &exchange, &spec, kept, length);
    free(kept);
    return err;
}

static enum brim_err on_data(void *ctx, const void *bytes, size_t len)
{
    struct brim_flight *f = ctx;
    enum brim_err err;

    BRIM_ADD(ORIGIN_BYTES, len);
    if (f->fill == NULL)
        return BRIM_OK; /* a 304 has none; what comes all the same is nobody's */
    err = brim_fill_append(f->fill, bytes, len);
    if (f->stored && !brim_fill_is_storable(f->fill)) {
        table_remove(f); /* its first bytes may be gone: nobody joins */
        note_kept(f, false, false);
    }
    f->received += len;
    if (f->received != f->expected || (err != BRIM_OK && err != BRIM_EAGAIN))
        return err;
    /* The last byte: published here and not at on_done, so that whoever has read the whole finds it
     * stored when he asks again. Nothing will be drained any more: no pause. */
    brim_fill_finish(f->fill);
    f->fill = NULL;
    table_remove(f);
    return BRIM_OK;
}

/* The server could not be reached, or did not fit: another try is still possible. */
static bool try_again(struct brim_flight *f, enum brim_err result)
{
    bool unreachable = result == BRIM_ECONNECT || result == BRIM_EDNS || result == BRIM_ETLS;

    if (result == BRIM_EAGAIN && !f->unconditional) { /* take_not_modified: see answer.h */
        f->unconditional = true;
        f->tried = 0;
        return launch(f) == BRIM_OK;
    }
    if (!unreachable || f->tried >= f->origin->server_count)
        return false;
    return launch(f) == BRIM_OK;
}

static bool was_cancelled(struct brim_flight *f)
{
    bool cancelled;

    pthread_mutex_lock(&f->lock);
    cancelled = f->wants_cancel;
    pthread_mutex_unlock(&f->lock);
    return cancelled;
}

static void on_done(void *ctx, enum brim_err result, enum brim_fetch_cause cause,
                    const char *detail)
{
    struct brim_flight *f = ctx;
    struct brim_fill *fill = f->fill;
    bool asked;

    OBJ_CHECK(f, FLIGHT_MAGIC);
    pthread_mutex_lock(&f->lock);
    asked = f->stage == ASKED;
    f->cause = cause;
    pthread_mutex_unlock(&f->lock);
    if (result != BRIM_OK && !was_cancelled(f)) {
        BRIM_COUNT(ORIGIN_ERRORS);
        BRIM_LOG(WARN, "origin.failed", "origin=%s reason=%s detail=\"%s\"", f->origin->name,
                 brim_err_name(result), detail == NULL ? "" : detail);
        if (asked && try_again(f, result))
            return;
    }
    f->fill = NULL;
    if (fill != NULL && result == BRIM_OK)
        brim_fill_finish(fill);
    else if (fill != NULL)
        brim_fill_abort(fill, result);
    table_remove(f); /* after publishing: who finds no flight finds the object */
    if (asked)
        move_to(f, FAILED, NULL, result == BRIM_OK ? BRIM_EPROTO : result);
    flight_unref(f);
}

/* ---- starting ---- */

static void adopt_fetch(struct brim_flight *f, struct brim_fetch *fetch)
{
    struct brim_fetch *old;

    pthread_mutex_lock(&f->lock);
    old = f->fetch;
    f->fetch = fetch;
    if (f->wants_resume)
        brim_fetch_resume(fetch);
    f->wants_resume = false;
    if (f->wants_cancel)
        brim_fetch_cancel(fetch);
    pthread_mutex_unlock(&f->lock);
    if (old != NULL)
        brim_fetch_unref(old);
}

/* Asks the next server. The exchange's count on f is there already. */
static enum brim_err launch(struct brim_flight *f)
{
    static const struct brim_fetch_callbacks callbacks = {on_headers, on_data, on_done};
    struct brim_fetch_request request;
    struct brim_fetch *fetch = NULL;
    enum brim_err err;

    brim_letter_request(f->letter, f->unconditional ? BRIM_LETTER_PLAIN : BRIM_LETTER_CONDITIONAL,
                        &request);
    request.origin = &f->origin->fetch;
    request.server = brim_str_of(brim_balance_server(f->origin, f->first_server, f->tried));
    if (f->origin->host != NULL)
        request.host = brim_str_of(f->origin->host);
    f->tried++;
    f->request_wall_ms = brim_clock_wall_ms();
    f->request_mono_ms = brim_clock_mono_ms();
    /* The flight may be over, and gone, before start returns: hold it. */
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    BRIM_COUNT(ORIGIN_REQUESTS);
    err = brim_fetch_start(f->flights->config.fetchers, &request, &callbacks, f, &fetch);
    if (err == BRIM_OK)
        adopt_fetch(f, fetch);
    flight_unref(f);
    return err;
}

static struct brim_flight *flight_new(struct brim_flights *flights,
                                      const struct brim_flight_ask *ask, struct brim_port *leader)
{
    struct brim_letter *letter = brim_letter_new(ask);
    struct brim_flight *f;

    if (letter == NULL)
        return NULL;
    f = brim_alloc(sizeof(*f));
    f->magic = FLIGHT_MAGIC;
    atomic_init(&f->refs, 1); /* the exchange's */
    f->flights = flights;
    f->kind = ask->kind;
    f->letter = letter;
    f->seq = brim_cache_seq(flights->config.cache);
    f->origin = ask->origin;
    f->rules = ask->rules;
    f->keep_unref = ask->keep_unref;
    f->keep = ask->keep;
    ask->keep_ref(ask->keep);
    f->first_server = brim_balance_turn(ask->origin);
    f->leader = leader;
    f->reason = "";
    brim_watch_init(&f->watch);
    pthread_mutex_init(&f->lock, NULL);
    BRIM_ADD(FLIGHTS_OPEN, 1);
    return f;
}

static void admit(struct brim_flight *f, struct brim_port *port)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&f->lock);
    f->waiters++;
    pthread_mutex_unlock(&f->lock);
    brim_watch_add(&f->watch, port);
}

/* Finds the flight that the asker may join, or puts `made` into its place. Counts the asker. NULL:
 * the cache has something that the asker has not seen. */
static struct brim_flight *find_or_add(struct brim_flights *flights, struct brim_flight *made,
                                       const struct brim_flight_ask *ask, struct brim_port *port)
{
    bool may_look = ask->stale == NULL && !ask->looked_again;
    struct brim_flight *f;

    pthread_mutex_lock(&flights->lock);
    f = table_find_locked(flights, brim_letter_key(made->letter));
    if (f != NULL && f->seq != made->seq) { /* begun before a purge */
        table_remove_locked(f);
        f = NULL;
    }
    if (f == NULL && may_look &&
        brim_cache_has(flights->config.cache, brim_letter_key(made->letter))) {
        pthread_mutex_unlock(&flights->lock);
        return NULL; /* a flight has ended between the asker's search and now */
    }
    if (f == NULL) {
        table_add_locked(made);
        f = made;
    }
    if (port != NULL)
        admit(f, port);
    pthread_mutex_unlock(&flights->lock);
    return f;
}

/* The exchange never began: the one who made the flight still holds the exchange's count. */
static void undo(struct brim_flight *f, enum brim_err why)
{
    table_remove(f);
    move_to(f, FAILED, NULL, why);
    flight_unref(f);
}

static bool take_place(struct brim_flights *flights)
{
    if (atomic_fetch_add(&flights->open, 1) < flights->config.flights_max)
        return true;
    atomic_fetch_sub(&flights->open, 1);
    return false;
}

enum brim_err brim_flight_join(struct brim_flights *flights, const struct brim_flight_ask *ask,
                               struct brim_port *port, struct brim_flight **flight_out)
{
    struct brim_flight *made, *f;
    enum brim_err err;

    *flight_out = NULL;
    if (!take_place(flights))
        return BRIM_ELIMIT;
    made = flight_new(flights, ask, port);
    if (made == NULL) {
        atomic_fetch_sub(&flights->open, 1);
        return BRIM_ENOMEM;
    }
    if (ask->kind == BRIM_FLIGHT_SHARED) {
        f = find_or_add(flights, made, ask, port);
    } else {
        f = made;
        admit(f, port);
    }
    *flight_out = f;
    if (f != made) {
        flight_unref(made);
        return f == NULL ? BRIM_EAGAIN : BRIM_OK;
    }
    err = launch(f);
    if (err != BRIM_OK)
        undo(f, err); /* the asker, and whoever joined, sees FAILED */
    return BRIM_OK;
}

void brim_flight_refresh(struct brim_flights *flights, const struct brim_flight_ask *ask)
{
    struct brim_flight *made, *f;
    enum brim_err err;

    INVARIANT(ask->kind == BRIM_FLIGHT_SHARED);
    if (!take_place(flights))
        return;
    made = flight_new(flights, ask, NULL);
    if (made == NULL) {
        atomic_fetch_sub(&flights->open, 1);
        return;
    }
    f = find_or_add(flights, made, ask, NULL);
    if (f != made) {
        flight_unref(made);
        return;
    }
    err = launch(f);
    if (err != BRIM_OK)
        undo(f, err);
}

/* ---- looking and leaving ---- */

static enum brim_flight_state state_for(const struct brim_flight *f, const struct brim_port *port,
                                        struct brim_fields fields)
{
    switch (f->stage) {
    case READY:
        /* All who ask for a cold URL wait under its primary key: nobody knew what it varies by. */
        if (port != f->leader &&
            !brim_vary_selects_same(f->object->fields, brim_letter_fields(f->letter), fields))
            return BRIM_FLIGHT_OTHER;
        return BRIM_FLIGHT_READY;
    case ALONE:
        return port == f->leader ? BRIM_FLIGHT_ALONE : BRIM_FLIGHT_REFUSED;
    case FAILED:
        return BRIM_FLIGHT_FAILED;
    case ASKED:
    case STAGES:
        break;
    }
    return BRIM_FLIGHT_WAIT;
}

void brim_flight_view(struct brim_flight *f, struct brim_port *port, struct brim_fields fields,
                      struct brim_flight_view *view_out)
{
    OBJ_CHECK(f, FLIGHT_MAGIC);
    pthread_mutex_lock(&f->lock);
    *view_out = (struct brim_flight_view){
        .state = state_for(f, port, fields),
        .why = f->why,
        .cause = f->cause,
        .led = port == f->leader,
        .revalidated = f->revalidated,
        .stored = f->stored,
        .origin_status = f->origin_status,
        .reason = f->reason,
        .origin_ms = f->origin_ms,
    };
    if (view_out->state == BRIM_FLIGHT_READY || view_out->state == BRIM_FLIGHT_ALONE ||
        view_out->state == BRIM_FLIGHT_OTHER)
        view_out->object = brim_object_ref(f->object);
    pthread_mutex_unlock(&f->lock);
}

void brim_flight_leave(struct brim_flight *f, struct brim_port *port)
{
    bool is_his, is_unread;

    OBJ_CHECK(f, FLIGHT_MAGIC);
    brim_watch_remove(&f->watch, port);
    pthread_mutex_lock(&f->lock);
    is_his = port == f->leader && (f->kind == BRIM_FLIGHT_PASS || f->stage == ALONE);
    if (port == f->leader)
        f->leader = NULL;
    INVARIANT(f->waiters > 0);
    f->waiters--;
    is_unread = f->waiters == 0 && f->object != NULL &&
                brim_body_mode(f->object->body) == BRIM_BODY_WINDOW &&
                brim_body_readers(f->object->body) == 0;
    pthread_mutex_unlock(&f->lock);
    if (is_his || is_unread)
        cancel(f); /* nobody else may read it; too late does nothing */
    flight_unref(f);
}

/* ---- the table's life ---- */

enum brim_err brim_flights_open(const struct brim_flights_config *config,
                                struct brim_flights **flights_out)
{
    struct brim_flights *flights = brim_alloc(sizeof(*flights));

    flights->config = *config;
    pthread_mutex_init(&flights->lock, NULL);
    *flights_out = flights;
    return BRIM_OK;
}

void brim_flights_close(struct brim_flights *flights)
{
    for (size_t i = 0; i < TABLE_BUCKETS; i++)
        INVARIANT(flights->buckets[i] == NULL);
    INVARIANT(atomic_load(&flights->open) == 0);
    pthread_mutex_destroy(&flights->lock);
    free(flights);
}
