/* SPDX-License-Identifier: MIT */
/*
 * wake - a port whose notification is a message to a worker's loop.
 *
 * The message carries the wake, never an h2o request: the owner cancels the wake when its request
 * is disposed, and a message that is under way then finds nobody.
 */
#ifndef BRIM_SERVE_WAKE_H
#define BRIM_SERVE_WAKE_H

#include <h2o.h>

#include "brim/base/watch.h"

struct brim_wake; /* opaque, counted by its port */

/* A wake that calls fn(ctx) on the loop of receiver. The caller holds it until cancel. */
struct brim_wake *brim_wake_new(h2o_multithread_receiver_t *receiver, void (*fn)(void *ctx),
                                void *ctx);
struct brim_port *brim_wake_port(struct brim_wake *wake);

/* fn will not be called again. Drops the caller's hold; accepts NULL. Thread: loop. */
void brim_wake_cancel(struct brim_wake *wake);

/* The callback to register for `receiver`. */
void brim_wake_receive(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages);

#endif
