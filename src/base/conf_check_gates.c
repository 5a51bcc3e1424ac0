/* SPDX-License-Identifier: MIT */
#include "brim/base/conf_check_gates.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "brim/base/cidr.h"
#include "brim/base/conf_value.h"

#define PATH_BYTES 192

enum { HS512 = 3 }; /* of jwt.alg: the last with a shared secret */

#define REALM_ACCEPTED  "has a quote or backslash; accepted: text without"
#define BLOCKS_ACCEPTED "accepted: as in 192.0.2.1, 10.0.0.0/8, 2001:db8::/32"

/* A fault of the option called key below where. */
static void fault(struct brim_conf_faults *faults, const char *where, const char *key,
                  const char *text)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s.%s", where, key);
    brim_conf_fault(faults, path, "%s", text);
}

/* ---- access ---- */

static void check_blocks(struct brim_conf_faults *faults, const char *where, const char *key,
                         const struct brim_conf_strings *blocks)
{
    for (size_t i = 0; i < blocks->count; i++) {
        struct brim_conf_text shown = {.len = 0};
        struct brim_cidr cidr;
        char member[64];
        const char *wrong;

        if (blocks->items[i] == NULL)
            continue;
        wrong = brim_cidr_parse(blocks->items[i], &cidr);
        if (wrong == NULL)
            continue;
        (void)snprintf(member, sizeof(member), "%s[%zu]", key, i);
        brim_conf_text_add_input(&shown, blocks->items[i]);
        brim_conf_text_add(&shown, " %s; " BLOCKS_ACCEPTED, wrong);
        fault(faults, where, member, shown.bytes);
    }
}

static void check_block_file(struct brim_conf_faults *faults, const char *where, const char *key,
                             const char *file)
{
    struct brim_conf_text shown = {.len = 0};
    struct brim_cidr_wrong wrong;
    struct brim_cidrs *cidrs;

    if (file == NULL || file[0] == '\0')
        return;
    cidrs = brim_cidrs_new();
    switch (brim_cidrs_add_file(cidrs, file, 0, &wrong)) {
    case BRIM_OK:
        break;
    case BRIM_EINVAL:
        brim_conf_text_add_input(&shown, file);
        brim_conf_text_add(&shown, " line %u: \"%s\" %s; " BLOCKS_ACCEPTED, wrong.line, wrong.text,
                           wrong.why);
        fault(faults, where, key, shown.bytes);
        break;
    default:
        brim_conf_text_add_input(&shown, file);
        brim_conf_text_add(&shown, " cannot be read; accepted: a file with a block a line");
        fault(faults, where, key, shown.bytes);
        break;
    }
    brim_cidrs_free(cidrs);
}

/* where: path of the lists. */
static void check_access(struct brim_conf_faults *faults, const char *where,
                         const struct brim_conf_access *access)
{
    check_blocks(faults, where, "allow", &access->allow);
    check_blocks(faults, where, "deny", &access->deny);
    check_block_file(faults, where, "allow_file", access->allow_file);
    check_block_file(faults, where, "deny_file", access->deny_file);
}

/* ---- rate_limit ---- */

static void check_rate_limit(struct brim_conf_faults *faults, const char *where,
                             const struct brim_conf_rate_limit *limit)
{
    enum { BY_ADDRESS, BY_HEADER, BY_COOKIE };

    if (limit->requests > 0 && (limit->by == BY_HEADER || limit->by == BY_COOKIE) &&
        limit->name != NULL && limit->name[0] == '\0')
        fault(faults, where, "rate_limit.name",
              "is missing; accepted: the name of the header or cookie that `by` speaks of");
}

/* ---- jwt ---- */

static bool is_token(const char *text)
{
    static const char more[] = "!#$%&'*+-.^_`|~0123456789"
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return text[0] != '\0' && strspn(text, more) == strlen(text);
}

/* Fields that tell how a message is framed or where it goes are not for claims. */
static bool is_field_for_claims(const char *name)
{
    static const char *const own[] = {
        "host",    "connection", "content-length", "transfer-encoding", "te",  "upgrade",
        "trailer", "expect",     "range",          "keep-alive",        "via", "cdn-loop"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcasecmp(name, own[i]) == 0)
            return false;
    return is_token(name);
}

static void check_claims(struct brim_conf_faults *faults, const char *where,
                         const struct brim_conf_strings *claims)
{
    for (size_t i = 0; i < claims->count; i++) {
        const char *text = claims->items[i];
        const char *equals = text == NULL ? NULL : strchr(text, '=');
        struct brim_conf_text shown = {.len = 0};
        char member[64];

        if (text == NULL || (equals != NULL && equals > text && is_field_for_claims(equals + 1)))
            continue;
        (void)snprintf(member, sizeof(member), "jwt.claims[%zu]", i);
        brim_conf_text_add_input(&shown, text);
        brim_conf_text_add(&shown, " is not CLAIM=FIELD; accepted: as in sub=X-User");
        fault(faults, where, member, shown.bytes);
    }
}

/* Where the keys come from must not depend on the host that a client names. */
static void check_place_of_keys(struct brim_conf_faults *faults, const char *where, const char *url,
                                const struct brim_conf_strings *hosts)
{
    if (url[0] != '/') {
        if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
            fault(faults, where, "jwt.jwks_url",
                  "is no URL; accepted: as in https://id.example/keys, or a path");
        return;
    }
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->items[i] != NULL && strchr(hosts->items[i], '*') != NULL) {
            fault(faults, where, "jwt.jwks_url",
                  "is a path, which any host that a client names would be asked for, as the site's "
                  "hosts have a '*'; accepted: with the host, as in https://id.example/keys");
            return;
        }
}

static void check_jwt(struct brim_conf_faults *faults, const char *where,
                      const struct brim_conf_jwt *jwt, const struct brim_conf_strings *hosts)
{
    bool has_key = jwt->key != NULL && jwt->key[0] != '\0';
    bool has_url = jwt->jwks_url != NULL && jwt->jwks_url[0] != '\0';

    if (jwt->alg == 0)
        return;
    check_claims(faults, where, &jwt->claims);
    if (has_key == has_url)
        fault(faults, where, "jwt",
              "has not one place of keys; accepted: either key or jwks_url, beside alg");
    if (has_url)
        check_place_of_keys(faults, where, jwt->jwks_url, hosts);
    if (has_url && jwt->alg <= HS512)
        fault(faults, where, "jwt.alg",
              "has no public keys that could be fetched; accepted: beside jwks_url RS256, PS256, "
              "ES256 and their like");
    if (jwt->realm != NULL && strpbrk(jwt->realm, "\"\\") != NULL)
        fault(faults, where, "jwt.realm", REALM_ACCEPTED);
    if (jwt->revoked != NULL && !brim_conf_value_is_name(jwt->revoked))
        fault(faults, where, "jwt.revoked",
              "is not the name of a store; accepted: letters, digits, '-', '.', '_'");
}

static bool is_page(const char *text)
{
    const char *host = strstr(text, "://");

    if (strcmp(text, "*") == 0)
        return true;
    return host != NULL && host > text && host[3] != '\0' && strpbrk(host + 3, "/?#@ ") == NULL &&
           strchr(text, '*') == (strncmp(host + 3, "*.", 2) == 0 ? host + 3 : NULL);
}

static void check_cors(struct brim_conf_faults *faults, const char *where,
                       const struct brim_conf_cors *cors)
{
    for (size_t i = 0; i < cors->origins.count; i++) {
        const char *text = cors->origins.items[i];
        struct brim_conf_text shown = {.len = 0};
        char member[64];

        if (text == NULL)
            continue;
        (void)snprintf(member, sizeof(member), "cors.origins[%zu]", i);
        brim_conf_text_add_input(&shown, text);
        if (!is_page(text))
            brim_conf_text_add(&shown, " is no origin; accepted: as in https://app.example.com, "
                                       "https://*.example.com, *");
        else if (cors->credentials && strcmp(text, "*") == 0)
            brim_conf_text_add(&shown, " lets every page in with its visitors' cookies; accepted: "
                                       "names, beside credentials");
        else
            continue;
        fault(faults, where, member, shown.bytes);
    }
}

void brim_conf_check_field(const char *name, const char *where, const char *key,
                           struct brim_conf_faults *faults)
{
    if (name != NULL && name[0] != '\0' && !is_field_for_claims(name))
        fault(faults, where, key,
              "is no field that could tell it; accepted: as in X-Client-Subject");
}

void brim_conf_check_blocks(const struct brim_conf_strings *blocks, const char *where,
                            const char *key, struct brim_conf_faults *faults)
{
    check_blocks(faults, where, key, blocks);
}

void brim_conf_check_gates(const struct brim_conf_gates *gates, const char *where,
                           struct brim_conf_faults *faults)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s.access", where);
    check_access(faults, path, gates->access);
    (void)snprintf(path, sizeof(path), "%s.purge", where);
    if (gates->purge != NULL)
        check_access(faults, path, gates->purge);
    check_rate_limit(faults, where, gates->rate_limit);
    if (gates->cors != NULL)
        check_cors(faults, where, gates->cors);
    if (gates->jwt != NULL)
        check_jwt(faults, where, gates->jwt, gates->hosts);
    if (gates->basic_auth != NULL && gates->basic_auth->realm != NULL &&
        strpbrk(gates->basic_auth->realm, "\"\\") != NULL)
        fault(faults, where, "basic_auth.realm", REALM_ACCEPTED);
}
