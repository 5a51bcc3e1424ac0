/* SPDX-License-Identifier: MIT */
/*
 * purge_name - what people call that which is to be purged, as the scopes of cache/purge.h.
 */
#ifndef BRIM_CACHE_PURGE_NAME_H
#define BRIM_CACHE_PURGE_NAME_H

#include "brim/cache/purge.h"
#include "brim/cache/purge_pattern.h"

enum brim_purge_noun {
    BRIM_PURGE_URL,    /* the key of an absolute URL */
    BRIM_PURGE_PREFIX, /* all keys that begin like this URL; without a scheme ("//host/img/") of
                        * both; a `*` at the end may be there or not */
    BRIM_PURGE_HOST,   /* authority of the URL, with a port that is not the scheme's own */
    BRIM_PURGE_TAG,    /* what the origin's tag fields named */
    BRIM_PURGE_NOUNS
};
#define BRIM_PURGE_NAME_SCOPES 2 /* most that one name has */

/* Writes the scopes of text; their number, 0 if text is no such name. Pure; thread: any. */
size_t brim_purge_name_scopes(enum brim_purge_noun noun, struct brim_str text,
                              uint64_t scopes_out[BRIM_PURGE_NAME_SCOPES]);

/* How a noun is said: one ("URL"), a list ("urls"), and what each has to be ("an absolute ..."). */
struct brim_purge_words {
    const char *one;
    const char *list;
    const char *what;
};
struct brim_purge_words brim_purge_noun_words(enum brim_purge_noun noun);

/* A URL with wildcards as the patterns of key texts that it stands for: one, or with "//host/..."
 * one of each scheme; scheme and host have none. Returns how many, 0: it is no such URL, or longer
 * than BRIM_PURGE_PATTERN_BYTES. Pure; thread: any. */
struct brim_purge_patterns {
    struct brim_str texts[BRIM_PURGE_NAME_SCOPES]; /* point into bytes */
    char bytes[BRIM_PURGE_NAME_SCOPES][BRIM_PURGE_PATTERN_BYTES];
};
size_t brim_purge_name_patterns(struct brim_str text, struct brim_purge_patterns *patterns_out);

/* The key text of an absolute URL, in room of BRIM_PURGE_KEY_TEXT bytes; its length, 0: it is none.
 * Pure; thread: any. */
#define BRIM_PURGE_KEY_TEXT 16384u
size_t brim_purge_name_key(struct brim_str url, char *text_out);

#endif
