/* SPDX-License-Identifier: MIT */
/*
 * The control thread runs a small h2o of its own: one loop, HTTP/1.1 only, a table of calls. What a
 * call must wait for (a purge is durable when it is answered) is done by the I/O pool; the answer
 * comes back as a message that carries a waiter of ours, never an h2o request.
 *
 * A browser on the operator's machine can reach a loopback listener. It cannot do anything there:
 * calls with an Origin field, or with a Host that is not this listener's, are refused.
 */
#include "brim/serve/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/http/uri.h"
#include "brim/serve/guard.h"

#define ADMIN_MAGIC      0x61646d31u
#define BODY_BYTES_MAX   (4u * 1024u * 1024u)
#define URLS_MAX         10000u
#define CONNECTIONS_MAX  64u
#define REQUEST_MS       30000u
#define TURN_MS          500
#define HEADER_BYTES_MAX 16384u
#define KEY_TEXT_MAX     16384u

struct brim_admin {
    h2o_context_t ctx; /* first: found from a request */
    uint32_t magic;
    struct brim_admin_config config;
    h2o_globalconf_t conf;
    h2o_accept_ctx_t accept;
    h2o_socket_t *listener;
    h2o_multithread_receiver_t answers;
    pthread_t thread;
    bool is_unix;
    bool is_open;
    unsigned connections;
    uint64_t started_mono_ms;
    _Atomic bool is_closing;
    _Atomic unsigned jobs; /* on the pool */
};

/* ---- answers ---- */

static void send_text(h2o_req_t *req, int status, const char *type, struct brim_str text)
{
    static h2o_generator_t generator = {NULL, NULL};
    h2o_iovec_t body = h2o_strdup(&req->pool, text.base, text.len);

    req->res.status = status;
    req->res.reason = status == 200 ? "OK" : status < 500 ? "Refused" : "Failed";
    req->res.content_length = body.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-store"));
    h2o_start_response(req, &generator);
    if (h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD")))
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        h2o_send(req, &body, 1, H2O_SEND_STATE_FINAL);
}

/* Takes json. */
static void send_json(h2o_req_t *req, int status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(json);
    send_text(req, status, "application/json", brim_str_of(text == NULL ? "{}" : text));
    free(text);
}

static void send_error(h2o_req_t *req, int status, const char *error, const char *accepted)
{
    send_json(req, status, json_pack("{s:s,s:s}", "error", error, "accepted", accepted));
}

/* ---- simple calls ---- */

static void call_health(struct brim_admin *a, h2o_req_t *req)
{
    (void)a;
    send_json(req, 200, json_pack("{s:s}", "status", "ok"));
}

static void call_ready(struct brim_admin *a, h2o_req_t *req)
{
    bool ready = a->config.is_ready(a->config.ctx);

    send_json(req, ready ? 200 : 503,
              json_pack("{s:s}", "status", ready ? "ready" : "starting or draining"));
}

static void call_metrics(struct brim_admin *a, h2o_req_t *req)
{
    char *text;
    size_t len;

    (void)a;
    brim_metric_render(&text, &len);
    send_text(req, 200, "text/plain; version=0.0.4; charset=utf-8", brim_str(text, len));
    free(text);
}

static json_t *metrics_json(void)
{
    json_t *metrics = json_object();

#define ADD(id, name, labels, kind, help)                                                          \
    json_object_set_new(metrics, labels[0] == '\0' ? name : name "{" labels "}",                   \
                        json_integer(brim_metric_read(BRIM_METRIC_##id)));
    BRIM_METRIC_TABLE(ADD)
#undef ADD
    return metrics;
}

static void call_stats(struct brim_admin *a, h2o_req_t *req)
{
    json_int_t up_ms = (json_int_t)(brim_clock_mono_ms() - a->started_mono_ms);

    send_json(req, 200,
              json_pack("{s:s,s:I,s:i,s:o}", "version", BRIM_VERSION, "uptime_ms", up_ms, "pid",
                        (int)getpid(), "metrics", metrics_json()));
}

/* ---- purge ---- */

struct purge {
    struct brim_job job;
    h2o_multithread_message_t message;
    struct brim_admin *admin;
    h2o_req_t *req;      /* NULL: the asker has gone. Only the control thread looks at it. */
    struct purge **back; /* in the request's pool: cleared when the answer is out */
    enum brim_purge_kind kind;
    size_t count;
    size_t failed;
    uint64_t scopes[];
};

/* The pool's dispose of a request that waits for a purge. */
static void on_asker_gone(void *memory)
{
    struct purge **back = memory;

    if (*back != NULL)
        (*back)->req = NULL;
}

static void run_purge(struct brim_job *job)
{
    struct purge *p = H2O_STRUCT_FROM_MEMBER(struct purge, job, job);

    for (size_t i = 0; i < p->count; i++)
        if (brim_cache_purge(p->admin->config.cache, p->scopes[i], p->kind) != BRIM_OK)
            p->failed++;
    h2o_multithread_send_message(&p->admin->answers, &p->message);
}

static void answer_purge(struct purge *p)
{
    const char *kind = p->kind == BRIM_PURGE_HARD ? "hard" : "soft";

    BRIM_LOG(INFO, "admin.purge", "kind=%s urls=%zu failed=%zu", kind, p->count, p->failed);
    if (p->req == NULL)
        return;
    *p->back = NULL;
    if (p->failed > 0)
        send_json(p->req, 500,
                  json_pack("{s:s,s:s,s:I,s:I}", "error",
                            "in force, but could not be made durable: see the log", "accepted",
                            "repeat the call when the disk is well", "purged", (json_int_t)p->count,
                            "failed", (json_int_t)p->failed));
    else
        send_json(p->req, 200,
                  json_pack("{s:I,s:s}", "purged", (json_int_t)p->count, "kind", kind));
}

static void on_answers(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    while (!h2o_linklist_is_empty(messages)) {
        h2o_multithread_message_t *message =
            H2O_STRUCT_FROM_MEMBER(h2o_multithread_message_t, link, messages->next);
        struct purge *p = H2O_STRUCT_FROM_MEMBER(struct purge, message, message);

        h2o_linklist_unlink(&message->link);
        answer_purge(p);
        atomic_fetch_sub(&p->admin->jobs, 1);
        free(p);
    }
}

static bool scope_of(const char *url, uint64_t *scope_out)
{
    struct brim_uri uri;
    char text[KEY_TEXT_MAX];
    size_t len;

    if (url == NULL || !brim_uri_parse(brim_str_of(url), &uri))
        return false;
    len = brim_uri_key_text(uri.scheme, uri.authority, uri.target, text, sizeof(text));
    *scope_out = brim_purge_scope_url(brim_str(text, len));
    return len > 0;
}

/* The URLs of the body, as scopes; NULL, with what is wrong, if they cannot be had. */
static struct purge *parse_purge(json_t *body, const char **wrong_out)
{
    json_t *one = json_object_get(body, "url"), *many = json_object_get(body, "urls");
    size_t count = one != NULL ? 1 : json_array_size(many);
    struct purge *p;

    *wrong_out = "neither url nor urls is there";
    if (!json_is_object(body) || count == 0)
        return NULL;
    *wrong_out = "more than 10000 urls";
    if (count > URLS_MAX)
        return NULL;
    p = calloc(1, sizeof(*p) + count * sizeof(p->scopes[0]));
    *wrong_out = "out of memory";
    if (p == NULL)
        return NULL;
    p->count = count;
    p->kind = json_is_true(json_object_get(body, "soft")) ? BRIM_PURGE_SOFT : BRIM_PURGE_HARD;
    for (size_t i = 0; i < count; i++) {
        json_t *url = one != NULL ? one : json_array_get(many, i);

        if (!scope_of(json_string_value(url), &p->scopes[i])) {
            *wrong_out = "a url is not an absolute http or https URL";
            free(p);
            return NULL;
        }
    }
    return p;
}

static void call_purge(struct brim_admin *a, h2o_req_t *req)
{
    static const char accepted[] =
        "{\"url\": \"http://host/path\"} or {\"urls\": [...]}, and \"soft\": true|false";
    json_error_t error;
    json_t *body =
        json_loadb(req->entity.base == NULL ? "" : req->entity.base,
                   req->entity.base == NULL ? 0 : req->entity.len, JSON_REJECT_DUPLICATES, &error);
    const char *wrong = NULL;
    struct purge *p;

    if (body == NULL) {
        send_error(req, 400, error.text, accepted);
        return;
    }
    p = parse_purge(body, &wrong);
    json_decref(body);
    if (p == NULL) {
        send_error(req, 400, wrong, accepted);
        return;
    }
    p->admin = a;
    p->req = req;
    p->job.run = run_purge;
    p->back = h2o_mem_alloc_shared(&req->pool, sizeof(struct purge *), on_asker_gone);
    *p->back = p;
    atomic_fetch_add(&a->jobs, 1);
    if (brim_pool_submit(a->config.pool, BRIM_JOB_WRITE, &p->job) != BRIM_OK) {
        atomic_fetch_sub(&a->jobs, 1);
        *p->back = NULL;
        free(p);
        send_error(req, 503, "the I/O queue is full", "repeat the call");
    }
}

/* ---- dispatch ---- */

static const struct call {
    const char *method;
    const char *path;
    void (*run)(struct brim_admin *a, h2o_req_t *req);
} calls[] = {
    {"GET", "/healthz", call_health},  {"GET", "/readyz", call_ready},
    {"GET", "/metrics", call_metrics}, {"GET", "/stats", call_stats},
    {"POST", "/purge", call_purge},
};

static struct brim_str str_of(h2o_iovec_t text)
{
    return brim_str(text.base, text.len);
}

static bool is_own_host(const struct brim_admin *a, struct brim_str authority)
{
    struct brim_str host;
    uint16_t port;

    if (a->is_unix)
        return true;
    if (!brim_uri_parse_authority(authority, &host, &port))
        return false;
    return brim_str_is_nocase(host, BRIM_STR("localhost")) ||
           brim_str_is(host, BRIM_STR("[::1]")) || brim_str_has_prefix(host, BRIM_STR("127."));
}

/* The raw block as h2o left it in the socket's input; see serve/guard. */
static struct brim_guard_refusal scan(h2o_req_t *req)
{
    static const struct brim_guard_limits limits = {HEADER_BYTES_MAX, 100, KEY_TEXT_MAX};
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    struct brim_str raw = brim_str(sock->input->bytes, sock->input->size);
    const char *end = memmem(raw.base, raw.len, "\r\n\r\n", 4);

    if (end == NULL)
        return (struct brim_guard_refusal){400, "header lines are not ended by CRLF"};
    raw.len = (size_t)(end - raw.base) + 4;
    return brim_guard_scan_h1(raw, &limits);
}

static void dispatch(struct brim_admin *a, h2o_req_t *req)
{
    struct brim_str path = str_of(req->input.path);
    struct brim_str method = str_of(req->input.method);
    const struct call *found = NULL;

    if (brim_str_is(method, BRIM_STR("HEAD")))
        method = BRIM_STR("GET");
    if (req->input.query_at != SIZE_MAX)
        path.len = req->input.query_at;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (!brim_str_is(path, brim_str_of(calls[i].path)))
            continue;
        found = &calls[i];
        if (brim_str_is(method, brim_str_of(found->method))) {
            found->run(a, req);
            return;
        }
    }
    if (found == NULL) {
        send_error(req, 404, "no such call",
                   "GET /healthz, /readyz, /metrics, /stats; POST /purge");
        return;
    }
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("allow"), 0, NULL,
                          found->method, strlen(found->method));
    send_error(req, 405, "method not allowed here", found->method);
}

static int on_req(h2o_handler_t *handler, h2o_req_t *req)
{
    struct brim_admin *a = H2O_STRUCT_FROM_MEMBER(struct brim_admin, ctx, req->conn->ctx);
    struct brim_guard_refusal refusal = scan(req);

    (void)handler;
    OBJ_CHECK(a, ADMIN_MAGIC);
    if (refusal.status != 0) {
        req->http1_is_persistent = 0;
        send_error(req, (int)refusal.status, refusal.reason, "a well-formed HTTP/1.1 request");
    } else if (h2o_find_header_by_str(&req->headers, H2O_STRLIT("origin"), -1) != -1) {
        send_error(req, 403, "requests by browsers are refused", "no Origin field");
    } else if (!is_own_host(a, str_of(req->input.authority))) {
        send_error(req, 403, "the Host field is not this listener's",
                   "localhost, 127.x.x.x or [::1]");
    } else {
        dispatch(a, req);
    }
    return 0;
}

/* ---- loop ---- */

static void on_closed(void *data)
{
    struct brim_admin *a = data;

    a->connections--;
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    struct brim_admin *a = listener->data;
    h2o_socket_t *sock;

    if (err != NULL || (sock = h2o_evloop_socket_accept(listener)) == NULL)
        return;
    if (a->connections >= CONNECTIONS_MAX) {
        h2o_socket_close(sock);
        return;
    }
    a->connections++;
    sock->on_close.cb = on_closed;
    sock->on_close.data = a;
    struct timeval now = *h2o_get_timestamp(&a->ctx, NULL, NULL);
    h2o_http1_accept(&a->accept, sock, now);
}

static void configure(struct brim_admin *a)
{
    h2o_hostconf_t *host;
    h2o_pathconf_t *path;

    h2o_config_init(&a->conf);
    a->conf.server_name.len = 0;
    a->conf.max_request_entity_size = BODY_BYTES_MAX;
    a->conf.http1.req_timeout = REQUEST_MS;
    a->conf.http1.upgrade_to_http2 = 0;
    host = h2o_config_register_host(&a->conf, h2o_iovec_init(H2O_STRLIT("brim.invalid")), 65535);
    path = h2o_config_register_path(host, "/", 0);
    path->error_log.emit_request_errors = 0;
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_req;
}

static enum brim_err open_loop(struct brim_admin *a)
{
    int fd = fcntl(a->config.fd, F_DUPFD_CLOEXEC, 3);
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    h2o_loop_t *loop;

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        BRIM_LOG(ERROR, "admin.socket_failed", "errno=%d", errno);
        if (fd >= 0)
            close(fd);
        return BRIM_EIO;
    }
    a->is_unix = address.ss_family == AF_UNIX;
    loop = h2o_evloop_create();
    configure(a);
    h2o_context_init(&a->ctx, loop, &a->conf);
    h2o_multithread_register_receiver(a->ctx.queue, &a->answers, on_answers);
    a->accept.ctx = &a->ctx;
    a->accept.hosts = a->conf.hosts;
    a->listener = h2o_evloop_socket_create(loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    a->listener->data = a;
    h2o_socket_read_start(a->listener, on_accept);
    a->is_open = true;
    return BRIM_OK;
}

/* Ends when told to and nothing of ours is on the pool any more. h2o keeps idle connections; their
 * sockets end with the process. */
static void *admin_main(void *arg)
{
    struct brim_admin *a = arg;

    pthread_setname_np(pthread_self(), "brim-control");
    while (!atomic_load(&a->is_closing) || atomic_load(&a->jobs) > 0)
        (void)h2o_evloop_run(a->ctx.loop, TURN_MS);
    h2o_socket_read_stop(a->listener);
    h2o_socket_close(a->listener);
    h2o_context_request_shutdown(&a->ctx);
    for (int i = 0; i < 4 && a->connections > 0; i++)
        (void)h2o_evloop_run(a->ctx.loop, 10);
    return NULL;
}

enum brim_err brim_admin_open(const struct brim_admin_config *config, struct brim_admin **admin_out)
{
    struct brim_admin *a = brim_alloc(sizeof(*a));
    enum brim_err err;

    *admin_out = NULL;
    a->magic = ADMIN_MAGIC;
    a->config = *config;
    a->started_mono_ms = brim_clock_mono_ms();
    err = open_loop(a);
    if (err == BRIM_OK && pthread_create(&a->thread, NULL, admin_main, a) != 0)
        err = BRIM_ENOMEM;
    if (err != BRIM_OK) {
        free(a);
        return err;
    }
    *admin_out = a;
    return BRIM_OK;
}

void brim_admin_close(struct brim_admin *a)
{
    OBJ_CHECK(a, ADMIN_MAGIC);
    atomic_store(&a->is_closing, true);
    h2o_multithread_send_message(&a->answers, NULL);
    pthread_join(a->thread, NULL);
    if (a->connections > 0)
        return; /* idle keep-alive connections point into it: left to the end of the process */
    h2o_multithread_unregister_receiver(a->ctx.queue, &a->answers);
    h2o_timeout_unlink(&a->ctx.http2._graceful_shutdown_timeout);
    h2o_context_dispose(&a->ctx);
    h2o_config_dispose(&a->conf);
    a->magic = 0;
    free(a);
}
