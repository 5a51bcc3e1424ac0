/* SPDX-License-Identifier: MIT */
/*
 * bearer - a token that who calls must know (RFC 6750): the file that holds it, and the comparison.
 *
 * What is kept is its SHA-256, so that comparing takes the same time whatever is presented, and a
 * dump of memory does not tell it.
 */
#ifndef BRIM_BASE_BEARER_H
#define BRIM_BASE_BEARER_H

#include <stdbool.h>

#include "brim/base/sha256.h"
#include "brim/base/str.h"

#define BRIM_BEARER_MIN 16u
#define BRIM_BEARER_MAX 512u

/* Reads the one token of a file; white space around it does not count. NULL, or what is wrong:
 * static text, and token_out is "". Thread: any but a loop. */
const char *brim_bearer_read(const char *path, char token_out[BRIM_BEARER_MAX + 1]);

struct brim_bearer {
    unsigned char digest[BRIM_SHA256_BYTES];
};

struct brim_bearer brim_bearer_of(struct brim_str token);

/* Whether the value of an Authorization field presents it: in constant time for any value of one
 * length. Pure; thread: any. */
bool brim_bearer_is(const struct brim_bearer *bearer, struct brim_str authorization);

#endif
