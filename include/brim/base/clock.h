/* SPDX-License-Identifier: MIT */
/*
 * clock - the two clocks, never mixed: mono for waiting and measuring, wall for HTTP dates and
 * what goes to disk; and what a thread has worked. Functions that reason about time take it as an
 * argument; only edges call this.
 */
#ifndef BRIM_BASE_CLOCK_H
#define BRIM_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. Thread: any. */
uint64_t brim_clock_mono_ms(void);

/* Microseconds of CLOCK_MONOTONIC. Thread: any. */
uint64_t brim_clock_mono_us(void);

/* Microseconds of CPU time that the calling thread has used. A system call, unlike the others.
 * Thread: any. */
uint64_t brim_clock_thread_cpu_us(void);

/* Milliseconds since the epoch. Thread: any. */
int64_t brim_clock_wall_ms(void);

#endif
