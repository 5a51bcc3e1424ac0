/* SPDX-License-Identifier: MIT */
#include "brim/cache/purge_name.h"

#include <string.h>

#include "brim/base/invariant.h"
#include "brim/http/uri.h"

#define TAG_MAX      1024u
#define KEY_TEXT_MAX BRIM_PURGE_KEY_TEXT
#define HOST_MAX     261u

static bool key_text(struct brim_str url, char *text, size_t *len_out)
{
    struct brim_uri uri;

    *len_out = 0;
    if (brim_uri_parse(url, &uri))
        *len_out = brim_uri_key_text(uri.scheme, uri.authority, uri.target, text, KEY_TEXT_MAX);
    return *len_out > 0;
}

static size_t url_scopes(struct brim_str url, uint64_t *out)
{
    char text[KEY_TEXT_MAX];
    size_t len;

    if (!key_text(url, text, &len))
        return 0;
    out[0] = brim_purge_scope_url(brim_str(text, len));
    return 1;
}

static bool prefix_scope(const char *scheme, struct brim_str rest, uint64_t *out)
{
    char url[KEY_TEXT_MAX], text[KEY_TEXT_MAX];
    size_t scheme_len = strlen(scheme), len;

    if (rest.len > sizeof(url) - scheme_len)
        return false;
    memcpy(url, scheme, scheme_len);
    memcpy(url + scheme_len, rest.base, rest.len);
    if (!key_text(brim_str(url, scheme_len + rest.len), text, &len))
        return false;
    *out = brim_purge_scope_prefix(brim_str(text, len));
    return true;
}

static size_t prefix_scopes(struct brim_str url, uint64_t *out)
{
    if (url.len > 0 && url.base[url.len - 1] == '*')
        url.len--;
    if (!brim_str_has_prefix(url, BRIM_STR("//")))
        return prefix_scope("", url, out) ? 1 : 0;
    return prefix_scope("http:", url, &out[0]) && prefix_scope("https:", url, &out[1]) ? 2 : 0;
}

/* The authority of the keys that a host has under this scheme. */
static bool host_scope(struct brim_str scheme, struct brim_str host, uint64_t *out)
{
    char text[HOST_MAX + 16]; /* scheme, slashes, and the slack that is asked for */
    size_t before = scheme.len + 3, len;

    if (host.len > HOST_MAX)
        return false;
    len = brim_uri_key_text(scheme, host, BRIM_STR("/"), text, sizeof(text));
    if (len == 0)
        return false;
    *out = brim_purge_scope_host(brim_str(text + before, len - before - 1));
    return true;
}

static size_t host_scopes(struct brim_str host, uint64_t *out)
{
    return host_scope(BRIM_STR("http"), host, &out[0]) &&
                   host_scope(BRIM_STR("https"), host, &out[1])
               ? 2
               : 0;
}

/* What separates tags in their fields is in none of them: "a b" would purge nothing, and say so. */
static size_t tag_scopes(struct brim_str tag, uint64_t *out)
{
    if (tag.len == 0 || tag.len > TAG_MAX)
        return 0;
    for (size_t i = 0; i < tag.len; i++)
        if (tag.base[i] == ' ' || tag.base[i] == '\t' || tag.base[i] == ',')
            return 0;
    out[0] = brim_purge_scope_tag(tag);
    return 1;
}

static const struct noun {
    struct brim_purge_words words;
    size_t (*scopes)(struct brim_str text, uint64_t *out);
} nouns[] = {
    [BRIM_PURGE_URL] = {{"URL", "urls", "an absolute http or https URL"}, url_scopes},
    [BRIM_PURGE_PREFIX] = {{"prefix", "prefixes", "an absolute http or https URL, or //host/path"},
                           prefix_scopes},
    [BRIM_PURGE_HOST] = {{"host", "hosts", "a host name"}, host_scopes},
    [BRIM_PURGE_TAG] = {{"tag", "tags", "one tag of 1 to 1024 bytes, without blanks and commas"},
                        tag_scopes},
};

size_t brim_purge_name_scopes(enum brim_purge_noun noun, struct brim_str text,
                              uint64_t scopes_out[BRIM_PURGE_NAME_SCOPES])
{
    INVARIANT(noun < BRIM_PURGE_NOUNS);
    return nouns[noun].scopes(text, scopes_out);
}

struct brim_purge_words brim_purge_noun_words(enum brim_purge_noun noun)
{
    INVARIANT(noun < BRIM_PURGE_NOUNS);
    return nouns[noun].words;
}

/* The host stands between the slashes; a star there would make a pattern of every site. */
static bool has_plain_host(struct brim_str key_text)
{
    const char *host = memmem(key_text.base, key_text.len, "://", 3);
    const char *end =
        host == NULL ? NULL
                     : memchr(host + 3, '/', key_text.len - (size_t)(host + 3 - key_text.base));

    return end != NULL && memchr(key_text.base, '*', (size_t)(end - key_text.base)) == NULL;
}

static bool add_pattern(const char *scheme, struct brim_str rest, size_t number,
                        struct brim_purge_patterns *out)
{
    char url[BRIM_PURGE_PATTERN_BYTES + 8], text[KEY_TEXT_MAX];
    size_t scheme_len = strlen(scheme), len;

    if (rest.len > BRIM_PURGE_PATTERN_BYTES)
        return false;
    memcpy(url, scheme, scheme_len);
    memcpy(url + scheme_len, rest.base, rest.len);
    if (!key_text(brim_str(url, scheme_len + rest.len), text, &len) ||
        len > BRIM_PURGE_PATTERN_BYTES || !has_plain_host(brim_str(text, len)))
        return false;
    memcpy(out->bytes[number], text, len);
    out->texts[number] = brim_str(out->bytes[number], len);
    return true;
}

size_t brim_purge_name_patterns(struct brim_str text, struct brim_purge_patterns *patterns_out)
{
    if (!brim_str_has_prefix(text, BRIM_STR("//")))
        return add_pattern("", text, 0, patterns_out) ? 1 : 0;
    return add_pattern("http:", text, 0, patterns_out) &&
                   add_pattern("https:", text, 1, patterns_out)
               ? 2
               : 0;
}

size_t brim_purge_name_key(struct brim_str url, char *text_out)
{
    size_t len;

    return key_text(url, text_out, &len) ? len : 0;
}
