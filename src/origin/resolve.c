/* SPDX-License-Identifier: MIT */
#include "brim/origin/resolve.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "brim/http/uri.h"

/* Sets the whole URL from text, which libcurl resolves against what is set already. */
static bool set_url(CURLU *handle, struct brim_str text)
{
    char *copy = strndup(text.base, text.len);
    bool set = copy != NULL && curl_url_set(handle, CURLUPART_URL, copy, 0) == CURLUE_OK;

    free(copy);
    return set;
}

size_t brim_resolve(struct brim_str base, struct brim_str reference, char *buffer,
                    size_t buffer_bytes)
{
    CURLU *handle = curl_url();
    struct brim_uri uri;
    char *url = NULL;
    size_t len = 0;

    if (handle == NULL || reference.len == 0 || !set_url(handle, base) ||
        !set_url(handle, reference))
        goto out;
    curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(handle, CURLUPART_URL, &url, 0) == CURLUE_OK &&
        brim_uri_parse(brim_str_of(url), &uri))
        len = brim_uri_key_text(uri.scheme, uri.authority, uri.target, buffer, buffer_bytes);
out:
    curl_free(url);
    curl_url_cleanup(handle);
    return len;
}
