/* SPDX-License-Identifier: MIT */
/*
 * pool - the I/O pool: a few threads that do what a loop may not (cold reads, segment writes,
 * compression). Three queues, served in the order read, write, encode.
 *
 * A job is embedded in its owner's struct; its function runs once on a pool thread and may free
 * the owner. How the result reaches a loop is the owner's business.
 */
#ifndef BRIM_BASE_POOL_H
#define BRIM_BASE_POOL_H

#include "brim/base/err.h"

struct brim_pool; /* opaque */

enum brim_job_class { BRIM_JOB_READ, BRIM_JOB_WRITE, BRIM_JOB_ENCODE, BRIM_JOB_CLASSES };

struct brim_job {
    void (*run)(struct brim_job *job);
    struct brim_job *next; /* private */
};

struct brim_pool_limits {
    unsigned threads;   /* >= 1 */
    unsigned queue_max; /* jobs waiting per class */
};

/* Starts the threads. Owns: the caller closes. Thread: init. Errors: BRIM_ENOMEM, BRIM_EIO. */
BRIM_MUST_USE enum brim_err brim_pool_open(const struct brim_pool_limits *limits,
                                           struct brim_pool **pool_out);

/* Queues job; on BRIM_ELIMIT (queue full) or BRIM_ECLOSED it was not taken. Thread: any. */
BRIM_MUST_USE enum brim_err brim_pool_submit(struct brim_pool *pool, enum brim_job_class class,
                                             struct brim_job *job);

/* Queues a job whose owner has this one and no more, full or not. Not once the pool is being
 * closed, but from a job. Thread: any. */
void brim_pool_submit_only(struct brim_pool *pool, enum brim_job_class class, struct brim_job *job);

/* Waits until nothing is queued and nothing runs. Who may still submit is the caller's to know.
 * Thread: init. */
void brim_pool_wait_idle(struct brim_pool *pool);

/* Runs what is queued, then ends the threads and frees. Thread: init (after the loops). */
void brim_pool_close(struct brim_pool *pool);

#endif
