/* SPDX-License-Identifier: MIT */
/*
 * sockets - listening sockets: bound once, by the process that stays, before any thread runs.
 *
 * A TCP address gets one SO_REUSEPORT socket per worker, so that the kernel spreads connections and
 * no worker wakes for another's; a unix socket is one that all workers share. That several sockets
 * of one node share a port must not let two nodes do so: a port in use is a fault.
 */
#ifndef BRIM_SERVE_SOCKETS_H
#define BRIM_SERVE_SOCKETS_H

#include <stdio.h>

#include "brim/base/conf.h"
#include "brim/serve/inherited.h"

/*
 * fds[listener * slots + slot]. There is a slot for each worker at least; worker w listens on slots
 * w, w + workers, ...: so as many sockets as were handed over are listened on, all of them, by
 * however many workers. Fewer sockets than workers are repeated, slots that are left over are -1.
 */
struct brim_sockets {
    int *fds;
    size_t listeners;
    size_t workers;
    size_t slots;
    int admin_fd;
};

/* Listens on everything, admin included: on what was inherited (NULL: nothing), else on sockets of
 * its own; then bounds what may be unread there, by limits.unread. Faults as `FILE:LINE:
 * listeners[0].address: ...`. Errors: BRIM_EINVAL (faults written). Thread: init, in the parent. */
BRIM_MUST_USE enum brim_err brim_sockets_bind(const struct brim_conf *conf, size_t workers,
                                              struct brim_inherited *inherited, FILE *faults,
                                              struct brim_sockets *sockets_out);
/* Whether what was inherited is what the config listens on, no more and no less. Claims nothing,
 * and nothing may be claimed yet. Thread: init. */
bool brim_sockets_are_all(const struct brim_conf *conf, struct brim_inherited *inherited);

void brim_sockets_close(struct brim_sockets *sockets);

/*
 * Bounds what the kernel may hold of what a client has sent and nobody has read, on every
 * connection that is accepted from now on (not the admin's); 0 lifts a bound that a socket was
 * handed over with.
 *
 * libh2o reads a socket until it finds it empty and only then looks at what has come: by itself the
 * kernel takes what a fast sender has to give, some megabytes, and one connection is a whole turn
 * of its worker. TCP_WINDOW_CLAMP would not do: the kernel moves it when it measures the window
 * anew, which SO_RCVBUF ends. A connection inherits that from its listening socket, and the scale
 * of its window with it, which is settled before it is accepted. Errors: none; less than was asked
 * for is logged. Thread: init.
 */
void brim_sockets_bound_unread(const struct brim_sockets *sockets, uint64_t bytes);

/*
 * Binds one address (as the config writes it; port 0 is any free port) count times and listens.
 * A unix socket that nobody listens on any more is replaced.
 *
 * Owns:   on BRIM_OK the caller closes fds_out[0..count).
 * Errors: BRIM_EINVAL, with what is wrong in why_out. Thread: init.
 */
BRIM_MUST_USE enum brim_err brim_sockets_bind_address(const char *address, size_t count,
                                                      int *fds_out, const char **why_out);

#endif
