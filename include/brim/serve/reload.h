/* SPDX-License-Identifier: MIT */
/*
 * reload - puts another config in force while the node serves.
 *
 * Everything that may fail happens first: the config is read and checked, its certificates are
 * read, its routes compiled. Then everything is swapped, which cannot fail: so a config is in force
 * as a whole or not at all. Requests that are under way keep the snapshot they began with.
 */
#ifndef BRIM_SERVE_RELOAD_H
#define BRIM_SERVE_RELOAD_H

#include <stdio.h>

#include "brim/serve/tls.h"
#include "brim/serve/worker.h"

struct brim_reload; /* opaque */

struct brim_reload_config {       /* all borrowed until close */
    const struct brim_conf *conf; /* in force; must outlive the workers */
    struct brim_routes *routes;   /* in force; counted by the call */
    const struct brim_script_stores *stores;
    struct brim_tls *const *tls; /* per listener; NULL: cleartext */
    struct brim_worker *const *workers;
    size_t worker_count;
    struct brim_access_log *log; /* NULL: off */
    struct brim_checks *checks;
    void (*done)(void *ctx); /* a config has come into force; on the reloading thread */
    void *ctx;
};

struct brim_reload *brim_reload_open(const struct brim_reload_config *config);

/*
 * Reads the config file again and puts it in force; returns when it is, on every worker. The access
 * log is reopened. What is wrong with it is logged, a line each, and written to faults.
 *
 * Errors: BRIM_EINVAL refused, with faults in the form of brim_conf_load(), nothing has changed;
 * BRIM_EAGAIN another reload is under way; BRIM_ECLOSED the node ends.
 * Thread: any but a loop.
 */
BRIM_MUST_USE enum brim_err brim_reload_run(struct brim_reload *reload, FILE *faults);

/* The same, after a reload that is under way; for who cannot be answered. Thread: init. */
void brim_reload_run_in_turn(struct brim_reload *reload);

/* Waits for a reload under way; later ones are refused. Before the workers drain. */
void brim_reload_end(struct brim_reload *reload);

/* The snapshot in force, counted for the caller. Thread: any. */
struct brim_routes *brim_reload_routes(struct brim_reload *reload);

/* The config in force. Thread: after end, or from `done`. */
const struct brim_conf_root *brim_reload_root(const struct brim_reload *reload);

/* Thread: init, after the workers have been closed. */
void brim_reload_close(struct brim_reload *reload);

#endif
