/* SPDX-License-Identifier: MIT */
/*
 * parent_inside - what parent.c and upgrade.c share, and nobody else.
 */
#ifndef BRIM_SERVE_PARENT_INSIDE_H
#define BRIM_SERVE_PARENT_INSIDE_H

#include "brim/serve/start.h"

struct brim_parent {
    struct brim_start start;
    struct brim_conf **conf; /* that the next node starts with */
    int estate_fd;
    int (*run_node)(const struct brim_start *start);
    char *binary; /* that runs */
    pid_t child;
    int link;        /* to it */
    bool was_ready;  /* the child */
    bool has_served; /* some child */
    bool ending;
    uint64_t born_ms;
    unsigned backoff_ms;
};

/* Forks a node of this program. */
bool brim_parent_spawn(struct brim_parent *parent);

/* Whether a signal to end waits to be taken. */
bool brim_parent_is_told_to_end(void);

/* Does what SIGUSR2 asks for. Returns only where it fails, or where the new node runs and only this
 * process could not become the new program. */
void brim_parent_upgrade(struct brim_parent *parent);

#endif
