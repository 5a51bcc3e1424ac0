/* SPDX-License-Identifier: MIT */
/*
 * parent - the process that holds the sockets, watches the node, and puts another program in its
 * place when it is told to.
 *
 * It has one thread and forks before any other exists. Refuses to know what a node does.
 */
#ifndef BRIM_SERVE_PARENT_H
#define BRIM_SERVE_PARENT_H

#include "brim/serve/handover.h"
#include "brim/serve/start.h"

struct brim_parent_config {
    struct brim_start start;
    struct brim_handover handover; /* role PARENT: the node runs already */
    int estate_fd;
    int (*run_node)(const struct brim_start *start);
};

/* Starts the node, or goes on with the one that runs, until it has ended. *conf is what the next
 * node starts with: it may be replaced by another one. Returns the exit status. */
int brim_parent_run(const struct brim_parent_config *config, struct brim_conf **conf,
                    const sigset_t *signals);

#endif
