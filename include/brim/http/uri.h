/* SPDX-License-Identifier: MIT */
/*
 * uri - request targets and authorities (RFC 3986, RFC 9112 3.2), checked strictly, never repaired.
 */
#ifndef BRIM_HTTP_URI_H
#define BRIM_HTTP_URI_H

#include <stdint.h>

#include "brim/base/str.h"

/* Origin-form: starts with '/', only pchar, '/', '?', valid percent-escapes; no fragment, no
 * control, no space, no byte >= 0x80. Thread: any. */
bool brim_uri_target_is_valid(struct brim_str target);

/* Host [":" port] without userinfo: reg-name, IPv4 or [IPv6]. port_out: 0 if absent; host_out:
 * without port, brackets kept. Returns false if it is not valid or empty. */
bool brim_uri_parse_authority(struct brim_str authority, struct brim_str *host_out,
                              uint16_t *port_out);

/* Writes the key text `scheme://host[:port]/path?query` (host lower-cased, default port and a
 * trailing dot of the host dropped). Returns its length, or 0 if it does not fit. */
size_t brim_uri_key_text(struct brim_str scheme, struct brim_str authority, struct brim_str target,
                         char *buffer, size_t buffer_bytes);

/* Splits an absolute http(s) URL for purge and tools. False if it is not one. */
struct brim_uri {
    struct brim_str scheme;
    struct brim_str authority;
    struct brim_str target; /* "/" if the URL has no path */
};
bool brim_uri_parse(struct brim_str url, struct brim_uri *uri_out);

#endif
