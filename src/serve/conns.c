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
 *              queued, and it must be limits.response_rate. Else, on HTTP/2, a response may hang on
 *              a window of zero: progress is that any send of any request went through. PING and
 *              the like do not count.
 *   held       one send of an HTTP/2 request does not go through for HELD_TIMES as long, though
 *              others do, which may have come first by priority
 *   gone       an HTTP/1 request waits, h2o does not read, and the peer has sent its FIN
 *   header     a header (HTTP/2: block) is open for longer than timeouts.request
 *   body       what came of it within timeouts.request (HTTP/2: timeouts.idle, all bodies of a
 *              connection together) is less than limits.request_rate. h2o's own timeout for HTTP/1,
 *              which a large body on a slow line would exceed, is set out of the way
 *   lingering  answered for the last time (guard_linger.c), and there after timeouts.request
 *   idle       no request for timeouts.request on HTTP/1, for timeouts.idle on HTTP/2, though bytes
 *              drip in, which renew h2o's own idle timeout
 *   memory     the clients hold too much of limits.client_memory: the greediest first, of an
 *              address that has more than is left before all others
 *
 * What brim itself takes for a client is on the ledger when it is taken (base/ledger), and so are
 * request bodies (guard). Here the rest is estimated from the outside, once a second: what the
 * buffers of h2o can hold, and flat
 * figures for what has no size to be read: a connection, TLS, a request with its pool. Who is
 * greedy goes by both: a connection's weight. The kernel's socket buffers, objects of the cache
 * that are being sent and what OpenSSL keeps of large writes are in neither. The kernel would take
 * some 4 MB for a client that does not read; limits.unsent bounds it.
 */
#include "brim/serve/conns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

#define CONNS_MAGIC    0x636f6e73u
#define TICKS_PER_S    32u /* a slice of 20,000 connections is then looked at in well below 1 ms */
#define MEMORY_TICKS   8u  /* of them to one look at what all hold */
#define IDLE_GRACE_MS  1000u /* h2o's own idle timeout says goodbye: let it go first */
#define DRAIN_GRACE_MS 1000u /* a client that is about to ask is answered, and told to go */
#define HELD_TIMES     4u
#define MEMORY_KILLS   64u                /* at a time, of one worker */
#define MEMORY_LEAST   65536              /* who holds less is not ended for it */
#define OVER_SHARE     (INT64_C(1) << 60) /* more than any weight */

/* What is counted flat. */
#define CONN_BYTES    2048u
#define TLS_BYTES     32768u  /* SSL, its two BIOs, and what waits to be decrypted */
#define REQUEST_BYTES 8192u   /* HTTP/1: request, and the first chunks of its pool */
#define SEALED_BYTES  131072u /* encrypted, of a send that waits */

struct brim_conns {
    uint32_t magic;
    struct brim_conns_config config;
    struct brim_conn *cursor; /* next to be looked at; NULL: no connections */
    size_t count;
    h2o_socket_t *timer;
    h2o_timeout_t next_turn;
    unsigned ticks;
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

/* ---- what the kernel holds ---- */

/* What is sent and not acknowledged comes on top: a fast client is held up by nothing. An error
 * means that this is a unix socket. */
static void bound_unsent(const struct brim_conns *conns, const struct brim_conn *conn)
{
    int bytes = (int)conns->config.limits->unsent_bytes;

    if (bytes > 0)
        (void)setsockopt(h2o_socket_get_fd(conn->sock), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
                         sizeof(bytes));
}

/* h2o asks the kernel to hold next to nothing while it writes to HTTP/2 clients that are far away,
 * and any amount when it has done so for a while. */
static void bound_unsent_again(const struct brim_conns *conns, const struct brim_conn *conn)
{
    if (conn->is_h2 && h2o_socket_is_writing(conn->sock) &&
        conn->sock->_latency_optimization.notsent_is_minimized == 0)
        bound_unsent(conns, conn);
}

static void count_unsent(struct brim_conn *conn, int64_t bytes)
{
    BRIM_ADD(CLIENTS_UNSENT, bytes - conn->unsent);
    conn->unsent = bytes;
}

/* Of a client that needs no more than the kernel has taken already, nothing is counted: such are
 * most, and asking for each would cost a system call. */
static int64_t measure_unsent(const struct brim_conn *conn)
{
    int bytes = 0;

    if (!h2o_socket_is_writing(conn->sock) ||
        ioctl(h2o_socket_get_fd(conn->sock), SIOCOUTQNSD, &bytes) != 0)
        return 0;
    return bytes;
}

/* ---- sweep ---- */

/* Ends a connection that has reached no protocol yet: only its socket is there. */
static void drop(struct brim_conn *conn, enum brim_ending ending)
{
    if (conn->phase == BRIM_CONN_HANDSHAKE)
        BRIM_COUNT(CONN_TLS_FAILED);
    brim_guard_tell_ending(conn, ending);
    h2o_socket_close(conn->sock);
}

static void end(struct brim_conn *conn, enum brim_ending ending)
{
    if (conn->phase == BRIM_CONN_HANDSHAKE || conn->phase == BRIM_CONN_SNIFF)
        drop(conn, ending);
    else
        brim_guard_kill(conn, ending);
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

/* What so many bytes a second come to in a time; of a rate of 0 anything will do. */
static uint64_t rate_due(uint64_t rate, uint64_t time_ms)
{
    uint64_t due = rate * time_ms / 1000;

    return due > 0 ? due : 1;
}

static void begin_rate(struct brim_conn *conn, uint64_t now, uint64_t taken)
{
    conn->rate_mono_ms = now;
    conn->rate_mark = taken;
}

/* Whether a client whose socket is full takes too little; judged once in limit_ms. */
static bool is_sipping(struct brim_conn *conn, uint64_t now, uint64_t limit_ms, uint64_t rate)
{
    uint64_t taken, age = now - conn->rate_mono_ms;

    if (!h2o_socket_is_writing(conn->sock)) { /* most: the kernel is not asked about them */
        conn->rate_mono_ms = 0;
        return false;
    }
    if (conn->rate_mono_ms != 0 && age <= limit_ms)
        return false;
    taken = acknowledged(conn);
    if (conn->rate_mono_ms == 0) {
        begin_rate(conn, now, taken);
        return false;
    }
    if (taken - conn->rate_mark < rate_due(rate, age))
        return true;
    begin_rate(conn, now, taken);
    return false;
}

/* Whether one response makes no progress, while others may. */
static bool is_holding(struct brim_conn *conn, uint64_t now, uint64_t limit_ms)
{
    for (struct brim_conn_request *r = conn->requests; r != NULL; r = r->next) {
        if (!r->sending || r->held_sends != r->sends_total) {
            r->held_sends = r->sends_total;
            r->held_mono_ms = now;
        } else if (now - r->held_mono_ms > limit_ms) {
            return true;
        }
    }
    return false;
}

static enum brim_ending judge_writing(struct brim_conn *conn, uint64_t now,
                                      const struct brim_conns_config *config)
{
    uint64_t limit_ms = (uint64_t)config->timeouts->write_ms;
    uint64_t mark = progress_mark(conn);

    if (mark == 0 || mark != conn->progress_mark) {
        conn->progress_mark = mark;
        conn->progress_mono_ms = now;
    } else if (now - conn->progress_mono_ms > limit_ms) {
        return BRIM_ENDING_NOT_READING;
    }
    if (is_sipping(conn, now, limit_ms, config->limits->response_rate_bytes))
        return BRIM_ENDING_READING_SLOWLY;
    if (conn->is_h2 && is_holding(conn, now, HELD_TIMES * limit_ms))
        return BRIM_ENDING_STREAM_HELD;
    return BRIM_ENDING_NONE;
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

/* What an HTTP/1 client is about. */
enum reads { READS_NOTHING, READS_HEADER, READS_BODY };

static enum reads reads_of(const struct brim_conn *conn)
{
    const h2o_buffer_t *input = conn->sock->input;

    if (conn->requests_open > 0 || input->size == 0)
        return READS_NOTHING;
    return memmem(input->bytes, input->size, "\r\n\r\n", 4) == NULL ? READS_HEADER : READS_BODY;
}

/* Judges a body by what had come of it; begins anew when limit_ms are over. */
static enum brim_ending judge_body(struct brim_conn *conn, uint64_t now, uint64_t limit_ms,
                                   uint64_t come, uint64_t rate)
{
    uint64_t age = now - conn->body_mono_ms;

    if (age <= limit_ms)
        return BRIM_ENDING_NONE;
    if (come - conn->body_mark < rate_due(rate, age))
        return BRIM_ENDING_BODY_SLOW;
    conn->body_mono_ms = now;
    conn->body_mark = come;
    return BRIM_ENDING_NONE;
}

static enum brim_ending judge_http1(struct brim_conn *conn, uint64_t now,
                                    const struct brim_conns_config *config)
{
    uint64_t limit_ms = (uint64_t)config->timeouts->request_ms;
    enum reads reads = reads_of(conn);

    if (conn->requests_open > 0 || reads != conn->reads ||
        conn->requests_total != conn->useful_mark) {
        conn->reads = (uint8_t)reads;
        conn->useful_mark = conn->requests_total;
        conn->useful_mono_ms = conn->body_mono_ms = now;
        conn->body_mark = conn->sock->input->size;
        return BRIM_ENDING_NONE;
    }
    if (h2o_socket_is_writing(conn->sock)) /* h2o's own answer, to what was no request */
        return BRIM_ENDING_NONE;
    if (reads == READS_BODY) /* it stays in the input until it is whole */
        return judge_body(conn, now, limit_ms, conn->sock->input->size,
                          config->limits->request_rate_bytes);
    if (now - conn->useful_mono_ms <= limit_ms)
        return BRIM_ENDING_NONE;
    return reads == READS_HEADER ? BRIM_ENDING_HEADER_SLOW : BRIM_ENDING_IDLE;
}

static enum brim_ending judge_http2(struct brim_conn *conn, uint64_t now,
                                    const struct brim_conns_config *config)
{
    uint64_t idle_ms = (uint64_t)config->timeouts->idle_ms;

    if (conn->block_since_mono_ms != 0 &&
        now - conn->block_since_mono_ms > (uint64_t)config->timeouts->request_ms)
        return BRIM_ENDING_HEADER_SLOW;
    if (brim_guard_h2_incoming(conn) > 0) {
        conn->useful_mono_ms = now;
        return judge_body(conn, now, idle_ms, conn->body_bytes, config->limits->request_rate_bytes);
    }
    conn->body_mono_ms = now;
    conn->body_mark = conn->body_bytes;
    if (conn->requests_open > 0 || conn->requests_total != conn->useful_mark) {
        conn->useful_mark = conn->requests_total;
        conn->useful_mono_ms = now;
        return BRIM_ENDING_NONE;
    }
    return now - conn->useful_mono_ms > idle_ms + IDLE_GRACE_MS ? BRIM_ENDING_IDLE
                                                                : BRIM_ENDING_NONE;
}

/* Why the connection must end, or NONE. */
static enum brim_ending judge(struct brim_conn *conn, uint64_t now,
                              const struct brim_conns_config *config)
{
    uint64_t age = now - conn->opened_mono_ms;
    enum brim_ending ending = BRIM_ENDING_NONE;

    switch (conn->phase) {
    case BRIM_CONN_HANDSHAKE:
        return age > (uint64_t)config->timeouts->handshake_ms ? BRIM_ENDING_HANDSHAKE_SLOW
                                                              : BRIM_ENDING_NONE;
    case BRIM_CONN_SNIFF:
        return age > (uint64_t)config->timeouts->request_ms ? BRIM_ENDING_IDLE : BRIM_ENDING_NONE;
    case BRIM_CONN_HTTP1:
        ending = judge_writing(conn, now, config);
        if (ending == BRIM_ENDING_NONE)
            ending = judge_http1(conn, now, config);
        return ending == BRIM_ENDING_NONE && is_gone(conn) ? BRIM_ENDING_GONE : ending;
    case BRIM_CONN_HTTP2:
        ending = judge_writing(conn, now, config);
        return ending == BRIM_ENDING_NONE ? judge_http2(conn, now, config) : ending;
    case BRIM_CONN_LINGER:
        return now - conn->useful_mono_ms > (uint64_t)config->timeouts->request_ms
                   ? BRIM_ENDING_LINGERED
                   : BRIM_ENDING_NONE;
    }
    return BRIM_ENDING_NONE;
}

/* ---- memory ---- */

static int64_t measure(struct brim_conn *conn)
{
    size_t bytes = CONN_BYTES;

    bytes += conn->input_memory = brim_conn_input_bytes(conn);
    if (conn->is_tls)
        bytes += TLS_BYTES + (h2o_socket_is_writing(conn->sock) ? SEALED_BYTES : 0);
    if (conn->phase == BRIM_CONN_HTTP2)
        bytes += conn->h2_memory = brim_guard_h2_memory(conn);
    else
        bytes += conn->requests_open * REQUEST_BYTES;
    return (int64_t)bytes;
}

static void account(struct brim_conn *conn, int64_t bytes)
{
    brim_conn_hold(conn, bytes - conn->memory);
}

static void weigh(struct brim_conn *conn)
{
    account(conn, measure(conn));
    conn->weight = conn->memory;
    for (const struct brim_conn_request *r = conn->requests; r != NULL; r = r->next)
        conn->weight += r->memory == NULL ? 0 : (int64_t)r->memory(r);
}

/* It has been ended, and what its requests hold will be free soon. */
static void expect(struct brim_conn *conn, int64_t bytes)
{
    brim_ledger_expect(conn->ledger, bytes - conn->leaving);
    conn->leaving = bytes;
}

/* Those that hold most, the greediest first. */
struct greedy {
    struct {
        struct brim_conn *conn;
        int64_t weight;
    } places[MEMORY_KILLS];
    unsigned count;
};

/* Whoever is of an address with too large a share goes before all others. */
static int64_t rank(const struct brim_conn *conn)
{
    return brim_ledger_is_beyond(conn->ledger, BRIM_LEDGER_FULL) ? conn->weight + OVER_SHARE
                                                                 : conn->weight;
}

static void note_greedy(struct greedy *greedy, struct brim_conn *conn)
{
    unsigned at = greedy->count;
    int64_t weight = rank(conn);

    if (greedy->count < MEMORY_KILLS)
        greedy->count++;
    else if (weight <= greedy->places[--at].weight)
        return;
    for (; at > 0 && greedy->places[at - 1].weight < weight; at--)
        greedy->places[at] = greedy->places[at - 1];
    greedy->places[at].conn = conn;
    greedy->places[at].weight = weight;
}

/* Who is ended counts no more, which the other workers see, or each would end clients for the whole
 * of one excess. One walk finds them all: there may be very many connections, and this is a bad
 * moment to be slow. */
static void free_memory(struct brim_conns *conns)
{
    const struct brim_ledger *ledger = brim_clients_ledger(conns->config.clients);
    struct brim_conn *conn = conns->cursor;
    struct greedy greedy = {.count = 0};

    if (brim_ledger_excess(ledger) <= 0)
        return;
    for (size_t left = conns->count; left > 0; left--, conn = conn->next)
        if (!conn->killed && conn->weight >= MEMORY_LEAST)
            note_greedy(&greedy, conn);
    for (unsigned i = 0; i < greedy.count && brim_ledger_excess(ledger) > 0; i++) {
        conn = greedy.places[i].conn;
        expect(conn, conn->weight - conn->memory);
        account(conn, 0);
        end(conn, BRIM_ENDING_MEMORY);
    }
}

static void sweep(struct brim_conns *conns, size_t count, uint64_t now)
{
    for (; count > 0 && conns->cursor != NULL; count--) {
        struct brim_conn *conn = conns->cursor;
        enum brim_ending ending;

        OBJ_CHECK(conn, BRIM_CONN_MAGIC);
        conns->cursor = conn->next;
        if (conn->killed)
            account(conn, 0);
        else
            weigh(conn);
        bound_unsent_again(conns, conn);
        count_unsent(conn, conn->killed ? 0 : measure_unsent(conn));
        ending = conn->killed ? BRIM_ENDING_NONE : judge(conn, now, &conns->config);
        if (ending != BRIM_ENDING_NONE)
            end(conn, ending);
    }
}

void brim_conns_sweep(struct brim_conns *conns, uint64_t now_mono_ms)
{
    OBJ_CHECK(conns, CONNS_MAGIC);
    sweep(conns, conns->count, now_mono_ms);
    free_memory(conns);
}

static void on_timer(h2o_socket_t *sock, const char *err)
{
    struct brim_conns *conns = sock->data;
    uint64_t expirations;

    OBJ_CHECK(conns, CONNS_MAGIC);
    if (err != NULL || read(h2o_socket_get_fd(sock), &expirations, sizeof(expirations)) == -1)
        return;
    /* what a busy loop has missed is made good, or memory is counted late just then */
    if (expirations > TICKS_PER_S)
        expirations = TICKS_PER_S;
    sweep(conns, expirations * ((conns->count + TICKS_PER_S - 1) / TICKS_PER_S),
          brim_clock_mono_ms());
    conns->ticks += (unsigned)expirations;
    if (conns->ticks >= MEMORY_TICKS) {
        conns->ticks = 0;
        free_memory(conns);
    }
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
    h2o_timeout_unlink(&conn->resumed);
    ring_remove(conns, conn);
    if (conn->is_h2)
        brim_guard_charge(conn);
    account(conn, 0);
    expect(conn, 0);
    count_unsent(conn, 0);
    brim_clients_leave(conn->clients, conn->place);
    conn->sock = NULL;
    free(conn->client_subject); /* its requests are gone */
    free(conn->client_fingerprint);
    conn->client_subject = conn->client_fingerprint = NULL;
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

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
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
    conn->next_turn = &conns->next_turn;
    conn->phase = phase;
    conn->clients = conns->config.clients;
    conn->ledger = brim_clients_ledger(conn->clients);
    conn->header_bytes_max = conns->config.limits->request_header_bytes;
    conn->bodies_max = most(conns->config.limits->connection_bodies_bytes,
                            conns->config.limits->request_body_bytes);
    conn->opened_mono_ms = brim_clock_mono_ms();
    conn->progress_mono_ms = conn->useful_mono_ms = conn->opened_mono_ms;
    conn->rate_mono_ms = conn->body_mono_ms = conn->opened_mono_ms;
    note_peer(conn);
    bound_unsent(conns, conn);
    sock->on_close.cb = on_close;
    sock->on_close.data = conn;
    ring_add(conns, conn);
    atomic_fetch_add_explicit(conns->config.connections, 1, memory_order_relaxed);
    BRIM_COUNT(CONN_TOTAL);
    BRIM_ADD(CONN_OPEN, 1);
    return conn;
}

bool brim_conns_admit(struct brim_conn *conn)
{
    static const struct linger no_linger = {.l_onoff = 1, .l_linger = 0};
    enum brim_ending ending;

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    INVARIANT(conn->place == 0);
    ending = brim_clients_enter(conn->clients, &conn->peer, conn->opened_mono_ms, &conn->place);
    if (ending == BRIM_ENDING_NONE && brim_ledger_is_beyond(conn->ledger, BRIM_LEDGER_FULL))
        ending = BRIM_ENDING_MEMORY;
    if (ending == BRIM_ENDING_NONE) {
        account(conn, 0); /* the sweep may have seen it already */
        conn->ledger = brim_clients_share(conn->clients, conn->place);
        return true;
    }
    brim_guard_tell_ending(conn, ending);
    /* A reset leaves nothing behind here. Errors mean that this is a unix socket. */
    (void)setsockopt(h2o_socket_get_fd(conn->sock), SOL_SOCKET, SO_LINGER, &no_linger,
                     sizeof(no_linger));
    h2o_socket_close(conn->sock);
    return false;
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
    h2o_timeout_init(config->loop, &conns->next_turn, 1);
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
    h2o_timeout_dispose(conns->config.loop, &conns->next_turn);
    h2o_socket_close(conns->timer);
    conns->magic = 0;
    free(conns);
}

size_t brim_conns_count(const struct brim_conns *conns)
{
    OBJ_CHECK(conns, CONNS_MAGIC);
    return conns->count;
}

/* An HTTP/1 connection between two requests, or before its first, or behind its last. */
static bool awaits_request(const struct brim_conn *conn)
{
    return conn->phase == BRIM_CONN_SNIFF || conn->phase == BRIM_CONN_LINGER ||
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
            brim_guard_kill(conn, BRIM_ENDING_DRAIN);
    }
}
