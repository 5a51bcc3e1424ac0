/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/reload: 200 when the config is in force on every worker; 422 with the faults, where
 * nothing has changed; 409 while another reload is under way.
 */
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/serve/admin_inside.h"

struct call {
    struct brim_admin_task task; /* first */
    const struct brim_admin_reload *reload;
    enum brim_err err;
    char *faults;
    size_t faults_len;
};

static void work(struct brim_admin_task *task)
{
    struct call *call = (struct call *)task;
    FILE *faults = open_memstream(&call->faults, &call->faults_len);

    INVARIANT(faults != NULL);
    call->err = call->reload->run(call->reload->ctx, faults);
    (void)fclose(faults);
}

/* One member a line. */
static json_t *faults_json(char *text)
{
    json_t *list = json_array();
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        (void)json_array_append_new(list, brim_admin_text(brim_str_of(line)));
    return list;
}

static void send_answer(const struct call *call)
{
    h2o_req_t *req = call->task.req;

    switch (call->err) {
    case BRIM_OK:
        brim_admin_send_json(
            req, 200,
            json_pack("{s:s,s:I}", "status", "in force", "generation",
                      (json_int_t)brim_metric_read(BRIM_METRIC_CONFIG_GENERATION)));
        break;
    case BRIM_EAGAIN:
        brim_admin_send_advice(req, 409, "another reload is under way", "repeat the call");
        break;
    case BRIM_ECLOSED:
        brim_admin_send_advice(req, 503, "the node ends", "repeat the call");
        break;
    default:
        brim_admin_send_json(req, 422,
                             json_pack("{s:s,s:s,s:o}", "error",
                                       "the config cannot be put in force; the old one stays",
                                       "accepted", "a config without faults", "faults",
                                       faults_json(call->faults)));
    }
}

static void answer(struct brim_admin_task *task)
{
    struct call *call = (struct call *)task;

    if (task->req != NULL)
        send_answer(call);
    free(call->faults);
    free(call);
}

void brim_admin_call_reload(struct brim_admin *admin, h2o_req_t *req)
{
    const struct brim_admin_reload *reload = brim_admin_reload(admin);
    struct call *call;

    if (reload->run == NULL) {
        brim_admin_send_advice(req, 503, "this node cannot reload", "restart it");
        return;
    }
    call = brim_alloc(sizeof(*call));
    call->reload = reload;
    call->task.work = work;
    call->task.answer = answer;
    brim_admin_start(admin, req, &call->task);
}
