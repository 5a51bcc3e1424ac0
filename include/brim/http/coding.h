/* SPDX-License-Identifier: MIT */
/*
 * coding - content codings (RFC 9110 8.4): which there are, which a client takes, which responses
 * are worth one, and what becomes of an entity tag in one.
 */
#ifndef BRIM_HTTP_CODING_H
#define BRIM_HTTP_CODING_H

#include "brim/base/err.h"
#include "brim/http/cache_control.h"
#include "brim/http/field.h"

enum brim_coding { /* in the order of preference, where a client has none */
                   BRIM_CODING_BR,
                   BRIM_CODING_ZSTD,
                   BRIM_CODING_GZIP,
                   BRIM_CODING_IDENTITY,
                   BRIM_CODINGS,
};

/* The name as it stands in Content-Encoding: static text. */
struct brim_str brim_coding_name(enum brim_coding coding);

/* The coding of a response: IDENTITY where it has no Content-Encoding, BRIM_CODINGS where it has
 * one that is not known here, or several. Spec: RFC 9110 8.4.1 (x-gzip is gzip). */
enum brim_coding brim_coding_of(struct brim_fields response);

/* How much a client wants each coding: thousandths, 0: not at all. */
struct brim_accept {
    int weights[BRIM_CODINGS];
};

/* Reads Accept-Encoding. Without the field only identity is wanted, so that nobody gets what he has
 * not asked for. Spec: RFC 9110 12.5.3. Thread: any. */
void brim_accept_parse(struct brim_fields request, struct brim_accept *accept_out);

/* The next best coding after those that are struck out (bits of `tried`); IDENTITY at the end, also
 * where the client says that it does not want it: an answer is better than a 406. */
enum brim_coding brim_accept_best(const struct brim_accept *accept, unsigned tried);

/* Whether coding a response with these fields is allowed and likely to help: a media type of the
 * list (whole, or all of `text/` and a star, or those that end with `+json`), no coding that is not
 * known here, no no-transform, no Content-Range. Events are left alone: they go out as they come.
 * Spec: RFC 9110 8.4, RFC 9111 5.2.2.6. */
bool brim_coding_suits(struct brim_fields response, struct brim_targets types);

/*
 * Writes the entity tag of a representation that was made here from one in another coding: `"abc"`
 * becomes `"abc-br"`, or `"abc-identity"` where it was decoded; a weak one says nothing about bytes
 * and stays, as does that of the origin's own coding. What is coded anew for each answer has other
 * bytes than what is kept in the coding: its tag is the weak `W/"abc-br"`. Returns its length; 0:
 * no tag, or buffer is too small. Spec: RFC 9110 8.8.3.3.
 */
#define BRIM_CODING_SUFFIX_ROOM 14u /* that a tag grows by at most */
struct brim_recoding {
    enum brim_coding own; /* of the origin's */
    enum brim_coding as;
    bool is_anew; /* for this answer */
};
size_t brim_coding_etag(struct brim_str etag, struct brim_recoding recoding, char *buffer,
                        size_t buffer_bytes);

/*
 * Writes a list of entity tags (If-Match, If-None-Match) as its origin may be asked: beside each
 * tag with a suffix of brim_coding_etag()'s stands the one without, since the origin knows only
 * that, and the former in case that it is the origin's own. Returns the length, at most
 * BRIM_CODING_ETAGS_ROOM; 0: there is no such tag. Spec: RFC 9110 13.1.1, 13.1.2.
 */
#define BRIM_CODING_ETAGS_ROOM(len) (3 * (len) + 1)
size_t brim_coding_etags_for_origin(struct brim_str list, char *buffer, size_t buffer_bytes);

/* Whether a proxy must leave the coding of a response alone. Spec: RFC 9111 5.2.2.6. */
bool brim_coding_is_fixed(struct brim_fields response);

#endif
