/* SPDX-License-Identifier: MIT */
/*
 * admin_conn - the connections of the admin listener: how many, for how long, and whose bodies are
 * read.
 *
 * h2o reads a request with its body, which may have 8 MiB, before anybody is asked. So where a
 * token is asked for, each head is looked at before h2o sees a byte of it, and a request that has a
 * body and not the token is refused while the body is still to come.
 */
#ifndef BRIM_SERVE_ADMIN_CONN_H
#define BRIM_SERVE_ADMIN_CONN_H

#include <h2o.h>

#include "brim/base/str.h"
#include "brim/serve/admin_gate.h"
#include "brim/serve/guard.h"

#define BRIM_ADMIN_CONNS_MAX    64u
#define BRIM_ADMIN_ANSWER_BYTES 640u

struct brim_admin_audit;

struct brim_admin_conn {
    struct brim_admin_audit *audit; /* admin.c's: of the call under way; NULL: none */
    h2o_socket_t *sock;
    h2o_linklist_t link; /* from here on private */
    struct brim_admin_conns *conns;
    h2o_socket_cb h2o_read;
    h2o_socket_cb h2o_written;
    uint64_t answered_mono_ms; /* when the last answer was handed over */
    bool is_refused;
    size_t discarded_bytes; /* since then */
    char answer[BRIM_ADMIN_ANSWER_BYTES];
};

/* A request that h2o has not seen. */
struct brim_admin_refused {
    unsigned status;
    struct brim_str method; /* empty, like path: not well-formed */
    struct brim_str path;   /* without the query */
};

struct brim_admin_conns_config {
    h2o_context_t *ctx;
    h2o_hostconf_t **hosts;
    struct brim_admin_gate *gate;
    void (*on_refused)(struct brim_admin_conn *conn, const struct brim_admin_refused *refused);
};

struct brim_admin_conns { /* private */
    struct brim_admin_conns_config config;
    h2o_accept_ctx_t accept;
    h2o_linklist_t all;
    unsigned count;
    struct brim_admin_conn *inside; /* whose callback in h2o runs; NULL when that has closed it */
};

/* Everything here: thread control. */
void brim_admin_conns_init(struct brim_admin_conns *conns,
                           const struct brim_admin_conns_config *config);

/* Takes sock; closes it where there are too many. */
void brim_admin_conns_take(struct brim_admin_conns *conns, h2o_socket_t *sock);

/* Once a turn: ends those whose answer nobody takes. */
void brim_admin_conns_sweep(struct brim_admin_conns *conns);

/* All of them; they close on later turns, whatever they wait for. */
void brim_admin_conns_kill(struct brim_admin_conns *conns);

unsigned brim_admin_conns_count(const struct brim_admin_conns *conns);

struct brim_admin_conn *brim_admin_conn_of(h2o_req_t *req);

/* Around h2o_send(), of which there is one for each request, with all of the answer. */
void brim_admin_conn_before_send(h2o_req_t *req);
void brim_admin_conn_after_send(h2o_req_t *req);

/* The refusal of a header block as it stands in front of a socket's input. */
struct brim_guard_refusal brim_admin_conn_scan(h2o_socket_t *sock);

#endif
