/* SPDX-License-Identifier: MIT */
/*
 * The connections form a ring, and a cursor walks it: with every tick a slice of it is looked at,
 * so that a worker with very many connections does not stop for all of them at once, and a new one,
 * which enters behind the cursor, has a whole second before its first look.
 *
 * What is ended, and how it is told from a connection that is merely slow:
 *
 *   handshake  older than timeouts.handshake
 *   sniff      nothing that tells its protocol within timeouts.request
 *   stuck      the client owes us a read and takes nothing for timeouts.write. While a write is
 *              blocked, progress is what the kernel got acknowledged: bytes written less bytes
 *              queued. Else, on HTTP/2, a response may hang on a window of zero: progress is that
 *              any send of any request went through. PING and the like do not count.
 *   gone       an HTTP/1 request waits, h2o does not read, and the peer has sent its FIN
 *   block      a header block is open for longer than timeouts.request (h2o times HTTP/1 itself)
 *   idle       HTTP/2 without a request for timeouts.idle, though bytes drip in, which renew
 *              h2o's own idle timeout: a body counts as a request only while it grows
 */
#include "brim/serve/conns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/serve/guard.h"

#define CONNS_MAGIC     0x636f6e73u
#define TICKS_PER_S     4u
#define IDLE_GRACE_MS   1000u  /* h2o's own idle timeout says goodbye: let it go first */
#define DRAIN_GRACE_MS  1000u  /* a client that is about to ask is answered, and told to go */
#define BODY_STEP_BYTES 65536u /* a body that grows by less per timeouts.idle does not grow */

struct brim_conns {
    uint32_t magic;
    struct brim_conns_config config;
    struct brim_conn *cursor; /* next to be looked at; NULL: no connections */
    size_t count;
    h2o_socket_t *timer;
};

/* ---- ring ---- */

static void ring_add(struct brim_conns *conns, struct brim_conn *conn)
{
    conns->count++;
    if (conns->cursor == NULL) {
        conn->next = conn->prev = conn;
        conns->cursor = conn;
        return;
    }
    conn->next = conns->cursor;
    conn->prev = conns->cursor->prev;
    conn->prev->next = conn;
    conn->next->prev = conn;
}

static void ring_remove(struct brim_conns *conns, struct brim_conn *conn)
{
    INVARIANT(conns->count > 0);
    conns->count--;
    if (conns->cursor == conn)
        conns->cursor = conn->next == conn ? NULL : conn->next;
    conn->prev->next = conn->next;
    conn->next->prev = conn->prev;
    conn->next = conn->prev = NULL;
}

/* ---- sweep ---- */

/* Ends a connection that has reached no protocol yet: only its socket is there. */
static void drop(struct brim_conn *conn)
{
    if (conn->phase == BRIM_CONN_HANDSHAKE)
        BRIM_COUNT(CONN_TLS_FAILED);
    h2o_socket_close(conn->sock);
}

static void end(struct brim_conn *conn, const char *reason)
{
    BRIM_COUNT(SWEEP_KILLED);
    BRIM_LOG(INFO, "sweep.ended", "peer=%s reason=\"%s\"", conn->peer_text, reason);
    if (conn->phase == BRIM_CONN_HANDSHAKE || conn->phase == BRIM_CONN_SNIFF)
        drop(conn);
    else
        brim_guard_kill(conn, reason);
}

/* What the peer has acknowledged of what was written, up to a constant. */
static uint64_t acknowledged(const struct brim_conn *conn)
{
    int queued = 0;

    if (ioctl(h2o_socket_get_fd(conn->sock), SIOCOUTQ, &queued) != 0)
        queued = 0;
    return (uint64_t)conn->sock->bytes_written - (uint64_t)queued;
}

/* A mark that changes whenever the client takes something, or 0 if it has nothing to take. */
static uint64_t progress_mark(const struct brim_conn *conn)
{
    uint64_t sends = conn->requests_total;
    bool is_sending = false;

    if (h2o_socket_is_writing(conn->sock))
        return acknowledged(conn) | UINT64_C(1) << 63;
    for (const struct brim_conn_request *r = conn->requests; r != NULL; r = r->next) {
        is_sending |= r->sending;
        sends += r->sends_total;
    }
    return is_sending ? sends | UINT64_C(1) << 62 : 0;
}

static bool is_stuck(struct brim_conn *conn, uint64_t now, uint64_t limit_ms)
{
    uint64_t mark = progress_mark(conn);

    if (mark == 0 || mark != conn->progress_mark) {
        conn->progress_mark = mark;
        conn->progress_mono_ms = now;
        return false;
    }
    return now - conn->progress_mono_ms > limit_ms;
}

/* Whether the client of a waiting HTTP/1 request has closed. A client that only closed its sending
 * half looks the same; nothing tells the two apart, and of the two it is by far the rarer. */
static bool is_gone(const struct brim_conn *conn)
{
    struct pollfd state = {.fd = h2o_socket_get_fd(conn->sock), .events = POLLRDHUP};

    if (conn->requests == NULL || h2o_socket_is_reading(conn->sock) ||
        h2o_socket_is_writing(conn->sock))
        return false;
    return poll(&state, 1, 0) == 1;
}

static bool is_idle(struct brim_conn *conn, uint64_t now, uint64_t limit_ms)
{
    uint64_t mark = conn->requests_total + conn->body_bytes / BODY_STEP_BYTES;

    if (conn->requests_open > 0 || mark != conn->useful_mark) {
        conn->useful_mark = mark;
        conn->useful_mono_ms = now;
        return false;
    }
    return now - conn->useful_mono_ms > limit_ms;
}

/* Why the connection must end, or NULL. */
static const char *judge(struct brim_conn *conn, uint64_t now,
                         const struct brim_conf_timeouts *timeouts)
{
    uint64_t age = now - conn->opened_mono_ms;

    switch (conn->phase) {
    case BRIM_CONN_HANDSHAKE:
        return age > (uint64_t)timeouts->handshake_ms ? "TLS handshake too slow" : NULL;
    case BRIM_CONN_SNIFF:
        return age > (uint64_t)timeouts->request_ms ? "no request" : NULL;
    case BRIM_CONN_HTTP1:
        if (is_stuck(conn, now, (uint64_t)timeouts->write_ms))
            return "client does not read";
        return is_gone(conn) ? "client has gone" : NULL;
    case BRIM_CONN_HTTP2:
        if (is_stuck(conn, now, (uint64_t)timeouts->write_ms))
            return "client does not read";
        if (conn->block_since_mono_ms != 0 &&
            now - conn->block_since_mono_ms > (uint64_t)timeouts->request_ms)
            return "header block too slow";
        if (is_idle(conn, now, (uint64_t)timeouts->idle_ms + IDLE_GRACE_MS))
            return "no request";
        return NULL;
    }
    return NULL;
}

static void sweep(struct brim_conns *conns, size_t count, uint64_t now)
{
    for (; count > 0 && conns->cursor != NULL; count--) {
        struct brim_conn *conn = conns->cursor;
        const char *reason;

        OBJ_CHECK(conn, BRIM_CONN_MAGIC);
        conns->cursor = conn->next;
        reason = conn->killed ? NULL : judge(conn, now, conns->config.timeouts);
        if (reason != NULL)
            end(conn, reason);
    }
}

void brim_conns_sweep(struct brim_conns *conns, uint64_t now_mono_ms)
{
    OBJ_CHECK(conns, CONNS_MAGIC);
    sweep(conns, conns->count, now_mono_ms);
}

static void on_timer(h2o_socket_t *sock, const char *err)
{
    struct brim_conns *conns = sock->data;
    uint64_t expirations;

    OBJ_CHECK(conns, CONNS_MAGIC);
    if (err != NULL || read(h2o_socket_get_fd(sock), &expirations, sizeof(expirations)) == -1)
        return;
    sweep(conns, (conns->count + TICKS_PER_S - 1) / TICKS_PER_S, brim_clock_mono_ms());
    conns->config.on_tick(conns->config.ctx);
}

/* ---- life of a connection ---- */

static void on_close(void *data)
{
    struct brim_conn *conn = data;
    struct brim_conns *conns = conn->owner;

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    OBJ_CHECK(conns, CONNS_MAGIC);
    INVARIANT(conn->requests == NULL);
    ring_remove(conns, conn);
    conn->sock = NULL;
    free(conn->client_subject); /* its requests are gone */
    conn->client_subject = NULL;
    atomic_fetch_sub_explicit(conns->config.connections, 1, memory_order_relaxed);
    BRIM_ADD(CONN_OPEN, -1);
    if (conn->inside == 0)
        free(conn);
}

/* An IPv4 client of an IPv6 socket is an IPv4 client. */
static void unmap(struct sockaddr_storage *peer)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    memcpy(&v6, peer, sizeof(v6));
    if (v6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return;
    v4.sin_port = v6.sin6_port;
    memcpy(&v4.sin_addr, v6.sin6_addr.s6_addr + 12, sizeof(v4.sin_addr));
    *peer = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    memcpy(peer, &v4, sizeof(v4));
}

static void name_peer(struct brim_conn *conn)
{
    const void *address = NULL;
    const char *text = "unknown";

    unmap(&conn->peer);
    if (conn->peer.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&conn->peer;

        address = &v4->sin_addr;
        conn->peer_port = ntohs(v4->sin_port);
    } else if (conn->peer.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&conn->peer;

        address = &v6->sin6_addr;
        conn->peer_port = ntohs(v6->sin6_port);
    } else if (conn->peer.ss_family == AF_UNIX) {
        text = "unix";
    }
    if (address == NULL ||
        inet_ntop(conn->peer.ss_family, address, conn->peer_text, sizeof(conn->peer_text)) == NULL)
        memcpy(conn->peer_text, text, strlen(text) + 1);
}

static void note_peer(struct brim_conn *conn)
{
    socklen_t len = sizeof(conn->peer);

    if (getpeername(h2o_socket_get_fd(conn->sock), (struct sockaddr *)&conn->peer, &len) != 0)
        conn->peer.ss_family = AF_UNSPEC; /* it has gone already */
    name_peer(conn);
}

void brim_conns_set_peer(struct brim_conn *conn, const struct sockaddr_storage *peer)
{
    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    conn->peer = *peer;
    name_peer(conn);
}

struct brim_conn *brim_conns_adopt(struct brim_conns *conns, h2o_socket_t *sock,
                                   enum brim_conn_phase phase)
{
    struct brim_conn *conn = brim_alloc(sizeof(*conn));

    OBJ_CHECK(conns, CONNS_MAGIC);
    INVARIANT(sock->on_close.cb == NULL);
    conn->magic = BRIM_CONN_MAGIC;
    conn->owner = conns;
    conn->sock = sock;
    conn->phase = phase;
    conn->header_bytes_max = conns->config.header_bytes_max;
    conn->opened_mono_ms = brim_clock_mono_ms();
    conn->progress_mono_ms = conn->useful_mono_ms = conn->opened_mono_ms;
    note_peer(conn);
    sock->on_close.cb = on_close;
    sock->on_close.data = conn;
    ring_add(conns, conn);
    atomic_fetch_add_explicit(conns->config.connections, 1, memory_order_relaxed);
    BRIM_COUNT(CONN_TOTAL);
    BRIM_ADD(CONN_OPEN, 1);
    return conn;
}

/* ---- the set ---- */

enum brim_err brim_conns_open(const struct brim_conns_config *config, struct brim_conns **conns_out)
{
    static const struct itimerspec interval = {
        .it_interval.tv_nsec = 1000000000 / TICKS_PER_S,
        .it_value.tv_nsec = 1000000000 / TICKS_PER_S,
    };
    struct brim_conns *conns;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    *conns_out = NULL;
    if (fd == -1 || timerfd_settime(fd, 0, &interval, NULL) != 0) {
        BRIM_LOG(ERROR, "sweep.timer", "errno=%d", errno);
        if (fd != -1)
            close(fd);
        return BRIM_EIO;
    }
    conns = brim_alloc(sizeof(*conns));
    conns->magic = CONNS_MAGIC;
    conns->config = *config;
    conns->timer = h2o_evloop_socket_create(config->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    conns->timer->data = conns;
    h2o_socket_read_start(conns->timer, on_timer);
    *conns_out = conns;
    return BRIM_OK;
}

void brim_conns_close(struct brim_conns *conns)
{
    if (conns == NULL)
        return;
    OBJ_CHECK(conns, CONNS_MAGIC);
    INVARIANT(conns->count == 0);
    h2o_socket_close(conns->timer);
    conns->magic = 0;
    free(conns);
}

size_t brim_conns_count(const struct brim_conns *conns)
{
    OBJ_CHECK(conns, CONNS_MAGIC);
    return conns->count;
}

/* An HTTP/1 connection between two requests, or before its first. */
static bool awaits_request(const struct brim_conn *conn)
{
    return conn->phase == BRIM_CONN_SNIFF ||
           (conn->phase == BRIM_CONN_HTTP1 && conn->requests_open == 0 &&
            conn->sock->input->size == 0);
}

/* Whether nothing has come for so long that no request is likely to be on its way. */
static bool is_quiet(struct brim_conn *conn, uint64_t now)
{
    if (conn->requests_total != conn->useful_mark) {
        conn->useful_mark = conn->requests_total;
        conn->useful_mono_ms = now;
    }
    return now - conn->useful_mono_ms >= DRAIN_GRACE_MS;
}

void brim_conns_end_idle(struct brim_conns *conns)
{
    uint64_t now = brim_clock_mono_ms();

    OBJ_CHECK(conns, CONNS_MAGIC);
    for (size_t left = conns->count; left > 0 && conns->cursor != NULL; left--) {
        struct brim_conn *conn = conns->cursor;

        conns->cursor = conn->next;
        if (awaits_request(conn) && is_quiet(conn, now))
            (void)shutdown(h2o_socket_get_fd(conn->sock), SHUT_RD); /* reads as the client's end */
    }
}

void brim_conns_kill(struct brim_conns *conns)
{
    OBJ_CHECK(conns, CONNS_MAGIC);
    for (size_t left = conns->count; left > 0 && conns->cursor != NULL; left--) {
        struct brim_conn *conn = conns->cursor;

        conns->cursor = conn->next;
        if (conn->phase == BRIM_CONN_HANDSHAKE || conn->phase == BRIM_CONN_SNIFF)
            h2o_socket_close(conn->sock);
        else
            brim_guard_kill(conn, "drain deadline");
    }
}
