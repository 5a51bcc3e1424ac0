/* SPDX-License-Identifier: MIT */
/*
 * fake_disk - the disk tier's interface over memory, for tests of what stands above it: everything
 * is cold until it was read once with BRIM_DISK_WAIT, writes fail when the test says so, and what
 * was put is there at once. One "platter" outlives brim_disk_close(), as a disk does.
 *
 * It defines the functions of cache/disk, so a test that includes it links without the real ones.
 */
#ifndef BRIM_TESTS_FAKE_DISK_H
#define BRIM_TESTS_FAKE_DISK_H

#include <pthread.h>

#include "brim/base/invariant.h"
#include "brim/cache/disk.h"

enum { FAKE_MAX = 4096 };

struct fake_piece {
    uint8_t *bytes;
    uint32_t len;
    bool warm;
};

struct fake_record {
    struct brim_digest digest;
    void *meta;
    size_t meta_len;
    struct brim_extent *extents; /* NULL: the body is piece `small` */
    size_t extent_count;
    uint32_t small;
    bool has_body;
    bool warm;
    bool gone;
};

static struct {
    pthread_mutex_t lock;
    struct fake_piece pieces[FAKE_MAX];
    uint32_t piece_count;
    struct fake_record records[FAKE_MAX];
    unsigned record_count;
    struct brim_purge_epoch epochs[FAKE_MAX];
    unsigned epoch_count;
    bool epochs_fail;
    enum brim_err append_err; /* of the next writes, after append_left */
    uint64_t append_left;     /* writes that still succeed */
    enum brim_err epoch_err;  /* of brim_disk_put_epochs */
    enum brim_err read_err;   /* of brim_disk_read */
    uint32_t oldest_segment;  /* all below were retired */
    unsigned touches;
    int uses; /* begun and not ended */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct brim_disk {
    int unused;
};

static inline void fake_chill(void)
{
    pthread_mutex_lock(&fake.lock);
    for (uint32_t i = 0; i < fake.piece_count; i++)
        fake.pieces[i].warm = false;
    for (unsigned i = 0; i < fake.record_count; i++)
        fake.records[i].warm = false;
    pthread_mutex_unlock(&fake.lock);
}

static inline void fake_wipe(void)
{
    for (uint32_t i = 0; i < fake.piece_count; i++)
        free(fake.pieces[i].bytes);
    for (unsigned i = 0; i < fake.record_count; i++) {
        free(fake.records[i].meta);
        free(fake.records[i].extents);
    }
    fake.piece_count = 0;
    fake.record_count = 0;
    fake.epoch_count = 0;
}

static inline unsigned fake_live_records(void)
{
    unsigned count = 0;

    pthread_mutex_lock(&fake.lock);
    for (unsigned i = 0; i < fake.record_count; i++)
        count += !fake.records[i].gone;
    pthread_mutex_unlock(&fake.lock);
    return count;
}

enum brim_err brim_disk_open(const struct brim_disk_config *config, struct brim_disk **disk_out)
{
    (void)config;
    *disk_out = brim_alloc(sizeof(**disk_out));
    return BRIM_OK;
}

void brim_disk_release(struct brim_disk *disk)
{
    (void)disk;
}

void brim_disk_close(struct brim_disk *disk)
{
    free(disk);
}

enum brim_err brim_disk_each_epoch(struct brim_disk *disk,
                                   void (*fn)(const struct brim_purge_epoch *epoch, void *ctx),
                                   void *ctx)
{
    (void)disk;
    for (unsigned i = 0; i < fake.epoch_count; i++)
        fn(&fake.epochs[i], ctx);
    return fake.epochs_fail ? BRIM_EIO : BRIM_OK;
}

static void fake_put_epoch(const struct brim_purge_epoch *epoch)
{
    unsigned i = 0;

    pthread_mutex_lock(&fake.lock);
    while (i < fake.epoch_count && fake.epochs[i].scope != epoch->scope)
        i++;
    INVARIANT(i < FAKE_MAX);
    fake.epochs[i] = *epoch;
    if (i == fake.epoch_count)
        fake.epoch_count++;
    pthread_mutex_unlock(&fake.lock);
}

enum brim_err brim_disk_put_epochs(struct brim_disk *disk, const struct brim_purge_epoch *epochs,
                                   size_t count)
{
    (void)disk;
    if (fake.epoch_err != BRIM_OK)
        return fake.epoch_err;
    for (size_t i = 0; i < count; i++)
        fake_put_epoch(&epochs[i]);
    return BRIM_OK;
}

/* The live record under digest, or NULL. Locked. */
static struct fake_record *fake_record(struct brim_digest digest)
{
    for (unsigned i = fake.record_count; i > 0; i--) {
        struct fake_record *record = &fake.records[i - 1];

        if (brim_digest_is(record->digest, digest))
            return record->gone ? NULL : record;
    }
    return NULL;
}

enum brim_err brim_disk_locate(struct brim_disk *disk, struct brim_digest digest,
                               struct brim_locator *locator_out)
{
    const struct fake_record *record;

    (void)disk;
    *locator_out = (struct brim_locator){.digest = digest};
    pthread_mutex_lock(&fake.lock);
    record = fake_record(digest);
    if (record != NULL)
        locator_out->record_id = (uint64_t)(record - fake.records);
    pthread_mutex_unlock(&fake.lock);
    return record != NULL ? BRIM_OK : BRIM_ENOENT;
}

bool brim_disk_is_current(struct brim_disk *disk, const struct brim_locator *locator)
{
    struct brim_locator now;

    return brim_disk_locate(disk, locator->digest, &now) == BRIM_OK &&
           now.record_id == locator->record_id;
}

enum brim_err brim_disk_load(struct brim_disk *disk, const struct brim_locator *locator,
                             enum brim_disk_wait wait, struct brim_object **object_out)
{
    struct fake_record *record;
    struct brim_body *body = NULL;
    enum brim_err err = BRIM_EAGAIN;

    (void)disk;
    *object_out = NULL;
    pthread_mutex_lock(&fake.lock);
    record = &fake.records[locator->record_id];
    if (record->warm || wait == BRIM_DISK_WAIT) {
        record->warm = true;
        if (record->has_body && record->extents != NULL)
            body = brim_body_on_disk(record->extents, record->extent_count);
        else if (record->has_body)
            body = brim_body_from(fake.pieces[record->small].bytes, fake.pieces[record->small].len);
        err = brim_object_decode(record->meta, record->meta_len, body, object_out);
        if (body != NULL)
            brim_body_unref(body);
    }
    pthread_mutex_unlock(&fake.lock);
    return err;
}

enum brim_err brim_disk_read(struct brim_disk *disk, const struct brim_extent *extent,
                             enum brim_disk_wait wait, struct brim_chunk **chunk_out)
{
    struct fake_piece *piece = &fake.pieces[extent->offset];
    enum brim_err err = BRIM_EAGAIN;

    (void)disk;
    *chunk_out = NULL;
    pthread_mutex_lock(&fake.lock);
    if (piece->warm || wait == BRIM_DISK_WAIT) {
        INVARIANT(extent->offset < fake.piece_count && extent->length == piece->len);
        piece->warm = true;
        err = fake.read_err;
        if (err == BRIM_OK) {
            *chunk_out = brim_chunk_new(piece->len);
            memcpy(brim_chunk_data(*chunk_out), piece->bytes, piece->len);
        }
    }
    pthread_mutex_unlock(&fake.lock);
    return err;
}

/* Takes bytes. Locked. */
static uint32_t fake_keep(uint8_t *bytes, size_t len)
{
    INVARIANT(fake.piece_count < FAKE_MAX);
    fake.pieces[fake.piece_count] = (struct fake_piece){.bytes = bytes, .len = (uint32_t)len};
    return fake.piece_count++;
}

static uint8_t *fake_copy_body(struct brim_body *body)
{
    uint64_t len = brim_body_bytes(body);
    uint8_t *bytes = malloc((size_t)len + 1);
    uint64_t at = 0;

    while (at < len) {
        struct brim_body_piece piece;

        INVARIANT(brim_body_get(body, at, &piece) == BRIM_GET_RAM);
        memcpy(bytes + at, piece.bytes.base, piece.bytes.len);
        at += piece.bytes.len;
        brim_chunk_unref(piece.chunk);
    }
    return bytes;
}

void brim_disk_put(struct brim_disk *disk, struct brim_object *object)
{
    struct fake_record record = {.digest = object->key.digest, .has_body = object->body != NULL};

    (void)disk;
    INVARIANT(object->body == NULL || brim_body_is_settled(object->body));
    INVARIANT(brim_object_encode(object, &record.meta, &record.meta_len) == BRIM_OK);
    if (object->body != NULL)
        record.extents = brim_body_extents(object->body, &record.extent_count);
    pthread_mutex_lock(&fake.lock);
    if (record.has_body && record.extents == NULL)
        record.small = fake_keep(fake_copy_body(object->body), brim_body_bytes(object->body));
    INVARIANT(fake.record_count < FAKE_MAX);
    fake.records[fake.record_count++] = record;
    pthread_mutex_unlock(&fake.lock);
}

enum brim_err brim_disk_append(struct brim_disk *disk, struct brim_digest digest, const void *bytes,
                               size_t len, struct brim_extent *extent_out)
{
    enum brim_err err = BRIM_OK;
    uint8_t *copy;

    (void)disk;
    (void)digest;
    *extent_out = (struct brim_extent){.segment = 0};
    pthread_mutex_lock(&fake.lock);
    if (fake.append_err != BRIM_OK && fake.append_left == 0) {
        err = fake.append_err;
    } else {
        fake.append_left -= fake.append_left > 0;
        copy = malloc(len);
        memcpy(copy, bytes, len);
        *extent_out = (struct brim_extent){
            .segment = 1, .offset = fake_keep(copy, len), .length = (uint32_t)len};
    }
    pthread_mutex_unlock(&fake.lock);
    return err;
}

void brim_disk_drop(struct brim_disk *disk, struct brim_digest digest)
{
    struct fake_record *record;

    (void)disk;
    pthread_mutex_lock(&fake.lock);
    record = fake_record(digest);
    if (record != NULL)
        record->gone = true;
    pthread_mutex_unlock(&fake.lock);
}

bool brim_disk_has(struct brim_disk *disk, struct brim_digest digest)
{
    struct brim_locator locator;

    return brim_disk_locate(disk, digest, &locator) == BRIM_OK;
}

bool brim_disk_has_lost(struct brim_disk *disk, struct brim_object *object)
{
    (void)disk;
    (void)object;
    return false;
}

bool brim_disk_holds(const struct brim_disk *disk, const struct brim_body *body)
{
    (void)disk;
    return brim_segment_set_lowest(brim_body_segments(body)) >= fake.oldest_segment;
}

void brim_disk_begin_use(struct brim_disk *disk, struct brim_segments_use *use,
                         const struct brim_segment_set *kept)
{
    (void)disk;
    (void)use;
    (void)kept;
    pthread_mutex_lock(&fake.lock);
    fake.uses++;
    pthread_mutex_unlock(&fake.lock);
}

enum brim_err brim_disk_widen_use(struct brim_disk *disk, struct brim_segment_set *kept,
                                  struct brim_extent extent)
{
    enum brim_err err;

    (void)disk;
    pthread_mutex_lock(&fake.lock);
    err = brim_segment_set_add(kept, extent.segment);
    pthread_mutex_unlock(&fake.lock);
    return err;
}

void brim_disk_end_use(struct brim_disk *disk, struct brim_segments_use *use)
{
    (void)disk;
    (void)use;
    pthread_mutex_lock(&fake.lock);
    fake.uses--;
    pthread_mutex_unlock(&fake.lock);
}

void brim_disk_touch(struct brim_disk *disk, struct brim_digest digest)
{
    (void)disk;
    (void)digest;
    pthread_mutex_lock(&fake.lock);
    fake.touches++;
    pthread_mutex_unlock(&fake.lock);
}

void brim_disk_flush(struct brim_disk *disk)
{
    (void)disk;
}

#endif
