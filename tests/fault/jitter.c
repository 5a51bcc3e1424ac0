/* SPDX-License-Identifier: MIT */
/*
 * jitter - a preloaded library that now and then lets a thread sleep where it takes a lock or gives
 * it back, so that threads meet in orders that a quiet machine shows once in a million requests.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define ONE_IN    48u
#define SLEEP_US  300u
#define NS_PER_US 1000
#define GOLDEN    0x9e3779b97f4a7c15u

static int (*next_lock)(pthread_mutex_t *mutex);
static int (*next_unlock)(pthread_mutex_t *mutex);

/* Others' constructors may lock before a constructor of ours would run. */
static void look_up(void)
{
    next_lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    next_unlock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_unlock");
}

static void perhaps_sleep(void)
{
    static __thread uint64_t state;
    struct timespec pause = {0, 0};

    if (state == 0)
        state = (uint64_t)(uintptr_t)&state ^ ((uint64_t)getpid() << 32);
    state = state * GOLDEN + 1;
    if ((state >> 33) % ONE_IN != 0)
        return;
    pause.tv_nsec = (long)((state >> 40) % SLEEP_US) * NS_PER_US;
    nanosleep(&pause, NULL);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (next_lock == NULL)
        look_up();
    perhaps_sleep();
    return next_lock(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int result;

    if (next_unlock == NULL)
        look_up();
    result = next_unlock(mutex);
    perhaps_sleep();
    return result;
}
