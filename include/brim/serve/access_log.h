/* SPDX-License-Identifier: MIT */
/*
 * access_log - one line a request, never at the cost of a response.
 *
 * Workers copy a compact record into a bounded ring of their own; one writer thread formats (one
 * JSON object a line, or Apache combined) and writes in batches. What cannot be kept or written
 * (ring full, disk full, a pipe that nobody reads) is counted: brim_access_log_dropped_total.
 * Refuses to know requests: who calls says what there is to say.
 */
#ifndef BRIM_SERVE_ACCESS_LOG_H
#define BRIM_SERVE_ACCESS_LOG_H

#include <stdint.h>

#include "brim/base/conf.h"
#include "brim/serve/access_line.h"

struct brim_access_log; /* opaque; NULL stands for "off" in every call */

/* Opens the file (append; a FIFO need not have a reader) and starts the writer. *log_out is NULL
 * when conf says off. workers: number of rings, each of conf->buffer_bytes.
 * Errors: BRIM_EIO (logged), BRIM_ENOMEM. Thread: init. */
BRIM_MUST_USE enum brim_err brim_access_log_open(const struct brim_conf_access_log *conf,
                                                 size_t workers, struct brim_access_log **log_out);
/* Appends to the ring of `worker`. Long strings are cut. Thread: that worker. Never waits. */
void brim_access_log_put(struct brim_access_log *log, size_t worker,
                         const struct brim_access_record *record);
/* Closes and reopens the file at the next batch (log rotation). Thread: any. */
void brim_access_log_reopen(struct brim_access_log *log);
/* Writes what is queued, or gives it up after 2 s of a blocked output, and ends the thread.
 * Thread: init, after the workers. */
void brim_access_log_close(struct brim_access_log *log);

#endif
