/* SPDX-License-Identifier: MIT */
/*
 * freshness - may a response be stored, how long is it fresh, may it be used now: RFC 9111 3, 4.2,
 * 5.2, RFC 5861 and RFC 9213 as pure functions over field lists and times that the caller gives.
 *
 * Refuses to know where time comes from, what is stored where, and what a client is.
 */
#ifndef BRIM_HTTP_FRESHNESS_H
#define BRIM_HTTP_FRESHNESS_H

#include <stdint.h>

#include "brim/http/cache_control.h"
#include "brim/http/field.h"

/* A response with Set-Cookie that could be stored otherwise. Values of cache.set_cookie. */
enum brim_set_cookie {
    BRIM_SET_COOKIE_REFUSE, /* stored only if the origin says that it is for all */
    BRIM_SET_COOKIE_STRIP,  /* stored, and served from that fill, without the cookie */
    BRIM_SET_COOKIE_STORE,  /* stored as it is: each client gets the cookie of the first */
};

/* What a site or route adds to what the origin says. All times in milliseconds; -1: not set. */
struct brim_cache_rules {
    bool bypass;                 /* never look up, never store */
    bool s_maxage_stale;         /* stale-* of the origin count beside s-maxage */
    bool ignore_request_control; /* the client's Cache-Control and Pragma do not count */
    int64_t default_ttl_ms;      /* lifetime for a response that says nothing; -1: heuristic only */
    int64_t max_ttl_ms;          /* no lifetime beyond it; -1: none */
    int64_t grace_ms;            /* stale-if-error for a response that says nothing; 0: none */
    int64_t swr_ms;              /* stale-while-revalidate likewise */
    int64_t ahead_percent;       /* of a lifetime, at its end: revalidated behind; 0: never */
    int64_t negative_ttl_ms;     /* lifetime for 404, 405, 410, 414, 501 that say nothing; -1 */
    enum brim_set_cookie set_cookie;
    struct brim_targets targets;        /* fields that go before Cache-Control and Expires */
    bool compress;                      /* responses that suit it are sent in a content coding */
    struct brim_targets compress_types; /* media types that do: http/coding.h */
    struct brim_targets tags; /* fields that name purge tags, for brim and nobody behind it */
    struct brim_str use_as_dictionary; /* added to a stored 200 that has none; len 0: nothing */
};

/* One exchange as the storing side sees it. */
struct brim_exchange {
    struct brim_str method;     /* of the request */
    struct brim_fields request; /* as sent to the origin */
    unsigned status;
    struct brim_fields response;
    int64_t request_wall_ms;  /* request_time of RFC 9111 4.2.3 */
    int64_t response_wall_ms; /* response_time, likewise */
};

enum brim_store_verdict {
    BRIM_STORE,      /* store it */
    BRIM_STORE_NOT,  /* not this one; says nothing about the next */
    BRIM_STORE_PASS, /* a private or uncacheable resource: remember to pass (hit-for-miss) */
};

/* How a stored response ages. Fixed at storing or at a 304. */
struct brim_freshness {
    int64_t response_wall_ms; /* response_time */
    int64_t date_wall_ms;     /* Date, or response_time if missing or not valid */
    int64_t initial_age_ms;   /* corrected_initial_age */
    int64_t lifetime_ms;      /* freshness_lifetime; 0 = stale at once */
    int64_t swr_ms;           /* usable stale while it is revalidated, after the lifetime */
    int64_t sie_ms;           /* usable stale on error, after the lifetime */
    bool must_revalidate;     /* must-revalidate, proxy-revalidate or s-maxage: never stale */
    bool no_cache;            /* revalidate before every use */
    bool heuristic;           /* the lifetime was guessed (RFC 9111 4.2.2) */
    uint8_t padding[5];
};

/*
 * Decides whether a shared cache stores the response, and why not.
 *
 * *reason_out (static text, never NULL, borrowed) names the deciding rule for logs and
 * Cache-Status. Spec: RFC 9111 3, 3.5 (Authorization), 4.1 (Vary *), 5.2; Set-Cookie only with
 * public or s-maxage, unless the rules say otherwise; neither lifetime nor validator nor
 * default_ttl: not stored.
 */
enum brim_store_verdict brim_freshness_verdict(const struct brim_exchange *exchange,
                                               const struct brim_cache_rules *rules,
                                               const char **reason_out);

/* Computes how the response ages. Spec: RFC 9111 4.2.1-4.2.3, RFC 5861. */
void brim_freshness_compute(const struct brim_exchange *exchange,
                            const struct brim_cache_rules *rules,
                            struct brim_freshness *freshness_out);

/* Which rule gives the lifetime that brim_freshness_compute() would compute: static text, for
 * people. */
struct brim_freshness_source {
    const char *rule;
    bool is_targeted; /* a targeted field (RFC 9213) stands in for Cache-Control */
};
struct brim_freshness_source brim_freshness_source(const struct brim_exchange *exchange,
                                                   const struct brim_cache_rules *rules);

/* Whether the origin says anything about caching, in Cache-Control or a targeted field. */
bool brim_freshness_has_control(struct brim_fields response, const struct brim_cache_rules *rules);

/* current_age of RFC 9111 4.2.3 at now, never negative. */
int64_t brim_freshness_age_ms(const struct brim_freshness *freshness, int64_t now_wall_ms);

/* Whether the response came at a time that is still to come: the clock was set back since, and what
 * it said then tells nothing about how old the response is. */
bool brim_freshness_is_from_future(const struct brim_freshness *freshness, int64_t now_wall_ms);

/* What one request asks of stored responses (RFC 9111 5.2.1, 5.4). Times in ms, -1: not asked. */
struct brim_request_control {
    int64_t max_age_ms;
    int64_t min_fresh_ms;
    int64_t max_stale_ms; /* INT64_MAX: any */
    bool no_cache;
    bool no_store;
    bool only_if_cached;
    bool no_transform;
};

/* Reads Cache-Control, or Pragma where there is none, from a request. */
void brim_request_control_parse(struct brim_fields request, const struct brim_cache_rules *rules,
                                struct brim_request_control *control_out);

enum brim_use {
    BRIM_USE_FRESH,      /* serve it */
    BRIM_USE_STALE,      /* serve it (max-stale) */
    BRIM_USE_STALE_SWR,  /* serve it, revalidate behind */
    BRIM_USE_REVALIDATE, /* ask the origin first; on error see brim_freshness_may_serve_error */
};

/* Decides how a stored response may be used now. `soft_purged`: treat as stale whatever it says. */
enum brim_use brim_freshness_use(const struct brim_freshness *freshness,
                                 const struct brim_request_control *control, int64_t now_wall_ms,
                                 bool soft_purged);

/* Whether the response is fresh, but in the last so many percent of the time that it was fresh for
 * when it came here. */
bool brim_freshness_is_ending(const struct brim_freshness *freshness, int64_t percent,
                              int64_t now_wall_ms);

/*
 * Whether the stored response may stand in for an origin that failed (RFC 5861 4, RFC 9111 4.2.4).
 * Asks nothing about soft purges: such a purge ends freshness, not what the origin allows where it
 * fails; that runs, as without a purge, from the end of the lifetime that the origin set, so a
 * purge never makes a response usable for longer.
 */
bool brim_freshness_may_serve_error(const struct brim_freshness *freshness,
                                    const struct brim_request_control *control,
                                    int64_t now_wall_ms);

#endif
