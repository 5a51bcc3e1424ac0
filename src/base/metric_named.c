/* SPDX-License-Identifier: MIT */
/*
 * Counters that handlers name (brim.metric). A name is written once, before the count of names says
 * that it is there, so that counting takes no lock; only a new name does. Their number is bounded:
 * what comes later counts as "other", so that a name made of a client's bytes cannot fill /metrics.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "brim/base/metric.h"

#define NAMES_MAX 256u

static struct {
    pthread_mutex_t lock;
    _Atomic unsigned count;
    struct {
        char name[BRIM_METRIC_NAME_MAX + 1];
        size_t len;
        _Atomic int64_t total;
    } rows[NAMES_MAX];
} named = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .count = 1,
           .rows = {{.name = "other", .len = sizeof("other") - 1}}};

/* The row of name among those from first on; 0 (other): it is not there. */
static unsigned find(struct brim_str name, unsigned first)
{
    unsigned count = atomic_load_explicit(&named.count, memory_order_acquire);

    for (unsigned i = first; i < count; i++)
        if (brim_str_is(name, brim_str(named.rows[i].name, named.rows[i].len)))
            return i;
    return 0;
}

static unsigned add(struct brim_str name)
{
    unsigned row;

    pthread_mutex_lock(&named.lock);
    row = find(name, 1); /* another thread may have been first */
    if (row == 0 && named.count < NAMES_MAX) {
        row = named.count;
        memcpy(named.rows[row].name, name.base, name.len);
        named.rows[row].len = name.len;
        atomic_store_explicit(&named.count, row + 1, memory_order_release);
    }
    pthread_mutex_unlock(&named.lock);
    return row;
}

void brim_metric_add_named(struct brim_str name, int64_t n)
{
    unsigned row = find(name, 0);

    if (row == 0 && name.len > 0 && name.len <= BRIM_METRIC_NAME_MAX)
        row = add(name);
    atomic_fetch_add_explicit(&named.rows[row].total, n, memory_order_relaxed);
}

void brim_metric_render_named(FILE *out)
{
    unsigned count = atomic_load_explicit(&named.count, memory_order_acquire);

    for (unsigned i = 0; i < count; i++) {
        int64_t total = atomic_load_explicit(&named.rows[i].total, memory_order_relaxed);

        if (i == 0 && total == 0 && count == 1)
            return; /* no handler counts */
        if (i == 0)
            (void)fputs("# HELP brim_handler_events_total Counted by handlers (brim.metric).\n"
                        "# TYPE brim_handler_events_total counter\n",
                        out);
        (void)fprintf(out, "brim_handler_events_total{name=\"%s\"} %lld\n", named.rows[i].name,
                      (long long)total);
    }
}
