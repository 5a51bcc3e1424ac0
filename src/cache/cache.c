/* SPDX-License-Identifier: MIT */
/*
 * Lookup. Two levels at most, each first in RAM and then on disk:
 *
 *     primary key -> RESPONSE                  found
 *                 -> PASS note, not expired    pass
 *                 -> VARY marker -> variant key -> RESPONSE
 *
 * A cold disk read leaves a load in the find and comes back later; the marker stays in the find
 * too, so that the second call goes on where the first one stopped whatever the hot tier threw out.
 * Whatever is wrong with a record (text of another key, checksum, kind) makes it absent.
 *
 * Sequences of purges come from a durable reservation (see cache/purge.h): at start, and when the
 * last one is used up, an epoch of its own scope is written that lies RESERVE ahead. A start
 * continues at the old reservation, above whatever a crash may have lost.
 */
#include "brim/cache/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/hot.h"
#include "brim/cache/inside.h"
#include "brim/cache/load.h"
#include "brim/cache/marker.h"
#include "brim/cache/sketch.h"
#include "brim/http/vary.h"

#define SEQ_LEAP           ((uint64_t)1 << 40) /* more than a node has purges in its life */
#define DISK_SHARE         4u /* the largest object is at most this part of the disk tier */
#define RAM_SHARE          2u /* of the disk tier, at most, for all that is in RAM to stay there */
#define REMEMBER_SHARE     128u /* of the disk tier, twice */
#define REMEMBER_BYTES_MAX ((uint64_t)4 << 20)
#define SHARDS_MAX         64u
#define SKETCH_COUNTERS    (1u << 18)

/* What was replaced or forgotten while it was read does not come back to RAM. */
static bool promote(const struct brim_locator *locator, struct brim_object *object, void *ctx)
{
    struct brim_cache *cache = ctx;
    pthread_mutex_t *turn = brim_cache_lock_key(cache, locator->digest);
    bool is_current = brim_disk_is_current(cache->disk, locator);

    if (is_current)
        brim_hot_promote(cache->hot, object);
    pthread_mutex_unlock(turn);
    return is_current;
}

/* ---- life ---- */

static void restore_epoch(const struct brim_purge_epoch *epoch, void *ctx)
{
    brim_purge_restore(ctx, epoch);
}

/* Where a purge may be missing, all that is stored is from before it. So may be the highest
 * sequence: those from here on are beyond whatever was given out. */
static void restore_epochs(struct brim_cache *cache)
{
    struct brim_purge_epoch all = {.scope = brim_purge_scope_all()};

    if (brim_disk_each_epoch(cache->disk, restore_epoch, cache->purge) == BRIM_OK)
        return;
    all.hard_seq = brim_purge_seq(cache->purge) + SEQ_LEAP;
    brim_purge_restore(cache->purge, &all);
    BRIM_LOG(ERROR, "cache.purges_unread",
             "what=\"all that is stored counts as purged, as it is not known what was\"");
}

/* Two files, of which one is there for a moment, within the quota. */
static uint64_t remembered_bytes(const struct brim_cache_config *config)
{
    uint64_t bytes = config->disk_bytes / REMEMBER_SHARE;

    if (config->remember_ms == 0)
        return 0;
    return bytes < BRIM_REMEMBER_BYTES_MIN ? BRIM_REMEMBER_BYTES_MIN
           : bytes > REMEMBER_BYTES_MAX    ? REMEMBER_BYTES_MAX
                                           : bytes;
}

static enum brim_err open_remember(struct brim_cache *cache)
{
    const struct brim_cache_config *config = &cache->config;
    struct brim_remember_config remember = {.path = config->path,
                                            .interval_ms = config->remember_ms,
                                            .file_bytes_max = remembered_bytes(config),
                                            .hot_bytes_max =
                                                config->memory_bytes - config->memory_bytes / 8,
                                            .hot = cache->hot,
                                            .disk = cache->disk,
                                            .purge = cache->purge,
                                            .promote = promote,
                                            .ctx = cache};

    if (cache->disk == NULL || config->remember_ms == 0)
        return BRIM_OK;
    return brim_remember_open(&remember, &cache->remember);
}

static enum brim_err open_disk(struct brim_cache *cache)
{
    const struct brim_cache_config *config = &cache->config;
    struct brim_disk_config disk = {.path = config->path,
                                    .bytes_max = config->disk_bytes - 2 * remembered_bytes(config),
                                    .segment_bytes = config->segment_bytes,
                                    .object_bytes_max = config->object_bytes_max,
                                    .write_queue_max = config->write_queue_max,
                                    .pool = config->pool,
                                    .ledger = config->ledger};
    enum brim_err err;

    if (config->path == NULL || config->path[0] == '\0')
        return BRIM_OK;
    INVARIANT(config->pool != NULL);
    cache->disk_has_room_for_ram = config->memory_bytes <= config->disk_bytes / RAM_SHARE;
    err = brim_disk_open(&disk, &cache->disk);
    if (err != BRIM_OK)
        return err;
    restore_epochs(cache);
    if (brim_cache_reserve_seqs(cache) != BRIM_OK)
        BRIM_LOG(
            WARN, "cache.purge_reservation",
            "path=%s text=\"purges may be forgotten by a restart until the disk takes writes\"",
            config->path);
    if (config->admit == BRIM_ADMIT_SECOND_HIT)
        cache->asked = brim_sketch_new(SKETCH_COUNTERS);
    return BRIM_OK;
}

/* So many that locks are rarely met, so few that a shard holds several of the largest objects. */
static unsigned shards_for(const struct brim_cache_config *config)
{
    unsigned shards = 1;

    while (shards < SHARDS_MAX &&
           config->memory_bytes / (shards * 2) >= config->memory_object_bytes * 4)
        shards *= 2;
    return shards;
}

enum brim_err brim_cache_open(const struct brim_cache_config *config, struct brim_cache **cache_out)
{
    struct brim_cache *cache = brim_alloc(sizeof(*cache));
    enum brim_err err;

    *cache_out = NULL;
    cache->magic = CACHE_MAGIC;
    cache->config = *config;
    if (cache->config.mail == NULL)
        cache->config.mail = &cache->own_mail;
    atomic_flag_clear(&cache->ageing);
    if (getrandom(&cache->body_id_base, sizeof(cache->body_id_base), 0) !=
        (ssize_t)sizeof(cache->body_id_base))
        cache->body_id_base = (uint64_t)brim_clock_wall_ms() << 20;
    cache->changed_id = cache->body_id_base;
    /* One object that takes most of the disk would throw out everything else. */
    if (config->path != NULL && config->path[0] != '\0' &&
        cache->config.object_bytes_max > config->disk_bytes / DISK_SHARE)
        cache->config.object_bytes_max = config->disk_bytes / DISK_SHARE;
    for (unsigned i = 0; i < CACHE_TURNS; i++)
        pthread_mutex_init(&cache->turns[i], NULL);
    pthread_mutex_init(&cache->purge_turn, NULL);
    pthread_mutex_init(&cache->behind_lock, NULL);
    pthread_mutex_init(&cache->mail_turn, NULL);
    pthread_cond_init(&cache->behind_done, NULL);
    brim_cache_init_behind(cache);
    err = brim_purge_open(config->purge_epochs_max, &cache->purge);
    if (err == BRIM_OK)
        err = brim_hot_open(config->memory_bytes, shards_for(config), &cache->hot);
    if (err == BRIM_OK)
        err = open_disk(cache);
    if (err == BRIM_OK)
        err = open_remember(cache);
    cache->config.path = NULL; /* borrowed for the call only */
    if (err != BRIM_OK) {
        brim_cache_close(cache);
        return err;
    }
    *cache_out = cache;
    return BRIM_OK;
}

static void wait_for_purges(struct brim_cache *cache)
{
    pthread_mutex_lock(&cache->behind_lock);
    while (cache->behind.is_under_way)
        pthread_cond_wait(&cache->behind_done, &cache->behind_lock);
    pthread_mutex_unlock(&cache->behind_lock);
}

void brim_cache_close(struct brim_cache *cache)
{
    if (cache == NULL)
        return;
    OBJ_CHECK(cache, CACHE_MAGIC);
    wait_for_purges(cache);
    brim_remember_close(cache->remember);
    if (cache->disk != NULL)
        brim_disk_close(cache->disk);
    brim_hot_close(cache->hot);
    brim_sketch_free(cache->asked);
    brim_purge_close(cache->purge);
    free(cache->behind.scopes);
    pthread_cond_destroy(&cache->behind_done);
    pthread_mutex_destroy(&cache->behind_lock);
    for (unsigned i = 0; i < CACHE_TURNS; i++)
        pthread_mutex_destroy(&cache->turns[i]);
    pthread_mutex_destroy(&cache->purge_turn);
    pthread_mutex_destroy(&cache->mail_turn);
    cache->magic = 0;
    free(cache);
}

void brim_cache_release(struct brim_cache *cache)
{
    OBJ_CHECK(cache, CACHE_MAGIC);
    INVARIANT(!atomic_load(&cache->is_released));
    atomic_store(&cache->purges_seen, UINT64_MAX);
    atomic_store(&cache->is_released, true); /* purges from now on are passed on */
    wait_for_purges(cache);
    brim_remember_end(cache->remember); /* the successor reads it */
    if (cache->disk != NULL)
        brim_disk_release(cache->disk);
    atomic_store(&cache->purges_seen, atomic_load(&cache->config.mail->purges));
}

/* Whether something was purged since another process may have taken over. */
static bool is_outdated(struct brim_cache *cache)
{
    uint64_t seen;

    if (!atomic_load_explicit(&cache->is_released, memory_order_acquire))
        return false;
    seen = atomic_load(&cache->purges_seen);
    return seen != UINT64_MAX && atomic_load(&cache->config.mail->purges) != seen;
}

struct brim_load_from brim_cache_from(struct brim_cache *cache, struct brim_port *port)
{
    return (struct brim_load_from){.disk = cache->disk, .pool = cache->config.pool, .port = port};
}

uint64_t brim_cache_seq(const struct brim_cache *cache)
{
    return brim_purge_seq(cache->purge);
}

/* ---- find: one level ---- */

bool brim_cache_keeps(struct brim_cache *cache, struct brim_object *object, bool *soft_purged_out)
{
    enum brim_purge_state state = brim_purge_check(cache->purge, object);

    *soft_purged_out = state == BRIM_PURGE_STALE;
    return state != BRIM_PURGE_GONE;
}

bool brim_cache_is_whole(const struct brim_cache *cache, const struct brim_object *object)
{
    return cache->disk == NULL || object->body == NULL ||
           brim_body_mode(object->body) != BRIM_BODY_SPILL ||
           brim_disk_holds(cache->disk, object->body);
}

static enum brim_err look_in_hot(struct brim_cache *cache, struct brim_find *find,
                                 const struct brim_key *key, struct brim_object **object_out)
{
    struct brim_object *object = brim_hot_get(cache->hot, key);

    *object_out = NULL;
    if (object == NULL)
        return BRIM_ENOENT;
    if ((object->kind == BRIM_OBJECT_PASS && brim_cache_note_is_over(object, find->now_wall_ms)) ||
        !brim_cache_is_whole(cache, object) ||
        !brim_cache_keeps(cache, object, &find->soft_purged)) {
        brim_hot_drop(cache->hot, key, object);
        brim_object_unref(object);
        return BRIM_ENOENT;
    }
    *object_out = object;
    return BRIM_OK;
}

static void drop_purged(struct brim_cache *cache, const struct brim_locator *locator)
{
    pthread_mutex_t *turn = brim_cache_lock_key(cache, locator->digest);

    if (brim_disk_is_current(cache->disk, locator)) /* else a newer one is being stored */
        brim_disk_drop(cache->disk, locator->digest);
    pthread_mutex_unlock(turn);
}

static enum brim_err look_on_disk(struct brim_cache *cache, struct brim_find *find,
                                  const struct brim_key *key, struct brim_object **object_out)
{
    const struct brim_load_from from = brim_cache_from(cache, find->port);
    struct brim_locator locator = {.digest = key->digest};
    struct brim_object *object;
    enum brim_err err;

    *object_out = NULL;
    err = brim_load_get(&from, &locator, &find->load, &object);
    if (err != BRIM_OK)
        return err;
    if (!brim_str_is(object->key.text, key->text) || object->kind == BRIM_OBJECT_PASS ||
        !brim_cache_is_whole(cache, object)) {
        brim_object_unref(object);
        return BRIM_ENOENT;
    }
    if (!brim_cache_keeps(cache, object, &find->soft_purged)) {
        drop_purged(cache, &locator);
        brim_object_unref(object);
        return BRIM_ENOENT;
    }
    atomic_store(&object->on_disk, 1);
    (void)promote(&locator, object, cache);
    *object_out = object;
    return BRIM_OK;
}

enum brim_err brim_cache_look(struct brim_cache *cache, struct brim_find *find,
                              const struct brim_key *key, struct brim_object **object_out)
{
    enum brim_err err = look_in_hot(cache, find, key, object_out);

    find->from_disk = false;
    if (err == BRIM_OK || cache->disk == NULL)
        return err;
    err = look_on_disk(cache, find, key, object_out);
    find->from_disk = err == BRIM_OK;
    return err == BRIM_OK || err == BRIM_EAGAIN ? err : BRIM_ENOENT;
}

/* ---- find ---- */

/* Unless another has taken its place since it was found. */
static void put_current_on_disk(struct brim_cache *cache, struct brim_object *object)
{
    pthread_mutex_t *turn = brim_cache_lock_key(cache, object->key.digest);
    struct brim_object *there = brim_hot_peek(cache->hot, &object->key);

    if (there == object)
        brim_cache_put_on_disk(cache, object);
    pthread_mutex_unlock(turn);
    brim_object_unref(there);
}

/* Also what RAM has had for so long that the disk has retired it meanwhile. Where RAM is the
 * larger, that would never end. */
void brim_cache_note_use(struct brim_cache *cache, struct brim_object *object)
{
    struct brim_digest digest = object->key.digest;

    if (cache->disk == NULL)
        return;
    brim_disk_touch(cache->disk, digest);
    if (cache->disk_has_room_for_ram && brim_disk_has_lost(cache->disk, object))
        atomic_store(&object->on_disk, 0);
    if (atomic_load_explicit(&object->on_disk, memory_order_relaxed) == 0 &&
        (object->kind == BRIM_OBJECT_VARY || brim_cache_is_asked_for(cache, digest)))
        put_current_on_disk(cache, object);
}

/* What was asked for counts, whether or not it is there, until that is often enough: more would
 * make the sketch, which forgets by the number of what it has counted, forget the others. */
static void note_request(struct brim_cache *cache, struct brim_digest digest,
                         struct brim_object *object)
{
    if (cache->disk == NULL)
        return;
    if (!brim_cache_is_asked_for(cache, digest))
        brim_sketch_touch(cache->asked, digest);
    if (object != NULL)
        brim_cache_note_use(cache, object);
}

static enum brim_found found(struct brim_cache *cache, struct brim_find *find,
                             struct brim_object *object)
{
    if (find->from_disk)
        BRIM_COUNT(DISK_HITS);
    else
        BRIM_COUNT(HOT_HITS);
    note_request(cache, find->key.digest, object);
    find->object = object;
    return BRIM_FOUND_OBJECT;
}

static enum brim_found not_found(struct brim_cache *cache, struct brim_find *find,
                                 enum brim_err err)
{
    if (err == BRIM_EAGAIN)
        return BRIM_FOUND_WAIT;
    find->soft_purged = false;
    BRIM_COUNT(TIER_MISSES);
    note_request(cache, find->key.digest, NULL);
    return BRIM_FOUND_NONE;
}

/* Takes note, of whatever kind it is. */
static enum brim_found take_note(struct brim_cache *cache, struct brim_find *find,
                                 struct brim_object *note)
{
    bool concerns = note->kind == BRIM_OBJECT_PASS && brim_cache_note_concerns(note, find->request);

    brim_object_unref(note);
    return concerns ? BRIM_FOUND_PASS : not_found(cache, find, BRIM_ENOENT);
}

bool brim_cache_leads_to(const struct brim_cache *cache, const struct brim_object *marker,
                         const struct brim_object *variant)
{
    return cache->disk != NULL || marker == NULL ||
           (int64_t)(variant->body_id - marker->oldest_id) >= 0; /* ids of one run, which grow */
}

static enum brim_found find_variant(struct brim_cache *cache, struct brim_find *find)
{
    struct brim_object *object;
    enum brim_err err;

    if (find->variant_text == NULL) {
        err = brim_marker_variant(&find->primary, &find->marker->fields, find->request,
                                  &find->variant_text, &find->variant);
        if (err != BRIM_OK)
            return BRIM_FOUND_PASS; /* cannot be told from others: neither stored nor shared */
    }
    find->key = find->variant;
    err = brim_cache_look(cache, find, &find->key, &object);
    if (err != BRIM_OK)
        return not_found(cache, find, err);
    if (object->kind != BRIM_OBJECT_RESPONSE)
        return take_note(cache, find, object);
    if (!brim_cache_leads_to(cache, find->marker, object)) {
        brim_hot_drop(cache->hot, &find->key, object);
        brim_object_unref(object);
        return not_found(cache, find, BRIM_ENOENT);
    }
    brim_cache_note_use(cache, find->marker); /* without it nobody would find it after a restart */
    return found(cache, find, object);
}

/* What was stored for a request with a part of the key beside the URL stands behind a marker: what
 * stands in its place is from before that part was asked for, and somebody else's. */
static bool is_keyed(struct brim_fields request)
{
    return request.count > 0 && brim_str_is(request.items[0].name, BRIM_STR(BRIM_VARY_KEY));
}

enum brim_found brim_cache_find(struct brim_cache *cache, struct brim_find *find)
{
    struct brim_object *object;
    enum brim_err err;

    OBJ_CHECK(cache, CACHE_MAGIC);
    find->object = NULL;
    find->key = find->primary;
    if (is_outdated(cache))
        return BRIM_FOUND_PASS;
    if (brim_purge_mail_waits(cache->config.mail))
        brim_cache_read_mail(cache);
    if (find->marker != NULL)
        return find_variant(cache, find);
    err = brim_cache_look(cache, find, &find->key, &object);
    if (err != BRIM_OK)
        return not_found(cache, find, err);
    switch ((enum brim_object_kind)object->kind) {
    case BRIM_OBJECT_RESPONSE:
        if (!is_keyed(find->request))
            return found(cache, find, object);
        brim_object_unref(object);
        return not_found(cache, find, BRIM_ENOENT);
    case BRIM_OBJECT_VARY:
        find->marker = object;
        return find_variant(cache, find);
    case BRIM_OBJECT_PASS:
        break;
    }
    return take_note(cache, find, object);
}

void brim_find_fini(struct brim_find *find)
{
    brim_load_forget(&find->load);
    brim_object_unref(find->marker);
    free(find->variant_text);
    find->marker = NULL;
    find->variant_text = NULL;
}

void brim_cache_forget(struct brim_cache *cache, const struct brim_key *key,
                       struct brim_object *only)
{
    pthread_mutex_t *turn;

    OBJ_CHECK(cache, CACHE_MAGIC);
    turn = brim_cache_lock_key(cache, key->digest);
    if (only != NULL && brim_cache_is_coming(cache, only)) {
        brim_cache_overtake(cache, key->digest, only->body_id + 1);
        only = NULL; /* what stands there is older */
    }
    if (cache->disk != NULL)
        brim_disk_drop(cache->disk, key->digest);
    brim_hot_drop(cache->hot, key, only);
    pthread_mutex_unlock(turn);
}
