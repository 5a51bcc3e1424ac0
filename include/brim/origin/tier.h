/* SPDX-License-Identifier: MIT */
/*
 * tier - what one brim tells another, where the tiers of a CDN are made of brims: a mark on the
 * request, and the purge tags on the answer.
 *
 *   brim-tier: HOP SCHEME TIME SIGNATURE     "shield" or "peer"; the client's scheme; seconds since
 *                                            1970; of "brim-tier HOP SCHEME TIME METHOD TARGET"
 *   brim-tags: SCOPE SCOPE ...               hexadecimal; what the origin tagged, as it is purged
 *
 * A mark holds for the request that it was made for, and for a minute, as clocks differ. Clients
 * cannot make one: it is signed with a secret that only the fleet's nodes have (base/secret).
 */
#ifndef BRIM_ORIGIN_TIER_H
#define BRIM_ORIGIN_TIER_H

#include "brim/base/secret.h"
#include "brim/http/field.h"

#define BRIM_TIER_FIELD      "brim-tier"
#define BRIM_TIER_TAGS_FIELD "brim-tags"
#define BRIM_TIER_MARK_BYTES 128u
#define BRIM_TIER_TAG_BYTES  17u /* of one tag, and the blank before the next */

enum brim_tier_kind { /* values of origins[].tier */
                      BRIM_TIER_ORIGIN,
                      BRIM_TIER_SHIELD,
                      BRIM_TIER_PEER,
};

/* What a mark says. */
struct brim_tier_mark {
    enum brim_tier_kind hop;
    bool is_https;
};

/* The request that it is made for. */
struct brim_tier_request {
    struct brim_str method;
    struct brim_str target; /* as it goes over the wire */
    int64_t now_wall_s;
};

/* Thread: any, all of these. */
struct brim_str brim_tier_write(const struct brim_secret *secret, const struct brim_tier_mark *mark,
                                const struct brim_tier_request *request,
                                char buffer[BRIM_TIER_MARK_BYTES]);
/* False: it is not one of ours, not for this request, or too old. */
bool brim_tier_read(const struct brim_secret *secret, struct brim_str text,
                    const struct brim_tier_request *request, struct brim_tier_mark *mark_out);

/* buffer: BRIM_TIER_TAG_BYTES for each. */
struct brim_str brim_tier_write_tags(const uint64_t *tags, size_t count, char *buffer);
/* Adds those of the field, if it is there. False: there are more than max, or it is not read. */
bool brim_tier_read_tags(struct brim_fields response, uint64_t *tags, size_t max, size_t *count);

#endif
