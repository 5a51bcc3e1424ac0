/* SPDX-License-Identifier: MIT */
/*
 * start - what a node is started with, and what it and its parent tell each other.
 */
#ifndef BRIM_SERVE_START_H
#define BRIM_SERVE_START_H

#include <signal.h>
#include <stdint.h>

#include "brim/base/conf.h"
#include "brim/serve/estate.h"
#include "brim/serve/sockets.h"

#define BRIM_SIGNAL_RELOADED SIGRTMIN       /* node to parent: another config is in force */
#define BRIM_SIGNAL_LET_GO   (SIGRTMIN + 1) /* parent to node: a successor needs the disk tier */
#define BRIM_SIGNAL_STAY     (SIGRTMIN + 2) /* parent to node: it did not come up, nobody else did */

/* Exit status: nobody need try again before the config, or what it names, is another one. */
#define BRIM_EXIT_CONFIG 2

/* What goes over the link, a byte each. */
#define BRIM_LINK_PREPARED 'p' /* successor: could start, but for what the old node still has */
#define BRIM_LINK_GO       'g' /* to the successor: have it */
#define BRIM_LINK_READY    'r' /* node: it serves */
#define BRIM_LINK_LET_GO   'd' /* old node: nothing is written to the disk tier any more */

/* What a node is started with. */
struct brim_start {
    const struct brim_conf *conf;
    struct brim_sockets *sockets;
    struct brim_estate *estate; /* NULL: there is no parent */
    unsigned restarts;
    pid_t parent; /* told of reloads, asked for upgrades; 0: none */
    uint64_t watchdog_us;
    int link; /* to the parent; -1: none */
    bool is_successor;
    int log; /* successor: what becomes stderr when it is ready */
};

#endif
