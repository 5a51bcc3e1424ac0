/* SPDX-License-Identifier: MIT */
/*
 * choice - which content coding of a stored object answers a request: what the client takes, in the
 * order in which it wants it, as far as it is there; what is missing is asked of the encoders.
 */
#ifndef BRIM_SERVE_CHOICE_H
#define BRIM_SERVE_CHOICE_H

#include "brim/serve/encoders.h"

struct brim_choice_ask { /* all of it is borrowed until fini */
    struct brim_cache *cache;
    struct brim_encoders *encoders;
    struct brim_object *object;
    struct brim_fields request;
    struct brim_port *port; /* NULL: say WAIT and begin nothing; set it and ask again */
    bool may_stream;        /* an answer of this request can be coded on the way */
    bool stays_as_it_is;    /* nothing is coded for this client that was not by its origin */
    int64_t now_wall_ms;
};

struct brim_choice { /* private; zeroed: not begun */
    struct brim_choice_ask ask;
    struct brim_accept accept;
    struct brim_find find;
    enum brim_coding own;    /* of the object's body */
    enum brim_coding trying; /* of `find` */
    unsigned tried;
    unsigned useless; /* of what was tried: found to be not worth it */
    bool is_begun;
    bool is_searching;
    char *text; /* of find.primary */
};

enum brim_choice_state {
    BRIM_CHOICE_MADE,
    BRIM_CHOICE_WAIT, /* a coding is being read from disk: the port fires */
};

struct brim_chosen {
    enum brim_coding coding;
    bool is_anew;             /* the object's own body is to be coded, or was for the client */
    struct brim_object *body; /* counted: has the coding's bytes; NULL: the object's own, decoded
                                 if need be, or none is needed, since the client has them
                                 (If-None-Match) */
};

/* Whether object came from its origin in a coding that brim can undo for who does not take it. */
bool brim_choice_can_decode(const struct brim_object *object);

/* Whether object is in a coding that this client does not take and that brim must leave, while its
 * origin, by its Vary, has something else. */
bool brim_choice_is_foreign(const struct brim_object *object, struct brim_fields request);

/* Chooses; after WAIT it is called again. Thread: loop. */
enum brim_choice_state brim_choice_make(struct brim_choice *choice,
                                        const struct brim_choice_ask *ask,
                                        struct brim_chosen *chosen_out);

/* The same for a response that only this client gets, as its origin sent it; of ask only encoders,
 * object, request, may_stream and stays_as_it_is count. False: it is not one that would be coded.
 */
bool brim_choice_make_passed(const struct brim_choice_ask *ask, struct brim_chosen *chosen_out);

void brim_choice_fini(struct brim_choice *choice); /* idempotent */

#endif
