/* SPDX-License-Identifier: MIT */
/*
 * RAM is walked first, some buckets at a time; then the index, some rows at a time, and each object
 * that they name is read from its segment, unless RAM has it as well. No lock and no read
 * transaction is held for longer than one such piece.
 */
#include "brim/cache/survey.h"

#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/cache/inside.h"
#include "brim/cache/marker.h"
#include "brim/cache/represent.h"

#define PIECE 256u /* objects or rows at a time */

struct walk {
    struct brim_cache *cache;
    struct brim_survey *survey;
    struct brim_purge *names; /* the set, as a purge that takes whatever it names */
    uint64_t end_mono_ms;
    struct brim_digest *told; /* that were looked up by their URL */
    size_t told_count;
};

static bool is_over(const struct walk *walk)
{
    return brim_clock_mono_ms() >= walk->end_mono_ms;
}

/* The set as epochs of its own, which are in force nowhere. */
static enum brim_err make_names(struct walk *walk)
{
    const struct brim_purge_set *set = walk->survey->set;
    enum brim_err err =
        brim_purge_open((unsigned)(set->count + set->pattern_count + 1), &walk->names);
    struct brim_purge_epoch ignored;

    if (err != BRIM_OK)
        return err;
    for (size_t i = 0; i < set->count; i++)
        brim_purge_put(walk->names, set->scopes[i], BRIM_PURGE_HARD, &ignored);
    for (size_t i = 0; i < set->pattern_count; i++)
        brim_purge_put_pattern(walk->names, set->patterns[i], BRIM_PURGE_HARD, &ignored);
    return BRIM_OK;
}

static void take(struct walk *walk, struct brim_object *object, enum brim_survey_tier tier)
{
    struct brim_survey *survey = walk->survey;

    survey->looked_at++;
    if (!brim_purge_names(walk->names, object) ||
        brim_purge_check(walk->cache->purge, object) == BRIM_PURGE_GONE)
        return;
    survey->objects++;
    survey->bytes += object->body == NULL ? 0 : brim_body_bytes(object->body);
    survey->found(object, tier, survey->ctx);
}

/* ---- one object on disk ---- */

static struct brim_object *read_disk(struct brim_cache *cache, struct brim_digest digest)
{
    struct brim_locator locator;
    struct brim_object *object = NULL;

    if (cache->disk == NULL || brim_disk_locate(cache->disk, digest, &locator) != BRIM_OK ||
        brim_disk_load(cache->disk, &locator, BRIM_DISK_WAIT, &object) != BRIM_OK)
        return NULL;
    return object;
}

static bool is_in_ram(struct brim_cache *cache, const struct brim_key *key)
{
    struct brim_object *object = brim_hot_peek(cache->hot, key);

    brim_object_unref(object);
    return object != NULL;
}

/* Takes what stands on disk alone; the walk through RAM finds the rest. Counted, or NULL. */
static struct brim_object *take_key(struct walk *walk, const struct brim_key *key)
{
    struct brim_object *object =
        is_in_ram(walk->cache, key) ? NULL : read_disk(walk->cache, key->digest);

    if (object == NULL)
        return NULL;
    walk->told[walk->told_count++] = key->digest;
    take(walk, object, BRIM_SURVEY_DISK);
    return object;
}

/* What is named by its URL is told in any case: object or note, and its codings. */
static void take_url(struct walk *walk, const struct brim_key *key)
{
    struct brim_object *object = take_key(walk, key);
    char *text;

    if (object == NULL)
        return;
    text = brim_alloc(object->key.text.len + BRIM_REPRESENT_TEXT_ROOM);
    for (enum brim_coding coding = 0; coding < BRIM_CODINGS; coding++) {
        struct brim_key coded = brim_represent_key(object, coding, text);

        brim_object_unref(take_key(walk, &coded));
    }
    free(text);
    brim_object_unref(object);
}

static bool is_told(const struct walk *walk, struct brim_digest digest)
{
    for (size_t i = 0; i < walk->told_count; i++)
        if (brim_digest_is(walk->told[i], digest))
            return true;
    return false;
}

/* ---- walks ---- */

static bool walk_ram(struct walk *walk)
{
    struct brim_object *objects[PIECE];
    struct brim_hot_place place = {0};
    size_t count;

    while ((count = brim_hot_walk(walk->cache->hot, &place, objects, PIECE)) > 0) {
        for (size_t i = 0; i < count; i++) {
            take(walk, objects[i], BRIM_SURVEY_RAM);
            brim_object_unref(objects[i]);
        }
        if (is_over(walk))
            return false;
    }
    return true;
}

static void take_row(struct walk *walk, struct brim_digest digest)
{
    struct brim_object *object = is_told(walk, digest) ? NULL : read_disk(walk->cache, digest);

    if (object == NULL)
        return;
    if (!is_in_ram(walk->cache, &object->key))
        take(walk, object, BRIM_SURVEY_DISK);
    brim_object_unref(object);
}

static bool walk_disk(struct walk *walk)
{
    struct brim_digest rows[PIECE], last, *after = NULL;
    size_t count;

    if (walk->cache->disk == NULL)
        return true;
    while ((count = brim_disk_walk(walk->cache->disk, after, rows, PIECE)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (is_over(walk))
                return false;
            take_row(walk, rows[i]);
        }
        last = rows[count - 1];
        after = &last;
    }
    return true;
}

enum brim_err brim_survey_run(struct brim_cache *cache, struct brim_survey *survey)
{
    struct walk walk = {
        .cache = cache, .survey = survey, .end_mono_ms = brim_clock_mono_ms() + survey->budget_ms};
    enum brim_err err = make_names(&walk);

    OBJ_CHECK(cache, CACHE_MAGIC);
    survey->looked_at = survey->objects = survey->bytes = 0;
    survey->is_complete = false;
    if (err != BRIM_OK)
        return err;
    walk.told = brim_alloc(survey->url_count * (BRIM_CODINGS + 1) * sizeof(*walk.told));
    for (size_t i = 0; i < survey->url_count && !is_over(&walk); i++)
        take_url(&walk, &survey->urls[i]);
    survey->is_complete = walk_ram(&walk) && walk_disk(&walk);
    free(walk.told);
    brim_purge_close(walk.names);
    return BRIM_OK;
}

/* ---- one key ---- */

static struct brim_object *look_up(struct brim_cache *cache, const struct brim_key *key,
                                   enum brim_survey_tier *tier_out)
{
    struct brim_object *object = brim_hot_peek(cache->hot, key);

    *tier_out = BRIM_SURVEY_RAM;
    if (object != NULL)
        return object;
    object = read_disk(cache, key->digest);
    *tier_out = object == NULL ? BRIM_SURVEY_NONE : BRIM_SURVEY_DISK;
    if (object == NULL || brim_key_is(&object->key, key))
        return object;
    *tier_out = BRIM_SURVEY_NONE; /* a digest that two have */
    brim_object_unref(object);
    return NULL;
}

void brim_look_run(struct brim_cache *cache, struct brim_look *look)
{
    OBJ_CHECK(cache, CACHE_MAGIC);
    look->key = look->primary;
    look->object = look_up(cache, &look->key, &look->tier);
    if (look->object != NULL && look->object->kind == BRIM_OBJECT_VARY &&
        brim_purge_check(cache->purge, look->object) != BRIM_PURGE_GONE) {
        look->marker = look->object;
        look->object = NULL;
        look->tier = BRIM_SURVEY_NONE;
        if (brim_marker_variant(&look->primary, &look->marker->fields, look->request,
                                &look->variant_text, &look->key) == BRIM_OK)
            look->object = look_up(cache, &look->key, &look->tier);
        else
            look->key = look->primary;
    }
    if (look->object != NULL)
        look->state = brim_cache_leads_to(cache, look->marker, look->object)
                          ? brim_purge_check(cache->purge, look->object)
                          : BRIM_PURGE_GONE;
}

void brim_look_fini(struct brim_look *look)
{
    brim_object_unref(look->marker);
    brim_object_unref(look->object);
    free(look->variant_text);
    *look = (struct brim_look){.tier = BRIM_SURVEY_NONE};
}

void brim_look_each_purge(struct brim_cache *cache, const struct brim_object *object,
                          void (*fn)(const char *scope, const struct brim_purge_epoch *epoch,
                                     void *ctx),
                          void *ctx)
{
    OBJ_CHECK(cache, CACHE_MAGIC);
    brim_purge_each(cache->purge, object, fn, ctx);
}
