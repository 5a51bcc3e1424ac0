/* SPDX-License-Identifier: MIT */
/*
 * service - what a service manager (systemd: sd_notify(3)) is told about the node. Where none is
 * there to be told, nothing happens.
 *
 * The node speaks, not its parent: NotifyAccess=all. Refuses to decide anything.
 */
#ifndef BRIM_SERVE_SERVICE_H
#define BRIM_SERVE_SERVICE_H

#include <stdint.h>

/* How long the manager waits for brim_service_alive() before it kills; 0: it does not watch.
 * Thread: init, in the process that the manager started. */
uint64_t brim_service_watchdog_us(void);

/* Thread: any. */
void brim_service_ready(void);
void brim_service_reloading(void); /* ready comes when it is over */
void brim_service_stopping(void);
void brim_service_alive(void);

#endif
