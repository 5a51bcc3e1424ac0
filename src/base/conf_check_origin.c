/* SPDX-License-Identifier: MIT */
/* How origins balance, check and stand in for each other. */
#include <stdio.h>
#include <string.h>

#include "brim/base/conf_check.h"
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
}
