/* SPDX-License-Identifier: MIT */
/*
 * node - owns everything: parent process, sockets, workers, fetchers, cache, control thread; start,
 * drain, restart.
 *
 * Order of start: config, TLS, sockets (parent) | pool, cache, fetchers, flights, access log,
 * workers, admin (node). Order of end: workers drain, admin, fetchers, cache, pool, flights,
 * workers' queues, access log.
 */
#ifndef BRIM_SERVE_NODE_H
#define BRIM_SERVE_NODE_H

enum brim_node_mode {
    BRIM_NODE_SUPERVISED, /* a parent holds the sockets and restarts the node when it dies */
    BRIM_NODE_SINGLE,     /* one process: for debuggers and service managers that restart */
};

/*
 * Runs until SIGTERM or SIGINT. SIGUSR1 reopens the access log, SIGHUP reloads the config.
 * Returns the exit status: 0 drained and ended; 1 could not start (logged); 2 the config is not
 * usable (faults were printed to stderr, nothing was started).
 */
int brim_node_run(const char *conf_path, enum brim_node_mode mode);

#endif
