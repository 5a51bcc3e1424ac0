/* SPDX-License-Identifier: MIT */
/*
 * listener - sockets: bound once by the parent process, accepted by every worker.
 *
 * bind() makes, per configured listener, one SO_REUSEPORT socket per worker (a unix socket: one,
 * shared). Each worker runs its own accept loop, TLS handshake (ALPN h2 / http/1.1), protocol
 * choice (h2c by prior knowledge is sniffed), installs the guard, counts connections, and sweeps
 * once a second for stuck writers and vanished clients.
 */
#ifndef BRIM_SERVE_LISTENER_H
#define BRIM_SERVE_LISTENER_H

#include <h2o.h>
#include <stdatomic.h>

#include "brim/base/conf.h"
#include "brim/serve/conn.h"
#include "brim/serve/guard.h"

/* fds[listener * workers + worker]; unix sockets repeat the same fd. */
struct brim_sockets {
    int *fds;
    size_t listeners;
    size_t workers;
    int admin_fd;
};

/* Binds everything, admin included. Faults as `FILE:LINE: listeners[0].address: ...`.
 * Errors: BRIM_EINVAL (faults written). Thread: init, in the parent. */
BRIM_MUST_USE enum brim_err brim_sockets_bind(const struct brim_conf *conf, size_t workers,
                                              FILE *faults, struct brim_sockets *sockets_out);
void brim_sockets_close(struct brim_sockets *sockets);

struct brim_listeners_config {
    const struct brim_conf_root *conf;  /* borrowed for life */
    const struct brim_sockets *sockets; /* borrowed; fds are dup'ed */
    size_t worker;
    SSL_CTX *const *tls;          /* per listener, NULL: cleartext */
    h2o_context_t *ctx;           /* the worker's */
    h2o_hostconf_t **hosts;       /* h2o's, for accept contexts */
    _Atomic int64_t *connections; /* of the whole node, for limits.connections */
};

struct brim_listeners; /* opaque: one worker's */

/* Starts accepting. Errors: BRIM_EIO, BRIM_ENOMEM. Thread: the worker's loop. */
BRIM_MUST_USE enum brim_err brim_listeners_open(const struct brim_listeners_config *config,
                                                struct brim_listeners **listeners_out);
/* Stops accepting; connections stay. */
void brim_listeners_stop(struct brim_listeners *listeners);
/* Connections open on this worker. */
size_t brim_listeners_connections(const struct brim_listeners *listeners);
/* Kills what is left. */
void brim_listeners_kill(struct brim_listeners *listeners);
/* After stop, with no connection left. */
void brim_listeners_close(struct brim_listeners *listeners);

#endif
