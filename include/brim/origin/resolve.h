/* SPDX-License-Identifier: MIT */
/*
 * resolve - URI references of an origin's answer (Location, Content-Location) as key texts.
 */
#ifndef BRIM_ORIGIN_RESOLVE_H
#define BRIM_ORIGIN_RESOLVE_H

#include "brim/base/str.h"

/*
 * Resolves reference against the key text of a base ("scheme://host[:port]/path?query") as RFC 3986
 * 5 says, and writes the key text of the result. Returns its length; 0: not http(s), not valid, or
 * it does not fit. Thread: any.
 */
size_t brim_resolve(struct brim_str base, struct brim_str reference, char *buffer,
                    size_t buffer_bytes);

#endif
