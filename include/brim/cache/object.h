/* SPDX-License-Identifier: MIT */
/*
 * object - one stored response: metadata and a body; or one of two notes that stand in its place
 * under a primary key: "this varies, by these fields" and "do not wait for this, pass".
 *
 * A published object is immutable; only its count, its use marks and its body's growth move. A 304
 * makes a new object that shares the body. All strings live in one allocation of the object.
 */
#ifndef BRIM_CACHE_OBJECT_H
#define BRIM_CACHE_OBJECT_H

#include <stdatomic.h>
#include <stdint.h>

#include "brim/cache/body.h"
#include "brim/cache/key.h"
#include "brim/http/conditional.h"
#include "brim/http/freshness.h"
#include "brim/http/version.h"

enum brim_object_kind {
    BRIM_OBJECT_RESPONSE = 1,
    BRIM_OBJECT_VARY = 2, /* fields: one entry a selecting field, name only, sorted */
    BRIM_OBJECT_PASS = 3, /* hit-for-miss: fresh.lifetime_ms says for how long */
};

#define BRIM_OBJECT_MAGIC 0x6f626a31u

struct brim_object {
    uint32_t magic;
    uint8_t kind;            /* enum brim_object_kind */
    _Atomic uint8_t on_disk; /* came from, or has been handed to, the disk tier */
    uint8_t version;         /* enum brim_http_version: by which it came */
    bool is_codable;         /* may be sent in a content coding (cache/represent.h) */
    _Atomic bool is_renewed; /* private: see brim_object_claim_renewal() */
    uint16_t status;
    _Atomic uint32_t refs;        /* private */
    _Atomic uint32_t use;         /* hot tier: saturating frequency */
    _Atomic uint32_t leans_on;    /* disk tier: the oldest segment that it needs, or UINT32_MAX */
    _Atomic uint64_t checked_seq; /* purges up to here are known not to concern it */
    uint64_t seq;                 /* purge sequence in force when its fill began */
    struct brim_key key;          /* variant key, or the primary one if it does not vary */
    struct brim_key primary;
    struct brim_freshness fresh;
    struct brim_fields fields; /* as stored and served: no hop-by-hop, no Age, no Content-Length */
    struct brim_str etag;      /* the value with its quotes and W/, or len 0 */
    int64_t last_modified_wall_s; /* -1: none */
    const uint64_t *tags;         /* purge scopes of its tags (cache/purge.h) */
    size_t tag_count;
    uint64_t body_id;       /* names the bytes of the body, a marker's response; a 304 keeps it */
    uint64_t oldest_id;     /* VARY, in RAM only: see brim_cache_leads_to() */
    struct brim_body *body; /* RESPONSE only, counted */
    size_t meta_bytes;      /* size of the allocation */
};

#define BRIM_OBJECT_TAGS_MAX 1024u

/* What an object is made of; everything is copied except body, which gains a count. */
struct brim_object_spec {
    enum brim_object_kind kind;
    unsigned status;
    struct brim_key key;
    struct brim_key primary;
    uint64_t seq;
    struct brim_freshness fresh;
    struct brim_fields fields;
    const uint64_t *tags; /* at most BRIM_OBJECT_TAGS_MAX */
    size_t tag_count;
    uint64_t body_id; /* brim_cache_begin_fill() makes one */
    bool is_codable;
    enum brim_http_version version;
    struct brim_body *body;
};

/* Makes an object with one count. kind RESPONSE has a body, notes have none. Derives etag and
 * last_modified_wall_s from fields. Errors: BRIM_ENOMEM. Thread: any. */
BRIM_MUST_USE enum brim_err brim_object_new(const struct brim_object_spec *spec,
                                            struct brim_object **object_out);
struct brim_object *brim_object_ref(struct brim_object *object);
void brim_object_unref(struct brim_object *object); /* accepts NULL */

/* What conditions on it are judged by (RFC 9110 8.8); borrows from object. Thread: any. */
struct brim_validators brim_object_validators(const struct brim_object *object);

/* True once in its life, and only when it has been found in the hot tier several times: for the one
 * who is to have it renewed before it ends. Thread: any. */
bool brim_object_claim_renewal(struct brim_object *object);

/* Bytes it costs in RAM now (metadata and RAM chunks). */
size_t brim_object_charge(const struct brim_object *object);

/*
 * The metadata as it stands in a segment: versioned, little-endian, without body and extents.
 * encode: *bytes_out is the caller's, freed with free(). Errors: BRIM_ENOMEM; BRIM_ELIMIT over 4
 * GiB. decode: body is counted; a note ignores it, so whoever does not know the kind yet may always
 * give one. Errors: BRIM_ECORRUPT anything that does not check, a response without a body included
 * (never crashes on any input); BRIM_ENOMEM.
 */
BRIM_MUST_USE enum brim_err brim_object_encode(const struct brim_object *object, void **bytes_out,
                                               size_t *len_out);
BRIM_MUST_USE enum brim_err brim_object_decode(const void *bytes, size_t len,
                                               struct brim_body *body,
                                               struct brim_object **object_out);

#endif
