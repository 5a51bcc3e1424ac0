/* SPDX-License-Identifier: MIT */
#include "brim/base/clock.h"

#include <time.h>

#include "brim/base/invariant.h"

static struct timespec now(clockid_t clock)
{
    struct timespec ts;
    int failed = clock_gettime(clock, &ts);

    INVARIANT(failed == 0);
    return ts;
}

uint64_t brim_clock_mono_ms(void)
{
    return brim_clock_mono_us() / 1000;
}

static uint64_t now_us(clockid_t clock)
{
    struct timespec ts = now(clock);

    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t brim_clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

uint64_t brim_clock_thread_cpu_us(void)
{
    return now_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t brim_clock_wall_ms(void)
{
    struct timespec ts = now(CLOCK_REALTIME);

    return (int64_t)ts.tv_sec * 1000 + (int64_t)ts.tv_nsec / 1000000;
}
