/* SPDX-License-Identifier: MIT */
/*
 * One lock, one condition, three queues.
 *
 * Order alone does not keep reads quick: once every thread runs a slow job (a segment write, a
 * compression), a read waits for one of them however high it ranks. So at most threads - 1 slow
 * jobs run at once and one thread is left for reads; with a single thread there is no choice. While
 * the pool closes nobody waits for reads any more, and every thread helps to empty the queues.
 */
#include "brim/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define POOL_MAGIC 0x706f6f6cu

struct queue {
    struct brim_job *head;
    struct brim_job **tail;
    unsigned count;
};

struct brim_pool {
    uint32_t magic;
    struct brim_pool_limits limits;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t work;
    struct queue queues[BRIM_JOB_CLASSES];
    pthread_cond_t idle;
    unsigned running;      /* jobs under way */
    unsigned slow_running; /* those of a class other than read */
    unsigned slow_max;
    bool is_closing;
    unsigned started;
    pthread_t threads[];
};

static void queue_put(struct queue *queue, struct brim_job *job)
{
    job->next = NULL;
    *queue->tail = job;
    queue->tail = &job->next;
    queue->count++;
}

static struct brim_job *queue_take(struct queue *queue)
{
    struct brim_job *job = queue->head;

    INVARIANT(job != NULL);
    INVARIANT(queue->count > 0);
    queue->head = job->next;
    if (queue->head == NULL)
        queue->tail = &queue->head;
    queue->count--;
    job->next = NULL;
    return job;
}

/* Which class this thread may serve now; BRIM_JOB_CLASSES: none. Called with the lock held. */
static enum brim_job_class pick_class(const struct brim_pool *pool)
{
    if (pool->queues[BRIM_JOB_READ].count > 0)
        return BRIM_JOB_READ;
    if (pool->slow_running >= pool->slow_max && !pool->is_closing)
        return BRIM_JOB_CLASSES;
    if (pool->queues[BRIM_JOB_WRITE].count > 0)
        return BRIM_JOB_WRITE;
    if (pool->queues[BRIM_JOB_ENCODE].count > 0)
        return BRIM_JOB_ENCODE;
    return BRIM_JOB_CLASSES;
}

static bool is_idle(const struct brim_pool *pool)
{
    for (size_t i = 0; i < BRIM_JOB_CLASSES; i++)
        if (pool->queues[i].count > 0)
            return false;
    return pool->running == 0;
}

/* Runs one job of class; the lock is held on entry and on return, but not over the job. */
static void run_one(struct brim_pool *pool, enum brim_job_class class)
{
    struct brim_job *job = queue_take(&pool->queues[class]);
    bool is_slow = class != BRIM_JOB_READ;

    pool->running++;
    if (is_slow)
        pool->slow_running++;
    (void)pthread_mutex_unlock(&pool->lock);

    job->run(job); /* may free the job */

    (void)pthread_mutex_lock(&pool->lock);
    pool->running--;
    if (is_idle(pool))
        (void)pthread_cond_broadcast(&pool->idle);
    if (is_slow) {
        INVARIANT(pool->slow_running > 0);
        pool->slow_running--;
        /* This thread may turn to a read: let a sleeper have the slow slot. */
        (void)pthread_cond_signal(&pool->work);
    }
}

static void *pool_main(void *arg)
{
    struct brim_pool *pool = arg;

    OBJ_CHECK(pool, POOL_MAGIC);
    (void)pthread_mutex_lock(&pool->lock);
    for (;;) {
        enum brim_job_class class = pick_class(pool);

        if (class != BRIM_JOB_CLASSES)
            run_one(pool, class);
        else if (pool->is_closing)
            break;
        else
            (void)pthread_cond_wait(&pool->work, &pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Starts all threads with every signal blocked: signals belong to the control thread. */
static int start_threads(struct brim_pool *pool)
{
    sigset_t all, before;
    int e;

    (void)sigfillset(&all);
    e = pthread_sigmask(SIG_SETMASK, &all, &before);
    INVARIANT(e == 0);
    while (e == 0 && pool->started < pool->limits.threads) {
        char name[16];

        e = pthread_create(&pool->threads[pool->started], NULL, pool_main, pool);
        if (e != 0)
            break;
        (void)snprintf(name, sizeof(name), "brim-io-%u", pool->started);
        (void)pthread_setname_np(pool->threads[pool->started], name);
        pool->started++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

enum brim_err brim_pool_open(const struct brim_pool_limits *limits, struct brim_pool **pool_out)
{
    INVARIANT(limits != NULL && limits->threads >= 1);
    INVARIANT(pool_out != NULL);
    *pool_out = NULL;

    struct brim_pool *pool = calloc(1, sizeof(*pool) + limits->threads * sizeof(pool->threads[0]));
    if (pool == NULL)
        return BRIM_ENOMEM;
    pool->magic = POOL_MAGIC;
    pool->limits = *limits;
    pool->slow_max = limits->threads > 1 ? limits->threads - 1 : 1;
    for (size_t i = 0; i < BRIM_JOB_CLASSES; i++)
        pool->queues[i].tail = &pool->queues[i].head;
    (void)pthread_mutex_init(&pool->lock, NULL); /* with glibc these two cannot fail */
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->idle, NULL);

    int e = start_threads(pool);
    if (e != 0) {
        BRIM_LOG(ERROR, "pool.start", "threads=%u started=%u errno=%d", limits->threads,
                 pool->started, e);
        brim_pool_close(pool);
        return e == ENOMEM ? BRIM_ENOMEM : BRIM_EIO;
    }
    *pool_out = pool;
    return BRIM_OK;
}

enum brim_err brim_pool_submit(struct brim_pool *pool, enum brim_job_class class,
                               struct brim_job *job)
{
    enum brim_err err = BRIM_OK;

    OBJ_CHECK(pool, POOL_MAGIC);
    INVARIANT((unsigned)class < BRIM_JOB_CLASSES);
    INVARIANT(job != NULL && job->run != NULL);

    (void)pthread_mutex_lock(&pool->lock);
    if (pool->is_closing) {
        err = BRIM_ECLOSED;
    } else if (pool->queues[class].count >= pool->limits.queue_max) {
        err = BRIM_ELIMIT;
    } else {
        queue_put(&pool->queues[class], job);
        (void)pthread_cond_signal(&pool->work);
    }
    (void)pthread_mutex_unlock(&pool->lock);

    if (err == BRIM_ELIMIT)
        BRIM_COUNT(POOL_REJECTED);
    return err;
}

void brim_pool_submit_only(struct brim_pool *pool, enum brim_job_class class, struct brim_job *job)
{
    OBJ_CHECK(pool, POOL_MAGIC);
    INVARIANT((unsigned)class < BRIM_JOB_CLASSES);
    INVARIANT(job != NULL && job->run != NULL);
    (void)pthread_mutex_lock(&pool->lock);
    queue_put(&pool->queues[class], job);
    (void)pthread_cond_signal(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
}

void brim_pool_wait_idle(struct brim_pool *pool)
{
    OBJ_CHECK(pool, POOL_MAGIC);
    (void)pthread_mutex_lock(&pool->lock);
    while (!is_idle(pool))
        (void)pthread_cond_wait(&pool->idle, &pool->lock);
    (void)pthread_mutex_unlock(&pool->lock);
}

void brim_pool_close(struct brim_pool *pool)
{
    if (pool == NULL)
        return;
    OBJ_CHECK(pool, POOL_MAGIC);

    (void)pthread_mutex_lock(&pool->lock);
    pool->is_closing = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++) {
        int failed = pthread_join(pool->threads[i], NULL);

        INVARIANT(failed == 0);
    }

    for (size_t i = 0; i < BRIM_JOB_CLASSES; i++)
        INVARIANT(pool->queues[i].count == 0);
    (void)pthread_cond_destroy(&pool->idle);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->lock);
    pool->magic = 0;
    free(pool);
}
