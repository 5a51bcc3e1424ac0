/* SPDX-License-Identifier: MIT */
/*
 * A worker holds its sketch's lock for one count, which nobody else wants but once a second while
 * somebody looks. Hashes stand apart from what is shown, so that a search reads a kilobyte.
 */
#include "brim/base/top.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/hash.h"
#include "brim/base/invariant.h"

#define WATCH_MS 60000u
#define FADE_MS  10000u

struct sketch {
    pthread_mutex_t lock;
    size_t used;
    uint64_t hashes[BRIM_TOP_ENTRIES];
    struct brim_top_entry entries[BRIM_TOP_ENTRIES];
};

struct brim_top {
    _Atomic bool is_watched;
    _Atomic uint64_t looked_ms;
    _Atomic uint64_t faded_ms;
    size_t count;
    struct sketch sketches[];
};

struct brim_top *brim_top_open(size_t workers)
{
    struct brim_top *top = brim_alloc(sizeof(*top) + workers * sizeof(top->sketches[0]));

    top->count = workers;
    for (size_t i = 0; i < workers; i++)
        pthread_mutex_init(&top->sketches[i].lock, NULL);
    return top;
}

void brim_top_close(struct brim_top *top)
{
    for (size_t i = 0; top != NULL && i < top->count; i++)
        pthread_mutex_destroy(&top->sketches[i].lock);
    free(top);
}

static size_t write_text(char text[BRIM_TOP_TEXT_BYTES], struct brim_str host,
                         struct brim_str target)
{
    const char *query = target.len == 0 ? NULL : memchr(target.base, '?', target.len);
    size_t path = query == NULL ? target.len : (size_t)(query - target.base);
    size_t room = BRIM_TOP_TEXT_BYTES - 1;

    host.len = host.len > room ? room : host.len;
    path = path > room - host.len ? room - host.len : path;
    if (host.len > 0)
        memcpy(text, host.base, host.len);
    if (path > 0)
        memcpy(text + host.len, target.base, path);
    text[host.len + path] = '\0';
    return host.len + path;
}

/* The place of hash, or one that is free, or the least of all. */
static size_t place_of(const struct sketch *sketch, uint64_t hash)
{
    size_t least = 0;

    for (size_t i = 0; i < sketch->used; i++)
        if (sketch->hashes[i] == hash)
            return i;
    if (sketch->used < BRIM_TOP_ENTRIES)
        return sketch->used;
    for (size_t i = 1; i < BRIM_TOP_ENTRIES; i++)
        if (sketch->entries[i].count < sketch->entries[least].count)
            least = i;
    return least;
}

void brim_top_count(struct brim_top *top, size_t worker, struct brim_str host,
                    struct brim_str target)
{
    char text[BRIM_TOP_TEXT_BYTES];
    struct sketch *sketch;
    uint64_t hash;
    size_t len, at;

    if (!atomic_load_explicit(&top->is_watched, memory_order_relaxed))
        return;
    INVARIANT(worker < top->count);
    len = write_text(text, host, target);
    hash = brim_hash64(text, len);
    sketch = &top->sketches[worker];
    pthread_mutex_lock(&sketch->lock);
    at = place_of(sketch, hash);
    if (at == sketch->used || sketch->hashes[at] != hash) {
        struct brim_top_entry *entry = &sketch->entries[at];

        entry->error = at == sketch->used ? 0 : entry->count;
        entry->count = entry->error;
        entry->hash = sketch->hashes[at] = hash;
        memcpy(entry->text, text, len + 1);
        sketch->used += at == sketch->used;
    }
    sketch->entries[at].count++;
    pthread_mutex_unlock(&sketch->lock);
}

/* ---- looking ---- */

static int by_hash(const void *a, const void *b)
{
    uint64_t left = ((const struct brim_top_entry *)a)->hash;
    uint64_t right = ((const struct brim_top_entry *)b)->hash;

    return left < right ? -1 : left > right;
}

static int by_count_down(const void *a, const void *b)
{
    uint64_t left = ((const struct brim_top_entry *)a)->count;
    uint64_t right = ((const struct brim_top_entry *)b)->count;

    return left < right ? 1 : left > right ? -1 : 0;
}

/* Adds up what is of one URL; returns how many are left. */
static size_t merge(struct brim_top_entry *entries, size_t count)
{
    size_t kept = 0;

    qsort(entries, count, sizeof(*entries), by_hash);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && entries[kept - 1].hash == entries[i].hash) {
            entries[kept - 1].count += entries[i].count;
            entries[kept - 1].error += entries[i].error;
        } else {
            entries[kept++] = entries[i];
        }
    }
    qsort(entries, kept, sizeof(*entries), by_count_down);
    return kept;
}

size_t brim_top_read(struct brim_top *top, struct brim_top_entry *entries_out, size_t max)
{
    struct brim_top_entry *all = brim_alloc(top->count * BRIM_TOP_ENTRIES * sizeof(*all));
    size_t count = 0;

    atomic_store(&top->looked_ms, brim_clock_mono_ms());
    atomic_store(&top->is_watched, true);
    for (size_t i = 0; i < top->count; i++) {
        struct sketch *sketch = &top->sketches[i];

        pthread_mutex_lock(&sketch->lock);
        memcpy(all + count, sketch->entries, sketch->used * sizeof(*all));
        count += sketch->used;
        pthread_mutex_unlock(&sketch->lock);
    }
    count = merge(all, count);
    count = count > max ? max : count;
    memcpy(entries_out, all, count * sizeof(*all));
    free(all);
    return count;
}

/* Halves; what comes to nothing is forgotten. */
static void fade(struct sketch *sketch)
{
    size_t kept = 0;

    pthread_mutex_lock(&sketch->lock);
    for (size_t i = 0; i < sketch->used; i++) {
        struct brim_top_entry entry = sketch->entries[i];

        entry.count /= 2;
        entry.error /= 2;
        if (entry.count == 0)
            continue;
        sketch->hashes[kept] = entry.hash;
        sketch->entries[kept++] = entry;
    }
    sketch->used = kept;
    pthread_mutex_unlock(&sketch->lock);
}

void brim_top_tick(struct brim_top *top)
{
    uint64_t now_ms = brim_clock_mono_ms();

    if (!atomic_load_explicit(&top->is_watched, memory_order_relaxed))
        return;
    if (now_ms - atomic_load(&top->looked_ms) > WATCH_MS)
        atomic_store(&top->is_watched, false);
    if (now_ms - atomic_load(&top->faded_ms) < FADE_MS)
        return;
    atomic_store(&top->faded_ms, now_ms);
    for (size_t i = 0; i < top->count; i++)
        fade(&top->sketches[i]);
}
