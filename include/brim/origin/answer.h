/* SPDX-License-Identifier: MIT */
/*
 * answer - what is made of an origin's header fields: those that go on, and the update of a stored
 * response by a 304. Pure but for the allocation of the updated object.
 */
#ifndef BRIM_ORIGIN_ANSWER_H
#define BRIM_ORIGIN_ANSWER_H

#include "brim/cache/object.h"

enum brim_answer_use {
    BRIM_ANSWER_STORE,   /* Age is folded into the freshness */
    BRIM_ANSWER_FORWARD, /* Age stays; HEAD and 304 keep Content-Length, as their body says none */
};

/*
 * Filters fields into out (room for fields.count): no hop-by-hop fields, none that Connection
 * names, no framing. Borrows the strings. Spec: RFC 9110 7.6.1, RFC 9111 3.1.
 */
struct brim_fields brim_answer_fields(struct brim_fields fields, enum brim_answer_use use,
                                      struct brim_str method, unsigned status,
                                      struct brim_field *out);

/* Takes the fields that name tags out: they are for brim. Moves within items. */
struct brim_fields brim_answer_without_tags(struct brim_field *items, size_t count,
                                            const struct brim_cache_rules *rules);

/*
 * Collects the purge scopes of the tags that a response names: members of the rules' fields,
 * between commas and white space, each once. tags has room for BRIM_OBJECT_TAGS_MAX. Errors:
 * BRIM_ELIMIT there are more; BRIM_ENOENT the response has none of these fields.
 */
BRIM_MUST_USE enum brim_err brim_answer_tags(struct brim_fields response,
                                             const struct brim_cache_rules *rules, uint64_t *tags,
                                             size_t *count_out);

/*
 * What of the fields of a response that is stored goes into the object: all but those that its
 * no-cache="..." or private="..." lists, and Set-Cookie if the rules strip it. Moves within items;
 * response: the same fields elsewhere, which stay as they are. Spec: RFC 9111 5.2.2.4, 5.2.2.7.
 */
struct brim_fields brim_answer_stored_fields(struct brim_field *items, size_t count,
                                             struct brim_fields response,
                                             const struct brim_cache_rules *rules);

/* Adds the rules' Use-As-Dictionary to the fields of a 200 that is stored and has none; items has
 * room for one more (RFC 9842 2.1). */
struct brim_fields brim_answer_with_dictionary(struct brim_field *items, size_t count,
                                               unsigned status,
                                               const struct brim_cache_rules *rules);

struct brim_answer_update {
    struct brim_object *stale;
    const struct brim_exchange *exchange; /* whose response is the 304 */
    const struct brim_cache_rules *rules;
    uint64_t seq;
    enum brim_http_version version; /* by which it came */
    bool is_from_tier;              /* of another brim, which names tags in its own way */
};

/*
 * Makes the object that a 304 confirms: the stale one's body and fields, with the 304's fields in
 * place of those of the same name, aged anew; its tags, if it names any, in place of the stale's.
 * *verdict_out: whether it may (still) be stored. *own_out: where the 304 has fields that are only
 * for him who asked (RFC 9111 5.2.2.4, 5.2.2.7), the same with them, for him; else NULL.
 * Errors: BRIM_EAGAIN the 304 speaks of another representation (its entity tag differs), or of one
 *         that is for fewer requests (its Vary lists more): ask again without conditions;
 * BRIM_ENOMEM. Spec: RFC 9111 3.2, 4.3.4.
 */
BRIM_MUST_USE enum brim_err brim_answer_refresh(const struct brim_answer_update *update,
                                                struct brim_object **object_out,
                                                struct brim_object **own_out,
                                                enum brim_store_verdict *verdict_out);

#endif
