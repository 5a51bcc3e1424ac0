/* SPDX-License-Identifier: MIT */
/*
 * vigil - waits for signals, and meanwhile tells the service manager that the node is alive.
 *
 * A node that answers here and whose loops hang is not alive: then nothing is said, and the manager
 * ends it. Refuses to know what the signals mean.
 */
#ifndef BRIM_SERVE_VIGIL_H
#define BRIM_SERVE_VIGIL_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/serve/worker.h"

struct brim_vigil { /* private */
    uint64_t period_us;
    uint64_t look_us; /* when the loops are looked at next */
    struct brim_worker *const *workers;
    size_t worker_count;
    uint64_t *beats; /* per worker, when they were last looked at */
};

/* watchdog_us: how long the manager waits for a sign of life; 0: nobody does. workers: borrowed
 * until fini. Thread: init. */
void brim_vigil_init(struct brim_vigil *vigil, uint64_t watchdog_us,
                     struct brim_worker *const *workers, size_t worker_count);

/* Returns a signal of the set, or -1 for none yet. Thread: init. */
int brim_vigil_wait(struct brim_vigil *vigil, const sigset_t *signals);

void brim_vigil_fini(struct brim_vigil *vigil);

#endif
