/* SPDX-License-Identifier: MIT */
/*
 * ask - what a request asks of an origin: the words that flight, letter and balance share.
 */
#ifndef BRIM_ORIGIN_ASK_H
#define BRIM_ORIGIN_ASK_H

#include "brim/base/spans.h"
#include "brim/cache/object.h"
#include "brim/http/freshness.h"
#include "brim/origin/balance.h"
#include "brim/origin/fetch.h"
#include "brim/origin/tier.h"

_Static_assert(BRIM_BALANCE_SERVERS_MAX <= BRIM_FETCH_SERVERS_MAX, "servers of an origin");

/* What balance: hash goes by. Values of origins[].hash_on. */
enum brim_hash_on {
    BRIM_HASH_ON_URL,
    BRIM_HASH_ON_CLIENT,
    BRIM_HASH_ON_HEADER,
    BRIM_HASH_ON_COOKIE,
};

/* How the servers of a pool are checked. */
struct brim_check_rules {
    const char *path;           /* NULL: not at all */
    const char *host;           /* NULL: the origin's, else the server's */
    const char *body;           /* that must be in the answer; NULL: any */
    struct brim_spans statuses; /* of who is up */
    uint64_t interval_ms;
    uint64_t timeout_ms;
};

struct brim_sticky;

/* A pool of servers, as flights need it. Lives as long as the config snapshot. */
struct brim_origin {
    struct brim_fetch_origin fetch;
    const char *name;
    struct brim_balance *balance; /* which of its servers is asked */
    const char *host;             /* NULL: the client's Host is passed */
    enum brim_hash_on hash_on;
    struct brim_str hash_name; /* of the field or cookie */
    struct brim_check_rules health;
    struct brim_sticky *sticky;   /* who stays with a server; NULL: nobody */
    struct brim_origin *fallback; /* is asked when this one has no answer; NULL: none */
    struct brim_spans retry_on;   /* statuses that another server is asked for */
    bool retry_timeout;           /* likewise, when there is no answer in time */
    enum brim_tier_kind tier;
    struct brim_secret *tier_secret; /* that requests to it are marked with; NULL: they are not */
    unsigned self;     /* of a peer pool: which of its servers we are, from 1; 0: none */
    uint64_t hedge_ms; /* a GET without an answer is asked twice then; 0: never */
};

enum brim_flight_kind {
    BRIM_FLIGHT_SHARED, /* cacheable GET: one per key, may be stored */
    BRIM_FLIGHT_SLICE,  /* part of a cacheable GET: one per key, may be stored (cache/slice.h) */
    BRIM_FLIGHT_PASS,   /* this client alone, never stored */
};

/* An origin's answer, lent to a site's own code before it is judged. */
struct brim_answer_lent {
    struct brim_str method; /* what was asked, as it was sent */
    struct brim_str target;
    struct brim_str host;
    struct brim_fields request;
    const struct brim_cache_rules *rules;
    unsigned status; /* these two may be replaced, in memory that lives until release */
    struct brim_fields fields;
    struct brim_str body; /* likewise: in place of the origin's, if has_body */
    bool has_body;
    void *memory; /* the hook's own */
};

/* Thread: the fetcher's; does not block. Borrowed: lives as long as the config snapshot. */
struct brim_answer_hook {
    void (*change)(void *ctx, struct brim_answer_lent *answer); /* NULL: no hook */
    void (*release)(void *ctx, struct brim_answer_lent *answer);
    void *ctx;
};

struct brim_flight_ask { /* everything is copied or counted by the call, except where said */
    enum brim_flight_kind kind;
    struct brim_key primary;
    struct brim_key key;       /* variant key from brim_cache_find; SLICE: of the head or slice */
    struct brim_str method;    /* SHARED, SLICE: always sent as GET */
    struct brim_str target;    /* path and query for the origin */
    struct brim_str host;      /* the client's, as the key has it */
    struct brim_str host_sent; /* in place of it and of the origin's own; empty: one of them */
    struct brim_fields fields; /* end-to-end request fields for the origin, see below */
    struct brim_str range;     /* SLICE: value of the Range field that is sent */
    uint64_t slice_bytes;      /* SLICE: where slices begin and end */
    const void *body;
    size_t body_bytes;
    bool has_body;
    bool exceeds_key;          /* PASS: sends what a SHARED one leaves out, as the key has it not */
    bool looked_again;         /* the cache was searched after brim_flight_join said EAGAIN */
    bool is_sequel;            /* of an answer that has begun: not refused for memory */
    struct brim_object *stale; /* revalidate this with its validators; NULL: plain fetch */
    uint64_t hash;             /* what balance: hash goes by */
    unsigned preferred;        /* server that is asked first, */
    bool prefers;              /* if this is set and it is in */
    struct brim_ledger *ledger;           /* borrowed: of who asks; NULL: the flights' own */
    struct brim_origin *origin;           /* borrowed: lives as long as the config snapshot */
    const struct brim_cache_rules *rules; /* borrowed, likewise */
    struct brim_answer_hook hook;
    void (*keep_ref)(void *keep); /* counts the config snapshot that the two belong to */
    void (*keep_unref)(void *keep);
    void *keep;
};
/*
 * fields are what the client sent minus hop-by-hop, Host, framing; for all but PASS also minus
 * Range, If-* and with Accept-Encoding normalised; plus Via and X-Forwarded-*. The flight adds
 * If-None-Match / If-Modified-Since from `stale`. Vary is judged against these fields.
 */

#endif
