/* SPDX-License-Identifier: MIT */
/*
 * Request bodies of HTTP/1: what they make h2o hold is on the ledger as they come.
 *
 * h2o keeps a body in the socket's input until it is whole and answered, and tells nobody before
 * that; between two sweeps a few fast clients send more than all may hold. So a callback stands in
 * front of h2o's own: it enters the buffer once it is large, and when clients hold all they may the
 * request is answered here, in h2o's place, and h2o closes the connection.
 *
 *   accept ---------------> settle      h2o sets its callback anew with each request, and behind a
 *   written --------------> settle      100 Continue. The first it does when an answer has been
 *   request disposed of --> settle      written, just after it has disposed of the request: so we
 *                  at the end of that   look at the end of that turn, before it can read again,
 *                  turn                 whatever became of the write.
 *   sent -----------------> settle      So that we are there when an answer has been written.
 *
 * What has been read already when h2o begins with a request is looked at there, too. Only what is
 * whole by then passes unseen: it is no larger than limits.unread.
 *
 * Here, too, an answer is noticed that is the last of its connection though the client may still
 * send: ours, the guard's (conn->lingers), and those that h2o makes by itself while no request has
 * reached a handler: 413, and 400 for what it cannot parse. All else that it writes by itself is
 * 100 Continue, which its length tells.
 */
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/serve/guard.h"

#define LARGE_BYTES 65536u /* what is smaller is left to the sweep */
#define TEXT_BYTES  "42"

#define CONTINUE_BYTES (sizeof("HTTP/1.1 100 Continue\r\n\r\n") - 1)

_Static_assert(sizeof(BRIM_LEDGER_REFUSAL "\n") - 1 == 42, "as TEXT_BYTES says");

static void on_read(h2o_socket_t *sock, const char *err);
static void on_written(h2o_socket_t *sock, const char *err);

static void settle(struct brim_conn *conn)
{
    brim_conn_interpose(conn, on_read, on_written);
}

static void enter(struct brim_conn *conn)
{
    int64_t before = (int64_t)conn->input_memory;

    conn->input_memory = brim_conn_input_bytes(conn);
    brim_conn_hold(conn, (int64_t)conn->input_memory - before);
}

static void close_refused(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = brim_conn_of_socket(sock);

    brim_conn_enter(conn);
    conn->inner_read(sock, err == NULL ? h2o_socket_error_closed : err); /* closes */
    brim_conn_leave(conn);
}

static void on_refused(h2o_socket_t *sock, const char *err)
{
    if (err == NULL)
        brim_guard_linger(brim_conn_of_socket(sock), close_refused);
    else
        close_refused(sock, err);
}

/* h2o waits for the rest of a request: nothing of its own is under way. */
static void refuse(struct brim_conn *conn)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "content-type: text/plain; charset=utf-8\r\n"
                                 "cache-control: no-store\r\n"
                                 "retry-after: 1\r\n"
                                 "connection: close\r\n"
                                 "content-length: " TEXT_BYTES "\r\n"
                                 "\r\n" BRIM_LEDGER_REFUSAL "\n";
    h2o_iovec_t text = {(char *)(uintptr_t)answer, sizeof(answer) - 1};
    h2o_socket_t *sock = conn->sock;

    BRIM_COUNT(BODIES_REFUSED);
    BRIM_LOG(WARN, "client.memory", "refused=body bytes=%zu peer=%s", sock->input->size,
             conn->peer_text);
    h2o_socket_read_stop(sock);
    h2o_buffer_consume(&sock->input, sock->input->size);
    enter(conn);
    h2o_socket_write(sock, &text, 1, on_refused);
}

/* Whether what has been read is more than clients may hold; the rest of it is to come. */
static bool is_too_much(struct brim_conn *conn)
{
    if (conn->killed || !h2o_socket_is_reading(conn->sock) || h2o_socket_is_writing(conn->sock) ||
        conn->sock->input->size < LARGE_BYTES)
        return false;
    enter(conn);
    return brim_ledger_is_beyond(conn->ledger, BRIM_LEDGER_FULL);
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = brim_conn_of_socket(sock);

    if (err == NULL && is_too_much(conn)) {
        refuse(conn);
        return;
    }
    brim_conn_enter(conn);
    conn->written_mark = sock->bytes_written;
    conn->inner_read(sock, err);
    settle(conn);
    brim_conn_leave(conn);
}

/* Whether h2o is about to close, and the client may still send. */
static bool is_last_answer(const struct brim_conn *conn)
{
    return conn->lingers || (conn->requests == NULL &&
                             conn->sock->bytes_written - conn->written_mark != CONTINUE_BYTES);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = brim_conn_of_socket(sock);

    if (err == NULL && !conn->killed && is_last_answer(conn)) {
        brim_guard_linger(conn, conn->inner_written);
        return;
    }
    brim_conn_enter(conn);
    conn->written_mark = sock->bytes_written;
    conn->inner_written(sock, err);
    settle(conn);
    brim_conn_leave(conn);
}

static void on_resumed(h2o_timeout_entry_t *entry)
{
    struct brim_conn *conn = H2O_STRUCT_FROM_MEMBER(struct brim_conn, resumed, entry);

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    INVARIANT(conn->sock != NULL);
    if (conn->phase == BRIM_CONN_LINGER)
        return;
    if (conn->input_memory >= LARGE_BYTES) /* a body has gone with its request */
        enter(conn);
    settle(conn);
    if (is_too_much(conn))
        refuse(conn);
}

void brim_guard_h1_install(struct brim_conn *conn)
{
    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    INVARIANT(conn->inside > 0);
    settle(conn);
    if (conn->sock != NULL && is_too_much(conn)) /* of what came with the first read */
        refuse(conn);
}

void brim_guard_h1_sent(struct brim_conn *conn)
{
    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    INVARIANT(conn->inside > 0);
    if (!conn->is_h2)
        settle(conn);
}

void brim_guard_h1_resume(struct brim_conn *conn, h2o_context_t *ctx)
{
    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    if (conn->is_h2 || h2o_timeout_is_linked(&conn->resumed))
        return;
    conn->written_mark = conn->sock->bytes_written;
    conn->resumed.cb = on_resumed;
    h2o_timeout_link(ctx->loop, &ctx->zero_timeout, &conn->resumed);
}
