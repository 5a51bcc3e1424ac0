/* SPDX-License-Identifier: MIT */
/*
 * A node tells its parent through a link when it serves, and, when a successor is to take over
 * (upgrade.c), when it has let the disk tier go. The successor is a node like any other, that waits
 * for this before it opens what both would write to.
 */
#include "brim/serve/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/damage.h"
#include "brim/cache/dictionaries.h"
#include "brim/policy/compile_faults.h"
#include "brim/policy/dict.h"
#include "brim/policy/geo.h"
#include "brim/serve/admin.h"
#include "brim/serve/encoders.h"
#include "brim/serve/purge_line.h"
#include "brim/serve/reload.h"
#include "brim/serve/sandbox.h"
#include "brim/serve/service.h"
#include "brim/serve/tls.h"
#include "brim/serve/vigil.h"
#include "brim/serve/worker.h"

struct node {
    const struct brim_conf *conf;
    bool has_faults; /* a file that the config names is not usable */
    const struct brim_conf_root *root;
    const struct brim_sockets *sockets;
    struct brim_pool *pool;
    struct brim_pool *hashers; /* apart, so that who tries passwords keeps nobody else waiting */
    struct brim_cache *cache;
    struct brim_script_stores stores;
    struct brim_fetchers *fetchers;
    struct brim_dictionaries *dictionaries;
    struct brim_flights *flights;
    struct brim_checks *checks;
    struct brim_encoders *encoders;
    struct brim_access_log *log;
    struct brim_top *top;
    struct brim_routes *routes;
    struct brim_tls **tls;
    SSL_CTX **contexts;
    struct brim_worker **workers;
    size_t worker_count;
    struct brim_reload *reload;
    struct brim_admin *admin;
    struct brim_purge_line *purge_line; /* NULL: nobody is above */
    const struct brim_start *start;
    pid_t parent;    /* 0: none */
    bool has_let_go; /* nothing is written to the disk tier any more */
    bool is_leaving; /* a successor is coming */
    _Atomic int64_t connections;
    struct brim_clients *clients;
    _Atomic bool ready;
    uint64_t token; /* random, for CDN-Loop */
};

/* ---- the node ---- */

/* Libraries print client-controlled lines to stderr; they become rate-limited log lines. */
static ssize_t stderr_write(void *cookie, const char *bytes, size_t len)
{
    size_t shown = len;

    (void)cookie;
    while (shown > 0 && bytes[shown - 1] == '\n')
        shown--;
    if (shown > 0)
        BRIM_LOG(WARN, "library.says", "text=\"%.*s\"", (int)(shown > 512 ? 512 : shown), bytes);
    return (ssize_t)len;
}

static void tame_stderr(void)
{
    cookie_io_functions_t functions = {.write = stderr_write};
    FILE *tamed = fopencookie(NULL, "w", functions);

    if (tamed == NULL)
        return;
    (void)setvbuf(tamed, NULL, _IOLBF, 1024);
    stderr = tamed; /* glibc: a variable; descriptor 2 stays for crash reports */
}

static enum brim_err open_tls(struct node *n, FILE *faults)
{
    size_t count = n->root->listeners.count;
    enum brim_err err = brim_tls_origins_check(n->conf, faults);

    n->tls = brim_alloc(count * sizeof(*n->tls));
    n->contexts = brim_alloc(count * sizeof(*n->contexts));
    for (size_t i = 0; i < count; i++) {
        if (n->root->listeners.items[i].tls.certificates.count == 0)
            continue;
        if (brim_tls_open(n->conf, i, faults, &n->tls[i]) != BRIM_OK)
            err = BRIM_EINVAL;
        else
            n->contexts[i] = brim_tls_context(n->tls[i]);
    }
    brim_tls_note_expiry(n->tls, count);
    return err;
}

static void close_tls(struct node *n)
{
    for (size_t i = 0; n->tls != NULL && i < n->root->listeners.count; i++)
        if (n->tls[i] != NULL)
            brim_tls_close(n->tls[i]);
    free(n->tls);
    free(n->contexts);
    n->tls = NULL;
    n->contexts = NULL;
}

static enum brim_err open_cache(struct node *n)
{
    const struct brim_conf_cache *c = &n->root->cache;
    struct brim_cache_config config = {
        .path = c->path,
        .disk_bytes = c->disk_bytes,
        .segment_bytes = c->segment_bytes,
        .memory_bytes = c->memory_bytes,
        .memory_object_bytes = c->memory_object_bytes,
        .object_bytes_max = c->object_bytes_max,
        .window_bytes = c->window_bytes,
        .write_queue_max = (unsigned)c->write_queue,
        .purge_epochs_max = (unsigned)c->purge_epochs,
        .remember_ms = (uint64_t)c->remember_ms,
        .admit = c->admit == 0 ? BRIM_ADMIT_ALWAYS : BRIM_ADMIT_SECOND_HIT,
        .pool = n->pool,
        .mail = n->start->estate == NULL ? NULL : &n->start->estate->mail,
        .ledger = brim_clients_ledger(n->clients),
    };

    return brim_cache_open(&config, &n->cache);
}

static enum brim_err open_geo(struct node *n, struct brim_compile_faults *faults)
{
    enum brim_err err;

    if (n->root->node.geo[0] == '\0')
        return BRIM_OK;
    brim_compile_faults_at(faults, "node.geo");
    err = brim_geo_open(n->root->node.geo, &n->stores.geo);
    brim_compile_faults_end();
    n->has_faults |= err != BRIM_OK;
    return err;
}

/* Beside the cache, not in it: what is in the cache may be removed at any time. */
static enum brim_err open_stores(struct node *n)
{
    const char *path = n->root->kv.path, *cache = n->root->cache.path;
    struct brim_kv_config config = {.path = path, .size_bytes = n->root->kv.size_bytes};
    char below[PATH_MAX];

    n->purge_line = brim_purge_line_open(brim_purge_up_open(&n->root->admin), n->cache);
    brim_purge_line_serve(n->purge_line, &n->stores);
    n->stores.cache = n->cache;
    n->stores.dict = brim_dict_open(n->root->node.dict_bytes);
    if (path[0] == '\0' && cache[0] == '\0')
        return BRIM_OK;
    if (path[0] == '\0') {
        int len = snprintf(below, sizeof(below), "%s/kv", cache);

        if (len < 0 || (size_t)len >= sizeof(below))
            return BRIM_EINVAL;
        config.path = below;
    }
    return brim_kv_open(&config, &n->stores.kv);
}

/* Codings are kept in RAM while they are made. */
static enum brim_err open_encoders(struct node *n)
{
    const struct brim_conf_compress *c = &n->root->compress;
    uint64_t kept_max = n->root->cache.memory_object_bytes;
    struct brim_encoders_config config = {
        .cache = n->cache,
        .threads = (unsigned)c->threads,
        .queue_max = (unsigned)c->queue,
        .bytes_min = c->min_bytes,
        .bytes_max = c->max_bytes < kept_max ? c->max_bytes : kept_max,
    };

    return brim_encoders_open(&config, &n->encoders);
}

/* They share the threads of the other codings. */
static void open_dictionaries(struct node *n)
{
    const struct brim_conf_cache *c = &n->root->cache;
    struct brim_dictionaries_config config = {n->cache, brim_encoders_pool(n->encoders),
                                              c->dictionary_bytes_max, c->deltas_bytes};

    if (config.object_bytes_max > 0 && config.pool != NULL)
        n->dictionaries = brim_dictionaries_open(&config);
}

static enum brim_err open_origins(struct node *n, struct brim_compile_faults *faults)
{
    size_t fetchers = (size_t)n->root->node.fetchers;
    const struct brim_conf_dns *dns = &n->root->dns;
    struct brim_fetch_config fetch = {
        .names = {.nameservers = dns->nameservers.items,
                  .nameserver_count = dns->nameservers.count,
                  .ttl_min_ms = (uint64_t)dns->ttl_min_ms,
                  .ttl_max_ms = (uint64_t)dns->ttl_max_ms},
        .threads = (unsigned)(fetchers > 0 ? fetchers : (n->worker_count + 3) / 4),
        .header_bytes_max = n->root->limits.response_header_bytes,
        .header_count_max = (unsigned)n->root->limits.response_header_count,
    };
    struct brim_flights_config flights = {
        .cache = n->cache,
        .pass_ttl_ms = n->root->cache.pass_ttl_ms,
        .flights_max = (unsigned)n->root->limits.flights,
        .ledger = brim_clients_ledger(n->clients),
    };
    enum brim_err err = brim_routes_compile(n->root, NULL, &n->stores, faults, &n->routes);

    brim_compile_faults_end();
    n->has_faults |= err != BRIM_OK;
    if (err == BRIM_OK)
        err = brim_fetchers_open(&fetch, &n->fetchers);
    flights.fetchers = n->fetchers;
    if (err == BRIM_OK)
        err = brim_flights_open(&flights, &n->flights);
    if (err == BRIM_OK) {
        n->checks = brim_checks_open(n->fetchers);
        brim_routes_check(n->routes, n->checks);
    }
    return err;
}

static enum brim_err open_workers(struct node *n)
{
    enum brim_err err = BRIM_OK;

    n->top = brim_top_open(n->worker_count);
    n->workers = brim_alloc(n->worker_count * sizeof(*n->workers));
    if (getrandom(&n->token, sizeof(n->token), 0) != sizeof(n->token))
        n->token = brim_clock_mono_us();
    for (size_t i = 0; err == BRIM_OK && i < n->worker_count; i++) {
        struct brim_worker_config config = {
            .index = i,
            .conf = n->root,
            .sockets = n->sockets,
            .tls = n->contexts,
            .cache = n->cache,
            .flights = n->flights,
            .encoders = n->encoders,
            .dictionaries = n->dictionaries,
            .dict = n->stores.dict,
            .hashers = n->hashers,
            .kv = n->stores.kv,
            .purge_line = n->purge_line,
            .log = n->log,
            .top = n->top,
            .routes = n->routes,
            .connections = &n->connections,
            .clients = n->clients,
            .node_token = n->token,
        };
        err = brim_worker_open(&config, &n->workers[i]);
    }
    return err;
}

static bool is_ready(void *ctx)
{
    struct node *n = ctx;

    return atomic_load(&n->ready);
}

/* A node that the parent starts after this one starts with the same config. */
static void on_reloaded(void *ctx)
{
    const struct node *n = ctx;

    if (atomic_load(&n->ready)) /* else it has only just read it, and may not be in n->admin yet */
        brim_admin_renew_token(n->admin);
    if (n->parent > 0)
        kill(n->parent, BRIM_SIGNAL_RELOADED);
}

static void open_reload(struct node *n)
{
    struct brim_reload_config config = {
        .conf = n->conf,
        .routes = n->routes,
        .stores = &n->stores,
        .tls = n->tls,
        .workers = n->workers,
        .worker_count = n->worker_count,
        .log = n->log,
        .checks = n->checks,
        .done = on_reloaded,
        .ctx = n,
    };

    n->reload = brim_reload_open(&config);
    brim_routes_unref(n->routes); /* a later reload leaves nothing of them */
    n->routes = NULL;
}

static enum brim_err run_reload(void *ctx, FILE *faults)
{
    struct node *n = ctx;

    return brim_reload_run(n->reload, faults);
}

static struct brim_routes *routes_now(void *ctx)
{
    struct node *n = ctx;

    return brim_reload_routes(n->reload);
}

static enum brim_err open_admin(struct node *n)
{
    struct brim_admin_config config = {
        .fd = n->sockets->admin_fd,
        .cache = n->cache,
        .kv = n->stores.kv,
        .top = n->top,
        .pool = n->pool,
        .up = brim_purge_line_up(n->purge_line),
        .token = n->root->admin.token,
        .rate = (unsigned)n->root->admin.rate,
        .spare_memory_bytes = n->root->node.spare_memory_bytes,
        .is_ready = is_ready,
        .reload = run_reload,
        .routes = routes_now,
        .flights = n->flights,
        .estate = n->start->estate,
        .parent = n->parent,
        .ctx = n,
    };

    return brim_admin_open(&config, &n->admin);
}

static enum brim_err node_open(struct node *n, FILE *faults)
{
    static const struct brim_pool_limits hashers = {.threads = 2, .queue_max = 256};
    struct brim_pool_limits limits = {
        .threads = (unsigned)n->root->node.io_threads,
        .queue_max = (unsigned)n->root->node.io_queue,
    };
    struct brim_compile_faults told = {.conf = n->conf, .out = faults};
    enum brim_err err = n->tls == NULL ? open_tls(n, faults) : BRIM_OK;

    n->clients = brim_clients_open(&n->root->limits, &n->root->abuse);
    if (err == BRIM_OK)
        err = brim_pool_open(&limits, &n->pool);
    if (err == BRIM_OK)
        err = brim_pool_open(&hashers, &n->hashers);
    if (err == BRIM_OK)
        err = open_cache(n);
    if (err == BRIM_OK)
        err = open_geo(n, &told);
    if (err == BRIM_OK)
        err = open_stores(n);
    if (err == BRIM_OK)
        err = open_encoders(n);
    if (err == BRIM_OK)
        open_dictionaries(n);
    if (err == BRIM_OK)
        err = open_origins(n, &told);
    if (err == BRIM_OK)
        err = brim_access_log_open(&n->root->access_log, n->worker_count, &n->log);
    if (err == BRIM_OK) {
        brim_damage_trust(); /* before clients come */
        err = open_workers(n);
    }
    if (err == BRIM_OK)
        open_reload(n);
    if (err == BRIM_OK)
        err = open_admin(n);
    return err;
}

/* Lets responses under way finish. Returns how many connections would not end. */
static size_t drain_workers(struct node *n)
{
    const struct brim_conf_root *root = n->reload == NULL ? n->root : brim_reload_root(n->reload);
    uint64_t deadline = brim_clock_mono_ms() + (uint64_t)root->node.drain_timeout_ms;
    size_t left = 0;

    for (size_t i = 0; n->workers != NULL && i < n->worker_count; i++)
        if (n->workers[i] != NULL)
            brim_worker_drain(n->workers[i], deadline + 1);
    for (size_t i = 0; n->workers != NULL && i < n->worker_count; i++)
        if (n->workers[i] != NULL)
            left += brim_worker_wait(n->workers[i]);
    return left;
}

static void close_workers(struct node *n)
{
    for (size_t i = 0; n->workers != NULL && i < n->worker_count; i++)
        if (n->workers[i] != NULL)
            brim_worker_close(n->workers[i]);
    free(n->workers);
    n->workers = NULL;
}

/* From what asks to what is asked: workers stop, then whatever could still wake them ends, then
 * their queues go. The cache flushes what is queued for the disk before it closes. */
static void node_close(struct node *n)
{
    size_t left;

    atomic_store(&n->ready, false);
    if (n->reload != NULL)
        brim_reload_end(n->reload);
    left = drain_workers(n);
    if (n->admin != NULL)
        brim_admin_close(n->admin);
    brim_checks_stop(n->checks);
    if (n->fetchers != NULL)
        brim_fetchers_close(n->fetchers);
    brim_checks_close(n->checks);
    brim_purge_line_close(n->purge_line); /* nobody purges any more */
    if (n->dictionaries != NULL)
        brim_dictionaries_stop(n->dictionaries);
    brim_encoders_close(n->encoders); /* their reads may be the pool's */
    if (n->pool != NULL)
        brim_pool_wait_idle(n->pool); /* reads and spills of those that are gone */
    brim_cache_close(n->cache);
    if (n->pool != NULL)
        brim_pool_close(n->pool);
    if (n->hashers != NULL)
        brim_pool_close(n->hashers);
    brim_dictionaries_close(n->dictionaries);
    if (left == 0 && n->flights != NULL)
        brim_flights_close(n->flights);
    close_workers(n);
    brim_top_close(n->top);
    brim_clients_close(n->clients);
    if (n->reload != NULL)
        brim_reload_close(n->reload);
    if (n->log != NULL)
        brim_access_log_close(n->log);
    if (n->routes != NULL)
        brim_routes_unref(n->routes);
    brim_kv_close(n->stores.kv); /* handlers are gone with their routes */
    brim_dict_close(n->stores.dict);
    brim_geo_close(n->stores.geo);
    close_tls(n);
}

static void tell_parent(const struct node *n, char byte)
{
    if (n->start->link >= 0 && send(n->start->link, &byte, 1, MSG_NOSIGNAL) != 1)
        BRIM_LOG(WARN, "node.parent_gone", "errno=%d", errno);
}

/* A successor is ready to take over. Calls wait for it in the queue of the admin socket; clients
 * are served here as before until it accepts, but nothing new reaches the disk. The next successor
 * finds it so where the one before did not come up. */
static void let_go(struct node *n)
{
    n->is_leaving = true;
    brim_admin_pause(n->admin);
    if (!n->has_let_go) {
        n->has_let_go = true;
        brim_cache_release(n->cache);
        BRIM_LOG(INFO, "upgrade.let_go", "pid=%d", (int)getpid());
    }
    tell_parent(n, BRIM_LINK_LET_GO);
}

/* No successor came up; if it died of something, that is not of the stores that serve here. */
static void stay(struct node *n)
{
    n->is_leaving = false;
    brim_damage_trust();
    brim_admin_resume(n->admin);
}

static void wait_for_end(struct node *n)
{
    struct brim_vigil vigil;
    sigset_t set;
    int number = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, BRIM_SIGNAL_LET_GO);
    sigaddset(&set, BRIM_SIGNAL_STAY);
    brim_vigil_init(&vigil, n->start->watchdog_us, n->workers, n->worker_count);
    while (number != SIGTERM && number != SIGINT) {
        number = brim_vigil_wait(&vigil, &set);
        if (number == SIGUSR1 && n->log != NULL)
            brim_access_log_reopen(n->log);
        else if (number == SIGHUP)
            brim_reload_run_in_turn(n->reload);
        else if (number == BRIM_SIGNAL_LET_GO)
            let_go(n);
        else if (number == BRIM_SIGNAL_STAY)
            stay(n);
        else if (number == SIGUSR2)
            BRIM_LOG(WARN, "upgrade.refused", "what=\"send it to the parent, if there is one\"");
    }
    brim_vigil_fini(&vigil);
}

/* Everything that may fail and does not need what the old node still has. */
static enum brim_err rehearse(struct node *n)
{
    struct brim_compile_faults told = {.conf = n->conf, .out = stderr};
    struct brim_routes *routes = NULL;
    enum brim_err err = open_tls(n, stderr);

    if (err == BRIM_OK)
        err = brim_routes_compile(n->root, NULL, NULL, &told, &routes);
    brim_compile_faults_end();
    n->has_faults = err != BRIM_OK;
    if (err == BRIM_OK)
        brim_routes_unref(routes);
    return err;
}

/* Waits for its turn. */
static enum brim_err succeed(struct node *n)
{
    enum brim_err err = rehearse(n);
    char byte = '\0';

    if (err != BRIM_OK)
        return err;
    tell_parent(n, BRIM_LINK_PREPARED);
    while (recv(n->start->link, &byte, 1, 0) == -1 && errno == EINTR)
        continue;
    return byte == BRIM_LINK_GO ? BRIM_OK : BRIM_ECLOSED;
}

/* From here on nobody reads along. */
static void become_ready(const struct node *n)
{
    if (n->start->is_successor && n->start->log >= 0) {
        (void)dup2(n->start->log, STDERR_FILENO);
        close(n->start->log);
    }
    if (n->start->estate != NULL)
        BRIM_ADD(UPGRADES, atomic_load(&n->start->estate->done) + (n->start->is_successor ? 1 : 0));
    tell_parent(n, BRIM_LINK_READY);
}

enum brim_err brim_node_check(const struct brim_conf *conf, FILE *faults)
{
    struct node probe = {.conf = conf, .root = brim_conf_root(conf)};
    enum brim_err err = open_tls(&probe, faults);

    close_tls(&probe);
    return err;
}

int brim_node_run(const struct brim_start *start)
{
    struct node n = {.conf = start->conf,
                     .root = brim_conf_root(start->conf),
                     .sockets = start->sockets,
                     .start = start,
                     .parent = start->parent,
                     .worker_count = start->sockets->workers};
    uint64_t began_ms = brim_clock_mono_ms();
    enum brim_err err = start->is_successor ? succeed(&n) : BRIM_OK;

    if (err == BRIM_OK)
        err = node_open(&n, stderr);
    if (err == BRIM_OK)
        err = brim_sandbox_enter((enum brim_sandbox)n.root->node.seccomp);
    if (err != BRIM_OK) {
        BRIM_LOG(ERROR, "node.start_failed", "reason=%s", brim_err_name(err));
        node_close(&n);
        return n.has_faults ? BRIM_EXIT_CONFIG : EXIT_FAILURE;
    }
    brim_sockets_close(start->sockets); /* it has its own: what it stops listening on is free */
    tame_stderr();
    BRIM_ADD(RESTARTS, start->restarts);
    brim_metric_set(BRIM_METRIC_BUILD_INFO, 1);
    atomic_store(&n.ready, true);
    become_ready(&n);
    BRIM_LOG(INFO, "node.ready", "version=%s pid=%d workers=%zu start_ms=%llu", BRIM_VERSION,
             (int)getpid(), n.worker_count, (unsigned long long)(brim_clock_mono_ms() - began_ms));
    brim_service_ready();
    wait_for_end(&n);
    if (!n.is_leaving) /* else the service goes on */
        brim_service_stopping();
    BRIM_LOG(INFO, "node.draining", "pid=%d", (int)getpid());
    if (start->parent > 0 && getppid() != start->parent)
        brim_admin_stop_listening(n.admin); /* another parent may be waiting for the address */
    node_close(&n);
    BRIM_LOG(INFO, "node.ended", "pid=%d", (int)getpid());
    return EXIT_SUCCESS;
}
