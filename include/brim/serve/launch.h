/* SPDX-License-Identifier: MIT */
/*
 * launch - from the command line to a running node: signals, limits, config and sockets, then the
 * parent, or the node without one.
 */
#ifndef BRIM_SERVE_LAUNCH_H
#define BRIM_SERVE_LAUNCH_H

enum brim_launch_mode {
    BRIM_LAUNCH_SUPERVISED, /* a parent holds the sockets and restarts the node when it dies */
    BRIM_LAUNCH_SINGLE,     /* one process: for debuggers and service managers that restart */
};

/*
 * Runs until SIGTERM or SIGINT. SIGUSR1 reopens the access log, SIGHUP reloads the config.
 * Returns the exit status: 0 drained and ended; 1 could not start (an address that is taken is on
 * stderr, all else in the log); 2 the config is not usable (faults were printed to stderr, nothing
 * was started).
 */
int brim_launch(const char *conf_path, enum brim_launch_mode mode);

#endif
