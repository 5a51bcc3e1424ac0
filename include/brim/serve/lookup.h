/* SPDX-License-Identifier: MIT */
/*
 * lookup - from what is asked for to what the cache has: site and route, key, the fields that tell
 * variants apart, and the newest answer there is.
 *
 * Knows neither h2o's request nor who asks: a client's request and a handler's fetch share it, so
 * that both meet in one object.
 */
#ifndef BRIM_SERVE_LOOKUP_H
#define BRIM_SERVE_LOOKUP_H

#include <h2o.h>

#include "brim/cache/cache.h"
#include "brim/http/freshness.h"
#include "brim/origin/flight.h"
#include "brim/policy/route.h"

struct brim_lookup {
    h2o_mem_pool_t *pool;       /* memory of all that is made here */
    struct brim_str scheme;     /* "http" or "https" */
    struct brim_str host;       /* with port, as received */
    struct brim_str target;     /* path and query */
    struct brim_str part;       /* added to the key: see brim_lookup_part() */
    struct brim_fields fields;  /* in: as received; out: with the field that is only for the key */
    struct brim_str key_target; /* out: with the parameters that count */
    bool exceeds_key;           /* out: target and fields say what a shared exchange leaves out */
};

/* What a route is chosen by. */
struct brim_lookup_url {
    struct brim_str host; /* with port, as received */
    struct brim_str target;
    struct brim_condition_ask ask;
};

/* The route of url; NULL: no site has it. host_out: lower-case, without port and the root's dot;
 * memory from pool. */
const struct brim_route *brim_lookup_route(h2o_mem_pool_t *pool, const struct brim_routes *routes,
                                           const struct brim_lookup_url *url,
                                           struct brim_str *host_out);

/* Makes primary key and fields of find. False: the URL, or what counts, is too long. */
bool brim_lookup_make(struct brim_lookup *lookup, const struct brim_key_rules *rules,
                      struct brim_find *find);

/* What is known of flights while one request, or one fetch, searches: zeroed before; its hold is
 * let go at the end of that. */
struct brim_lookup_newest {
    struct brim_flight_hold hold; /* of find->object, if it was not published yet */
    bool saw_landing;             /* one was about to publish, of this URL or of another */
    bool has_peeked;              /* at what one is about to publish */
};

struct brim_lookup_places {
    struct brim_cache *cache;
    struct brim_flights *flights;
};

/*
 * brim_cache_find(), and beside it what an exchange has brought and is about to publish: who has
 * read its last byte may ask again before it is, and is not given what is older.
 * Owns: find->object, with a count, for BRIM_FOUND_OBJECT. Thread: loop.
 */
enum brim_found brim_lookup_find(struct brim_lookup_newest *newest,
                                 const struct brim_lookup_places *places,
                                 const struct brim_request_control *control,
                                 struct brim_find *find);

/* brim_route_part() in memory from pool. */
struct brim_str brim_lookup_part(h2o_mem_pool_t *pool, const struct brim_route *route,
                                 struct brim_str origin, struct brim_str part);

/* The route's origin for a method; is_pinned: the client reads where it has written. */
struct brim_origin *brim_lookup_origin(const struct brim_route *route, struct brim_str method,
                                       bool is_pinned);

/* What the origin is asked for, for this target; memory from pool. */
struct brim_str brim_lookup_sent(h2o_mem_pool_t *pool, const struct brim_route *route,
                                 struct brim_str target);

/* fields with that of `of` which is only for the key, if it has one. */
struct brim_fields brim_lookup_with_key(h2o_mem_pool_t *pool, struct brim_fields of,
                                        struct brim_fields fields);
/* The fields without it. */
struct brim_fields brim_lookup_without_key(struct brim_fields fields);

#endif
