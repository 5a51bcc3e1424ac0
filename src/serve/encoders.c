/* SPDX-License-Identifier: MIT */
/*
 * A job reads the body through the same reader as a client does, pushes it through the coder into a
 * fill, and publishes that. Levels fall with size: the best that a codec has costs seconds a MiB,
 * which is well spent once for a script that goes out a million times, and is lost on a dump.
 *
 *     bytes up to      br   zstd   gzip
 *        2 MiB         11     19      9
 *        4 MiB          9     12      9
 *        more           6      9      6
 *
 * Jobs that wait or run stand in a small table, so that a crowd that asks for one coding makes one
 * job. A coding that saves less than a twentieth is not kept; a note under its key says so for a
 * day, so that it is not tried again and again. Where clients hold so much memory that there is
 * none for it now, the note is for a minute.
 */
#include "brim/serve/encoders.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/pool.h"
#include "brim/encode/coder.h"
#include "brim/serve/transcode.h"

#define ENCODERS_MAGIC 0x656e6331u
#define JOBS_MAX       4096u /* power of two; more than may wait and run */
#define PIECE_BYTES    (64u * 1024u)
#define NICE           10
#define NOTE_MS        (24LL * 3600 * 1000)
#define CROWDED_MS     (60LL * 1000)
#define KEPT_PERCENT   95u /* of the body: a coding that is larger is not worth a second copy */
#define MIB            (1024u * 1024u)
#define CODED_FACTOR   4u /* text that an origin coded is about so much larger */

struct brim_encoders {
    uint32_t magic;
    struct brim_encoders_config config;
    struct brim_pool *pool; /* own threads */
    _Atomic bool is_closing;
    pthread_mutex_t lock; /* of the table */
    struct brim_digest jobs[JOBS_MAX];
    unsigned job_count;
};

struct job {
    struct brim_job job; /* first */
    struct brim_encoders *encoders;
    struct brim_object *object; /* counted */
    enum brim_coding coding;
    struct brim_key key; /* text below */
    char text[];
};

/* ---- the table of jobs: a list, since it is short and walked once for each new job ---- */

static bool add_job(struct brim_encoders *e, struct brim_digest digest)
{
    bool is_new;

    pthread_mutex_lock(&e->lock);
    is_new = e->job_count < JOBS_MAX;
    for (unsigned i = 0; i < e->job_count && is_new; i++)
        is_new = !brim_digest_is(e->jobs[i], digest);
    if (is_new)
        e->jobs[e->job_count++] = digest;
    pthread_mutex_unlock(&e->lock);
    return is_new;
}

static void remove_job(struct brim_encoders *e, struct brim_digest digest)
{
    unsigned i = 0;

    pthread_mutex_lock(&e->lock);
    while (!brim_digest_is(e->jobs[i], digest))
        i++;
    e->jobs[i] = e->jobs[--e->job_count];
    pthread_mutex_unlock(&e->lock);
}

static void end_job(struct job *job)
{
    remove_job(job->encoders, job->key.digest);
    brim_object_unref(job->object);
    free(job);
}

/* ---- waiting for a body that is on disk ---- */

struct waiter {
    struct brim_port port; /* first */
    sem_t news;
};

static void on_news(struct brim_port *port)
{
    (void)sem_post(&((struct waiter *)port)->news);
}

static void on_last_count(struct brim_port *port)
{
    struct waiter *waiter = (struct waiter *)port;

    (void)sem_destroy(&waiter->news);
    free(waiter);
}

static struct waiter *waiter_new(void)
{
    struct waiter *waiter = brim_alloc(sizeof(*waiter));

    brim_port_init(&waiter->port, on_news, on_last_count);
    (void)sem_init(&waiter->news, 0, 0);
    return waiter;
}

static void wait_for_news(struct waiter *waiter)
{
    while (sem_wait(&waiter->news) != 0)
        ;
    brim_port_begin(&waiter->port);
    brim_port_unref(&waiter->port); /* the notification's count; ours is left */
}

/* ---- one job ---- */

static int level_for(enum brim_coding coding, uint64_t bytes)
{
    static const int levels[BRIM_CODINGS][3] = {
        [BRIM_CODING_BR] = {11, 9, 6},
        [BRIM_CODING_ZSTD] = {19, 12, 9},
        [BRIM_CODING_GZIP] = {9, 9, 6},
    };

    return levels[coding][bytes <= 2 * MIB ? 0 : bytes <= 4 * MIB ? 1 : 2];
}

/* Where a job's output goes. */
struct sink {
    struct brim_fill *fill;
    uint64_t made;
    uint64_t made_max; /* beyond it the coding is of no use */
};

static enum brim_err push(struct brim_coder *coder, struct brim_str in, enum brim_coder_flush flush,
                          struct sink *sink)
{
    char out[PIECE_BYTES];
    struct brim_coder_step step = {.in = in, .flush = flush, .out = out, .room = sizeof(out)};
    enum brim_err err;

    do {
        err = brim_coder_run(coder, &step);
        sink->made += step.made;
        if (err == BRIM_OK && sink->made > sink->made_max)
            err = BRIM_ELIMIT;
        if (err == BRIM_OK && step.made > 0)
            err = brim_fill_append(sink->fill, out, step.made);
        /* There is no RAM for it as things are, and nobody here waits for the disk. */
        if (err == BRIM_EAGAIN)
            err = BRIM_ENOSPC;
    } while (err == BRIM_OK && !step.is_done && (step.in.len > 0 || step.made == sizeof(out)));
    return err;
}

/* A body as it comes out of the reader, or out of the decoder if the origin coded it. */
struct source {
    struct brim_reader reader;
    struct brim_transcode *decoder;
};

static enum brim_reader_got read_source(struct source *source, struct brim_str *pieces,
                                        size_t *count)
{
    if (source->decoder == NULL)
        return brim_reader_next(&source->reader, PIECE_BYTES, pieces, count);
    *count = 1;
    return brim_transcode_next(source->decoder, &source->reader, pieces);
}

static enum brim_err open_source(struct job *job, struct brim_port *port, struct source *source)
{
    const struct brim_load_from from = brim_cache_from(job->encoders->config.cache, port);
    struct brim_coder_config config = {.coding = brim_coding_of(job->object->fields),
                                       .way = BRIM_CODER_DECODE,
                                       .bytes_max = job->encoders->config.bytes_max};
    enum brim_err err = BRIM_OK;

    *source = (struct source){.decoder = NULL};
    if (config.coding != BRIM_CODING_IDENTITY)
        err = brim_transcode_open(&config, &source->decoder);
    if (err == BRIM_OK)
        err = brim_reader_init(&source->reader, job->object->body, 0, BRIM_BODY_LENGTH_UNKNOWN,
                               &from);
    return err;
}

static enum brim_err push_body(struct job *job, struct source *source, struct waiter *waiter,
                               struct brim_coder *coder, struct sink *sink)
{
    struct brim_str pieces[BRIM_READER_IOV_MAX];
    enum brim_err err = BRIM_OK;
    size_t count;

    while (err == BRIM_OK && !atomic_load(&job->encoders->is_closing)) {
        switch (read_source(source, pieces, &count)) {
        case BRIM_READER_WAIT:
            wait_for_news(waiter);
            break;
        case BRIM_READER_FAILED:
            return source->decoder != NULL ? BRIM_ELIMIT : BRIM_EIO; /* not again and again */
        case BRIM_READER_END:
            return push(coder, brim_str(NULL, 0), BRIM_CODER_END, sink);
        case BRIM_READER_DATA:
            for (size_t i = 0; i < count && err == BRIM_OK; i++)
                err = push(coder, pieces[i], BRIM_CODER_MORE, sink);
            break;
        }
    }
    return err == BRIM_OK ? BRIM_ECLOSED : err;
}

/* What a body of this many bytes comes to, where its origin coded it. */
static uint64_t decoded_guess(const struct brim_object *object)
{
    uint64_t bytes = brim_body_length(object->body);

    return brim_coding_of(object->fields) == BRIM_CODING_IDENTITY ? bytes : bytes * CODED_FACTOR;
}

static enum brim_err encode(struct job *job, struct sink *sink)
{
    uint64_t bytes = decoded_guess(job->object);
    struct brim_coder_config config = {
        .coding = job->coding, .way = BRIM_CODER_ENCODE, .level = level_for(job->coding, bytes)};
    struct waiter *waiter = waiter_new();
    struct brim_coder *coder = NULL;
    struct source source;
    enum brim_err err = open_source(job, &waiter->port, &source);

    if (source.decoder == NULL)
        config.size_hint = bytes;
    if (err == BRIM_OK)
        err = brim_coder_open(&config, &coder);
    if (err == BRIM_OK)
        err = push_body(job, &source, waiter, coder, sink);
    brim_coder_close(coder);
    brim_transcode_close(source.decoder);
    brim_reader_fini(&source.reader);
    brim_port_unref(&waiter->port);
    return err;
}

static enum brim_err begin_fill(struct job *job, struct brim_fill **fill_out)
{
    struct brim_field field = {BRIM_STR("content-encoding"), brim_coding_name(job->coding)};
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = 200,
        .primary = job->key,
        .key = job->key,
        .seq = job->object->seq,
        .fresh = job->object->fresh,
        .fields = {&field, 1},
    };

    return brim_cache_begin_fill(job->encoders->config.cache, &spec, (struct brim_fields){NULL, 0},
                                 BRIM_BODY_LENGTH_UNKNOWN, NULL, fill_out);
}

static void count_made(enum brim_coding coding, uint64_t saved, uint64_t took_us)
{
    static const enum brim_metric jobs[BRIM_CODINGS] = {
        [BRIM_CODING_BR] = BRIM_METRIC_ENCODED_BR,
        [BRIM_CODING_ZSTD] = BRIM_METRIC_ENCODED_ZSTD,
        [BRIM_CODING_GZIP] = BRIM_METRIC_ENCODED_GZIP};
    static const enum brim_metric bytes[BRIM_CODINGS] = {
        [BRIM_CODING_BR] = BRIM_METRIC_SAVED_BR,
        [BRIM_CODING_ZSTD] = BRIM_METRIC_SAVED_ZSTD,
        [BRIM_CODING_GZIP] = BRIM_METRIC_SAVED_GZIP};

    brim_metric_add(jobs[coding], 1);
    brim_metric_add(bytes[coding], (int64_t)saved);
    BRIM_ADD(ENCODE_US, (int64_t)took_us);
}

/* It is not to be tried for ttl_ms. */
static void put_note(struct job *job, int64_t ttl_ms)
{
    brim_cache_put_pass(job->encoders->config.cache,
                        &(struct brim_pass_note){.primary = job->key,
                                                 .key = job->key,
                                                 .ttl_ms = ttl_ms,
                                                 .now_wall_ms = brim_clock_wall_ms()});
}

/* Nothing came of it. */
static void give_up(struct job *job, enum brim_err why)
{
    struct brim_str coding = brim_coding_name(job->coding);

    if (why == BRIM_ELIMIT) {
        BRIM_COUNT(ENCODE_USELESS);
        put_note(job, NOTE_MS);
    } else if (why == BRIM_ENOSPC) {
        BRIM_COUNT(ENCODE_SHED);
        put_note(job, CROWDED_MS);
    } else if (why != BRIM_ECLOSED) {
        BRIM_LOG(WARN, "encode.failed", "coding=%.*s reason=%s", (int)coding.len, coding.base,
                 brim_err_name(why));
    }
}

static void run(struct job *job)
{
    uint64_t began_us = brim_clock_mono_us(), bytes = brim_body_length(job->object->body);
    struct sink sink = {.made_max = bytes * KEPT_PERCENT / 100};
    enum brim_err err = begin_fill(job, &sink.fill);

    if (err != BRIM_OK)
        return;
    err = encode(job, &sink);
    if (err == BRIM_OK) {
        brim_fill_finish(sink.fill);
        count_made(job->coding, bytes - sink.made, brim_clock_mono_us() - began_us);
        return;
    }
    brim_fill_abort(sink.fill, err);
    give_up(job, err);
}

static void run_job(struct brim_job *pool_job)
{
    static _Thread_local bool is_nice;
    struct job *job = (struct job *)pool_job;

    OBJ_CHECK(job->encoders, ENCODERS_MAGIC);
    if (!is_nice) /* on Linux the priority is the thread's own */
        (void)setpriority(PRIO_PROCESS, 0, NICE);
    is_nice = true;
    BRIM_ADD(ENCODE_WAITING, -1);
    if (!atomic_load(&job->encoders->is_closing))
        run(job);
    end_job(job);
}

/* ---- interface ---- */

enum brim_err brim_encoders_open(const struct brim_encoders_config *config,
                                 struct brim_encoders **encoders_out)
{
    struct brim_encoders *e = brim_alloc(sizeof(*e));
    struct brim_pool_limits limits = {.threads = config->threads, .queue_max = config->queue_max};
    enum brim_err err = BRIM_OK;

    *encoders_out = NULL;
    e->magic = ENCODERS_MAGIC;
    e->config = *config;
    pthread_mutex_init(&e->lock, NULL);
    if (config->threads > 0)
        err = brim_pool_open(&limits, &e->pool);
    if (err != BRIM_OK) {
        brim_encoders_close(e);
        return err;
    }
    *encoders_out = e;
    return BRIM_OK;
}

void brim_encoders_close(struct brim_encoders *e)
{
    if (e == NULL)
        return;
    OBJ_CHECK(e, ENCODERS_MAGIC);
    atomic_store(&e->is_closing, true);
    if (e->pool != NULL)
        brim_pool_close(e->pool);
    INVARIANT(e->job_count == 0);
    pthread_mutex_destroy(&e->lock);
    e->magic = 0;
    free(e);
}

struct brim_pool *brim_encoders_pool(struct brim_encoders *e)
{
    OBJ_CHECK(e, ENCODERS_MAGIC);
    return e->pool;
}

bool brim_encoders_might(const struct brim_encoders *e, const struct brim_object *object)
{
    uint64_t bytes;

    if (e->pool == NULL || !object->is_codable || object->status != 200)
        return false;
    bytes = brim_body_length(object->body);
    return bytes == BRIM_BODY_LENGTH_UNKNOWN ||
           (bytes >= e->config.bytes_min && bytes <= e->config.bytes_max);
}

bool brim_encoders_would(const struct brim_encoders *e, const struct brim_object *object)
{
    return brim_encoders_might(e, object) && brim_body_state(object->body) == BRIM_BODY_COMPLETE &&
           brim_body_mode(object->body) != BRIM_BODY_WINDOW;
}

void brim_encoders_want(struct brim_encoders *e, struct brim_object *object,
                        enum brim_coding coding)
{
    struct job *job;

    OBJ_CHECK(e, ENCODERS_MAGIC);
    if (e->pool == NULL)
        return;
    job = brim_alloc(sizeof(*job) + object->key.text.len + BRIM_REPRESENT_TEXT_ROOM);
    *job = (struct job){.job.run = run_job, .encoders = e, .coding = coding};
    job->key = brim_represent_key(object, coding, job->text);
    if (!add_job(e, job->key.digest)) {
        free(job);
        return;
    }
    job->object = brim_object_ref(object);
    BRIM_ADD(ENCODE_WAITING, 1);
    if (brim_pool_submit(e->pool, BRIM_JOB_ENCODE, &job->job) == BRIM_OK)
        return;
    BRIM_ADD(ENCODE_WAITING, -1);
    BRIM_COUNT(ENCODE_SHED);
    end_job(job);
}
