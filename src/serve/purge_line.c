/* SPDX-License-Identifier: MIT */
/*
 * Two queues with threads of their own:
 *
 *   asked   a client waits (PURGE): one try, and it is told how it went
 *   posted  nobody waits (a handler's): one after the other, so that those above get them in the
 *           order in which they were made; tried again every RETRY_MS, for KEEP_MS from then on
 *
 * A posted purge that cannot be passed on holds up those behind it, as those above would most
 * likely refuse them too; each of them has one try left when its own time is over. The queue is in
 * RAM alone: what a crash takes has been made here, by its handler, but not above.
 */
#include "brim/serve/purge_line.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/pool.h"

#define LINE_MAGIC      0x706c696eu
#define WAIT_MAGIC      0x70776169u
#define ASKED_THREADS   2u
#define QUEUE_MAX       256u
#define POSTED_BYTES    8388608u /* of text that waits */
#define RETRY_MS        1000u
#define KEEP_MS         60000u
#define NAMED_BYTES_MAX 80u /* of a text that is logged */

struct brim_purge_line {
    uint32_t magic;
    struct brim_purge_up *up;
    struct brim_cache *cache;
    struct brim_pool *asked;
    struct brim_pool *posted;
    _Atomic size_t posted_bytes;
    pthread_mutex_t lock; /* of is_closing */
    pthread_cond_t closing;
    bool is_closing;
    bool has_failed; /* while closing; the posted queue's thread alone */
};

/* What both queues have. */
struct order {
    struct brim_job job; /* first */
    struct brim_purge_line *line;
    char *body; /* of the call */
    size_t body_bytes;
    enum brim_purge_kind kind;
    uint64_t until_ms; /* posted */
    size_t scope_count;
    uint64_t *scopes;
};

struct brim_purge_wait {
    struct order order; /* first */
    uint32_t magic;
    _Atomic unsigned refs; /* the job's and the asker's */
    _Atomic int state;
    struct brim_port *port; /* counted */
    char wrong[BRIM_PURGE_UP_WRONG_BYTES];
};

/* ---- orders ---- */

static bool add_name(json_t *body, const struct brim_script_purge_name *name)
{
    const char *member = brim_purge_noun_words(name->noun).list;
    json_t *list = json_object_get(body, member);

    if (list == NULL) {
        list = json_array();
        if (json_object_set_new(body, member, list) != 0)
            return false;
    }
    return json_array_append_new(list, json_stringn(name->text.base, name->text.len)) == 0;
}

/* The body of POST /v1/purge; NULL: a name is no UTF-8, or memory is not there. It has been passed
 * on once, so that a circle ends. */
static char *body_of(const struct brim_script_purge *purge)
{
    json_t *body = json_pack("{s:i}", "passes", 1);
    bool is_made = body != NULL;
    char *text = NULL;

    for (size_t i = 0; is_made && i < purge->count; i++)
        is_made = add_name(body, &purge->names[i]);
    if (is_made && purge->is_all)
        is_made = json_object_set_new(body, "all", json_true()) == 0;
    if (is_made && purge->is_soft)
        is_made = json_object_set_new(body, "soft", json_true()) == 0;
    if (is_made)
        text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

static bool order_init(struct order *o, struct brim_purge_line *line,
                       const struct brim_purge_order *order)
{
    size_t bytes = order->scope_count * sizeof(*o->scopes);

    *o = (struct order){.line = line,
                        .body = body_of(&order->named),
                        .kind = order->named.is_soft ? BRIM_PURGE_SOFT : BRIM_PURGE_HARD,
                        .scope_count = order->scope_count};
    if (o->body == NULL)
        return false;
    o->body_bytes = strlen(o->body);
    o->scopes = brim_alloc(bytes);
    memcpy(o->scopes, order->scopes, bytes);
    return true;
}

static void order_fini(struct order *o)
{
    free(o->body);
    free(o->scopes);
}

static enum brim_err purge_here(const struct order *o)
{
    return brim_cache_purge(o->line->cache, o->scopes, o->scope_count, o->kind);
}

static bool is_closing(struct brim_purge_line *line)
{
    bool is_closing;

    pthread_mutex_lock(&line->lock);
    is_closing = line->is_closing;
    pthread_mutex_unlock(&line->lock);
    return is_closing;
}

/* ---- asked ---- */

void brim_purge_line_end(struct brim_purge_wait *wait)
{
    if (wait == NULL)
        return;
    OBJ_CHECK(wait, WAIT_MAGIC);
    if (atomic_fetch_sub_explicit(&wait->refs, 1, memory_order_acq_rel) != 1)
        return;
    brim_port_unref(wait->port);
    order_fini(&wait->order);
    wait->magic = 0;
    free(wait);
}

/* A client that has left meanwhile has made its purge all the same. */
static void run_asked(struct brim_job *job)
{
    struct brim_purge_wait *wait = (struct brim_purge_wait *)job; /* it stands first */
    struct brim_purge_line *line = wait->order.line;
    enum brim_purge_line_state state = BRIM_PURGE_LINE_NOT_PASSED;

    OBJ_CHECK(wait, WAIT_MAGIC);
    if (is_closing(line))
        (void)snprintf(wait->wrong, sizeof(wait->wrong), "the node ends");
    else if (brim_purge_up_send(line->up, wait->order.body, wait->wrong) == BRIM_OK)
        state =
            purge_here(&wait->order) == BRIM_OK ? BRIM_PURGE_LINE_MADE : BRIM_PURGE_LINE_FORGETFUL;
    atomic_store_explicit(&wait->state, (int)state, memory_order_release);
    brim_port_fire(wait->port);
    brim_purge_line_end(wait);
}

struct brim_purge_wait *brim_purge_line_ask(struct brim_purge_line *line,
                                            const struct brim_purge_order *order,
                                            struct brim_port *port)
{
    struct brim_purge_wait *wait = brim_alloc(sizeof(*wait));

    OBJ_CHECK(line, LINE_MAGIC);
    wait->magic = WAIT_MAGIC;
    wait->refs = 2;
    wait->port = port;
    brim_port_ref(port);
    if (order_init(&wait->order, line, order)) {
        wait->order.job.run = run_asked;
        if (brim_pool_submit(line->asked, BRIM_JOB_READ, &wait->order.job) == BRIM_OK)
            return wait;
    }
    wait->refs = 1;
    brim_purge_line_end(wait);
    return NULL;
}

enum brim_purge_line_state brim_purge_line_look(const struct brim_purge_wait *wait,
                                                const char **wrong_out)
{
    OBJ_CHECK(wait, WAIT_MAGIC);
    *wrong_out = wait->wrong;
    return (enum brim_purge_line_state)atomic_load_explicit(&wait->state, memory_order_acquire);
}

/* ---- posted ---- */

/* Waits a while; false: the line closes. */
static bool sleep_on(struct brim_purge_line *line)
{
    uint64_t at_ms = brim_clock_mono_ms() + RETRY_MS;
    struct timespec at = {.tv_sec = (time_t)(at_ms / 1000),
                          .tv_nsec = (long)(at_ms % 1000) * 1000000};

    pthread_mutex_lock(&line->lock);
    while (!line->is_closing && brim_clock_mono_ms() < at_ms)
        (void)pthread_cond_timedwait(&line->closing, &line->lock, &at);
    pthread_mutex_unlock(&line->lock);
    return !is_closing(line);
}

static void pass(struct order *o)
{
    struct brim_purge_line *line = o->line;
    char wrong[BRIM_PURGE_UP_WRONG_BYTES] = "the node ends";
    enum brim_err err = BRIM_ECLOSED;

    while (!line->has_failed) {
        err = brim_purge_up_send(line->up, o->body, wrong);
        if (err == BRIM_OK || brim_clock_mono_ms() >= o->until_ms)
            break;
        line->has_failed = !sleep_on(line);
    }
    if (err == BRIM_OK)
        (void)purge_here(o); /* whose fault is logged there */
    else
        BRIM_LOG(ERROR, "purge.given_up", "reason=\"%s\" purge=%.*s bytes=%zu", wrong,
                 (int)(o->body_bytes < NAMED_BYTES_MAX ? o->body_bytes : NAMED_BYTES_MAX), o->body,
                 o->body_bytes);
}

static void run_posted(struct brim_job *job)
{
    struct order *o = (struct order *)job; /* it stands first */

    OBJ_CHECK(o->line, LINE_MAGIC);
    pass(o);
    atomic_fetch_sub(&o->line->posted_bytes, o->body_bytes);
    brim_metric_add(BRIM_METRIC_PURGES_POSTED, -1);
    order_fini(o);
    free(o);
}

bool brim_purge_line_post(struct brim_purge_line *line, const struct brim_purge_order *order)
{
    struct order *o = brim_alloc(sizeof(*o));

    OBJ_CHECK(line, LINE_MAGIC);
    if (order_init(o, line, order)) {
        o->job.run = run_posted;
        o->until_ms = brim_clock_mono_ms() + KEEP_MS;
        brim_metric_add(BRIM_METRIC_PURGES_POSTED, 1);
        if (atomic_fetch_add(&line->posted_bytes, o->body_bytes) + o->body_bytes <= POSTED_BYTES &&
            brim_pool_submit(line->posted, BRIM_JOB_READ, &o->job) == BRIM_OK)
            return true;
        atomic_fetch_sub(&line->posted_bytes, o->body_bytes);
        brim_metric_add(BRIM_METRIC_PURGES_POSTED, -1);
    }
    order_fini(o);
    free(o);
    return false;
}

static bool pass_purge(void *up, const struct brim_script_purge *purge, const uint64_t *scopes,
                       size_t scope_count)
{
    struct brim_purge_order order = {.named = *purge, .scopes = scopes, .scope_count = scope_count};

    return brim_purge_line_post(up, &order);
}

void brim_purge_line_serve(struct brim_purge_line *line, struct brim_script_stores *stores)
{
    stores->up = line;
    stores->pass_purge = line == NULL ? NULL : pass_purge;
}

/* ---- life ---- */

struct brim_purge_line *brim_purge_line_open(struct brim_purge_up *up, struct brim_cache *cache)
{
    static const struct brim_pool_limits asked = {.threads = ASKED_THREADS, .queue_max = QUEUE_MAX};
    static const struct brim_pool_limits posted = {.threads = 1, .queue_max = QUEUE_MAX};
    struct brim_purge_line *line;
    pthread_condattr_t attributes;

    if (up == NULL)
        return NULL;
    line = brim_alloc(sizeof(*line));
    line->magic = LINE_MAGIC;
    line->up = up;
    line->cache = cache;
    pthread_mutex_init(&line->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&line->closing, &attributes);
    pthread_condattr_destroy(&attributes);
    if (brim_pool_open(&asked, &line->asked) == BRIM_OK &&
        brim_pool_open(&posted, &line->posted) == BRIM_OK)
        return line;
    BRIM_LOG(ERROR, "purge.no_thread", "what=\"%s\"", "PURGE is not passed on to the tier above");
    brim_purge_line_close(line);
    return NULL;
}

struct brim_purge_up *brim_purge_line_up(struct brim_purge_line *line)
{
    return line == NULL ? NULL : line->up;
}

void brim_purge_line_close(struct brim_purge_line *line)
{
    if (line == NULL)
        return;
    OBJ_CHECK(line, LINE_MAGIC);
    pthread_mutex_lock(&line->lock);
    line->is_closing = true;
    pthread_cond_broadcast(&line->closing);
    pthread_mutex_unlock(&line->lock);
    if (line->asked != NULL)
        brim_pool_close(line->asked);
    if (line->posted != NULL)
        brim_pool_close(line->posted);
    brim_purge_up_close(line->up);
    pthread_cond_destroy(&line->closing);
    pthread_mutex_destroy(&line->lock);
    line->magic = 0;
    free(line);
}
