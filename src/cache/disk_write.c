/* SPDX-License-Identifier: MIT */
/*
 * Writing to the disk tier: extents appended by cache/segment on threads of the pool, then a record
 * queued to cache/indexer.
 *
 * Never back. Writes of one key may overlap and end in any order, but the order in which put and
 * drop were called is what the index sees. Each write stands in a small table, by its digest, until
 * its record is queued; who comes later marks those that stand there as overtaken, and queues
 * nothing before that. A write that was overtaken queues no record: its bytes are named by nobody.
 * Table and queue are changed under one lock, so a record is either queued before a later change,
 * or never. Nothing of this outlives the process: what is in the index at a start is older than
 * whatever comes.
 *
 * RAM may let an object go before its record is committed. So the record that it replaces is
 * dropped, which is in force at once, when the write begins. For that moment the key is absent: a
 * miss, where the older object would be a step back.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/base/pool.h"
#include "brim/cache/disk.h"
#include "brim/cache/disk_inside.h"
#include "brim/cache/extent.h"
#include "brim/cache/index.h"
#include "brim/cache/indexer.h"
#include "brim/cache/object.h"
#include "brim/cache/segment.h"

/* Gathers len bytes of a body in RAM from offset on. */
static enum brim_err copy_body(struct brim_body *body, uint64_t offset, uint8_t *bytes, size_t len)
{
    struct brim_body_piece piece;

    while (len > 0) {
        if (brim_body_get(body, offset, &piece) != BRIM_GET_RAM)
            return BRIM_EINVAL;
        size_t n = piece.bytes.len < len ? piece.bytes.len : len;
        memcpy(bytes, piece.bytes.base, n);
        brim_chunk_unref(piece.chunk);
        bytes += n;
        offset += n;
        len -= n;
    }
    return BRIM_OK;
}

static enum brim_err append_piece(struct brim_disk *disk, struct brim_digest digest,
                                  const void *bytes, size_t len, struct brim_extent *extent_out)
{
    struct brim_extent_draft draft = {
        .payload_len = len, .type = BRIM_EXTENT_PIECE, .digest = digest};
    enum brim_err err;

    INVARIANT(len > 0 && len <= BRIM_EXTENT_BODY_MAX);
    *extent_out = (struct brim_extent){0};
    draft.bytes = malloc(BRIM_EXTENT_HEAD_BYTES + len);
    if (draft.bytes == NULL)
        return BRIM_ENOMEM;
    memcpy(draft.bytes + BRIM_EXTENT_HEAD_BYTES, bytes, len);
    err = brim_segments_append(disk->segments, &draft, extent_out);
    free(draft.bytes);
    return err;
}

/* One of a kind of writes has ended. */
static void end_write(struct brim_disk *disk, unsigned *count)
{
    pthread_mutex_lock(&disk->lock);
    INVARIANT(*count > 0);
    (*count)--;
    if (*count == 0)
        pthread_cond_broadcast(&disk->idle);
    pthread_mutex_unlock(&disk->lock);
}

enum brim_err brim_disk_append(struct brim_disk *disk, struct brim_digest digest, const void *bytes,
                               size_t len, struct brim_extent *extent_out)
{
    enum brim_err err = BRIM_OK;

    OBJ_CHECK(disk, DISK_MAGIC);
    *extent_out = (struct brim_extent){0};
    pthread_mutex_lock(&disk->lock);
    if (disk->is_released)
        err = BRIM_ENOSPC;
    else
        disk->appending++;
    pthread_mutex_unlock(&disk->lock);
    if (err != BRIM_OK)
        return err;
    err = append_piece(disk, digest, bytes, len, extent_out);
    end_write(disk, &disk->appending);
    return err;
}

/* Writes a body in RAM that is too large for one extent; *extents_out is the caller's. */
static enum brim_err write_pieces(struct brim_disk *disk, const struct brim_object *object,
                                  struct brim_extent **extents_out, size_t *count_out)
{
    uint64_t bytes = brim_body_bytes(object->body);
    size_t count = (size_t)((bytes + BRIM_EXTENT_BODY_MAX - 1) / BRIM_EXTENT_BODY_MAX);
    struct brim_extent *extents = calloc(count, sizeof(*extents));
    uint8_t *buffer = malloc(BRIM_EXTENT_BODY_MAX);
    enum brim_err err = extents != NULL && buffer != NULL ? BRIM_OK : BRIM_ENOMEM;

    for (size_t i = 0; err == BRIM_OK && i < count; i++) {
        uint64_t offset = (uint64_t)i * BRIM_EXTENT_BODY_MAX;
        size_t len = bytes - offset < BRIM_EXTENT_BODY_MAX ? (size_t)(bytes - offset)
                                                           : (size_t)BRIM_EXTENT_BODY_MAX;
        err = copy_body(object->body, offset, buffer, len);
        if (err == BRIM_OK)
            err = append_piece(disk, object->key.digest, buffer, len, &extents[i]);
    }
    free(buffer);
    if (err != BRIM_OK) {
        free(extents);
        return err;
    }
    *extents_out = extents;
    *count_out = count;
    return BRIM_OK;
}

/* What of an object is on disk already, or must be before its metadata. None: the body is in RAM
 * and small. */
static enum brim_err place_body(struct brim_disk *disk, const struct brim_object *object,
                                struct brim_extent **extents_out, size_t *count_out)
{
    uint64_t bytes, placed = 0;

    *extents_out = NULL;
    *count_out = 0;
    if (object->body == NULL)
        return BRIM_OK;
    if (brim_body_state(object->body) != BRIM_BODY_COMPLETE)
        return BRIM_EINVAL;
    bytes = brim_body_bytes(object->body);
    if (brim_body_mode(object->body) == BRIM_BODY_KEEP)
        return bytes > BRIM_EXTENT_BODY_MAX ? write_pieces(disk, object, extents_out, count_out)
                                            : BRIM_OK;
    *extents_out = brim_body_extents(object->body, count_out);
    for (size_t i = 0; i < *count_out; i++)
        placed += (*extents_out)[i].length;
    return placed == bytes ? BRIM_OK : BRIM_EINVAL;
}

struct placed_body {
    struct brim_extent *extents;
    size_t count;
    uint64_t bytes;
};

/* Writes list, metadata and a small body as one extent. */
static enum brim_err write_meta(struct brim_disk *disk, const struct brim_object *object,
                                const struct placed_body *body, struct brim_extent *extent_out)
{
    struct brim_extent_draft draft = {.type = BRIM_EXTENT_OBJECT, .digest = object->key.digest};
    size_t list = body->count * BRIM_EXTENT_ENTRY_BYTES;
    size_t inline_len = body->count == 0 ? (size_t)body->bytes : 0;
    void *meta = NULL;
    size_t meta_len = 0;
    uint8_t *at;
    enum brim_err err = brim_object_encode(object, &meta, &meta_len);

    if (err != BRIM_OK)
        return err;
    draft.payload_len = list + meta_len + inline_len;
    draft.meta_len = (uint32_t)meta_len;
    draft.piece_count = (uint32_t)body->count;
    draft.bytes = malloc(BRIM_EXTENT_HEAD_BYTES + draft.payload_len);
    if (draft.bytes == NULL || draft.payload_len > UINT32_MAX) {
        err = BRIM_ENOMEM;
        goto out;
    }
    at = draft.bytes + BRIM_EXTENT_HEAD_BYTES;
    brim_extent_list_encode(body->extents, body->count, at);
    memcpy(at + list, meta, meta_len);
    if (inline_len > 0)
        err = copy_body(object->body, 0, at + list + meta_len, inline_len);
    if (err == BRIM_OK)
        err = brim_segments_append(disk->segments, &draft, extent_out);
out:
    free(draft.bytes);
    free(meta);
    return err;
}

/* Its bytes, all of them; *record_out is what the index is to say of it. */
static enum brim_err write_object(struct brim_disk *disk, const struct brim_object *object,
                                  struct brim_record *record_out)
{
    struct placed_body body = {.bytes = object->body == NULL ? 0 : brim_body_bytes(object->body)};
    enum brim_err err = place_body(disk, object, &body.extents, &body.count);

    *record_out = (struct brim_record){.body_bytes = body.bytes};
    if (err == BRIM_OK)
        err = write_meta(disk, object, &body, &record_out->meta);
    if (err == BRIM_OK) {
        record_out->piece_count = (uint32_t)body.count;
        record_out->oldest_segment = record_out->meta.segment;
        for (size_t i = 0; i < body.count; i++) {
            if (body.extents[i].segment < record_out->oldest_segment)
                record_out->oldest_segment = body.extents[i].segment;
        }
    }
    free(body.extents);
    return err;
}

/* ---- one after another ---- */

/* An object on its way, from put until its record is queued. */
struct brim_disk_write {
    struct brim_job job; /* first: the pool hands this back */
    struct brim_disk *disk;
    struct brim_object *object;   /* counted */
    struct brim_disk_write *next; /* in its bucket; under lock, like the next */
    bool is_overtaken;            /* by a later one or a drop: its record is not to be queued */
};
_Static_assert(offsetof(struct brim_disk_write, job) == 0, "run_put casts");

static struct brim_disk_write **bucket_of(struct brim_disk *disk, struct brim_digest digest)
{
    return &disk->writes[digest.lo & (DISK_WRITE_BUCKETS - 1)];
}

/* Under lock. */
static void overtake(struct brim_disk *disk, struct brim_digest digest)
{
    for (struct brim_disk_write *w = *bucket_of(disk, digest); w != NULL; w = w->next) {
        if (brim_digest_is(w->object->key.digest, digest))
            w->is_overtaken = true;
    }
}

/* Under lock. */
static void take_out(struct brim_disk *disk, struct brim_disk_write *write)
{
    struct brim_disk_write **place = bucket_of(disk, write->object->key.digest);

    while (*place != write) {
        INVARIANT(*place != NULL);
        place = &(*place)->next;
    }
    *place = write->next;
    INVARIANT(disk->writing > 0);
    disk->writing--;
    if (disk->writing == 0)
        pthread_cond_broadcast(&disk->idle);
}

static bool is_being_written(struct brim_disk *disk, struct brim_digest digest)
{
    bool is = false;

    pthread_mutex_lock(&disk->lock);
    for (const struct brim_disk_write *w = *bucket_of(disk, digest); w != NULL && !is; w = w->next)
        is = !w->is_overtaken && brim_digest_is(w->object->key.digest, digest);
    pthread_mutex_unlock(&disk->lock);
    return is;
}

/* Or soon will be: handed to the index's writer. */
static bool is_in_index(struct brim_disk *disk, struct brim_digest digest)
{
    enum brim_pending pending = brim_indexer_pending(disk->indexer, digest);
    struct brim_record record;

    return pending == BRIM_PENDING_NONE ? brim_index_find(disk->index, digest, &record) == BRIM_OK
                                        : pending == BRIM_PENDING_PUT;
}

bool brim_disk_has(struct brim_disk *disk, struct brim_digest digest)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    /* In the order in which an object goes: what has left the one is in the other. */
    return is_being_written(disk, digest) || is_in_index(disk, digest);
}

/* Whatever becomes of it: it is looked for when the next segment is retired, not before. */
static uint32_t leans_for_now(const struct brim_disk *disk)
{
    return brim_segments_lowest(disk->segments);
}

bool brim_disk_has_lost(struct brim_disk *disk, struct brim_object *object)
{
    uint32_t leans_on = atomic_load_explicit(&object->leans_on, memory_order_relaxed);
    struct brim_record record;

    OBJ_CHECK(disk, DISK_MAGIC);
    if (brim_segments_has(disk->segments, leans_on))
        return false;
    /* Of all who see it now, one looks. */
    if (!atomic_compare_exchange_strong(&object->leans_on, &leans_on, leans_for_now(disk)))
        return false;
    if (!brim_disk_has(disk, object->key.digest))
        return true;
    if (brim_index_find(disk->index, object->key.digest, &record) == BRIM_OK)
        leans_on = record.oldest_segment; /* it had a second chance, or its segment is going now */
    atomic_store(&object->leans_on, leans_on);
    return false;
}

void brim_disk_drop(struct brim_disk *disk, struct brim_digest digest)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    pthread_mutex_lock(&disk->lock);
    overtake(disk, digest);
    brim_indexer_drop(disk->indexer, digest);
    pthread_mutex_unlock(&disk->lock);
}

/* ---- put ---- */

/* What cannot be written takes what stood in its place with it. Under lock. */
static void refuse(struct brim_disk *disk, struct brim_digest digest)
{
    BRIM_COUNT(DISK_REFUSED);
    overtake(disk, digest);
    brim_indexer_drop(disk->indexer, digest);
}

static void run_put(struct brim_job *job)
{
    struct brim_disk_write *write = (struct brim_disk_write *)job;
    struct brim_digest digest = write->object->key.digest;
    struct brim_disk *disk = write->disk;
    struct brim_record record = {0};
    enum brim_err err = write_object(disk, write->object, &record);

    pthread_mutex_lock(&disk->lock);
    if (!write->is_overtaken) {
        if (err == BRIM_OK)
            err = brim_indexer_put(disk->indexer, digest, &record);
        if (err == BRIM_OK) {
            atomic_store(&write->object->leans_on, record.oldest_segment);
            BRIM_COUNT(DISK_WRITES);
        } else {
            refuse(disk, digest);
        }
    }
    take_out(disk, write);
    pthread_mutex_unlock(&disk->lock);
    brim_object_unref(write->object);
    free(write);
}

/* It waits in RAM, which may let it go meanwhile: then it is held for clients, and none of them
 * could be ended for it. So it does not wait while they hold much themselves. */
static bool may_wait(const struct brim_disk *disk, const struct brim_object *object)
{
    return object->body == NULL || brim_body_mode(object->body) != BRIM_BODY_KEEP ||
           !brim_ledger_is_beyond(disk->config->ledger, BRIM_LEDGER_NARROW);
}

/* Under lock. False: there is no room for it. */
static bool begin(struct brim_disk *disk, struct brim_disk_write *write)
{
    struct brim_digest digest = write->object->key.digest;
    struct brim_disk_write **bucket = bucket_of(disk, digest);

    if (disk->is_released || disk->writing >= disk->config->write_queue_max ||
        !may_wait(disk, write->object))
        return false;
    overtake(disk, digest);
    if (is_in_index(disk, digest))
        brim_indexer_drop(disk->indexer, digest);
    write->next = *bucket;
    *bucket = write;
    disk->writing++;
    return true;
}

void brim_disk_put(struct brim_disk *disk, struct brim_object *object)
{
    struct brim_disk_write *write;
    bool is_begun;

    OBJ_CHECK(disk, DISK_MAGIC);
    OBJ_CHECK(object, BRIM_OBJECT_MAGIC);
    if (object->kind == BRIM_OBJECT_PASS)
        return; /* a note for minutes: not worth a write */
    atomic_store(&object->leans_on, leans_for_now(disk));
    write = brim_alloc(sizeof(*write));
    *write = (struct brim_disk_write){
        .job.run = run_put, .disk = disk, .object = brim_object_ref(object)};
    pthread_mutex_lock(&disk->lock);
    is_begun = begin(disk, write);
    if (!is_begun)
        refuse(disk, object->key.digest);
    pthread_mutex_unlock(&disk->lock);
    if (is_begun && brim_pool_submit(disk->config->pool, BRIM_JOB_WRITE, &write->job) == BRIM_OK)
        return;
    if (is_begun) {
        pthread_mutex_lock(&disk->lock);
        if (!write->is_overtaken)
            refuse(disk, object->key.digest);
        take_out(disk, write);
        pthread_mutex_unlock(&disk->lock);
    }
    brim_object_unref(object);
    free(write);
}
