/* SPDX-License-Identifier: MIT */
/*
 * structured - a header field as a Structured Fields Dictionary (RFC 9651 3.2, 4.2.2), member by
 * member, or as one Item (3.3), all lines of the field joined as the RFC joins them.
 *
 * Main rule: one byte out of place and the whole field is nothing; so what was read before counts
 * only if the end was reached without `failed`. Parameters are checked and dropped. Which keys
 * there are and what they mean is the caller's question.
 */
#ifndef BRIM_HTTP_STRUCTURED_H
#define BRIM_HTTP_STRUCTURED_H

#include <stdint.h>

#include "brim/http/field.h"

#define BRIM_STRUCTURED_KEY_BYTES  64
#define BRIM_STRUCTURED_TEXT_BYTES 1024 /* RFC 9842 2.3 has the longest: an id */

enum brim_structured_type {
    BRIM_STRUCTURED_BOOLEAN, /* also a key without a value: true */
    BRIM_STRUCTURED_INTEGER,
    BRIM_STRUCTURED_STRING,
    BRIM_STRUCTURED_TOKEN,
    BRIM_STRUCTURED_BYTES,   /* text is what the base64 says */
    BRIM_STRUCTURED_STRINGS, /* an Inner List of Strings only; text has a NUL behind each */
    BRIM_STRUCTURED_OTHER,   /* valid, and of a type that nobody here asks for */
};

struct brim_structured_member {
    enum brim_structured_type type;
    bool boolean;
    bool is_cut; /* the value is longer than text */
    size_t key_len;
    size_t text_len;
    int64_t integer;
    char key[BRIM_STRUCTURED_KEY_BYTES]; /* a longer key is cut: no known one is that long */
    char text[BRIM_STRUCTURED_TEXT_BYTES];
};

/* Where the reading stands. Private but for `failed`. */
struct brim_structured {
    struct brim_fields fields;
    struct brim_str name;
    size_t field; /* the line that is read; fields.count: the end */
    size_t offset;
    bool started;
    bool failed; /* the field is not a Dictionary */
};

/* Begins to read all fields called name (lower-case) as one Dictionary. Thread: any. */
struct brim_structured brim_structured_open(struct brim_fields fields, struct brim_str name);

/*
 * Reads the next member; false at the end or where the field is not valid, which `failed` says. A
 * key may come again: its last value counts (RFC 9651 4.2.2).
 */
bool brim_structured_next(struct brim_structured *in, struct brim_structured_member *member_out);

/* Reads all fields called name as one Item; false where there is none or it is not valid (RFC 9651
 * 4.2.3). The key is empty. */
bool brim_structured_item(struct brim_fields fields, struct brim_str name,
                          struct brim_structured_member *item_out);

#endif
