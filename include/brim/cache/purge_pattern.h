/* SPDX-License-Identifier: MIT */
/*
 * purge_pattern - key texts with wildcards: `*` is any run of bytes, also none, also with slashes.
 * There is no other wildcard: `?` begins a query.
 */
#ifndef BRIM_CACHE_PURGE_PATTERN_H
#define BRIM_CACHE_PURGE_PATTERN_H

#include "brim/base/str.h"

#define BRIM_PURGE_PATTERN_BYTES 1024u /* longest pattern */

/* Whether all of text is what pattern says. Each piece is looked for once, from left to right:
 * linear in text for each piece. Pure; thread: any. */
bool brim_purge_pattern_matches(struct brim_str pattern, struct brim_str text);

/* What stands before the first wildcard: everything that matches begins so. Pure; thread: any. */
struct brim_str brim_purge_pattern_prefix(struct brim_str pattern);

#endif
