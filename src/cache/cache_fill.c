/* SPDX-License-Identifier: MIT */
/*
 * What comes into the cache.
 *
 * Publishing. A marker lists every field that any response under the key varied by; where it says
 * what is already there it is not written again. It is in force before the last byte can be seen
 * (brim_fill_announce): who has that is not led by an older one to an older object. Who finds the
 * marker before the object finds the flight that brings it.
 *
 * Body of a fill:   KEEP --over memory_object_bytes--> SPILL --refused, too large--> WINDOW
 *                      \------- no disk, not admitted ------------------------------->
 * A body that grows in RAM is held on the ledger of clients until it is whole and in the hot tier;
 * where there is no room on it, it leaves RAM as one that is too large for that tier does.
 * From WINDOW nothing is stored, and nobody who reads notices.
 *
 * Never back: who has seen a response is not given an older one afterwards. So what cannot be kept
 * takes away what stands in its place: the object of a fill that was storable until it proved too
 * large for the tiers, and the record on disk of one that the disk does not take (see
 * cache/disk_write.c, cache/indexer.c). RAM decides which of two is the later (cache/hot.c), and
 * the disk hears of them in that order: both are told in one turn of the key. What is earlier and
 * still on its way is told in that turn, too (cache/cache_coming.c).
 */
#include "brim/cache/cache.h"

#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/cache/hot.h"
#include "brim/cache/inside.h"
#include "brim/cache/marker.h"
#include "brim/cache/sketch.h"
#include "brim/cache/spill.h"
#include "brim/http/vary.h"

#define FILL_MAGIC 0x66696c31u

#define CROWDED_BYTES_MAX ((uint64_t)64 * 1024) /* grow in RAM though clients hold all they may */

/* ---- publishing ---- */

bool brim_cache_is_asked_for(const struct brim_cache *cache, struct brim_digest digest)
{
    return cache->asked == NULL || brim_sketch_uses(cache->asked, digest) >= 2;
}

/* Whether the disk should have it: asked for often enough, or an older one stands there, which must
 * not come back when the hot tier lets this one go. */
static bool is_admitted(struct brim_cache *cache, struct brim_digest digest)
{
    return brim_cache_is_asked_for(cache, digest) || brim_disk_has(cache->disk, digest);
}

void brim_cache_put_on_disk(struct brim_cache *cache, struct brim_object *object)
{
    if (cache->disk != NULL && atomic_exchange(&object->on_disk, 1) == 0)
        brim_disk_put(cache->disk, object);
}

void brim_cache_on_publish(struct brim_cache *cache, void (*fn)(struct brim_object *, void *ctx),
                           void *ctx)
{
    OBJ_CHECK(cache, CACHE_MAGIC);
    cache->published = fn;
    cache->published_ctx = ctx;
}

static void tell(struct brim_cache *cache, struct brim_object *object)
{
    if (object->kind == BRIM_OBJECT_RESPONSE)
        brim_metric_observe(BRIM_HISTOGRAM_OBJECT_SIZE,
                            object->body == NULL ? 0 : brim_body_bytes(object->body));
    if (cache->published != NULL && object->kind == BRIM_OBJECT_RESPONSE)
        cache->published(object, cache->published_ctx);
}

static bool is_spilled(const struct brim_object *object)
{
    return object->body != NULL && brim_body_mode(object->body) == BRIM_BODY_SPILL;
}

/* Into both tiers, the disk if it admits it. False: a later one was faster. */
static bool enter(struct brim_cache *cache, struct brim_object *object)
{
    pthread_mutex_t *turn = brim_cache_lock_key(cache, object->key.digest);
    bool is_kept = brim_cache_take_coming(cache, object) && brim_hot_put(cache->hot, object);

    if (is_kept)
        brim_cache_overtake(cache, object->key.digest, object->body_id);
    if (!is_kept || cache->disk == NULL) {
        pthread_mutex_unlock(turn);
        return is_kept;
    }
    /* a body that spilled is there already: only the record is left to be written */
    if (object->kind == BRIM_OBJECT_VARY || is_spilled(object) ||
        is_admitted(cache, object->key.digest))
        brim_cache_put_on_disk(cache, object);
    else
        BRIM_COUNT(DISK_REFUSED);
    pthread_mutex_unlock(turn);
    return true;
}

static void publish(struct brim_cache *cache, struct brim_object *object)
{
    if (enter(cache, object))
        tell(cache, object);
}

/* There is no place for the body of this id: what is earlier under its key goes. */
static void give_up(struct brim_cache *cache, const struct brim_key *key, uint64_t body_id)
{
    pthread_mutex_t *turn = brim_cache_lock_key(cache, key->digest);

    brim_cache_overtake(cache, key->digest, body_id);
    pthread_mutex_unlock(turn);
    brim_cache_forget(cache, key, NULL);
}

/* No more is to come of it. False: it has been overtaken. */
static bool end_coming(struct brim_cache *cache, const struct brim_object *object)
{
    pthread_mutex_t *turn = brim_cache_lock_key(cache, object->key.digest);
    bool is_last = brim_cache_take_coming(cache, object);

    pthread_mutex_unlock(turn);
    return is_last;
}

/* All of it is on disk. Or it will never be. */
static void on_spill_ended(struct brim_object *object, bool is_whole, void *ctx)
{
    struct brim_cache *cache = ctx;

    OBJ_CHECK(cache, CACHE_MAGIC);
    if (is_whole)
        publish(cache, object);
    else if (end_coming(cache, object)) /* else what stands there is newer */
        give_up(cache, &object->key, object->body_id);
}

void brim_cache_put(struct brim_cache *cache, struct brim_object *object)
{
    OBJ_CHECK(cache, CACHE_MAGIC);
    /* A body that may still fail, or that nobody keeps, is no stored one. */
    if (object->body == NULL || brim_body_is_settled(object->body))
        publish(cache, object);
}

/* ---- fill: keys and markers ---- */

struct brim_fill {
    uint32_t magic;
    struct brim_cache *cache;
    struct brim_object *object; /* counted */
    struct brim_object *marker; /* counted; NULL: none to write */
    struct brim_spill *spill;   /* while SPILL */
    uint64_t expected;
    bool storable;
    bool is_coming; /* on the list of cache_coming.c, for which the fill answers */
    bool replaces;  /* what stands under the key, whether or not it can be stored in its place */
};

/* The marker that stands under primary, if it can be had without waiting. *soft_purged_out: it is
 * worth writing again, with a sequence of its own. */
static struct brim_object *peek_marker(struct brim_cache *cache, const struct brim_key *primary,
                                       bool *soft_purged_out)
{
    struct brim_find find = {.primary = *primary, /* no port: nothing is begun */
                             .now_wall_ms = brim_clock_wall_ms()};
    struct brim_object *object;

    *soft_purged_out = false;
    if (brim_cache_look(cache, &find, primary, &object) != BRIM_OK)
        return NULL;
    *soft_purged_out = find.soft_purged;
    if (object->kind == BRIM_OBJECT_VARY)
        return object;
    brim_object_unref(object);
    return NULL;
}

/* RAM has it still, but the disk has retired its segment, or had no room for it. */
static bool is_missing_on_disk(struct brim_cache *cache, struct brim_object *marker)
{
    bool is_missing = cache->disk != NULL && !brim_disk_has(cache->disk, marker->key.digest);

    if (is_missing)
        atomic_store(&marker->on_disk, 0);
    return is_missing;
}

/* Makes the key under which spec's response is stored; *text_out is the caller's. */
static enum brim_err make_key(struct brim_fill *fill, const struct brim_object_spec *spec,
                              struct brim_fields request, char **text_out, struct brim_key *key_out)
{
    struct brim_object *marker = NULL, *old;
    bool soft_purged;
    enum brim_err err;

    *text_out = NULL;
    *key_out = spec->primary;
    old = peek_marker(fill->cache, &spec->primary, &soft_purged);
    err = brim_marker_make(spec, request, soft_purged ? NULL : old, &marker);
    if (err == BRIM_OK && marker != old)
        marker->oldest_id = old != NULL ? old->oldest_id : atomic_load(&fill->cache->changed_id);
    if (err == BRIM_OK)
        err = brim_marker_variant(&spec->primary, &marker->fields, request, text_out, key_out);
    else if (err == BRIM_ENOENT)
        err = BRIM_OK; /* does not vary: stands under its primary key */
    if (err == BRIM_OK && marker != NULL &&
        (marker != old || is_missing_on_disk(fill->cache, marker)))
        fill->marker = brim_object_ref(marker);
    brim_object_unref(marker);
    brim_object_unref(old);
    return err;
}

/* ---- notes ---- */

#define NOTE_FIELDS 2u /* the part of the key beside the URL; that there was a cookie */

static struct brim_fields fields_of_note(struct brim_fields request,
                                         struct brim_field out[static NOTE_FIELDS])
{
    const struct brim_field *part = brim_fields_find(request, BRIM_STR(BRIM_VARY_KEY));
    size_t count = 0;

    if (part != NULL)
        out[count++] = *part;
    if (brim_fields_find(request, BRIM_STR("cookie")) != NULL)
        out[count++] = (struct brim_field){BRIM_STR("cookie"), BRIM_STR("")};
    return (struct brim_fields){out, count};
}

bool brim_cache_note_is_over(const struct brim_object *note, int64_t now_wall_ms)
{
    return now_wall_ms - note->fresh.response_wall_ms >= note->fresh.lifetime_ms ||
           brim_freshness_is_from_future(&note->fresh, now_wall_ms);
}

bool brim_cache_note_concerns(const struct brim_object *note, struct brim_fields request)
{
    for (size_t i = 0; i < note->fields.count; i++) {
        const struct brim_field *noted = &note->fields.items[i];
        const struct brim_field *own = brim_fields_find(request, noted->name);

        if (own == NULL || (noted->value.len > 0 && !brim_str_is(own->value, noted->value)))
            return false;
    }
    return true;
}

/* Who is told apart by cookies does not wait for others as it is: a note each would only cost RAM.
 */
static bool varies_by_cookie(struct brim_cache *cache, const struct brim_pass_note *note)
{
    struct brim_object *marker = NULL;
    bool soft_purged, varies;

    if (!brim_digest_is(note->key.digest, note->primary.digest))
        marker = peek_marker(cache, &note->primary, &soft_purged);
    varies = marker != NULL && brim_fields_find(marker->fields, BRIM_STR("cookie")) != NULL;
    brim_object_unref(marker);
    return varies;
}

/* What came meanwhile stays: others are given it. */
static void enter_note(struct brim_cache *cache, struct brim_object *note,
                       const struct brim_object *instead)
{
    pthread_mutex_t *turn = brim_cache_lock_key(cache, note->key.digest);
    struct brim_object *there = brim_hot_peek(cache->hot, &note->key);

    if (there != NULL && (there == instead || there->kind == BRIM_OBJECT_PASS))
        brim_hot_drop(cache->hot, &note->key, there);
    brim_hot_promote(cache->hot, note);
    pthread_mutex_unlock(turn);
    brim_object_unref(there);
}

void brim_cache_put_pass(struct brim_cache *cache, const struct brim_pass_note *note)
{
    struct brim_field fields[NOTE_FIELDS];
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_PASS,
        .key = note->key,
        .primary = note->primary,
        .seq = brim_cache_seq(cache),
        .fresh = {.response_wall_ms = note->now_wall_ms, .lifetime_ms = note->ttl_ms},
        .fields = fields_of_note(note->request, fields),
    };
    struct brim_object *object;

    OBJ_CHECK(cache, CACHE_MAGIC);
    if (varies_by_cookie(cache, note) || brim_object_new(&spec, &object) != BRIM_OK)
        return; /* only a note: the next request waits for a flight */
    enter_note(cache, object, note->instead);
    brim_object_unref(object);
}

/* ---- fill: body ---- */

/* A KEEP body has become too large for that. */
static void leave_ram(struct brim_fill *fill)
{
    struct brim_cache *cache = fill->cache;
    size_t window = (size_t)cache->config.window_bytes;
    struct brim_digest digest = fill->object->key.digest;

    if (fill->storable && (cache->disk == NULL || !is_admitted(cache, digest))) {
        fill->storable = false;
        if (cache->disk != NULL)
            BRIM_COUNT(DISK_REFUSED);
    }
    if (!fill->storable) {
        brim_body_set_mode(fill->object->body, BRIM_BODY_WINDOW, window);
        return;
    }
    brim_body_set_mode(fill->object->body, BRIM_BODY_SPILL, window);
    fill->spill = brim_spill_new(&(struct brim_spill_config){
        .disk = cache->disk,
        .pool = cache->config.pool,
        .body = fill->object->body,
        .digest = digest,
        .piece_bytes_min = window / 4 < BRIM_BODY_SPILL_ROOM ? window / 4 : BRIM_BODY_SPILL_ROOM,
        .ended = on_spill_ended,
        .ctx = cache,
    });
}

static void stop_storing(struct brim_fill *fill)
{
    fill->storable = false;
    if (fill->spill != NULL)
        brim_spill_abandon(fill->spill);
    fill->spill = NULL;
}

/* Chooses how a body of this many bytes is kept from here on. */
static void choose_mode(struct brim_fill *fill, uint64_t bytes)
{
    const struct brim_cache_config *config = &fill->cache->config;
    struct brim_ledger *ledger = brim_body_ledger(fill->object->body);

    if (fill->storable && bytes > config->object_bytes_max)
        stop_storing(fill);
    if (brim_body_mode(fill->object->body) == BRIM_BODY_KEEP &&
        (!fill->storable || bytes > config->memory_object_bytes ||
         (bytes > CROWDED_BYTES_MAX && brim_ledger_is_beyond(ledger, BRIM_LEDGER_CLOSED))))
        leave_ram(fill);
}

/* Makes the object with its growing body. */
static enum brim_err grow_object(struct brim_fill *fill, const struct brim_object_spec *spec,
                                 const struct brim_body_hooks *hooks)
{
    struct brim_object_spec full = *spec;
    enum brim_err err;

    full.kind = BRIM_OBJECT_RESPONSE;
    full.body = brim_body_new(fill->expected);
    if (full.body == NULL)
        return BRIM_ENOMEM;
    err = brim_object_new(&full, &fill->object);
    brim_body_unref(full.body); /* the object has its own count */
    if (err != BRIM_OK)
        return err;
    brim_body_set_ledger(fill->object->body, fill->cache->config.ledger);
    brim_body_set_hooks(fill->object->body, hooks);
    choose_mode(fill, fill->expected == BRIM_BODY_LENGTH_UNKNOWN ? 0 : fill->expected);
    return BRIM_OK;
}

static struct brim_fill *fill_new(struct brim_cache *cache, uint64_t expected)
{
    struct brim_fill *fill = brim_alloc(sizeof(*fill));

    *fill = (struct brim_fill){.magic = FILL_MAGIC, .cache = cache, .expected = expected};
    return fill;
}

/* hooks stay away before the body goes, so that none finds a fill that is gone. */
static void fill_free(struct brim_fill *fill)
{
    INVARIANT(fill->spill == NULL);
    if (fill->is_coming)
        (void)end_coming(fill->cache, fill->object);
    if (fill->object != NULL)
        brim_body_set_hooks(fill->object->body, NULL);
    brim_object_unref(fill->object);
    brim_object_unref(fill->marker);
    fill->magic = 0;
    free(fill);
}

/* No two bodies that were ever stored here have the same, as good as surely. */
static uint64_t new_body_id(struct brim_cache *cache)
{
    return cache->body_id_base + atomic_fetch_add_explicit(&cache->bodies, 1, memory_order_relaxed);
}

static bool is_too_large(const struct brim_cache *cache, uint64_t expected)
{
    return expected != BRIM_BODY_LENGTH_UNKNOWN && expected > cache->config.object_bytes_max;
}

enum brim_err brim_cache_begin_fill(struct brim_cache *cache, const struct brim_object_spec *spec,
                                    struct brim_fields request, uint64_t expected,
                                    const struct brim_body_hooks *hooks,
                                    struct brim_fill **fill_out)
{
    struct brim_object_spec keyed = *spec;
    struct brim_fill *fill;
    char *text = NULL;
    enum brim_err err;

    *fill_out = NULL;
    OBJ_CHECK(cache, CACHE_MAGIC);
    fill = fill_new(cache, expected);
    fill->storable = fill->replaces = true;
    keyed.body_id = new_body_id(cache);
    err = make_key(fill, &keyed, request, &text, &keyed.key);
    if (err == BRIM_OK && is_too_large(cache, expected)) {
        give_up(cache, &keyed.key, keyed.body_id);
        err = BRIM_ELIMIT;
    }
    if (err == BRIM_OK)
        err = grow_object(fill, &keyed, hooks);
    free(text);
    if (err != BRIM_OK) {
        fill_free(fill);
        return err;
    }
    fill->is_coming = true;
    brim_cache_expect(cache, fill->object);
    *fill_out = fill;
    return BRIM_OK;
}

enum brim_err brim_cache_begin_pass(struct brim_cache *cache, const struct brim_object_spec *spec,
                                    uint64_t expected, const struct brim_body_hooks *hooks,
                                    struct brim_fill **fill_out)
{
    struct brim_object_spec keyed = *spec;
    struct brim_fill *fill;
    enum brim_err err;

    *fill_out = NULL;
    OBJ_CHECK(cache, CACHE_MAGIC);
    keyed.key = spec->primary;
    fill = fill_new(cache, expected);
    err = grow_object(fill, &keyed, hooks);
    if (err != BRIM_OK) {
        fill_free(fill);
        return err;
    }
    *fill_out = fill;
    return BRIM_OK;
}

struct brim_object *brim_fill_object(const struct brim_fill *fill)
{
    OBJ_CHECK(fill, FILL_MAGIC);
    return fill->object;
}

/* What does not vary and began before: it would take the place of the marker. */
static void overtake_plain(struct brim_cache *cache, const struct brim_object *object)
{
    pthread_mutex_t *turn = brim_cache_lock_key(cache, object->primary.digest);

    brim_cache_overtake(cache, object->primary.digest, object->body_id);
    pthread_mutex_unlock(turn);
}

void brim_fill_announce(struct brim_fill *fill)
{
    OBJ_CHECK(fill, FILL_MAGIC);
    if (fill->storable && fill->marker != NULL)
        publish(fill->cache, fill->marker);
    else if (fill->storable &&
             !brim_digest_is(fill->object->key.digest, fill->object->primary.digest))
        overtake_plain(fill->cache, fill->object); /* its marker is there */
    brim_object_unref(fill->marker);
    fill->marker = NULL;
}

enum brim_err brim_fill_append(struct brim_fill *fill, const void *bytes, size_t len)
{
    struct brim_body *body;
    enum brim_err err;

    OBJ_CHECK(fill, FILL_MAGIC);
    body = fill->object->body;
    choose_mode(fill, brim_body_bytes(body) + len);
    err = brim_body_append(body, bytes, len);
    if (err != BRIM_OK && err != BRIM_EAGAIN)
        return err;
    if (fill->spill != NULL) {
        /* who is paused waits for a piece to be written, and there is one */
        brim_spill_kick(fill->spill, err == BRIM_EAGAIN ? BRIM_BODY_SPILL_ROOM : len);
        if (brim_spill_has_failed(fill->spill))
            stop_storing(fill);
    }
    return err;
}

bool brim_fill_is_storable(const struct brim_fill *fill)
{
    OBJ_CHECK(fill, FILL_MAGIC);
    return fill->storable && (fill->spill == NULL || !brim_spill_has_failed(fill->spill));
}

/* Ageing walks the sketch, so it is done here and not on a loop. */
static void age_sketch(struct brim_cache *cache)
{
    if (cache->asked == NULL || atomic_flag_test_and_set(&cache->ageing))
        return;
    brim_sketch_age(cache->asked);
    atomic_flag_clear(&cache->ageing);
}

/* What has come whole goes to the tiers. end: called when it is there, or never will be. */
static void store(struct brim_fill *fill, struct brim_spill_end end)
{
    struct brim_cache *cache = fill->cache;
    struct brim_object *object = fill->object;
    bool is_purged = brim_purge_check(cache->purge, object) == BRIM_PURGE_GONE;

    if (is_purged || !brim_fill_is_storable(fill)) {
        stop_storing(fill);
        if (fill->replaces && !is_purged)
            give_up(cache, &object->key, object->body_id);
    } else if (fill->spill != NULL) {
        fill->is_coming = false; /* the spill tells of its end */
        brim_spill_end(fill->spill, object, end);
        fill->spill = NULL;
        end.fn = NULL; /* it is the spill's */
    } else {
        fill->is_coming = false;
        publish(cache, object);
    }
    if (end.fn != NULL)
        end.fn(end.ctx);
}

void brim_fill_finish_then(struct brim_fill *fill, void (*then)(void *ctx), void *ctx)
{
    struct brim_cache *cache;
    struct brim_body *body;

    OBJ_CHECK(fill, FILL_MAGIC);
    cache = fill->cache;
    body = fill->object->body;
    if (fill->expected != BRIM_BODY_LENGTH_UNKNOWN && brim_body_bytes(body) != fill->expected) {
        brim_fill_abort(fill, BRIM_EPROTO);
        if (then != NULL)
            then(ctx);
        return;
    }
    brim_fill_announce(fill);
    brim_body_finish(body);
    store(fill, (struct brim_spill_end){then, ctx});
    fill_free(fill);
    age_sketch(cache);
}

void brim_fill_finish(struct brim_fill *fill)
{
    brim_fill_finish_then(fill, NULL, NULL);
}

void brim_fill_finish_unstored(struct brim_fill *fill)
{
    OBJ_CHECK(fill, FILL_MAGIC);
    fill->replaces = false;
    stop_storing(fill);
    brim_fill_finish(fill);
}

void brim_fill_abort(struct brim_fill *fill, enum brim_err why)
{
    OBJ_CHECK(fill, FILL_MAGIC);
    stop_storing(fill);
    brim_body_fail(fill->object->body, why);
    fill_free(fill);
}
