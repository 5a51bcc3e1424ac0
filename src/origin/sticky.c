/* SPDX-License-Identifier: MIT */
#include "brim/origin/sticky.h"

#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/secret.h"

#define ID_BYTES      16u
#define EXPIRY_DIGITS 12u
#define SIGNED_BYTES  2048u

struct brim_sticky {
    struct brim_secret *secret;
    struct brim_str origin;
    struct brim_str cookie;
    int64_t ttl_s;
    unsigned count;
    char (*ids)[ID_BYTES];
};

static void sign(const struct brim_sticky *s, const char *what, struct brim_str text,
                 char sign_out[BRIM_SECRET_SIGN_BYTES])
{
    char buffer[SIGNED_BYTES];
    int len = snprintf(buffer, sizeof(buffer), "brim-sticky-%s %.*s %.*s", what, (int)s->origin.len,
                       s->origin.base, (int)text.len, text.base);

    INVARIANT(len > 0 && (size_t)len < sizeof(buffer)); /* a name, and a URL or our own value */
    brim_secret_sign(s->secret, brim_str(buffer, (size_t)len), sign_out);
}

enum brim_err brim_sticky_open(const struct brim_sticky_config *config,
                               const struct brim_balance *balance, struct brim_sticky **sticky_out)
{
    struct brim_secret *secret;
    struct brim_sticky *s;
    enum brim_err err = brim_secret_open(config->secret, &secret);

    *sticky_out = NULL;
    if (err != BRIM_OK) {
        BRIM_LOG(ERROR, "origin.secret_unusable", "origin=%s file=%s reason=%s wanted=%u_bytes",
                 config->origin, config->secret, brim_err_name(err), BRIM_SECRET_BYTES_MIN);
        return err;
    }
    s = brim_alloc(sizeof(*s));
    *s = (struct brim_sticky){
        .secret = secret,
        .origin = brim_str_of(brim_strdup(config->origin)),
        .cookie = brim_str_of(brim_strdup(config->cookie)),
        .ttl_s = config->ttl_s,
        .count = brim_balance_count(balance),
    };
    s->ids = brim_alloc(s->count * sizeof(*s->ids));
    for (unsigned i = 0; i < s->count; i++) {
        char digits[BRIM_SECRET_SIGN_BYTES];

        sign(s, "server", brim_str_of(brim_balance_url(balance, i)), digits);
        memcpy(s->ids[i], digits, ID_BYTES);
    }
    *sticky_out = s;
    return BRIM_OK;
}

void brim_sticky_close(struct brim_sticky *s)
{
    if (s == NULL)
        return;
    brim_secret_close(s->secret);
    free((void *)(uintptr_t)s->origin.base);
    free((void *)(uintptr_t)s->cookie.base);
    free(s->ids);
    free(s);
}

/* Ids are made with the secret: the same ids, the same secret. */
bool brim_sticky_is_same(const struct brim_sticky *a, const struct brim_sticky *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return brim_str_is(a->cookie, b->cookie) && a->ttl_s == b->ttl_s && a->count == b->count &&
           memcmp(a->ids, b->ids, a->count * sizeof(*a->ids)) == 0;
}

struct brim_str brim_sticky_name(const struct brim_sticky *s)
{
    return s->cookie;
}

static unsigned server_of(const struct brim_sticky *s, const char *id)
{
    for (unsigned i = 0; i < s->count; i++)
        if (memcmp(s->ids[i], id, ID_BYTES) == 0)
            return i;
    return BRIM_STICKY_NONE;
}

unsigned brim_sticky_server(const struct brim_sticky *s, struct brim_str value, int64_t now_wall_s,
                            bool *is_old_out)
{
    char text[SIGNED_BYTES];
    struct brim_str expiry;
    const char *dot;
    int64_t until;
    int len;

    *is_old_out = true;
    if (value.len < ID_BYTES + 2 || value.base[ID_BYTES] != '.')
        return BRIM_STICKY_NONE;
    expiry = brim_str(value.base + ID_BYTES + 1, value.len - ID_BYTES - 1);
    dot = memchr(expiry.base, '.', expiry.len);
    if (dot == NULL)
        return BRIM_STICKY_NONE;
    expiry.len = (size_t)(dot - expiry.base);
    until = brim_str_number(expiry, EXPIRY_DIGITS);
    len = snprintf(text, sizeof(text), "brim-sticky-cookie %.*s %.*s", (int)s->origin.len,
                   s->origin.base, (int)(ID_BYTES + 1 + expiry.len), value.base);
    if (until <= now_wall_s || len < 0 || (size_t)len >= sizeof(text) ||
        !brim_secret_is_signed(s->secret, brim_str(text, (size_t)len),
                               brim_str(dot + 1, value.len - (size_t)(dot + 1 - value.base))))
        return BRIM_STICKY_NONE;
    *is_old_out = until - now_wall_s < s->ttl_s / 2;
    return server_of(s, value.base);
}

struct brim_str brim_sticky_cookie(const struct brim_sticky *s, unsigned server, int64_t now_wall_s,
                                   char buffer[BRIM_STICKY_COOKIE_BYTES])
{
    char value[ID_BYTES + EXPIRY_DIGITS + 16], digits[BRIM_SECRET_SIGN_BYTES];
    int len;

    INVARIANT(server < s->count);
    len = snprintf(value, sizeof(value), "%.*s.%lld", (int)ID_BYTES, s->ids[server],
                   (long long)now_wall_s + s->ttl_s);
    INVARIANT(len > 0 && (size_t)len < sizeof(value));
    sign(s, "cookie", brim_str(value, (size_t)len), digits);
    len = snprintf(buffer, BRIM_STICKY_COOKIE_BYTES,
                   "%.*s=%s.%.*s; Max-Age=%lld; Path=/; HttpOnly; SameSite=Lax", (int)s->cookie.len,
                   s->cookie.base, value, (int)sizeof(digits), digits, (long long)s->ttl_s);
    INVARIANT(len > 0 && (size_t)len < BRIM_STICKY_COOKIE_BYTES);
    return brim_str(buffer, (size_t)len);
}
