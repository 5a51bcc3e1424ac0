/* SPDX-License-Identifier: MIT */
/*
 * A thread gets its slab with its first count and adds there without sharing a cache line; readers
 * take the lock of the list and sum. A slab whose thread ends is added to `ended` by the destructor
 * of a pthread key and freed, so totals never fall back and short-lived threads cost no memory.
 */
#include "brim/base/metric.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/metric_group.h"
#include "brim/base/metric_inside.h"

enum { CACHE_LINE_BYTES = 64 };

#define HISTOGRAMS_AT ((size_t)BRIM_METRIC_COUNT)
#define CELLS         (HISTOGRAMS_AT + BRIM_HISTOGRAM_COUNT * METRIC_HISTOGRAM_CELLS)
#define GROUPS        (METRIC_GROUP_KINDS * METRIC_GROUPS_MAX)

/* What one thread has counted for one group; made with its first count. */
struct block {
    _Atomic int64_t cells[METRIC_GROUP_CELLS];
};

struct slab {
    _Alignas(CACHE_LINE_BYTES) _Atomic int64_t values[CELLS]; /* rows, then histograms */
    struct block *_Atomic blocks[GROUPS];
    struct slab *next; /* the lock guards the links */
    struct slab *prev;
};

enum kind { COUNTER, GAUGE, SECONDS, RATIO };

struct row {
    const char *name;
    const char *labels;
    enum kind kind;
    int units;
    const char *help;
};

static const struct row rows[BRIM_METRIC_COUNT] = {
#define ROW(id, name, labels, kind, help)                                                          \
    [BRIM_METRIC_##id] = {name, labels, kind, BRIM_METRIC_UNITS_##kind, help},
    BRIM_METRIC_TABLE(ROW)
#undef ROW
};

static const struct histogram {
    const char *name;
    const char *labels;
    enum metric_scale_id scale;
    const char *help;
} histograms[BRIM_HISTOGRAM_COUNT] = {
#define HISTOGRAM(id, name, labels, scale, help)                                                   \
    [BRIM_HISTOGRAM_##id] = {name, labels, METRIC_SCALE_##scale, help},
    BRIM_HISTOGRAM_TABLE(HISTOGRAM)
#undef HISTOGRAM
};

static _Thread_local struct slab *mine;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct slab *list;                                /* of living threads; list_lock */
static int64_t ended[CELLS];                             /* of ended threads; list_lock */
static int64_t ended_groups[GROUPS][METRIC_GROUP_CELLS]; /* likewise */
static pthread_key_t end_key;
static pthread_once_t end_key_once = PTHREAD_ONCE_INIT;

static void add_block(struct block *block, int64_t totals[METRIC_GROUP_CELLS])
{
    for (size_t i = 0; block != NULL && i < METRIC_GROUP_CELLS; i++)
        totals[i] += atomic_load_explicit(&block->cells[i], memory_order_relaxed);
}

/* Runs when a thread ends. A count that a later destructor makes starts a new slab, which is folded
 * in the next round of destructors. */
static void fold_slab(void *arg)
{
    struct slab *slab = arg;

    mine = NULL;
    (void)pthread_mutex_lock(&list_lock);
    for (size_t i = 0; i < CELLS; i++)
        ended[i] += atomic_load_explicit(&slab->values[i], memory_order_relaxed);
    for (size_t i = 0; i < GROUPS; i++)
        add_block(atomic_load(&slab->blocks[i]), ended_groups[i]);
    if (slab->prev != NULL)
        slab->prev->next = slab->next;
    else
        list = slab->next;
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
    (void)pthread_mutex_unlock(&list_lock);
    for (size_t i = 0; i < GROUPS; i++)
        free(atomic_load(&slab->blocks[i]));
    free(slab);
}

static void make_end_key(void)
{
    int failed = pthread_key_create(&end_key, fold_slab);

    INVARIANT(failed == 0);
}

static struct slab *open_slab(void)
{
    struct slab *slab = aligned_alloc(_Alignof(struct slab), sizeof(*slab));

    INVARIANT(slab != NULL);
    memset(slab, 0, sizeof(*slab));
    (void)pthread_once(&end_key_once, make_end_key);
    int failed = pthread_setspecific(end_key, slab);
    INVARIANT(failed == 0);

    (void)pthread_mutex_lock(&list_lock);
    slab->next = list;
    if (list != NULL)
        list->prev = slab;
    list = slab;
    (void)pthread_mutex_unlock(&list_lock);
    mine = slab;
    return slab;
}

static struct slab *my_slab(void)
{
    return __builtin_expect(mine == NULL, 0) ? open_slab() : mine;
}

/* Only this thread writes here, so a load and a store do; no locked instruction. */
static void add_to(_Atomic int64_t *cell, int64_t n)
{
    int64_t value = atomic_load_explicit(cell, memory_order_relaxed);

    atomic_store_explicit(cell, value + n, memory_order_relaxed);
}

void brim_metric_add(enum brim_metric id, int64_t n)
{
    INVARIANT((unsigned)id < BRIM_METRIC_COUNT);
    add_to(&my_slab()->values[id], n);
}

void brim_metric_set(enum brim_metric id, int64_t value)
{
    INVARIANT((unsigned)id < BRIM_METRIC_COUNT);
    atomic_store_explicit(&my_slab()->values[id], value, memory_order_relaxed);
}

void brim_metric_observe(enum brim_histogram id, uint64_t value)
{
    _Atomic int64_t *cells =
        &my_slab()->values[HISTOGRAMS_AT + (size_t)id * METRIC_HISTOGRAM_CELLS];

    INVARIANT((unsigned)id < BRIM_HISTOGRAM_COUNT);
    add_to(&cells[brim_metric_bucket(brim_metric_scale(histograms[id].scale), value)], 1);
    add_to(&cells[METRIC_BOUNDS_MAX + 1], (int64_t)value);
}

void brim_metric_group_add(unsigned kind, unsigned group, unsigned cell, int64_t n)
{
    size_t at = (size_t)kind * METRIC_GROUPS_MAX + group;
    struct slab *slab = my_slab();
    struct block *block;

    INVARIANT(group < METRIC_GROUPS_MAX);
    INVARIANT(cell < METRIC_GROUP_CELLS);
    block = atomic_load_explicit(&slab->blocks[at], memory_order_relaxed);
    if (block == NULL) {
        block = brim_alloc(sizeof(*block));
        atomic_store_explicit(&slab->blocks[at], block, memory_order_release);
    }
    add_to(&block->cells[cell], n);
}

void brim_metric_group_sum(unsigned kind, unsigned group, int64_t totals[METRIC_GROUP_CELLS])
{
    size_t at = (size_t)kind * METRIC_GROUPS_MAX + group;

    INVARIANT(group < METRIC_GROUPS_MAX);
    (void)pthread_mutex_lock(&list_lock);
    memcpy(totals, ended_groups[at], sizeof(ended_groups[at]));
    for (struct slab *slab = list; slab != NULL; slab = slab->next)
        add_block(atomic_load_explicit(&slab->blocks[at], memory_order_acquire), totals);
    (void)pthread_mutex_unlock(&list_lock);
}

/* Sums every row and histogram into totals. */
static void sum(int64_t totals[CELLS])
{
    (void)pthread_mutex_lock(&list_lock);
    memcpy(totals, ended, sizeof(ended));
    for (const struct slab *slab = list; slab != NULL; slab = slab->next)
        for (size_t i = 0; i < CELLS; i++)
            totals[i] += atomic_load_explicit(&slab->values[i], memory_order_relaxed);
    (void)pthread_mutex_unlock(&list_lock);
}

int64_t brim_metric_read(enum brim_metric id)
{
    int64_t totals[CELLS];

    INVARIANT((unsigned)id < BRIM_METRIC_COUNT);
    sum(totals);
    return totals[id];
}

_Static_assert(BRIM_METRIC_TIMES_CELLS == METRIC_HISTOGRAM_CELLS, "what is handed out");

const uint64_t *brim_metric_time_bounds(unsigned *count_out)
{
    const struct metric_scale *scale = brim_metric_scale(METRIC_SCALE_TIME);

    *count_out = scale->count;
    return scale->bounds;
}

void brim_metric_request_times(int64_t cells_out[BRIM_METRIC_TIMES_CELLS])
{
    int64_t totals[CELLS];

    memset(cells_out, 0, BRIM_METRIC_TIMES_CELLS * sizeof(*cells_out));
    sum(totals);
    for (size_t id = BRIM_HISTOGRAM_TIME_HIT; id <= BRIM_HISTOGRAM_TIME_HANDLER; id++)
        for (size_t i = 0; i < METRIC_HISTOGRAM_CELLS; i++)
            cells_out[i] += totals[HISTOGRAMS_AT + id * METRIC_HISTOGRAM_CELLS + i];
}

static void render_row(FILE *out, size_t i, int64_t value)
{
    static const char *const kinds[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [SECONDS] = "counter", [RATIO] = "gauge"};
    const struct row *row = &rows[i];
    bool is_bare = row->labels[0] == '\0';

    if (i == 0 || strcmp(row->name, rows[i - 1].name) != 0)
        brim_metric_render_head(out, row->name, kinds[row->kind], row->help);
    (void)fprintf(out, "%s%s%s%s ", row->name, is_bare ? "" : "{", row->labels, is_bare ? "" : "}");
    if (row->units == 1)
        (void)fprintf(out, "%lld\n", (long long)value);
    else
        (void)fprintf(out, "%.15g\n", (double)value / row->units);
}

static void render_histograms(FILE *out, const int64_t *cells)
{
    for (size_t i = 0; i < BRIM_HISTOGRAM_COUNT; i++) {
        const struct histogram *h = &histograms[i];

        if (i == 0 || strcmp(h->name, histograms[i - 1].name) != 0)
            brim_metric_render_head(out, h->name, "histogram", h->help);
        brim_metric_render_histogram(out, h->name, h->labels, brim_metric_scale(h->scale),
                                     cells + i * METRIC_HISTOGRAM_CELLS);
    }
}

void brim_metric_render(char **text_out, size_t *len_out)
{
    int64_t totals[CELLS];
    char *text = NULL;
    size_t len = 0;

    INVARIANT(text_out != NULL && len_out != NULL);
    FILE *out = open_memstream(&text, &len);
    INVARIANT(out != NULL);
    sum(totals);
    for (size_t i = 0; i < BRIM_METRIC_COUNT; i++)
        render_row(out, i, totals[i]);
    render_histograms(out, totals + HISTOGRAMS_AT);
    brim_metric_render_groups(out);
    brim_metric_render_named(out);
    int failed = fclose(out);
    INVARIANT(failed == 0); /* small and fixed: fails only without memory */
    *text_out = text;
    *len_out = len;
}
