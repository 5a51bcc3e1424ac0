/* SPDX-License-Identifier: MIT */
/*
 * A URL; what is accepted has a key text, and that text is a URL with the same key text.
 */
#include "brim/http/uri.h"
#include "fuzz.h"

#define KEY_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char first[KEY_BYTES];
    static char second[KEY_BYTES];
    struct brim_str input = brim_str((const char *)data, size);
    struct brim_str host;
    struct brim_uri uri;
    uint16_t port;

    (void)brim_uri_target_is_valid(input);
    if (brim_uri_parse_authority(input, &host, &port))
        INVARIANT(host.len > 0);
    (void)brim_uri_key_text(BRIM_STR("http"), input, BRIM_STR("/"), first, sizeof(first));

    if (size > KEY_BYTES / 2 || !brim_uri_parse(input, &uri))
        return 0;
    size_t len = brim_uri_key_text(uri.scheme, uri.authority, uri.target, first, sizeof(first));
    INVARIANT(len > 0);
    INVARIANT(brim_uri_parse(brim_str(first, len), &uri));
    size_t again = brim_uri_key_text(uri.scheme, uri.authority, uri.target, second, sizeof(second));
    INVARIANT(brim_str_is(brim_str(first, len), brim_str(second, again)));
    return 0;
}
