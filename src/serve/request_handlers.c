/* SPDX-License-Identifier: MIT */
/*
 * The handlers that a client's request and its response pass through, on the worker's loop:
 * viewer_request after the route is known and before the key is made, origin_request when the cache
 * has not got what is asked for and before a flight is joined or started, viewer_response when a
 * header block is about to go out, whoever made it. A request without handlers pays a comparison.
 *
 * The first two may wait for tasks of their own (request_tasks.c): the request is then
 * REQUEST_HANDLER until a task has news, or until the tick finds that waiting is over.
 */
#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/policy/script_http.h"
#include "brim/serve/deliver_head.h"
#include "brim/serve/proxy_status.h"
#include "brim/serve/request_inside.h"

static void *pool_alloc(void *pool, size_t bytes)
{
    return h2o_mem_alloc_pool(pool, bytes);
}

static struct brim_script_memory memory_of(struct request *r)
{
    return (struct brim_script_memory){pool_alloc, &r->req->pool};
}

/* A copy of the list: what the handler removes or replaces is not gone for others. */
static struct brim_script_headers headers_of(struct request *r, struct brim_fields fields)
{
    size_t room = fields.count + 4;
    struct brim_script_headers headers = {
        .items = h2o_mem_alloc_pool(&r->req->pool, room * sizeof(struct brim_field)),
        .count = fields.count,
        .room = room,
        .memory = memory_of(r),
    };

    if (fields.count > 0)
        memcpy(headers.items, fields.items, fields.count * sizeof(*fields.items));
    return headers;
}

static void add_tls(struct request *r, struct brim_script_request *request)
{
    h2o_socket_t *sock = r->conn->sock;

    if (!r->conn->is_tls || sock == NULL)
        return;
    request->tls_version = brim_str_of(h2o_socket_get_ssl_protocol_version(sock));
    request->tls_cipher = brim_str_of(h2o_socket_get_ssl_cipher(sock));
    request->tls_client_subject = brim_str_of(r->conn->client_subject);
    request->tls_client_fingerprint = brim_str_of(r->conn->client_fingerprint);
}

/* fields: as received, or as a shared exchange sends them; without brim's own (lookup.c). Filled in
 * where it stays, member by member: a value of this size is not handed around for each request. */
static void fill_in(struct request *r, struct brim_fields fields, struct brim_str target,
                    struct brim_script_request *request)
{
    memset(request, 0, sizeof(*request));
    request->headers = headers_of(r, brim_lookup_without_key(fields));
    request->method = r->method;
    request->scheme = brim_request_str(r->req->input.scheme->name);
    request->host = r->authority;
    request->target = target;
    request->id[0] = r->id[0];
    request->id[1] = r->id[1];
    request->ip = brim_str_of(r->conn->peer_text);
    request->version = r->req->version >= 0x200   ? BRIM_STR("2")
                       : r->req->version >= 0x101 ? BRIM_STR("1.1")
                                                  : BRIM_STR("1.0");
    request->port = r->conn->peer_port;
    add_tls(r, request);
}

/* The handlers are not called again for this request: a failed run has no state to go on with. */
static void give_up(struct request *r, enum brim_script_phase phase, enum brim_script_end end)
{
    const char *error = brim_script_run_error(r->script);

    brim_handlers_report(r->handlers, phase, end, error);
    if (brim_handlers_shows_errors(r->handlers))
        r->handler_error = h2o_strdup(&r->req->pool, error, SIZE_MAX).base;
    r->delivery.on_head = NULL;
    brim_request_end_handlers(r);
}

static void on_tick(h2o_timeout_entry_t *entry)
{
    struct request *r = H2O_STRUCT_FROM_MEMBER(struct request, tick, entry);

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    if (brim_clock_mono_us() >= brim_script_run_due_us(r->script))
        brim_request_resume_handler(r);
    else
        h2o_timeout_link(r->env->ctx.loop, &r->env->tick, &r->tick);
}

static void wait(struct request *r)
{
    if (r->state != REQUEST_HANDLER)
        BRIM_ADD(SCRIPT_WAITING, 1);
    r->state = REQUEST_HANDLER;
    r->tick.cb = on_tick;
    if (!h2o_timeout_is_linked(&r->tick))
        h2o_timeout_link(r->env->ctx.loop, &r->env->tick, &r->tick);
}

static void end_wait(struct request *r)
{
    if (r->state != REQUEST_HANDLER)
        return;
    BRIM_ADD(SCRIPT_WAITING, -1);
    r->state = REQUEST_START;
    h2o_timeout_unlink(&r->tick);
}

/* What follows from the end of a slice, whoever began the call; a call is counted at its end. */
static enum brim_script_end settle(struct request *r, enum brim_script_phase phase,
                                   enum brim_script_end end)
{
    if (end == BRIM_SCRIPT_WAIT) {
        wait(r);
        return end;
    }
    end_wait(r);
    brim_handlers_count(r->handlers, phase, brim_script_run_cpu_us(r->script) - r->script_us);
    if (end != BRIM_SCRIPT_OK)
        give_up(r, phase, end);
    return end;
}

static enum brim_script_end call(struct request *r, enum brim_script_phase phase,
                                 const struct brim_script_call *what)
{
    r->script_us = brim_script_run_cpu_us(r->script);
    return settle(r, phase, brim_script_run_call(r->script, phase, what));
}

/* ---- viewer_request ---- */

struct viewer_request {
    struct brim_script_request request;
    struct brim_script_response answer;
    bool has_answer;
};

static int push_viewer_request(struct lua_State *L, void *ctx)
{
    struct viewer_request *v = ctx;

    brim_script_push_request(L, &v->request);
    return 1;
}

static void take_viewer_request(struct lua_State *L, void *ctx)
{
    struct viewer_request *v = ctx;

    v->has_answer = brim_script_take_answer(L, BRIM_SCRIPT_RESULT, &v->answer);
}

/* Takes over what the handler changed; false: it chose what is not there. */
static bool take_changes(struct request *r, const struct brim_script_request *request)
{
    if (request->headers.is_changed) {
        r->fields = (struct brim_fields){request->headers.items, request->headers.count};
        r->delivery.request = r->fields;
    }
    if (!request->is_changed)
        return true;
    r->method = request->method;
    if (!brim_str_is(r->target, request->target)) {
        r->target = request->target;
        if (!brim_request_match_route(r))
            return false;
    }
    if (request->origin.len > 0) {
        r->origin = brim_routes_origin(r->routes, request->origin);
        if (r->origin == NULL)
            return false;
    }
    r->origin_named = request->origin;
    r->key_part = request->key;
    return true;
}

static void answer_failed(struct request *r)
{
    r->delivery.on_head = NULL;
    brim_request_answer_error(r, 500,
                              r->handler_error != NULL ? r->handler_error : "a handler failed",
                              "handler", BRIM_PROXY_INTERNAL);
}

static bool fail(struct request *r)
{
    if (brim_handlers_failure(r->handlers) == BRIM_HANDLERS_BYPASS)
        return true;
    answer_failed(r);
    return false;
}

/* Whether the request goes on. */
static bool end_viewer_request(struct request *r, enum brim_script_end end)
{
    struct viewer_request *v = r->viewer;
    struct brim_fields fields;

    if (end != BRIM_SCRIPT_OK)
        return fail(r);
    if (v->has_answer) {
        r->state = REQUEST_DELIVER;
        fields = (struct brim_fields){v->answer.headers.items, v->answer.headers.count};
        brim_deliver_answer(&r->delivery, v->answer.status, fields, v->answer.body);
        return false;
    }
    if (!take_changes(r, &v->request)) {
        brim_handlers_report(r->handlers, BRIM_SCRIPT_VIEWER_REQUEST, BRIM_SCRIPT_ERROR,
                             "req.origin: no origin has this name");
        return fail(r);
    }
    return true;
}

static bool run_viewer_request(struct request *r)
{
    struct viewer_request *v = h2o_mem_alloc_pool(&r->req->pool, sizeof(*v));
    const struct brim_script_call what = {push_viewer_request, take_viewer_request, v};
    enum brim_script_end end;

    fill_in(r, r->fields, r->target, &v->request);
    v->answer = (struct brim_script_response){.headers.memory = memory_of(r)};
    v->has_answer = false;
    r->viewer = v;
    end = call(r, BRIM_SCRIPT_VIEWER_REQUEST, &what);
    return end != BRIM_SCRIPT_WAIT && end_viewer_request(r, end);
}

/* ---- origin_request ---- */

static int push_origin_request(struct lua_State *L, void *ctx)
{
    brim_script_push_request(L, ctx);
    return 1;
}

static void take_nothing(struct lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
}

static struct brim_origin *origin_of(struct request *r, const struct brim_script_request *asking)
{
    if (asking->origin.len == 0)
        return brim_request_origin(r);
    return brim_routes_origin(r->routes, asking->origin);
}

/* Whether the request goes on. */
static bool end_origin_request(struct request *r, enum brim_script_end end)
{
    if (end == BRIM_SCRIPT_OK) {
        r->asked_origin = origin_of(r, r->drafted);
        if (r->asked_origin != NULL) {
            r->asking = r->drafted;
            return true;
        }
        brim_handlers_report(r->handlers, BRIM_SCRIPT_ORIGIN_REQUEST, BRIM_SCRIPT_ERROR,
                             "req.origin: no origin has this name");
    }
    if (r->asked_again != NULL)
        return fail(r);
    return brim_handlers_failure(r->handlers) == BRIM_HANDLERS_BYPASS;
}

bool brim_request_ask_handler(struct request *r, void (*again)(struct request *r))
{
    struct brim_script_call what = {push_origin_request, take_nothing, NULL};
    struct brim_script_request *asking;
    enum brim_script_end end;

    if (r->script == NULL || r->asking != NULL ||
        !brim_handlers_has(r->handlers, BRIM_SCRIPT_ORIGIN_REQUEST))
        return true;
    asking = h2o_mem_alloc_pool(&r->req->pool, sizeof(*asking));
    if (r->is_shared)
        fill_in(r, r->find.request, brim_request_sent(r, BRIM_FLIGHT_SHARED), asking);
    else
        fill_in(r, r->fields, brim_request_sent(r, BRIM_FLIGHT_PASS), asking);
    asking->key_is_made = true;
    what.ctx = asking;
    r->drafted = asking;
    r->asked_again = again;
    r->is_behind = again == NULL;
    end = call(r, BRIM_SCRIPT_ORIGIN_REQUEST, &what);
    r->is_behind = false;
    if (end == BRIM_SCRIPT_WAIT && again != NULL)
        return false;
    if (end == BRIM_SCRIPT_WAIT) /* for what an earlier phase began */
        brim_request_end_handlers(r);
    return end_origin_request(r, end);
}

void brim_request_resume_handler(struct request *r)
{
    bool is_asking = r->drafted != NULL;
    enum brim_script_phase phase =
        is_asking ? BRIM_SCRIPT_ORIGIN_REQUEST : BRIM_SCRIPT_VIEWER_REQUEST;
    enum brim_script_end end;

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    if (r->state != REQUEST_HANDLER)
        return;
    end = settle(r, phase, brim_script_run_resume(r->script));
    if (end == BRIM_SCRIPT_WAIT)
        return;
    if (is_asking && end_origin_request(r, end))
        r->asked_again(r);
    else if (!is_asking && end_viewer_request(r, end))
        brim_request_look(r);
}

/* ---- viewer_response ---- */

struct viewer_response {
    struct brim_script_request request;
    struct brim_script_response response;
};

static int push_viewer_response(struct lua_State *L, void *ctx)
{
    struct viewer_response *v = ctx;

    brim_script_push_request(L, &v->request);
    brim_script_push_response(L, &v->response);
    return 2;
}

/* The fields as libh2o has them now. */
static struct brim_fields response_fields(struct request *r)
{
    const h2o_headers_t *headers = &r->req->res.headers;
    struct brim_field *items =
        h2o_mem_alloc_pool(&r->req->pool, (headers->size + 1) * sizeof(*items));

    for (size_t i = 0; i < headers->size; i++)
        items[i] = (struct brim_field){brim_request_str(*headers->entries[i].name),
                                       brim_request_str(headers->entries[i].value)};
    return (struct brim_fields){items, headers->size};
}

static bool on_head(struct brim_delivery *delivery)
{
    struct request *r = (struct request *)delivery; /* it stands first */
    struct viewer_response v = {.response.status = delivery->status};
    const struct brim_script_call what = {push_viewer_response, take_nothing, &v};

    OBJ_CHECK(r, BRIM_REQUEST_MAGIC);
    fill_in(r, r->fields, r->target, &v.request);
    v.request.is_read_only = v.request.headers.is_read_only = true;
    v.response.headers = headers_of(r, response_fields(r));
    if (call(r, BRIM_SCRIPT_VIEWER_RESPONSE, &what) != BRIM_SCRIPT_OK)
        return brim_handlers_failure(r->handlers) == BRIM_HANDLERS_BYPASS;
    delivery->status = v.response.status;
    if (v.response.headers.is_changed)
        brim_deliver_set_fields(
            delivery, (struct brim_fields){v.response.headers.items, v.response.headers.count});
    return true;
}

/* ---- both ---- */

bool brim_request_handle(struct request *r)
{
    struct brim_script_vm *vm;

    r->handlers = r->route->handlers;
    if (r->handlers == NULL)
        return true;
    vm = brim_handlers_vm(r->handlers, r->env->worker);
    if (vm != NULL)
        r->script = brim_script_run_begin(vm);
    if (r->script == NULL)
        return fail(r);
    brim_request_serve_tasks(r);
    if (brim_handlers_has(r->handlers, BRIM_SCRIPT_VIEWER_RESPONSE))
        r->delivery.on_head = on_head;
    if (!brim_handlers_has(r->handlers, BRIM_SCRIPT_VIEWER_REQUEST))
        return true;
    return run_viewer_request(r);
}

/* What handlers left to be done when the response is out of the way. */
static void run_after(struct request *r)
{
    enum brim_script_end end = brim_script_run_after(r->script);

    if (end != BRIM_SCRIPT_OK)
        brim_handlers_report(r->handlers, BRIM_SCRIPT_VIEWER_RESPONSE, end,
                             brim_script_run_error(r->script));
}

void brim_request_end_handlers(struct request *r)
{
    end_wait(r);
    if (r->script != NULL)
        run_after(r);
    brim_script_run_end(r->script);
    r->script = NULL;
}
