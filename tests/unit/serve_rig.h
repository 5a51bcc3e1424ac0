/* SPDX-License-Identifier: MIT */
/*
 * serve_rig - a small server in a child process, on a loopback port that the kernel chose: h2o with
 * brim's listener, guard and sweep in front of it, or with nothing, to show what that is good for.
 *
 * Paths: /      1 KiB at once            /two   1 KiB, and 1 KiB more when that has left
 *        /big   16 MiB, 64 KiB a send    /wait  no answer
 *        /peer  the client's address     /drain like /, and h2o begins to shut down
 *        /head  like /, and 16 KiB field other  404
 */
#ifndef BRIM_TESTS_SERVE_RIG_H
#define BRIM_TESTS_SERVE_RIG_H

#include <errno.h>
#include <h2o.h>
#include <h2o/http2.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../fault/h2_raw.h"
#include "brim/base/clock.h"
#include "brim/base/metric.h"
#include "brim/serve/guard.h"
#include "brim/serve/listener.h"
#include "unit.h"

/* What the child has seen, in memory that it shares. */
struct rig_seen {
    _Atomic unsigned requests;
    _Atomic unsigned turn_requests; /* that began in this turn */
    _Atomic unsigned most;          /* that began in one */
};

enum rig_kind { RIG_GUARDED, RIG_BARE };

#define RIG_BODY_BYTES 1024u
#define RIG_HEAD_BYTES 16384u
#define RIG_SEND_BYTES 65536u
#define RIG_BIG_BYTES  (16u * 1024 * 1024)

struct rig {
    enum rig_kind kind;
    struct brim_conf_root conf;
    SSL_CTX *tls; /* NULL: cleartext */
    int fd;
    uint16_t port;
    pid_t pid;
    struct rig_seen *seen;
};

/* The state of one request in the child. */
struct rig_request {
    h2o_generator_t generator;
    struct brim_conn_request link;
    struct brim_conn *conn; /* NULL without the guard */
    h2o_req_t *req;
    size_t left;
    size_t piece;
};

static char rig_body[RIG_SEND_BYTES];

static inline void rig_conf(struct rig *rig)
{
    rig->conf.limits.request_header_bytes = 32768;
    rig->conf.limits.request_header_count = 100;
    rig->conf.limits.target_bytes = 8192;
    rig->conf.limits.connections = 1000;
    rig->conf.limits.connection_bodies_bytes = 1 << 20;
    rig->conf.limits.request_rate_bytes = 128;
    rig->conf.limits.response_rate_bytes = 128;
    rig->conf.abuse.window_ms = 60000;
    rig->conf.abuse.ban_ms = 60000;
    rig->conf.timeouts.handshake_ms = 10000;
    rig->conf.timeouts.request_ms = 30000;
    rig->conf.timeouts.idle_ms = 60000;
    rig->conf.timeouts.write_ms = 60000;
}

static inline void rig_send(struct rig_request *r)
{
    h2o_iovec_t body = {rig_body, r->left < r->piece ? r->left : r->piece};

    r->left -= body.len;
    brim_conn_request_send_begin(&r->link);
    h2o_send(r->req, &body, body.len > 0,
             r->left == 0 ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static inline void rig_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct rig_request *r = H2O_STRUCT_FROM_MEMBER(struct rig_request, generator, generator);

    (void)req;
    brim_conn_request_send_end(&r->link);
    if (r->left > 0)
        rig_send(r);
}

static inline void rig_answer(struct rig_request *r, int status, size_t len, size_t piece)
{
    r->req->res.status = status;
    r->req->res.reason = "Rig";
    r->req->res.content_length = len;
    r->left = len;
    r->piece = piece;
    r->link.responding = true;
    h2o_start_response(r->req, &r->generator);
    rig_send(r);
}

static inline void rig_abort(struct brim_conn_request *link)
{
    struct rig_request *r = H2O_STRUCT_FROM_MEMBER(struct rig_request, link, link);

    if (r->link.responding)
        return;
    r->req->http1_is_persistent = 0;
    rig_answer(r, 408, 0, RIG_BODY_BYTES);
}

static inline void rig_dispose(void *memory)
{
    struct rig_request *r = memory;

    if (r->conn == NULL)
        return;
    if (!r->link.responding)
        brim_guard_count_cancelled(r->conn);
    brim_conn_request_remove(r->conn, &r->link);
}

static inline struct brim_guard_refusal rig_check(struct rig *rig, h2o_req_t *req)
{
    struct brim_guard_limits limits = {rig->conf.limits.request_header_bytes,
                                       (size_t)rig->conf.limits.request_header_count,
                                       rig->conf.limits.target_bytes};
    struct brim_field *fields =
        h2o_mem_alloc_pool(&req->pool, (req->headers.size + 1) * sizeof(*fields));

    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *header = &req->headers.entries[i];

        fields[i].name = brim_str(header->name->base, header->name->len);
        fields[i].value = brim_str(header->value.base, header->value.len);
    }
    return brim_guard_check(req, (struct brim_fields){fields, req->headers.size}, &limits);
}

static inline bool rig_path_is(const h2o_req_t *req, const char *path)
{
    return brim_str_is(brim_str(req->input.path.base, req->input.path.len), brim_str_of(path));
}

struct rig_handler {
    h2o_handler_t super;
    struct rig *rig;
};

static inline void rig_count_request(struct rig_seen *seen)
{
    seen->requests++;
    if (++seen->turn_requests > seen->most)
        seen->most = seen->turn_requests;
}

static inline int rig_on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    struct rig *rig = ((struct rig_handler *)handler)->rig;
    struct rig_request *r = h2o_mem_alloc_shared(&req->pool, sizeof(*r), rig_dispose);
    struct brim_guard_refusal bad = {0, NULL};

    rig_count_request(rig->seen);
    memset(r, 0, sizeof(*r));
    r->req = req;
    r->generator.proceed = rig_proceed;
    r->link.abort = rig_abort;
    if (rig->kind == RIG_GUARDED) {
        r->conn = brim_conn_of(req);
        brim_conn_request_add(r->conn, &r->link);
        bad = rig_check(rig, req);
    }
    if (rig_path_is(req, "/head"))
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-head"), 0, NULL,
                              rig_body, RIG_HEAD_BYTES);
    if (rig_path_is(req, "/drain"))
        h2o_context_request_shutdown(req->conn->ctx);
    if (bad.status != 0) {
        req->http1_is_persistent = 0;
        rig_answer(r, (int)bad.status, 0, RIG_BODY_BYTES);
    } else if (rig_path_is(req, "/") || rig_path_is(req, "/drain") || rig_path_is(req, "/head")) {
        rig_answer(r, 200, RIG_BODY_BYTES, RIG_BODY_BYTES);
    } else if (rig_path_is(req, "/two")) {
        rig_answer(r, 200, 2 * RIG_BODY_BYTES, RIG_BODY_BYTES);
    } else if (rig_path_is(req, "/big")) {
        rig_answer(r, 200, RIG_BIG_BYTES, RIG_SEND_BYTES);
    } else if (rig_path_is(req, "/peer") && r->conn != NULL) {
        memcpy(rig_body, r->conn->peer_text, strlen(r->conn->peer_text));
        rig_answer(r, 200, strlen(r->conn->peer_text), RIG_BODY_BYTES);
    } else if (!rig_path_is(req, "/wait")) {
        rig_answer(r, 404, 0, RIG_BODY_BYTES);
    }
    return 0;
}

static inline void rig_on_bare_accept(h2o_socket_t *listener, const char *err)
{
    h2o_socket_t *sock;

    if (err == NULL && (sock = h2o_evloop_socket_accept(listener)) != NULL)
        h2o_accept(listener->data, sock);
}

static inline void rig_listen(struct rig *rig, h2o_context_t *ctx, h2o_globalconf_t *conf)
{
    static h2o_accept_ctx_t accept_ctx;
    static struct brim_sockets sockets;
    static struct brim_listeners *listeners;
    static _Atomic int64_t connections;
    h2o_socket_t *sock;

    if (rig->kind == RIG_BARE) {
        accept_ctx = (h2o_accept_ctx_t){.ctx = ctx, .hosts = conf->hosts};
        sock = h2o_evloop_socket_create(ctx->loop, rig->fd, H2O_SOCKET_FLAG_DONT_READ);
        sock->data = &accept_ctx;
        h2o_socket_read_start(sock, rig_on_bare_accept);
        return;
    }
    sockets = (struct brim_sockets){&rig->fd, 1, 1, 1, -1};
    struct brim_listeners_config config = {
        .conf = &rig->conf,
        .sockets = &sockets,
        .tls = &rig->tls,
        .ctx = ctx,
        .hosts = conf->hosts,
        .connections = &connections,
        .clients = brim_clients_open(&rig->conf.limits, &rig->conf.abuse),
    };
    if (brim_listeners_open(&config, &listeners) != BRIM_OK)
        abort();
}

static inline void rig_run(struct rig *rig)
{
    static h2o_globalconf_t conf;
    static h2o_context_t ctx;
    h2o_hostconf_t *host;
    struct rig_handler *handler;
    FILE *quiet = freopen("/dev/null", "w", stderr); /* h2o prints what clients send */

    (void)quiet;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    h2o_config_init(&conf);
    host = h2o_config_register_host(&conf, h2o_iovec_init(H2O_STRLIT("brim.invalid")), 65535);
    handler = (struct rig_handler *)h2o_create_handler(h2o_config_register_path(host, "/", 0),
                                                       sizeof(*handler));
    handler->super.on_req = rig_on_request;
    handler->rig = rig;
    if (rig->kind == RIG_GUARDED) {
        conf.http1.upgrade_to_http2 = 0;
        conf.http1.req_timeout = 3600000;
        if (rig->conf.limits.request_body_bytes > 0) /* else h2o's, 1 GiB */
            conf.max_request_entity_size = rig->conf.limits.request_body_bytes;
    }
    h2o_context_init(&ctx, h2o_evloop_create(), &conf);
    rig_listen(rig, &ctx, &conf);
    while (h2o_evloop_run(ctx.loop, 1000) == 0 || errno == EINTR) /* a test may stop it a while */
        rig->seen->turn_requests = 0;
    _exit(1);
}

/* Binds, so that clients may connect, and starts the child. */
static inline void rig_start(struct rig *rig, enum rig_kind kind)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    const char *why = NULL;

    rig->kind = kind;
    memset(rig_body, 'b', sizeof(rig_body));
    ck_assert_msg(brim_sockets_bind_address("127.0.0.1:0", 1, &rig->fd, &why) == BRIM_OK, "%s",
                  why);
    ck_assert_int_eq(getsockname(rig->fd, (struct sockaddr *)&address, &len), 0);
    rig->port = ntohs(address.sin_port);
    rig->seen =
        mmap(NULL, sizeof(*rig->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(rig->seen, MAP_FAILED);
    fflush(NULL);
    rig->pid = fork();
    ck_assert_int_ge(rig->pid, 0);
    if (rig->pid == 0)
        rig_run(rig);
    close(rig->fd);
}

/* Ends the child. Returns the signal that had ended it before, or 0. */
static inline int rig_stop(struct rig *rig)
{
    int status = 0;

    if (waitpid(rig->pid, &status, WNOHANG) == 0) {
        kill(rig->pid, SIGKILL);
        waitpid(rig->pid, &status, 0);
        return 0;
    }
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

/* Waits for a child that is about to die by itself; returns the signal. */
static inline int rig_wait_death(struct rig *rig)
{
    int status = 0;

    waitpid(rig->pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

/* Resident memory of the child now, or at its highest ("VmRSS:", "VmHWM:"), in KiB. */
static inline long rig_memory_kib(const struct rig *rig, const char *field)
{
    char path[64], line[256];
    long value = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)rig->pid);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            value = strtol(line + strlen(field), NULL, 10);
    if (file != NULL)
        fclose(file);
    return value;
}

#endif
