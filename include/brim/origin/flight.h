/* SPDX-License-Identifier: MIT */
/*
 * flight - the fill that everybody waiting for one key shares.
 *
 * One flight per key per node, across workers: the first asker starts it, later ones join. It
 * belongs to nobody's connection: the fetcher thread moves it, so a leader that leaves changes
 * nothing. Waiters register a port and are woken by event when the response's headers are judged:
 *   READY    an object to serve (growing or complete), shared by all;
 *   ALONE    the response may not be shared: this waiter (the first that asks) owns it,
 *   REFUSED  ... and every other is told at once to go on its own (a pass);
 *   OTHER    the answer varies, and by this waiter's fields he selects another: he asks for that,
 *            under its variant key;
 *   FAILED   the origin gave no usable answer.
 * After READY or ALONE progress is the body's (cache/reader).
 *
 * State machine (table in flight.c): ASKED -> HEADERS -> (READY | ALONE) -> ENDED, any -> FAILED.
 */
#ifndef BRIM_ORIGIN_FLIGHT_H
#define BRIM_ORIGIN_FLIGHT_H

#include "brim/base/watch.h"
#include "brim/cache/cache.h"
#include "brim/origin/ask.h"
#include "brim/origin/fetch.h"

struct brim_flights; /* opaque: the table of the node */
struct brim_flight;  /* opaque, counted */

enum brim_flight_state {
    BRIM_FLIGHT_WAIT,
    BRIM_FLIGHT_READY,
    BRIM_FLIGHT_ALONE,
    BRIM_FLIGHT_REFUSED,
    BRIM_FLIGHT_OTHER,
    BRIM_FLIGHT_FAILED,
};

/* The beginning of a body, which is there until it is let go: whoever found the body may begin to
 * read it, though storing it should fail meanwhile. */
struct brim_flight_hold {
    struct brim_body *body; /* counted; NULL: nothing is held */
    struct brim_body_reader *start;
};

struct brim_flight_view {
    enum brim_flight_state state;
    struct brim_object *object;       /* READY, ALONE: counted for the caller */
    struct brim_flight_hold hold;     /* READY: of its body */
    enum brim_err why;                /* FAILED */
    enum brim_fetch_cause cause;      /* likewise */
    bool led;                         /* this waiter started the flight */
    bool revalidated;                 /* READY: a 304 confirmed the stored object */
    bool stored;                      /* READY: it will be or is stored */
    unsigned origin_status;           /* status line of the origin, 0 if none */
    const char *reason;               /* static text: deciding rule, for logs and Cache-Status */
    uint64_t origin_ms;               /* time to the origin's headers */
    const struct brim_origin *origin; /* whose server answered; NULL: none has */
    unsigned server;
};

struct brim_flights_config {
    struct brim_cache *cache;       /* borrowed */
    struct brim_fetchers *fetchers; /* borrowed */
    int64_t pass_ttl_ms;            /* how long a hit-for-miss is remembered */
    unsigned flights_max;           /* more are refused with BRIM_ELIMIT */
    struct brim_ledger *ledger;     /* borrowed: what clients hold, or NULL */
};

BRIM_MUST_USE enum brim_err brim_flights_open(const struct brim_flights_config *config,
                                              struct brim_flights **flights_out);
/* Thread: init, after brim_fetchers_close(). */
void brim_flights_close(struct brim_flights *flights);

/*
 * Joins the flight for ask.key or starts it. port is fired when brim_flight_view() has news.
 * Owns: one count in *flight_out, dropped by brim_flight_leave().
 * Errors: BRIM_EAGAIN something has been stored since the cache was searched: search again, then
 * join with looked_again; BRIM_ENOSPC clients hold all they may (base/ledger); BRIM_ELIMIT,
 * BRIM_ENOMEM, BRIM_EINVAL. Thread: any.
 */
BRIM_MUST_USE enum brim_err brim_flight_join(struct brim_flights *flights,
                                             const struct brim_flight_ask *ask,
                                             struct brim_port *port,
                                             struct brim_flight **flight_out);

/* What an exchange with an origin takes at most, beside the body of its request and what a reader
 * has not taken of the answer's: it is on the ledger until it ends. 64 KiB that libcurl receives
 * into, as many that it keeps while it is paused, as many that are taken before a pause is heard
 * of; the rest for what is asked and answered, and for libcurl itself. */
#define BRIM_FLIGHT_BYTES ((size_t)208 * 1024)

/* What is on the ledger now for an exchange that the waiter with this port began. Thread: any. */
size_t brim_flight_weight(struct brim_flight *flight, const struct brim_port *port);

/* What the flight says now to the waiter with this port, who asked with these fields (as in
 * brim_flight_ask). Thread: any. */
void brim_flight_view(struct brim_flight *flight, struct brim_port *port, struct brim_fields fields,
                      struct brim_flight_view *view_out);

/* Lets the beginning of the body go: the caller reads it himself by now, or will not. Idempotent.
 * Thread: any. */
void brim_flight_let_go(struct brim_flight_hold *hold);

/* The waiter goes (it may keep reading an object it was given). Drops the count. A PASS or ALONE
 * flight whose body nobody reads is cancelled; a shared one goes on. Thread: any. */
void brim_flight_leave(struct brim_flight *flight, struct brim_port *port);

/*
 * Whether a SHARED flight under key is bringing the whole, or about to, and the whole is no larger
 * than bytes_max as far as that is known: then whoever wants a part of it does best to join.
 * Thread: any.
 */
bool brim_flight_brings(struct brim_flights *flights, const struct brim_key *key,
                        uint64_t bytes_max);

/*
 * What a SHARED flight under key has brought whole and is about to publish: who has read its last
 * byte may ask again before it is in the cache. fields: of the request, as brim_cache_find() has
 * them; *soft_purged_out likewise. Owns: a counted object, whose body is held, or NULL: nothing,
 * another variant, or purged. An object without a hold could not be stored, and its beginning is
 * gone: it is only known that what the cache has is older. Thread: any.
 */
struct brim_object *brim_flight_peek(struct brim_flights *flights, const struct brim_key *key,
                                     struct brim_fields fields, bool *soft_purged_out,
                                     struct brim_flight_hold *hold_out);

/* Whether a flight for this URL (perhaps for another) has brought the whole and not published it
 * yet: then what a lookup finds may be older than what somebody has read to the end. Nearly always
 * false. Thread: any. */
bool brim_flights_are_landing(const struct brim_flights *flights, const struct brim_key *primary);

/* Revalidates behind: a SHARED flight without waiters; nothing if one is under way. Thread: any. */
void brim_flight_refresh(struct brim_flights *flights, const struct brim_flight_ask *ask);

#endif
