/* SPDX-License-Identifier: MIT */
/*
 * The facade's purges: in force by one store to the epochs in memory, durable by the index. Purgers
 * take turns, so that epochs reach the disk in the order in which they came into force.
 */
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/cache.h"
#include "brim/cache/inside.h"

#define RESERVE ((uint64_t)1 << 20)

/* Keeps the reservation ahead of the sequence. Under purge_turn, or at start. */
enum brim_err brim_cache_reserve_seqs(struct brim_cache *cache)
{
    struct brim_purge_epoch epoch = {.scope = brim_purge_scope_reserved()};
    uint64_t seq = brim_purge_seq(cache->purge);
    enum brim_err err;

    if (cache->disk == NULL || seq < cache->reserved_seq)
        return BRIM_OK;
    epoch.hard_seq = seq + RESERVE;
    err = brim_disk_put_epochs(cache->disk, &epoch, 1);
    if (err == BRIM_OK)
        cache->reserved_seq = epoch.hard_seq;
    return err;
}

/* Purges that were collapsed in RAM need not be kept one by one on disk either: an epoch of
 * everything takes out those that it covers. */
static enum brim_err keep_collapsed(struct brim_cache *cache)
{
    struct brim_purge_epoch all;
    enum brim_err err;

    brim_purge_read_all(cache->purge, &all);
    if (all.hard_seq == cache->kept_all.hard_seq && all.soft_seq == cache->kept_all.soft_seq)
        return BRIM_OK;
    err = brim_disk_put_epochs(cache->disk, &all, 1);
    if (err == BRIM_OK)
        cache->kept_all = all;
    return err;
}

/* Those of everything are kept by keep_collapsed(). */
static size_t without_all(struct brim_purge_epoch *epochs, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (epochs[i].scope != brim_purge_scope_all())
            epochs[kept++] = epochs[i];
    return kept;
}

enum brim_err brim_cache_purge(struct brim_cache *cache, const uint64_t *scopes, size_t count,
                               enum brim_purge_kind kind)
{
    struct brim_purge_epoch *epochs = calloc(count + 1, sizeof(*epochs));
    enum brim_err err = BRIM_OK;

    OBJ_CHECK(cache, CACHE_MAGIC);
    INVARIANT(epochs != NULL);
    pthread_mutex_lock(&cache->purge_turn);
    for (size_t i = 0; i < count; i++)
        brim_purge_put(cache->purge, scopes[i], kind, &epochs[i]);
    if (cache->disk != NULL) {
        err = brim_cache_reserve_seqs(cache);
        if (err == BRIM_OK)
            err = brim_disk_put_epochs(cache->disk, epochs, without_all(epochs, count));
        if (err == BRIM_OK)
            err = keep_collapsed(cache);
    }
    pthread_mutex_unlock(&cache->purge_turn);
    free(epochs);
    BRIM_ADD(PURGES, count);
    return err == BRIM_OK ? BRIM_OK : BRIM_EIO;
}

/* ---- invalidation ---- */

bool brim_cache_has(struct brim_cache *cache, const struct brim_key *primary)
{
    struct brim_object *object = brim_hot_get(cache->hot, primary);
    struct brim_locator locator;

    if (object != NULL) {
        brim_object_unref(object);
        return true;
    }
    return cache->disk != NULL &&
           brim_disk_locate(cache->disk, primary->digest, &locator) == BRIM_OK;
}

struct behind {
    struct brim_job job;
    struct brim_cache *cache;
    uint64_t scope;
};

static void behind_ended(struct brim_cache *cache)
{
    pthread_mutex_lock(&cache->purge_turn);
    if (--cache->behind == 0)
        pthread_cond_broadcast(&cache->behind_done);
    pthread_mutex_unlock(&cache->purge_turn);
}

/* Purges once more, now for good: what was stored in between costs one more fill. */
static void run_behind(struct brim_job *job)
{
    struct behind *behind = (struct behind *)job;
    struct brim_cache *cache = behind->cache;

    if (brim_cache_purge(cache, &behind->scope, 1, BRIM_PURGE_HARD) != BRIM_OK)
        BRIM_LOG(WARN, "cache.invalidation_not_durable", "scope=%016llx",
                 (unsigned long long)behind->scope);
    free(behind);
    behind_ended(cache);
}

void brim_cache_invalidate(struct brim_cache *cache, const struct brim_key *primary)
{
    uint64_t scope = brim_purge_scope_url(primary->text);
    struct brim_purge_epoch epoch;
    struct behind *behind;

    OBJ_CHECK(cache, CACHE_MAGIC);
    brim_purge_put(cache->purge, scope, BRIM_PURGE_HARD, &epoch);
    BRIM_COUNT(PURGES);
    if (cache->disk == NULL)
        return;
    behind = brim_alloc(sizeof(*behind));
    *behind = (struct behind){.job.run = run_behind, .cache = cache, .scope = scope};
    pthread_mutex_lock(&cache->purge_turn);
    cache->behind++;
    pthread_mutex_unlock(&cache->purge_turn);
    if (brim_pool_submit(cache->config.pool, BRIM_JOB_WRITE, &behind->job) == BRIM_OK)
        return;
    /* The record itself goes instead: the object cannot come back after a restart. */
    brim_disk_drop(cache->disk, primary->digest);
    free(behind);
    behind_ended(cache);
}
