/* SPDX-License-Identifier: MIT */
/*
 * The end of an HTTP/1 connection whose client may still be sending.
 *
 * A request is refused before its body is there. Were the socket closed at once, the kernel would
 * answer what comes, or has come and was not read, with a reset, and the client's kernel would then
 * throw the answer away that its program, which is still writing, has not read (RFC 9112 9.6). So,
 * when the answer has been written:
 *
 *   our side is shut down: the answer is followed by the end of the stream
 *   -> what comes is read and dropped, until the client closes, LINGER_BYTES have come, or the
 *      sweep finds that timeouts.request are over (conns.c)
 *   -> h2o is told that its write has gone through, and closes
 *
 * Until then h2o holds the connection as one that writes, and it counts as all others do, against
 * limits.connections and limits.connections_per_address: who sends on for ever has no more of it
 * than who sends a body slowly. What comes is neither kept nor, on TLS, decrypted.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/serve/guard.h"

#define LINGER_BYTES (256u << 20)
#define DROP_BYTES   65536u /* in one go, then others have their turn */

/* h2o's reader would keep all that has come, so it only says that something has. */
static void on_rest(h2o_socket_t *sock, const char *err)
{
    struct brim_conn *conn = brim_conn_of_socket(sock);
    char rest[DROP_BYTES];
    ssize_t len = err == NULL ? read(h2o_socket_get_fd(sock), rest, sizeof(rest)) : 0;

    if (len == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len > 0 && (size_t)len <= conn->linger_left) {
        conn->linger_left -= (size_t)len;
        return;
    }
    brim_conn_enter(conn);
    h2o_socket_read_stop(sock);
    conn->inner_written(sock, NULL);
    brim_conn_leave(conn);
}

void brim_guard_linger(struct brim_conn *conn, h2o_socket_cb closed)
{
    h2o_socket_t *sock = conn->sock;

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    INVARIANT(!h2o_socket_is_writing(sock));
    BRIM_COUNT(LINGERS);
    conn->phase = BRIM_CONN_LINGER;
    conn->inner_written = closed;
    conn->linger_left = LINGER_BYTES;
    conn->useful_mono_ms = brim_clock_mono_ms();
    conn->useful_mark = conn->requests_total;
    if (conn->requests == NULL) { /* else its texts are in there, for the access log */
        int64_t before = (int64_t)conn->input_memory;

        h2o_buffer_consume(&sock->input, sock->input->size);
        conn->input_memory = brim_conn_input_bytes(conn);
        brim_conn_hold(conn, (int64_t)conn->input_memory - before);
    }
    (void)shutdown(h2o_socket_get_fd(sock), SHUT_WR); /* an error: it has gone, as will be read */
    h2o_socket_read_start(sock, on_rest);
    h2o_socket_dont_read(sock, 1);
}
