/* SPDX-License-Identifier: MIT */
#include "brim/base/conf_check_gates.h"

#include <stdio.h>
#include <string.h>

#include "brim/base/cidr.h"

#define PATH_BYTES 192

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

static void check_access(struct brim_conf_faults *faults, const char *where,
                         const struct brim_conf_access *access)
{
    check_blocks(faults, where, "access.allow", &access->allow);
    check_blocks(faults, where, "access.deny", &access->deny);
    check_block_file(faults, where, "access.allow_file", access->allow_file);
    check_block_file(faults, where, "access.deny_file", access->deny_file);
}

/* ---- rate_limit ---- */

static void check_rate_limit(struct brim_conf_faults *faults, const char *where,
                             const struct brim_conf_rate_limit *limit)
{
    enum { BY_ADDRESS };

    if (limit->requests > 0 && limit->by != BY_ADDRESS && limit->name != NULL &&
        limit->name[0] == '\0')
        fault(faults, where, "rate_limit.name",
              "is missing; accepted: the name of the header or cookie that `by` speaks of");
}

void brim_conf_check_gates(const struct brim_conf_gates *gates, const char *where,
                           struct brim_conf_faults *faults)
{
    check_access(faults, where, gates->access);
    check_rate_limit(faults, where, gates->rate_limit);
}
