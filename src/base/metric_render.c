/* SPDX-License-Identifier: MIT */
/* How numbers become lines of the Prometheus text exposition. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/base/metric_inside.h"

/* Microseconds: a hit from RAM takes some 50, a slow origin 30 s. */
static const uint64_t time_bounds[] = {100,     250,     500,     1000,     2500,     5000,
                                       10000,   25000,   50000,   100000,   250000,   500000,
                                       1000000, 2500000, 5000000, 10000000, 30000000, 60000000};

/* Bytes. */
static const uint64_t size_bounds[] = {256,     1024,    4096,     16384,    65536,     262144,
                                       1048576, 4194304, 16777216, 67108864, 268435456, 1073741824};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(COUNT_OF(time_bounds) <= METRIC_BOUNDS_MAX, "there is a cell for each bound");
_Static_assert(COUNT_OF(size_bounds) <= METRIC_BOUNDS_MAX, "there is a cell for each bound");

const struct metric_scale *brim_metric_scale(enum metric_scale_id id)
{
    static const struct metric_scale scales[] = {
        [METRIC_SCALE_TIME] = {time_bounds, COUNT_OF(time_bounds), 1e6},
        [METRIC_SCALE_SIZE] = {size_bounds, COUNT_OF(size_bounds), 1},
    };

    return &scales[id];
}

unsigned brim_metric_bucket(const struct metric_scale *scale, uint64_t value)
{
    unsigned i = 0;

    while (i < scale->count && value > scale->bounds[i])
        i++;
    return i;
}

void brim_metric_render_head(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void brim_metric_render_histogram(FILE *out, const char *name, const char *labels,
                                  const struct metric_scale *scale, const int64_t *cells)
{
    const char *comma = labels[0] == '\0' ? "" : ",";
    const char *open = labels[0] == '\0' ? "" : "{", *close = labels[0] == '\0' ? "" : "}";
    int64_t total = 0;

    for (unsigned i = 0; i < scale->count; i++) {
        total += cells[i];
        (void)fprintf(out, "%s_bucket{%s%sle=\"%.10g\"} %" PRId64 "\n", name, labels, comma,
                      (double)scale->bounds[i] / scale->units, total);
    }
    total += cells[scale->count];
    (void)fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRId64 "\n", name, labels, comma, total);
    (void)fprintf(out, "%s_sum%s%s%s %.15g\n", name, open, labels, close,
                  (double)cells[METRIC_BOUNDS_MAX + 1] / scale->units);
    (void)fprintf(out, "%s_count%s%s%s %" PRId64 "\n", name, open, labels, close, total);
}
