/* SPDX-License-Identifier: MIT */
/*
 * uri - request targets and authorities (RFC 3986, RFC 9112 3.2), checked strictly, never repaired.
 */
#ifndef BRIM_HTTP_URI_H
#define BRIM_HTTP_URI_H

#include <stdint.h>

#include "brim/base/str.h"

/* Origin-form: starts with '/', only pchar, '/', '?', valid percent-escapes and the seven bytes
 * that browsers leave as they are ([ ] { } | ^ `); no fragment, no control, no space, no backslash,
 * quote or angle bracket, no byte >= 0x80; and no "." or ".." for a segment of the path, encoded or
 * not, also behind an encoded slash or before a ';': whoever takes them away has another path (RFC
 * 3986 5.2.4: clients have done so before they send). Thread: any. */
bool brim_uri_target_is_valid(struct brim_str target);

/* A path as an origin may read it: escapes decoded, but those of the bytes that globs are made of,
 * and slashes in a row as one. The path itself where that is the same, else in buffer, which has
 * room for path. For rules about paths; keys and origins have what was sent. Thread: any. */
struct brim_str brim_uri_path_plain(struct brim_str path, char *buffer);
/* Whether that is the path itself, for who would rather not make the room. Thread: any. */
bool brim_uri_path_is_plain(struct brim_str path);

/* How many bytes of path an origin may read as prefix, which is plain; 0: it begins otherwise.
 * Thread: any. */
size_t brim_uri_path_begins(struct brim_str path, struct brim_str prefix);

/* Host [":" port] without userinfo: a name (ALPHA, DIGIT, "-._~"; no empty label but for one
 * trailing dot), IPv4 or [IPv6]. port_out: 0 if absent; host_out: without port, brackets kept.
 * Returns false if it is not valid or empty. */
bool brim_uri_parse_authority(struct brim_str authority, struct brim_str *host_out,
                              uint16_t *port_out);

/* Writes the key text `scheme://host[:port]/path?query` (host lower-cased, default port and a
 * trailing dot of the host dropped). scheme is lower-case, target was checked. Returns its length,
 * or 0 if it does not fit (up to 6 bytes of slack for a port count) or authority is not valid. */
size_t brim_uri_key_text(struct brim_str scheme, struct brim_str authority, struct brim_str target,
                         char *buffer, size_t buffer_bytes);

/* Splits an absolute http(s) URL for purge and tools. False if it is not one, has a fragment, or
 * has a query but no path (its target would have to be made up). */
struct brim_uri {
    struct brim_str scheme; /* "http" or "https", static */
    struct brim_str authority;
    struct brim_str target; /* "/" if the URL has no path */
};
bool brim_uri_parse(struct brim_str url, struct brim_uri *uri_out);

/* The part of a key text before its path: scheme, host and port. */
struct brim_str brim_uri_origin(struct brim_str key_text);

/* Host and port of a key text, as it has them: one spelling for all that it is the key of. */
struct brim_str brim_uri_authority(struct brim_str key_text);

/* Whether two key texts have the same scheme and authority (RFC 9110 4.3.1, 4.3.2). */
bool brim_uri_is_same_origin(struct brim_str a, struct brim_str b);

#endif
