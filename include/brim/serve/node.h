/* SPDX-License-Identifier: MIT */
/*
 * node - owns all that serves: workers, fetchers, cache, control thread; start, drain, end.
 *
 * Order of start: TLS, pool, cache, fetchers, flights, access log, workers, admin. Order of end:
 * workers drain, admin, fetchers, cache, pool, flights, workers' queues, access log.
 *
 * Refuses to know who started it, but for the parent at the other end of its link (launch.h).
 */
#ifndef BRIM_SERVE_NODE_H
#define BRIM_SERVE_NODE_H

#include <stdio.h>

#include "brim/base/err.h"
#include "brim/serve/start.h"

/* Whether what brim_node_run() reads before all else, the certificates, is usable.
 * Errors: BRIM_EINVAL, the faults were printed. */
BRIM_MUST_USE enum brim_err brim_node_check(const struct brim_conf *conf, FILE *faults);

/*
 * Serves on the sockets of start until it is told to end by a signal or its parent. Returns the
 * exit status: 0 drained and ended; 1 could not start (logged); 2 a file that the config names is
 * not usable (faults were printed to stderr). Thread: main, of a process that has no other yet.
 */
int brim_node_run(const struct brim_start *start);

#endif
