/* SPDX-License-Identifier: MIT */
/*
 * request_inside - a request's state, for the files of serve/request. Nobody else includes it.
 */
#ifndef BRIM_SERVE_REQUEST_INSIDE_H
#define BRIM_SERVE_REQUEST_INSIDE_H

#include "brim/http/trace.h"
#include "brim/policy/script_http.h"
#include "brim/serve/choice.h"
#include "brim/serve/deliver.h"
#include "brim/serve/lookup.h"
#include "brim/serve/slices.h"

#define BRIM_REQUEST_MAGIC 0x72657131u

enum request_state {
    REQUEST_START,
    REQUEST_HANDLER, /* one waits: request_handlers.c alone goes on with it */
    REQUEST_GATE,    /* one waits: request_gates.c alone goes on with it */
    REQUEST_PURGE,   /* it waits for the tier above: request_purge.c alone goes on with it */
    REQUEST_FIND,
    REQUEST_SLICES,
    REQUEST_FLIGHT,
    REQUEST_CHOICE,
    REQUEST_DELIVER
};

struct request {
    struct brim_delivery delivery; /* first: see deliver.h */
    uint32_t magic;
    enum request_state state;
    struct brim_env *env;
    h2o_req_t *req;
    struct brim_conn *conn;
    struct brim_routes *routes; /* counted */
    const struct brim_route *route;
    struct brim_str method; /* these four: as received, or as a handler would have it */
    struct brim_str target;
    struct brim_str authority;
    struct brim_fields fields;
    const struct brim_route *admitted;      /* whose gates it has passed last; NULL: none */
    struct brim_rate_limit_news rates[2];   /* of its site's and its route's limit */
    struct brim_str subject;                /* of its token; empty: none */
    const struct brim_jwt_gate *shown_to;   /* that has let its token in; NULL: none */
    struct brim_subrequest *keys;           /* that gate's, while they are fetched */
    const struct brim_basic_auth *known_to; /* that has let its password in; NULL: none */
    struct brim_basic_news *basic;          /* what is being found out about it */
    struct brim_password_check *password;   /* likewise, while it is */
    struct brim_acme_read *challenge;       /* of ACME, while it is read */
    struct brim_purge_wait *purge;          /* while the tier above purges */
    const struct brim_url_keys *signed_by;  /* whose signature its URL had; NULL: none */
    void (*admitted_then)(struct request *r);
    struct brim_origin *origin;             /* chosen by a handler; NULL: the route's */
    struct brim_str origin_named;           /* likewise; empty: the route's */
    struct brim_str key_part;               /* by a handler, of the cache key */
    struct brim_handlers *handlers;         /* of the route that the client asked for; NULL: none */
    struct brim_script_run *script;         /* their run; NULL: none, or it failed */
    const char *handler_error;              /* to show to the client; NULL: nothing */
    uint64_t script_us;                     /* CPU time of theirs before the call under way */
    struct viewer_request *viewer;          /* what viewer_request is called with */
    struct brim_script_request *asking;     /* as origin_request would have it; NULL: as it is */
    struct brim_script_request *drafted;    /* likewise, while it runs */
    void (*asked_again)(struct request *r); /* what comes after it */
    h2o_timeout_entry_t tick;               /* while a handler waits */
    h2o_timeout_entry_t turn;               /* while others have their turn first */
    struct brim_origin *asked_origin;       /* likewise */
    struct brim_str key_target;             /* with the parameters that count */
    struct brim_str host;                   /* lower-case, without port */
    struct brim_request_control control;
    struct brim_find find;
    struct brim_object *stale; /* counted: what to revalidate or to fall back on */
    struct brim_flight *flight;
    struct brim_object *found;       /* counted: whose coding is being chosen */
    struct brim_deliver_facts facts; /* likewise */
    struct brim_choice choice;
    struct brim_slices *slices;    /* where the answer is made from parts */
    struct brim_flight_ask letter; /* theirs */
    struct brim_range_spec range;  /* likewise, where the client asks for one */
    struct brim_fields asked;      /* what the flight was asked with */
    char *variant_text;            /* of find.key, where a flight told what the URL varies by */
    unsigned variants_tried;
    struct brim_lookup_newest newest;
    bool looked_again; /* something was stored between search and flight: searched twice */
    struct brim_wake *wake;
    const char *fwd; /* why it went forward, for Cache-Status */
    uint64_t started_us;
    uint64_t id[2];
    struct brim_trace trace;
    unsigned origin_status;
    const struct brim_origin *served_by; /* whose server has answered a flight; NULL: none */
    unsigned served_server;
    bool is_counted;   /* by the site's rate limit, where that goes by a token */
    bool is_from_peer; /* a brim beside this one asks */
    bool exceeds_key;  /* see ask.h */
    bool has_written;  /* a while ago, as its cookie says */
    bool is_preflight; /* of CORS */
    bool is_behind;    /* origin_request runs for a refresh that nobody waits for */
    bool is_shared;    /* the flight asked for the whole, without the client's conditions */
};

static inline struct brim_str brim_request_str(h2o_iovec_t text)
{
    return brim_str(text.base, text.len);
}

static inline bool brim_request_method_is(const struct request *r, const char *name)
{
    return brim_str_is(r->method, brim_str_of(name));
}

/* ---- request.c ---- */

/* The request's port, made when it is first needed. */
struct brim_port *brim_request_port(struct request *r);
/* What a flight of this kind is asked with; memory from the request's pool. */
void brim_request_fill_ask(struct request *r, enum brim_flight_kind kind,
                           struct brim_flight_ask *ask);
/* Joins or starts the flight. */
void brim_request_fly(struct request *r, enum brim_flight_kind kind);
/* Key, lookup, flight: everything after viewer_request. */
void brim_request_look(struct request *r);
/* Answers with what a flight brought; takes the view's object. */
void brim_request_answer(struct request *r, struct brim_flight_view *view);

/* ---- request_account.c ---- */

/* Counts and logs a request that is over. */
void brim_request_account(struct request *r);

/* ---- request_sticky.c ---- */

/* Has the flight go to the server that the client stays with, if it passes. */
void brim_request_prefer(struct request *r, struct brim_flight_ask *ask);
/* Of a delivery's dress: tells the client which server it stays with. */
void brim_request_tell_sticky(struct brim_delivery *d);

/* ---- request_origin.c ---- */

/* Where this request is fetched from, if no origin_request says otherwise. */
struct brim_origin *brim_request_origin(const struct request *r);
/* The target that goes there, likewise. */
struct brim_str brim_request_sent(struct request *r, enum brim_flight_kind kind);
/* Takes over what another brim, if it is one that asks, says of its client. */
void brim_request_read_tier(struct request *r);
/* Finds out whether the client has written a while ago. The cookie that says so is ours alone:
 * nobody sees it behind this. */
void brim_request_begin_pin(struct request *r);
/* Whether the request therefore goes to the write origin, past the cache. */
bool brim_request_is_pinned(const struct request *r);
/* Of a delivery's dress: gives the cookie to who has just written. */
void brim_request_tell_pin(struct brim_delivery *delivery);

/* ---- request_trace.c ---- */

/* Finds the trace of the request, or begins one, as its site says. */
void brim_request_begin_trace(struct request *r);
/* What the origin is sent; empty: whatever the client sent. */
struct brim_str brim_request_traceparent(struct request *r);

/* ---- request_choice.c ---- */

/* Answers with a stored object, in the coding that suits the client. Takes object. */
void brim_request_answer_stored(struct request *r, struct brim_object *object,
                                const struct brim_deliver_facts *facts);
/* Answers with what an origin said to this client alone, coded on the way if that is wanted; takes
 * object. False: it is to go out as it came. */
bool brim_request_code_received(struct request *r, struct brim_object *object,
                                const struct brim_deliver_facts *facts);
/* REQUEST_CHOICE: looks for news. */
void brim_request_look_at_choice(struct request *r);
void brim_request_end_choice(struct request *r);

/* Answers with an error of brim's own. type: error type of Proxy-Status. */
void brim_request_answer_error(struct request *r, unsigned status, const char *text,
                               const char *detail, const char *type);
/* Answers what is not to be understood, and ends the connection. */
void brim_request_refuse(struct request *r, const struct brim_guard_refusal *refusal);
/* Finds the site and route of host and target; false: there is none. */
bool brim_request_match_route(struct request *r);

/* ---- request_dress.c ---- */

/* Adds what the site says of every response. */
void brim_request_dress(struct brim_delivery *delivery);
/* Answers what the edge alone can answer; false: it is not that. */
bool brim_request_answer_preflight(struct request *r);
bool brim_request_answer_redirect(struct request *r);
bool brim_request_answer_challenge(struct request *r);
/* REQUEST_GATE: looks for news. */
void brim_request_look_at_challenge(struct request *r);

/* ---- request_gates.c ---- */

/* Whether its connection is the one to ask for its host; false: that is answered. */
bool brim_request_is_well_directed(struct request *r);

/* Asks the gates of the route that the request has come to; false: one refused it, which is
 * answered, or one waits and then() comes later. */
bool brim_request_admit(struct request *r, void (*then)(struct request *r));
/* REQUEST_GATE: looks for news. */
void brim_request_look_at_gate(struct request *r);
void brim_request_end_gates(struct request *r);
/* Of a delivery's dress: what the rate limits say. */
void brim_request_tell_rates(struct brim_delivery *delivery);

/* ---- request_handlers.c ---- */

/* Runs viewer_request, if there is one, and does what it says; false: it has answered, or it waits
 * and brim_request_look() comes later. */
bool brim_request_handle(struct request *r);
/* Runs origin_request, if there is one and it has not run; false: it failed, which is answered, or
 * it waits and again() comes later. again NULL: for a refresh behind, where there is neither. */
bool brim_request_ask_handler(struct request *r, void (*again)(struct request *r));
void brim_request_end_handlers(struct request *r);

/* ---- request_tasks.c ---- */

/* Lets the handlers of a request begin tasks. */
void brim_request_serve_tasks(struct request *r);
/* A task has come to its end, or waiting is over. */
void brim_request_resume_handler(struct request *r);

/* ---- request_purge.c ---- */

/* Answers PURGE, now or when the tier above has purged. */
void brim_request_purge(struct request *r);
/* REQUEST_PURGE: looks for news. */
void brim_request_look_at_purge(struct request *r);
void brim_request_end_purge(struct request *r);

/* ---- request_parts.c ---- */

/* Fetches what was not found: the whole in one shared flight, or what is wanted of it in parts. */
void brim_request_fetch(struct request *r);
/* REQUEST_SLICES: looks for news. */
void brim_request_look_at_parts(struct request *r);

#endif
