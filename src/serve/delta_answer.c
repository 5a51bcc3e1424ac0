/* SPDX-License-Identifier: MIT */
#include "brim/serve/delta_answer.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/http/coding.h"
#include "brim/http/conditional.h"

#define ADDED     2 /* Content-Encoding and Vary */
#define TAG_BYTES 1024u

/* In the order of preference: both are smaller than anything without a dictionary, dcb by a few
 * per cent the smaller, dcz much the faster to make. */
static const struct {
    enum brim_delta_coding coding;
    const char *name;
} codings[] = {{BRIM_DELTA_DCZ, "dcz"}, {BRIM_DELTA_DCB, "dcb"}};

/* NULL: the client takes none that is built. */
static const char *choose_coding(struct brim_fields request, enum brim_delta_coding *coding_out)
{
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        *coding_out = codings[i].coding;
        if (brim_delta_is_built(codings[i].coding) &&
            brim_dictionary_is_accepted(request, brim_str_of(codings[i].name)))
            return codings[i].name;
    }
    return NULL;
}

/* Whether this client may have it: what depends on more than the two URLs. */
static bool is_for(const struct brim_delta *delta, struct brim_fields request,
                   const struct brim_object *object)
{
    struct brim_dictionary_use use = {.terms = &delta->terms,
                                      .dictionary_url = delta->dictionary_url,
                                      .request_url = object->primary.text,
                                      .request = request};

    return delta->body != NULL && brim_dictionary_is_for(&use);
}

/* Digests speak of the bytes that are sent, or of those of one representation. */
static bool is_of_bytes(struct brim_str name)
{
    return brim_str_is(name, BRIM_STR("content-md5")) ||
           brim_str_is(name, BRIM_STR("content-digest")) ||
           brim_str_is(name, BRIM_STR("repr-digest")) || brim_str_is(name, BRIM_STR("digest")) ||
           brim_str_is(name, BRIM_STR("accept-ranges"));
}

/* A strong tag names bytes, and these are others; a weak one is for all codings of one state
 * (RFC 9110 8.8.3.3). weak: room for it, with "W/" in front. */
static struct brim_str weak_tag(struct brim_str etag, char *weak)
{
    if (!brim_str_has_prefix(etag, BRIM_STR("\"")))
        return etag;
    memcpy(weak, "W/", 2);
    memcpy(weak + 2, etag.base, etag.len);
    return brim_str(weak, etag.len + 2);
}

static struct brim_fields coded_fields(const struct brim_object *object, const char *coding,
                                       struct brim_field *items, char *weak)
{
    size_t count = 0;

    for (size_t i = 0; i < object->fields.count; i++) {
        if (is_of_bytes(object->fields.items[i].name))
            continue;
        items[count] = object->fields.items[i];
        if (brim_str_is(items[count].name, BRIM_STR("etag")))
            items[count].value = weak_tag(object->etag, weak);
        count++;
    }
    items[count++] = (struct brim_field){BRIM_STR("content-encoding"), brim_str_of(coding)};
    items[count++] =
        (struct brim_field){BRIM_STR("vary"), BRIM_STR("accept-encoding, available-dictionary")};
    return (struct brim_fields){items, count};
}

/* NULL: out of memory. */
static struct brim_object *coded_object(const struct brim_object *object,
                                        const struct brim_delta *delta, const char *coding)
{
    size_t room = object->fields.count + ADDED;
    struct brim_field *items = malloc(room * sizeof(*items) + object->etag.len + 2);
    struct brim_object *coded = NULL;

    if (items == NULL)
        return NULL;
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = object->status,
        .key = object->key,
        .primary = object->primary,
        .seq = object->seq,
        .fresh = object->fresh,
        .fields = coded_fields(object, coding, items, (char *)(items + room)),
        .version = (enum brim_http_version)object->version,
        .body = delta->body,
    };
    if (brim_object_new(&spec, &coded) != BRIM_OK)
        coded = NULL;
    free(items);
    return coded;
}

/* Whether the client has the object in some coding: 304 is smaller than any delta. */
static bool is_not_modified(struct brim_fields request, const struct brim_object *object,
                            int64_t now_wall_ms)
{
    char tag[TAG_BYTES];

    for (int i = 0; i < BRIM_CODINGS; i++) {
        struct brim_recoding recoding = {.own = BRIM_CODING_IDENTITY, .as = (enum brim_coding)i};
        struct brim_validators validators = brim_object_validators(object);

        validators.etag = brim_str(tag, brim_coding_etag(object->etag, recoding, tag, sizeof(tag)));
        if (brim_conditional_is_not_modified(request, &validators, now_wall_ms / 1000))
            return true;
    }
    return false;
}

struct brim_object *brim_delta_answer(struct brim_dictionaries *dictionaries,
                                      struct brim_fields request, struct brim_object *object,
                                      int64_t now_wall_ms, const char **coding_out)
{
    struct brim_object *coded = NULL;
    struct brim_dictionary_hash hash;
    enum brim_delta_coding coding;
    struct brim_delta *delta;
    const char *name;

    *coding_out = NULL;
    if (dictionaries == NULL || !brim_dictionary_available(request, &hash))
        return object;
    name = choose_coding(request, &coding);
    if (name == NULL || !brim_dictionaries_is_codable(dictionaries, object) ||
        brim_fields_find(request, BRIM_STR("range")) != NULL ||
        !brim_dictionary_is_secure(object->primary.text) ||
        !brim_dictionary_is_readable(request, object->fields) ||
        is_not_modified(request, object, now_wall_ms))
        return object;
    delta = brim_dictionaries_get(dictionaries, object, coding, &hash);
    if (delta != NULL && is_for(delta, request, object))
        coded = coded_object(object, delta, name);
    if (coded != NULL) {
        BRIM_COUNT(DELTA_SERVED);
        BRIM_ADD(DELTA_SAVED, brim_body_bytes(object->body) - brim_body_bytes(delta->body));
        brim_object_unref(object);
        *coding_out = name;
    }
    brim_delta_unref(delta);
    return coded != NULL ? coded : object;
}
