/* SPDX-License-Identifier: MIT */
/*
 *            kick                    nothing to take, no kick since
 *     IDLE ---------> RUNNING (job) ------------------------------> IDLE
 *                       |  ^
 *                       +--+ piece: spill_take, disk_append, spill_done
 *
 * `again` closes the gap between "nothing to take" and going idle: whoever kicks a running job sets
 * it, and the job goes idle under the same lock only where it is not set. A job writes a few pieces
 * and then queues itself again, so that one fast fill does not keep a pool thread to itself.
 *
 * A slow fill may be overtaken by the disk: others have filled it, and the segments with its first
 * pieces are retired. They stay readable, as for any body that is read (cache/segment_retire.c),
 * until the body is settled and those who began before that are through.
 */
#include "brim/cache/spill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/cache/segment.h"

#define SPILL_MAGIC 0x73706c31u

enum { PIECES_PER_TURN = 4 };

/* The body's, which may outlive the spill. */
struct hold {
    struct brim_disk *disk;
    struct brim_segments_use use;
    struct brim_segment_set segments; /* what use keeps */
};

struct brim_spill {
    struct brim_job job; /* first: the pool hands this back */
    uint32_t magic;
    _Atomic unsigned refs; /* writer and running job */
    _Atomic bool failed;   /* or abandoned: nothing more is written */
    struct brim_spill_config config;
    struct hold *hold; /* while the body is not settled */
    size_t unkicked;   /* writer's: bytes appended since the last kick */

    pthread_mutex_t lock;
    bool running;
    bool again;
    struct brim_object *object; /* counted; set by end, like the next: told when all is written */
    struct brim_spill_end end;
};

/* Nobody writes any more. */
static void tell_end(struct brim_spill *spill)
{
    bool is_whole = !atomic_load(&spill->failed);

    INVARIANT(!is_whole || brim_body_is_settled(spill->config.body));
    spill->config.ended(spill->object, is_whole, spill->config.ctx);
    if (spill->end.fn != NULL)
        spill->end.fn(spill->end.ctx);
}

static void spill_unref(struct brim_spill *spill)
{
    OBJ_CHECK(spill, SPILL_MAGIC);
    if (atomic_fetch_sub_explicit(&spill->refs, 1, memory_order_acq_rel) != 1)
        return;
    INVARIANT(!spill->running);
    if (spill->object != NULL)
        tell_end(spill);
    brim_object_unref(spill->object);
    brim_body_unref(spill->config.body);
    pthread_mutex_destroy(&spill->lock);
    spill->magic = 0;
    free(spill);
}

/* Also where the object has been given already: it is not published then. */
static void give_up(struct brim_spill *spill)
{
    atomic_store(&spill->failed, true);
    brim_body_spill_abandon(spill->config.body);
}

static enum brim_err write_piece(struct brim_spill *spill, size_t min)
{
    const struct brim_spill_config *config = &spill->config;
    struct brim_chunk *chunk;
    struct brim_extent extent;
    size_t len;
    enum brim_err err = brim_body_spill_take(config->body, min, BRIM_EXTENT_BODY_MAX, &chunk, &len);

    if (err != BRIM_OK)
        return err;
    err = brim_disk_append(config->disk, config->digest, brim_chunk_data(chunk), len, &extent);
    brim_chunk_unref(chunk);
    if (err == BRIM_OK) {
        err = brim_disk_widen_use(config->disk, &spill->hold->segments, extent);
        if (err == BRIM_OK)
            err = brim_body_spill_done(config->body, &extent);
    }
    return err == BRIM_ENOENT ? BRIM_EIO : err; /* ENOENT is said by take only */
}

/* Goes idle unless there was a kick. */
static bool go_idle(struct brim_spill *spill)
{
    bool idle;

    pthread_mutex_lock(&spill->lock);
    idle = !spill->again || atomic_load(&spill->failed);
    if (idle)
        spill->running = false;
    spill->again = false;
    pthread_mutex_unlock(&spill->lock);
    return idle;
}

static bool is_ending(struct brim_spill *spill)
{
    bool ending;

    pthread_mutex_lock(&spill->lock);
    ending = spill->object != NULL;
    pthread_mutex_unlock(&spill->lock);
    return ending;
}

static void spill_run(struct brim_job *job)
{
    struct brim_spill *spill = (struct brim_spill *)job;
    unsigned pieces = 0;

    OBJ_CHECK(spill, SPILL_MAGIC);
    for (;;) {
        size_t min = is_ending(spill) ? 1 : spill->config.piece_bytes_min;
        enum brim_err err = BRIM_ENOENT;

        if (!atomic_load(&spill->failed))
            err = write_piece(spill, min);
        if (err == BRIM_ENOENT) {
            if (go_idle(spill))
                break;
        } else if (err != BRIM_OK) {
            give_up(spill);
        } else if (++pieces >= PIECES_PER_TURN) {
            pieces = 0;
            if (brim_pool_submit(spill->config.pool, BRIM_JOB_WRITE, &spill->job) == BRIM_OK)
                return; /* with the job's count */
        }
    }
    spill_unref(spill);
}

static void end_hold(void *ctx)
{
    struct hold *hold = ctx;

    brim_disk_end_use(hold->disk, &hold->use);
    brim_segment_set_fini(&hold->segments);
    free(hold);
}

static struct hold *begin_hold(const struct brim_spill_config *config)
{
    struct hold *hold = brim_alloc(sizeof(*hold));

    hold->disk = config->disk;
    brim_disk_begin_use(hold->disk, &hold->use, &hold->segments);
    brim_body_set_hold(config->body, &(struct brim_body_hold){end_hold, hold});
    return hold;
}

struct brim_spill *brim_spill_new(const struct brim_spill_config *config)
{
    struct brim_spill *spill = brim_alloc(sizeof(*spill));

    INVARIANT(brim_body_mode(config->body) == BRIM_BODY_SPILL);
    INVARIANT(config->piece_bytes_min > 0);
    *spill = (struct brim_spill){
        .job = {.run = spill_run}, .magic = SPILL_MAGIC, .refs = 1, .config = *config};
    spill->unkicked = (size_t)brim_body_bytes(config->body);
    pthread_mutex_init(&spill->lock, NULL);
    brim_body_ref(config->body);
    spill->hold = begin_hold(config);
    return spill;
}

/* Has the job run, or run once more. */
static void start(struct brim_spill *spill)
{
    bool submit;

    pthread_mutex_lock(&spill->lock);
    submit = !spill->running;
    spill->running = true;
    spill->again = true;
    pthread_mutex_unlock(&spill->lock);
    if (!submit)
        return;
    atomic_fetch_add(&spill->refs, 1);
    if (brim_pool_submit(spill->config.pool, BRIM_JOB_WRITE, &spill->job) == BRIM_OK)
        return;
    /* So many writes wait that the disk cannot keep up: serve, and do not store. */
    BRIM_COUNT(DISK_REFUSED);
    pthread_mutex_lock(&spill->lock);
    spill->running = false;
    pthread_mutex_unlock(&spill->lock);
    give_up(spill);
    spill_unref(spill); /* the job's, and never the last: who starts a job has one */
}

void brim_spill_kick(struct brim_spill *spill, size_t bytes)
{
    OBJ_CHECK(spill, SPILL_MAGIC);
    spill->unkicked += bytes;
    if (spill->unkicked < spill->config.piece_bytes_min || brim_spill_has_failed(spill))
        return;
    spill->unkicked = 0;
    start(spill);
}

bool brim_spill_has_failed(const struct brim_spill *spill)
{
    return atomic_load(&spill->failed);
}

void brim_spill_end(struct brim_spill *spill, struct brim_object *object, struct brim_spill_end end)
{
    OBJ_CHECK(spill, SPILL_MAGIC);
    INVARIANT(brim_body_state(spill->config.body) == BRIM_BODY_COMPLETE);
    pthread_mutex_lock(&spill->lock);
    spill->object = brim_object_ref(object);
    spill->end = end;
    spill->again = true; /* with the object, or a job could go idle in between and publish a part */
    pthread_mutex_unlock(&spill->lock);
    if (!brim_spill_has_failed(spill))
        start(spill);
    spill_unref(spill); /* NOLINT(clang-analyzer-unix.Malloc): knows no atomic counts */
}

void brim_spill_abandon(struct brim_spill *spill)
{
    OBJ_CHECK(spill, SPILL_MAGIC);
    give_up(spill);
    spill_unref(spill);
}
