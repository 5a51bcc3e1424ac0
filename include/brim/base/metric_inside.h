/* SPDX-License-Identifier: MIT */
/*
 * metric_inside - a thread's counts and what all metrics are shown with. Only the files of
 * base/metric include it.
 */
#ifndef BRIM_BASE_METRIC_INSIDE_H
#define BRIM_BASE_METRIC_INSIDE_H

#include <stdint.h>
#include <stdio.h>

#define METRIC_GROUP_KINDS 3u   /* see metric_group.h */
#define METRIC_GROUPS_MAX  128u /* of each kind, "other" included */
#define METRIC_GROUP_CELLS 128u

/* Most bounds of a histogram; a bucket more is for what is above them, a cell more for the sum. */
#define METRIC_BOUNDS_MAX      18u
#define METRIC_HISTOGRAM_CELLS (METRIC_BOUNDS_MAX + 2u)

struct metric_scale {
    const uint64_t *bounds;
    unsigned count;
    double units; /* that make one of what is shown */
};

enum metric_scale_id { METRIC_SCALE_TIME, METRIC_SCALE_SIZE };

const struct metric_scale *brim_metric_scale(enum metric_scale_id id);
/* The cell that value counts in; the sum stands in cell METRIC_BOUNDS_MAX + 1. */
unsigned brim_metric_bucket(const struct metric_scale *scale, uint64_t value);

/* HELP and TYPE. */
void brim_metric_render_head(FILE *out, const char *name, const char *type, const char *help);
/* One histogram; labels may be "". */
void brim_metric_render_histogram(FILE *out, const char *name, const char *labels,
                                  const struct metric_scale *scale, const int64_t *cells);

/* Counts in a cell of a group, in this thread's block of it. */
void brim_metric_group_add(unsigned kind, unsigned group, unsigned cell, int64_t n);
/* Sums one group over all threads. */
void brim_metric_group_sum(unsigned kind, unsigned group, int64_t totals[METRIC_GROUP_CELLS]);

#endif
