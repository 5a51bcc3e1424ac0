/* SPDX-License-Identifier: MIT */
#include "brim/origin/outdate.h"

/* Puts stored again, ageing as fresh says. */
static void put_again(struct brim_cache *cache, const struct brim_object *stored,
                      const struct brim_freshness *fresh)
{
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = stored->status,
        .key = stored->key,
        .primary = stored->primary,
        .seq = stored->seq,
        .fresh = *fresh,
        .fields = stored->fields,
        .body_id = stored->body_id,
        .is_codable = stored->is_codable,
        .version = (enum brim_http_version)stored->version,
        .body = stored->body,
        .tags = stored->tags,
        .tag_count = stored->tag_count,
    };
    struct brim_object *object;

    if (brim_object_new(&spec, &object) != BRIM_OK)
        return;
    brim_cache_put(cache, object);
    brim_object_unref(object);
}

/* How stored ages if its lifetime ends now. */
static struct brim_freshness ended(const struct brim_object *stored, int64_t now_wall_ms)
{
    struct brim_freshness fresh = stored->fresh;
    int64_t age_ms = brim_freshness_age_ms(&fresh, now_wall_ms);

    if (fresh.lifetime_ms > age_ms)
        fresh.lifetime_ms = age_ms;
    return fresh;
}

void brim_outdate_expire(struct brim_cache *cache, const struct brim_object *stored,
                         int64_t now_wall_ms)
{
    struct brim_freshness fresh = ended(stored, now_wall_ms);

    put_again(cache, stored, &fresh);
}

/* Whether another's request could have had it stored. Its Age, which is not among the fields, does
 * not matter here. */
static bool is_for_others(const struct brim_answer_update *update,
                          const struct brim_object *updated)
{
    struct brim_exchange judged = *update->exchange;
    const char *reason;

    judged.request = (struct brim_fields){NULL, 0};
    judged.status = updated->status;
    judged.response = updated->fields;
    return brim_freshness_verdict(&judged, update->rules, &reason) == BRIM_STORE;
}

void brim_outdate_updated(struct brim_cache *cache, const struct brim_answer_update *update,
                          const struct brim_object *updated)
{
    struct brim_freshness fresh = ended(update->stale, update->exchange->response_wall_ms);

    if (!is_for_others(update, updated)) {
        brim_cache_forget(cache, &update->stale->key, update->stale);
        return;
    }
    /* Where the update asks for more validation than before, that holds for the old one too. */
    fresh.no_cache = fresh.no_cache || updated->fresh.no_cache;
    fresh.must_revalidate = fresh.must_revalidate || updated->fresh.must_revalidate;
    put_again(cache, update->stale, &fresh);
}
