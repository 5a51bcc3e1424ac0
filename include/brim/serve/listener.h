/* SPDX-License-Identifier: MIT */
/*
 * listener - accepts on the sockets that the parent process bound (sockets.h), in every worker.
 *
 * Each worker runs its own accept loop, TLS handshake (ALPN h2 / http/1.1), protocol choice (h2c by
 * prior knowledge is sniffed), installs the guard, and stops accepting while the node has as many
 * connections as it may or no descriptor is left.
 */
#ifndef BRIM_SERVE_LISTENER_H
#define BRIM_SERVE_LISTENER_H

#include <h2o.h>
#include <stdatomic.h>

#include "brim/base/conf.h"
#include "brim/serve/conn.h"
#include "brim/serve/guard.h"
#include "brim/serve/sockets.h"

struct brim_listeners_config {
    const struct brim_conf_root *conf;  /* borrowed for life */
    const struct brim_sockets *sockets; /* borrowed; fds are dup'ed */
    size_t worker;
    SSL_CTX *const *tls;          /* per listener, NULL: cleartext */
    h2o_context_t *ctx;           /* the worker's */
    h2o_hostconf_t **hosts;       /* h2o's, for accept contexts */
    _Atomic int64_t *connections; /* of the whole node, for limits.connections */
    struct brim_clients *clients; /* likewise */
};

struct brim_listeners; /* opaque: one worker's */

/* Starts accepting. Errors: BRIM_EIO, BRIM_ENOMEM. Thread: the worker's loop. */
BRIM_MUST_USE enum brim_err brim_listeners_open(const struct brim_listeners_config *config,
                                                struct brim_listeners **listeners_out);
/* Stops accepting; connections stay. */
void brim_listeners_stop(struct brim_listeners *listeners);
/* Ends HTTP/1 connections that wait for a next request. */
void brim_listeners_end_idle(struct brim_listeners *listeners);
/* Connections open on this worker. */
size_t brim_listeners_connections(const struct brim_listeners *listeners);
/* Kills what is left. */
void brim_listeners_kill(struct brim_listeners *listeners);
/* After stop, with no connection left. */
void brim_listeners_close(struct brim_listeners *listeners);

#endif
