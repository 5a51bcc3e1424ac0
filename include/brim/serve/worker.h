/* SPDX-License-Identifier: MIT */
/*
 * worker - one event loop on one thread: its h2o context, its listeners, its turns.
 */
#ifndef BRIM_SERVE_WORKER_H
#define BRIM_SERVE_WORKER_H

#include "brim/serve/listener.h"
#include "brim/serve/request.h"

struct brim_worker; /* opaque */

struct brim_worker_config { /* all borrowed until close, routes counted */
    size_t index;
    const struct brim_conf_root *conf;
    const struct brim_sockets *sockets;
    SSL_CTX *const *tls; /* per listener */
    struct brim_cache *cache;
    struct brim_flights *flights;
    struct brim_encoders *encoders;
    struct brim_dictionaries *dictionaries; /* NULL: none */
    struct brim_dict *dict;
    struct brim_pool *hashers;
    struct brim_purge_line *purge_line; /* NULL: nobody is above */
    struct brim_kv *kv;                 /* NULL: no stores */
    struct brim_access_log *log;
    struct brim_top *top;
    struct brim_routes *routes;
    _Atomic int64_t *connections;
    struct brim_clients *clients;
    uint64_t node_token; /* tells this node from others of the same id in CDN-Loop */
};

/* Starts the thread and waits until it accepts. Errors: BRIM_EIO, BRIM_ENOMEM. Thread: init. */
BRIM_MUST_USE enum brim_err brim_worker_open(const struct brim_worker_config *config,
                                             struct brim_worker **worker_out);

/* Turns of its loop so far; a loop that is well has one a second at least. Thread: any. */
uint64_t brim_worker_beats(const struct brim_worker *worker);

/* Asks the worker to match requests against routes, which it counts, from its next turn on. Each
 * swap is waited for before the next and before drain. Thread: one at a time. */
void brim_worker_swap(struct brim_worker *worker, struct brim_routes *routes);
void brim_worker_swap_wait(struct brim_worker *worker);

/* Asks the worker to stop accepting, finish what is under way until deadline, and end. Does not
 * wait. Thread: init. */
void brim_worker_drain(struct brim_worker *worker, uint64_t deadline_mono_ms);

/* Waits until its loop has ended, after drain. Returns how many connections would not end; their
 * requests still hold what they use. Once. Thread: init. */
size_t brim_worker_wait(struct brim_worker *worker);

/* Frees, after wait, and after everything that may fire a wake is closed (fetchers, pool).
 * Thread: init. */
void brim_worker_close(struct brim_worker *worker);

#endif
