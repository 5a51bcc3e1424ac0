/* SPDX-License-Identifier: MIT */
/*
 * subrequest - a request of brim's own on behalf of a client's: one of the node's sites or origins
 * is asked, through the cache or past it, and the whole answer collected.
 *
 * It goes the way that a client's request goes (lookup, shared flight, pass), under the same rules
 * of what may be stored and shared. Of the handlers only origin_response sees it, so that what is
 * stored is the same whoever asked first; where the route has an origin_request, which would have
 * changed the question, it goes past the cache. Nothing of the client goes along but
 * CDN-Loop, so that a loop is found, and its address as the route tells it. Only hosts that sites
 * serve and origins of the config can be asked, so that whoever names the URL gets nowhere else.
 * Refuses to know who wants the answer, and how long he is willing to wait.
 */
#ifndef BRIM_SERVE_SUBREQUEST_H
#define BRIM_SERVE_SUBREQUEST_H

#include "brim/http/uri.h"
#include "brim/serve/env.h"

struct brim_subrequest; /* opaque */

struct brim_subrequest_ask {    /* copied by the call, unless it says otherwise */
    struct brim_env *env;       /* borrowed */
    struct brim_routes *routes; /* counted */
    struct brim_uri url;        /* checked by the call */
    struct brim_str origin;     /* by name, then part of the key; empty: the route's */
    struct brim_str method;
    struct brim_fields fields; /* names lower-case; all that is sent, with what brim adds */
    struct brim_str body;
    bool has_body;
    bool may_cache; /* a GET without body; not if fields ask for a part or a condition */
    uint64_t body_max;
    struct brim_fields client;  /* of the request that this is for: CDN-Loop */
    struct brim_str peer;       /* its client's address */
    struct brim_ledger *ledger; /* what that holds; borrowed; NULL: that of all */
    bool is_ipv6;
    void (*on_end)(void *ctx); /* on the loop, not before begin has returned; may end it */
    void *ctx;
};

enum brim_subrequest_state {
    BRIM_SUBREQUEST_WAIT,
    BRIM_SUBREQUEST_DONE,
    BRIM_SUBREQUEST_FAILED,
};

struct brim_subrequest_view { /* borrowed until end */
    enum brim_subrequest_state state;
    unsigned status;           /* DONE */
    struct brim_fields fields; /* likewise: those of the answer */
    struct brim_str body;      /* likewise, decoded unless fields had an Accept-Encoding */
    const char *why;           /* FAILED: a static sentence */
};

/* Begins; it may be at its end already, and then on_end is not called. NULL: *why_out says what
 * cannot be asked, a static sentence. Thread: loop, like all of it. */
struct brim_subrequest *brim_subrequest_begin(const struct brim_subrequest_ask *ask,
                                              const char **why_out);
void brim_subrequest_view(const struct brim_subrequest *subrequest,
                          struct brim_subrequest_view *view_out);
/* Lets go, at its end or before: a shared flight goes on. Accepts NULL. */
void brim_subrequest_end(struct brim_subrequest *subrequest);

#endif
