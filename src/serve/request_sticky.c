/* SPDX-License-Identifier: MIT */
/*
 * Clients that stay with a server (origin/sticky). Only what passes: what is shared, or may be
 * stored by anybody on the way, neither follows the cookie nor carries it.
 */
#include "brim/http/cache_control.h"
#include "brim/http/cache_key.h"
#include "brim/origin/sticky.h"
#include "brim/serve/deliver_head.h"
#include "brim/serve/request_inside.h"

/* The server that the client's cookie names, or BRIM_STICKY_NONE. */
static unsigned named_server(struct request *r, const struct brim_sticky *sticky, bool *is_old_out)
{
    struct brim_str name = brim_sticky_name(sticky), value;
    struct brim_key_rules rules = {.cookies = {&name, 1}};
    size_t room = brim_cache_key_cookies_room(r->fields), len;
    const char *end;
    char *text;

    *is_old_out = true;
    if (room == 0)
        return BRIM_STICKY_NONE;
    text = h2o_mem_alloc_pool(&r->req->pool, room);
    len = brim_cache_key_cookies(&rules, r->fields, text);
    if (len <= name.len + 1)
        return BRIM_STICKY_NONE;
    value = brim_str(text + name.len + 1, len - name.len - 1);
    end = memchr(value.base, ';', value.len); /* the first of that name */
    if (end != NULL)
        value.len = (size_t)(end - value.base);
    return brim_sticky_server(sticky, value, r->delivery.now_wall_ms / 1000, is_old_out);
}

void brim_request_prefer(struct request *r, struct brim_flight_ask *ask)
{
    bool is_old;
    unsigned server;

    if (ask->kind != BRIM_FLIGHT_PASS || ask->origin->sticky == NULL)
        return;
    server = named_server(r, ask->origin->sticky, &is_old);
    ask->prefers = server != BRIM_STICKY_NONE;
    ask->preferred = ask->prefers ? server : 0;
}

/* Whether nobody may keep the answer for others: said by its origin, or to be said by us as nothing
 * was said (*is_silent_out). */
static bool is_for_one(struct brim_fields response, bool *is_silent_out)
{
    struct brim_cache_control control;

    brim_cache_control_parse(response, BRIM_STR("cache-control"), &control);
    *is_silent_out = !control.present && brim_fields_find(response, BRIM_STR("expires")) == NULL &&
                     brim_fields_find(response, BRIM_STR("cdn-cache-control")) == NULL;
    return control.no_store || control.is_private || *is_silent_out;
}

void brim_request_tell_sticky(struct brim_delivery *d)
{
    struct request *r = (struct request *)d; /* it stands first */
    const struct brim_origin *origin = r->served_by;
    bool is_old, is_silent;
    struct brim_str cookie;
    char *text;

    if (origin == NULL || origin->sticky == NULL || r->is_shared || d->object == NULL ||
        d->facts.outcome != BRIM_OUTCOME_PASS || !is_for_one(d->object->fields, &is_silent))
        return;
    if (named_server(r, origin->sticky, &is_old) == r->served_server && !is_old)
        return;
    text = h2o_mem_alloc_pool(&d->req->pool, BRIM_STICKY_COOKIE_BYTES);
    cookie = brim_sticky_cookie(origin->sticky, r->served_server, d->now_wall_ms / 1000, text);
    if (r->req->input.scheme == &H2O_URL_SCHEME_HTTPS &&
        cookie.len + sizeof("; Secure") <= BRIM_STICKY_COOKIE_BYTES) {
        memcpy(text + cookie.len, "; Secure", sizeof("; Secure"));
        cookie.len += sizeof("; Secure") - 1;
    }
    brim_deliver_add_text(d, H2O_TOKEN_SET_COOKIE, NULL, cookie);
    if (is_silent)
        brim_deliver_add_text(d, H2O_TOKEN_CACHE_CONTROL, NULL, BRIM_STR("private"));
}
