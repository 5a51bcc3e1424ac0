/* SPDX-License-Identifier: MIT */
/*
 * vary - the selecting fields of a response (RFC 9110 12.5.5, RFC 9111 4.1) and the normal form of
 * the values that they select by.
 */
#ifndef BRIM_HTTP_VARY_H
#define BRIM_HTTP_VARY_H

#include "brim/base/err.h"
#include "brim/http/field.h"

#define BRIM_VARY_NAMES_MAX 32u

/* Whether the response varies by everything ("*", also among others), hence cannot be matched. */
bool brim_vary_is_any(struct brim_fields response);

/* Whether the response varies by a field in which brim tells the origin who asks: what a client's
 * own field of that name says is not what the origin saw, hence cannot be matched either. */
bool brim_vary_is_by_sender(struct brim_fields response);

/* Whether request has a field that an origin may take for one that Vary lists (X_Plan for X-Plan,
 * see brim_field_name_is_twin()): then the response may be by that, and its key does not say so. */
bool brim_vary_is_by_twin(struct brim_fields request, struct brim_fields response);

/*
 * Collects the names that Vary lists: lower-case copies in scratch, sorted, unique.
 *
 * names_out has room for BRIM_VARY_NAMES_MAX; the names borrow scratch.
 * Errors: BRIM_ELIMIT more than BRIM_VARY_NAMES_MAX or scratch too small; BRIM_EINVAL not a field
 *         name, "*" included: ask brim_vary_is_any() first.
 */
BRIM_MUST_USE enum brim_err brim_vary_names(struct brim_fields response, char *scratch,
                                            size_t scratch_bytes, struct brim_str *names_out,
                                            size_t *count_out);

/* The same, with BRIM_VARY_KEY if the request has it. */
BRIM_MUST_USE enum brim_err brim_vary_names_for(struct brim_fields request,
                                                struct brim_fields response, char *scratch,
                                                size_t scratch_bytes, struct brim_str *names_out,
                                                size_t *count_out);

/*
 * A field that no client can send: what an operator's rules add to the key of this request
 * (cache_key.h). Where a request has it, every response to it varies by it.
 */
#define BRIM_VARY_KEY ":key"

/* The normal form of an absent field: a byte that no field value has. */
#define BRIM_VARY_ABSENT "\x01"

/*
 * Writes the normal form of the request's value for name to buffer; returns its length, or
 * SIZE_MAX if it does not fit. Absent (BRIM_VARY_ABSENT) and empty ("") differ.
 *
 * Lines are joined by ",", white space beside commas dropped, order and members without a byte
 * kept; what is no list (authorization, from, origin, referer, user-agent) is what it is, and so is
 * cookie, its lines joined by "; "; accept-language is sorted, in lower case, its weights in their
 * shortest form; accept-encoding is always empty, as origins are asked for the same codings
 * whatever the client takes, and it is brim that decodes; available-dictionary, dictionary-id,
 * x-forwarded-host and x-forwarded-proto are always absent, as the origin is not sent the client's.
 * Spec: RFC 9111 4.1.
 */
size_t brim_vary_value(struct brim_fields request, struct brim_str name, char *buffer,
                       size_t buffer_bytes);

/* Whether response, which may be stored, lists a selecting field that stored, which it updates,
 * does not: then the key of stored does not tell for whom the updated one is. */
bool brim_vary_adds(struct brim_fields response, struct brim_fields stored);

/* Whether requests a and b select the same variant of this response. What cannot be compared
 * (Vary: *, or by who asks, too many names, too long values) is not the same. Spec: RFC 9111 4.1.
 */
bool brim_vary_selects_same(struct brim_fields response, struct brim_fields a,
                            struct brim_fields b);

#endif
