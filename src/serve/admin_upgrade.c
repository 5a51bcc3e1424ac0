/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/upgrade: 202 when the parent has been told, 503 when it cannot be; 409 while an upgrade
 * is under way; 422 for a program that must not be started. GET /v1/upgrade: how far the latest one
 * is. It is asked again and again until it is done, because who answers at the end is another
 * process than who was asked.
 *
 * Who may call here may not be who may run programs as the node's user. So a program that is named
 * is only started where none but root and the node's own user can have put it there: that holds for
 * the file and for every directory above it. The program that runs already needs no such check.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/serve/admin_inside.h"

/* ---- what may be started ---- */

static bool is_ours(const struct stat *info)
{
    bool is_shared = (info->st_mode & (S_IWGRP | S_IWOTH)) != 0;

    if (S_ISDIR(info->st_mode) && (info->st_mode & S_ISVTX) != 0)
        is_shared = false; /* as /tmp: nobody may rename what is another's */
    return (info->st_uid == 0 || info->st_uid == geteuid()) && !is_shared;
}

/* Why not, or NULL. path is absolute and has no links; it is cut to pieces. */
static const char *why_not(char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return strerrordesc_np(errno);
    if (!S_ISREG(info.st_mode) || access(path, X_OK) != 0)
        return "it is no program";
    if ((info.st_mode & (S_ISUID | S_ISGID)) != 0)
        return "it has a set-user-ID bit";
    if (!is_ours(&info))
        return "others than root and the node's user can change it";
    for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/')) {
        slash[slash == path ? 1 : 0] = '\0';
        if (stat(path, &info) != 0 || !is_ours(&info))
            return "others than root and the node's user can replace it";
        if (slash == path)
            break;
    }
    return NULL;
}

/* ---- calls ---- */

/* The program that is asked for, "" for the one that runs, or NULL with what is wrong. */
static const char *named(h2o_req_t *req, char path[PATH_MAX], struct brim_admin_wrong *wrong)
{
    json_t *body = req->entity.len == 0 ? json_object() : brim_admin_body(req, wrong);
    const char *binary = "";
    char copy[PATH_MAX];
    const char *why = NULL;

    path[0] = '\0';
    if (body == NULL)
        return NULL;
    if (json_unpack_ex(body, NULL, JSON_STRICT, "{s?s}", "binary", &binary) != 0)
        why = "accepted is {\"binary\": PATH}, and nothing else";
    else if (binary[0] != '\0' && (binary[0] != '/' || realpath(binary, path) == NULL))
        why = binary[0] != '/' ? "it is no absolute path" : strerrordesc_np(errno);
    else if (binary[0] != '\0')
        why = why_not(memcpy(copy, path, sizeof(copy)));
    if (why != NULL)
        brim_admin_set_wrong(wrong, "binary: %s", why);
    json_decref(body);
    return why == NULL ? path : NULL;
}

void brim_admin_call_upgrade(struct brim_admin *admin, h2o_req_t *req)
{
    struct brim_admin_wrong wrong = {.text = ""};
    char path[PATH_MAX];
    pid_t parent;
    struct brim_estate *estate = brim_admin_estate(admin, &parent);
    const char *binary;
    uint64_t serial;

    if (estate == NULL || parent <= 0) {
        brim_admin_send_advice(req, 503, "this node has no parent that could do it",
                               "start it without --no-supervise, or restart it");
        return;
    }
    binary = named(req, path, &wrong);
    if (binary == NULL) {
        brim_admin_send_error(req, 422, wrong.text, "a program of root's or of the node's user");
        return;
    }
    serial = atomic_load(&estate->serial) + 1;
    if (!brim_estate_ask(estate, binary)) {
        brim_admin_send_advice(req, 409, "another upgrade is under way", "repeat the call");
        return;
    }
    if (kill(parent, SIGUSR2) != 0) {
        brim_admin_set_wrong(&wrong, "the parent cannot be told: %s", strerrordesc_np(errno));
        atomic_store(&estate->state, BRIM_UPGRADE_NONE);
        brim_admin_send_advice(req, 503, wrong.text, "restart the node");
        return;
    }
    brim_admin_send_json(req, 202,
                         json_pack("{s:s,s:I}", "status", "begun", "serial", (json_int_t)serial));
}

void brim_admin_call_upgrade_state(struct brim_admin *admin, h2o_req_t *req)
{
    static const char *const names[BRIM_UPGRADE_STATES] = {
        [BRIM_UPGRADE_NONE] = "none",           [BRIM_UPGRADE_ASKED] = "under way",
        [BRIM_UPGRADE_UNDER_WAY] = "under way", [BRIM_UPGRADE_DONE] = "done",
        [BRIM_UPGRADE_FAILED] = "failed",
    };
    pid_t parent;
    struct brim_estate *estate = brim_admin_estate(admin, &parent);
    uint32_t state = estate == NULL ? BRIM_UPGRADE_NONE : atomic_load(&estate->state);
    json_t *json =
        json_pack("{s:s,s:I,s:s,s:i}", "status",
                  names[state < BRIM_UPGRADE_STATES ? state : BRIM_UPGRADE_NONE], "serial",
                  (json_int_t)(estate == NULL ? 0 : atomic_load(&estate->serial)), "version",
                  BRIM_VERSION, "pid", (int)getpid());

    if (state == BRIM_UPGRADE_FAILED && json != NULL) {
        (void)json_object_set_new(json, "reason", brim_admin_text(brim_str_of(estate->why)));
        (void)json_object_set_new(json, "log", brim_admin_text(brim_str_of(estate->tail)));
    }
    brim_admin_send_json(req, 200, json);
}
