/* SPDX-License-Identifier: MIT */
/*
 * outdate - what becomes of a stored response that the origin has overtaken with something that
 * cannot be stored in its place. Its old rules must not keep it fresh.
 */
#ifndef BRIM_ORIGIN_OUTDATE_H
#define BRIM_ORIGIN_OUTDATE_H

#include "brim/cache/cache.h"
#include "brim/origin/answer.h"

/* Ends the stored response's lifetime now. Its validators stay good for asking. Out of memory: it
 * is fresh a little longer. Thread: any. */
void brim_outdate_expire(struct brim_cache *cache, const struct brim_object *stored,
                         int64_t now_wall_ms);

/*
 * A 304 has made `updated`, which may not be stored, of update's stale response. If only the
 * request was in the way, the stored response expires, and must be validated where the 304 says so;
 * if nobody may store what it has become, it is forgotten. Thread: any. Spec: RFC 9111 3, 4.3.4.
 */
void brim_outdate_updated(struct brim_cache *cache, const struct brim_answer_update *update,
                          const struct brim_object *updated);

#endif
