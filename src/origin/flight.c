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
 * The table holds flights until what they bring is published, or what they could not replace is
 * gone: so who has read the last byte and asks again finds it in the one place or in the other, and
 * never what is older (brim_flight_peek); with them go those that began before. Only the newest
 * under a key is joined, and that only while its answer will be stored and is kept from its first
 * byte. A flight that began before the last purge is not joined, as its answer may be older than
 * the purge; who comes later starts another, which stands before it in the table. (The answer of
 * the old one carries its sequence, so that no lookup will find it.) Nor does he join who already
 * holds what the flight has brought and asks whether it is still good: that question is a new one.
 * A pass is nobody else's; but where the answer to a POST will stand for the page, it is listed
 * from its headers on.
 *
 * A READY answer that will not be stored (an error that a crowd shares, or one too large to keep)
 * lets its first bytes go once they were read. So that those who waited, but come a moment later
 * than the first of them, still find the beginning, the flight itself stands at offset 0 as a
 * reader until the window is full; who comes after that is REFUSED.
 *
 * Locks: table before flight. Neither is held while a port fires, a fill ends or a fetch starts.
 */
#include "brim/origin/flight.h"

#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/http/vary.h"
#include "brim/origin/balance.h"
#include "brim/origin/flight_inside.h"

/* Row: from; column: to. */
static const bool may_move[STAGES][STAGES] = {
    [ASKED] = {[READY] = true, [ALONE] = true, [FAILED] = true},
};

/* ---- table ---- */

static _Atomic unsigned *landing_place(struct brim_flight *f)
{
    uint64_t hash = brim_letter_primary(f->letter)->digest.lo;

    return &f->flights->landing[hash % BRIM_FLIGHTS_LANDING];
}

static struct brim_flight *table_find_locked(struct brim_flights *flights,
                                             const struct brim_key *key)
{
    struct brim_flight_place *place = brim_flight_table_find(&flights->table, key);

    return place == NULL ? NULL : (struct brim_flight *)place->flight;
}

static bool has_brought(struct brim_flight *f, const struct brim_object *object)
{
    bool has;

    pthread_mutex_lock(&f->lock);
    has = f->object != NULL && f->object == object;
    pthread_mutex_unlock(&f->lock);
    return has;
}

/* The flight under key that who holds `stale` (or NULL) may join. */
static struct brim_flight *joinable_locked(struct brim_flights *flights, const struct brim_key *key,
                                           const struct brim_object *stale)
{
    struct brim_flight *f = table_find_locked(flights, key);

    return f != NULL && !f->is_withdrawn && f->seq == brim_cache_seq(flights->cache) &&
                   !has_brought(f, stale)
               ? f
               : NULL;
}

void brim_flight_list_part(struct brim_flight *f, struct brim_key key)
{
    if (f->part_key.text.base != NULL) { /* asked again: the first answer could not be kept */
        free((void *)(uintptr_t)key.text.base);
        return;
    }
    f->part_key = key;
    pthread_mutex_lock(&f->flights->lock);
    if (f->place.is_listed && !f->is_withdrawn &&
        joinable_locked(f->flights, &f->part_key, NULL) == NULL)
        brim_flight_table_add(&f->flights->table, &f->part, &f->part_key, f);
    pthread_mutex_unlock(&f->flights->lock);
}

void brim_flight_list_posted(struct brim_flight *f)
{
    const struct brim_key *key = brim_letter_key(f->letter);

    pthread_mutex_lock(&f->flights->lock);
    if (!f->place.is_listed && f->seq == brim_cache_seq(f->flights->cache) &&
        joinable_locked(f->flights, key, NULL) == NULL)
        brim_flight_table_add(&f->flights->table, &f->place, key, f);
    pthread_mutex_unlock(&f->flights->lock);
}

void brim_flight_withdraw(struct brim_flight *f)
{
    pthread_mutex_lock(&f->flights->lock);
    f->is_withdrawn = true;
    pthread_mutex_unlock(&f->flights->lock);
}

void brim_flight_unlist(struct brim_flight *f)
{
    bool has_landed = atomic_exchange(&f->is_landing, false);
    struct brim_flight_table *table = &f->flights->table;

    pthread_mutex_lock(&f->flights->lock);
    if (has_landed) { /* not found in its stead */
        brim_flight_table_remove_older(table, &f->place);
        brim_flight_table_remove_older(table, &f->stands);
    }
    brim_flight_table_remove(table, &f->place);
    brim_flight_table_remove(table, &f->part);
    brim_flight_table_remove(table, &f->stands);
    pthread_mutex_unlock(&f->flights->lock);
    if (has_landed)
        atomic_fetch_sub(landing_place(f), 1);
}

/* Who finds what the answer varies by asks by another key than it was asked by. */
static void list_by_own_key(struct brim_flight *f)
{
    const struct brim_key *key = &brim_fill_object(f->fill)->key;

    pthread_mutex_lock(&f->flights->lock);
    if (f->place.is_listed && joinable_locked(f->flights, key, NULL) == NULL)
        brim_flight_table_add(&f->flights->table, &f->stands, key, f);
    pthread_mutex_unlock(&f->flights->lock);
}

void brim_flight_begin_landing(struct brim_flight *f)
{
    if (atomic_exchange(&f->is_landing, true))
        return;
    atomic_fetch_add(landing_place(f), 1);
    list_by_own_key(f);
    brim_fill_announce(f->fill);
}

static void on_published(void *ctx)
{
    struct brim_flight *f = ctx;

    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
    brim_flight_unlist(f);
    brim_flight_unref(f);
}

void brim_flight_finish(struct brim_flight *f)
{
    struct brim_fill *fill = f->fill;

    f->fill = NULL;
    f->is_ending = true;
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    brim_fill_finish_then(fill, on_published, f);
}

bool brim_flights_are_landing(const struct brim_flights *flights, const struct brim_key *primary)
{
    return atomic_load(&flights->landing[primary->digest.lo % BRIM_FLIGHTS_LANDING]) > 0;
}

bool brim_flight_is_listed(struct brim_flights *flights, const struct brim_key *primary)
{
    bool found;

    pthread_mutex_lock(&flights->lock);
    found = table_find_locked(flights, primary) != NULL;
    pthread_mutex_unlock(&flights->lock);
    return found;
}

/* ---- life ---- */

/* Before brim_flight_move(): the body is not seen yet. */
void brim_flight_keep_start(struct brim_flight *f, struct brim_body *body)
{
    INVARIANT(f->start == NULL);
    f->start = brim_body_attach(body, 0);
}

void brim_flight_let_start_go(struct brim_flight *f)
{
    struct brim_body_reader *start;

    pthread_mutex_lock(&f->lock);
    start = f->start;
    f->start = NULL;
    pthread_mutex_unlock(&f->lock);
    if (start != NULL)
        brim_body_detach(f->object->body, start); /* may call hooks */
}

/* Whether a reader other than the flight itself is at the body. */
static bool is_read_locked(struct brim_flight *f)
{
    return brim_body_readers(f->object->body) > (f->start == NULL ? 0u : 1u);
}

void brim_flight_settle(struct brim_flight *f)
{
    brim_ledger_hold(f->ledger, -(int64_t)atomic_exchange(&f->on_ledger, 0));
}

size_t brim_flight_weight(struct brim_flight *f, const struct brim_port *port)
{
    bool is_his;

    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
    pthread_mutex_lock(&f->lock);
    is_his = f->leader == port;
    pthread_mutex_unlock(&f->lock);
    return is_his ? atomic_load(&f->on_ledger) : 0;
}

void brim_flight_unref(struct brim_flight *f)
{
    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    INVARIANT(!f->place.is_listed && !f->part.is_listed && !f->stands.is_listed);
    INVARIANT(f->fill == NULL);
    brim_flight_settle(f);
    brim_flight_let_start_go(f);
    for (unsigned i = 0; i < BRIM_FLIGHT_TRIES; i++)
        if (f->tries[i].fetch != NULL)
            brim_fetch_unref(f->tries[i].fetch);
    brim_object_unref(f->object);
    brim_object_unref(f->own);
    brim_letter_free(f->letter);
    free((void *)(uintptr_t)f->part_key.text.base);
    brim_watch_fini(&f->watch);
    pthread_mutex_destroy(&f->lock);
    f->keep_unref(f->keep);
    atomic_fetch_sub(&f->flights->open, 1);
    BRIM_ADD(FLIGHTS_OPEN, -1);
    f->magic = 0;
    free(f);
}

/* Moves on and tells everybody. object: counted by the call. */
void brim_flight_move(struct brim_flight *f, enum brim_flight_stage stage,
                      struct brim_object *object, enum brim_err why)
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
    if (f->winner == NULL || f->winner->fetch == NULL)
        f->wants_resume = true;
    else
        brim_fetch_resume(f->winner->fetch); /* only queues a command */
    pthread_mutex_unlock(&f->lock);
}

static void cancel(struct brim_flight *f)
{
    pthread_mutex_lock(&f->lock);
    f->wants_cancel = true;
    for (unsigned i = 0; i < BRIM_FLIGHT_TRIES; i++)
        if (f->tries[i].fetch != NULL)
            brim_fetch_cancel(f->tries[i].fetch); /* one that is over takes no notice */
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

struct brim_body_hooks brim_flight_hooks(struct brim_flight *f)
{
    return (struct brim_body_hooks){.drained = on_drained, .abandoned = on_abandoned, .ctx = f};
}

/* ---- starting ---- */

/* A body is kept for another try, and copied for the one under way. */
static size_t bytes_for(const struct brim_flight_ask *ask)
{
    return BRIM_FLIGHT_BYTES + (ask->has_body ? 2 * ask->body_bytes : 0);
}

static struct brim_ledger *ledger_for(const struct brim_flights *flights,
                                      const struct brim_flight_ask *ask)
{
    return ask->ledger != NULL ? ask->ledger : flights->ledger;
}

static struct brim_flight *flight_new(struct brim_flights *flights,
                                      const struct brim_flight_ask *ask, struct brim_port *leader)
{
    struct brim_letter *letter = brim_letter_new(ask);
    struct brim_flight *f;

    if (letter == NULL)
        return NULL;
    f = brim_alloc(sizeof(*f));
    f->magic = BRIM_FLIGHT_MAGIC;
    atomic_init(&f->refs, 1); /* the exchange's */
    f->flights = flights;
    f->ledger = ledger_for(flights, ask);
    atomic_init(&f->on_ledger, bytes_for(ask));
    f->kind = ask->kind;
    f->letter = letter;
    f->seq = brim_cache_seq(flights->cache);
    f->origin = f->first_origin = ask->origin;
    for (unsigned i = 0; i < BRIM_FLIGHT_TRIES; i++)
        f->tries[i].flight = f;
    f->hash = ask->hash;
    f->preferred = ask->preferred;
    f->prefers = ask->prefers;
    f->slice_bytes = ask->slice_bytes;
    f->exceeds_key = ask->exceeds_key;
    f->rules = ask->rules;
    f->hook = ask->hook;
    f->keep_unref = ask->keep_unref;
    f->keep = ask->keep;
    ask->keep_ref(ask->keep);
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

/* Joins what is under way, at no cost but this: a crowd makes no flights of its own. */
static struct brim_flight *join_existing(struct brim_flights *flights,
                                         const struct brim_flight_ask *ask, struct brim_port *port)
{
    struct brim_flight *f;

    pthread_mutex_lock(&flights->lock);
    f = joinable_locked(flights, &ask->key, ask->stale);
    if (f != NULL)
        admit(f, port);
    pthread_mutex_unlock(&flights->lock);
    return f;
}

/* Finds the flight that the asker may join, or puts `made` into its place. Counts the asker. NULL:
 * the cache has something that the asker has not seen. */
static struct brim_flight *find_or_add(struct brim_flights *flights, struct brim_flight *made,
                                       const struct brim_flight_ask *ask, struct brim_port *port)
{
    const struct brim_key *key = brim_letter_key(made->letter);
    bool may_look = ask->stale == NULL && !ask->looked_again;
    struct brim_flight *f;

    pthread_mutex_lock(&flights->lock);
    f = joinable_locked(flights, key, ask->stale);
    if (f == NULL && may_look && brim_cache_has(flights->cache, key)) {
        pthread_mutex_unlock(&flights->lock);
        return NULL; /* a flight has ended between the asker's search and now */
    }
    if (f == NULL) {
        brim_flight_table_add(&flights->table, &made->place, key, made);
        f = made;
    }
    if (port != NULL)
        admit(f, port);
    pthread_mutex_unlock(&flights->lock);
    return f;
}

/* Sends the first request; if that fails, the asker and whoever has joined see FAILED. Uses up the
 * exchange's count. */
static void take_off(struct brim_flight *f)
{
    enum brim_err err;

    err = brim_flight_launch(f);
    if (err == BRIM_OK)
        return;
    brim_flight_unlist(f);
    brim_flight_move(f, FAILED, NULL, err);
    brim_flight_unref(f);
}

static bool take_memory(struct brim_flights *flights, const struct brim_flight_ask *ask)
{
    if (ask->is_sequel) {
        brim_ledger_hold(ledger_for(flights, ask), (int64_t)bytes_for(ask));
        return true;
    }
    if (brim_ledger_take(ledger_for(flights, ask), bytes_for(ask), BRIM_LEDGER_CLOSED))
        return true;
    BRIM_COUNT(MEMORY_REFUSED_EXCHANGE);
    return false;
}

static enum brim_err take_place(struct brim_flights *flights, const struct brim_flight_ask *ask)
{
    enum brim_err err = BRIM_ELIMIT;

    if (atomic_fetch_add(&flights->open, 1) < flights->open_max)
        err = take_memory(flights, ask) ? BRIM_OK : BRIM_ENOSPC;
    if (err != BRIM_OK)
        atomic_fetch_sub(&flights->open, 1);
    return err;
}

static void give_place_back(struct brim_flights *flights, const struct brim_flight_ask *ask)
{
    brim_ledger_hold(ledger_for(flights, ask), -(int64_t)bytes_for(ask));
    atomic_fetch_sub(&flights->open, 1);
}

enum brim_err brim_flight_join(struct brim_flights *flights, const struct brim_flight_ask *ask,
                               struct brim_port *port, struct brim_flight **flight_out)
{
    struct brim_flight *made, *f;
    enum brim_err err;

    *flight_out = NULL;
    if (ask->kind != BRIM_FLIGHT_PASS) {
        *flight_out = join_existing(flights, ask, port);
        if (*flight_out != NULL)
            return BRIM_OK;
    }
    err = take_place(flights, ask);
    if (err != BRIM_OK)
        return err;
    made = flight_new(flights, ask, port);
    if (made == NULL) {
        give_place_back(flights, ask);
        return BRIM_ENOMEM;
    }
    if (ask->kind != BRIM_FLIGHT_PASS) {
        f = find_or_add(flights, made, ask, port);
    } else {
        f = made;
        admit(f, port);
    }
    *flight_out = f;
    if (f == made)
        take_off(f);
    else
        brim_flight_unref(made);
    return f == NULL ? BRIM_EAGAIN : BRIM_OK;
}

static bool may_be_small(struct brim_flight *f, uint64_t bytes_max)
{
    uint64_t length = BRIM_BODY_LENGTH_UNKNOWN;

    pthread_mutex_lock(&f->lock);
    if (f->object != NULL)
        length = brim_body_length(f->object->body);
    pthread_mutex_unlock(&f->lock);
    return length == BRIM_BODY_LENGTH_UNKNOWN || length <= bytes_max;
}

bool brim_flight_brings(struct brim_flights *flights, const struct brim_key *key,
                        uint64_t bytes_max)
{
    struct brim_flight *f;
    bool brings;

    pthread_mutex_lock(&flights->lock);
    f = joinable_locked(flights, key, NULL);
    brings = f != NULL && f->kind == BRIM_FLIGHT_SHARED && may_be_small(f, bytes_max);
    pthread_mutex_unlock(&flights->lock);
    return brings;
}

/* Holds the body at its beginning, so that it is there when he who looks begins to read. False: it
 * is gone. */
static bool hold_start(struct brim_body *body, struct brim_flight_hold *hold)
{
    hold->start = brim_body_attach(body, 0);
    if (hold->start == NULL)
        return false;
    hold->body = body;
    brim_body_ref(body);
    return true;
}

void brim_flight_let_go(struct brim_flight_hold *hold)
{
    if (hold->body == NULL)
        return;
    brim_body_detach(hold->body, hold->start);
    brim_body_unref(hold->body);
    hold->body = NULL;
}

static struct brim_object *whole_of(struct brim_flight *f, struct brim_fields fields)
{
    struct brim_object *object = NULL;

    pthread_mutex_lock(&f->lock);
    if (f->kind != BRIM_FLIGHT_SLICE && f->stage == READY &&
        brim_body_bytes(f->object->body) == brim_body_length(f->object->body) &&
        brim_vary_selects_same(f->object->fields, brim_letter_fields(f->letter), fields))
        object = brim_object_ref(f->object);
    pthread_mutex_unlock(&f->lock);
    return object;
}

struct brim_object *brim_flight_peek(struct brim_flights *flights, const struct brim_key *key,
                                     struct brim_fields fields, bool *soft_purged_out,
                                     struct brim_flight_hold *hold_out)
{
    const struct brim_flight_place *place;
    struct brim_object *object = NULL;

    *soft_purged_out = false;
    *hold_out = (struct brim_flight_hold){.body = NULL};
    pthread_mutex_lock(&flights->lock);
    place = brim_flight_table_find(&flights->table, key);
    while (place != NULL && object == NULL) {
        object = whole_of(place->flight, fields);
        place = brim_flight_table_next(place);
    }
    pthread_mutex_unlock(&flights->lock);
    if (object != NULL && !brim_cache_keeps(flights->cache, object, soft_purged_out)) {
        brim_object_unref(object);
        return NULL;
    }
    if (object != NULL)
        (void)hold_start(object->body, hold_out);
    return object;
}

static bool may_join(struct brim_flights *flights, const struct brim_flight_ask *ask)
{
    bool may;

    pthread_mutex_lock(&flights->lock);
    may = joinable_locked(flights, &ask->key, ask->stale) != NULL;
    pthread_mutex_unlock(&flights->lock);
    return may;
}

void brim_flight_refresh(struct brim_flights *flights, const struct brim_flight_ask *ask)
{
    struct brim_flight *made;

    INVARIANT(ask->kind != BRIM_FLIGHT_PASS);
    if (may_join(flights, ask) || take_place(flights, ask) != BRIM_OK)
        return;
    made = flight_new(flights, ask, NULL);
    if (made == NULL)
        give_place_back(flights, ask);
    else if (find_or_add(flights, made, ask, NULL) == made)
        take_off(made);
    else
        brim_flight_unref(made);
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
    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
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
        .origin = f->winner == NULL ? NULL : f->winner->origin,
        .server = f->winner == NULL ? 0 : f->winner->server,
    };
    if (view_out->state == BRIM_FLIGHT_READY || view_out->state == BRIM_FLIGHT_ALONE ||
        view_out->state == BRIM_FLIGHT_OTHER)
        view_out->object = brim_object_ref(view_out->led && f->own != NULL ? f->own : f->object);
    pthread_mutex_unlock(&f->lock);
    if (view_out->state == BRIM_FLIGHT_READY &&
        !hold_start(view_out->object->body, &view_out->hold)) {
        view_out->state = BRIM_FLIGHT_REFUSED;
        brim_object_unref(view_out->object);
        view_out->object = NULL;
    }
}

/* HEAD, 204, 304: nothing is left to come, so to cancel would only cost the connection. */
static bool is_bodiless_locked(const struct brim_flight *f)
{
    return f->object != NULL && brim_body_length(f->object->body) == 0;
}

void brim_flight_leave(struct brim_flight *f, struct brim_port *port)
{
    bool is_his, is_read, is_window;

    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
    brim_watch_remove(&f->watch, port);
    pthread_mutex_lock(&f->lock);
    is_his = port == f->leader &&
             ((f->kind == BRIM_FLIGHT_PASS && !f->stored) || f->stage == ALONE) &&
             !is_bodiless_locked(f);
    if (port == f->leader)
        f->leader = NULL;
    INVARIANT(f->waiters > 0);
    f->waiters--;
    is_window = f->object != NULL && brim_body_mode(f->object->body) == BRIM_BODY_WINDOW;
    is_read = is_window && is_read_locked(f);
    if (f->waiters > 0)
        is_window = false; /* one of them may still begin to read */
    pthread_mutex_unlock(&f->lock);
    if ((is_his || is_window) && !is_read)
        cancel(f); /* nobody else may read it, or nobody will; too late does nothing */
    brim_flight_unref(f);
}

/* ---- the table's life ---- */

enum brim_err brim_flights_open(const struct brim_flights_config *config,
                                struct brim_flights **flights_out)
{
    struct brim_flights *flights = brim_alloc(sizeof(*flights));

    flights->cache = config->cache;
    flights->fetchers = config->fetchers;
    flights->pass_ttl_ms = config->pass_ttl_ms;
    flights->open_max = config->flights_max;
    flights->ledger = config->ledger;
    pthread_mutex_init(&flights->lock, NULL);
    *flights_out = flights;
    return BRIM_OK;
}

void brim_flights_close(struct brim_flights *flights)
{
    INVARIANT(brim_flight_table_is_empty(&flights->table));
    INVARIANT(atomic_load(&flights->open) == 0);
    pthread_mutex_destroy(&flights->lock);
    free(flights);
}
