/* SPDX-License-Identifier: MIT */
#include "brim/base/usage.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define SAMPLE_US 1000000u
#define CPU_MAX   "/sys/fs/cgroup/cpu.max"

double brim_usage_quota(const char *text)
{
    char *end;
    double quota = strtod(text, &end);
    double period = strtod(end, NULL);

    return end == text || quota <= 0 || period <= 0 ? 0 : quota / period;
}

static double read_quota(void)
{
    char text[64] = "";
    FILE *file = fopen(CPU_MAX, "re");

    if (file == NULL)
        return 0; /* no cgroups, or version 1 */
    if (fgets(text, sizeof(text), file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    return brim_usage_quota(text);
}

static double read_cores(void)
{
    cpu_set_t set;
    double quota = read_quota();
    double cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return quota > 0 && quota < cores ? quota : cores;
}

static uint64_t cpu_us(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void brim_usage_resident(struct brim_resident *resident_out)
{
    char text[128] = "";
    char *end;
    FILE *file = fopen("/proc/self/statm", "re");
    int64_t pages;

    *resident_out = (struct brim_resident){0};
    if (file == NULL)
        return;
    if (fgets(text, sizeof(text), file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    (void)strtoll(text, &end, 10); /* the address space; then resident pages, and those of files */
    pages = strtoll(end, &end, 10);
    resident_out->bytes = pages * sysconf(_SC_PAGESIZE);
    resident_out->anonymous_bytes = (pages - strtoll(end, NULL, 10)) * sysconf(_SC_PAGESIZE);
}

static int64_t open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t count = 0;

    if (dir == NULL)
        return 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this thread has the stream for itself */
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count - 1; /* the one that looks */
}

static void sample(struct brim_usage *usage, uint64_t now_us)
{
    unsigned at = usage->count % BRIM_USAGE_SAMPLES;
    unsigned oldest = usage->count < BRIM_USAGE_SAMPLES ? 0 : (at + 1) % BRIM_USAGE_SAMPLES;
    uint64_t span;
    struct brim_resident resident;

    usage->at_us[at] = now_us;
    usage->cpu_us[at] = cpu_us();
    usage->count++;
    span = now_us - usage->at_us[oldest];
    brim_metric_set(BRIM_METRIC_CPU_US, (int64_t)usage->cpu_us[at]);
    if (span > 0) {
        double used = (double)(usage->cpu_us[at] - usage->cpu_us[oldest]) / (double)span;
        double ratio = used / usage->cores;

        brim_metric_set(BRIM_METRIC_CPU_UTILISATION, (int64_t)((ratio > 1 ? 1 : ratio) * 1e6));
    }
    brim_usage_resident(&resident);
    brim_metric_set(BRIM_METRIC_RESIDENT, resident.bytes);
    brim_metric_set(BRIM_METRIC_OPEN_FDS, open_fds());
    brim_metric_set(BRIM_METRIC_ERROR_LOG_DROPPED, (int64_t)brim_log_dropped());
}

void brim_usage_init(struct brim_usage *usage)
{
    *usage = (struct brim_usage){.cores = read_cores()};
    brim_metric_set(BRIM_METRIC_STARTED, brim_clock_wall_ms() / 1000);
    sample(usage, brim_clock_mono_us());
}

void brim_usage_tick(struct brim_usage *usage)
{
    uint64_t now_us = brim_clock_mono_us();

    if (now_us - usage->at_us[(usage->count - 1) % BRIM_USAGE_SAMPLES] >= SAMPLE_US)
        sample(usage, now_us);
}
