/* SPDX-License-Identifier: MIT */
/*
 * request - the way of one request from h2o's handler to the access log, as one state machine.
 *
 * Owns the order of the steps (guard, route, lookup, flight, delivery); every step is a module
 * below that does not know the others.
 */
#ifndef BRIM_SERVE_REQUEST_H
#define BRIM_SERVE_REQUEST_H

#include "brim/serve/env.h"

/* The on_req of brim's only h2o handler. Thread: loop. */
int brim_request_start(h2o_handler_t *handler, h2o_req_t *req);

#endif
