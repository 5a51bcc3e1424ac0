/* SPDX-License-Identifier: MIT */
/*
 * The disk tier put together:
 *
 *   DIR/lock                 flock by the process that has the directory; its pid as text
 *   DIR/index/               LMDB: cache/index.c, rows in cache/record.c
 *   DIR/segments/XXXXXXXX.seg  bytes: cache/segment.c, extents in cache/extent.c
 *
 *   put    -> cache/disk_write
 *   locate -> cache/index         load, read -> cache/segment
 *   (room) -> cache/retire, a thread of its own
 *
 * What is promised. After kill -9 the cache is what its last commit said: objects whose put had
 * been committed (at most 50 ms later) are there, whole. After a power cut it is a state at most a
 * second older; a record never comes back without its bytes, for those are synced before it is
 * committed. Purges are synced before their call returns. Whatever a disk does to bytes
 * afterwards is found by their checksums before anybody sees them: then the record is dropped and
 * the object fetched again.
 *
 * How the quota is shared out: slack for small files; one step by which the index may grow at any
 * time; what the index takes now; the rest is segments, at least eight. Of these, retired ones
 * that are still read may take an eighth of the quota, and more where one object can: then nobody's
 * download breaks off for its own size alone. One object's bytes may begin and end in the middle of
 * a segment, and each segment may have no room for one more piece at its end.
 */
#include "brim/cache/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/damage.h"
#include "brim/cache/disk_inside.h"
#include "brim/cache/index.h"
#include "brim/cache/indexer.h"
#include "brim/cache/retire.h"
#include "brim/cache/segment.h"
#include "brim/cache/sketch.h"

#define KIB               1024u
#define MIB               (1024u * 1024u)
#define SEGMENTS_MIN      8u
#define SEGMENT_ALIGN     4096u
#define SEGMENT_BYTES_MIN (BRIM_EXTENT_BODY_MAX + 64u * KIB) /* a piece, or a small object */
#define SEGMENT_BYTES_MAX (2048ull * MIB)
#define SLACK_BYTES       (256u * KIB) /* lock files and directories */
#define INDEX_BYTES_MIN   (256u * KIB)
#define INDEX_BYTES_FIRST (16u * MIB)
#define FILES_OPEN_MAX    512u
#define INDEX_QUEUE_MAX   16384u     /* records that wait for their commit */
#define SKETCH_COUNTERS   (2u * MIB) /* 1 MiB of memory */

struct sizes {
    uint64_t index_first;
    uint64_t index_step;
    uint32_t segment;
};

/* ---- opening ---- */

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static enum brim_err share_out(const struct brim_disk_config *config, struct sizes *sizes_out)
{
    uint64_t step = clamp(config->bytes_max / 64, INDEX_BYTES_MIN, UINT64_MAX);
    uint64_t first = clamp(config->bytes_max / 16, INDEX_BYTES_MIN, INDEX_BYTES_FIRST);
    uint64_t fixed = first + step + SLACK_BYTES;
    uint64_t segment = 0;

    if (config->bytes_max > fixed)
        segment = (config->bytes_max - fixed) / SEGMENTS_MIN;
    segment = segment > BRIM_SEGMENT_OVERHEAD ? segment - BRIM_SEGMENT_OVERHEAD : 0;
    if (segment > config->segment_bytes)
        segment = config->segment_bytes;
    segment = clamp(segment, 0, SEGMENT_BYTES_MAX) & ~(uint64_t)(SEGMENT_ALIGN - 1);
    if (segment < SEGMENT_BYTES_MIN) {
        BRIM_LOG(ERROR, "disk.config",
                 "path=%s bytes=%llu segment=%llu do=\"raise the quota or the segment size: at "
                 "least %u segments of %u bytes must fit\"",
                 config->path, (unsigned long long)config->bytes_max,
                 (unsigned long long)config->segment_bytes, SEGMENTS_MIN, SEGMENT_BYTES_MIN);
        return BRIM_EINVAL;
    }
    *sizes_out =
        (struct sizes){.index_first = first, .index_step = step, .segment = (uint32_t)segment};
    return BRIM_OK;
}

static char *join(const char *dir, const char *name)
{
    size_t len = strlen(dir) + strlen(name) + 2;
    char *path = brim_alloc(len);
    int n = snprintf(path, len, "%s/%s", dir, name);

    INVARIANT(n == (int)len - 1);
    return path;
}

static enum brim_err make_directory(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        int errnum = errno;
        BRIM_LOG(ERROR, "disk.open",
                 "path=%s errno=%d do=\"make the parent directory and let brim write there\"", path,
                 errnum);
        return errnum == ENOSPC || errnum == EDQUOT ? BRIM_ENOSPC
               : errnum == EIO                      ? BRIM_EIO
                                                    : BRIM_EINVAL;
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        BRIM_LOG(ERROR, "disk.open", "path=%s do=\"not a directory: remove it or use another\"",
                 path);
        return BRIM_EINVAL;
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        BRIM_LOG(ERROR, "disk.open",
                 "path=%s errno=%d do=\"not writable: give it to the user that runs brim\"", path,
                 errno);
        return BRIM_EINVAL;
    }
    return BRIM_OK;
}

static enum brim_err take_lock(struct brim_disk *disk)
{
    char *path = join(disk->config->path, "lock");
    char pid[24] = "";
    enum brim_err err = BRIM_OK;
    int len;

    disk->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (disk->lock_fd < 0) {
        err = errno == ENOSPC ? BRIM_ENOSPC : BRIM_EIO;
        BRIM_LOG(ERROR, "disk.open", "path=%s errno=%d do=\"check owner and device\"", path, errno);
    } else if (flock(disk->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(disk->lock_fd, pid, sizeof(pid) - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        err = BRIM_EBUSY;
        BRIM_LOG(ERROR, "disk.busy",
                 "path=%s pid=%s do=\"stop that process or use another directory\"", path, pid);
    } else {
        /* Only for that message: the lock is the flock, which dies with its process. */
        len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
        if (ftruncate(disk->lock_fd, 0) != 0 || pwrite(disk->lock_fd, pid, (size_t)len, 0) != len)
            BRIM_LOG(WARN, "disk.open", "path=%s what=\"write pid\" errno=%d", path, errno);
    }
    free(path);
    return err;
}

static void on_pressure(void *ctx)
{
    struct brim_disk *disk = ctx;
    struct brim_retirer *retirer = atomic_load_explicit(&disk->retirer, memory_order_acquire);

    if (retirer != NULL) /* else opening or closing: it looks by itself at the next start */
        brim_retirer_wake(retirer);
}

static bool may_grow(void *ctx, uint64_t bytes)
{
    struct brim_disk *disk = ctx;

    return brim_segments_may_grow(disk->segments, bytes);
}

static enum brim_err open_index(struct brim_disk *disk, const struct sizes *sizes)
{
    struct brim_index_config config = {.path = disk->index_path,
                                       .map_bytes = sizes->index_first,
                                       .growth_max = sizes->index_step,
                                       .may_grow = may_grow,
                                       .ctx = disk};
    enum brim_err err = brim_index_open(&config, &disk->index);
    uint64_t least;

    if (err == BRIM_ECORRUPT) {
        /* The segments go with it: what no index names is removed. */
        err = brim_damage_set_aside(disk->index_path);
        if (err == BRIM_OK)
            err = brim_index_open(&config, &disk->index);
    }
    if (err != BRIM_OK)
        return err;
    least = brim_index_bytes(disk->index) + sizes->index_step + SLACK_BYTES +
            2 * ((uint64_t)sizes->segment + BRIM_SEGMENT_OVERHEAD);
    if (least <= disk->config->bytes_max)
        return BRIM_OK;
    BRIM_LOG(ERROR, "disk.config",
             "path=%s index=%llu bytes=%llu do=\"the index has grown under a larger quota: raise "
             "the quota, or remove the directory, it is only a cache\"",
             disk->config->path, (unsigned long long)brim_index_bytes(disk->index),
             (unsigned long long)disk->config->bytes_max);
    return BRIM_EINVAL;
}

/* Never more than half: there must be room for what comes. */
static uint64_t kept_bytes(const struct brim_disk_config *config, uint32_t segment)
{
    uint64_t spanned = 2 + config->object_bytes_max / (segment - BRIM_EXTENT_BODY_MAX);
    uint64_t bytes = spanned * (segment + BRIM_SEGMENT_OVERHEAD);

    return clamp(bytes, config->bytes_max / 8, config->bytes_max / 2);
}

static enum brim_err open_segments(struct brim_disk *disk, const struct sizes *sizes)
{
    struct brim_segments_config config = {.path = disk->segments_path,
                                          .bytes_max = disk->config->bytes_max,
                                          .reserve_bytes = sizes->index_step + SLACK_BYTES,
                                          .slack_bytes = SLACK_BYTES,
                                          .index_bytes = brim_index_bytes(disk->index),
                                          .kept_bytes = kept_bytes(disk->config, sizes->segment),
                                          .segment_bytes = sizes->segment,
                                          .files_open_max = FILES_OPEN_MAX,
                                          .now_mono_ms = disk->config->now_mono_ms,
                                          .pressure = on_pressure,
                                          .ctx = disk};

    return brim_segments_open(&config, disk->index, &disk->segments);
}

static enum brim_err start_threads(struct brim_disk *disk)
{
    struct brim_indexer_hooks hooks = {.prepare = brim_segments_prepare,
                                       .committed = brim_segments_committed,
                                       .ctx = disk->segments};
    struct brim_retirer_config config = {
        .index = disk->index, .segments = disk->segments, .sketch = disk->sketch};
    struct brim_retirer *retirer = NULL;
    uint32_t missing;
    enum brim_err err = brim_indexer_open(disk->index, &hooks, INDEX_QUEUE_MAX, &disk->indexer);

    if (err != BRIM_OK)
        return err;
    while (brim_segments_take_missing(disk->segments, &missing) == BRIM_OK) {
        BRIM_LOG(WARN, "disk.missing", "path=%s segment=%08x", disk->segments_path, missing);
        brim_indexer_remove(disk->indexer, missing, 0);
    }
    config.indexer = disk->indexer;
    err = brim_retirer_open(&config, &retirer);
    atomic_store_explicit(&disk->retirer, retirer, memory_order_release);
    return err;
}

enum brim_err brim_disk_open(const struct brim_disk_config *config, struct brim_disk **disk_out)
{
    struct brim_disk *disk;
    struct sizes sizes;
    enum brim_err err;

    INVARIANT(config != NULL && config->path != NULL && config->pool != NULL);
    INVARIANT(disk_out != NULL);
    *disk_out = NULL;

    disk = brim_alloc(sizeof(*disk));
    disk->magic = DISK_MAGIC;
    disk->config = brim_alloc(sizeof(*disk->config));
    *disk->config = *config;
    if (disk->config->now_mono_ms == NULL)
        disk->config->now_mono_ms = brim_clock_mono_ms;
    disk->config->path = brim_strdup(config->path);
    disk->index_path = join(config->path, "index");
    disk->segments_path = join(config->path, "segments");
    disk->lock_fd = -1;
    disk->sketch = brim_sketch_new(SKETCH_COUNTERS);
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->idle, NULL);

    err = share_out(config, &sizes);
    if (err == BRIM_OK)
        err = make_directory(config->path);
    if (err == BRIM_OK)
        err = take_lock(disk);
    if (err == BRIM_OK)
        err = open_index(disk, &sizes);
    if (err == BRIM_OK)
        err = open_segments(disk, &sizes);
    if (err == BRIM_OK)
        err = start_threads(disk);
    if (err != BRIM_OK) {
        brim_disk_close(disk);
        return err;
    }
    *disk_out = disk;
    return BRIM_OK;
}

void brim_disk_release(struct brim_disk *disk)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    pthread_mutex_lock(&disk->lock);
    INVARIANT(!disk->is_released);
    disk->is_released = true;
    while (disk->writing > 0 || disk->appending > 0)
        pthread_cond_wait(&disk->idle, &disk->lock);
    pthread_mutex_unlock(&disk->lock);
    brim_retirer_end(atomic_load_explicit(&disk->retirer, memory_order_acquire));
    brim_indexer_end(disk->indexer);
    close(disk->lock_fd);
    disk->lock_fd = -1;
}

void brim_disk_close(struct brim_disk *disk)
{
    struct brim_retirer *retirer;

    if (disk == NULL)
        return;
    OBJ_CHECK(disk, DISK_MAGIC);
    if (disk->indexer != NULL && !disk->is_released)
        brim_disk_flush(disk);
    retirer = atomic_exchange(&disk->retirer, NULL);
    brim_retirer_close(retirer);
    brim_indexer_close(disk->indexer); /* commits and syncs; uses the segments */
    brim_segments_close(disk->segments);
    brim_index_close(disk->index);
    brim_sketch_free(disk->sketch);
    if (disk->lock_fd >= 0)
        close(disk->lock_fd); /* lets the directory go: last */
    pthread_mutex_destroy(&disk->lock);
    pthread_cond_destroy(&disk->idle);
    free(disk->index_path);
    free(disk->segments_path);
    free((void *)(uintptr_t)disk->config->path);
    free(disk->config);
    disk->magic = 0;
    free(disk);
}

enum brim_err brim_disk_each_epoch(struct brim_disk *disk,
                                   void (*fn)(const struct brim_purge_epoch *epoch, void *ctx),
                                   void *ctx)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    return brim_index_each_epoch(disk->index, fn, ctx);
}

enum brim_err brim_disk_put_epochs(struct brim_disk *disk, const struct brim_purge_epoch *epochs,
                                   size_t count)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    return brim_indexer_put_epochs(disk->indexer, epochs, count);
}

/* ---- reading ---- */

/* An extent never stands where another one stood: segment numbers are not used twice. */
static uint64_t record_id_of(struct brim_extent meta)
{
    return (uint64_t)meta.segment << 32 | meta.offset;
}

enum brim_err brim_disk_locate(struct brim_disk *disk, struct brim_digest digest,
                               struct brim_locator *locator_out)
{
    struct brim_record record;
    enum brim_err err;

    OBJ_CHECK(disk, DISK_MAGIC);
    *locator_out = (struct brim_locator){0};
    if (brim_indexer_pending(disk->indexer, digest) != BRIM_PENDING_NONE)
        return BRIM_ENOENT; /* what the index has is older */
    err = brim_index_find(disk->index, digest, &record);
    if (err == BRIM_OK)
        *locator_out = (struct brim_locator){
            .digest = digest, .meta = record.meta, .record_id = record_id_of(record.meta)};
    return err;
}

bool brim_disk_is_current(struct brim_disk *disk, const struct brim_locator *locator)
{
    struct brim_locator now;

    return brim_disk_locate(disk, locator->digest, &now) == BRIM_OK &&
           now.record_id == locator->record_id;
}

size_t brim_disk_walk(struct brim_disk *disk, const struct brim_digest *after,
                      struct brim_digest *digests_out, size_t max)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    return brim_index_walk(disk->index, after, digests_out, max);
}

/* What a failed read means for its object. */
static enum brim_err read_failed(struct brim_disk *disk, const struct brim_locator *locator,
                                 enum brim_err err)
{
    if (err == BRIM_EAGAIN || err == BRIM_ENOMEM)
        return err;
    /* ENOENT as well: a record without its segment is of no use to anybody. */
    brim_indexer_drop_at(disk->indexer, locator->digest, locator->meta);
    if (err == BRIM_ENOENT)
        return err;
    BRIM_COUNT(DISK_CORRUPT);
    BRIM_LOG(WARN, "disk.corrupt", "segment=%08x offset=%u length=%u reason=%s",
             locator->meta.segment, locator->meta.offset, locator->meta.length, brim_err_name(err));
    return BRIM_ECORRUPT;
}

/* Bodies of more than one extent stay on disk. */
static enum brim_err body_in_pieces(const uint8_t *list, size_t count, uint64_t body_bytes,
                                    struct brim_body **body_out)
{
    struct brim_extent *extents = calloc(count, sizeof(*extents));
    uint64_t bytes = 0;

    if (extents == NULL)
        return BRIM_ENOMEM;
    brim_extent_list_decode(list, count, extents);
    for (size_t i = 0; i < count; i++)
        bytes += extents[i].length;
    *body_out = bytes == body_bytes ? brim_body_on_disk(extents, count) : NULL;
    free(extents);
    if (bytes != body_bytes)
        return BRIM_ECORRUPT;
    return *body_out == NULL ? BRIM_ENOMEM : BRIM_OK;
}

/* Makes the object of an OBJECT extent's payload, which is verified. */
static enum brim_err decode(const struct brim_extent_head *head, const uint8_t *payload,
                            const struct brim_record *record, struct brim_object **object_out)
{
    uint64_t list = (uint64_t)head->piece_count * BRIM_EXTENT_ENTRY_BYTES;
    struct brim_body *body = NULL;
    enum brim_err err = BRIM_OK;
    uint64_t rest;

    if (list + head->meta_len > head->place.length || head->piece_count != record->piece_count)
        return BRIM_ECORRUPT;
    rest = head->place.length - list - head->meta_len;
    if (head->piece_count > 0) {
        err = rest == 0 ? body_in_pieces(payload, head->piece_count, record->body_bytes, &body)
                        : BRIM_ECORRUPT;
    } else {
        body = brim_body_from(payload + head->meta_len, rest);
        if (body == NULL)
            err = BRIM_ENOMEM;
    }
    if (err == BRIM_OK)
        err = brim_object_decode(payload + list, head->meta_len, body, object_out);
    if (body != NULL)
        brim_body_unref(body);
    if (err == BRIM_OK) { /* nobody else sees it yet */
        (*object_out)->on_disk = 1;
        (*object_out)->leans_on = record->oldest_segment;
    }
    return err;
}

enum brim_err brim_disk_load(struct brim_disk *disk, const struct brim_locator *locator,
                             enum brim_disk_wait wait, struct brim_object **object_out)
{
    enum brim_segments_wait how =
        wait == BRIM_DISK_NOWAIT ? BRIM_SEGMENTS_NOWAIT : BRIM_SEGMENTS_WAIT;
    struct brim_extent_head head;
    struct brim_record record;
    uint8_t *payload = NULL;
    enum brim_err err;

    OBJ_CHECK(disk, DISK_MAGIC);
    INVARIANT(object_out != NULL);
    *object_out = NULL;

    err = brim_index_find(disk->index, locator->digest, &record);
    if (err == BRIM_OK && record_id_of(record.meta) != locator->record_id)
        err = BRIM_ENOENT; /* replaced meanwhile */
    if (err != BRIM_OK)
        return err;
    err = brim_segments_check(disk->segments, record.meta);
    if (err == BRIM_OK) {
        payload = malloc((size_t)record.meta.length + 1);
        if (payload == NULL)
            err = BRIM_ENOMEM;
    }
    if (err == BRIM_OK)
        err = brim_segments_read(disk->segments, record.meta, how, payload, &head);
    if (err == BRIM_OK &&
        (head.type != BRIM_EXTENT_OBJECT || !brim_digest_is(head.digest, locator->digest)))
        err = BRIM_ECORRUPT;
    if (err == BRIM_OK)
        err = decode(&head, payload, &record, object_out);
    if (err == BRIM_OK && (*object_out)->body != NULL)
        brim_body_set_ledger((*object_out)->body, disk->config->ledger);
    free(payload);
    return err == BRIM_OK ? BRIM_OK : read_failed(disk, locator, err);
}

enum brim_err brim_disk_read(struct brim_disk *disk, const struct brim_extent *extent,
                             enum brim_disk_wait wait, struct brim_chunk **chunk_out)
{
    enum brim_segments_wait how =
        wait == BRIM_DISK_NOWAIT ? BRIM_SEGMENTS_NOWAIT : BRIM_SEGMENTS_WAIT;
    struct brim_extent_head head = {0};
    struct brim_chunk *chunk = NULL;
    enum brim_err err;

    OBJ_CHECK(disk, DISK_MAGIC);
    INVARIANT(chunk_out != NULL);
    *chunk_out = NULL;

    err = brim_segments_check(disk->segments, *extent);
    if (err == BRIM_OK) {
        chunk = brim_chunk_new(extent->length);
        if (chunk == NULL)
            err = BRIM_ENOMEM;
    }
    if (err == BRIM_OK)
        err = brim_segments_read(disk->segments, *extent, how, brim_chunk_data(chunk), &head);
    if (err == BRIM_OK && head.type != BRIM_EXTENT_PIECE)
        err = BRIM_ECORRUPT;
    if (err == BRIM_OK) {
        *chunk_out = chunk;
        return BRIM_OK;
    }
    if (chunk != NULL)
        brim_chunk_unref(chunk);
    if (err == BRIM_ECORRUPT || err == BRIM_EIO) {
        BRIM_COUNT(DISK_CORRUPT);
        BRIM_LOG(WARN, "disk.corrupt", "segment=%08x offset=%u length=%u reason=%s",
                 extent->segment, extent->offset, extent->length, brim_err_name(err));
        /* The header says whose piece it is, if it can still be read. */
        if (head.type == BRIM_EXTENT_PIECE)
            brim_indexer_drop(disk->indexer, head.digest);
    }
    return err;
}

/* ---- use, and waiting ---- */

bool brim_disk_holds(const struct brim_disk *disk, const struct brim_body *body)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    return brim_segments_has(disk->segments, brim_segment_set_lowest(brim_body_segments(body)));
}

void brim_disk_begin_use(struct brim_disk *disk, struct brim_segments_use *use,
                         const struct brim_segment_set *kept)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    brim_segments_begin_use(disk->segments, use, kept);
}

enum brim_err brim_disk_widen_use(struct brim_disk *disk, struct brim_segment_set *kept,
                                  struct brim_extent extent)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    return brim_segments_widen_use(disk->segments, kept, extent);
}

void brim_disk_end_use(struct brim_disk *disk, struct brim_segments_use *use)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    brim_segments_end_use(disk->segments, use);
}

void brim_disk_touch(struct brim_disk *disk, struct brim_digest digest)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    brim_sketch_touch(disk->sketch, digest);
}

void brim_disk_flush(struct brim_disk *disk)
{
    OBJ_CHECK(disk, DISK_MAGIC);
    pthread_mutex_lock(&disk->lock);
    while (disk->writing > 0)
        pthread_cond_wait(&disk->idle, &disk->lock);
    pthread_mutex_unlock(&disk->lock);
    brim_indexer_flush(disk->indexer);
}
