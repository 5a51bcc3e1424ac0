/* SPDX-License-Identifier: MIT */
/*
 * handover - how a process of the node starts another program in its place or beside it, and what
 * that one is given: listening sockets, the shared page, the link to its parent. All of it stands
 * in environment variables that name descriptors.
 *
 * The other side may be of another version: what is not understood is a failed start, and the one
 * that runs goes on. Refuses to know what anything is for.
 */
#ifndef BRIM_SERVE_HANDOVER_H
#define BRIM_SERVE_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "brim/serve/inherited.h"
#include "brim/serve/sockets.h"

enum brim_role {
    BRIM_ROLE_FIRST,     /* nobody was there before */
    BRIM_ROLE_SUCCESSOR, /* a node that takes the place of another one, when its parent says so */
    BRIM_ROLE_PARENT,    /* the parent, which has become another program; its node runs */
};

struct brim_handover {
    enum brim_role role;
    pid_t pid;  /* successor: its parent's; parent: its node's */
    int link;   /* between these two; -1: none */
    int estate; /* see estate.h; -1: none */
    int log;    /* successor: where it logs from the moment it is ready; -1: none */
};

/* Takes it out of the environment. False: it is there and cannot be understood. Thread: init. */
bool brim_handover_take(struct brim_handover *handover_out);

/* The listening sockets that come with it; NULL: there are none. Thread: init. */
struct brim_inherited *brim_handover_sockets(void);

/* What is started. */
struct brim_handover_program {
    const char *binary;
    const char *conf_path;
    const struct brim_conf *conf; /* that the sockets belong to */
    const struct brim_sockets *sockets;
};

/* Becomes `program`. Returns only where that failed, with errno; nothing has changed then. */
void brim_handover_exec(const struct brim_handover *handover,
                        const struct brim_handover_program *program);

#endif
