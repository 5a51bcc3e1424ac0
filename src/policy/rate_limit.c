/* SPDX-License-Identifier: MIT */
#include "brim/policy/rate_limit.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/sha256.h"
#include "brim/http/cache_key.h"
#include "brim/policy/dict.h"

#define COOKIES_MAX   4096u
#define V6_NET_BYTES  8u /* a /64: what one household or host is given */
#define US_A_S        1000000u
#define PLAIN_MAX     128u /* a longer identity is known by its digest */
#define MARK_OF_GATES '\1' /* no name of a handler's begins so */

enum by { BY_ADDRESS, BY_HEADER, BY_COOKIE, BY_JWT }; /* values of rate_limit.by */

struct brim_rate_limit {
    enum by by;
    struct brim_str name; /* of a header or cookie; owned */
    double per_second;
    uint32_t burst;
    uint64_t window_s; /* in which burst requests come back */
    bool is_told;
    bool is_route;
    char bucket[1 + sizeof(struct brim_digest)]; /* name of the dictionary */
};

/* The same for the same place after a reload, so that a reload forgives nobody. */
static void name_bucket(struct brim_rate_limit *limit, const struct brim_rate_limit_place *place)
{
    struct brim_digest parts[2] = {brim_hash128(place->site, strlen(place->site))}, whole;

    if (place->route != NULL)
        parts[1] = brim_hash128(place->route, strlen(place->route));
    whole = brim_hash128(parts, sizeof(parts));
    limit->bucket[0] = MARK_OF_GATES;
    memcpy(limit->bucket + 1, &whole, sizeof(whole));
}

struct brim_rate_limit *brim_rate_limit_compile(const struct brim_conf_rate_limit *conf,
                                                const struct brim_rate_limit_place *place)
{
    struct brim_rate_limit *limit;
    double window_s;

    if (conf->requests == 0)
        return NULL;
    limit = brim_alloc(sizeof(*limit));
    limit->by = (enum by)conf->by;
    limit->name = brim_str_of(limit->by == BY_HEADER ? brim_strdup_lower(conf->name)
                                                     : brim_strdup(conf->name));
    limit->per_second = (double)conf->requests * 1000 / (double)conf->per_ms;
    limit->burst = (uint32_t)(conf->burst == 0 ? conf->requests : conf->burst);
    window_s = limit->burst / limit->per_second;
    limit->window_s = window_s < 1 ? 1 : (uint64_t)(window_s + 0.5);
    limit->is_told = conf->fields;
    limit->is_route = place->route != NULL;
    name_bucket(limit, place);
    return limit;
}

void brim_rate_limit_free(struct brim_rate_limit *limit)
{
    if (limit == NULL)
        return;
    free((void *)(uintptr_t)limit->name.base);
    free(limit);
}

/* ---- who ---- */

static void put_address(struct brim_text *id, const struct sockaddr *address)
{
    const void *bytes = address;

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = bytes;

        brim_text_put(id, brim_str((const char *)&v4->sin_addr, sizeof(v4->sin_addr)));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = bytes;

        brim_text_put(id, brim_str((const char *)&v6->sin6_addr, V6_NET_BYTES));
    }
}

/* Text that the client chose, of any length: a digest that nobody can aim at another's. */
static void put_chosen(struct brim_text *id, char kind, struct brim_str text)
{
    unsigned char digest[BRIM_SHA256_BYTES];

    if (text.len <= PLAIN_MAX) {
        brim_text_put(id, brim_str(&kind, 1));
        brim_text_put(id, text);
        return;
    }
    kind = (char)(kind - 'a' + 'A');
    brim_text_put(id, brim_str(&kind, 1));
    brim_sha256(text.base, text.len, digest);
    brim_text_put(id, brim_str((const char *)digest, sizeof(digest)));
}

static bool put_cookie(struct brim_text *id, struct brim_str name, struct brim_fields fields)
{
    const struct brim_key_rules rules = {.cookies = {&name, 1}};
    char buffer[COOKIES_MAX];
    size_t room = brim_cache_key_cookies_room(fields), len;

    if (room == 0 || room > sizeof(buffer))
        return false;
    len = brim_cache_key_cookies(&rules, fields, buffer);
    if (len == 0)
        return false;
    put_chosen(id, 'c', brim_str(buffer, len));
    return true;
}

static bool put_header(struct brim_text *id, struct brim_str name, struct brim_fields fields)
{
    const struct brim_field *field = brim_fields_only(fields, name);

    if (field == NULL || field->value.len == 0)
        return false;
    put_chosen(id, 'h', field->value);
    return true;
}

static void put_client(const struct brim_rate_limit *limit, struct brim_text *id,
                       const struct brim_rate_limit_client *client)
{
    bool is_known = false;

    if (limit->by == BY_HEADER) {
        is_known = put_header(id, limit->name, client->fields);
    } else if (limit->by == BY_COOKIE) {
        is_known = put_cookie(id, limit->name, client->fields);
    } else if (limit->by == BY_JWT && client->subject.len > 0) {
        put_chosen(id, 's', client->subject);
        is_known = true;
    }
    if (!is_known) {
        brim_text_put(id, BRIM_STR("a"));
        put_address(id, client->address);
    }
}

bool brim_rate_limit_is_by_subject(const struct brim_rate_limit *limit)
{
    return limit->by == BY_JWT;
}

/* ---- how often ---- */

struct brim_rate_limit_news brim_rate_limit_take(const struct brim_rate_limit *limit,
                                                 struct brim_dict *dict,
                                                 const struct brim_rate_limit_client *client,
                                                 uint64_t now_us)
{
    char room[BRIM_DICT_KEY_MAX];
    struct brim_text id = brim_text_in(room, sizeof(room));
    struct brim_dict_rate rate = {limit->per_second, limit->burst, now_us};
    struct brim_rate_limit_news news = {.is_allowed = true, .is_told = limit->is_told};
    struct brim_dict_allowance allowance;
    struct brim_dict_key key;

    put_client(limit, &id, client);
    INVARIANT(!id.is_cut);
    key.name = brim_str(limit->bucket, sizeof(limit->bucket));
    key.key = brim_text_str(&id);
    if (brim_dict_take(dict, &key, &rate, &allowance) != BRIM_OK)
        return news;
    news.is_allowed = allowance.is_allowed;
    news.remaining = allowance.remaining;
    news.wait_s = (allowance.wait_us + US_A_S - 1) / US_A_S;
    return news;
}

/* ---- what is told ---- */

static void put_name(const struct brim_rate_limit *limit, struct brim_text *text)
{
    if (text->len > 0)
        brim_text_put(text, BRIM_STR(", "));
    brim_text_put(text, limit->is_route ? BRIM_STR("\"route\"") : BRIM_STR("\"site\""));
}

void brim_rate_limit_put_policy(const struct brim_rate_limit *limit, struct brim_text *text)
{
    put_name(limit, text);
    brim_text_put(text, BRIM_STR(";q="));
    brim_text_put_int(text, limit->burst);
    brim_text_put(text, BRIM_STR(";w="));
    brim_text_put_int(text, (int64_t)limit->window_s);
}

void brim_rate_limit_put_state(const struct brim_rate_limit *limit,
                               const struct brim_rate_limit_news *news, struct brim_text *text)
{
    put_name(limit, text);
    brim_text_put(text, BRIM_STR(";r="));
    brim_text_put_int(text, news->remaining);
    brim_text_put(text, BRIM_STR(";t="));
    brim_text_put_int(text, (int64_t)news->wait_s);
}
