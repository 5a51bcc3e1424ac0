/* SPDX-License-Identifier: MIT */
#include "brim/policy/signed_url.h"

#include <stdio.h>
#include <stdlib.h>

#include "brim/base/base64url.h"
#include "brim/base/invariant.h"
#include "brim/base/sha256.h"
#include "brim/base/text.h"

#define KEYS_MAX      8u
#define KEY_BYTES_MIN 16
#define SIG_LEN       BRIM_BASE64URL_LEN(BRIM_SHA256_BYTES)

struct brim_url_keys {
    struct brim_str items[KEYS_MAX];
    size_t count;
};

/* ---- keys ---- */

static const char *add_key(struct brim_url_keys *keys, char *line, size_t len)
{
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        line[--len] = '\0';
    if (len == 0)
        return NULL;
    if (len < KEY_BYTES_MIN)
        return "holds a key of less than 16 bytes";
    if (keys->count == KEYS_MAX)
        return "holds more than 8 keys";
    keys->items[keys->count++] = brim_str(brim_strdup(line), strlen(line));
    return strlen(line) == len ? NULL : "holds a key with a 0 byte";
}

enum brim_err brim_url_keys_read(const char *path, struct brim_url_keys **keys_out,
                                 const char **why_out)
{
    FILE *file = fopen(path, "re");
    struct brim_url_keys *keys;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    *keys_out = NULL;
    *why_out = "cannot be read";
    if (file == NULL)
        return BRIM_EIO;
    keys = brim_alloc(sizeof(*keys));
    *why_out = NULL;
    while (*why_out == NULL && (len = getline(&line, &room, file)) >= 0)
        *why_out = add_key(keys, line, (size_t)len);
    if (*why_out == NULL && keys->count == 0)
        *why_out = "holds no key";
    if (line != NULL)
        explicit_bzero(line, room);
    free(line);
    (void)fclose(file);
    if (*why_out != NULL) {
        brim_url_keys_free(keys);
        return BRIM_EINVAL;
    }
    *keys_out = keys;
    return BRIM_OK;
}

void brim_url_keys_free(struct brim_url_keys *keys)
{
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->count; i++) {
        explicit_bzero((void *)(uintptr_t)keys->items[i].base, keys->items[i].len);
        free((void *)(uintptr_t)keys->items[i].base);
    }
    free(keys);
}

/* ---- what is signed ---- */

static struct brim_str path_of(struct brim_str target)
{
    const char *query = memchr(target.base, '?', target.len);

    return query == NULL ? target : brim_str(target.base, (size_t)(query - target.base));
}

/* Bytes of the escape at the beginning of text that mean what plain, one byte, means; or of the
 * byte itself; 0: something else. */
static size_t is_byte(struct brim_str text, char plain, const char *escape)
{
    if (text.len > 0 && text.base[0] == plain)
        return 1;
    return text.len >= 3 && strncasecmp(text.base, escape, 3) == 0 ? 3 : 0;
}

static size_t separator(struct brim_str text)
{
    size_t len = is_byte(text, '/', "%2f");

    return len > 0 ? len : is_byte(text, '\\', "%5c");
}

static struct brim_str behind(struct brim_str text, size_t len)
{
    return brim_str(text.base + len, text.len - len);
}

/* Whether some origin could read a segment of the path as "." or "..", and go up by it. */
static bool has_dot_segment(struct brim_str path)
{
    while (path.len > 0) {
        size_t step = separator(path), dot;

        if (step == 0) {
            path = behind(path, 1);
            continue;
        }
        path = behind(path, step);
        if ((dot = is_byte(path, '.', "%2e")) == 0)
            continue;
        path = behind(path, dot);
        dot = is_byte(path, '.', "%2e");
        if (dot > 0)
            path = behind(path, dot);
        if (path.len == 0 || separator(path) > 0 || path.base[0] == ';')
            return true;
    }
    return false;
}

static void put_lower(struct brim_text *text, struct brim_str part)
{
    for (size_t i = 0; i < part.len; i++) {
        char c = part.base[i];

        c = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        brim_text_put(text, brim_str(&c, 1));
    }
}

/* room: for host, target and 64 bytes more. */
static void make_mac(struct brim_str key, const struct brim_signable *what, char *room,
                     char sig_out[SIG_LEN])
{
    struct brim_text text = brim_text_in(room, what->host.len + what->target.len + 64);
    struct brim_hmac_key secret = {key.base, key.len};
    unsigned char mac[BRIM_SHA256_BYTES];

    brim_text_put(&text, BRIM_STR("brim1\n"));
    put_lower(&text, what->host);
    brim_text_put(&text, BRIM_STR("\n"));
    brim_text_put_int(&text, what->expires_s);
    if (what->prefix_len > 0) {
        brim_text_put(&text, BRIM_STR("\nprefix:"));
        brim_text_put(&text, brim_str(what->target.base, what->prefix_len));
    } else {
        brim_text_put(&text, BRIM_STR("\ntarget:"));
        brim_text_put(&text, what->target);
    }
    INVARIANT(!text.is_cut);
    brim_hmac_sha256(&secret, text.base, text.len, mac);
    brim_base64url_write(mac, sizeof(mac), sig_out);
}

/* ---- parameters ---- */

struct parameters {
    struct brim_str expires, prefix, sig;
    bool is_twice;
};

static struct brim_str *parameter_called(struct parameters *parameters, struct brim_str name)
{
    if (brim_str_is(name, BRIM_STR("brim_expires")))
        return &parameters->expires;
    if (brim_str_is(name, BRIM_STR("brim_prefix")))
        return &parameters->prefix;
    return brim_str_is(name, BRIM_STR("brim_sig")) ? &parameters->sig : NULL;
}

/* Takes the three out of target; what is left goes to out. */
static struct parameters split(struct brim_str target, struct brim_text *out)
{
    struct parameters parameters = {.is_twice = false};
    struct brim_str path = path_of(target), rest;
    bool has_query = path.len < target.len, is_first = true;

    brim_text_put(out, path);
    rest = has_query ? behind(target, path.len + 1) : brim_str(NULL, 0);
    while (has_query) {
        const char *end = rest.len == 0 ? NULL : memchr(rest.base, '&', rest.len);
        struct brim_str pair = end == NULL ? rest : brim_str(rest.base, (size_t)(end - rest.base));
        const char *equals = pair.len == 0 ? NULL : memchr(pair.base, '=', pair.len);
        size_t name_len = equals == NULL ? pair.len : (size_t)(equals - pair.base);
        struct brim_str *slot = parameter_called(&parameters, brim_str(pair.base, name_len));

        if (slot != NULL) {
            parameters.is_twice |= slot->base != NULL;
            *slot = equals == NULL ? brim_str("", 0) : behind(pair, name_len + 1);
        } else {
            brim_text_put(out, is_first ? BRIM_STR("?") : BRIM_STR("&"));
            brim_text_put(out, pair);
            is_first = false;
        }
        has_query = end != NULL;
        if (has_query)
            rest = behind(rest, pair.len + 1);
    }
    return parameters;
}

/* Decimal without a leading zero: one text for each number. */
static bool read_number(struct brim_str text, int64_t *number_out)
{
    *number_out = brim_str_number(text, BRIM_NUMBER_DIGITS);
    return *number_out >= 0 && text.base[0] != '0';
}

/* ---- interface ---- */

size_t brim_signed_url_make(const struct brim_url_keys *keys, const struct brim_signable *what,
                            char *room)
{
    struct brim_str path = path_of(what->target);
    char *scratch = brim_alloc(what->host.len + what->target.len + 64);
    struct brim_text text = brim_text_in(scratch, what->target.len);
    struct parameters there = split(what->target, &text);
    char sig[SIG_LEN];

    if (there.expires.base != NULL || there.prefix.base != NULL || there.sig.base != NULL ||
        what->prefix_len > path.len || (what->prefix_len > 0 && has_dot_segment(path))) {
        free(scratch);
        return 0;
    }
    make_mac(keys->items[0], what, scratch, sig);
    free(scratch);
    text = brim_text_in(room, BRIM_SIGNED_URL_ROOM(what->target.len));
    brim_text_put(&text, what->target);
    brim_text_put(&text, path.len < what->target.len ? BRIM_STR("&") : BRIM_STR("?"));
    brim_text_put(&text, BRIM_STR("brim_expires="));
    brim_text_put_int(&text, what->expires_s);
    if (what->prefix_len > 0) {
        brim_text_put(&text, BRIM_STR("&brim_prefix="));
        brim_text_put_int(&text, (int64_t)what->prefix_len);
    }
    brim_text_put(&text, BRIM_STR("&brim_sig="));
    brim_text_put(&text, brim_str(sig, sizeof(sig)));
    INVARIANT(!text.is_cut);
    return text.len;
}

static bool has_good_mac(const struct brim_url_keys *keys, const struct brim_signable *what,
                         struct brim_str sig)
{
    char *scratch = brim_alloc(what->host.len + what->target.len + 64);
    char made[SIG_LEN];
    bool is_good = false;

    for (size_t i = 0; !is_good && sig.len == sizeof(made) && i < keys->count; i++) {
        make_mac(keys->items[i], what, scratch, made);
        is_good = brim_bytes_are_same(made, sig.base, sizeof(made));
    }
    free(scratch);
    return is_good;
}

const char *brim_signed_url_check(const struct brim_url_keys *keys,
                                  const struct brim_signed_url_ask *ask, char *room,
                                  struct brim_str *target_out)
{
    struct brim_text text = brim_text_in(room, ask->target.len);
    struct parameters given = split(ask->target, &text);
    struct brim_signable what = {.host = ask->host, .target = brim_text_str(&text)};
    int64_t prefix_len = 0;

    *target_out = what.target;
    if (given.sig.base == NULL)
        return "the URL is not signed";
    if (given.is_twice || !read_number(given.expires, &what.expires_s) ||
        (given.prefix.base != NULL && !read_number(given.prefix, &prefix_len)))
        return "the signature of the URL is wrong";
    if ((uint64_t)prefix_len > path_of(what.target).len ||
        (prefix_len > 0 && has_dot_segment(path_of(what.target))))
        return "the signature of the URL is wrong";
    what.prefix_len = (size_t)prefix_len;
    if (!has_good_mac(keys, &what, given.sig))
        return "the signature of the URL is wrong";
    return ask->now_s < what.expires_s ? NULL : "the URL has expired";
}
