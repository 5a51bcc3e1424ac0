/* SPDX-License-Identifier: MIT */
/*
 * dictionary - Compression Dictionary Transport (RFC 9842) as pure functions: which response is a
 * dictionary and for what, which one a client has, whether it may be used for this answer, and the
 * bytes in front of a body that was made with it.
 *
 * Main rule: in doubt no dictionary. The worst that a refusal costs is bytes on the wire; a
 * dictionary used wrongly shows one party's content to another, or is an answer nobody can read.
 *
 * Refuses to know where dictionaries are kept and how bytes are coded.
 */
#ifndef BRIM_HTTP_DICTIONARY_H
#define BRIM_HTTP_DICTIONARY_H

#include "brim/http/field.h"
#include "brim/http/url_pattern.h"

#define BRIM_DICTIONARY_HASH_BYTES 32
#define BRIM_DICTIONARY_ID_BYTES   1024 /* RFC 9842 2.1.3 */
#define BRIM_DICTIONARY_DEST_BYTES 256
#define BRIM_DICTIONARY_DCZ_BYTES  40 /* in front of a dcz body */
#define BRIM_DICTIONARY_DCB_BYTES  36 /* in front of a dcb body */

/* SHA-256 of a dictionary's content: its bytes without any content coding. */
struct brim_dictionary_hash {
    unsigned char bytes[BRIM_DICTIONARY_HASH_BYTES];
};

/* What Use-As-Dictionary says. Holds no pointer. Private. */
struct brim_dictionary_terms {
    struct brim_url_pattern match;
    size_t dests_len; /* 0: any destination */
    size_t id_len;
    char dests[BRIM_DICTIONARY_DEST_BYTES]; /* a NUL behind each */
    char id[BRIM_DICTIONARY_ID_BYTES];
};

/*
 * Reads Use-As-Dictionary of a response whose key text is url.
 *
 * Errors: BRIM_ENOENT no such field; BRIM_EINVAL not valid, no match, a pattern that is refused
 *         (http/url_pattern.h), or a type that is not `raw`; BRIM_ELIMIT over a limit.
 * Spec:   RFC 9842 2.1. Members that the RFC does not know are ignored.
 */
BRIM_MUST_USE enum brim_err brim_dictionary_terms(struct brim_fields response, struct brim_str url,
                                                  struct brim_dictionary_terms *terms_out);

/* Whether a client may use dictionaries with url at all: https, or a loopback host, which browsers
 * treat as a secure context too (RFC 9842 8). */
bool brim_dictionary_is_secure(struct brim_str url);

/* Reads Available-Dictionary of a request; false where there is none, more than one, or no SHA-256
 * (RFC 9842 2.2). */
bool brim_dictionary_available(struct brim_fields request, struct brim_dictionary_hash *hash_out);

/* Whether Accept-Encoding names coding (lower-case) with a weight above 0; `*` names none that
 * needs a dictionary. */
bool brim_dictionary_is_accepted(struct brim_fields request, struct brim_str coding);

/* The dictionary and the request that it would serve. */
struct brim_dictionary_use {
    const struct brim_dictionary_terms *terms;
    struct brim_str dictionary_url;
    struct brim_str request_url;
    struct brim_fields request;
};

/* Whether a client that kept to the terms could have named this dictionary for this request: same
 * origin, match, match-dest (by Sec-Fetch-Dest, where the client sends it) and id (RFC 9842 2.2.2,
 * 2.3). */
bool brim_dictionary_is_for(const struct brim_dictionary_use *use);

/* Whether the page that asks may read the response: not so for a request from another origin that
 * the response does not allow by CORS; its length would tell what the page must not know
 * (RFC 9842 9.3.3). */
bool brim_dictionary_is_readable(struct brim_fields request, struct brim_fields response);

/* Writes what stands in front of a dcz body: a skippable Zstandard frame with the hash (RFC 9842
 * 5), and of a dcb body (4). */
void brim_dictionary_put_dcz(const struct brim_dictionary_hash *hash,
                             unsigned char out[BRIM_DICTIONARY_DCZ_BYTES]);
void brim_dictionary_put_dcb(const struct brim_dictionary_hash *hash,
                             unsigned char out[BRIM_DICTIONARY_DCB_BYTES]);

/* log2 of the Zstandard window for a body: as large as the body, so that the dictionary stays in
 * reach to its end, but no larger than every client must take (RFC 9842 5). */
unsigned brim_dictionary_window_log(size_t dictionary_bytes, size_t body_bytes);

#endif
