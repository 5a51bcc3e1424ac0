/* SPDX-License-Identifier: MIT */
/*
 * The way of a connection before its first request:
 *
 *   accept -> (PROXY header) -> TLS handshake -> ALPN ----> h2:       guard, h2o_http2_accept
 *                           \-> sniff (cleartext) ------/-> http/1.1: h2o_http1_accept
 *
 * h2o_accept() is not used: the guard has to stand between the socket and h2o's HTTP/2 code before
 * the first frame is parsed, and h2o would take bytes that are already there at once.
 *
 * Accepting pauses where the node has all the connections it may have, or no descriptor is left;
 * clients then wait in the kernel's queue. A pause ends with the next tick that finds room, because
 * what makes room may happen on another worker.
 */
#include "brim/serve/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <h2o/http1.h>
#include <h2o/http2.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/policy/access.h"
#include "brim/serve/conns.h"
#include "brim/serve/proxy_protocol.h"
#include "brim/serve/tls.h"
#include "brim/serve/tls_client.h"

#define LISTENERS_MAGIC   0x6c73746eu
#define ACCEPTS_PER_EVENT 16 /* then others have their turn */
#define PREFACE           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_BYTES     (sizeof(PREFACE) - 1)
#define TLS_RECORD_BYTES  16384

struct listening {
    struct brim_listeners *owner;
    h2o_socket_t *sock; /* NULL once stopped */
    SSL_CTX *tls;
    uint16_t port;
    uint8_t position;
};

struct brim_listeners {
    uint32_t magic;
    struct brim_listeners_config config;
    h2o_accept_ctx_t accept_ctx;
    struct brim_conns *conns;
    struct brim_access *
        *proxies; /* by position: whose PROXY headers count; NULL: nobody sends any */
    size_t positions;
    struct listening *items;
    size_t count;
    int reserve_fd; /* given up to get at a connection when no descriptor is left; -1: none */
    bool is_paused;
};

static struct brim_listeners *owner_of(const struct brim_conn *conn, h2o_socket_t *sock)
{
    struct brim_listeners *listeners = sock->data;

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    return listeners;
}

/* ---- protocols ---- */

static struct timeval now_of(struct brim_listeners *listeners)
{
    return *h2o_get_timestamp(listeners->config.ctx, NULL, NULL);
}

static void begin_h1(struct brim_listeners *listeners, struct brim_conn *conn)
{
    h2o_socket_t *sock = conn->sock;

    conn->phase = BRIM_CONN_HTTP1;
    if (conn->is_tls) {
        /* Else h2o cuts the first 200 KB of a connection into records of 1.4 KB, which helps a page
         * that renders as it comes and costs a quarter of the throughput of everything else. */
        sock->_latency_optimization.state = H2O_SOCKET_LATENCY_OPTIMIZATION_STATE_NEEDS_UPDATE;
        sock->_latency_optimization.suggested_tls_payload_size = TLS_RECORD_BYTES;
        sock->_latency_optimization.suggested_write_size = SIZE_MAX;
    }
    brim_conn_enter(conn);
    h2o_http1_accept(&listeners->accept_ctx, sock, now_of(listeners)); /* may have closed it */
    brim_guard_h1_install(conn);
    brim_conn_leave(conn);
}

/* A handshake ends while the node drains. h2o tells each connection that is there when a drain
 * begins, and only those, so it has to be had do it again. */
static void say_goodbye(h2o_context_t *ctx)
{
    h2o_timeout_unlink(&ctx->http2._graceful_shutdown_timeout);
    ctx->http2._graceful_shutdown_timeout.cb = NULL;
    h2o_context_request_shutdown(ctx);
}

static void begin_h2(struct brim_listeners *listeners, struct brim_conn *conn)
{
    h2o_socket_t *sock = conn->sock;
    h2o_buffer_t *early = sock->input;

    conn->phase = BRIM_CONN_HTTP2;
    conn->is_h2 = true;
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    h2o_http2_accept(&listeners->accept_ctx, sock, now_of(listeners));
    brim_guard_h2_install(conn, early);
    if (listeners->config.ctx->shutdown_requested)
        say_goodbye(listeners->config.ctx);
}

static void count_handshake(h2o_socket_t *sock)
{
    const char *version = h2o_socket_get_ssl_protocol_version(sock);
    bool is_resumed = h2o_socket_get_ssl_session_reused(sock) == 1;

    if (strcmp(version, "TLSv1.3") == 0)
        brim_metric_add(is_resumed ? BRIM_METRIC_TLS_13_RESUMED : BRIM_METRIC_TLS_13_FULL, 1);
    else /* nothing older than 1.2 is spoken */
        brim_metric_add(is_resumed ? BRIM_METRIC_TLS_12_RESUMED : BRIM_METRIC_TLS_12_FULL, 1);
}

/* h2o does not show its SSL; a callback of OpenSSL's is given it, and the BIO knows the socket. */
static void on_tls_info(const SSL *ssl, int where, int ret)
{
    h2o_socket_t *sock;
    struct brim_conn *conn;

    (void)ret;
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0)
        return;
    sock = BIO_get_data(SSL_get_rbio(ssl));
    conn = sock->on_close.data;
    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    if (conn->client_fingerprint == NULL) {
        conn->client_subject = brim_tls_client_subject(ssl);
        conn->client_fingerprint = brim_tls_client_fingerprint(ssl);
    }
    conn->shown = brim_tls_shown(ssl);
}

static void on_handshake(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = sock->on_close.data;
    struct brim_listeners *listeners = owner_of(conn, sock);
    h2o_iovec_t protocol;

    if (err != NULL) {
        BRIM_COUNT(CONN_TLS_FAILED);
        h2o_socket_close(sock);
        return;
    }
    count_handshake(sock);
    protocol = h2o_socket_ssl_get_selected_protocol(sock);
    if (brim_str_is(brim_str(protocol.base, protocol.len), BRIM_STR("h2")))
        begin_h2(listeners, conn);
    else
        begin_h1(listeners, conn);
}

/* HTTP/2 by prior knowledge begins with the preface; no HTTP/1 method shares more than "PR" with
 * it, so nobody waits here for long. */
static void on_sniff(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = sock->on_close.data;
    struct brim_listeners *listeners = owner_of(conn, sock);
    size_t len = sock->input->size < PREFACE_BYTES ? sock->input->size : PREFACE_BYTES;

    if (err != NULL)
        h2o_socket_close(sock);
    else if (len == 0)
        return;
    else if (memcmp(sock->input->bytes, PREFACE, len) != 0)
        begin_h1(listeners, conn);
    else if (len == PREFACE_BYTES)
        begin_h2(listeners, conn);
}

/* From here on conn->peer is the client. Bytes of its may be there already. */
static void begin(struct brim_listeners *listeners, struct brim_conn *conn)
{
    h2o_socket_t *sock = conn->sock;

    if (!brim_conns_admit(conn))
        return;
    if (conn->is_tls) {
        conn->phase = BRIM_CONN_HANDSHAKE;
        SSL_CTX_set_info_callback(listeners->config.tls[conn->listener], on_tls_info);
        h2o_socket_ssl_handshake(sock, listeners->config.tls[conn->listener], NULL, on_handshake);
        return;
    }
    h2o_socket_read_start(sock, on_sniff);
    if (sock->input->size > 0)
        on_sniff(sock, NULL);
}

/* ---- PROXY protocol ---- */

static void refuse_proxied(struct brim_conn *conn, const char *reason)
{
    BRIM_COUNT(PROXY_REFUSED);
    BRIM_LOG(WARN, "listener.proxy_refused", "peer=%s listener=%u reason=\"%s\"", conn->peer_text,
             conn->listener, reason);
    h2o_socket_close(conn->sock);
}

static void on_proxy(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = sock->on_close.data;
    struct brim_listeners *listeners = owner_of(conn, sock);
    struct brim_proxy_header header =
        brim_proxy_protocol_read(brim_str(sock->input->bytes, sock->input->size));

    if (err != NULL) {
        h2o_socket_close(sock);
        return;
    }
    if (header.state == BRIM_PROXY_MORE)
        return;
    if (header.state == BRIM_PROXY_BAD) {
        refuse_proxied(conn, "it is no PROXY header");
        return;
    }
    h2o_socket_read_stop(sock);
    h2o_buffer_consume(&sock->input, header.len);
    if (header.state == BRIM_PROXY_ADDRESS)
        brim_conns_set_peer(conn, &header.client);
    begin(listeners, conn);
}

/* Who could send one and is not trusted could be anybody; who is trusted and sends none would be
 * taken for his own client. Both are refused. */
static void begin_proxied(struct brim_listeners *listeners, struct brim_conn *conn)
{
    const struct sockaddr *peer = (const struct sockaddr *)&conn->peer;

    if (!brim_access_allows(listeners->proxies[conn->listener], peer)) {
        refuse_proxied(conn, "not in proxy_protocol");
        return;
    }
    conn->phase = BRIM_CONN_SNIFF;
    h2o_socket_read_start(conn->sock, on_proxy);
}

/* ---- accepting ---- */

static void on_accept(h2o_socket_t *sock, const char *err);

static void pause_accepting(struct brim_listeners *listeners)
{
    listeners->is_paused = true;
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].sock != NULL && h2o_socket_is_reading(listeners->items[i].sock))
            h2o_socket_read_stop(listeners->items[i].sock);
}

static bool has_room(const struct brim_listeners *listeners)
{
    return atomic_load_explicit(listeners->config.connections, memory_order_relaxed) <
           listeners->config.conf->limits.connections;
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_tick(void *ctx)
{
    struct brim_listeners *listeners = ctx;

    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    if (!listeners->is_paused || !has_room(listeners))
        return;
    if (listeners->reserve_fd == -1)
        listeners->reserve_fd = open_reserve();
    if (listeners->reserve_fd == -1)
        return;
    listeners->is_paused = false;
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].sock != NULL)
            h2o_socket_read_start(listeners->items[i].sock, on_accept);
}

/* No descriptor is left. The reserve takes one client out of the queue and tells it to go, which is
 * better than to let it wait for what may not come; then accepting pauses. */
static void shed(struct brim_listeners *listeners, struct listening *from)
{
    int fd;

    BRIM_LOG(ERROR, "listener.descriptors", "errno=%d listener=%u", errno, from->position);
    if (listeners->reserve_fd != -1) {
        close(listeners->reserve_fd);
        fd = accept4(h2o_socket_get_fd(from->sock), NULL, NULL, SOCK_CLOEXEC);
        if (fd != -1)
            close(fd);
        listeners->reserve_fd = open_reserve();
    }
    pause_accepting(listeners);
}

/* accept(2) failed. Returns whether to go on with the next client. */
static bool survive_accept(struct brim_listeners *listeners, struct listening *from)
{
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        shed(listeners, from);
        return false;
    case ENOBUFS:
    case ENOMEM:
        BRIM_LOG(ERROR, "listener.memory", "errno=%d listener=%u", errno, from->position);
        pause_accepting(listeners);
        return false;
    default:
        return true; /* ECONNABORTED and its kin: that client has gone, the next may be there */
    }
}

static void take_client(struct brim_listeners *listeners, struct listening *from,
                        h2o_socket_t *sock)
{
    bool is_tls = from->tls != NULL;
    struct brim_conn *conn =
        brim_conns_adopt(listeners->conns, sock, is_tls ? BRIM_CONN_HANDSHAKE : BRIM_CONN_SNIFF);

    conn->listener = from->position;
    conn->local_port = from->port;
    conn->is_tls = is_tls;
    sock->data = listeners; /* until a protocol takes it over */
    if (listeners->proxies[from->position] != NULL)
        begin_proxied(listeners, conn);
    else
        begin(listeners, conn);
}

static void on_accept(h2o_socket_t *sock, const char *err)
{
    struct listening *from = sock->data;
    struct brim_listeners *listeners = from->owner;

    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    if (err != NULL)
        return;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        h2o_socket_t *client;

        if (!has_room(listeners)) {
            BRIM_LOG(WARN, "listener.full", "connections=%lld",
                     (long long)listeners->config.conf->limits.connections);
            pause_accepting(listeners);
            return;
        }
        client = h2o_evloop_socket_accept(sock);
        if (client != NULL)
            take_client(listeners, from, client);
        else if (!survive_accept(listeners, from))
            return;
    }
}

/* ---- life ---- */

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

static enum brim_err listen_on(struct brim_listeners *listeners, size_t position, int socket)
{
    struct listening *item = &listeners->items[listeners->count];
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);

    if (fd == -1) {
        BRIM_LOG(ERROR, "listener.open", "errno=%d listener=%zu", errno, position);
        return BRIM_EIO;
    }
    item->owner = listeners;
    item->position = (uint8_t)position;
    item->port = port_of(fd);
    item->tls = listeners->config.tls == NULL ? NULL : listeners->config.tls[position];
    item->sock =
        h2o_evloop_socket_create(listeners->config.ctx->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    item->sock->data = item;
    h2o_socket_read_start(item->sock, on_accept);
    listeners->count++;
    return BRIM_OK;
}

/* Every socket of the worker's: see sockets.h. */
static enum brim_err listen_at(struct brim_listeners *listeners, size_t position)
{
    const struct brim_sockets *sockets = listeners->config.sockets;
    const int *fds = sockets->fds + position * sockets->slots;
    enum brim_err err = BRIM_OK;

    for (size_t i = listeners->config.worker; i < sockets->slots && err == BRIM_OK;
         i += sockets->workers)
        if (fds[i] != -1)
            err = listen_on(listeners, position, fds[i]);
    return err;
}

static enum brim_err compile_proxies(struct brim_listeners *listeners)
{
    const struct brim_conf_root *conf = listeners->config.conf;
    enum brim_err err = BRIM_OK;

    listeners->positions = listeners->config.sockets->listeners;
    listeners->proxies = brim_alloc(listeners->positions * sizeof(struct brim_access *));
    for (size_t i = 0; i < conf->listeners.count && i < listeners->positions; i++) {
        const struct brim_conf_access rule = {.allow = conf->listeners.items[i].proxy_protocol};

        if (err == BRIM_OK)
            err = brim_access_compile(&rule, &listeners->proxies[i]);
    }
    return err;
}

enum brim_err brim_listeners_open(const struct brim_listeners_config *config,
                                  struct brim_listeners **listeners_out)
{
    struct brim_listeners *listeners = brim_alloc(sizeof(*listeners));
    struct brim_conns_config conns = {
        .loop = config->ctx->loop,
        .timeouts = &config->conf->timeouts,
        .limits = &config->conf->limits,
        .clients = config->clients,
        .connections = config->connections,
        .on_tick = on_tick,
        .ctx = listeners,
    };
    enum brim_err err;

    *listeners_out = NULL;
    INVARIANT(config->worker < config->sockets->workers);
    INVARIANT(config->sockets->listeners <= UINT8_MAX);
    listeners->magic = LISTENERS_MAGIC;
    listeners->config = *config;
    listeners->accept_ctx = (h2o_accept_ctx_t){.ctx = config->ctx, .hosts = config->hosts};
    listeners->items =
        brim_alloc(config->sockets->listeners * config->sockets->slots * sizeof(*listeners->items));
    listeners->reserve_fd = open_reserve();
    err = brim_conns_open(&conns, &listeners->conns);
    if (err == BRIM_OK)
        err = compile_proxies(listeners);
    for (size_t i = 0; i < config->sockets->listeners && err == BRIM_OK; i++)
        err = listen_at(listeners, i);
    if (err == BRIM_OK) {
        *listeners_out = listeners;
    } else {
        brim_listeners_stop(listeners);
        brim_listeners_close(listeners);
    }
    return err;
}

void brim_listeners_stop(struct brim_listeners *listeners)
{
    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->items[i].sock != NULL)
            h2o_socket_close(listeners->items[i].sock);
        listeners->items[i].sock = NULL;
    }
}

void brim_listeners_end_idle(struct brim_listeners *listeners)
{
    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    brim_conns_end_idle(listeners->conns);
}

size_t brim_listeners_connections(const struct brim_listeners *listeners)
{
    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    return brim_conns_count(listeners->conns);
}

void brim_listeners_kill(struct brim_listeners *listeners)
{
    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    brim_conns_kill(listeners->conns);
}

void brim_listeners_close(struct brim_listeners *listeners)
{
    OBJ_CHECK(listeners, LISTENERS_MAGIC);
    brim_conns_close(listeners->conns);
    if (listeners->reserve_fd != -1)
        close(listeners->reserve_fd);
    for (size_t i = 0; i < listeners->positions; i++)
        brim_access_free(listeners->proxies[i]);
    free(listeners->proxies);
    free(listeners->items);
    listeners->magic = 0;
    free(listeners);
}
