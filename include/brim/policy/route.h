/* SPDX-License-Identifier: MIT */
/*
 * route - which site and route a request belongs to: a compiled, immutable, counted snapshot of
 * the config's sites and origins.
 *
 * Hosts: exact name before the longest wildcard before "*". Paths: the first glob that matches,
 * then the longest prefix, then the site itself. Of routes with one path, those with conditions
 * (policy/condition) come first; one whose conditions do not hold is passed over.
 */
#ifndef BRIM_POLICY_ROUTE_H
#define BRIM_POLICY_ROUTE_H

#include "brim/base/conf.h"
#include "brim/base/str.h"
#include "brim/http/cache_key.h"
#include "brim/http/freshness.h"
#include "brim/origin/checks.h"
#include "brim/origin/flight.h"
#include "brim/policy/access.h"
#include "brim/policy/acme.h"
#include "brim/policy/basic_auth.h"
#include "brim/policy/condition.h"
#include "brim/policy/cors.h"
#include "brim/policy/error_page.h"
#include "brim/policy/handlers.h"
#include "brim/policy/jwt_gate.h"
#include "brim/policy/pin.h"
#include "brim/policy/rate_limit.h"
#include "brim/policy/rewrite.h"
#include "brim/policy/signed_url.h"

struct brim_compile_faults;
struct brim_routes; /* opaque, counted */

enum brim_forwarded { /* values of sites[].forwarded */
                      BRIM_FORWARDED_X,
                      BRIM_FORWARDED_RFC7239,
                      BRIM_FORWARDED_BOTH,
                      BRIM_FORWARDED_NONE,
};

enum brim_trace_mode { BRIM_TRACE_OFF, BRIM_TRACE_ACCEPT, BRIM_TRACE_CREATE }; /* sites[].trace */

struct brim_route {
    const char *site; /* first host name of the site, for logs */
    unsigned metrics; /* the site's group of base/metric_group */
    const char *path; /* pattern, "" for the site's own */
    struct brim_origin *origin;
    struct brim_origin *write_origin; /* for unsafe methods; NULL: the same */
    struct brim_pin *pin;             /* the site's; NULL: who writes reads as all others */
    struct brim_condition *condition; /* NULL: none but the path */
    bool tells_origins;             /* its site has conditions: keys tell where answers are from */
    struct brim_rewrite rewrite;    /* of what goes to the origin */
    size_t place, rank;             /* in the file, and for the order of globs */
    struct brim_handlers *handlers; /* NULL: none */
    struct brim_error_page *error_page; /* the site's; NULL: none */
    struct brim_access *site_access;    /* NULL: everybody */
    struct brim_access *access;         /* the route's own, beside it; likewise */
    struct brim_access *purge;          /* who may send PURGE; NULL: nobody */
    struct brim_rate_limit *site_rate;  /* NULL: any number */
    struct brim_rate_limit *rate;       /* the route's own, beside it; likewise */
    struct brim_jwt_gate *jwt;          /* the route's or its site's; NULL: nobody needs a token */
    struct brim_basic_auth *basic;      /* likewise; NULL: nobody needs a password */
    struct brim_url_keys *signing;      /* likewise; NULL: URLs need no signature */
    struct brim_str subject_field;      /* that tells the origin who the client is; empty: none */
    struct brim_targets edge_fields;    /* the site's: told to origins by gates, and by no client */
    struct brim_cors *cors;   /* the route's or its site's; NULL: the origin's word counts */
    struct brim_str hsts;     /* Strict-Transport-Security; empty: none */
    int security;             /* security_headers.preset */
    int redirect;             /* redirect_https */
    const char *acme_webroot; /* "": none */
    struct brim_cache_rules rules;
    struct brim_key_rules key;
    enum brim_forwarded forwarded;
    enum brim_trace_mode trace;
    bool server_timing;
    struct brim_str accept_encoding; /* that origins are sent: static text */
};

/* Compiles, handlers included. conf may be freed afterwards. previous: the snapshot in force, whose
 * origins live on where the config says the same of them, or NULL. Errors: BRIM_ENOMEM;
 * BRIM_EINVAL: a file that it names is not usable, which was logged, or with
 * faults told there. Thread: init or control. */
BRIM_MUST_USE enum brim_err brim_routes_compile(const struct brim_conf_root *conf,
                                                const struct brim_routes *previous,
                                                const struct brim_script_stores *stores,
                                                struct brim_compile_faults *faults,
                                                struct brim_routes **routes_out);
void brim_routes_ref(struct brim_routes *routes);
void brim_routes_unref(struct brim_routes *routes);

/* Returns the route (borrowed from routes), or NULL: no site has this host. host: lower-case,
 * without port. path: as received, without query; it is matched as brim_uri_path_plain() gives it.
 * ask: what conditions are about. Thread: any. */
const struct brim_route *brim_routes_match(const struct brim_routes *routes, struct brim_str host,
                                           struct brim_str path,
                                           const struct brim_condition_ask *ask);

/*
 * What is added to the key where a handler chose an origin or names a part of the key, and in sites
 * that have routes with conditions: what two origins say of one URL is not the same, nor what one
 * says when it is asked for two paths. origin and part are a handler's; both may be empty. Empty:
 * nothing is added. buffer: of brim_route_part_room() bytes. Thread: any.
 */
size_t brim_route_part_room(const struct brim_route *route, struct brim_str origin,
                            struct brim_str part);
struct brim_str brim_route_part(const struct brim_route *route, struct brim_str origin,
                                struct brim_str part, char *buffer);

/* What requests of other brims are signed with; NULL: there are none. Thread: any. */
const struct brim_secret *brim_routes_tier_secret(const struct brim_routes *routes);

/* The origin called name, or NULL. Thread: any. */
struct brim_origin *brim_routes_origin(const struct brim_routes *routes, struct brim_str name);

/* Has checks ask the origins of this snapshot, and no others, from now on. Thread: control. */
void brim_routes_check(struct brim_routes *routes, struct brim_checks *checks);

#endif
