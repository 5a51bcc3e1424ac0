/* SPDX-License-Identifier: MIT */
/* How origins balance, check and stand in for each other. */
#include <stdio.h>
#include <string.h>

#include "brim/base/conf_check.h"
#include "brim/base/conf_value.h"
#include "brim/base/secret.h"
#include "brim/base/spans.h"

#define PATH_BYTES 128

static void check_health_path(const struct brim_conf_health *health, size_t i,
                              struct brim_conf_faults *faults)
{
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];

    for (const char *at = health->path; *at != '\0'; at++)
        if ((at == health->path && *at != '/') || (unsigned char)*at <= ' ' || *at == 0x7f ||
            *at == '#') {
            (void)snprintf(path, sizeof(path), "origins[%zu].health.path", i);
            brim_conf_text_add_input(&shown, health->path);
            brim_conf_fault(faults, path,
                            "%s is not a path; accepted: text that begins with /, without blanks "
                            "and #, or \"\"",
                            shown.bytes);
            return;
        }
}

static bool are_statuses(const char *text)
{
    struct brim_spans spans;

    if (brim_spans_parse(text, &spans) != BRIM_OK)
        return false;
    for (unsigned i = 0; i < spans.count; i++)
        if (spans.items[i].first < 100 || spans.items[i].last > 599)
            return false;
    return true;
}

static void check_health(const struct brim_conf_origin *origin, size_t i,
                         struct brim_conf_faults *faults)
{
    const struct brim_conf_health *health = &origin->health;
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];

    if (health->path != NULL)
        check_health_path(health, i, faults);
    if (health->status != NULL && !are_statuses(health->status)) {
        (void)snprintf(path, sizeof(path), "origins[%zu].health.status", i);
        brim_conf_text_add_input(&shown, health->status);
        brim_conf_fault(faults, path,
                        "%s are no statuses; accepted: 100 to 599, as in 200-399, 200,204",
                        shown.bytes);
    }
    if (health->host != NULL && health->host[0] != '\0' &&
        !brim_conf_check_is_authority(health->host)) {
        shown = (struct brim_conf_text){.len = 0};
        (void)snprintf(path, sizeof(path), "origins[%zu].health.host", i);
        brim_conf_text_add_input(&shown, health->host);
        brim_conf_fault(faults, path, "%s is not a host; accepted: host[:port], or \"\"",
                        shown.bytes);
    }
}

void brim_conf_check_secret(const char *file, const char *path, struct brim_conf_faults *faults)
{
    struct brim_conf_text shown = {.len = 0};
    struct brim_secret *secret = NULL;

    if (file == NULL)
        return; /* it is no file, which is told */
    if (file[0] == '\0' || brim_secret_open(file, &secret) != BRIM_OK) {
        brim_conf_text_add_input(&shown, file);
        brim_conf_fault(faults, path,
                        "%s signs nothing; accepted: a file with %u bytes or more that nobody else "
                        "knows",
                        shown.bytes, BRIM_SECRET_BYTES_MIN);
    }
    brim_secret_close(secret);
}

static void check_sticky(const struct brim_conf_origin *origin, size_t i,
                         struct brim_conf_faults *faults)
{
    const struct brim_conf_sticky *sticky = &origin->sticky;
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];

    if (sticky->cookie == NULL || sticky->cookie[0] == '\0')
        return;
    if (!brim_conf_value_is_name(sticky->cookie)) {
        (void)snprintf(path, sizeof(path), "origins[%zu].sticky.cookie", i);
        brim_conf_text_add_input(&shown, sticky->cookie);
        brim_conf_fault(faults, path,
                        "%s is no name of a cookie; accepted: letters, digits, '-', '_', '.'",
                        shown.bytes);
    }
    (void)snprintf(path, sizeof(path), "origins[%zu].sticky.secret", i);
    brim_conf_check_secret(sticky->secret, path, faults);
}

static bool is_retried(const char *word)
{
    struct brim_spans spans;

    return strcmp(word, "timeout") == 0 ||
           (strlen(word) == 3 && word[0] == '5' && brim_spans_parse(word, &spans) == BRIM_OK);
}

static void check_retries(const struct brim_conf_origin *origin, size_t i,
                          struct brim_conf_faults *faults)
{
    for (size_t j = 0; j < origin->retry_on.count; j++) {
        struct brim_conf_text shown = {.len = 0};
        char path[PATH_BYTES];

        if (origin->retry_on.items[j] == NULL || is_retried(origin->retry_on.items[j]))
            continue;
        (void)snprintf(path, sizeof(path), "origins[%zu].retry_on[%zu]", i, j);
        brim_conf_text_add_input(&shown, origin->retry_on.items[j]);
        brim_conf_fault(faults, path, "%s is nothing to retry on; accepted: 500 to 599, timeout",
                        shown.bytes);
    }
}

static const struct brim_conf_origin *origin_named(const struct brim_conf_root *root,
                                                   const char *name)
{
    for (size_t i = 0; i < root->origins.count; i++)
        if (root->origins.items[i].name != NULL && strcmp(root->origins.items[i].name, name) == 0)
            return &root->origins.items[i];
    return NULL;
}

/* Whether who follows the chain from here comes back here; a circle further on is told there. */
static bool leads_back(const struct brim_conf_root *root, const struct brim_conf_origin *from)
{
    const struct brim_conf_origin *at = from;

    for (size_t steps = 0; steps < root->origins.count; steps++) {
        if (at->fallback == NULL || at->fallback[0] == '\0')
            return false;
        at = origin_named(root, at->fallback);
        if (at == NULL || at == from)
            return at != NULL;
    }
    return false;
}

enum { ORIGIN, SHIELD, PEER }; /* values of tier */
enum { BALANCE_HASH = 3, HASH_ON_URL = 0 };

static void tier_fault(size_t i, const char *text, struct brim_conf_faults *faults)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "origins[%zu].tier", i);
    brim_conf_fault(faults, path, "%s", text);
}

static void check_peers(const struct brim_conf_root *root, size_t i,
                        struct brim_conf_faults *faults)
{
    const struct brim_conf_origin *origin = &root->origins.items[i];
    bool all_named = true;

    for (size_t j = 0; j < origin->servers.count; j++)
        all_named &=
            origin->servers.items[j].node != NULL && origin->servers.items[j].node[0] != '\0';
    if (!all_named)
        tier_fault(i, "peer: each server needs `node`, its node.id", faults);
    if (origin->balance != BALANCE_HASH || origin->hash_on != HASH_ON_URL)
        tier_fault(i, "peer: a key has one owner only with `balance: hash` by url", faults);
    if (origin->fallback != NULL && origin->fallback[0] == '\0')
        tier_fault(i, "peer: the owner of a key needs a `fallback`, where it asks itself", faults);
    for (size_t j = 0; j < root->origins.count; j++)
        if (root->origins.items[j].fallback != NULL && origin->name != NULL &&
            strcmp(root->origins.items[j].fallback, origin->name) == 0)
            tier_fault(i, "peer: peers are asked first, and stand in for nobody", faults);
}

void brim_conf_check_tiers(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    const char *file = root->node.tier_secret;

    if (file != NULL && file[0] != '\0')
        brim_conf_check_secret(file, "node.tier_secret", faults);
    for (size_t i = 0; i < root->origins.count; i++) {
        int tier = root->origins.items[i].tier;

        if (tier != ORIGIN && file != NULL && file[0] == '\0')
            tier_fault(i, "shields and peers know this node by node.tier_secret, which is not set",
                       faults);
        if (tier == PEER)
            check_peers(root, i, faults);
    }
}

void brim_conf_check_fallbacks(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    for (size_t i = 0; i < root->origins.count; i++) {
        struct brim_conf_text shown = {.len = 0};
        char path[PATH_BYTES];

        if (!leads_back(root, &root->origins.items[i]))
            continue;
        (void)snprintf(path, sizeof(path), "origins[%zu].fallback", i);
        brim_conf_text_add_input(&shown, root->origins.items[i].fallback);
        brim_conf_fault(faults, path, "%s leads back to this origin; accepted: a chain that ends",
                        shown.bytes);
    }
}

void brim_conf_check_origin(const struct brim_conf_origin *origin, size_t i,
                            struct brim_conf_faults *faults)
{
    check_health(origin, i, faults);
    check_retries(origin, i, faults);
    check_sticky(origin, i, faults);
}
