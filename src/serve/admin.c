/* SPDX-License-Identifier: MIT */
/*
 * The control thread runs a small h2o of its own: one loop, HTTP/1.1 only, a table of calls. What a
 * call must wait for (a purge is durable when it is answered) is done by the I/O pool; the answer
 * comes back as a message that carries a waiter of ours, never an h2o request.
 *
 * A browser on the operator's machine can reach a loopback listener. It cannot do anything there:
 * calls with an Origin field are refused, and so are those whose Host is a name that somebody else
 * may point here (DNS rebinding). Content-Type is not asked for, so that `curl -d` works as it is;
 * without CORS answers and with Origin refused, it would keep nobody out who is not out already.
 *
 * Time. h2o's request timeout ends what sends too slowly and what idles; what takes its answer too
 * slowly is ended here. Connections are few (CONNECTIONS_MAX), so a list and a walk a turn do.
 *
 * End. `senders` counts purges on the pool, down to the last instruction that touches this struct;
 * `unanswered` those whose message has not been read. When both are 0 nobody can post any more and
 * the queue may go.
 */
#include "brim/serve/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/http/uri.h"
#include "brim/serve/guard.h"

#define ADMIN_MAGIC      0x61646d31u
#define BODY_BYTES_MAX   4194304u /* 4 MiB */
#define BODY_BYTES_READ  8388608u /* up to here 413 is ours, as JSON; above, h2o's */
#define URLS_MAX         10000u
#define CONNECTIONS_MAX  64u
#define REQUEST_MS       30000u /* to send a request, and between two */
#define ANSWER_MS        30000u /* to take an answer */
#define TURN_MS          500
#define TURN_END_MS      10
#define END_TURNS        500u
#define ACCEPT_PAUSE_MS  200u
#define HEADER_BYTES_MAX 16384u
#define HEADER_COUNT_MAX 100u
#define TARGET_BYTES_MAX 2048u
#define KEY_TEXT_MAX     16384u
#define STACK_BYTES      2097152u /* h2o puts a header name on it, however long */

struct brim_admin {
    h2o_context_t ctx; /* first: found from a request */
    uint32_t magic;
    struct brim_admin_config config;
    h2o_globalconf_t conf;
    h2o_accept_ctx_t accept;
    h2o_socket_t *listener;
    h2o_multithread_receiver_t answers;
    h2o_linklist_t connections;
    unsigned connection_count;
    unsigned unanswered;      /* purges whose message has not come */
    uint64_t accept_again_ms; /* no descriptor was left: paused until then; 0: accepting */
    pthread_t thread;
    bool is_unix;
    uint64_t started_mono_ms;
    _Atomic bool is_closing;
    _Atomic unsigned senders; /* pool threads that will post */
};

struct connection {
    h2o_linklist_t link; /* admin's */
    struct brim_admin *admin;
    h2o_socket_t *sock;
    uint64_t answered_mono_ms; /* when the last answer was handed to h2o */
};

static struct connection *connection_of(h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

/* ---- answers ---- */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

static void send_text(h2o_req_t *req, int status, const char *type, struct brim_str text)
{
    static h2o_generator_t generator = {NULL, NULL};
    h2o_iovec_t body = h2o_strdup(&req->pool, text.base, text.len);
    bool is_head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));

    connection_of(req)->answered_mono_ms = brim_clock_mono_ms();
    req->res.status = status;
    req->res.reason = reason_of(status);
    req->res.content_length = body.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-store"));
    h2o_start_response(req, &generator);
    if (is_head || body.len == 0)
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    else
        h2o_send(req, &body, 1, H2O_SEND_STATE_FINAL);
}

/* Takes json; NULL, which stands for memory that was not there, is a 500. */
static void send_json(h2o_req_t *req, int status, json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(json);
    if (text == NULL)
        send_text(req, 500, "application/json", BRIM_STR("{\"error\":\"out of memory\"}"));
    else
        send_text(req, status, "application/json", brim_str_of(text));
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

/* By the name that each has in /metrics, labels included. */
static json_t *metrics_json(void)
{
    static const struct {
        enum brim_metric id;
        const char *name;
        const char *labels;
    } rows[] = {
#define ROW(id, name, labels, kind, help) {BRIM_METRIC_##id, name, labels},
        BRIM_METRIC_TABLE(ROW)
#undef ROW
    };
    json_t *metrics = json_object();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_bare = rows[i].labels[0] == '\0';
        char name[128];
        int len = snprintf(name, sizeof(name), "%s%s%s%s", rows[i].name, is_bare ? "" : "{",
                           rows[i].labels, is_bare ? "" : "}");

        INVARIANT(len > 0 && (size_t)len < sizeof(name));
        if (json_object_set_new(metrics, name, json_integer(brim_metric_read(rows[i].id))) != 0)
            break; /* out of memory: an answer that is short */
    }
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

/* Why a body is refused; the first reason stays. */
struct wrong {
    char text[200];
};

__attribute__((format(printf, 2, 3))) static void set_wrong(struct wrong *wrong, const char *format,
                                                            ...)
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
    struct brim_admin *a = p->admin;

    for (size_t i = 0; i < p->count; i++)
        if (brim_cache_purge(a->config.cache, p->scopes[i], p->kind) != BRIM_OK)
            p->failed++;
    h2o_multithread_send_message(&a->answers, &p->message);
    atomic_fetch_sub(&a->senders, 1); /* p belongs to the control thread now; after this, a too */
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
        INVARIANT(messages->next != &message->link);
        INVARIANT(p->admin->unanswered > 0);
        p->admin->unanswered--;
        answer_purge(p);
        free(p);
    }
}

static bool scope_of(const char *url, uint64_t *scope_out)
{
    struct brim_uri uri;
    char text[KEY_TEXT_MAX];
    size_t len;

    *scope_out = 0;
    if (url == NULL || !brim_uri_parse(brim_str_of(url), &uri))
        return false;
    len = brim_uri_key_text(uri.scheme, uri.authority, uri.target, text, sizeof(text));
    *scope_out = brim_purge_scope_url(brim_str(text, len));
    return len > 0;
}

/* What a typing error in a member's name would turn into must not happen: "sotf" would purge hard,
 * so that unknown members are refused. */
static bool has_only_known(json_t *body, struct wrong *wrong)
{
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        if (strcmp(name, "url") == 0 || strcmp(name, "urls") == 0)
            continue;
        if (strcmp(name, "soft") != 0)
            set_wrong(wrong, "unknown member \"%.64s\"", name);
        else if (!json_is_boolean(value))
            set_wrong(wrong, "\"soft\" is neither true nor false");
    }
    return wrong->text[0] == '\0';
}

/* The list of URLs: that of "urls", or one made of "url". The caller drops it. */
static json_t *urls_of(json_t *body, struct wrong *wrong)
{
    json_t *one = json_object_get(body, "url"), *many = json_object_get(body, "urls");

    if (!json_is_object(body))
        set_wrong(wrong, "the body is not an object");
    else if ((one == NULL) == (many == NULL))
        set_wrong(wrong, "either \"url\" or \"urls\" must be there");
    else if (many != NULL && !json_is_array(many))
        set_wrong(wrong, "\"urls\" is not a list");
    else if (many != NULL && json_array_size(many) == 0)
        set_wrong(wrong, "\"urls\" is empty");
    else if (many != NULL && json_array_size(many) > URLS_MAX)
        set_wrong(wrong, "\"urls\" has %zu members, more than %u", json_array_size(many), URLS_MAX);
    if (wrong->text[0] != '\0')
        return NULL;
    return many != NULL ? json_incref(many) : json_pack("[O]", one);
}

/* The purge that a body asks for, or NULL with what is wrong. */
static struct purge *purge_of(json_t *body, struct wrong *wrong)
{
    json_t *urls = has_only_known(body, wrong) ? urls_of(body, wrong) : NULL;
    size_t count = json_array_size(urls);
    struct purge *p = urls == NULL ? NULL : calloc(1, sizeof(*p) + count * sizeof(p->scopes[0]));

    if (p == NULL) {
        set_wrong(wrong, "out of memory");
        goto out;
    }
    p->count = count;
    p->kind = json_is_true(json_object_get(body, "soft")) ? BRIM_PURGE_SOFT : BRIM_PURGE_HARD;
    for (size_t i = 0; i < count && wrong->text[0] == '\0'; i++)
        if (!scope_of(json_string_value(json_array_get(urls, i)), &p->scopes[i]))
            set_wrong(wrong, "URL number %zu is not an absolute http or https URL", i + 1);
    if (wrong->text[0] != '\0') {
        free(p);
        p = NULL;
    }
out:
    json_decref(urls);
    return p;
}

/* Takes p. */
static void start_purge(struct brim_admin *a, h2o_req_t *req, struct purge *p)
{
    enum brim_err err = BRIM_ECLOSED;

    p->admin = a;
    p->req = req;
    p->job.run = run_purge;
    p->back = h2o_mem_alloc_shared(&req->pool, sizeof(struct purge *), on_asker_gone);
    *p->back = p;
    atomic_fetch_add(&a->senders, 1);
    if (!atomic_load(&a->is_closing))
        err = brim_pool_submit(a->config.pool, BRIM_JOB_WRITE, &p->job);
    if (err == BRIM_OK) {
        a->unanswered++;
        return;
    }
    atomic_fetch_sub(&a->senders, 1);
    *p->back = NULL;
    free(p);
    send_error(req, 503, err == BRIM_ECLOSED ? "the node ends" : "the I/O queue is full",
               "repeat the call");
}

static void call_purge(struct brim_admin *a, h2o_req_t *req)
{
    static const char accepted[] = "{\"url\": \"http://host/path\"} or {\"urls\": [up to 10000]}, "
                                   "and \"soft\": true or false";
    struct wrong wrong = {.text = ""};
    struct purge *p = NULL;
    json_error_t error;
    json_t *body;

    /* Depth is bounded by jansson (2048), size by BODY_BYTES_MAX. */
    body =
        json_loadb(req->entity.base == NULL ? "" : req->entity.base,
                   req->entity.base == NULL ? 0 : req->entity.len, JSON_REJECT_DUPLICATES, &error);
    if (body == NULL)
        set_wrong(&wrong, "the body is not JSON: line %d, column %d", error.line, error.column);
    else
        p = purge_of(body, &wrong);
    json_decref(body);
    if (p == NULL)
        send_error(req, 400, wrong.text, accepted);
    else
        start_purge(a, req, p);
}

/* ---- dispatch ---- */

static const struct call {
    const char *method; /* GET answers HEAD too */
    const char *path;
    void (*run)(struct brim_admin *a, h2o_req_t *req);
} calls[] = {
    {"GET", "/healthz", call_health},  {"GET", "/readyz", call_ready},
    {"GET", "/metrics", call_metrics}, {"GET", "/stats", call_stats},
    {"POST", "/purge", call_purge},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static struct brim_str str_of(h2o_iovec_t text)
{
    return brim_str(text.base, text.len);
}

static void send_not_found(h2o_req_t *req)
{
    char accepted[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < CALLS && len < sizeof(accepted); i++) {
        int n = snprintf(accepted + len, sizeof(accepted) - len, "%s%s %s", i == 0 ? "" : ", ",
                         calls[i].method, calls[i].path);
        len += n > 0 ? (size_t)n : 0;
    }
    send_error(req, 404, "no such call", accepted);
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
    send_error(req, 405, "method not allowed here", allowed);
}

static void dispatch(struct brim_admin *a, h2o_req_t *req)
{
    struct brim_str path = str_of(req->input.path);
    struct brim_str method = str_of(req->input.method);
    bool is_path = false;

    if (brim_str_is(method, BRIM_STR("HEAD")))
        method = BRIM_STR("GET");
    if (req->input.query_at != SIZE_MAX)
        path.len = req->input.query_at;
    for (size_t i = 0; i < CALLS; i++) {
        if (!brim_str_is(path, brim_str_of(calls[i].path)))
            continue;
        is_path = true;
        if (brim_str_is(method, brim_str_of(calls[i].method))) {
            calls[i].run(a, req);
            return;
        }
    }
    if (is_path)
        send_not_allowed(req, path);
    else
        send_not_found(req);
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

/* The raw header block stands at the front of the socket's input; see serve/guard. */
static struct brim_guard_refusal scan(h2o_req_t *req)
{
    static const struct brim_guard_limits limits = {.header_bytes_max = HEADER_BYTES_MAX,
                                                    .header_count_max = HEADER_COUNT_MAX,
                                                    .target_bytes_max = TARGET_BYTES_MAX};
    const h2o_buffer_t *input = req->conn->callbacks->get_socket(req->conn)->input;

    return brim_guard_scan_h1(brim_str(input->bytes, input->size), &limits);
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
    } else if (!a->is_unix && !is_loopback(str_of(req->input.authority))) {
        send_error(req, 403, "the Host field is not this listener's",
                   "localhost, 127.x.x.x or [::1]");
    } else if (req->entity.base != NULL && req->entity.len > BODY_BYTES_MAX) {
        send_error(req, 413, "the body is too large", "up to 4 MiB");
    } else {
        dispatch(a, req);
    }
    return 0;
}

/* ---- connections ---- */

static void on_closed(void *data)
{
    struct connection *c = data;

    INVARIANT(c->admin->connection_count > 0);
    c->admin->connection_count--;
    h2o_linklist_unlink(&c->link);
    free(c);
}

/* The socket closes on a later turn, whatever it waits for. */
static void kill_connection(struct connection *c)
{
    (void)shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    struct brim_admin *a = listener->data;
    struct connection *c;
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
    if (a->connection_count >= CONNECTIONS_MAX) {
        h2o_socket_close(sock);
        return;
    }
    c = brim_alloc(sizeof(*c));
    c->admin = a;
    c->sock = sock;
    c->answered_mono_ms = brim_clock_mono_ms();
    h2o_linklist_insert(&a->connections, &c->link);
    a->connection_count++;
    sock->on_close.cb = on_closed;
    sock->on_close.data = c;
    h2o_http1_accept(&a->accept, sock, *h2o_get_timestamp(&a->ctx, NULL, NULL));
}

/* Once a turn: ends connections whose answer nobody takes, accepts again after a pause. */
static void sweep(struct brim_admin *a)
{
    uint64_t now_ms = brim_clock_mono_ms();

    for (h2o_linklist_t *at = a->connections.next; at != &a->connections; at = at->next) {
        struct connection *c = H2O_STRUCT_FROM_MEMBER(struct connection, link, at);

        if (h2o_socket_is_writing(c->sock) && now_ms >= c->answered_mono_ms + ANSWER_MS)
            kill_connection(c);
    }
    if (a->accept_again_ms != 0 && now_ms >= a->accept_again_ms) {
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
    a->accept.ctx = &a->ctx;
    a->accept.hosts = a->conf.hosts;
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
    }
}

static void *admin_main(void *arg)
{
    struct brim_admin *a = arg;

    pthread_setname_np(pthread_self(), "brim-control");
    run_calls(a);
    h2o_socket_read_stop(a->listener);
    h2o_socket_close(a->listener);
    for (h2o_linklist_t *at = a->connections.next; at != &a->connections; at = at->next)
        kill_connection(H2O_STRUCT_FROM_MEMBER(struct connection, link, at));
    for (unsigned i = 0; i < END_TURNS && a->connection_count > 0; i++)
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
    a->started_mono_ms = brim_clock_mono_ms();
    h2o_linklist_init_anchor(&a->connections);
    err = open_loop(a);
    if (err != BRIM_OK)
        goto out;
    err = start_thread(a);
    if (err != BRIM_OK) {
        h2o_socket_read_stop(a->listener);
        h2o_socket_close(a->listener);
        close_loop(a);
    }
out:
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
    if (a->connection_count > 0) {
        BRIM_LOG(WARN, "admin.stuck", "connections=%u", a->connection_count);
        return; /* they point into it: left to the end of the process */
    }
    close_loop(a);
    a->magic = 0;
    free(a);
}
