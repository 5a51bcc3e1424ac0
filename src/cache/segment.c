/* SPDX-License-Identifier: MIT */
/*
 * Files DIR/segments/XXXXXXXX.seg, named by their number in hexadecimal.
 *
 *            reserve           file full            retire              bury + remove
 *   (made) ---------> active -----------> sealed ----------> retiring -----------------> dead
 *     row LIVE with the next commit         LIVE              RETIRING   row gone, unlinked,
 *                                                                        counted until not read
 *
 * A writer reserves its run of bytes under the lock and writes it without, so several write side
 * by side and a crash may leave holes. They are harmless: what no record names does not exist, and
 * a segment's row is committed together with the records, its tail behind all of them. After a
 * crash the last segment goes on at that tail.
 *
 * The account. Before a file is made its whole size is charged, then all its blocks are allocated,
 * so a full device shows here and not in the middle of a body. When a new segment leaves no room
 * for the next, pressure() has the oldest one retired: writers then have a whole segment's time
 * until they meet the quota, and if they meet it they are refused.
 * Files are opened when they are first read; at most files_open_max stay open.
 */
#include "brim/cache/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/segment_inside.h"

uint64_t brim_segment_cost(uint32_t capacity)
{
    return (uint64_t)capacity + BRIM_SEGMENT_OVERHEAD;
}

struct segment *brim_segments_find(const struct brim_segments *segs, uint32_t id)
{
    size_t low = 0, high = segs->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (segs->table[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < segs->count && segs->table[low]->id == id ? segs->table[low] : NULL;
}

bool brim_segments_has_room(const struct brim_segments *segs)
{
    uint64_t index =
        segs->index_bytes > segs->index_wanted ? segs->index_bytes : segs->index_wanted;

    return segs->charged + brim_segment_cost(segs->config->segment_bytes) + index +
               segs->config->reserve_bytes <=
           segs->config->bytes_max;
}

void brim_segments_charge(struct brim_segments *segs, int64_t bytes)
{
    segs->charged = (uint64_t)((int64_t)segs->charged + bytes);
    BRIM_ADD(DISK_BYTES, bytes);
}

/* Under lock. id is higher than all in the table. */
static struct segment *add(struct brim_segments *segs, const struct brim_segment_row *row, int fd)
{
    struct segment *seg = brim_alloc(sizeof(*seg));

    INVARIANT(segs->count == 0 || segs->table[segs->count - 1]->id < row->id);
    *seg = (struct segment){.id = row->id,
                            .state = row->state == BRIM_SEGMENT_RETIRING ? RETIRING : LIVE,
                            .capacity = row->capacity,
                            .tail = row->tail,
                            .tail_committed = row->tail,
                            .fd = fd};
    if (segs->count == segs->capacity) {
        size_t capacity = segs->capacity == 0 ? 16 : segs->capacity * 2;
        struct segment **table = reallocarray(segs->table, capacity, sizeof(struct segment *));
        INVARIANT(table != NULL); /* eight bytes a segment */
        segs->table = table;
        segs->capacity = capacity;
    }
    segs->table[segs->count++] = seg;
    if (fd >= 0)
        segs->files_open++;
    return seg;
}

uint32_t brim_segments_note_floor(struct brim_segments *segs)
{
    segs->floor = segs->count > 0 ? segs->table[0]->id : segs->next_id;
    return segs->floor;
}

uint32_t brim_segments_lowest(const struct brim_segments *segments)
{
    return atomic_load_explicit(&segments->floor, memory_order_relaxed);
}

bool brim_segments_has(const struct brim_segments *segments, uint32_t segment)
{
    return segment >= brim_segments_lowest(segments);
}

/* ---- appending ---- */

/* Under lock, which it lets go meanwhile. Makes the next segment the active one. */
static enum brim_err make_segment(struct brim_segments *segs)
{
    struct brim_segment_row row = {
        .id = segs->next_id, .state = BRIM_SEGMENT_LIVE, .capacity = segs->config->segment_bytes};
    int fd, errnum;
    bool wants_more;

    INVARIANT(!segs->is_making);
    segs->is_making = true;
    brim_segments_charge(segs, (int64_t)brim_segment_cost(row.capacity));
    pthread_mutex_unlock(&segs->lock);
    errnum = brim_segment_file_make(segs->dir_fd, row.id, row.capacity, &fd);
    enum brim_err err =
        errnum == 0 ? BRIM_OK : brim_health_failed(&segs->health, "allocate", errnum);
    pthread_mutex_lock(&segs->lock);
    segs->is_making = false;
    segs->next_id++; /* not before: meanwhile it is the lowest, if all others are retired */
    if (err == BRIM_OK) {
        segs->active = add(segs, &row, fd);
        segs->is_starved = false;
    } else {
        brim_segments_charge(segs, -(int64_t)brim_segment_cost(row.capacity));
    }
    wants_more = !brim_segments_has_room(segs);
    pthread_cond_broadcast(&segs->moved);
    if (wants_more) {
        pthread_mutex_unlock(&segs->lock);
        segs->config->pressure(segs->config->ctx);
        pthread_mutex_lock(&segs->lock);
    }
    return err;
}

/* Under lock. */
static void mark_changed(struct brim_segments *segs, struct segment *seg)
{
    if (seg->is_changed)
        return;
    seg->is_changed = true;
    seg->next_changed = segs->changed;
    segs->changed = seg;
}

static enum brim_err refuse_starved(struct brim_segments *segs)
{
    segs->is_starved = true;
    pthread_mutex_unlock(&segs->lock);
    segs->config->pressure(segs->config->ctx);
    pthread_mutex_lock(&segs->lock);
    return BRIM_ENOSPC;
}

/* Takes stride bytes at the head of the log; the segment has one more writer. */
static enum brim_err reserve(struct brim_segments *segs, uint64_t stride, struct segment **seg_out,
                             struct brim_extent *extent_out)
{
    enum brim_err err = BRIM_OK;

    pthread_mutex_lock(&segs->lock);
    if (stride > segs->config->segment_bytes || !brim_health_may_write(&segs->health))
        err = BRIM_ENOSPC;
    while (err == BRIM_OK &&
           (segs->active == NULL || segs->active->capacity - segs->active->tail < stride)) {
        if (segs->is_making)
            pthread_cond_wait(&segs->moved, &segs->lock);
        else if (!brim_segments_has_room(segs))
            err = refuse_starved(segs);
        else
            err = make_segment(segs);
    }
    if (err == BRIM_OK) {
        struct segment *seg = segs->active;
        extent_out->segment = seg->id;
        extent_out->offset = seg->tail;
        seg->tail += (uint32_t)stride;
        seg->writers++;
        mark_changed(segs, seg);
        INVARIANT(seg->state == LIVE && seg->fd >= 0);
        *seg_out = seg;
    }
    pthread_mutex_unlock(&segs->lock);
    return err;
}

static void settle(struct brim_segments *segs, struct segment *seg)
{
    pthread_mutex_lock(&segs->lock);
    INVARIANT(seg->writers > 0);
    seg->writers--;
    seg->is_dirty = true;
    if (seg->writers == 0)
        pthread_cond_broadcast(&segs->moved);
    pthread_mutex_unlock(&segs->lock);
}

enum brim_err brim_segments_append(struct brim_segments *segments,
                                   const struct brim_extent_draft *draft,
                                   struct brim_extent *extent_out)
{
    struct brim_extent_head head;
    struct segment *seg = NULL;
    enum brim_err err;
    int errnum;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    INVARIANT(draft->payload_len <= UINT32_MAX);
    *extent_out = (struct brim_extent){0};

    head = (struct brim_extent_head){.type = draft->type,
                                     .digest = draft->digest,
                                     .place = {.length = (uint32_t)draft->payload_len},
                                     .meta_len = draft->meta_len,
                                     .piece_count = draft->piece_count};
    head.payload_hash = brim_hash64(draft->bytes + BRIM_EXTENT_HEAD_BYTES, draft->payload_len);
    err = reserve(segments, brim_extent_stride(draft->payload_len), &seg, &head.place);
    if (err != BRIM_OK)
        return err;
    brim_extent_head_encode(&head, draft->bytes);
    errnum = brim_segment_file_write(
        seg->fd, draft->bytes, BRIM_EXTENT_HEAD_BYTES + draft->payload_len, head.place.offset);
    settle(segments, seg);
    if (errnum != 0)
        return brim_health_failed(&segments->health, "write", errnum);
    brim_health_succeeded(&segments->health);
    *extent_out = head.place;
    return BRIM_OK;
}

/* ---- reading ---- */

/* Under lock. Picks an open file that nobody uses; returns its fd, or -1. */
static int take_idle_file(struct brim_segments *segs)
{
    for (size_t i = 0; i < segs->count; i++) {
        struct segment *seg = segs->table[segs->hand++ % segs->count];
        if (seg->fd >= 0 && seg->pins == 0 && seg->writers == 0 && !seg->is_dirty &&
            seg != segs->active) {
            int fd = seg->fd;
            seg->fd = -1;
            segs->files_open--;
            return fd;
        }
    }
    return -1;
}

enum brim_err brim_segments_open_file(struct brim_segments *segs, struct segment *seg)
{
    int fd, surplus = -1;
    int errnum = brim_segment_file_open(segs->dir_fd, seg->id, &fd);

    if (errnum != 0) {
        BRIM_COUNT(DISK_ERRORS);
        BRIM_LOG(WARN, "disk.error", "path=%s segment=%08x what=open errno=%d", segs->config->path,
                 seg->id, errnum);
        return errnum == ENOENT ? BRIM_ENOENT : BRIM_EIO;
    }
    pthread_mutex_lock(&segs->lock);
    if (seg->fd >= 0) {
        surplus = fd; /* another reader was faster */
    } else {
        seg->fd = fd;
        if (++segs->files_open > segs->config->files_open_max)
            surplus = take_idle_file(segs);
    }
    pthread_mutex_unlock(&segs->lock);
    if (surplus >= 0)
        close(surplus);
    return BRIM_OK;
}

void brim_segments_unpin(struct brim_segments *segs, struct segment *seg)
{
    bool is_last;

    pthread_mutex_lock(&segs->lock);
    INVARIANT(seg->pins > 0);
    seg->pins--;
    is_last = seg->pins == 0 && seg->state == DEAD;
    pthread_mutex_unlock(&segs->lock);
    if (is_last) /* closing frees the blocks, which may take long: not here */
        segs->config->pressure(segs->config->ctx);
}

/* Under lock. */
static enum brim_err look_up(struct brim_segments *segs, struct brim_extent at,
                             struct segment **seg_out)
{
    *seg_out = brim_segments_find(segs, at.segment);
    if (*seg_out == NULL)
        *seg_out = brim_segments_find_dead(segs, at.segment);
    if (*seg_out == NULL)
        return BRIM_ENOENT;
    if ((uint64_t)at.offset + BRIM_EXTENT_HEAD_BYTES + at.length > (*seg_out)->capacity)
        return BRIM_ECORRUPT;
    return BRIM_OK;
}

enum brim_err brim_segments_check(struct brim_segments *segments, struct brim_extent at)
{
    struct segment *seg;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segments->lock);
    enum brim_err err = look_up(segments, at, &seg);
    pthread_mutex_unlock(&segments->lock);
    return err;
}

enum brim_err brim_segments_pin(struct brim_segments *segs, struct brim_extent at,
                                enum brim_segments_wait wait, struct segment **seg_out)
{
    struct segment *seg;
    enum brim_err err;

    pthread_mutex_lock(&segs->lock);
    err = look_up(segs, at, &seg);
    if (err == BRIM_OK && seg->fd < 0 && wait == BRIM_SEGMENTS_NOWAIT)
        err = BRIM_EAGAIN;
    if (err == BRIM_OK)
        seg->pins++;
    bool is_open = err == BRIM_OK && seg->fd >= 0;
    pthread_mutex_unlock(&segs->lock);
    if (err == BRIM_OK && !is_open) {
        err = brim_segments_open_file(segs, seg);
        if (err != BRIM_OK)
            brim_segments_unpin(segs, seg);
    }
    *seg_out = err == BRIM_OK ? seg : NULL;
    return err;
}

enum brim_err brim_segments_read(struct brim_segments *segments, struct brim_extent at,
                                 enum brim_segments_wait wait, void *payload,
                                 struct brim_extent_head *head_out)
{
    uint8_t head[BRIM_EXTENT_HEAD_BYTES];
    struct iovec parts[2] = {{head, sizeof(head)}, {payload, at.length}};
    struct segment *seg = NULL;
    enum brim_err err;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    INVARIANT(payload != NULL && head_out != NULL);
    *head_out = (struct brim_extent_head){0};

    err = brim_segments_pin(segments, at, wait, &seg);
    if (err != BRIM_OK)
        return err;
    err = brim_segment_file_read(seg->fd, at.offset, parts, wait);
    if (err == BRIM_EIO) {
        BRIM_COUNT(DISK_ERRORS);
        BRIM_LOG(ERROR, "disk.error",
                 "path=%s segment=%08x what=read errno=%d do=\"check the device\"",
                 segments->config->path, at.segment, errno);
    }
    brim_segments_unpin(segments, seg);
    if (err == BRIM_OK)
        err = brim_extent_head_decode(head, head_out);
    if (err == BRIM_OK &&
        (!brim_extent_is_at(head_out->place, at) || head_out->place.length != at.length)) {
        *head_out = (struct brim_extent_head){0}; /* somebody else's */
        err = BRIM_ECORRUPT;
    }
    if (err == BRIM_OK && head_out->payload_hash != brim_hash64(payload, at.length))
        err = BRIM_ECORRUPT;
    return err;
}

unsigned brim_segments_count(struct brim_segments *segments)
{
    unsigned count;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segments->lock);
    count = (unsigned)segments->count;
    for (const struct segment *seg = segments->dead; seg != NULL; seg = seg->next_dead)
        count++;
    pthread_mutex_unlock(&segments->lock);
    return count;
}

/* ---- for the index ---- */

struct snapshot {
    struct brim_segment_row *rows;
    struct segment **dirty; /* pinned */
    size_t row_count;
    size_t dirty_count;
};

static enum brim_err take_snapshot(struct brim_segments *segs, struct snapshot *shot)
{
    size_t count = 0;
    enum brim_err err = BRIM_OK;

    pthread_mutex_lock(&segs->lock);
    for (const struct segment *seg = segs->changed; seg != NULL; seg = seg->next_changed)
        count++;
    shot->rows = calloc(count + 1, sizeof(*shot->rows));
    shot->dirty = calloc(count + 1, sizeof(struct segment *));
    if (shot->rows == NULL || shot->dirty == NULL) {
        err = BRIM_ENOMEM;
        count = 0;
    }
    for (struct segment *seg = segs->changed; count > 0 && seg != NULL; seg = seg->next_changed) {
        shot->rows[shot->row_count++] = (struct brim_segment_row){.id = seg->id,
                                                                  .state = (uint32_t)seg->state,
                                                                  .capacity = seg->capacity,
                                                                  .tail = seg->tail};
        if (!seg->is_dirty)
            continue;
        seg->is_dirty = false;
        seg->pins++;
        shot->dirty[shot->dirty_count++] = seg;
    }
    pthread_mutex_unlock(&segs->lock);
    return err;
}

/* One of a snapshot. What fails is tried again with the next. */
static enum brim_err sync_segment(struct brim_segments *segs, struct segment *seg)
{
    enum brim_err err = BRIM_OK;

    if (fdatasync(seg->fd) != 0) {
        err = brim_health_failed(&segs->health, "fdatasync", errno);
        pthread_mutex_lock(&segs->lock);
        seg->is_dirty = true;
        pthread_mutex_unlock(&segs->lock);
    }
    brim_segments_unpin(segs, seg);
    return err;
}

enum brim_err brim_segments_prepare(void *segments, struct brim_segment_row **rows_out,
                                    size_t *count_out)
{
    struct brim_segments *segs = segments;
    struct snapshot shot = {0};
    enum brim_err err;

    OBJ_CHECK(segs, SEGMENTS_MAGIC);
    *rows_out = NULL;
    *count_out = 0;
    err = take_snapshot(segs, &shot);
    for (size_t i = 0; i < shot.dirty_count; i++) {
        enum brim_err one = sync_segment(segs, shot.dirty[i]);

        err = err == BRIM_OK ? one : err;
    }
    free(shot.dirty);
    if (err != BRIM_OK) {
        free(shot.rows);
        return err;
    }
    *rows_out = shot.rows;
    *count_out = shot.row_count;
    return BRIM_OK;
}

void brim_segments_committed(void *segments, const struct brim_segment_row *rows, size_t count)
{
    struct brim_segments *segs = segments;
    struct segment **link = &segs->changed;

    OBJ_CHECK(segs, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segs->lock);
    for (size_t i = 0; i < count; i++) {
        struct segment *seg = brim_segments_find(segs, rows[i].id);
        if (seg != NULL)
            seg->tail_committed = rows[i].tail;
    }
    while (*link != NULL) {
        struct segment *seg = *link;
        if (seg->tail_committed == seg->tail && !seg->is_dirty && seg->writers == 0) {
            seg->is_changed = false;
            *link = seg->next_changed;
        } else {
            link = &seg->next_changed;
        }
    }
    pthread_mutex_unlock(&segs->lock);
}

bool brim_segments_may_grow(void *segments, uint64_t bytes)
{
    struct brim_segments *segs = segments;
    bool may;

    OBJ_CHECK(segs, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segs->lock);
    may = segs->charged + bytes + segs->config->slack_bytes <= segs->config->bytes_max;
    if (may)
        segs->index_bytes = bytes;
    segs->index_wanted = may ? 0 : bytes;
    bool wants_more = !brim_segments_has_room(segs);
    pthread_mutex_unlock(&segs->lock);
    if (wants_more)
        segs->config->pressure(segs->config->ctx);
    return may;
}

/* ---- life ---- */

/* The last segment goes on at its tail, if its file is what its row says, and that is a place where
 * an extent may stand. */
static void resume_last(struct brim_segments *segs)
{
    struct segment *last = segs->count > 0 ? segs->table[segs->count - 1] : NULL;
    struct stat st;

    if (last == NULL || last->state != LIVE || last->tail % BRIM_EXTENT_ALIGN != 0 ||
        brim_segments_open_file(segs, last) != BRIM_OK)
        return;
    if (fstat(last->fd, &st) == 0 && st.st_size == (off_t)last->capacity)
        segs->active = last;
}

static enum brim_err take_over(struct brim_segments *segs, struct brim_index *index)
{
    enum brim_err err = brim_census_take(index, segs->dir_fd, segs->config->path, &segs->census);

    if (err != BRIM_OK)
        return err;
    for (size_t i = 0; i < segs->census.count; i++) {
        add(segs, &segs->census.rows[i], -1);
        brim_segments_charge(segs, (int64_t)brim_segment_cost(segs->census.rows[i].capacity));
    }
    segs->next_id = brim_index_next_segment(index);
    if (segs->count > 0 && segs->table[segs->count - 1]->id >= segs->next_id)
        segs->next_id = segs->table[segs->count - 1]->id + 1;
    (void)brim_segments_note_floor(segs);
    resume_last(segs);
    return BRIM_OK;
}

enum brim_err brim_segments_open(const struct brim_segments_config *config,
                                 struct brim_index *index, struct brim_segments **segments_out)
{
    struct brim_segments *segs;
    enum brim_err err = BRIM_OK;

    INVARIANT(config != NULL && config->pressure != NULL && config->now_mono_ms != NULL);
    INVARIANT(config->segment_bytes % 4096 == 0 && config->files_open_max > 0);
    *segments_out = NULL;

    segs = brim_alloc(sizeof(*segs));
    segs->magic = SEGMENTS_MAGIC;
    segs->config = brim_alloc(sizeof(*segs->config));
    *segs->config = *config;
    segs->config->path = brim_strdup(config->path);
    segs->index_bytes = config->index_bytes;
    segs->health.path = segs->config->path;
    segs->health.now_mono_ms = config->now_mono_ms;
    pthread_mutex_init(&segs->lock, NULL);
    pthread_cond_init(&segs->moved, NULL);
    segs->dir_fd = -1;
    if (mkdir(config->path, 0700) == 0 || errno == EEXIST)
        segs->dir_fd = open(config->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (segs->dir_fd < 0) {
        err = errno == ENOSPC ? BRIM_ENOSPC : BRIM_EIO;
        BRIM_LOG(ERROR, "disk.error", "path=%s what=open errno=%d", config->path, errno);
    }
    if (err == BRIM_OK)
        err = take_over(segs, index);
    if (err != BRIM_OK) {
        brim_segments_close(segs);
        return err;
    }
    *segments_out = segs;
    return BRIM_OK;
}

void brim_segments_close(struct brim_segments *segments)
{
    if (segments == NULL)
        return;
    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    segments->uses = NULL; /* of connections that would not end, if any: no loop runs any more */
    brim_segments_reap(segments);
    INVARIANT(segments->dead == NULL);
    for (size_t i = 0; i < segments->count; i++) {
        struct segment *seg = segments->table[i];
        INVARIANT(seg->pins == 0 && seg->writers == 0);
        if (seg->fd >= 0)
            close(seg->fd);
        free(seg);
    }
    brim_segments_charge(segments, -(int64_t)segments->charged);
    free(segments->table);
    brim_census_fini(&segments->census);
    if (segments->dir_fd >= 0)
        close(segments->dir_fd);
    pthread_mutex_destroy(&segments->lock);
    pthread_cond_destroy(&segments->moved);
    free((void *)(uintptr_t)segments->config->path);
    free(segments->config);
    segments->magic = 0;
    free(segments);
}

enum brim_err brim_segments_take_missing(struct brim_segments *segments, uint32_t *segment_out)
{
    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    *segment_out = 0;
    if (segments->census.missing_count == 0)
        return BRIM_ENOENT;
    *segment_out = segments->census.missing[--segments->census.missing_count];
    return BRIM_OK;
}
