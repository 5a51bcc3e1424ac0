/* SPDX-License-Identifier: MIT */
/*
 * Retiring segment S, the lowest:
 *
 *   1. its row says RETIRING, committed: from here on no record that leans on S is stored, and
 *      everything that was queued before is in the index;
 *   2. walk its extent headers. A record that still leans on S leaves the index, unless it was used
 *      lately, is small and is described here: then a copy goes to the head and the record moves
 *      there, if it is still the same one when that is committed;
 *   3. flush; its row goes, synced: lookups do not see what leans on S any more, if the walk has
 *      missed any (a header that rotted away);
 *   4. the file is unlinked. Its room counts until the last reader has let it go.
 *
 * A crash in between leaves a row that says RETIRING, and the walk begins again. Where the index
 * cannot be written (a full device) the file goes all the same: it is the room that heals this.
 *
 * A header that does not check, a hole left by a crash or a failed write, is passed over in steps
 * of one alignment until there is a header again. Bytes of a body may look like one by design of
 * whoever made it: that is harmless, for only what the index says about S counts.
 */
#include "brim/cache/retire.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define RETIRER_MAGIC 0x72657431u
#define WINDOW_BYTES  (16u * 1024u) /* read at once: many headers if objects are small */
#define FLUSH_EVERY   512u          /* changes queued before the walk waits for the index */
#define KEEP_SHARE    2u            /* at most 1/KEEP_SHARE of a segment gets a second chance */
#define USES_TO_KEEP  1u
#define LOOK_AROUND_S 1

struct brim_retirer {
    uint32_t magic;
    struct brim_retirer_config config;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_woken;
    bool stop;
};

struct walk {
    struct brim_retirer *ret;
    struct brim_segment_row row;
    uint32_t window_at; /* offset of the window's first byte */
    uint32_t window_len;
    uint64_t kept_bytes;
    unsigned queued;
    unsigned kept;
    unsigned dropped;
    struct brim_digest last; /* pieces of one body often stand together: one look is enough */
    uint8_t window[WINDOW_BYTES];
};

static bool is_stopping(struct brim_retirer *ret)
{
    pthread_mutex_lock(&ret->lock);
    bool stop = ret->stop;
    pthread_mutex_unlock(&ret->lock);
    return stop;
}

/* The header's bytes at offset, or NULL where they cannot be read. */
static const uint8_t *bytes_at(struct walk *walk, uint32_t offset)
{
    if (offset < walk->window_at ||
        offset + BRIM_EXTENT_HEAD_BYTES > walk->window_at + walk->window_len) {
        struct brim_extent at = {.segment = walk->row.id, .offset = offset};
        uint32_t left = walk->row.tail - offset;

        at.length = left < WINDOW_BYTES ? left : WINDOW_BYTES;
        walk->window_at = offset;
        walk->window_len = 0;
        if (brim_segments_peek(walk->ret->config.segments, at, walk->window) != BRIM_OK)
            return NULL;
        walk->window_len = at.length;
    }
    return walk->window + (offset - walk->window_at);
}

/* Writes the object again at the head. BRIM_ENOENT: it cannot be kept. */
static enum brim_err write_again(struct walk *walk, const struct brim_extent_head *head,
                                 const struct brim_record *record)
{
    const struct brim_retirer_config *config = &walk->ret->config;
    struct brim_extent_draft draft = {.payload_len = head->place.length,
                                      .type = head->type,
                                      .digest = head->digest,
                                      .meta_len = head->meta_len};
    struct brim_extent_head check;
    struct brim_record moved = {.body_bytes = record->body_bytes};
    enum brim_err err;

    draft.bytes = malloc(BRIM_EXTENT_HEAD_BYTES + (size_t)head->place.length);
    if (draft.bytes == NULL)
        return BRIM_ENOENT;
    err = brim_segments_read(config->segments, head->place, BRIM_SEGMENTS_WAIT,
                             draft.bytes + BRIM_EXTENT_HEAD_BYTES, &check);
    if (err == BRIM_OK)
        err = brim_segments_append(config->segments, &draft, &moved.meta);
    if (err == BRIM_OK) {
        moved.oldest_segment = moved.meta.segment;
        err = brim_indexer_move(config->indexer, head->digest, head->place, &moved);
    }
    free(draft.bytes);
    if (err != BRIM_OK)
        return BRIM_ENOENT;
    walk->kept++;
    walk->kept_bytes += brim_extent_stride(head->place.length);
    return BRIM_OK;
}

static bool deserves_second_chance(const struct walk *walk, const struct brim_extent_head *head,
                                   const struct brim_record *record)
{
    if (head->type != BRIM_EXTENT_OBJECT || !brim_extent_is_at(record->meta, head->place) ||
        record->piece_count > 0)
        return false;
    if (walk->kept_bytes + brim_extent_stride(head->place.length) > walk->row.tail / KEEP_SHARE)
        return false;
    return brim_sketch_uses(walk->ret->config.sketch, head->digest) >= USES_TO_KEEP;
}

static void take_out(struct walk *walk, const struct brim_extent_head *head)
{
    const struct brim_retirer_config *config = &walk->ret->config;
    struct brim_record record;

    if (head->type == BRIM_EXTENT_PIECE && brim_digest_is(head->digest, walk->last))
        return;
    if (brim_index_find(config->index, head->digest, &record) != BRIM_OK ||
        record.oldest_segment > walk->row.id)
        return;
    walk->last = head->digest;
    if (!deserves_second_chance(walk, head, &record) ||
        write_again(walk, head, &record) != BRIM_OK) {
        brim_indexer_drop_leaning(config->indexer, head->digest, walk->row.id);
        walk->dropped++;
    }
    if (++walk->queued % FLUSH_EVERY == 0)
        brim_indexer_flush(config->indexer);
}

/* Returns whether it came to the end. */
static bool walk_segment(struct walk *walk)
{
    struct brim_extent_head head;
    uint64_t offset = 0;

    while (offset + BRIM_EXTENT_HEAD_BYTES <= walk->row.tail) {
        if (is_stopping(walk->ret))
            return false;
        const uint8_t *bytes = bytes_at(walk, (uint32_t)offset);
        if (bytes == NULL) {
            offset += WINDOW_BYTES;
        } else if (brim_extent_head_decode(bytes, &head) != BRIM_OK ||
                   head.place.segment != walk->row.id || head.place.offset != offset) {
            offset += BRIM_EXTENT_ALIGN;
        } else {
            take_out(walk, &head);
            offset += brim_extent_stride(head.place.length);
        }
    }
    return true;
}

static void retire_one(struct brim_retirer *ret)
{
    const struct brim_retirer_config *config = &ret->config;
    struct walk *walk = brim_alloc(sizeof(*walk));
    uint32_t floor;

    walk->ret = ret;
    if (brim_segments_retire(config->segments, &walk->row) != BRIM_OK)
        goto out;
    brim_indexer_retire(config->indexer, walk->row.id);
    if (!walk_segment(walk))
        goto out;
    brim_indexer_flush(config->indexer);
    floor = brim_segments_bury(config->segments, walk->row.id);
    brim_indexer_remove(config->indexer, walk->row.id, floor);
    brim_segments_remove(config->segments, walk->row.id);
    brim_segments_reap(config->segments);
    BRIM_COUNT(DISK_RETIRED);
    BRIM_LOG(DEBUG, "disk.retired", "segment=%08x dropped=%u kept=%u kept_bytes=%llu", walk->row.id,
             walk->dropped, walk->kept, (unsigned long long)walk->kept_bytes);
out:
    free(walk);
}

static void *retirer_main(void *arg)
{
    struct brim_retirer *ret = arg;
    struct timespec at;

    OBJ_CHECK(ret, RETIRER_MAGIC);
    for (;;) {
        pthread_mutex_lock(&ret->lock);
        if (!ret->is_woken && !ret->stop) {
            clock_gettime(CLOCK_MONOTONIC, &at);
            at.tv_sec += LOOK_AROUND_S;
            pthread_cond_timedwait(&ret->wake, &ret->lock, &at);
        }
        ret->is_woken = false;
        bool stop = ret->stop;
        pthread_mutex_unlock(&ret->lock);
        if (stop)
            return NULL;
        brim_segments_reap(ret->config.segments);
        brim_sketch_age(ret->config.sketch);
        while (brim_segments_wants_retire(ret->config.segments) && !is_stopping(ret))
            retire_one(ret);
    }
}

enum brim_err brim_retirer_open(const struct brim_retirer_config *config,
                                struct brim_retirer **retirer_out)
{
    struct brim_retirer *ret = brim_alloc(sizeof(*ret));
    pthread_condattr_t attr;

    *retirer_out = NULL;
    ret->magic = RETIRER_MAGIC;
    ret->config = *config;
    ret->is_woken = true; /* what an earlier life has begun */
    pthread_mutex_init(&ret->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ret->wake, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&ret->thread, NULL, retirer_main, ret);
    if (rc != 0) {
        BRIM_LOG(ERROR, "disk.error", "what=\"start retirer\" errno=%d", rc);
        pthread_mutex_destroy(&ret->lock);
        pthread_cond_destroy(&ret->wake);
        free(ret);
        return BRIM_EIO;
    }
    *retirer_out = ret;
    return BRIM_OK;
}

void brim_retirer_wake(struct brim_retirer *retirer)
{
    OBJ_CHECK(retirer, RETIRER_MAGIC);
    pthread_mutex_lock(&retirer->lock);
    retirer->is_woken = true;
    pthread_cond_signal(&retirer->wake);
    pthread_mutex_unlock(&retirer->lock);
}

void brim_retirer_end(struct brim_retirer *retirer)
{
    if (retirer == NULL)
        return;
    OBJ_CHECK(retirer, RETIRER_MAGIC);
    pthread_mutex_lock(&retirer->lock);
    INVARIANT(!retirer->stop);
    retirer->stop = true;
    pthread_cond_signal(&retirer->wake);
    pthread_mutex_unlock(&retirer->lock);
    pthread_join(retirer->thread, NULL);
}

void brim_retirer_close(struct brim_retirer *retirer)
{
    if (retirer == NULL)
        return;
    if (!is_stopping(retirer))
        brim_retirer_end(retirer);
    pthread_mutex_destroy(&retirer->lock);
    pthread_cond_destroy(&retirer->wake);
    retirer->magic = 0;
    free(retirer);
}
