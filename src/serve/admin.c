/* SPDX-License-Identifier: MIT */
/*
 * The control thread runs a small h2o of its own: one loop, HTTP/1.1 only, a table of calls. What a
 * call must wait for (a purge is durable when it is answered) is done by the I/O pool; the answer
 * comes back as a message that carries a waiter of ours, never an h2o request.
 *
 * A browser on the operator's machine can reach a loopback listener. It cannot do anything there:
 * calls with an Origin field that is not the live page's own are refused, and so are those whose
 * Host is a name that somebody else may point here (DNS rebinding). Content-Type is not asked for,
 * so that `curl -d` works as it is; without CORS answers and with Origin refused, it would keep
 * nobody out who is not out already. Where a token is asked for, a name that leads here brings a
 * page of others nothing, so that Host may be any: the listener may then be open to other hosts.
 *
 * End. `senders` counts tasks on the pool, down to the last instruction that touches this struct;
 * `unanswered` those whose message has not been read. When both are 0 nobody can post any more and
 * the queue may go.
 */
#include "brim/serve/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <h2o.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/heap.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/usage.h"
#include "brim/http/status.h"
#include "brim/http/uri.h"
#include "brim/serve/admin_conn.h"
#include "brim/serve/admin_gate.h"
#include "brim/serve/admin_inside.h"

#define ADMIN_MAGIC     0x61646d31u
#define BODY_BYTES_MAX  4194304u /* 4 MiB */
#define BODY_BYTES_READ 8388608u /* up to here 413 is ours, as JSON; above, h2o's */
#define REQUEST_MS      30000u   /* to send a request, and between two */
#define TURN_MS         500
#define TURN_END_MS     10
#define END_TURNS       500u
#define ACCEPT_PAUSE_MS 200u
#define STACK_BYTES     2097152u /* h2o puts a header name on it, however long */

enum hearing { HEARS, PAUSES, IS_DEAF }; /* deaf: it has let go of its address */

struct brim_admin {
    h2o_context_t ctx; /* first: found from a request */
    uint32_t magic;
    struct brim_admin_config config;
    struct brim_admin_gate gate;
    struct brim_admin_reload reload;
    h2o_globalconf_t conf;
    h2o_socket_t *listener;
    h2o_multithread_receiver_t answers;
    struct brim_admin_conns conns;
    unsigned unanswered;      /* tasks whose message has not come */
    uint64_t accept_again_ms; /* no descriptor was left: paused until then; 0: accepting */
    pthread_t thread;
    bool is_unix;
    uint64_t started_mono_ms;
    struct brim_usage usage; /* the control thread's, as is heap */
    struct brim_heap heap;
    _Atomic bool is_closing;
    _Atomic unsigned hearing; /* wanted: enum hearing */
    unsigned heard;           /* the control thread's: what it is */
    sem_t followed;           /* it is as wanted */
    _Atomic unsigned senders; /* pool threads that will post */
};

/* ---- answers ---- */

void brim_admin_send_text(h2o_req_t *req, int status, const char *type, struct brim_str text)
{
    static h2o_generator_t generator = {NULL, NULL};
    h2o_iovec_t body = h2o_strdup(&req->pool, text.base, text.len);
    bool is_head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));

    brim_admin_conn_before_send(req);
    brim_admin_audit_end(brim_admin_conn_of(req)->audit, status);
    req->res.status = status;
    req->res.reason = brim_status_reason((unsigned)status);
    req->res.content_length = body.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-store"));
    h2o_start_response(req, &generator);
    if (is_head || body.len == 0)
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        h2o_send(req, &body, 1, H2O_SEND_STATE_FINAL);
    brim_admin_conn_after_send(req);
}

/* Takes json; NULL, which stands for memory that was not there, is a 500. */
void brim_admin_send_json(h2o_req_t *req, int status, json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(json);
    if (text == NULL)
        brim_admin_send_text(req, 500, "application/json",
                             BRIM_STR("{\"error\":\"out of memory\"}"));
    else
        brim_admin_send_text(req, status, "application/json", brim_str_of(text));
    free(text);
}

void brim_admin_send_error(h2o_req_t *req, int status, const char *error, const char *accepted)
{
    brim_admin_send_json(req, status, json_pack("{s:s,s:s}", "error", error, "accepted", accepted));
}

void brim_admin_send_advice(h2o_req_t *req, int status, const char *error, const char *advice)
{
    brim_admin_send_json(req, status, json_pack("{s:s,s:s}", "error", error, "advice", advice));
}

/* ---- simple calls ---- */

static void call_health(struct brim_admin *a, h2o_req_t *req)
{
    (void)a;
    brim_admin_send_json(req, 200, json_pack("{s:s}", "status", "ok"));
}

static void call_ready(struct brim_admin *a, h2o_req_t *req)
{
    bool ready = a->config.is_ready(a->config.ctx);

    brim_admin_send_json(req, ready ? 200 : 503,
                         json_pack("{s:s}", "status", ready ? "ready" : "starting or draining"));
}

/* ---- tasks: see admin_inside.h ---- */

/* The pool's dispose of a request that waits for a task. */
static void on_asker_gone(void *memory)
{
    struct brim_admin_task **back = memory;

    if (*back != NULL)
        (*back)->req = NULL;
}

static void run_task(struct brim_job *job)
{
    struct brim_admin_task *task = H2O_STRUCT_FROM_MEMBER(struct brim_admin_task, job, job);
    struct brim_admin *a = task->admin;

    task->work(task);
    h2o_multithread_send_message(&a->answers, &task->message);
    atomic_fetch_sub(&a->senders, 1); /* the task is the control thread's now; after this, a too */
}

static void on_answers(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    while (!h2o_linklist_is_empty(messages)) {
        h2o_multithread_message_t *message =
            H2O_STRUCT_FROM_MEMBER(h2o_multithread_message_t, link, messages->next);
        struct brim_admin_task *task =
            H2O_STRUCT_FROM_MEMBER(struct brim_admin_task, message, message);

        h2o_linklist_unlink(&message->link);
        INVARIANT(messages->next != &message->link);
        INVARIANT(task->admin->unanswered > 0);
        task->admin->unanswered--;
        if (task->req != NULL)
            *task->back = NULL;
        task->answer(task);
    }
}

void brim_admin_start(struct brim_admin *a, h2o_req_t *req, struct brim_admin_task *task)
{
    enum brim_err err = BRIM_ECLOSED;

    task->admin = a;
    task->req = req;
    task->job.run = run_task;
    task->back = h2o_mem_alloc_shared(&req->pool, sizeof(struct brim_admin_task *), on_asker_gone);
    *task->back = task;
    atomic_fetch_add(&a->senders, 1);
    if (!atomic_load(&a->is_closing))
        err = brim_pool_submit(a->config.pool, BRIM_JOB_WRITE, &task->job);
    if (err == BRIM_OK) {
        a->unanswered++;
        return;
    }
    atomic_fetch_sub(&a->senders, 1);
    *task->back = NULL;
    if (task->drop != NULL)
        task->drop(task);
    else
        free(task);
    brim_admin_send_advice(req, 503,
                           err == BRIM_ECLOSED ? "the node ends" : "the I/O queue is full",
                           "repeat the call");
}

uint64_t brim_admin_started_mono_ms(const struct brim_admin *a)
{
    return a->started_mono_ms;
}

const struct brim_admin_config *brim_admin_config(const struct brim_admin *a)
{
    return &a->config;
}

struct brim_top *brim_admin_top(struct brim_admin *a)
{
    return a->config.top;
}

struct brim_cache *brim_admin_cache(struct brim_admin *a)
{
    return a->config.cache;
}

const struct brim_admin_reload *brim_admin_reload(struct brim_admin *a)
{
    return &a->reload;
}

struct brim_estate *brim_admin_estate(struct brim_admin *a, pid_t *parent_out)
{
    *parent_out = a->config.parent;
    return a->config.estate;
}

struct brim_purge_up *brim_admin_up(struct brim_admin *a)
{
    return a->config.up;
}

struct brim_kv *brim_admin_kv(struct brim_admin *a)
{
    return a->config.kv;
}

void brim_admin_set_wrong(struct brim_admin_wrong *wrong, const char *format, ...)
{
    va_list args;

    if (wrong->text[0] != '\0')
        return;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is; clang 14 is mistaken. */
    if (vsnprintf(wrong->text, sizeof(wrong->text), format, args) < 0)
        wrong->text[0] = '\0';
    va_end(args);
}

json_t *brim_admin_body(h2o_req_t *req, struct brim_admin_wrong *wrong)
{
    json_error_t error;
    /* Depth is bounded by jansson (2048), size by BODY_BYTES_MAX. */
    json_t *body =
        json_loadb(req->entity.base == NULL ? "" : req->entity.base,
                   req->entity.base == NULL ? 0 : req->entity.len, JSON_REJECT_DUPLICATES, &error);

    if (body == NULL)
        brim_admin_set_wrong(wrong, "the body is not JSON: line %d, column %d", error.line,
                             error.column);
    else if (!json_is_object(body))
        brim_admin_set_wrong(wrong, "the body is not an object");
    else
        return body;
    json_decref(body);
    return NULL;
}

/* ---- dispatch ---- */

enum call_kind {
    CALL_OPEN,   /* needs no token and is not counted: probes, and the page that asks for one */
    CALL_POLLED, /* is asked for all day: in the audit log if it is refused */
    CALL_LOGGED  /* is in the audit log */
};

/* What is in here and what openapi.json says is compared by a test. */
static const struct call {
    const char *method; /* GET answers HEAD too */
    const char *path;
    void (*run)(struct brim_admin *a, h2o_req_t *req);
    enum call_kind kind;
} calls[] = {
    {"GET", "/", brim_admin_call_page, CALL_OPEN},
    {"GET", "/live.js", brim_admin_call_page_script, CALL_OPEN},
    {"GET", "/chart.js", brim_admin_call_page_chart, CALL_OPEN},
    {"GET", "/healthz", call_health, CALL_OPEN},
    {"GET", "/readyz", call_ready, CALL_OPEN},
    {"GET", "/metrics", brim_admin_call_metrics, CALL_POLLED},
    {"GET", "/stats", brim_admin_call_stats, CALL_POLLED},
    {"GET", "/v1/openapi.json", brim_admin_call_openapi, CALL_OPEN},
    {"GET", "/v1/stats", brim_admin_call_stats, CALL_LOGGED},
    {"GET", "/v1/live", brim_admin_call_live, CALL_POLLED},
    {"POST", "/v1/purge", brim_admin_call_purge, CALL_LOGGED},
    {"POST", "/v1/explain", brim_admin_call_explain, CALL_LOGGED},
    {"POST", "/v1/reload", brim_admin_call_reload, CALL_LOGGED},
    {"GET", "/v1/upgrade", brim_admin_call_upgrade_state, CALL_POLLED},
    {"POST", "/v1/upgrade", brim_admin_call_upgrade, CALL_LOGGED},
    {"POST", "/purge", brim_admin_call_purge, CALL_LOGGED},
    {"POST", "/v1/kv", brim_admin_call_kv, CALL_LOGGED},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static struct brim_str str_of(h2o_iovec_t text)
{
    return brim_str(text.base, text.len);
}

static void send_not_found(h2o_req_t *req)
{
    char accepted[1024] = "";
    size_t len = 0;

    for (size_t i = 0; i < CALLS && len < sizeof(accepted); i++) {
        int n = snprintf(accepted + len, sizeof(accepted) - len, "%s%s %s", i == 0 ? "" : ", ",
                         calls[i].method, calls[i].path);
        len += n > 0 ? (size_t)n : 0;
    }
    brim_admin_send_error(req, 404, "no such call", accepted);
}

static void send_not_allowed(h2o_req_t *req, struct brim_str path)
{
    char allowed[64] = "";
    size_t len = 0;

    for (size_t i = 0; i < CALLS && len < sizeof(allowed); i++) {
        bool is_get = strcmp(calls[i].method, "GET") == 0;
        int n = 0;

        if (brim_str_is(path, brim_str_of(calls[i].path)))
            n = snprintf(allowed + len, sizeof(allowed) - len, "%s%s%s", len == 0 ? "" : ", ",
                         calls[i].method, is_get ? ", HEAD" : "");
        len += n > 0 ? (size_t)n : 0;
    }
    INVARIANT(len < sizeof(allowed));
    h2o_iovec_t value = h2o_strdup(&req->pool, allowed, len);
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("allow"), 0, NULL, value.base,
                          value.len);
    brim_admin_send_error(req, 405, "method not allowed here", allowed);
}

static struct brim_str path_of(const h2o_req_t *req)
{
    struct brim_str path = str_of(req->input.path);

    if (req->input.query_at != SIZE_MAX)
        path.len = req->input.query_at;
    return path;
}

/* NULL: none; *is_path_out: the path is that of a call with another method. */
static const struct call *find_call(struct brim_str method, struct brim_str path, bool *is_path_out)
{
    *is_path_out = false;
    if (brim_str_is(method, BRIM_STR("HEAD")))
        method = BRIM_STR("GET");
    for (size_t i = 0; i < CALLS; i++) {
        if (!brim_str_is(path, brim_str_of(calls[i].path)))
            continue;
        *is_path_out = true;
        if (brim_str_is(method, brim_str_of(calls[i].method)))
            return &calls[i];
    }
    return NULL;
}

/* The one Authorization field; two of them present nothing. */
static struct brim_str authorization_of(const h2o_req_t *req)
{
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1);

    if (at == -1 || h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, at) != -1)
        return BRIM_STR("");
    return str_of(req->headers.entries[at].value);
}

/* Whether the call may run; else it is answered. A path that is nobody's is refused like one that
 * is: what there is to be called is not told to strangers. */
static bool is_let(struct brim_admin *a, const struct call *call, h2o_req_t *req)
{
    const struct brim_admin_gate_answer *words;
    enum brim_admin_gate_verdict verdict;

    if (call != NULL && call->kind == CALL_OPEN)
        return true;
    verdict = brim_admin_gate_check(&a->gate, authorization_of(req), brim_clock_mono_ms());
    if (verdict == BRIM_ADMIN_GATE_OPEN)
        return true;
    if (verdict == BRIM_ADMIN_GATE_SHUT)
        BRIM_COUNT(ADMIN_STRANGER);
    else
        BRIM_COUNT(ADMIN_BUSY);
    words = brim_admin_gate_answer(verdict);
    h2o_add_header_by_str(&req->pool, &req->res.headers, words->field, strlen(words->field), 1,
                          NULL, words->value, strlen(words->value));
    brim_admin_send_error(req, (int)words->status, words->error, words->accepted);
    return false;
}

/* Whether the name in Host is one that only this machine can mean: an address is not resolved. */
static bool is_loopback(struct brim_str authority)
{
    struct brim_str host;
    struct in_addr v4;
    struct in6_addr v6;
    char text[INET6_ADDRSTRLEN];
    uint16_t port;
    bool is_literal;

    if (!brim_uri_parse_authority(authority, &host, &port))
        return false;
    if (brim_str_is_nocase(host, BRIM_STR("localhost")))
        return true;
    is_literal = host.base[0] == '[';
    if (is_literal) {
        host.base++;
        host.len -= 2;
    }
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.base, host.len);
    text[host.len] = '\0';
    if (is_literal)
        return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* By a page in a browser, and not by the one that this listener has given out: that one's Host has
 * been found to be the loopback's, port included, when it says the same. */
static bool is_foreign(const struct brim_admin *a, h2o_req_t *req)
{
    ssize_t at = h2o_find_header_by_str(&req->headers, H2O_STRLIT("origin"), -1);
    struct brim_str origin, scheme = BRIM_STR("http://");

    if (at == -1)
        return false;
    origin = str_of(req->headers.entries[at].value);
    if (a->is_unix || !brim_str_has_prefix(origin, scheme) ||
        h2o_find_header_by_str(&req->headers, H2O_STRLIT("origin"), at) != -1)
        return true;
    return !brim_str_is_nocase(brim_str(origin.base + scheme.len, origin.len - scheme.len),
                               str_of(req->input.authority));
}

static void answer(struct brim_admin *a, h2o_req_t *req)
{
    bool is_path;
    const struct call *call = find_call(str_of(req->input.method), path_of(req), &is_path);
    struct brim_admin_audit *audit = NULL;

    if (call == NULL || call->kind != CALL_OPEN)
        audit = brim_admin_conn_of(req)->audit = brim_admin_audit_begin(
            req, call == NULL ? "-" : call->method, call == NULL ? "-" : call->path);
    if (is_foreign(a, req)) {
        BRIM_COUNT(ADMIN_FOREIGN);
        brim_admin_send_error(req, 403, "requests by pages of others are refused",
                              "no Origin field");
    } else if (!a->is_unix && !brim_admin_gate_has_token(&a->gate) &&
               !is_loopback(str_of(req->input.authority))) {
        BRIM_COUNT(ADMIN_FOREIGN);
        brim_admin_send_error(req, 403, "the Host field is not this listener's",
                              "localhost, 127.x.x.x or [::1]");
    } else if (!is_let(a, call, req)) {
        return;
    } else if (req->entity.base != NULL && req->entity.len > BODY_BYTES_MAX) {
        brim_admin_send_error(req, 413, "the body is too large", "up to 4 MiB");
    } else if (call != NULL) {
        if (call->kind == CALL_POLLED)
            brim_admin_audit_forgo(audit);
        else
            brim_admin_audit_let(audit);
        call->run(a, req);
    } else if (is_path) {
        send_not_allowed(req, path_of(req));
    } else {
        send_not_found(req);
    }
}

static int on_req(h2o_handler_t *handler, h2o_req_t *req)
{
    struct brim_admin *a = H2O_STRUCT_FROM_MEMBER(struct brim_admin, ctx, req->conn->ctx);
    struct brim_guard_refusal refusal = brim_admin_conn_scan(brim_admin_conn_of(req)->sock);

    (void)handler;
    OBJ_CHECK(a, ADMIN_MAGIC);
    brim_admin_conn_of(req)->audit = NULL;
    if (refusal.status != 0) {
        BRIM_COUNT(ADMIN_MALFORMED);
        req->http1_is_persistent = 0;
        brim_admin_send_error(req, (int)refusal.status, refusal.reason,
                              "a well-formed HTTP/1.1 request");
    } else {
        answer(a, req);
    }
    return 0;
}

/* Before h2o has seen it; see admin_conn.c. */
static void on_refused(struct brim_admin_conn *conn, const struct brim_admin_refused *refused)
{
    bool is_path;
    const struct call *call = find_call(refused->method, refused->path, &is_path);

    brim_admin_audit_refused(conn->sock, call == NULL ? "-" : call->method,
                             call == NULL ? "-" : call->path, refused->status);
}

/* ---- connections ---- */

static void on_accept(h2o_socket_t *listener, const char *err)
{
    struct brim_admin *a = listener->data;
    h2o_socket_t *sock;

    if (err != NULL)
        return;
    sock = h2o_evloop_socket_accept(listener);
    if (sock == NULL) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            a->accept_again_ms = brim_clock_mono_ms() + ACCEPT_PAUSE_MS;
            h2o_socket_read_stop(listener);
        }
        return;
    }
    brim_admin_conns_take(&a->conns, sock);
}

static void close_listener(struct brim_admin *a)
{
    if (a->listener == NULL)
        return;
    h2o_socket_read_stop(a->listener);
    h2o_socket_close(a->listener);
    a->listener = NULL;
}

static void follow_hearing(struct brim_admin *a)
{
    unsigned wanted = atomic_load(&a->hearing);

    if (wanted == a->heard)
        return;
    if (wanted == IS_DEAF)
        close_listener(a);
    else if (wanted == PAUSES)
        h2o_socket_read_stop(a->listener);
    else if (a->accept_again_ms == 0)
        h2o_socket_read_start(a->listener, on_accept);
    a->heard = wanted;
    sem_post(&a->followed);
}

/* Once a turn. */
static void sweep(struct brim_admin *a)
{
    uint64_t now_ms = brim_clock_mono_ms();

    brim_admin_conns_sweep(&a->conns);
    follow_hearing(a);
    if (a->heard == HEARS && a->accept_again_ms != 0 && now_ms >= a->accept_again_ms) {
        a->accept_again_ms = 0;
        h2o_socket_read_start(a->listener, on_accept);
    }
}

/* ---- loop ---- */

static void configure(struct brim_admin *a)
{
    h2o_hostconf_t *host;
    h2o_pathconf_t *path;

    h2o_config_init(&a->conf);
    a->conf.server_name.len = 0;
    a->conf.max_request_entity_size = BODY_BYTES_READ;
    a->conf.http1.req_timeout = REQUEST_MS;
    a->conf.http1.upgrade_to_http2 = 0;
    host = h2o_config_register_host(&a->conf, h2o_iovec_init(H2O_STRLIT("brim.invalid")), 65535);
    path = h2o_config_register_path(host, "/", 0);
    path->error_log.emit_request_errors = 0;
    host->fallback_path.error_log.emit_request_errors = 0;
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_req;
}

static enum brim_err open_loop(struct brim_admin *a)
{
    int fd = fcntl(a->config.fd, F_DUPFD_CLOEXEC, 3);
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
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
    brim_admin_conns_init(&a->conns, &(struct brim_admin_conns_config){.ctx = &a->ctx,
                                                                       .hosts = a->conf.hosts,
                                                                       .gate = &a->gate,
                                                                       .on_refused = on_refused});
    a->listener = h2o_evloop_socket_create(loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    a->listener->data = a;
    h2o_socket_read_start(a->listener, on_accept);
    return BRIM_OK;
}

/* Goes on until told to end and nobody on the pool can post any more. */
static void run_calls(struct brim_admin *a)
{
    while (!atomic_load(&a->is_closing) || atomic_load(&a->senders) > 0 || a->unanswered > 0) {
        (void)h2o_evloop_run(a->ctx.loop, atomic_load(&a->is_closing) ? TURN_END_MS : TURN_MS);
        sweep(a);
        brim_usage_tick(&a->usage);
        brim_heap_tick(&a->heap);
        if (a->config.top != NULL)
            brim_top_tick(a->config.top);
    }
}

static void *admin_main(void *arg)
{
    struct brim_admin *a = arg;

    pthread_setname_np(pthread_self(), "brim-control");
    brim_usage_init(&a->usage);
    brim_heap_init(&a->heap, a->config.spare_memory_bytes);
    run_calls(a);
    close_listener(a);
    brim_admin_conns_kill(&a->conns);
    for (unsigned i = 0; i < END_TURNS && brim_admin_conns_count(&a->conns) > 0; i++)
        (void)h2o_evloop_run(a->ctx.loop, TURN_END_MS);
    return NULL;
}

static enum brim_err start_thread(struct brim_admin *a)
{
    pthread_attr_t attributes;
    sigset_t all, old;
    int error;

    sigfillset(&all);
    error = pthread_attr_init(&attributes);
    if (error != 0)
        return BRIM_ENOMEM;
    error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    INVARIANT(error == 0);
    pthread_sigmask(SIG_BLOCK, &all, &old); /* a signal would end h2o_evloop_run with an error */
    error = pthread_create(&a->thread, &attributes, admin_main, a);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return error == 0 ? BRIM_OK : BRIM_ENOMEM;
}

static void close_loop(struct brim_admin *a)
{
    h2o_loop_t *loop = a->ctx.loop;

    h2o_multithread_unregister_receiver(a->ctx.queue, &a->answers);
    h2o_context_dispose(&a->ctx);
    h2o_config_dispose(&a->conf);
    h2o_evloop_destroy(loop);
}

enum brim_err brim_admin_open(const struct brim_admin_config *config, struct brim_admin **admin_out)
{
    struct brim_admin *a = brim_alloc(sizeof(*a));
    enum brim_err err;

    *admin_out = NULL;
    a->magic = ADMIN_MAGIC;
    a->config = *config;
    a->reload = (struct brim_admin_reload){.run = config->reload, .ctx = config->ctx};
    a->started_mono_ms = brim_clock_mono_ms();
    sem_init(&a->followed, 0, 0);
    err = brim_admin_gate_init(&a->gate, config->token, config->rate);
    if (err == BRIM_OK)
        err = open_loop(a);
    if (err != BRIM_OK)
        goto out;
    err = start_thread(a);
    if (err != BRIM_OK) {
        close_listener(a);
        close_loop(a);
    }
out:
    if (err != BRIM_OK) {
        brim_admin_gate_fini(&a->gate);
        free(a);
        return err;
    }
    *admin_out = a;
    return BRIM_OK;
}

void brim_admin_renew_token(struct brim_admin *a)
{
    OBJ_CHECK(a, ADMIN_MAGIC);
    brim_admin_gate_renew(&a->gate);
}

static void hear(struct brim_admin *a, enum hearing wanted)
{
    OBJ_CHECK(a, ADMIN_MAGIC);
    if (atomic_exchange(&a->hearing, wanted) == wanted)
        return;
    h2o_multithread_send_message(&a->answers, NULL);
    while (sem_wait(&a->followed) != 0)
        continue; /* EINTR */
}

void brim_admin_pause(struct brim_admin *a)
{
    hear(a, PAUSES);
}

void brim_admin_resume(struct brim_admin *a)
{
    hear(a, HEARS);
}

void brim_admin_stop_listening(struct brim_admin *a)
{
    hear(a, IS_DEAF);
}

void brim_admin_close(struct brim_admin *a)
{
    OBJ_CHECK(a, ADMIN_MAGIC);
    atomic_store(&a->is_closing, true);
    h2o_multithread_send_message(&a->answers, NULL);
    pthread_join(a->thread, NULL);
    if (brim_admin_conns_count(&a->conns) > 0) {
        BRIM_LOG(WARN, "admin.stuck", "connections=%u", brim_admin_conns_count(&a->conns));
        return; /* they point into it: left to the end of the process */
    }
    close_loop(a);
    sem_destroy(&a->followed);
    brim_admin_gate_fini(&a->gate);
    a->magic = 0;
    free(a);
}
