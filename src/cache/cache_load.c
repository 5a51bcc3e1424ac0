/* SPDX-License-Identifier: MIT */
/*
 * Reading for those who may wait: threads of the pool, which go to the disk themselves.
 */
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/cache/cache.h"
#include "brim/cache/hot.h"
#include "brim/cache/inside.h"

static struct brim_object *load_from_disk(struct brim_cache *cache, const struct brim_key *key)
{
    struct brim_object *object = NULL;
    struct brim_locator locator;

    if (cache->disk == NULL || brim_disk_locate(cache->disk, key->digest, &locator) != BRIM_OK ||
        brim_disk_load(cache->disk, &locator, BRIM_DISK_WAIT, &object) != BRIM_OK)
        return NULL;
    atomic_store(&object->on_disk, 1);
    return object;
}

enum brim_err brim_cache_load(struct brim_cache *cache, const struct brim_key *key,
                              struct brim_object **object_out)
{
    struct brim_object *object;

    OBJ_CHECK(cache, CACHE_MAGIC);
    *object_out = NULL;
    object = brim_hot_get(cache->hot, key);
    if (object != NULL && !brim_cache_is_whole(cache, object)) {
        brim_object_unref(object);
        object = NULL; /* the next lookup takes it out */
    }
    if (object == NULL)
        object = load_from_disk(cache, key);
    if (object == NULL)
        return BRIM_ENOENT;
    if (object->kind != BRIM_OBJECT_RESPONSE || !brim_key_is(&object->key, key) ||
        brim_purge_check(cache->purge, object) == BRIM_PURGE_GONE) {
        brim_object_unref(object);
        return BRIM_ENOENT;
    }
    brim_cache_note_use(cache, object);
    *object_out = object;
    return BRIM_OK;
}

/* Copies what stands at offset, and says how much; 0: it cannot be read. */
static size_t copy_piece(struct brim_cache *cache, struct brim_body *body, uint64_t offset,
                         char *out)
{
    struct brim_body_piece piece;
    struct brim_chunk *chunk = NULL;
    size_t len = 0;

    switch (brim_body_get(body, offset, &piece)) {
    case BRIM_GET_RAM:
        len = piece.bytes.len;
        memcpy(out, piece.bytes.base, len);
        brim_chunk_unref(piece.chunk);
        break;
    case BRIM_GET_DISK:
        if (cache->disk == NULL ||
            brim_disk_read(cache->disk, &piece.extent, BRIM_DISK_WAIT, &chunk) != BRIM_OK)
            break;
        len = piece.extent.length - piece.skip;
        memcpy(out, brim_chunk_data(chunk) + piece.skip, len);
        brim_chunk_unref(chunk);
        break;
    case BRIM_GET_WAIT:
    case BRIM_GET_END:
    case BRIM_GET_FAILED:
        break;
    }
    return len;
}

enum brim_err brim_cache_read(struct brim_cache *cache, struct brim_body *body, char **bytes_out,
                              size_t *len_out)
{
    size_t len = brim_body_bytes(body);
    char *bytes = malloc(len + 1);
    size_t at = 0;

    OBJ_CHECK(cache, CACHE_MAGIC);
    INVARIANT(brim_body_is_settled(body));
    *bytes_out = NULL;
    *len_out = 0;
    if (bytes == NULL)
        return BRIM_ENOMEM;
    while (at < len) {
        size_t got = copy_piece(cache, body, at, bytes + at);

        if (got == 0) {
            free(bytes);
            return BRIM_EIO;
        }
        at += got;
        INVARIANT(at <= len);
    }
    *bytes_out = bytes;
    *len_out = len;
    return BRIM_OK;
}
