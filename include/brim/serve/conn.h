/* SPDX-License-Identifier: MIT */
/*
 * conn - what brim keeps per client connection, beside what h2o keeps: who it is, what it has done
 * (for the guard's budgets), and which requests are open (for the sweep).
 *
 * Hangs on sock->on_close.data; freed when the socket has closed and nobody is inside a callback.
 */
#ifndef BRIM_SERVE_CONN_H
#define BRIM_SERVE_CONN_H

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "brim/base/str.h"

struct brim_conns; /* opaque: the connections of one worker (listener.c) */

/* An open request that the sweep may have to end. Embedded in the request's state. */
struct brim_conn_request {
    struct brim_conn_request *next;
    struct brim_conn_request *prev;
    bool responding; /* h2o_start_response was called */
    /* Ends a request that has no response yet (HTTP/1: answers with connection close). */
    void (*abort)(struct brim_conn_request *request);
};

/* What one connection has spent (guard.c). */
struct brim_guard_budget {
    uint64_t streams_opened;
    uint64_t resets;         /* RST_STREAM by the client */
    uint64_t cancelled;      /* requests disposed before they were answered */
    uint64_t control_frames; /* PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE 0, unknown */
    uint64_t window_start_ms;
    uint32_t block_bytes; /* of the header block being received */
    uint32_t block_frames;
    bool in_block;
};

#define BRIM_CONN_MAGIC 0x636f6e31u

struct brim_conn {
    uint32_t magic;
    struct brim_conns *owner;
    struct brim_conn *next; /* owner's list */
    struct brim_conn *prev;
    h2o_socket_t *sock; /* NULL once closed */
    struct brim_conn_request *requests;
    unsigned requests_open;
    bool is_tls;
    bool is_h2;
    bool killed;      /* input is discarded from now on */
    uint8_t listener; /* position in the config */
    struct sockaddr_storage peer;
    char peer_text[64]; /* address without port, "unix" for a unix socket */
    uint16_t peer_port;
    uint16_t local_port;
    uint64_t opened_mono_ms;
    uint64_t progress_mono_ms; /* last time bytes_written moved (sweep) */
    size_t progress_bytes;
    uint64_t block_since_mono_ms; /* header block open since; 0: none */
    struct brim_guard_budget budget;
    void (*h2_read)(h2o_socket_t *sock, const char *err); /* h2o's own read callback (guard) */
    unsigned inside;                                      /* callbacks on the stack: free late */
};

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
