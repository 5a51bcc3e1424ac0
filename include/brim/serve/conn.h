/* SPDX-License-Identifier: MIT */
/*
 * conn - what brim keeps per client connection, beside what h2o keeps: who it is, what it has done
 * (for the guard's budgets), and which requests are open (for the sweep).
 *
 * Hangs on sock->on_close.data; freed when the socket has closed and nobody is inside a callback.
 * h2o disposes of a connection's requests before it closes the socket, so a request may use its
 * connection until its own dispose returns.
 */
#ifndef BRIM_SERVE_CONN_H
#define BRIM_SERVE_CONN_H

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "brim/base/invariant.h"
#include "brim/base/str.h"
#include "brim/serve/clients.h"

struct brim_tls_shown;
struct brim_conns; /* opaque: the connections of one worker (conns.h) */

/* An open request that the sweep may have to end. Embedded in the request's state. */
struct brim_conn_request {
    struct brim_conn_request *next;
    struct brim_conn_request *prev;
    bool responding; /* h2o_start_response was called */
    bool sending;    /* h2o holds bytes that the client has not taken yet */
    uint32_t
        sends_total; /* grows with every send: how the sweep tells a slow client from a stuck one */
    uint32_t held_sends; /* the sweep's: what it was, and since when it is that */
    uint64_t held_mono_ms;
    /* Ends a request of a killed connection that nothing else would wake: without a response,
     * answers with connection close; waiting for more of a body, ends it with an error. */
    void (*abort)(struct brim_conn_request *request);
    /* What is held for this request, or its share of it, beside what h2o has of it: on the ledger
     * already; told so that the greediest can be found. NULL: nothing. */
    size_t (*memory)(const struct brim_conn_request *request);
};

/* Around every h2o_send: begins when h2o takes bytes, ends when it asks for more. Thread: loop. */
static inline void brim_conn_request_send_begin(struct brim_conn_request *request)
{
    request->sending = true;
    request->sends_total++;
}

static inline void brim_conn_request_send_end(struct brim_conn_request *request)
{
    request->sending = false;
}

/* What one HTTP/2 connection has spent in the current window of time (guard_h2.c). */
struct brim_guard_budget {
    uint64_t window_start_ms;
    uint64_t window_start_bytes; /* written to the client when it began */
    uint64_t streams_opened;
    uint64_t resets;         /* RST_STREAM by the client */
    uint64_t made_resets;    /* by us, because of what the client sent */
    uint64_t cancelled;      /* requests disposed before they were answered */
    uint64_t refused;        /* requests that are no valid ones, or too large: ends nobody */
    uint64_t control_frames; /* PING, SETTINGS, PRIORITY, GOAWAY, empty DATA, unknown */
    uint64_t window_updates;
    uint64_t data_bytes;
};

/* Where the header block being received stands (guard_h2.c). */
struct brim_guard_block {
    bool is_open;
    uint8_t state;   /* of the field counter */
    uint8_t strings; /* literals still to come of the current field */
    uint8_t shift;   /* of the integer being read */
    uint32_t number;
    uint32_t frames;
    uint32_t fields;
    size_t bytes;
};

enum brim_conn_phase {
    BRIM_CONN_HANDSHAKE, /* TLS */
    BRIM_CONN_SNIFF,     /* cleartext, too few bytes to tell HTTP/1 from HTTP/2 */
    BRIM_CONN_HTTP1,
    BRIM_CONN_HTTP2,
    BRIM_CONN_LINGER, /* HTTP/1, answered for the last time: what still comes is dropped */
};

#define BRIM_CONN_MAGIC 0x636f6e31u

struct brim_conn {
    uint32_t magic;
    struct brim_conns *owner;
    struct brim_conn *next; /* owner's ring */
    struct brim_conn *prev;
    h2o_socket_t *sock; /* NULL once closed */
    struct brim_conn_request *requests;
    unsigned requests_open;
    uint64_t requests_total; /* that reached a handler */
    uint64_t turn;           /* loop turn that turn_requests belongs to */
    unsigned turn_requests;  /* that began in it */
    enum brim_conn_phase phase;
    bool is_tls;
    bool is_h2;
    bool killed;      /* input is discarded from now on */
    bool lingers;     /* HTTP/1: behind the next write; see guard_linger.c */
    uint8_t listener; /* position in the config */
    struct sockaddr_storage peer;
    char peer_text[64]; /* address without port, "unix" for a unix socket */
    uint16_t peer_port;
    char *client_subject;               /* of a verified certificate; owned, NULL: none */
    char *client_fingerprint;           /* likewise, whatever its subject */
    const struct brim_tls_shown *shown; /* lives as long as sock's TLS; NULL: see tls.h */
    uint16_t local_port;
    unsigned inside; /* callbacks on the stack: free late */
    uint64_t opened_mono_ms;
    struct brim_clients *clients;
    uint32_t place; /* of its address among them */
    struct brim_ledger *ledger;

    /* sweep (conns.c) */
    uint64_t progress_mono_ms; /* last time the client took bytes, or had none to take */
    uint64_t progress_mark;    /* changes when it does */
    uint64_t rate_mono_ms;     /* since when it takes what it takes; 0: it has nothing to take */
    uint64_t rate_mark;        /* what it had taken by then */
    uint64_t useful_mono_ms;   /* HTTP/2: last time a request was there; HTTP/1: since when
                                  it does what it does (reads), since its last request; or
                                  since when it lingers */
    uint64_t useful_mark;
    uint8_t reads;         /* what it is sending: see conns.c */
    uint64_t body_mono_ms; /* since when a body comes, and what had come by then */
    uint64_t body_mark;
    int64_t memory;               /* on the ledger, by the sweep and by bodies since then */
    int64_t weight;               /* with what others have on it for its requests */
    int64_t leaving;              /* of that, after it was ended for it */
    size_t input_memory;          /* of it, the buffer of what was read */
    size_t h2_memory;             /* of it, what h2o had for HTTP/2 */
    int64_t unsent;               /* then, by the kernel; 0: it does not wait */
    uint64_t block_since_mono_ms; /* header block open since; 0: none */

    /* guard (guard_h2.c) */
    struct brim_guard_budget budget;
    struct brim_guard_block block;
    size_t header_bytes_max; /* of one header block */
    uint64_t body_bytes;     /* of DATA, all streams */
    uint64_t body_entered;   /* what it was when h2_memory was last looked at because of it */
    size_t bodies_max;       /* that may be held of them at once */
    size_t bodies;           /* that are held, or fewer */
    bool is_fed;             /* h2o is looking at what the client sent */
    bool is_refusing;        /* and is made to refuse it */
    size_t h2_ready;         /* bytes of the input that are policed and wait for h2o */
    bool h2_greeted;         /* h2o has had the preface */
    bool h2_oversize;        /* the next frame is one that h2o refuses for its length */
    void (*inner_read)(h2o_socket_t *sock, const char *err); /* h2o's own callbacks */
    void (*inner_written)(h2o_socket_t *sock, const char *err);
    void (*inner_emit)(h2o_timeout_entry_t *entry);
    h2o_timeout_entry_t resumed; /* HTTP/1: h2o reads the next request; HTTP/2: see next_turn */
    h2o_timeout_t *next_turn;    /* 1 ms: what is left of header blocks (guard_h2.c) */
    size_t block_budget;         /* of this turn */
    size_t written_mark;         /* HTTP/1: bytes written before h2o looked at the input */
    size_t linger_left;          /* bytes that are still read of one that lingers */
};

static inline size_t brim_conn_input_bytes(const struct brim_conn *conn)
{
    const h2o_buffer_t *input = conn->sock->input;

    return input->bytes == NULL ? 0 : input->capacity;
}

/* Its memory is so much more, or (< 0) less. Thread: loop. */
static inline void brim_conn_hold(struct brim_conn *conn, int64_t bytes)
{
    conn->memory += bytes;
    brim_ledger_hold(conn->ledger, bytes);
}

/* Around every callback that touches the connection after calling into h2o. Thread: loop. */
static inline void brim_conn_enter(struct brim_conn *conn)
{
    conn->inside++;
}

static inline void brim_conn_leave(struct brim_conn *conn)
{
    conn->inside--;
    if (conn->inside == 0 && conn->sock == NULL)
        free(conn);
}

/* The connection of a socket that was adopted. */
static inline struct brim_conn *brim_conn_of_socket(h2o_socket_t *sock)
{
    struct brim_conn *conn = sock->on_close.data;

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    return conn;
}

/* Puts callbacks in front of those that h2o has set, if it has; nothing if the socket has closed.
 */
static inline void brim_conn_interpose(struct brim_conn *conn, h2o_socket_cb on_read,
                                       h2o_socket_cb on_written)
{
    h2o_socket_t *sock = conn->sock;

    if (sock == NULL)
        return;
    if (sock->_cb.write != NULL && sock->_cb.write != on_written) {
        conn->inner_written = sock->_cb.write;
        sock->_cb.write = on_written;
    }
    if (sock->_cb.read != NULL && sock->_cb.read != on_read) {
        conn->inner_read = sock->_cb.read;
        sock->_cb.read = on_read;
    }
}

/* The connection of a request. Thread: loop. */
static inline struct brim_conn *brim_conn_of(h2o_req_t *req)
{
    return (struct brim_conn *)req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

/* Enters and leaves the list of open requests. Thread: loop. */
static inline void brim_conn_request_add(struct brim_conn *conn, struct brim_conn_request *request)
{
    request->prev = NULL;
    request->next = conn->requests;
    if (conn->requests != NULL)
        conn->requests->prev = request;
    conn->requests = request;
    conn->requests_open++;
    conn->requests_total++;
}

static inline void brim_conn_request_remove(struct brim_conn *conn,
                                            struct brim_conn_request *request)
{
    if (request->prev != NULL)
        request->prev->next = request->next;
    else
        conn->requests = request->next;
    if (request->next != NULL)
        request->next->prev = request->prev;
    conn->requests_open--;
}

#endif
