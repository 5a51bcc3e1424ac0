/* SPDX-License-Identifier: MIT */
/*
 * key - what identifies a resource in the cache, and the variant chosen by Vary.
 *
 * Two levels: the primary key is the digest of the key text `scheme://host/path?query` (host
 * lower-case, default port dropped, path and query as received); where the primary entry is a Vary
 * marker, the variant key is the digest of that text followed by the marker's field names and the
 * request's normalised values. The text travels with the digest and is compared on every lookup:
 * a digest collision is a miss, never somebody else's object.
 *
 * What is kept beside a resource (its slices) stands under the URL's key text, '#' and more: no URL
 * in a request holds a '#'.
 */
#ifndef BRIM_CACHE_KEY_H
#define BRIM_CACHE_KEY_H

#include "brim/base/err.h"
#include "brim/base/hash.h"
#include "brim/http/field.h"

struct brim_key {
    struct brim_digest digest;
    struct brim_str text; /* borrowed */
};

/* Digest over text; text is borrowed for as long as the key is used. Thread: any. */
struct brim_key brim_key_of(struct brim_str text);

static inline bool brim_key_is(const struct brim_key *a, const struct brim_key *b)
{
    return brim_digest_is(a->digest, b->digest) && brim_str_is(a->text, b->text);
}

/* Longest variant text; a request whose selecting fields are larger is not stored. */
#define BRIM_KEY_TEXT_MAX 65536u

/*
 * Writes the text of a variant into buffer and makes its key (which borrows buffer).
 *
 * names: the marker's field names, sorted, lower-case. Accept-Encoding and Accept-Language values
 * are normalised (http/vary.h), others have members joined by "," and white space trimmed.
 * Errors: BRIM_ELIMIT the text does not fit. Thread: any.
 */
BRIM_MUST_USE enum brim_err brim_key_variant(const struct brim_key *primary,
                                             const struct brim_fields *names_as_fields,
                                             struct brim_fields request, char *buffer,
                                             size_t buffer_bytes, struct brim_key *variant_out);

#endif
