/* SPDX-License-Identifier: MIT */
/*
 * slices - a GET that is answered from the parts of a resource: those that are stored, and those
 * that are fetched now, one after the other and only what is needed.
 *
 * Asked again and again (at the start, whenever the port fired, and when a part has been sent) it
 * says what comes next. It refuses to know how a part is sent.
 */
#ifndef BRIM_SERVE_SLICES_H
#define BRIM_SERVE_SLICES_H

#include "brim/cache/cache.h"
#include "brim/cache/slice.h"
#include "brim/http/range.h"
#include "brim/origin/flight.h"

struct brim_slices; /* opaque */

struct brim_slices_ask { /* all of it is borrowed until the slices are freed */
    struct brim_cache *cache;
    struct brim_flights *flights;
    struct brim_port *port;
    const struct brim_flight_ask *letter; /* SHARED, of this request; primary is the URL's */
    struct brim_fields request;           /* as received: Vary, If-Range */
    const struct brim_request_control *control;
    uint64_t slice_bytes;
    int64_t now_wall_ms;
    const struct brim_range_spec *range; /* NULL: all of it, if anything of it is stored */
};

enum brim_slices_state {
    BRIM_SLICES_WAIT, /* the port will fire */
    BRIM_SLICES_PART, /* `object`, counted, has [first, first + length) of its body to send */
    BRIM_SLICES_NONE, /* nothing of it is stored, or If-Range does not hold: get the whole */
    BRIM_SLICES_UNSATISFIABLE, /* 416; `object` is the counted head */
    BRIM_SLICES_ANSWER,        /* the origin answered with something else: see `view` */
    BRIM_SLICES_PASS,          /* cannot be made from parts: ask for this client alone */
    BRIM_SLICES_BROKEN,        /* after a part: the rest cannot be had */
};

struct brim_slices_news {
    enum brim_slices_state state;
    struct brim_object *object;
    struct brim_object *head; /* PART: whose fields and age the answer has; borrowed: the head, or
                                 `object` itself */
    uint64_t first;           /* within the object's body */
    uint64_t length;
    struct brim_range range;      /* of the whole, that the parts make up */
    bool is_range;                /* it was asked for as one, though it be all of it */
    uint64_t total;               /* bytes of the whole */
    bool is_flown;                /* PART: it was fetched for this, or joined on its way */
    struct brim_flight_view view; /* ANSWER, PART that is flown; its object is counted for ANSWER */
};

/* Begins. Thread: loop, as all here. */
struct brim_slices *brim_slices_new(const struct brim_slices_ask *ask);

/* What comes next. After PART the next call goes on behind it; call it until the whole range was
 * handed out and no more. */
void brim_slices_next(struct brim_slices *slices, struct brim_slices_news *news_out);

/* Lets go of searches and flights; accepts NULL. */
void brim_slices_free(struct brim_slices *slices);

#endif
