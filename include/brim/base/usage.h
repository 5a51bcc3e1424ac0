/* SPDX-License-Identifier: MIT */
/*
 * usage - what the process takes of the machine: CPU, RAM, descriptors.
 *
 * Whoever looks regularly calls the tick; it samples once a second and sets the gauges. CPU is set
 * in relation to what the process may have: the cores of its affinity mask, or the quota of its
 * cgroup where that is less, so that 1 means that there is no more to be had.
 */
#ifndef BRIM_BASE_USAGE_H
#define BRIM_BASE_USAGE_H

#include <stdint.h>

#define BRIM_USAGE_SAMPLES 11u /* 10 s between the oldest and the newest */

struct brim_usage { /* private */
    double cores;
    uint64_t at_us[BRIM_USAGE_SAMPLES];
    uint64_t cpu_us[BRIM_USAGE_SAMPLES];
    unsigned count; /* samples taken */
};

void brim_usage_init(struct brim_usage *usage);
/* Samples when a second has passed. Thread: one, always the same. */
void brim_usage_tick(struct brim_usage *usage);

/* What the process has in RAM. */
struct brim_resident {
    int64_t bytes;
    int64_t anonymous_bytes; /* of these: of no file, and not shared */
};

/* Zeros where the kernel does not say. Thread: any. */
void brim_usage_resident(struct brim_resident *resident_out);

/* The cores that a quota of a cgroup makes: text is that of cpu.max; 0: no quota. */
double brim_usage_quota(const char *text);

#endif
