/* SPDX-License-Identifier: MIT */
/*
 * deliver_head - the header of a response: the object's fields as they are for this request, and
 * what this hop adds.
 */
#ifndef BRIM_SERVE_DELIVER_HEAD_H
#define BRIM_SERVE_DELIVER_HEAD_H

#include "brim/serve/delivery.h"

/* Puts all fields but Date and Content-Length into the response: those of d->object, as status,
 * coding and range make them, then Age, Via and Cache-Status. Thread: loop. */
void brim_deliver_head(struct brim_delivery *d);
/* Replaces all fields; they live as long as the request. */
void brim_deliver_set_fields(struct brim_delivery *d, struct brim_fields fields);

/* Adds one field. token, or static text name; value: memory of the request's pool, or static. */
void brim_deliver_add_text(struct brim_delivery *d, const h2o_token_t *token, const char *name,
                           struct brim_str value);
/* "name: value", both of which live as long as the request. */
void brim_deliver_add_error_header(struct brim_delivery *d, const char *header);
void brim_deliver_add_cache_status(struct brim_delivery *d);
void brim_deliver_add_proxy_status(struct brim_delivery *d, const char *type);
/* Server-Timing: what has passed since d->timed_since_us, and the origin's part of it. */
void brim_deliver_add_timing(struct brim_delivery *d);

bool brim_deliver_is_head(const struct brim_delivery *d);

/* A 416 of brim's own, which has no body and tells the length. */
bool brim_deliver_is_own_416(const struct brim_delivery *d);

#endif
