/* SPDX-License-Identifier: MIT */
/*
 * How segments end (cache/retire says what becomes of what is in them).
 *
 * A response that reads a large body has said which segments the body stands in (begin_use), and so
 * has a fill that writes one, for those who read it meanwhile (cache/spill). One of
 * them that is retired meanwhile is found by no look-up any more and its file is unlinked, but the
 * file stays open until those who were reading are through: nobody's download breaks off because
 * others have filled the disk. Its room is still taken, so a slow reader could hold the disk; so
 * where room is wanted, the dead that are read have kept_bytes of the quota (cache/disk says how
 * many), and beyond that the oldest is cut off from its readers.
 */
#include "brim/cache/segment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/segment_inside.h"

/* ---- use ---- */

void brim_segments_begin_use(struct brim_segments *segments, struct brim_segments_use *use,
                             const struct brim_segment_set *kept)
{
    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    use->kept = kept;
    pthread_mutex_lock(&segments->lock);
    use->prev = NULL;
    use->next = segments->uses;
    if (use->next != NULL)
        use->next->prev = use;
    segments->uses = use;
    pthread_mutex_unlock(&segments->lock);
}

enum brim_err brim_segments_widen_use(struct brim_segments *segments, struct brim_segment_set *kept,
                                      struct brim_extent extent)
{
    enum brim_err err;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segments->lock);
    err = brim_segment_set_add(kept, extent.segment);
    pthread_mutex_unlock(&segments->lock);
    return err;
}

void brim_segments_end_use(struct brim_segments *segments, struct brim_segments_use *use)
{
    bool may_free;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segments->lock);
    if (use->next != NULL)
        use->next->prev = use->prev;
    if (use->prev != NULL)
        use->prev->next = use->next;
    else
        segments->uses = use->next;
    may_free = segments->dead != NULL;
    pthread_mutex_unlock(&segments->lock);
    if (may_free)
        segments->config->pressure(segments->config->ctx);
}

/* Under lock. */
static bool is_used(const struct brim_segments *segs, const struct segment *seg)
{
    const struct brim_segments_use *use = segs->uses;

    while (use != NULL && !brim_segment_set_has(use->kept, seg->id))
        use = use->next;
    return use != NULL;
}

/* Under lock. A dead one, for the sake of those who read it. */
static bool is_kept(const struct brim_segments *segs, const struct segment *seg)
{
    return seg->fd >= 0 && !seg->is_cut && is_used(segs, seg);
}

/* Under lock. NULL: there is none, or it is gone already. */
static struct segment *dead_of(const struct brim_segments *segs, uint32_t id)
{
    struct segment *seg = segs->dead;

    while (seg != NULL && seg->id != id)
        seg = seg->next_dead;
    return seg;
}

struct segment *brim_segments_find_dead(const struct brim_segments *segments, uint32_t id)
{
    struct segment *seg = dead_of(segments, id);

    return seg != NULL && is_kept(segments, seg) ? seg : NULL;
}

/* ---- reaping ---- */

/* Under lock. The oldest that is kept, NULL: none; and what they take together. */
static struct segment *oldest_kept(struct brim_segments *segs, uint64_t *bytes_out)
{
    struct segment *oldest = NULL;

    *bytes_out = 0;
    for (struct segment *seg = segs->dead; seg != NULL; seg = seg->next_dead)
        if (is_kept(segs, seg)) {
            oldest = seg;
            *bytes_out += brim_segment_cost(seg->capacity);
        }
    return oldest;
}

/* Under lock. */
static void cut_off(struct brim_segments *segs)
{
    struct segment *seg;
    uint64_t bytes;

    if (brim_segments_has_room(segs))
        return;
    while ((seg = oldest_kept(segs, &bytes)) != NULL && bytes > segs->config->kept_bytes) {
        seg->is_cut = true;
        BRIM_COUNT(DISK_CUT);
        BRIM_LOG(WARN, "disk.cut",
                 "segment=%08x reason=\"responses still read it, and its room is wanted\" "
                 "do=\"a larger cache.disk, or a higher limits.response_rate\"",
                 seg->id);
    }
}

/* Under lock. Takes out of the list of the dead those that nobody needs. */
static struct segment *take_done(struct brim_segments *segs)
{
    struct segment *done = NULL;

    for (struct segment **link = &segs->dead; *link != NULL;) {
        struct segment *seg = *link;

        if (seg->pins > 0 || is_kept(segs, seg)) {
            link = &seg->next_dead;
            continue;
        }
        *link = seg->next_dead;
        seg->next_dead = done;
        done = seg;
    }
    return done;
}

void brim_segments_reap(struct brim_segments *segments)
{
    struct segment *done, *next;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segments->lock);
    cut_off(segments);
    done = take_done(segments);
    pthread_mutex_unlock(&segments->lock);
    for (struct segment *seg = done; seg != NULL; seg = next) {
        next = seg->next_dead;
        if (seg->fd >= 0)
            close(seg->fd); /* the blocks are free only now */
        pthread_mutex_lock(&segments->lock);
        if (seg->fd >= 0)
            segments->files_open--;
        brim_segments_charge(segments, -(int64_t)brim_segment_cost(seg->capacity));
        pthread_mutex_unlock(&segments->lock);
        free(seg);
    }
}

/* ---- retiring ---- */

/* Under lock. */
static bool can_retire(const struct brim_segments *segs)
{
    if (segs->count == 0)
        return false;
    if (segs->table[0]->state == RETIRING)
        return true; /* begun in an earlier life */
    if (brim_segments_has_room(segs))
        return false;
    /* Room that is on its way: do not retire one more for it. */
    for (const struct segment *seg = segs->dead; seg != NULL; seg = seg->next_dead)
        if (!is_kept(segs, seg))
            return false;
    return segs->table[0] != segs->active || segs->is_starved || segs->index_wanted > 0;
}

bool brim_segments_wants_retire(struct brim_segments *segments)
{
    bool wants;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segments->lock);
    wants = can_retire(segments);
    pthread_mutex_unlock(&segments->lock);
    return wants;
}

enum brim_err brim_segments_retire(struct brim_segments *segments, struct brim_segment_row *row_out)
{
    struct segment *seg;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    *row_out = (struct brim_segment_row){0};
    pthread_mutex_lock(&segments->lock);
    if (!can_retire(segments)) {
        pthread_mutex_unlock(&segments->lock);
        return BRIM_ENOENT;
    }
    seg = segments->table[0];
    seg->state = RETIRING;
    segments->floor = seg->id + 1;
    if (segments->active == seg)
        segments->active = NULL;
    while (seg->writers > 0)
        pthread_cond_wait(&segments->moved, &segments->lock);
    *row_out = (struct brim_segment_row){.id = seg->id,
                                         .state = BRIM_SEGMENT_RETIRING,
                                         .capacity = seg->capacity,
                                         .tail = seg->tail};
    pthread_mutex_unlock(&segments->lock);
    return BRIM_OK;
}

enum brim_err brim_segments_peek(struct brim_segments *segments, struct brim_extent at, void *bytes)
{
    struct iovec parts[2] = {{bytes, at.length}, {NULL, 0}};
    struct segment *seg = NULL;
    enum brim_err err;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    err = brim_segments_pin(segments, (struct brim_extent){.segment = at.segment},
                            BRIM_SEGMENTS_WAIT, &seg);
    if (err != BRIM_OK)
        return err;
    err = brim_segment_file_read(seg->fd, at.offset, parts, BRIM_SEGMENTS_WAIT);
    brim_segments_unpin(segments, seg);
    if (err == BRIM_EIO)
        BRIM_COUNT(DISK_ERRORS);
    return err;
}

/* Under lock, which it lets go meanwhile. Once it is unlinked it is too late to open it. */
static void open_if_used(struct brim_segments *segs, struct segment *seg)
{
    enum brim_err err = BRIM_OK;

    while (err == BRIM_OK && seg->fd < 0 && is_used(segs, seg)) {
        seg->pins++;
        pthread_mutex_unlock(&segs->lock);
        err = brim_segments_open_file(segs, seg);
        brim_segments_unpin(segs, seg);
        pthread_mutex_lock(&segs->lock);
    }
}

uint32_t brim_segments_bury(struct brim_segments *segments, uint32_t segment)
{
    struct segment *seg;
    uint32_t floor;
    size_t i = 0;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    pthread_mutex_lock(&segments->lock);
    seg = brim_segments_find(segments, segment);
    INVARIANT(seg != NULL && seg->state == RETIRING && seg->writers == 0);
    open_if_used(segments, seg);
    seg->state = DEAD;
    while (segments->table[i] != seg)
        i++;
    segments->count--;
    memmove(&segments->table[i], &segments->table[i + 1],
            (segments->count - i) * sizeof(struct segment *));
    for (struct segment **link = &segments->changed; *link != NULL; link = &(*link)->next_changed) {
        if (*link == seg) {
            *link = seg->next_changed;
            break;
        }
    }
    seg->next_dead = segments->dead;
    segments->dead = seg;
    seg->pins++; /* brim_segments_remove lets it go */
    floor = brim_segments_note_floor(segments);
    pthread_mutex_unlock(&segments->lock);
    return floor;
}

void brim_segments_remove(struct brim_segments *segments, uint32_t segment)
{
    struct segment *seg;
    int errnum;

    OBJ_CHECK(segments, SEGMENTS_MAGIC);
    errnum = brim_segment_file_remove(segments->dir_fd, segment);
    if (errnum != 0) {
        BRIM_COUNT(DISK_ERRORS);
        BRIM_LOG(ERROR, "disk.error",
                 "path=%s segment=%08x what=unlink errno=%d do=\"remove the file\"",
                 segments->config->path, segment, errnum);
    }
    pthread_mutex_lock(&segments->lock);
    seg = dead_of(segments, segment);
    INVARIANT(seg != NULL);
    pthread_mutex_unlock(&segments->lock);
    brim_segments_unpin(segments, seg);
}
