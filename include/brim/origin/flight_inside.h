/* SPDX-License-Identifier: MIT */
/*
 * flight_inside - what flight.c (who asks, who waits) and flight_land.c (what the answer is made
 * into) share. Nobody else includes it.
 */
#ifndef BRIM_ORIGIN_FLIGHT_INSIDE_H
#define BRIM_ORIGIN_FLIGHT_INSIDE_H

#include <pthread.h>

#include "brim/base/watch.h"
#include "brim/cache/cache.h"
#include "brim/origin/ask.h"
#include "brim/origin/flight_table.h"
#include "brim/origin/letter.h"

#define BRIM_FLIGHT_MAGIC 0x666c7431u

#define BRIM_FLIGHT_TRIES 2u /* exchanges at a time: one, and one that hedges it */

/* One exchange of a flight; the place is used again for the next. */
struct brim_flight_try {
    struct brim_flight *flight;
    struct brim_origin *origin; /* these are set before it starts */
    unsigned server;
    int64_t request_wall_ms;
    uint64_t request_mono_ms;
    unsigned status;                /* fetcher thread only, like the next; 0: no answer yet */
    enum brim_http_version version; /* of that */
    uint64_t took_ms;               /* to that */
    bool is_running;                /* the flight's lock from here on */
    bool has_lost;                  /* the other's answer came first */
    struct brim_fetch *fetch;       /* counted; of the latest, also when it is over */
};

/* A server that is to be asked next. */
struct brim_flight_next {
    struct brim_origin *origin;
    unsigned server;
    bool is_picked;
};

enum { BRIM_FLIGHTS_LANDING = 256 };

enum brim_flight_stage { ASKED, READY, ALONE, FAILED, STAGES };

struct brim_flight {
    uint32_t magic;
    _Atomic unsigned refs; /* waiters, and one for each exchange until it is done */
    struct brim_flights *flights;
    struct brim_flight_place place;  /* table lock */
    struct brim_flight_place part;   /* likewise: SLICE, under the key of the part that comes */
    struct brim_flight_place stands; /* likewise: landing, under the key of what it has brought */
    bool is_withdrawn;               /* likewise: listed, and nobody joins it any more */
    struct brim_key part_key; /* with its text, once it is known; set before `part` is listed */
    enum brim_flight_kind kind;
    struct brim_letter *letter; /* own copy of what was asked */
    uint64_t seq;
    uint64_t slice_bytes; /* SLICE */
    struct brim_origin *first_origin;
    struct brim_origin *origin; /* the first, or one of those that stand in for it */
    const struct brim_cache_rules *rules;
    struct brim_answer_hook hook;
    void (*keep_unref)(void *keep);
    void *keep;
    uint64_t hash;
    struct brim_balance_tried tried; /* servers of origin asked so far */
    unsigned position;               /* of origin in the chain that begins with the first */
    uint64_t asked_pools;            /* by position */
    struct brim_flight_next next;
    unsigned preferred;
    bool prefers;       /* the preferred server, until it was asked */
    bool unconditional; /* a 304 did not fit: asked again without conditions */
    bool has_hedged;
    bool exceeds_key;       /* see ask.h */
    struct brim_fill *fill; /* fetcher thread only, like the next three */
    uint64_t expected;      /* body bytes, or BRIM_BODY_LENGTH_UNKNOWN */
    uint64_t received;
    bool is_replaced;              /* the hook brought the body: the origin's is dropped */
    bool is_ending;                /* the fill has all; the flight leaves when it is published */
    _Atomic bool is_landing;       /* counted in flights->landing */
    struct brim_ledger *ledger;    /* borrowed: of who asked first */
    _Atomic size_t on_ledger;      /* until the exchange is over */
    struct brim_fields own_fields; /* while headers are judged: what the leader gets; or empty */
    struct brim_watch watch;

    pthread_mutex_t lock; /* of what follows */
    enum brim_flight_stage stage;
    struct brim_port *leader; /* compared, never followed; NULL: left or never was */
    unsigned waiters;
    struct brim_flight_try tries[BRIM_FLIGHT_TRIES];
    struct brim_flight_try *winner; /* whose answer it is; NULL: there is none yet */
    bool wants_resume;              /* before its fetch was known */
    bool wants_cancel;
    struct brim_object *object;     /* counted; READY, ALONE */
    struct brim_object *own;        /* counted; the leader's, with fields that nobody else sees */
    struct brim_body_reader *start; /* keeps the first bytes of object's body; or NULL */
    enum brim_err why;
    enum brim_fetch_cause cause; /* of why */
    unsigned origin_status;
    uint64_t origin_ms;
    const char *reason;
    bool revalidated;
    bool stored;
};

struct brim_flights {
    struct brim_cache *cache;       /* borrowed */
    struct brim_fetchers *fetchers; /* borrowed */
    int64_t pass_ttl_ms;
    unsigned open_max;
    struct brim_ledger *ledger; /* borrowed; or NULL */
    pthread_mutex_t lock;
    struct brim_flight_table table;
    _Atomic unsigned open;
    /* By hash of the URL: whose last byte may be seen before what they bring is published. */
    _Atomic unsigned landing[BRIM_FLIGHTS_LANDING];
};

/* ---- flight.c ---- */

/* Moves on and tells everybody. object: counted by the call. */
void brim_flight_move(struct brim_flight *f, enum brim_flight_stage stage,
                      struct brim_object *object, enum brim_err why);
/* The last byte is about to be seen: until brim_flight_unlist(), which is after publishing, lookups
 * ask brim_flight_peek() also where they have found something. What the answer varies by is in
 * force when it returns, and the flight is found by that, too. There is a fill. Thread: fetcher. */
void brim_flight_begin_landing(struct brim_flight *f);

/* The answer to POST will stand where GET looks: it is joined there from its headers on. */
void brim_flight_list_posted(struct brim_flight *f);

/* Ends the fill; the flight leaves the table once what it has brought is published, so that who
 * finds no flight finds the object. */
void brim_flight_finish(struct brim_flight *f);

/* Whoever has heard of the resource asks for the part by its own key: he joins too, until
 * brim_flight_unlist(). Takes the key's text, whatever comes of it. Thread: fetcher. */
void brim_flight_list_part(struct brim_flight *f, struct brim_key key);
/* Nobody joins it any more. Who has read its end still finds it: what it replaces is not taken away
 * before brim_flight_unlist(). */
void brim_flight_withdraw(struct brim_flight *f);
/* Nobody joins it any more, nor finds it. */
void brim_flight_unlist(struct brim_flight *f);
bool brim_flight_is_listed(struct brim_flights *flights, const struct brim_key *key);
/* Keeps the first bytes of a body that is not seen yet, until they are let go. */
void brim_flight_keep_start(struct brim_flight *f, struct brim_body *body);
void brim_flight_let_start_go(struct brim_flight *f);
struct brim_body_hooks brim_flight_hooks(struct brim_flight *f);

/* The exchange is over: what it took is free. Idempotent. */
void brim_flight_settle(struct brim_flight *f);

void brim_flight_unref(struct brim_flight *f);

/* ---- flight_ask.c ---- */

/* Asks the next server. The exchange's count on f is there already. */
enum brim_err brim_flight_launch(struct brim_flight *f);
/* Whether the answer of this status is dropped, as another server is to be asked instead. */
bool brim_flight_passes_over(struct brim_flight_try *try, unsigned status);
/* Whether the answer is the one that counts: that which begins first. */
bool brim_flight_wins(struct brim_flight_try *try);

/* ---- flight_land.c: callbacks of the exchange, a try, on the fetcher thread ---- */

enum brim_err brim_flight_on_headers(void *ctx, unsigned status, struct brim_fields fields,
                                     uint64_t length, enum brim_http_version version);
enum brim_err brim_flight_on_data(void *ctx, const void *bytes, size_t len);

#endif
