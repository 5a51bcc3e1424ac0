/* SPDX-License-Identifier: MIT */
/*
 * cors - which pages of other origins may read what is here (Fetch standard, "CORS protocol"), said
 * by the edge in place of the origin, so that what is cached is the same for all of them.
 */
#ifndef BRIM_POLICY_CORS_H
#define BRIM_POLICY_CORS_H

#include "brim/base/conf.h"
#include "brim/http/field.h"

struct brim_cors; /* opaque */

#define BRIM_CORS_FIELDS_MAX 6

/* NULL: nothing is said. conf was checked and may be freed. Thread: init or control. */
struct brim_cors *brim_cors_compile(const struct brim_conf_cors *conf);
void brim_cors_free(struct brim_cors *cors); /* accepts NULL */

/* Whether a request with this method asks whether another may be made. Thread: any, like the rest.
 */
bool brim_cors_is_preflight(struct brim_str method, struct brim_fields request);

/* What the answer to a preflight says, or that to any other request; returns the number of fields.
 * Values live as long as cors and the request. */
size_t brim_cors_preflight(const struct brim_cors *cors, struct brim_fields request,
                           struct brim_field fields_out[BRIM_CORS_FIELDS_MAX]);
size_t brim_cors_answer(const struct brim_cors *cors, struct brim_fields request,
                        struct brim_field fields_out[BRIM_CORS_FIELDS_MAX]);
/* Whether a field of the origin's makes way for these. */
bool brim_cors_replaces(struct brim_str name);

#endif
