/* SPDX-License-Identifier: MIT */
#include "brim/serve/worker.h"

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/serve/loop_clock.h"
#include "brim/serve/wake.h"

#define WORKER_MAGIC     0x776f726bu
#define TURN_WAIT_MS     1000
#define TICK_MS          10
#define NEVER_MS         UINT64_C(43200000) /* h2o takes it from the wall clock, which may say 1970 */
#define DRAIN_WAIT_MS    20
#define KILL_PATIENCE_MS 1000 /* for sockets that were shut down to be noticed */

/* A host that no client can own: h2o puts its name where a request names none. */
#define NOBODY "brim.invalid"

enum { FIRST_IDENTITY, FIRST_FAST }; /* values of compress.first */

struct brim_worker {
    struct brim_env env; /* embeds h2o's context */
    uint32_t magic;
    const struct brim_worker_config *config; /* only while starting */
    h2o_globalconf_t conf;
    h2o_hostconf_t *host;
    struct brim_listeners *listeners;
    pthread_t thread;
    sem_t started;
    sem_t drained;
    sem_t released;
    sem_t swapped;
    enum brim_err start_err;
    _Atomic uint64_t drain_deadline_ms;      /* 0: not draining */
    _Atomic uint64_t beats;                  /* turns, for who watches from outside */
    struct brim_routes *_Atomic next_routes; /* counted; taken by the loop between two turns */
    bool has_receiver;
    char *via[BRIM_HTTP_VERSIONS];
    char *loop_member;
};

/* Everything h2o reads; one host, one path, one handler: routing is brim's. */
static void configure(struct brim_worker *w, const struct brim_conf_root *conf)
{
    h2o_pathconf_t *path;
    h2o_handler_t *handler;

    h2o_config_init(&w->conf);
    w->conf.server_name.len = 0;
    w->conf.max_request_entity_size = conf->limits.request_body_bytes;
    w->conf.handshake_timeout = (uint64_t)conf->timeouts.handshake_ms;
    w->conf.http1.req_timeout = NEVER_MS; /* the sweep knows a slow body from none */
    w->conf.http1.upgrade_to_http2 = 0;   /* h2c must not arrive behind the guard */
    w->conf.http2.idle_timeout = (uint64_t)conf->timeouts.idle_ms;
    w->conf.http2.graceful_shutdown_timeout = (uint64_t)conf->node.drain_timeout_ms;
    w->host = h2o_config_register_host(&w->conf, h2o_iovec_init(H2O_STRLIT(NOBODY)), 65535);
    INVARIANT(w->host != NULL);
    w->host->http2.push_preload = 0;
    path = h2o_config_register_path(w->host, "/", 0);
    path->error_log.emit_request_errors = 0;
    handler = h2o_create_handler(path, sizeof(*handler));
    handler->on_req = brim_request_start;
}

/* Without a disk tier nothing larger than what RAM keeps whole is stored. */
static uint64_t slice_bytes(const struct brim_conf_cache *cache)
{
    bool has_disk = cache->path != NULL && cache->path[0] != '\0';

    return !has_disk && cache->slice_bytes > cache->memory_object_bytes ? cache->memory_object_bytes
                                                                        : cache->slice_bytes;
}

static void init_env(struct brim_worker *w, const struct brim_worker_config *config)
{
    struct brim_env *env = &w->env;
    const struct brim_conf_limits *limits = &config->conf->limits;
    const char *id = config->conf->node.id;
    size_t room = strlen(id) + 32;
    int len;

    env->worker = config->index;
    env->cache = config->cache;
    env->flights = config->flights;
    env->encoders = config->encoders;
    env->decoded_max = config->conf->compress.decoded_bytes;
    env->codes_first = config->conf->compress.first == FIRST_FAST;
    env->codes_passes = config->conf->compress.pass;
    env->streams_max = (unsigned)config->conf->compress.streams;
    env->dictionaries = config->dictionaries;
    env->dict = config->dict;
    env->hashers = config->hashers;
    env->kv = config->kv;
    env->purge_line = config->purge_line;
    env->log = config->log;
    env->top = config->top;
    env->routes = config->routes;
    brim_routes_ref(env->routes);
    env->slice_bytes = slice_bytes(&config->conf->cache);
    env->limits = (struct brim_guard_limits){
        .header_bytes_max = limits->request_header_bytes,
        .header_count_max = (size_t)limits->request_header_count,
        .target_bytes_max = limits->target_bytes,
    };
    env->node_id = brim_str_of(id);
    for (unsigned i = 0; i < BRIM_HTTP_VERSIONS; i++) {
        static const char *const versions[] = {"1.1", "1.0", "2"};

        w->via[i] = brim_alloc(room);
        len = snprintf(w->via[i], room, "%s %s", versions[i], id);
        INVARIANT(len > 0 && (size_t)len < room);
        env->via[i] = brim_str(w->via[i], (size_t)len);
    }
    w->loop_member = brim_alloc(room);
    len = snprintf(w->loop_member, room, "%s;node=%016" PRIx64, id, config->node_token);
    INVARIANT(len > 0 && (size_t)len < room);
    env->loop_member = brim_str(w->loop_member, (size_t)len);
    if (getrandom(&env->id_high, sizeof(env->id_high), 0) != sizeof(env->id_high))
        env->id_high = brim_clock_mono_us() * 2654435761u + config->index;
}

static enum brim_err open_listeners(struct brim_worker *w, const struct brim_worker_config *config)
{
    struct brim_listeners_config listeners = {
        .conf = config->conf,
        .sockets = config->sockets,
        .worker = config->index,
        .tls = config->tls,
        .ctx = &w->env.ctx,
        .hosts = w->conf.hosts,
        .connections = config->connections,
        .clients = config->clients,
    };

    return brim_listeners_open(&listeners, &w->listeners);
}

static enum brim_err start(struct brim_worker *w)
{
    const struct brim_worker_config *config = w->config;
    h2o_loop_t *loop = h2o_evloop_create();

    if (loop == NULL)
        return BRIM_EIO;
    configure(w, config->conf);
    h2o_context_init(&w->env.ctx, loop, &w->conf);
    init_env(w, config);
    h2o_timeout_init(loop, &w->env.yield, 1);
    h2o_timeout_init(loop, &w->env.tick, TICK_MS);
    h2o_multithread_register_receiver(w->env.ctx.queue, &w->env.wakes, brim_wake_receive);
    w->has_receiver = true;
    return open_listeners(w, config);
}

/* Ends what is left after the deadline; sockets that were shut down close on the next turns. */
static void kill_rest(struct brim_worker *w)
{
    uint64_t until = brim_clock_mono_ms() + KILL_PATIENCE_MS;

    brim_listeners_kill(w->listeners);
    while (brim_listeners_connections(w->listeners) > 0 && brim_clock_mono_ms() < until) {
        (void)h2o_evloop_run(w->env.ctx.loop, DRAIN_WAIT_MS);
        w->env.turn++;
    }
}

/* Requests that begin in a later turn match against these; earlier ones hold what they have. */
static void take_next_routes(struct brim_worker *w)
{
    struct brim_routes *next = atomic_exchange(&w->next_routes, NULL);

    if (next == NULL)
        return;
    brim_routes_unref(w->env.routes);
    w->env.routes = next;
    sem_post(&w->swapped);
}

/* How long this turn's work took: whatever became ready meanwhile had to wait for it. h2o reads its
 * clock when epoll_wait returns. Turns of less than a millisecond count as none. */
static void count_lag(struct brim_worker *w)
{
    int64_t lag_ms = brim_clock_wall_ms() - (int64_t)h2o_now(w->env.ctx.loop);

    brim_metric_observe(BRIM_HISTOGRAM_LOOP_LAG, lag_ms > 0 ? (uint64_t)lag_ms * 1000 : 0);
}

static void run(struct brim_worker *w)
{
    bool draining = false;
    uint64_t seen_ms = 0;

    for (;;) {
        uint64_t deadline = atomic_load(&w->drain_deadline_ms);

        (void)h2o_evloop_run(w->env.ctx.loop, draining ? DRAIN_WAIT_MS : TURN_WAIT_MS);
        count_lag(w);
        brim_loop_clock_mend(w->env.ctx.loop, &seen_ms);
        w->env.turn++;
        atomic_fetch_add_explicit(&w->beats, 1, memory_order_relaxed);
        take_next_routes(w);
        if (deadline == 0)
            continue;
        if (!draining) {
            draining = true;
            brim_listeners_stop(w->listeners);
            h2o_context_request_shutdown(&w->env.ctx);
        }
        brim_listeners_end_idle(w->listeners); /* also those whose last response has just ended */
        if (brim_listeners_connections(w->listeners) == 0)
            break;
        if (brim_clock_mono_ms() >= deadline) {
            kill_rest(w);
            break;
        }
    }
}

/* Other threads may still fire wakes until everything that fires is closed; only then, released,
 * may the queue go. What they have posted meanwhile is taken out first. */
static void stop(struct brim_worker *w)
{
    h2o_loop_t *loop = w->env.ctx.loop;

    if (w->listeners != NULL && brim_listeners_connections(w->listeners) > 0)
        return; /* their memory points into everything below: left to the process's end */
    if (w->listeners != NULL)
        brim_listeners_close(w->listeners);
    w->listeners = NULL;
    if (!w->has_receiver)
        return;
    (void)h2o_evloop_run(loop, 0);
    h2o_multithread_unregister_receiver(w->env.ctx.queue, &w->env.wakes);
    h2o_timeout_dispose(loop, &w->env.yield);
    h2o_timeout_dispose(loop, &w->env.tick);
    /* set by request_shutdown; h2o_context_dispose asserts that it is not linked */
    h2o_timeout_unlink(&w->env.ctx.http2._graceful_shutdown_timeout);
    h2o_context_dispose(&w->env.ctx);
    h2o_config_dispose(&w->conf);
    brim_routes_unref(w->env.routes);
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        continue; /* EINTR */
}

static void *worker_main(void *arg)
{
    struct brim_worker *w = arg;
    char name[16];

    OBJ_CHECK(w, WORKER_MAGIC);
    if (snprintf(name, sizeof(name), "brim-worker%zu", w->config->index) > 0)
        pthread_setname_np(pthread_self(), name);
    w->start_err = start(w);
    sem_post(&w->started);
    if (w->start_err == BRIM_OK)
        run(w);
    sem_post(&w->drained);
    wait_for(&w->released);
    stop(w);
    return NULL;
}

enum brim_err brim_worker_open(const struct brim_worker_config *config,
                               struct brim_worker **worker_out)
{
    struct brim_worker *w = brim_alloc(sizeof(*w));
    enum brim_err err;

    *worker_out = NULL;
    w->magic = WORKER_MAGIC;
    w->config = config;
    if (sem_init(&w->started, 0, 0) != 0 || sem_init(&w->swapped, 0, 0) != 0 ||
        pthread_create(&w->thread, NULL, worker_main, w) != 0) {
        free(w);
        return BRIM_ENOMEM;
    }
    wait_for(&w->started);
    err = w->start_err;
    if (err != BRIM_OK) {
        brim_worker_close(w);
        return err;
    }
    *worker_out = w;
    return BRIM_OK;
}

uint64_t brim_worker_beats(const struct brim_worker *w)
{
    OBJ_CHECK(w, WORKER_MAGIC);
    return atomic_load_explicit(&w->beats, memory_order_relaxed);
}

void brim_worker_swap(struct brim_worker *w, struct brim_routes *routes)
{
    struct brim_routes *forgotten;

    OBJ_CHECK(w, WORKER_MAGIC);
    brim_routes_ref(routes);
    forgotten = atomic_exchange(&w->next_routes, routes);
    INVARIANT(forgotten == NULL);
    h2o_multithread_send_message(&w->env.wakes, NULL); /* only wakes the loop */
}

void brim_worker_swap_wait(struct brim_worker *w)
{
    OBJ_CHECK(w, WORKER_MAGIC);
    wait_for(&w->swapped);
}

void brim_worker_drain(struct brim_worker *w, uint64_t deadline_mono_ms)
{
    OBJ_CHECK(w, WORKER_MAGIC);
    atomic_store(&w->drain_deadline_ms, deadline_mono_ms);
    h2o_multithread_send_message(&w->env.wakes, NULL); /* only wakes the loop */
}

size_t brim_worker_wait(struct brim_worker *w)
{
    size_t left;

    OBJ_CHECK(w, WORKER_MAGIC);
    wait_for(&w->drained);
    left = w->listeners == NULL ? 0 : brim_listeners_connections(w->listeners);
    if (left > 0)
        BRIM_LOG(WARN, "worker.left", "worker=%zu connections=%zu", w->env.worker, left);
    return left;
}

void brim_worker_close(struct brim_worker *w)
{
    OBJ_CHECK(w, WORKER_MAGIC);
    sem_post(&w->released);
    pthread_join(w->thread, NULL);
    sem_destroy(&w->started);
    sem_destroy(&w->drained);
    sem_destroy(&w->released);
    sem_destroy(&w->swapped);
    for (unsigned i = 0; i < BRIM_HTTP_VERSIONS; i++)
        free(w->via[i]);
    free(w->loop_member);
    w->magic = 0;
    free(w);
}
