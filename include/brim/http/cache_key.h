/* SPDX-License-Identifier: MIT */
/*
 * cache_key - what an operator's rules make of a request before it is looked up: which parts of its
 * query count, and by what else answers are told apart.
 *
 * Main rule: what does not count is not sent to the origin either where the answer may be shared,
 * so that nothing that is not in the key can change what is stored. Pure.
 */
#ifndef BRIM_HTTP_CACHE_KEY_H
#define BRIM_HTTP_CACHE_KEY_H

#include "brim/http/cache_control.h"
#include "brim/http/field.h"

struct brim_key_rules {
    struct brim_targets query_keep; /* only these parameters count; empty: all do */
    struct brim_targets query_drop; /* these do not; a name may end with '*' */
    struct brim_targets headers;    /* lower-case names */
    struct brim_targets cookies;
    struct brim_targets languages; /* lower-case tags; the first where none fits */
    bool query_sort;
    bool device;
    bool in_status; /* Cache-Status tells the key */
};

/* Whether the query is anything but taken as it is. */
bool brim_cache_key_has_query(const struct brim_key_rules *rules);

/* Whether anything beside scheme, host, path and query counts. */
bool brim_cache_key_has_selector(const struct brim_key_rules *rules);

/*
 * Writes the target with the parameters that count, in their order or sorted by name (those of one
 * name stay in order). Bytes are not decoded: `a%20b` and `a+b` are two names. buffer has room for
 * target.len bytes. Returns the length.
 */
size_t brim_cache_key_target(const struct brim_key_rules *rules, struct brim_str target,
                             char *buffer);

/*
 * Writes what else counts as one text of tokens and percent-escapes, in which absent and empty
 * differ: `h:accept=...;c:plan=...;d:mobile;l:de;k:...`. Returns its length, or SIZE_MAX if it does
 * not fit. request: as received; part: what a handler adds.
 */
size_t brim_cache_key_selector(const struct brim_key_rules *rules, struct brim_fields request,
                               struct brim_str part, char *buffer, size_t room);

/* Bytes of all Cookie fields, with what joins them; 0: there is none. */
size_t brim_cache_key_cookies_room(struct brim_fields request);

/* Writes the value of a Cookie field with the cookies that count, in their order; 0: none. buffer
 * has the room that the call above says. */
size_t brim_cache_key_cookies(const struct brim_key_rules *rules, struct brim_fields request,
                              char *buffer);

/* "mobile", "tablet" or "desktop", by Sec-CH-UA-Mobile, else by User-Agent. Static. */
struct brim_str brim_cache_key_device(struct brim_fields request);

/* The language that fits the client's Accept-Language best: lookup of RFC 4647 3.4, by weight
 * (RFC 9110 12.5.4); the first where none does. Borrowed from rules. */
struct brim_str brim_cache_key_language(const struct brim_key_rules *rules,
                                        struct brim_fields request);

#endif
