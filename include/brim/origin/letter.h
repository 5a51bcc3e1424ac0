/* SPDX-License-Identifier: MIT */
/*
 * letter - a flight's own copy of what was asked: the asker's memory ends with his request, the
 * flight may outlive it and may ask again.
 */
#ifndef BRIM_ORIGIN_LETTER_H
#define BRIM_ORIGIN_LETTER_H

#include "brim/origin/ask.h"

struct brim_letter; /* opaque, immutable */

/* Copies everything; counts ask->stale. NULL: out of memory. Thread: any. */
struct brim_letter *brim_letter_new(const struct brim_flight_ask *ask);
void brim_letter_free(struct brim_letter *letter);

const struct brim_key *brim_letter_key(const struct brim_letter *letter);
const struct brim_key *brim_letter_primary(const struct brim_letter *letter);
struct brim_str brim_letter_method(const struct brim_letter *letter);
/* The asker's fields, without the conditions that brim adds: what Vary is judged against. */
struct brim_str brim_letter_host_sent(const struct brim_letter *letter); /* empty: none */
struct brim_fields brim_letter_fields(const struct brim_letter *letter);
struct brim_object *brim_letter_stale(const struct brim_letter *letter); /* borrowed; or NULL */

/* Fills all of the request but origin and server; borrows the letter. CONDITIONAL adds the stale
 * object's validators (RFC 9111 4.3.1). */
enum brim_letter_form { BRIM_LETTER_CONDITIONAL, BRIM_LETTER_PLAIN };
void brim_letter_request(const struct brim_letter *letter, enum brim_letter_form form,
                         struct brim_fetch_request *request_out);

#endif
