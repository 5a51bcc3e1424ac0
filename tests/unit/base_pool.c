/* SPDX-License-Identifier: MIT */
#include "brim/base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/metric.h"
#include "unit.h"

/* A job that says it has started, may wait at a gate, and notes when in the order it ran. */
struct noted_job {
    struct brim_job job;
    sem_t *started;
    sem_t *gate;
    char name;
};

static char order[64];
static atomic_uint order_len;
static sem_t started, gate;

static void run_noted(struct brim_job *job)
{
    struct noted_job *noted = (struct noted_job *)job;

    if (noted->started != NULL)
        (void)sem_post(noted->started);
    if (noted->gate != NULL)
        while (sem_wait(noted->gate) != 0)
            ;
    order[atomic_fetch_add(&order_len, 1)] = noted->name;
}

/* Tells only when its name is there. */
static void run_noted_then_tell(struct brim_job *job)
{
    struct noted_job *noted = (struct noted_job *)job;

    order[atomic_fetch_add(&order_len, 1)] = noted->name;
    (void)sem_post(noted->started);
}

static void setup(void)
{
    memset(order, 0, sizeof(order));
    atomic_store(&order_len, 0);
    ck_assert_int_eq(sem_init(&started, 0, 0), 0);
    ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
}

static void teardown(void)
{
    (void)sem_destroy(&started);
    (void)sem_destroy(&gate);
}

static struct brim_pool *open_pool(unsigned threads, unsigned queue_max)
{
    struct brim_pool *pool;

    ck_assert_int_eq(brim_pool_open(&(struct brim_pool_limits){threads, queue_max}, &pool),
                     BRIM_OK);
    return pool;
}

/* A client waits for a read; nobody waits for a compression. */
START_TEST(jobs_run_in_the_order_read_write_encode)
{
    struct brim_pool *pool = open_pool(1, 16);
    struct noted_job plug = {{.run = run_noted}, &started, &gate, '-'};
    struct noted_job jobs[] = {
        {{.run = run_noted}, NULL, NULL, 'e'}, {{.run = run_noted}, NULL, NULL, 'w'},
        {{.run = run_noted}, NULL, NULL, 'r'}, {{.run = run_noted}, NULL, NULL, 'W'},
        {{.run = run_noted}, NULL, NULL, 'R'},
    };
    static const enum brim_job_class classes[] = {BRIM_JOB_ENCODE, BRIM_JOB_WRITE, BRIM_JOB_READ,
                                                  BRIM_JOB_WRITE, BRIM_JOB_READ};

    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_READ, &plug.job), BRIM_OK);
    ck_assert_int_eq(sem_wait(&started), 0); /* the only thread is busy: the rest must queue */
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(brim_pool_submit(pool, classes[i], &jobs[i].job), BRIM_OK);
    (void)sem_post(&gate);
    brim_pool_close(pool);
    ck_assert_str_eq(order, "-rRwWe");
}
END_TEST

/* While the disk is slow and writes pile up, hits from disk must go on. */
START_TEST(one_thread_stays_free_for_reads)
{
    struct brim_pool *pool = open_pool(3, 16);
    struct noted_job slow[4];
    struct noted_job read = {{.run = run_noted_then_tell}, &started, NULL, 'r'};

    for (size_t i = 0; i < 4; i++) {
        slow[i] = (struct noted_job){{.run = run_noted}, &started, &gate, 'w'};
        ck_assert_int_eq(
            brim_pool_submit(pool, i % 2 == 0 ? BRIM_JOB_WRITE : BRIM_JOB_ENCODE, &slow[i].job),
            BRIM_OK);
    }
    ck_assert_int_eq(sem_wait(&started), 0);
    ck_assert_int_eq(sem_wait(&started), 0); /* two of three threads are stuck, two jobs queue */
    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_READ, &read.job), BRIM_OK);
    ck_assert_int_eq(sem_wait(&started), 0); /* the read, though nothing has been let go */
    for (size_t i = 0; i < 4; i++)
        (void)sem_post(&gate);
    brim_pool_close(pool);
    ck_assert_str_eq(order, "rwwww");
}
END_TEST

/* A queue without a bound would turn a slow disk into exhausted memory. */
START_TEST(full_queue_refuses_and_counts)
{
    struct brim_pool *pool = open_pool(1, 2);
    struct noted_job plug = {{.run = run_noted}, &started, &gate, '-'};
    struct noted_job jobs[3];
    struct noted_job read = {{.run = run_noted}, NULL, NULL, 'r'};
    struct noted_job only = {{.run = run_noted}, NULL, NULL, 'o'};

    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_READ, &plug.job), BRIM_OK);
    ck_assert_int_eq(sem_wait(&started), 0);
    for (size_t i = 0; i < 3; i++) {
        jobs[i] = (struct noted_job){{.run = run_noted}, NULL, NULL, 'w'};
        ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_WRITE, &jobs[i].job),
                         i < 2 ? BRIM_OK : BRIM_ELIMIT);
    }
    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_READ, &read.job), BRIM_OK);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_POOL_REJECTED), 1);
    brim_pool_submit_only(pool, BRIM_JOB_WRITE, &only.job);
    (void)sem_post(&gate);
    brim_pool_close(pool);
    ck_assert_str_eq(order, "-rwwo");
}
END_TEST

static void run_and_free(struct brim_job *job)
{
    free(job);
}

/* Owners embed the job and free themselves in it: the pool must not look at it afterwards, and
 * closing must lose none. */
START_TEST(close_runs_everything_and_jobs_may_free_themselves)
{
    struct brim_pool *pool = open_pool(4, 100000);

    for (int i = 0; i < 3000; i++) {
        struct brim_job *job = calloc(1, sizeof(*job));

        ck_assert_ptr_nonnull(job);
        job->run = run_and_free;
        ck_assert_int_eq(brim_pool_submit(pool, (enum brim_job_class)(i % BRIM_JOB_CLASSES), job),
                         BRIM_OK);
    }
    brim_pool_close(pool); /* a lost job is a leak, which the sanitizer reports */
}
END_TEST

static struct brim_pool *resubmit_pool;
static _Atomic int resubmit_err = -1;

static void run_resubmit(struct brim_job *job)
{
    static struct noted_job next = {{.run = run_noted}, NULL, NULL, 'n'};

    (void)job;
    (void)sem_post(&started);
    while (sem_wait(&gate) != 0)
        ;
    atomic_store(&resubmit_err, (int)brim_pool_submit(resubmit_pool, BRIM_JOB_READ, &next.job));
}

static void *close_pool(void *pool)
{
    brim_pool_close(pool);
    return NULL;
}

/* A job that starts another one while the pool closes gets an answer, not a hang or a lost job. */
START_TEST(submit_during_close_is_either_run_or_refused)
{
    struct brim_job job = {.run = run_resubmit};
    pthread_t closer;

    resubmit_pool = open_pool(1, 16);
    ck_assert_int_eq(brim_pool_submit(resubmit_pool, BRIM_JOB_WRITE, &job), BRIM_OK);
    ck_assert_int_eq(sem_wait(&started), 0);
    ck_assert_int_eq(pthread_create(&closer, NULL, close_pool, resubmit_pool), 0);
    (void)sem_post(&gate);
    ck_assert_int_eq(pthread_join(closer, NULL), 0);
    if (atomic_load(&resubmit_err) == BRIM_OK)
        ck_assert_str_eq(order, "n");
    else
        ck_assert_int_eq(atomic_load(&resubmit_err), BRIM_ECLOSED);
}
END_TEST

struct look_job {
    struct brim_job job;
    char name[16];
    bool is_blocked;
};

static void run_look(struct brim_job *job)
{
    struct look_job *look = (struct look_job *)job;
    sigset_t mask;

    (void)pthread_getname_np(pthread_self(), look->name, sizeof(look->name));
    look->is_blocked = pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0 &&
                       sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1;
}

/* SIGTERM must reach the control thread, and `top -H` must say who burns the CPU. */
START_TEST(threads_have_a_name_and_take_no_signals)
{
    struct brim_pool *pool = open_pool(1, 1);
    struct look_job look = {.job.run = run_look};
    sigset_t mine;

    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_READ, &look.job), BRIM_OK);
    brim_pool_close(pool);
    ck_assert(look.is_blocked);
    ck_assert_str_eq(look.name, "brim-io-0");
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &mine), 0);
    ck_assert_int_eq(sigismember(&mine, SIGTERM), 0);
}
END_TEST

static _Atomic unsigned finished;

static void run_counting(struct brim_job *job)
{
    (void)job;
    (void)sched_yield();
    atomic_fetch_add(&finished, 1);
}

/* Who waits for idle is about to free what the jobs use: not one may be left. */
START_TEST(wait_idle_returns_after_the_last_job)
{
    struct brim_pool *pool = open_pool(3, 256);
    struct brim_job jobs[200] = {0};

    for (unsigned i = 0; i < 200; i++) {
        jobs[i].run = run_counting;
        ck_assert_int_eq(brim_pool_submit(pool, i % BRIM_JOB_CLASSES, &jobs[i]), BRIM_OK);
    }
    brim_pool_wait_idle(pool);
    ck_assert_uint_eq(atomic_load(&finished), 200);
    brim_pool_wait_idle(pool);
    brim_pool_close(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/pool");
    TCase *tcase = tcase_create("pool");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, jobs_run_in_the_order_read_write_encode);
    tcase_add_test(tcase, one_thread_stays_free_for_reads);
    tcase_add_test(tcase, full_queue_refuses_and_counts);
    tcase_add_test(tcase, close_runs_everything_and_jobs_may_free_themselves);
    tcase_add_test(tcase, submit_during_close_is_either_run_or_refused);
    tcase_add_test(tcase, threads_have_a_name_and_take_no_signals);
    tcase_add_test(tcase, wait_idle_returns_after_the_last_job);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
