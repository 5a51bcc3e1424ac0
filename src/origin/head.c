/* SPDX-License-Identifier: MIT */
#include "brim/origin/head.h"

#include "brim/origin/outdate.h"

/* Whether head has no such field, or exactly the one that is stored. */
static bool is_same_field(struct brim_fields head, struct brim_fields stored, struct brim_str name)
{
    const struct brim_field *ours = brim_fields_only(stored, name);
    const struct brim_field *said = brim_fields_only(head, name);

    if (brim_fields_find(head, name) == NULL)
        return true;
    return said != NULL && ours != NULL && brim_str_is(said->value, ours->value);
}

static bool is_same_length(struct brim_fields head, const struct brim_body *body)
{
    const struct brim_field *said = brim_fields_only(head, BRIM_STR("content-length"));
    uint64_t length = brim_body_length(body);

    if (said == NULL || length == BRIM_BODY_LENGTH_UNKNOWN)
        return said == NULL;
    return (uint64_t)brim_str_number(said->value, BRIM_NUMBER_DIGITS) == length;
}

bool brim_head_confirms(struct brim_fields head, const struct brim_object *stored)
{
    return stored->status == 200 && is_same_field(head, stored->fields, BRIM_STR("etag")) &&
           is_same_field(head, stored->fields, BRIM_STR("last-modified")) &&
           is_same_length(head, stored->body);
}

static void confirm(struct brim_cache *cache, const struct brim_answer_update *update)
{
    struct brim_object *object = NULL, *own = NULL;
    enum brim_store_verdict verdict;

    if (brim_answer_refresh(update, &object, &own, &verdict) != BRIM_OK)
        return;
    if (verdict == BRIM_STORE) /* else only this answer may not be stored, say for its request */
        brim_cache_put(cache, object);
    brim_object_unref(object);
    brim_object_unref(own);
}

void brim_head_update(struct brim_cache *cache, const struct brim_key *primary,
                      const struct brim_answer_update *said)
{
    const struct brim_exchange *exchange = said->exchange;
    struct brim_find find = {.primary = *primary,
                             .request = exchange->request,
                             .now_wall_ms = exchange->response_wall_ms};
    struct brim_exchange as_get = *exchange;
    struct brim_answer_update update = *said;

    as_get.method = BRIM_STR("GET"); /* whose stored response it updates */
    update.exchange = &as_get;
    if (brim_cache_find(cache, &find) == BRIM_FOUND_OBJECT) {
        update.stale = find.object;
        update.version = (enum brim_http_version)find.object->version;
        if (brim_head_confirms(exchange->response, find.object))
            confirm(cache, &update);
        else
            brim_outdate_expire(cache, find.object, exchange->response_wall_ms);
        brim_object_unref(find.object);
    }
    brim_find_fini(&find);
}
