/* SPDX-License-Identifier: MIT */
/*
 * A thread gets its slab with its first count and adds there without sharing a cache line; readers
 * take the lock of the list and sum. A slab whose thread ends is added to `ended` by the destructor
 * of a pthread key and freed, so totals never fall back and short-lived threads cost no memory.
 */
#include "brim/base/metric.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

enum { CACHE_LINE_BYTES = 64 };

struct slab {
    _Alignas(CACHE_LINE_BYTES) _Atomic int64_t values[BRIM_METRIC_COUNT];
    struct slab *next; /* the lock guards the links */
    struct slab *prev;
};

enum kind { COUNTER, GAUGE };

struct row {
    const char *name;
    const char *labels;
    enum kind kind;
    const char *help;
};

static const struct row rows[BRIM_METRIC_COUNT] = {
#define ROW(id, name, labels, kind, help) [BRIM_METRIC_##id] = {name, labels, kind, help},
    BRIM_METRIC_TABLE(ROW)
#undef ROW
};

static _Thread_local struct slab *mine;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct slab *list;                /* of living threads; list_lock */
static int64_t ended[BRIM_METRIC_COUNT]; /* of ended threads; list_lock */
static pthread_key_t end_key;
static pthread_once_t end_key_once = PTHREAD_ONCE_INIT;

/* Runs when a thread ends. A count that a later destructor makes starts a new slab, which is folded
 * in the next round of destructors. */
static void fold_slab(void *arg)
{
    struct slab *slab = arg;

    mine = NULL;
    (void)pthread_mutex_lock(&list_lock);
    for (size_t i = 0; i < BRIM_METRIC_COUNT; i++)
        ended[i] += atomic_load_explicit(&slab->values[i], memory_order_relaxed);
    if (slab->prev != NULL)
        slab->prev->next = slab->next;
    else
        list = slab->next;
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
    (void)pthread_mutex_unlock(&list_lock);
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

void brim_metric_add(enum brim_metric id, int64_t n)
{
    struct slab *slab = mine;

    INVARIANT((unsigned)id < BRIM_METRIC_COUNT);
    if (__builtin_expect(slab == NULL, 0))
        slab = open_slab();

    /* Only this thread writes here, so a load and a store do; no locked instruction. */
    int64_t value = atomic_load_explicit(&slab->values[id], memory_order_relaxed);
    atomic_store_explicit(&slab->values[id], value + n, memory_order_relaxed);
}

/* Sums every row into totals. */
static void sum(int64_t totals[BRIM_METRIC_COUNT])
{
    (void)pthread_mutex_lock(&list_lock);
    memcpy(totals, ended, sizeof(ended));
    for (const struct slab *slab = list; slab != NULL; slab = slab->next)
        for (size_t i = 0; i < BRIM_METRIC_COUNT; i++)
            totals[i] += atomic_load_explicit(&slab->values[i], memory_order_relaxed);
    (void)pthread_mutex_unlock(&list_lock);
}

int64_t brim_metric_read(enum brim_metric id)
{
    int64_t totals[BRIM_METRIC_COUNT];

    INVARIANT((unsigned)id < BRIM_METRIC_COUNT);
    sum(totals);
    return totals[id];
}

static void render_row(FILE *out, size_t i, int64_t value)
{
    static const char *const kinds[] = {[COUNTER] = "counter", [GAUGE] = "gauge"};
    const struct row *row = &rows[i];

    if (i == 0 || strcmp(row->name, rows[i - 1].name) != 0) {
        (void)fprintf(out, "# HELP %s %s\n", row->name, row->help);
        (void)fprintf(out, "# TYPE %s %s\n", row->name, kinds[row->kind]);
    }
    if (row->labels[0] != '\0')
        (void)fprintf(out, "%s{%s} %lld\n", row->name, row->labels, (long long)value);
    else
        (void)fprintf(out, "%s %lld\n", row->name, (long long)value);
}

void brim_metric_render(char **text_out, size_t *len_out)
{
    int64_t totals[BRIM_METRIC_COUNT];
    char *text = NULL;
    size_t len = 0;

    INVARIANT(text_out != NULL && len_out != NULL);
    FILE *out = open_memstream(&text, &len);
    INVARIANT(out != NULL);
    sum(totals);
    for (size_t i = 0; i < BRIM_METRIC_COUNT; i++)
        render_row(out, i, totals[i]);
    brim_metric_render_named(out);
    int failed = fclose(out);
    INVARIANT(failed == 0); /* small and fixed: fails only without memory */
    *text_out = text;
    *len_out = len;
}
