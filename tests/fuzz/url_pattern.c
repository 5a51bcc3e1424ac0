/* SPDX-License-Identifier: MIT */
/*
 * A URL pattern, the URL that it came with, and one to match: a line each.
 */
#include "brim/http/url_pattern.h"
#include "brim/http/uri.h"
#include "fuzz.h"

#define URL_BYTES 1024

static size_t key_text(struct brim_str url, char *buffer)
{
    struct brim_uri uri;

    return brim_uri_parse(url, &uri)
               ? brim_uri_key_text(uri.scheme, uri.authority, uri.target, buffer, URL_BYTES)
               : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct brim_url_pattern pattern;
    static char base[URL_BYTES], url[URL_BYTES];
    struct brim_str rest = brim_str((const char *)data, size);
    struct brim_str text = fuzz_line(&rest);
    size_t base_len = key_text(fuzz_line(&rest), base);
    size_t url_len = key_text(fuzz_line(&rest), url);

    if (base_len == 0 ||
        brim_url_pattern_compile(text, brim_str(base, base_len), &pattern) != BRIM_OK)
        return 0;
    INVARIANT(pattern.text_len <= sizeof(pattern.text));
    INVARIANT(pattern.path_parts <= pattern.parts && pattern.parts <= BRIM_URL_PATTERN_PARTS_MAX);
    if (url_len > 0)
        (void)brim_url_pattern_matches(&pattern, brim_str(url, url_len));
    if (text.len == 0) /* an empty pattern is the base */
        INVARIANT(brim_url_pattern_matches(&pattern, brim_str(base, base_len)));
    return 0;
}
