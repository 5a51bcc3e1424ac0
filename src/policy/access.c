/* SPDX-License-Identifier: MIT */
#include "brim/policy/access.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "brim/base/cidr.h"
#include "brim/base/invariant.h"

enum verdict { ALLOW, DENY }; /* the larger one counts where both are named */

struct brim_access {
    struct brim_cidrs *blocks;
    bool is_allow_list;
};

static void add(struct brim_cidrs *blocks, const struct brim_conf_strings *texts,
                enum verdict verdict)
{
    for (size_t i = 0; i < texts->count; i++) {
        struct brim_cidr cidr;

        INVARIANT(brim_cidr_parse(texts->items[i], &cidr) == NULL);
        brim_cidrs_add(blocks, &cidr, (int)verdict);
    }
}

struct brim_access *brim_access_compile(const struct brim_conf_access *conf)
{
    struct brim_access *access;

    if (conf->allow.count == 0 && conf->deny.count == 0)
        return NULL;
    access = brim_alloc(sizeof(*access));
    access->blocks = brim_cidrs_new();
    access->is_allow_list = conf->allow.count > 0;
    add(access->blocks, &conf->allow, ALLOW);
    add(access->blocks, &conf->deny, DENY);
    brim_cidrs_finish(access->blocks);
    return access;
}

void brim_access_free(struct brim_access *access)
{
    if (access == NULL)
        return;
    brim_cidrs_free(access->blocks);
    free(access);
}

bool brim_access_allows(const struct brim_access *access, const struct sockaddr *client)
{
    int verdict;

    if (access == NULL || client->sa_family == AF_UNIX)
        return true;
    verdict = brim_cidrs_find(access->blocks, client);
    return verdict < 0 ? !access->is_allow_list : verdict == ALLOW;
}
