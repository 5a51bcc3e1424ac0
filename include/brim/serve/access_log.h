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
#include "brim/base/str.h"

struct brim_access_log; /* opaque; NULL stands for "off" in every call */

struct brim_access_record { /* all borrowed for the call; absent strings have len 0 */
    int64_t start_wall_ms;
    uint64_t duration_us;   /* to the end of the response */
    uint64_t first_byte_us; /* to its start */
    uint64_t origin_ms;     /* to the origin's headers; 0: not asked */
    uint64_t bytes_sent;    /* body */
    uint64_t request_bytes; /* body */
    unsigned status;
    unsigned origin_status;
    struct brim_str peer;
    struct brim_str method;
    struct brim_str scheme;
    struct brim_str host;
    struct brim_str target;
    struct brim_str protocol; /* "HTTP/1.1", "HTTP/2" */
    struct brim_str cache;    /* hit miss stale revalidated pass error */
    struct brim_str reason;
    struct brim_str site;
    struct brim_str user_agent;
    struct brim_str referer;
    struct brim_str trace; /* hex digits, W3C Trace Context */
    struct brim_str span;
    uint64_t request_id[2]; /* printed as 32 hex digits */
    bool complete;          /* the whole response was handed over */
};

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
