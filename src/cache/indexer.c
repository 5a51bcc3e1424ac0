/* SPDX-License-Identifier: MIT */
/*
 * Callers append to one list; the writer takes up to BATCH_CHANGES of it, or what came within
 * BATCH_MS, and commits that as one transaction.
 *
 * Bytes before index: when a batch has records, hooks.prepare() makes durable what they name and
 * says which segment rows belong to it; so a record never survives a power cut without its bytes.
 * The index itself is synced once a second, and before anybody is told that an epoch is kept or a
 * segment's row is gone.
 *
 * Where a batch fails its changes are tried one by one, and those that fail again are dropped and
 * counted: a record that is not stored is only a miss. It is tried again with the next batch, so
 * the index recovers by itself when there is space. Where a record that replaces another is lost,
 * the other goes too, or a lookup would go back to it.
 *
 * Puts and drops are in force before they are committed: while they are under way they stand in a
 * table by digest, the latest first, and who looks asks there before the index. A place of the
 * table that is empty, as nearly all are, is seen to be so without the lock.
 */
#include "brim/cache/indexer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define INDEXER_MAGIC 0x69647772u
#define BATCH_CHANGES 1024u
#define BATCH_MS      50u
#define SYNC_MS       1000u
#define DROPS_ROOM    4u /* drops may queue up to this many times queue_max: they free room */
#define PLACES        16384u
#define FAILURES_MAX  16u /* in a row, then the other records of a batch are given up */

/* A caller that sleeps until its change is committed. Lives on its stack. */
struct brim_waiter {
    bool done;
    enum brim_err err;
};

struct brim_indexer {
    uint32_t magic;
    struct brim_index *index;
    struct brim_indexer_hooks hooks;
    size_t queue_max;
    pthread_t thread;
    uint64_t synced_ms;                              /* writer */
    bool unsynced;                                   /* writer */
    bool degraded;                                   /* writer: the last batch lost something */
    _Atomic(struct brim_change *) under_way[PLACES]; /* written under lock */

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t work;
    pthread_cond_t done;
    struct brim_change *head;
    struct brim_change **tail;
    size_t waiting;
    uint64_t oldest_ms; /* when the first of those that wait came */
    uint64_t queued;    /* changes so far */
    uint64_t finished;
    unsigned hurry; /* callers that wait for a commit */
    bool stop;
};

struct batch {
    struct brim_change *list;
    struct brim_segment_row *rows;
    size_t row_count;
    bool wants_sync;
};

static bool is_record(const struct brim_change *change)
{
    return change->kind == BRIM_CHANGE_PUT || change->kind == BRIM_CHANGE_MOVE ||
           change->kind == BRIM_CHANGE_TAILS;
}

/* ---- what is under way; under lock ---- */

static _Atomic(struct brim_change *) *place_of(struct brim_indexer *ixr, struct brim_digest digest)
{
    return &ixr->under_way[digest.lo % PLACES];
}

static void list(struct brim_indexer *ixr, struct brim_change *change)
{
    _Atomic(struct brim_change *) *place = place_of(ixr, change->digest);

    if (change->pending == BRIM_PENDING_NONE)
        return;
    change->earlier = atomic_load(place);
    atomic_store(place, change);
}

static void unlist(struct brim_indexer *ixr, struct brim_change *change)
{
    _Atomic(struct brim_change *) *place = place_of(ixr, change->digest);
    struct brim_change *later = atomic_load(place);

    if (change->pending == BRIM_PENDING_NONE)
        return;
    if (later == change) {
        atomic_store(place, change->earlier);
        return;
    }
    while (later->earlier != change)
        later = later->earlier;
    later->earlier = change->earlier;
}

/* ---- the writer ---- */

/* Records whose bytes cannot be made durable are not committed. */
static void prepare(struct brim_indexer *ixr, struct batch *batch)
{
    bool has_records = false;

    for (const struct brim_change *c = batch->list; c != NULL; c = c->next) {
        has_records = has_records || is_record(c);
        batch->wants_sync =
            batch->wants_sync || c->kind == BRIM_CHANGE_EPOCH || c->kind == BRIM_CHANGE_REMOVE;
    }
    if (!has_records || ixr->hooks.prepare == NULL)
        return;
    if (ixr->hooks.prepare(ixr->hooks.ctx, &batch->rows, &batch->row_count) == BRIM_OK)
        return;
    INVARIANT(batch->rows == NULL && batch->row_count == 0);
    for (struct brim_change *c = batch->list; c != NULL; c = c->next) {
        if (!is_record(c))
            continue;
        c->kind = c->kind == BRIM_CHANGE_PUT ? BRIM_CHANGE_DROP : BRIM_CHANGE_NONE;
        BRIM_COUNT(DISK_REFUSED);
    }
}

static enum brim_err commit(struct brim_indexer *ixr, const struct batch *batch,
                            const struct brim_change *first, const struct brim_change *end)
{
    struct brim_index_batch part = {
        .first = first, .end = end, .rows = batch->rows, .row_count = batch->row_count};
    enum brim_err err = brim_index_commit(ixr->index, &part);

    if (err == BRIM_OK && batch->row_count > 0 && ixr->hooks.committed != NULL)
        ixr->hooks.committed(ixr->hooks.ctx, batch->rows, batch->row_count);
    return err;
}

/* What the records that were lost would have replaced goes, by one commit for all of them. If that
 * fails too, the index is beyond it. */
static void drop_replaced(struct brim_indexer *ixr, const struct batch *batch,
                          const enum brim_err *errs)
{
    size_t i = 0;

    for (struct brim_change *c = batch->list; c != NULL; c = c->next, i++) {
        bool is_lost = c->kind == BRIM_CHANGE_PUT && errs[i] != BRIM_OK;

        c->kind = is_lost ? BRIM_CHANGE_DROP : BRIM_CHANGE_NONE; /* the rest is done with */
    }
    (void)commit(ixr, batch, batch->list, NULL);
}

/* Saves what can be saved of a batch that failed as a whole. */
static unsigned commit_one_by_one(struct brim_indexer *ixr, const struct batch *batch,
                                  enum brim_err *errs)
{
    unsigned lost = 0, in_a_row = 0;
    size_t i = 0;

    for (const struct brim_change *c = batch->list; c != NULL; c = c->next, i++) {
        /* Only records are given up untried: everything else makes room, or somebody waits. */
        if (is_record(c) && in_a_row >= FAILURES_MAX)
            errs[i] = BRIM_EIO;
        else
            errs[i] = commit(ixr, batch, c, c->next);
        in_a_row = errs[i] == BRIM_OK ? 0 : in_a_row + 1;
        if (errs[i] == BRIM_OK)
            continue;
        lost++;
        if (is_record(c))
            BRIM_COUNT(DISK_REFUSED);
    }
    if (lost > 0)
        drop_replaced(ixr, batch, errs);
    return lost;
}

static void finish(struct brim_indexer *ixr, struct batch *batch, const enum brim_err *errs)
{
    struct brim_change *next;
    size_t i = 0;

    pthread_mutex_lock(&ixr->lock);
    for (struct brim_change *c = batch->list; c != NULL; c = next, i++) {
        next = c->next;
        unlist(ixr, c);
        if (c->waiter != NULL)
            *c->waiter = (struct brim_waiter){.done = true, .err = errs[i]};
        free(c);
    }
    ixr->finished += i;
    pthread_cond_broadcast(&ixr->done);
    pthread_mutex_unlock(&ixr->lock);
    free(batch->rows);
}

static enum brim_err sync_now(struct brim_indexer *ixr)
{
    enum brim_err err = brim_index_sync(ixr->index);

    ixr->unsynced = false;
    ixr->synced_ms = brim_clock_mono_ms();
    return err;
}

static void note_health(struct brim_indexer *ixr, unsigned lost)
{
    if (lost > 0 && !ixr->degraded)
        BRIM_LOG(WARN, "disk.index_degraded",
                 "lost=%u what=\"changes that could not be committed\"", lost);
    if (lost == 0 && ixr->degraded)
        BRIM_LOG(INFO, "disk.index_recovered", "lost=0");
    ixr->degraded = lost > 0;
}

static void write_batch(struct brim_indexer *ixr, struct batch *batch)
{
    enum brim_err errs[BATCH_CHANGES] = {BRIM_OK};
    unsigned lost = 0;

    prepare(ixr, batch);
    if (commit(ixr, batch, batch->list, NULL) != BRIM_OK)
        lost = commit_one_by_one(ixr, batch, errs);
    note_health(ixr, lost);
    ixr->unsynced = true;
    if (batch->wants_sync) {
        enum brim_err err = sync_now(ixr);
        for (size_t i = 0; err != BRIM_OK && i < BATCH_CHANGES; i++)
            errs[i] = err;
    }
    finish(ixr, batch, errs);
}

static bool is_ready(const struct brim_indexer *ixr, uint64_t now_ms)
{
    if (ixr->stop || ixr->waiting >= BATCH_CHANGES)
        return true;
    if (ixr->waiting > 0 && (ixr->hurry > 0 || now_ms >= ixr->oldest_ms + BATCH_MS))
        return true;
    return ixr->unsynced && now_ms >= ixr->synced_ms + SYNC_MS;
}

static void sleep_for_work(struct brim_indexer *ixr)
{
    uint64_t until = UINT64_MAX;
    struct timespec at;

    if (ixr->waiting > 0)
        until = ixr->oldest_ms + BATCH_MS;
    if (ixr->unsynced && ixr->synced_ms + SYNC_MS < until)
        until = ixr->synced_ms + SYNC_MS;
    if (until == UINT64_MAX) {
        pthread_cond_wait(&ixr->work, &ixr->lock);
        return;
    }
    at = (struct timespec){.tv_sec = (time_t)(until / 1000),
                           .tv_nsec = (long)(until % 1000) * 1000000};
    pthread_cond_timedwait(&ixr->work, &ixr->lock, &at);
}

/* Waits until there is something to do; takes what fits a batch. Returns false at the end. */
static bool next_batch(struct brim_indexer *ixr, struct batch *batch_out)
{
    struct brim_change **end = &batch_out->list;
    bool more;

    *batch_out = (struct batch){0};
    pthread_mutex_lock(&ixr->lock);
    while (!is_ready(ixr, brim_clock_mono_ms()))
        sleep_for_work(ixr);
    more = !ixr->stop || ixr->head != NULL;
    for (unsigned n = 0; n < BATCH_CHANGES && ixr->head != NULL; n++) {
        *end = ixr->head;
        ixr->head = ixr->head->next;
        end = &(*end)->next;
        ixr->waiting--;
    }
    *end = NULL;
    if (ixr->head == NULL)
        ixr->tail = &ixr->head;
    ixr->oldest_ms = brim_clock_mono_ms(); /* of the rest: near enough */
    pthread_mutex_unlock(&ixr->lock);
    return more;
}

static void *writer_main(void *arg)
{
    struct brim_indexer *ixr = arg;
    struct batch batch;

    OBJ_CHECK(ixr, INDEXER_MAGIC);
    brim_index_settle(ixr->index);
    while (next_batch(ixr, &batch)) {
        if (batch.list != NULL)
            write_batch(ixr, &batch);
        if (ixr->unsynced && brim_clock_mono_ms() >= ixr->synced_ms + SYNC_MS)
            (void)sync_now(ixr); /* logged; tried again after the next commit */
    }
    (void)sync_now(ixr);
    return NULL;
}

/* ---- callers ---- */

enum brim_err brim_indexer_open(struct brim_index *index, const struct brim_indexer_hooks *hooks,
                                unsigned queue_max, struct brim_indexer **indexer_out)
{
    struct brim_indexer *ixr;
    pthread_condattr_t attr;

    INVARIANT(index != NULL && queue_max > 0);
    INVARIANT(indexer_out != NULL);
    *indexer_out = NULL;

    ixr = brim_alloc(sizeof(*ixr));
    ixr->magic = INDEXER_MAGIC;
    ixr->index = index;
    ixr->queue_max = queue_max;
    ixr->tail = &ixr->head;
    ixr->synced_ms = brim_clock_mono_ms();
    if (hooks != NULL)
        ixr->hooks = *hooks;
    pthread_mutex_init(&ixr->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ixr->work, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&ixr->done, NULL);

    int rc = pthread_create(&ixr->thread, NULL, writer_main, ixr);
    if (rc != 0) {
        BRIM_LOG(ERROR, "disk.index", "what=\"start writer\" errno=%d", rc);
        pthread_mutex_destroy(&ixr->lock);
        pthread_cond_destroy(&ixr->work);
        pthread_cond_destroy(&ixr->done);
        free(ixr);
        return BRIM_EIO;
    }
    *indexer_out = ixr;
    return BRIM_OK;
}

/* Under lock, which it lets go. */
static void stop_writer(struct brim_indexer *ixr)
{
    ixr->stop = true;
    pthread_cond_signal(&ixr->work);
    pthread_mutex_unlock(&ixr->lock);
    pthread_join(ixr->thread, NULL);
}

void brim_indexer_close(struct brim_indexer *indexer)
{
    if (indexer == NULL)
        return;
    OBJ_CHECK(indexer, INDEXER_MAGIC);
    pthread_mutex_lock(&indexer->lock);
    if (indexer->stop)
        pthread_mutex_unlock(&indexer->lock); /* ended before */
    else
        stop_writer(indexer);
    INVARIANT(indexer->head == NULL);
    pthread_mutex_destroy(&indexer->lock);
    pthread_cond_destroy(&indexer->work);
    pthread_cond_destroy(&indexer->done);
    indexer->magic = 0;
    free(indexer);
}

/* Under lock. Takes change. */
static void append(struct brim_indexer *ixr, struct brim_change *change)
{
    INVARIANT(!ixr->stop);
    if (ixr->waiting == 0)
        ixr->oldest_ms = brim_clock_mono_ms();
    *ixr->tail = change;
    ixr->tail = &change->next;
    ixr->waiting++;
    ixr->queued++;
    /* The first starts the clock of a batch, the last one fills it. */
    if (ixr->waiting == 1 || ixr->waiting == BATCH_CHANGES || ixr->hurry > 0)
        pthread_cond_signal(&ixr->work);
}

void brim_indexer_end(struct brim_indexer *indexer)
{
    struct brim_change *tails = brim_alloc(sizeof(*tails));

    OBJ_CHECK(indexer, INDEXER_MAGIC);
    tails->kind = BRIM_CHANGE_TAILS;
    pthread_mutex_lock(&indexer->lock);
    append(indexer, tails);
    stop_writer(indexer);
}

static enum brim_err queue(struct brim_indexer *ixr, const struct brim_change *change,
                           size_t waiting_max)
{
    struct brim_change *copy;
    enum brim_err err = BRIM_OK;

    OBJ_CHECK(ixr, INDEXER_MAGIC);
    copy = malloc(sizeof(*copy));
    if (copy == NULL)
        return BRIM_ENOMEM;
    *copy = *change;
    copy->next = NULL;
    pthread_mutex_lock(&ixr->lock);
    if (ixr->stop)
        err = BRIM_ECLOSED;
    else if (ixr->waiting >= waiting_max)
        err = BRIM_ELIMIT;
    if (err == BRIM_OK) {
        append(ixr, copy);
        list(ixr, copy);
    }
    pthread_mutex_unlock(&ixr->lock);
    if (err != BRIM_OK)
        free(copy);
    return err;
}

static enum brim_err queue_and_wait(struct brim_indexer *ixr, const struct brim_change *change)
{
    struct brim_waiter waiter = {.done = false};
    struct brim_change *copy = brim_alloc(sizeof(*copy));

    OBJ_CHECK(ixr, INDEXER_MAGIC);
    *copy = *change;
    copy->next = NULL;
    copy->waiter = &waiter;
    pthread_mutex_lock(&ixr->lock);
    if (ixr->stop) {
        pthread_mutex_unlock(&ixr->lock);
        free(copy);
        return BRIM_ECLOSED;
    }
    ixr->hurry++;
    append(ixr, copy);
    while (!waiter.done)
        pthread_cond_wait(&ixr->done, &ixr->lock);
    ixr->hurry--;
    pthread_mutex_unlock(&ixr->lock);
    return waiter.err;
}

enum brim_err brim_indexer_put(struct brim_indexer *indexer, struct brim_digest digest,
                               const struct brim_record *record)
{
    struct brim_change change = {
        .kind = BRIM_CHANGE_PUT, .digest = digest, .record = *record, .pending = BRIM_PENDING_PUT};

    return queue(indexer, &change, indexer->queue_max);
}

enum brim_err brim_indexer_move(struct brim_indexer *indexer, struct brim_digest digest,
                                struct brim_extent from, const struct brim_record *record)
{
    return queue(indexer,
                 &(struct brim_change){
                     .kind = BRIM_CHANGE_MOVE, .digest = digest, .from = from, .record = *record},
                 indexer->queue_max);
}

/* A record that stays is found to be of no use again, and dropped again. */
static void note_drop(enum brim_err err)
{
    if (err != BRIM_OK && err != BRIM_ECLOSED)
        BRIM_COUNT(DISK_ERRORS);
}

static void queue_drop(struct brim_indexer *ixr, const struct brim_change *change)
{
    note_drop(queue(ixr, change, ixr->queue_max * DROPS_ROOM));
}

void brim_indexer_drop(struct brim_indexer *indexer, struct brim_digest digest)
{
    queue_drop(indexer, &(struct brim_change){.kind = BRIM_CHANGE_DROP,
                                              .digest = digest,
                                              .pending = BRIM_PENDING_DROP});
}

enum brim_pending brim_indexer_pending(struct brim_indexer *indexer, struct brim_digest digest)
{
    enum brim_pending pending = BRIM_PENDING_NONE;
    const struct brim_change *change;

    OBJ_CHECK(indexer, INDEXER_MAGIC);
    if (atomic_load(place_of(indexer, digest)) == NULL)
        return BRIM_PENDING_NONE;
    pthread_mutex_lock(&indexer->lock);
    change = atomic_load(place_of(indexer, digest));
    while (change != NULL && !brim_digest_is(change->digest, digest))
        change = change->earlier;
    if (change != NULL)
        pending = change->pending;
    pthread_mutex_unlock(&indexer->lock);
    return pending;
}

void brim_indexer_drop_at(struct brim_indexer *indexer, struct brim_digest digest,
                          struct brim_extent from)
{
    queue_drop(indexer,
               &(struct brim_change){.kind = BRIM_CHANGE_DROP_AT, .digest = digest, .from = from});
}

void brim_indexer_drop_leaning(struct brim_indexer *indexer, struct brim_digest digest,
                               uint32_t segment)
{
    queue_drop(indexer, &(struct brim_change){.kind = BRIM_CHANGE_DROP_LEANING,
                                              .digest = digest,
                                              .segment = segment});
}

void brim_indexer_retire(struct brim_indexer *indexer, uint32_t segment)
{
    (void)queue_and_wait(indexer,
                         &(struct brim_change){.kind = BRIM_CHANGE_RETIRE, .segment = segment});
}

void brim_indexer_remove(struct brim_indexer *indexer, uint32_t segment, uint32_t floor)
{
    (void)queue_and_wait(
        indexer,
        &(struct brim_change){.kind = BRIM_CHANGE_REMOVE, .segment = segment, .floor = floor});
}

/* Queues all of them at once, so that they share a commit and a sync. */
enum brim_err brim_indexer_put_epochs(struct brim_indexer *indexer,
                                      const struct brim_purge_epoch *epochs, size_t count)
{
    struct brim_waiter *waiters = calloc(count + 1, sizeof(*waiters));
    enum brim_err err = BRIM_OK;

    OBJ_CHECK(indexer, INDEXER_MAGIC);
    if (waiters == NULL)
        return BRIM_ENOMEM;
    pthread_mutex_lock(&indexer->lock);
    if (indexer->stop) {
        count = 0;
        err = BRIM_ECLOSED;
    }
    indexer->hurry++;
    for (size_t i = 0; i < count; i++) {
        struct brim_change *change = brim_alloc(sizeof(*change));

        *change = (struct brim_change){
            .kind = BRIM_CHANGE_EPOCH, .epoch = epochs[i], .waiter = &waiters[i]};
        append(indexer, change);
    }
    for (size_t i = 0; i < count; i++) {
        while (!waiters[i].done)
            pthread_cond_wait(&indexer->done, &indexer->lock);
        err = err == BRIM_OK ? waiters[i].err : err;
    }
    indexer->hurry--;
    pthread_mutex_unlock(&indexer->lock);
    free(waiters);
    return err;
}

void brim_indexer_flush(struct brim_indexer *indexer)
{
    OBJ_CHECK(indexer, INDEXER_MAGIC);
    pthread_mutex_lock(&indexer->lock);
    uint64_t target = indexer->queued;
    indexer->hurry++;
    pthread_cond_signal(&indexer->work);
    while (indexer->finished < target)
        pthread_cond_wait(&indexer->done, &indexer->lock);
    indexer->hurry--;
    pthread_mutex_unlock(&indexer->lock);
}
