/* SPDX-License-Identifier: MIT */
#include "brim/policy/access.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "brim/base/cidr.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"

enum verdict { ALLOW, DENY }; /* the larger one counts where both are named */

struct brim_access {
    struct brim_cidrs *blocks;
    bool is_allow_list;
    bool needs_certificate;
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

static bool is_file_given(const char *path)
{
    return path != NULL && path[0] != '\0';
}

static bool add_file(struct brim_cidrs *blocks, const char *path, enum verdict verdict)
{
    struct brim_cidr_wrong wrong;
    enum brim_err err;

    if (!is_file_given(path))
        return true;
    err = brim_cidrs_add_file(blocks, path, (int)verdict, &wrong);
    if (err != BRIM_OK)
        BRIM_LOG(ERROR, "access.file", "file=%s line=%u reason=\"%s\"", path, wrong.line,
                 wrong.why == NULL ? brim_err_text(err) : wrong.why);
    return err == BRIM_OK;
}

enum brim_err brim_access_compile(const struct brim_conf_access *conf,
                                  struct brim_access **access_out)
{
    bool has_allow = conf->allow.count > 0 || is_file_given(conf->allow_file);
    bool has_deny = conf->deny.count > 0 || is_file_given(conf->deny_file);
    struct brim_access *access;

    *access_out = NULL;
    if (!has_allow && !has_deny && !conf->certificate)
        return BRIM_OK;
    access = brim_alloc(sizeof(*access));
    access->blocks = brim_cidrs_new();
    access->is_allow_list = has_allow;
    access->needs_certificate = conf->certificate;
    add(access->blocks, &conf->allow, ALLOW);
    add(access->blocks, &conf->deny, DENY);
    if (!add_file(access->blocks, conf->allow_file, ALLOW) ||
        !add_file(access->blocks, conf->deny_file, DENY)) {
        brim_access_free(access);
        return BRIM_EINVAL;
    }
    brim_cidrs_finish(access->blocks);
    *access_out = access;
    return BRIM_OK;
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

bool brim_access_needs_certificate(const struct brim_access *access)
{
    return access != NULL && access->needs_certificate;
}
