/* SPDX-License-Identifier: MIT */
#include "brim/serve/purge_up.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/bearer.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/origin/fetch_once.h"

#define PURGES_UP  2u
#define TIMEOUT_MS 10000u
#define ANSWER_MAX 65536u /* bytes: a brim's are some hundred */

struct above {
    char *url; /* of the call */
    char *token_file;
};

struct brim_purge_up {
    _Atomic unsigned passing;
    size_t count;
    struct above items[];
};

struct brim_purge_up *brim_purge_up_open(const struct brim_conf_admin *conf)
{
    struct brim_purge_up *up;

    if (conf->purge_via.count == 0)
        return NULL;
    up = brim_alloc(sizeof(*up) + conf->purge_via.count * sizeof(struct above));
    up->count = conf->purge_via.count;
    for (size_t i = 0; i < up->count; i++) {
        const struct brim_conf_purge_via *from = &conf->purge_via.items[i];
        size_t room = strlen(from->url) + sizeof("/v1/purge");

        up->items[i].url = brim_alloc(room);
        (void)snprintf(up->items[i].url, room, "%s/v1/purge", from->url);
        up->items[i].token_file = brim_strdup(from->token);
    }
    return up;
}

void brim_purge_up_close(struct brim_purge_up *up)
{
    if (up == NULL)
        return;
    for (size_t i = 0; i < up->count; i++) {
        free(up->items[i].url);
        free(up->items[i].token_file);
    }
    free(up);
}

/* And not a success of somebody else's, such as a web server on that port. */
static bool is_purged(const struct brim_fetch_answer *answer)
{
    json_t *json =
        answer->status == 200 ? json_loadb(answer->body, answer->body_bytes, 0, NULL) : NULL;
    bool says_so = json_is_integer(json_object_get(json, "purged"));

    json_decref(json);
    return says_so;
}

/* It is told in JSON, and to clients; and it may be cut inside a letter. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '.';
}

static enum brim_err pass_to(const struct above *above, const char *body,
                             char wrong_out[BRIM_PURGE_UP_WRONG_BYTES])
{
    char token[BRIM_BEARER_MAX + 1] = "";
    struct brim_fetch_call call = {.method = "POST",
                                   .url = above->url,
                                   .json_body = body,
                                   .token = token,
                                   .timeout_ms = TIMEOUT_MS,
                                   .answer_bytes_max = ANSWER_MAX};
    const char *wrong =
        above->token_file[0] == '\0' ? NULL : brim_bearer_read(above->token_file, token);
    struct brim_fetch_answer answer = {.status = 0};
    enum brim_err err = BRIM_EINVAL;

    if (wrong != NULL) {
        (void)snprintf(wrong_out, BRIM_PURGE_UP_WRONG_BYTES, "%.100s: the token's file %s",
                       above->url, wrong);
    } else {
        err = brim_fetch_once(&call, &answer);
        if (err != BRIM_OK)
            (void)snprintf(wrong_out, BRIM_PURGE_UP_WRONG_BYTES, "%.100s did not answer: %s",
                           above->url, brim_err_text(err));
        else if (!is_purged(&answer)) {
            err = BRIM_EPROTO;
            (void)snprintf(wrong_out, BRIM_PURGE_UP_WRONG_BYTES, "%.100s answered %u: %.150s",
                           above->url, answer.status, answer.body);
        }
    }
    make_plain(wrong_out);
    if (err == BRIM_ELIMIT) /* of the answer: no reason to come again */
        err = BRIM_EPROTO;
    explicit_bzero(token, sizeof(token));
    free(answer.body);
    return err;
}

enum brim_err brim_purge_up_send(struct brim_purge_up *up, const char *body,
                                 char wrong_out[BRIM_PURGE_UP_WRONG_BYTES])
{
    enum brim_err err = BRIM_OK;

    wrong_out[0] = '\0';
    for (size_t i = 0; i < up->count && err == BRIM_OK; i++)
        err = pass_to(&up->items[i], body, wrong_out);
    brim_metric_add(err == BRIM_OK ? BRIM_METRIC_PURGES_PASSED : BRIM_METRIC_PURGES_NOT_PASSED, 1);
    if (err != BRIM_OK)
        BRIM_LOG(ERROR, "purge.not_passed", "reason=\"%s\"", wrong_out);
    return err;
}

enum brim_err brim_purge_up_pass(struct brim_purge_up *up, const char *body,
                                 char wrong_out[BRIM_PURGE_UP_WRONG_BYTES])
{
    enum brim_err err = BRIM_ELIMIT;

    if (atomic_fetch_add(&up->passing, 1) < PURGES_UP)
        err = brim_purge_up_send(up, body, wrong_out);
    else
        (void)snprintf(wrong_out, BRIM_PURGE_UP_WRONG_BYTES,
                       "other purges are being passed on to the tier above");
    atomic_fetch_sub(&up->passing, 1);
    return err;
}
