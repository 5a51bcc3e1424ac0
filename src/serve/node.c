/* SPDX-License-Identifier: MIT */
/*
 * Two processes. The parent reads the config, binds the sockets and then only waits: for a signal
 * to hand on, or for the node to die, which it starts again on the same sockets, so that clients
 * that connect meanwhile wait in the listen queue and are not refused. It forks before any thread
 * exists. The node does everything else; its first success is told through a pipe, because a node
 * that never got ready is an operator's mistake and is not retried.
 */
#include "brim/serve/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/conf_reload.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/dictionaries.h"
#include "brim/policy/dict.h"
#include "brim/policy/geo.h"
#include "brim/serve/admin.h"
#include "brim/serve/encoders.h"
#include "brim/serve/reload.h"
#include "brim/serve/service.h"
#include "brim/serve/tls.h"
#include "brim/serve/worker.h"

#define BACKOFF_FIRST_MS 20u
#define BACKOFF_MAX_MS   5000u
#define STABLE_MS        10000u /* a node that lived this long starts over with no back-off */
#define EXIT_CONFIG      2
#define WATCH_MIN_US     1500000u /* a loop without work turns once a second */
#define SIG_RELOADED     SIGRTMIN /* node to parent: another config is in force */

struct node {
    const struct brim_conf *conf;
    const struct brim_conf_root *root;
    const struct brim_sockets *sockets;
    struct brim_pool *pool;
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
    pid_t parent;         /* 0: none */
    uint64_t watchdog_us; /* 0: nobody watches */
    uint64_t *beats;      /* per worker, when they were last looked at */
    _Atomic int64_t connections;
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
    setvbuf(tamed, NULL, _IOLBF, 1024);
    stderr = tamed; /* glibc: a variable; descriptor 2 stays for crash reports */
}

static enum brim_err open_tls(struct node *n, FILE *faults)
{
    size_t count = n->root->listeners.count;
    enum brim_err err = BRIM_OK;

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
        .admit = c->admit == 0 ? BRIM_ADMIT_ALWAYS : BRIM_ADMIT_SECOND_HIT,
        .pool = n->pool,
    };

    return brim_cache_open(&config, &n->cache);
}

/* Beside the cache, not in it: what is in the cache may be removed at any time. */
static enum brim_err open_stores(struct node *n)
{
    const char *path = n->root->kv.path, *cache = n->root->cache.path;
    struct brim_kv_config config = {.path = path, .size_bytes = n->root->kv.size_bytes};
    char below[PATH_MAX];

    n->stores.cache = n->cache;
    n->stores.dict = brim_dict_open(n->root->node.dict_bytes);
    if (n->root->node.geo[0] != '\0' && brim_geo_open(n->root->node.geo, &n->stores.geo) != BRIM_OK)
        return BRIM_EINVAL;
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
    struct brim_dictionaries_config config = {
        .cache = n->cache,
        .pool = brim_encoders_pool(n->encoders),
        .object_bytes_max = n->root->cache.dictionary_bytes_max,
        .deltas_bytes_max = n->root->cache.deltas_bytes,
    };

    if (config.object_bytes_max > 0 && config.pool != NULL)
        n->dictionaries = brim_dictionaries_open(&config);
}

static enum brim_err open_origins(struct node *n)
{
    size_t fetchers = (size_t)n->root->node.fetchers;
    struct brim_fetch_config fetch = {
        .threads = (unsigned)(fetchers > 0 ? fetchers : (n->worker_count + 3) / 4),
        .header_bytes_max = n->root->limits.response_header_bytes,
        .header_count_max = (unsigned)n->root->limits.response_header_count,
    };
    struct brim_flights_config flights = {
        .cache = n->cache,
        .pass_ttl_ms = n->root->cache.pass_ttl_ms,
        .flights_max = (unsigned)n->root->limits.flights,
    };
    enum brim_err err = brim_routes_compile(n->root, NULL, &n->stores, &n->routes);

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
            .log = n->log,
            .top = n->top,
            .routes = n->routes,
            .connections = &n->connections,
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

    if (n->parent > 0)
        kill(n->parent, SIG_RELOADED);
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

static enum brim_err open_admin(struct node *n)
{
    struct brim_admin_config config = {
        .fd = n->sockets->admin_fd,
        .cache = n->cache,
        .kv = n->stores.kv,
        .top = n->top,
        .pool = n->pool,
        .is_ready = is_ready,
        .reload = run_reload,
        .ctx = n,
    };

    return brim_admin_open(&config, &n->admin);
}

static enum brim_err node_open(struct node *n, FILE *faults)
{
    struct brim_pool_limits limits = {
        .threads = (unsigned)n->root->node.io_threads,
        .queue_max = (unsigned)n->root->node.io_queue,
    };
    enum brim_err err = open_tls(n, faults);

    if (err == BRIM_OK)
        err = brim_pool_open(&limits, &n->pool);
    if (err == BRIM_OK)
        err = open_cache(n);
    if (err == BRIM_OK)
        err = open_stores(n);
    if (err == BRIM_OK)
        err = open_encoders(n);
    if (err == BRIM_OK)
        open_dictionaries(n);
    if (err == BRIM_OK)
        err = open_origins(n);
    if (err == BRIM_OK)
        err = brim_access_log_open(&n->root->access_log, n->worker_count, &n->log);
    if (err == BRIM_OK)
        err = open_workers(n);
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
    if (n->dictionaries != NULL)
        brim_dictionaries_stop(n->dictionaries);
    brim_encoders_close(n->encoders); /* their reads may be the pool's */
    if (n->pool != NULL)
        brim_pool_wait_idle(n->pool); /* reads and spills of those that are gone */
    brim_cache_close(n->cache);
    if (n->pool != NULL)
        brim_pool_close(n->pool);
    brim_dictionaries_close(n->dictionaries);
    if (left == 0 && n->flights != NULL)
        brim_flights_close(n->flights);
    close_workers(n);
    brim_top_close(n->top);
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

/* Nobody waits for an answer to a signal: the faults go to the log. */
static void reload_by_signal(struct node *n)
{
    char *text = NULL, *rest = NULL;
    size_t len = 0;
    FILE *faults = open_memstream(&text, &len);
    enum brim_err err;

    INVARIANT(faults != NULL);
    err = brim_reload_run(n->reload, faults);
    (void)fclose(faults);
    if (err == BRIM_EAGAIN)
        BRIM_LOG(WARN, "reload.busy", "what=\"another reload is under way\"");
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        BRIM_LOG(ERROR, "reload.fault", "text='%s'", line);
    free(text);
}

/* Whether every loop has turned since the last look. */
static bool is_alive(struct node *n)
{
    bool is_alive = true;

    for (size_t i = 0; i < n->worker_count; i++) {
        uint64_t beats = brim_worker_beats(n->workers[i]);

        if (beats == n->beats[i]) {
            BRIM_LOG(ERROR, "worker.stuck", "worker=%zu", i);
            is_alive = false;
        }
        n->beats[i] = beats;
    }
    return is_alive;
}

/* A node that answers here and whose loops hang is not alive: then nothing is said, and the service
 * manager ends it. Returns the signal, or -1. */
static int wait_and_watch(struct node *n, const sigset_t *set)
{
    uint64_t us = n->watchdog_us / 3 < WATCH_MIN_US ? WATCH_MIN_US : n->watchdog_us / 3;
    struct timespec span = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    int number = sigtimedwait(set, NULL, &span);

    if (number < 0 && errno == EAGAIN && is_alive(n))
        brim_service_alive();
    return number;
}

static void wait_for_end(struct node *n)
{
    sigset_t set;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    for (;;) {
        number = n->watchdog_us == 0 ? sigwaitinfo(&set, NULL) : wait_and_watch(n, &set);
        if (number == SIGUSR1 && n->log != NULL)
            brim_access_log_reopen(n->log);
        else if (number == SIGHUP)
            reload_by_signal(n);
        else if (number == SIGTERM || number == SIGINT)
            return;
    }
}

struct start {
    const struct brim_conf *conf;
    struct brim_sockets *sockets;
    unsigned restarts;
    pid_t parent; /* told of reloads; 0: none */
    uint64_t watchdog_us;
    int ready_fd; /* one byte is written when it serves; -1: nobody asks */
};

static int node_main(const struct start *start)
{
    struct node n = {.conf = start->conf,
                     .root = brim_conf_root(start->conf),
                     .sockets = start->sockets,
                     .parent = start->parent,
                     .watchdog_us = start->watchdog_us,
                     .beats = brim_alloc(start->sockets->workers * sizeof(uint64_t)),
                     .worker_count = start->sockets->workers};
    uint64_t began_ms = brim_clock_mono_ms();
    enum brim_err err;

    err = node_open(&n, stderr);
    if (err != BRIM_OK) {
        BRIM_LOG(ERROR, "node.start_failed", "reason=%s", brim_err_name(err));
        node_close(&n);
        free(n.beats);
        return EXIT_FAILURE;
    }
    brim_sockets_close(start->sockets); /* it has its own: what it stops listening on is free */
    tame_stderr();
    BRIM_ADD(RESTARTS, start->restarts);
    atomic_store(&n.ready, true);
    if (start->ready_fd >= 0 && write(start->ready_fd, "r", 1) != 1)
        BRIM_LOG(WARN, "node.parent_gone", "errno=%d", errno);
    BRIM_LOG(INFO, "node.ready", "version=%s pid=%d workers=%zu start_ms=%llu", BRIM_VERSION,
             (int)getpid(), n.worker_count, (unsigned long long)(brim_clock_mono_ms() - began_ms));
    brim_service_ready();
    wait_for_end(&n);
    brim_service_stopping();
    BRIM_LOG(INFO, "node.draining", "pid=%d", (int)getpid());
    if (start->parent > 0 && getppid() != start->parent)
        brim_admin_stop_listening(n.admin); /* another parent may be waiting for the address */
    node_close(&n);
    free(n.beats);
    BRIM_LOG(INFO, "node.ended", "pid=%d", (int)getpid());
    return EXIT_SUCCESS;
}

/* ---- the parent ---- */

struct parent {
    struct start start;
    struct brim_conf *conf; /* that the next node starts with */
    pid_t child;
    int ready_fd; /* read end */
    bool was_ready;
    bool ending;
    uint64_t born_ms;
    unsigned backoff_ms;
};

static void run_child(const struct start *start, pid_t parent)
{
    /* A node without its parent would keep the sockets from the next one. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(EXIT_FAILURE);
    exit(node_main(start));
}

static bool spawn(struct parent *p)
{
    pid_t self = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    p->start.conf = p->conf;
    p->start.parent = self;
    p->start.ready_fd = ends[1];
    p->born_ms = brim_clock_mono_ms();
    p->child = fork();
    if (p->child == 0) {
        close(ends[0]);
        run_child(&p->start, self);
    }
    close(ends[1]);
    p->ready_fd = ends[0];
    if (p->child < 0)
        close(ends[0]);
    return p->child > 0;
}

static void note_ready(struct parent *p)
{
    char byte;

    if (p->ready_fd < 0)
        return;
    if (read(p->ready_fd, &byte, 1) == 1)
        p->was_ready = true;
    close(p->ready_fd);
    p->ready_fd = -1;
}

static void pause_ms(unsigned ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&span, NULL);
}

/* Returns the exit status to end with, or -1 to go on with a new node. */
static int child_ended(struct parent *p, int status)
{
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    uint64_t lived_ms = brim_clock_mono_ms() - p->born_ms;

    note_ready(p);
    if (p->ending || clean)
        return clean ? EXIT_SUCCESS : EXIT_FAILURE;
    if (!p->was_ready)
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
    if (lived_ms >= STABLE_MS)
        p->backoff_ms = 0;
    BRIM_LOG(ERROR, "node.died", "pid=%d signal=%d status=%d lived_ms=%llu restart_in_ms=%u",
             (int)p->child, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
             WIFEXITED(status) ? WEXITSTATUS(status) : 0, (unsigned long long)lived_ms,
             p->backoff_ms);
    pause_ms(p->backoff_ms);
    p->backoff_ms = p->backoff_ms == 0 ? BACKOFF_FIRST_MS : p->backoff_ms * 2;
    if (p->backoff_ms > BACKOFF_MAX_MS)
        p->backoff_ms = BACKOFF_MAX_MS;
    p->start.restarts++;
    return spawn(p) ? -1 : EXIT_FAILURE;
}

/* The node has put the config in the file in force. One that was changed again meanwhile, and not
 * checked by the node, is left alone here as it would be there. */
static void follow_reload(struct parent *p)
{
    struct brim_conf *next = NULL;
    FILE *nowhere = fopen("/dev/null", "w");

    if (nowhere == NULL)
        return;
    if (brim_conf_load(brim_conf_path(p->conf), nowhere, &next) == BRIM_OK &&
        brim_conf_reload_check(p->conf, next, nowhere) == BRIM_OK) {
        brim_conf_free(p->conf);
        p->conf = next;
    } else {
        brim_conf_free(next);
    }
    (void)fclose(nowhere);
}

static int supervise(struct parent *p, const sigset_t *signals)
{
    if (!spawn(p)) {
        BRIM_LOG(ERROR, "node.fork_failed", "errno=%d", errno);
        return EXIT_FAILURE;
    }
    for (;;) {
        int number = sigwaitinfo(signals, NULL);
        int status, result;

        if (number == SIGTERM || number == SIGINT) {
            p->ending = true;
            brim_sockets_close(p->start.sockets); /* refused, not left to wait for nobody */
        }
        if (number == SIG_RELOADED)
            follow_reload(p);
        else if (number > 0 && number != SIGCHLD)
            kill(p->child, number);
        while (waitpid(p->child, &status, WNOHANG) == p->child) {
            result = child_ended(p, status);
            if (result >= 0)
                return result;
        }
    }
}

/* ---- common ---- */

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGUSR1);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGCHLD);
    sigaddset(signals, SIG_RELOADED);
    sigprocmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t worker_count(const struct brim_conf_root *root)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (root->node.workers > 0)
        return (size_t)root->node.workers;
    return cores < 1 ? 1 : (size_t)cores;
}

/* Certificates are read again in the node; here only their faults count. */
static enum brim_err check_tls(const struct brim_conf *conf)
{
    struct node probe = {.conf = conf, .root = brim_conf_root(conf)};
    enum brim_err err = open_tls(&probe, stderr);

    close_tls(&probe);
    return err;
}

/* A socket that nobody listens on would have its clients wait for ever. */
static bool is_all_claimed(const struct brim_conf *conf, const struct brim_inherited *inherited)
{
    const char *left = brim_inherited_left(inherited);

    if (left != NULL)
        fprintf(
            stderr,
            "%s:%d: listeners: the service manager hands over a socket \"%s\" that is none of "
            "these; accepted: listening sockets with an address or a socket name of a listener\n",
            brim_conf_path(conf), brim_conf_line(conf, "listeners"), left);
    return left == NULL;
}

int brim_node_run(const char *conf_path, enum brim_node_mode mode)
{
    struct brim_conf *conf = NULL;
    struct brim_sockets sockets = {.admin_fd = -1};
    struct brim_inherited *inherited = brim_inherited_open();
    struct parent parent = {.ready_fd = -1};
    sigset_t signals;
    int status = EXIT_CONFIG;

    block_signals(&signals);
    raise_fd_limit();
    if (brim_conf_load(conf_path, stderr, &conf) != BRIM_OK)
        goto out;
    brim_log_setup((enum brim_log_level)brim_conf_root(conf)->log.level, STDERR_FILENO);
    if (check_tls(conf) != BRIM_OK ||
        brim_sockets_bind(conf, worker_count(brim_conf_root(conf)), inherited, stderr, &sockets) !=
            BRIM_OK ||
        !is_all_claimed(conf, inherited))
        goto out;
    parent.conf = conf;
    parent.start = (struct start){.conf = conf,
                                  .sockets = &sockets,
                                  .ready_fd = -1,
                                  .watchdog_us = brim_service_watchdog_us()};
    if (mode == BRIM_NODE_SUPERVISED)
        status = supervise(&parent, &signals);
    else
        status = node_main(&parent.start);
    conf = parent.conf;
out:
    brim_sockets_close(&sockets);
    brim_inherited_close(inherited);
    brim_conf_free(conf);
    return status;
}
