/* SPDX-License-Identifier: MIT */
/*
 * conns - the client connections of one worker: their lives, and the sweep that ends those that h2o
 * would keep for ever.
 *
 * h2o has no timeout for writing and does not notice that the client of a waiting HTTP/1 request
 * has gone. Every connection is looked at once a second, by the monotonic clock: a step of the wall
 * clock, which h2o's own timeouts follow, ends nobody here.
 */
#ifndef BRIM_SERVE_CONNS_H
#define BRIM_SERVE_CONNS_H

#include <h2o.h>
#include <stdatomic.h>

#include "brim/base/conf.h"
#include "brim/serve/conn.h"

struct brim_conns; /* opaque */

struct brim_conns_config {
    h2o_loop_t *loop;
    const struct brim_conf_timeouts *timeouts; /* borrowed for life, and what follows */
    const struct brim_conf_limits *limits;
    struct brim_clients *clients; /* of the whole node */
    _Atomic int64_t *connections; /* of the whole node */
    void (*on_tick)(void *ctx);   /* several times a second */
    void *ctx;
};

/* Errors: BRIM_EIO no timer could be made. Thread: loop. */
BRIM_MUST_USE enum brim_err brim_conns_open(const struct brim_conns_config *config,
                                            struct brim_conns **conns_out);
/* With no connection left. */
void brim_conns_close(struct brim_conns *conns);

/* Makes the brim_conn of a socket just accepted and hangs it on the socket's on_close. It lives as
 * conn.h says. */
struct brim_conn *brim_conns_adopt(struct brim_conns *conns, h2o_socket_t *sock,
                                   enum brim_conn_phase phase);

/* Who it is whose connection another passes on. Before its first request. */
void brim_conns_set_peer(struct brim_conn *conn, const struct sockaddr_storage *peer);

/* Whether its peer, as conn->peer says, may have it: beyond limits.connections_per_address, banned,
 * or beyond the memory of clients, it may not. False: it was counted, logged and closed. Thread:
 * loop.
 */
bool brim_conns_admit(struct brim_conn *conn);

size_t brim_conns_count(const struct brim_conns *conns);

/* Ends HTTP/1 connections that wait for a next request, once they have been quiet for a second: a
 * drain need not wait for them. A request that is on its way meanwhile is answered, with close. */
void brim_conns_end_idle(struct brim_conns *conns);

/* Ends every connection; the sockets close on the next turns. */
void brim_conns_kill(struct brim_conns *conns);

/* Looks at every connection now, as the timer does in the course of a second. For tests. */
void brim_conns_sweep(struct brim_conns *conns, uint64_t now_mono_ms);

#endif
