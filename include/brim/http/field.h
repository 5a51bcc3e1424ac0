/* SPDX-License-Identifier: MIT */
/*
 * field - lists of header fields as every other module sees them: borrowed, names lower-case,
 * values without surrounding white space, order kept, repeated names kept.
 */
#ifndef BRIM_HTTP_FIELD_H
#define BRIM_HTTP_FIELD_H

#include <stdint.h>

#include "brim/base/str.h"

struct brim_field {
    struct brim_str name;
    struct brim_str value;
};

struct brim_fields {
    const struct brim_field *items;
    size_t count;
};

/* Returns the first field called name (lower-case), or NULL. Thread: any. */
const struct brim_field *brim_fields_find(struct brim_fields fields, struct brim_str name);

/* Returns the only field called name, or NULL if there is none or more than one. */
const struct brim_field *brim_fields_only(struct brim_fields fields, struct brim_str name);

/*
 * Walks the comma-separated members of all fields called name, quoted strings respected, empty
 * members skipped (RFC 9110 5.6.1). Start with *cursor zeroed; returns false at the end.
 *
 * A quote that its line never closes quotes nothing: it and all later ones on that line are
 * ordinary bytes, so that `"x, no-store` cannot hide a member. `unclosed` says so afterwards.
 */
struct brim_list_cursor {
    size_t field;
    size_t offset;
    bool unclosed; /* the line of the last member has a quote that is never closed */
};
bool brim_fields_next_member(struct brim_fields fields, struct brim_str name,
                             struct brim_list_cursor *cursor, struct brim_str *member_out);

/* Whether any member of the list fields called name equals token, ASCII case-insensitive. */
bool brim_fields_has_token(struct brim_fields fields, struct brim_str name, struct brim_str token);

/* Whether name is a hop-by-hop field that no intermediary forwards (RFC 9110 7.6.1): Connection,
 * Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info,
 * TE, Trailer, Transfer-Encoding, Upgrade, HTTP2-Settings. */
bool brim_field_is_hop_by_hop(struct brim_str name);

/* Whether an origin may take name for the other: those that hand fields on as variables (CGI, WSGI,
 * PHP) write x_user and x-user alike (RFC 3875 4.1.18). */
bool brim_field_name_is_read_as(struct brim_str name, struct brim_str other);

/* Whether name is read as other and is another name: what it says is in no key that other is in. */
bool brim_field_name_is_twin(struct brim_str name, struct brim_str other);

/* The fields without Connection and those that it names (RFC 9110 7.6.1). out: room for all, or
 * where they stand; the fields themselves are returned where there is no Connection. */
struct brim_fields brim_fields_beyond_hop(struct brim_fields fields, struct brim_field *out);

/* tchar+ (RFC 9110 5.6.2). */
bool brim_field_name_is_valid(struct brim_str name);

/* Writes name in lower case to lower, which has room for name.len bytes. False: it is no name of a
 * field (as brim_field_name_is_valid), and lower is not to be read. */
bool brim_field_name_lower(struct brim_str name, char *lower);

/* field-value: VCHAR, obs-text, SP, HTAB; no other control (RFC 9110 5.5). */
bool brim_field_value_is_valid(struct brim_str value);

#endif
