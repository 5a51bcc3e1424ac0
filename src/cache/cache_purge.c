/* SPDX-License-Identifier: MIT */
/*
 * The facade's purges: in force by one store to the epochs in memory, durable by the index. Purgers
 * take turns, so that epochs reach the disk in the order in which they came into force.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/cache.h"
#include "brim/cache/inside.h"
#include "brim/cache/purge_pattern.h"

#define RESERVE    ((uint64_t)1 << 20)
#define BEHIND_MAX ((size_t)1 << 17) /* scopes that wait for the disk: 1 MiB */

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

/* To the process that has the disk tier now. */
static void pass_on(struct brim_cache *cache, const uint64_t *scopes, size_t count,
                    enum brim_purge_kind kind)
{
    for (size_t i = 0; i < count; i++)
        brim_purge_mail_post(cache->config.mail, scopes[i], kind);
}

/* Their texts have no room in the mail, whose layout two versions share: each as the prefix that is
 * before its first wildcard. More than asked rather than less. */
static void pass_patterns_on(struct brim_cache *cache, const struct brim_purge_set *set,
                             enum brim_purge_kind kind)
{
    for (size_t i = 0; i < set->pattern_count; i++) {
        uint64_t scope = brim_purge_scope_prefix(brim_purge_pattern_prefix(set->patterns[i]));

        pass_on(cache, &scope, 1, kind);
    }
}

void brim_cache_read_mail(struct brim_cache *cache)
{
    enum brim_purge_kind kind;
    uint64_t scope;

    if (atomic_load_explicit(&cache->is_released, memory_order_acquire))
        return; /* it is for who came after */
    pthread_mutex_lock(&cache->mail_turn);
    while (brim_purge_mail_take(cache->config.mail, &scope, &kind))
        if (brim_cache_purge_soon(cache, &scope, 1, kind) != BRIM_OK)
            BRIM_LOG(WARN, "cache.purge_not_durable", "scopes=%d", 1);
    pthread_mutex_unlock(&cache->mail_turn);
}

/* Makes durable what is in force. Under purge_turn. */
static enum brim_err keep(struct brim_cache *cache, struct brim_purge_epoch *epochs, size_t count)
{
    enum brim_err err;

    if (cache->disk == NULL)
        return BRIM_OK;
    err = brim_cache_reserve_seqs(cache);
    if (err == BRIM_OK)
        err = brim_disk_put_epochs(cache->disk, epochs, without_all(epochs, count));
    if (err == BRIM_OK)
        err = keep_collapsed(cache);
    return err == BRIM_OK ? BRIM_OK : BRIM_EIO;
}

enum brim_err brim_cache_purge_set(struct brim_cache *cache, const struct brim_purge_set *set,
                                   enum brim_purge_kind kind)
{
    size_t count = set->count + set->pattern_count;
    struct brim_purge_epoch *epochs = calloc(count + 1, sizeof(*epochs));
    enum brim_err err;

    OBJ_CHECK(cache, CACHE_MAGIC);
    INVARIANT(epochs != NULL);
    /* before it is in force: see brim_cache_release() */
    atomic_fetch_add(&cache->config.mail->purges, 1);
    pthread_mutex_lock(&cache->purge_turn);
    for (size_t i = 0; i < set->count; i++)
        brim_purge_put(cache->purge, set->scopes[i], kind, &epochs[i]);
    for (size_t i = 0; i < set->pattern_count; i++)
        brim_purge_put_pattern(cache->purge, set->patterns[i], kind, &epochs[set->count + i]);
    BRIM_ADD(PURGES, count); /* in force from here on */
    err = keep(cache, epochs, count);
    pthread_mutex_unlock(&cache->purge_turn);
    free(epochs);
    if (atomic_load(&cache->is_released)) {
        pass_on(cache, set->scopes, set->count, kind);
        pass_patterns_on(cache, set, kind);
        if (err != BRIM_OK)
            err = BRIM_ECLOSED;
    }
    return err;
}

enum brim_err brim_cache_purge(struct brim_cache *cache, const uint64_t *scopes, size_t count,
                               enum brim_purge_kind kind)
{
    return brim_cache_purge_set(cache, &(struct brim_purge_set){.scopes = scopes, .count = count},
                                kind);
}

/* ---- invalidation ---- */

bool brim_cache_has(struct brim_cache *cache, const struct brim_key *primary)
{
    struct brim_object *object = brim_hot_get(cache->hot, primary);

    if (object != NULL) {
        brim_object_unref(object);
        return true;
    }
    if (atomic_load(&cache->is_released))
        return true; /* the successor may have it */
    return cache->disk != NULL && brim_disk_has(cache->disk, primary->digest);
}

/* Their epochs are read when it is their turn, not taken along: another purge of the same scope may
 * have come before. None is put again: that would purge what was fetched since. */
static enum brim_err keep_scopes(struct brim_cache *cache, const uint64_t *scopes, size_t count)
{
    struct brim_purge_epoch *epochs = calloc(count + 1, sizeof(*epochs));
    size_t there = 0;
    enum brim_err err;

    if (epochs == NULL)
        return BRIM_ENOMEM;
    pthread_mutex_lock(&cache->purge_turn);
    for (size_t i = 0; i < count; i++)
        if (brim_purge_read(cache->purge, scopes[i], &epochs[there]))
            there++;
    err = keep(cache, epochs, there);
    pthread_mutex_unlock(&cache->purge_turn);
    free(epochs);
    return err;
}

/* Under behind_lock. What is waiting becomes the caller's. */
static uint64_t *take_behind(struct brim_behind *behind, size_t *count_out)
{
    uint64_t *scopes = behind->scopes;

    *count_out = behind->count;
    behind->scopes = NULL;
    behind->count = behind->room = 0;
    return scopes;
}

/* One commit for all that have come since the last: however slow the disk is, none is refused for
 * a queue that others have filled. */
static void run_behind(struct brim_job *job)
{
    struct brim_cache *cache =
        (struct brim_cache *)((char *)job - offsetof(struct brim_cache, behind.job));
    uint64_t *scopes;
    size_t count;
    bool has_more;

    OBJ_CHECK(cache, CACHE_MAGIC);
    pthread_mutex_lock(&cache->behind_lock);
    scopes = take_behind(&cache->behind, &count);
    pthread_mutex_unlock(&cache->behind_lock);
    if (keep_scopes(cache, scopes, count) != BRIM_OK)
        BRIM_LOG(WARN, "cache.purge_not_durable", "scopes=%zu", count);
    free(scopes);
    pthread_mutex_lock(&cache->behind_lock);
    has_more = cache->behind.count > 0;
    if (has_more)
        brim_pool_submit_only(cache->config.pool, BRIM_JOB_WRITE, job);
    else
        cache->behind.is_under_way = false;
    pthread_cond_broadcast(&cache->behind_done);
    pthread_mutex_unlock(&cache->behind_lock);
}

void brim_cache_init_behind(struct brim_cache *cache)
{
    cache->behind.job.run = run_behind;
}

/* Under behind_lock. */
static enum brim_err add_behind(struct brim_behind *behind, const uint64_t *scopes, size_t count)
{
    size_t room = behind->room == 0 ? 64 : behind->room;
    uint64_t *larger;

    if (behind->count + count > BEHIND_MAX)
        return BRIM_ELIMIT;
    while (room < behind->count + count)
        room *= 2;
    if (room > behind->room) {
        larger = reallocarray(behind->scopes, room, sizeof(*larger));
        if (larger == NULL)
            return BRIM_ENOMEM;
        behind->scopes = larger;
        behind->room = room;
    }
    memcpy(behind->scopes + behind->count, scopes, count * sizeof(*scopes));
    behind->count += count;
    return BRIM_OK;
}

/* Makes durable what is in force. */
static enum brim_err submit(struct brim_cache *cache, const uint64_t *scopes, size_t count)
{
    struct brim_behind *behind = &cache->behind;
    enum brim_err err = BRIM_ECLOSED; /* a release waits for those that came before */

    pthread_mutex_lock(&cache->behind_lock);
    if (!atomic_load(&cache->is_released))
        err = add_behind(behind, scopes, count);
    if (err == BRIM_OK && !behind->is_under_way) {
        behind->is_under_way = true;
        brim_pool_submit_only(cache->config.pool, BRIM_JOB_WRITE, &behind->job);
    }
    pthread_mutex_unlock(&cache->behind_lock);
    return err;
}

enum brim_err brim_cache_purge_soon(struct brim_cache *cache, const uint64_t *scopes, size_t count,
                                    enum brim_purge_kind kind)
{
    struct brim_purge_epoch epoch;
    enum brim_err err;

    OBJ_CHECK(cache, CACHE_MAGIC);
    atomic_fetch_add(&cache->config.mail->purges, 1);
    for (size_t i = 0; i < count; i++)
        brim_purge_put(cache->purge, scopes[i], kind, &epoch);
    BRIM_ADD(PURGES, count);
    if (cache->disk == NULL && !atomic_load(&cache->is_released))
        return BRIM_OK;
    err = submit(cache, scopes, count);
    if (err != BRIM_ECLOSED)
        return err;
    pass_on(cache, scopes, count, kind);
    return BRIM_OK;
}

void brim_cache_invalidate(struct brim_cache *cache, const struct brim_key *primary)
{
    uint64_t scope = brim_purge_scope_url(primary->text);

    if (brim_cache_purge_soon(cache, &scope, 1, BRIM_PURGE_HARD) == BRIM_OK)
        return;
    /* At least the record itself goes: it cannot come back after a restart. */
    BRIM_LOG(WARN, "cache.purge_not_durable", "scopes=%d", 1);
    brim_disk_drop(cache->disk, primary->digest);
}

void brim_cache_note_change(struct brim_cache *cache)
{
    OBJ_CHECK(cache, CACHE_MAGIC);
    atomic_store(&cache->changed_id, cache->body_id_base + atomic_load(&cache->bodies));
}
