/* SPDX-License-Identifier: MIT */
#include "brim/policy/pin.h"

#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/secret.h"

#define SIGNED_BYTES  320u /* of a text that is signed */
#define EXPIRY_DIGITS 12u

struct brim_pin {
    struct brim_secret *secret;
    struct brim_str site;
    struct brim_str cookie;
    int64_t for_s;
};

enum brim_err brim_pin_open(const struct brim_conf_ryw *conf, const char *site,
                            struct brim_pin **pin_out)
{
    struct brim_secret *secret;
    enum brim_err err;

    *pin_out = NULL;
    if (conf->for_ms == 0)
        return BRIM_OK;
    err = brim_secret_open(conf->secret, &secret);
    if (err != BRIM_OK) {
        BRIM_LOG(ERROR, "site.secret_unusable", "site=%s file=%s reason=%s wanted=%u_bytes", site,
                 conf->secret, brim_err_name(err), BRIM_SECRET_BYTES_MIN);
        return err;
    }
    *pin_out = brim_alloc(sizeof(**pin_out));
    **pin_out = (struct brim_pin){
        .secret = secret,
        .site = brim_str_of(brim_strdup(site)),
        .cookie = brim_str_of(brim_strdup(conf->cookie)),
        .for_s = (conf->for_ms + 999) / 1000,
    };
    return BRIM_OK;
}

void brim_pin_close(struct brim_pin *pin)
{
    if (pin == NULL)
        return;
    brim_secret_close(pin->secret);
    free((void *)(uintptr_t)pin->site.base);
    free((void *)(uintptr_t)pin->cookie.base);
    free(pin);
}

/* ---- cookies ---- */

/* Takes the next pair off rest. False: there is none. */
static bool next_pair(struct brim_str *rest, struct brim_str *pair_out)
{
    const char *end;
    size_t len;

    if (rest->len == 0)
        return false;
    end = memchr(rest->base, ';', rest->len);
    len = end == NULL ? rest->len : (size_t)(end - rest->base);
    *pair_out = brim_str_trim(brim_str(rest->base, len));
    if (end != NULL)
        len++;
    *rest = brim_str(rest->base + len, rest->len - len);
    return true;
}

static bool is_ours(const struct brim_pin *pin, struct brim_str pair, struct brim_str *value_out)
{
    if (!brim_str_has_prefix(pair, pin->cookie) || pair.len == pin->cookie.len ||
        pair.base[pin->cookie.len] != '=')
        return false;
    *value_out = brim_str(pair.base + pin->cookie.len + 1, pair.len - pin->cookie.len - 1);
    return true;
}

static struct brim_str signed_text(const struct brim_pin *pin, struct brim_str expiry,
                                   char buffer[SIGNED_BYTES])
{
    int len = snprintf(buffer, SIGNED_BYTES, "brim-pin %.*s %.*s", (int)pin->site.len,
                       pin->site.base, (int)expiry.len, expiry.base);

    INVARIANT(len > 0 && (size_t)len < SIGNED_BYTES); /* a host name and a number */
    return brim_str(buffer, (size_t)len);
}

static bool is_valid(const struct brim_pin *pin, struct brim_str value, int64_t now_wall_s)
{
    const char *dot = value.len == 0 ? NULL : memchr(value.base, '.', value.len);
    char text[SIGNED_BYTES];
    struct brim_str expiry;
    size_t len;

    if (dot == NULL)
        return false;
    len = (size_t)(dot - value.base);
    expiry = brim_str(value.base, len);
    if (brim_str_number(expiry, EXPIRY_DIGITS) <= now_wall_s)
        return false;
    return brim_secret_is_signed(pin->secret, signed_text(pin, expiry, text),
                                 brim_str(dot + 1, value.len - len - 1));
}

static bool is_cookie(const struct brim_field *field)
{
    return brim_str_is(field->name, BRIM_STR("cookie"));
}

bool brim_pin_is_named(const struct brim_pin *pin, struct brim_fields request)
{
    struct brim_str rest, pair, value;

    for (size_t i = 0; i < request.count; i++) {
        rest = request.items[i].value;
        while (is_cookie(&request.items[i]) && next_pair(&rest, &pair))
            if (is_ours(pin, pair, &value))
                return true;
    }
    return false;
}

bool brim_pin_holds(const struct brim_pin *pin, struct brim_fields request, int64_t now_wall_s)
{
    struct brim_str rest, pair, value;

    for (size_t i = 0; i < request.count; i++) {
        rest = request.items[i].value;
        while (is_cookie(&request.items[i]) && next_pair(&rest, &pair))
            if (is_ours(pin, pair, &value) && is_valid(pin, value, now_wall_s))
                return true;
    }
    return false;
}

/* The other pairs of one Cookie field; moves *text behind them. */
static struct brim_str others_of(const struct brim_pin *pin, struct brim_str rest, char **text)
{
    struct brim_str pair, value;
    char *start = *text;

    while (next_pair(&rest, &pair)) {
        if (pair.len == 0 || is_ours(pin, pair, &value))
            continue;
        if (*text > start) {
            memcpy(*text, "; ", 2);
            *text += 2;
        }
        memcpy(*text, pair.base, pair.len);
        *text += pair.len;
    }
    return brim_str(start, (size_t)(*text - start));
}

struct brim_fields brim_pin_strip(const struct brim_pin *pin, struct brim_fields request,
                                  struct brim_field *items, char *text)
{
    size_t count = 0;

    for (size_t i = 0; i < request.count; i++) {
        struct brim_field field = request.items[i];

        if (is_cookie(&field))
            field.value = others_of(pin, field.value, &text);
        if (field.value.len > 0 || !is_cookie(&field))
            items[count++] = field;
    }
    return (struct brim_fields){items, count};
}

struct brim_str brim_pin_cookie(const struct brim_pin *pin, int64_t now_wall_s, bool is_https,
                                char buffer[BRIM_PIN_COOKIE_BYTES])
{
    char text[SIGNED_BYTES], expiry[24], sign[BRIM_SECRET_SIGN_BYTES];
    int len = snprintf(expiry, sizeof(expiry), "%lld", (long long)(now_wall_s + pin->for_s));

    INVARIANT(len > 0 && (size_t)len <= EXPIRY_DIGITS);
    brim_secret_sign(pin->secret, signed_text(pin, brim_str(expiry, (size_t)len), text), sign);
    len = snprintf(buffer, BRIM_PIN_COOKIE_BYTES,
                   "%.*s=%s.%.*s; Max-Age=%lld; Path=/; HttpOnly; SameSite=Lax%s",
                   (int)pin->cookie.len, pin->cookie.base, expiry, (int)sizeof(sign), sign,
                   (long long)pin->for_s, is_https ? "; Secure" : "");
    INVARIANT(len > 0 && (size_t)len < BRIM_PIN_COOKIE_BYTES);
    return brim_str(buffer, (size_t)len);
}
