/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of a request may begin and wait for: a fetch is a serve/subrequest on the
 * request's behalf, of its own host where only a path is named.
 */
#include <netinet/in.h>

#include "brim/base/invariant.h"
#include "brim/http/uri.h"
#include "brim/serve/request_inside.h"
#include "brim/serve/subrequest.h"

static void on_end(void *ctx)
{
    brim_request_resume_handler(ctx);
}

static void *begin_fetch(void *ctx, const struct brim_script_fetch *fetch, const char **why_out)
{
    struct request *r = ctx;
    struct brim_subrequest_ask ask = {
        .env = r->env,
        .routes = r->routes,
        .url = {brim_request_str(r->req->input.scheme->name), r->authority, fetch->url},
        .origin = fetch->origin,
        .method = fetch->method,
        .fields = fetch->fields,
        .body = fetch->body,
        .has_body = fetch->has_body,
        .may_cache = fetch->may_cache,
        .body_max = fetch->body_max,
        .client = r->fields,
        .peer = brim_str_of(r->conn->peer_text),
        .ledger = r->conn->ledger,
        .is_ipv6 = r->conn->peer.ss_family == AF_INET6,
        .on_end = on_end,
        .ctx = r,
    };

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    if (r->is_behind) {
        *why_out = "the stored response is refreshed behind, where nobody waits";
        return NULL;
    }
    if ((fetch->url.len == 0 || fetch->url.base[0] != '/') &&
        !brim_uri_parse(fetch->url, &ask.url)) {
        *why_out = "not a URL of http or https, nor a path";
        return NULL;
    }
    return brim_subrequest_begin(&ask, why_out);
}

static void look(void *task, struct brim_script_news *news_out)
{
    static const enum brim_script_task_state states[] = {
        [BRIM_SUBREQUEST_WAIT] = BRIM_SCRIPT_TASK_WAIT,
        [BRIM_SUBREQUEST_DONE] = BRIM_SCRIPT_TASK_DONE,
        [BRIM_SUBREQUEST_FAILED] = BRIM_SCRIPT_TASK_FAILED,
    };
    struct brim_subrequest_view view;

    brim_subrequest_view(task, &view);
    *news_out = (struct brim_script_news){
        .state = states[view.state],
        .status = view.status,
        .fields = view.fields,
        .body = view.body,
        .why = view.why,
    };
}

static void end(void *task)
{
    brim_subrequest_end(task);
}

void brim_request_serve_tasks(struct request *r)
{
    static const struct brim_script_tasks tasks = {begin_fetch, look, end};

    brim_script_run_serve(r->script, &tasks, r);
}
