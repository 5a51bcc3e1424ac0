/* SPDX-License-Identifier: MIT */
/*
 * head - what a 200 to HEAD says of the answer to GET that is stored.
 *
 * Refuses to know who sent the HEAD: a cacheable one never reaches an origin as HEAD (it is
 * answered from what is stored, or fetched as GET for all), so what comes here are passes.
 */
#ifndef BRIM_ORIGIN_HEAD_H
#define BRIM_ORIGIN_HEAD_H

#include "brim/cache/cache.h"
#include "brim/origin/answer.h"

/*
 * Whether the stored response is still the one that GET would bring: each of ETag, Last-Modified
 * and Content-Length that the answer to HEAD has is the stored one's. Spec: RFC 9111 4.3.5.
 */
bool brim_head_confirms(struct brim_fields head, const struct brim_object *stored);

/*
 * Updates the stored response that the exchange's request selects from the 200 that came to its
 * HEAD, or makes it stale where they differ. Does nothing where that is not in RAM or readable at
 * once: no exchange waits for a disk. said: as brim_answer_refresh() has it, the 200 in place of
 * the 304, and without stale and version, which are of what is found. Thread: any.
 * Spec: RFC 9111 4.3.5, 3.2.
 */
void brim_head_update(struct brim_cache *cache, const struct brim_key *primary,
                      const struct brim_answer_update *said);

#endif
