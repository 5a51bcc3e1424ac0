/* SPDX-License-Identifier: MIT */
/*
 * deltas - which body has been coded with which dictionary: a table in RAM, bounded in bytes and in
 * entries, the least recently used first to go.
 *
 * An entry is claimed before its delta is made, so that a crowd that asks for one costs one; it
 * then holds the delta, or that there is none worth sending. Bodies are named by their ids
 * (object.h), so that a delta can never meet another body than its own. Unlike other codings
 * (represent.h) they are not stored: there is one for each old version that some client still has,
 * most of them for a short time, and making one again after a restart costs milliseconds.
 */
#ifndef BRIM_CACHE_DELTAS_H
#define BRIM_CACHE_DELTAS_H

#include "brim/cache/body.h"
#include "brim/encode/delta.h"

/* What a response is made from; immutable, counted. */
struct brim_delta {
    _Atomic unsigned refs;  /* private */
    struct brim_body *body; /* the coded bytes; NULL: not worth it */
    struct brim_dictionary_terms terms;
    struct brim_str dictionary_url; /* in url_text */
    size_t charge;                  /* bytes it costs in RAM */
    char url_text[];
};

/* Makes one with one count; body (counted by it) may be NULL, terms and url are copied. */
struct brim_delta *brim_delta_new(struct brim_body *body, const struct brim_dictionary_terms *terms,
                                  struct brim_str url);
void brim_delta_unref(struct brim_delta *delta); /* accepts NULL */

struct brim_deltas; /* opaque */

/* Room for bytes_max in RAM. Aborts where there is no memory. Thread: init. */
struct brim_deltas *brim_deltas_new(uint64_t bytes_max);
void brim_deltas_free(struct brim_deltas *deltas);

struct brim_delta_key {
    uint64_t body_id;
    enum brim_delta_coding coding;
    struct brim_dictionary_hash hash;
};

enum brim_delta_state {
    BRIM_DELTA_ABSENT,
    BRIM_DELTA_CLAIMED, /* nobody had asked: the caller sees to it that put() or drop() follows */
    BRIM_DELTA_MAKING,
    BRIM_DELTA_READY, /* *delta_out is counted for the caller; its body may be NULL */
    BRIM_DELTA_FULL,  /* no room even to note it: later */
};

/* Looks key up. Thread: any. */
enum brim_delta_state brim_deltas_find(struct brim_deltas *deltas, const struct brim_delta_key *key,
                                       struct brim_delta **delta_out);

/* Looks key up, claims it if it is not there; never ABSENT. Thread: any. */
enum brim_delta_state brim_deltas_claim(struct brim_deltas *deltas,
                                        const struct brim_delta_key *key,
                                        struct brim_delta **delta_out);
/* Ends a claim: with the delta (taken), or as if it had never been. Thread: any. */
void brim_deltas_put(struct brim_deltas *deltas, const struct brim_delta_key *key,
                     struct brim_delta *delta);
void brim_deltas_drop(struct brim_deltas *deltas, const struct brim_delta_key *key);

#endif
