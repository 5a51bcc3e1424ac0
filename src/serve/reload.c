/* SPDX-License-Identifier: MIT */
/*
 * One lock, held for the whole of a reload. Nothing that serves takes it; a call that finds it
 * taken is told to come again, so that a flood of calls cannot occupy the I/O pool. A signal cannot
 * be told anything, and what it is about may be newer than what the reload under way has read: it
 * waits.
 *
 * The config that the node started with stays in memory to the end: workers and listeners point
 * into it for what only a restart changes. Of later ones the latest is kept, for the next check.
 */
#include "brim/serve/reload.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brim/base/clock.h"
#include "brim/base/conf_check.h"
#include "brim/base/conf_reload.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/policy/compile_faults.h"
#include "brim/serve/service.h"

#define RELOAD_MAGIC  0x726c6431u
#define FAULTS_LOGGED 100u /* of a config with many handlers */

struct brim_reload {
    uint32_t magic;
    struct brim_reload_config config;
    pthread_mutex_t lock;
    pthread_mutex_t routes_lock; /* config.routes, for a moment */
    struct brim_conf *latest;    /* lock; NULL: still the one of the start */
    bool is_ended;               /* lock */
    int64_t loaded_s;            /* lock; what the gauge says */
};

/* What has been prepared and not yet put in force. */
struct prepared {
    struct brim_conf *conf;
    struct brim_routes *routes;
    struct brim_certificates **sets; /* per listener; NULL: cleartext */
};

static const struct brim_conf *in_force(const struct brim_reload *reload)
{
    return reload->latest != NULL ? reload->latest : reload->config.conf;
}

/* ---- preparing ---- */

static size_t listener_count(const struct brim_reload *reload)
{
    return brim_conf_root(reload->config.conf)->listeners.count;
}

/* A listener speaks TLS or it does not: the sockets of clients depend on it. */
static enum brim_err check_tls(const struct brim_reload *reload, size_t position,
                               const struct brim_conf *next, FILE *faults)
{
    const struct brim_conf_tls *tls = &brim_conf_root(next)->listeners.items[position].tls;
    bool has_tls = tls->certificates.count > 0;
    char path[64];
    int len;

    if (has_tls == (reload->config.tls[position] != NULL))
        return BRIM_OK;
    len = snprintf(path, sizeof(path), "listeners[%zu].tls.certificates", position);
    INVARIANT(len > 0 && (size_t)len < sizeof(path));
    (void)fprintf(faults, "%s:%d: %s: %s needs a restart; accepted: %s\n", brim_conf_path(next),
                  brim_conf_line(next, path), path,
                  has_tls ? "the first one" : "to remove the last one",
                  has_tls ? "none" : "1 or more");
    return BRIM_EINVAL;
}

/* To the end, so that every fault is told at once. */
static enum brim_err read_certificates(const struct brim_reload *reload, struct prepared *next,
                                       FILE *faults)
{
    size_t count = listener_count(reload);
    enum brim_err result = BRIM_OK;

    next->sets = brim_alloc(count * sizeof(struct brim_certificates *));
    for (size_t i = 0; i < count; i++) {
        enum brim_err err = check_tls(reload, i, next->conf, faults);

        if (err == BRIM_OK && reload->config.tls[i] != NULL)
            err = brim_certificates_read(next->conf, i, reload->config.tls[i], faults,
                                         &next->sets[i]);
        if (err != BRIM_OK)
            result = err;
    }
    return result;
}

static enum brim_err prepare(struct brim_reload *reload, struct prepared *next, FILE *faults)
{
    const struct brim_conf *running = in_force(reload);
    enum brim_err err = brim_conf_load(brim_conf_path(running), faults, &next->conf);
    struct brim_compile_faults told = {.out = faults};

    if (err == BRIM_OK)
        err = brim_conf_reload_check(running, next->conf, faults);
    if (err == BRIM_OK)
        err = read_certificates(reload, next, faults);
    if (err == BRIM_OK)
        err = brim_tls_origins_check(next->conf, faults);
    if (err != BRIM_OK)
        return err;
    told.conf = next->conf;
    err = brim_routes_compile(brim_conf_root(next->conf), reload->config.routes,
                              reload->config.stores, &told, &next->routes);
    brim_compile_faults_end();
    return err;
}

static void drop(const struct brim_reload *reload, struct prepared *next)
{
    for (size_t i = 0; next->sets != NULL && i < listener_count(reload); i++)
        brim_certificates_free(next->sets[i]);
    free(next->sets);
    brim_routes_unref(next->routes);
    brim_conf_free(next->conf);
}

/* ---- putting in force ---- */

/* The workers count what they use; the node holds one count of what is in force. */
static void swap_routes(struct brim_reload *reload, struct brim_routes *take)
{
    const struct brim_reload_config *c = &reload->config;

    for (size_t i = 0; i < c->worker_count; i++)
        brim_worker_swap(c->workers[i], take);
    for (size_t i = 0; i < c->worker_count; i++)
        brim_worker_swap_wait(c->workers[i]);
    pthread_mutex_lock(&reload->routes_lock);
    brim_routes_unref(reload->config.routes);
    reload->config.routes = take;
    pthread_mutex_unlock(&reload->routes_lock);
}

struct brim_routes *brim_reload_routes(struct brim_reload *reload)
{
    struct brim_routes *routes;

    OBJ_CHECK(reload, RELOAD_MAGIC);
    pthread_mutex_lock(&reload->routes_lock);
    routes = reload->config.routes;
    brim_routes_ref(routes);
    pthread_mutex_unlock(&reload->routes_lock);
    return routes;
}

/* A config has come into force. Not everybody runs brim check before. */
static void note_loaded(struct brim_reload *reload)
{
    int64_t now_s = (int64_t)time(NULL);
    struct brim_conf_text risk;

    if (brim_conf_check_risk(brim_conf_root(in_force(reload)), &risk))
        BRIM_LOG(WARN, "config.risk", "text='%s'", risk.bytes);

    BRIM_COUNT(CONFIG_GENERATION);
    BRIM_ADD(CONFIG_LOADED, now_s - reload->loaded_s);
    reload->loaded_s = now_s;
}

static void commit(struct brim_reload *reload, struct prepared *next)
{
    size_t count = listener_count(reload);

    for (size_t i = 0; i < count; i++) {
        if (next->sets[i] != NULL)
            brim_tls_replace(reload->config.tls[i], next->sets[i]);
        next->sets[i] = NULL;
    }
    brim_tls_note_expiry(reload->config.tls, count);
    swap_routes(reload, next->routes);
    brim_routes_check(next->routes, reload->config.checks);
    next->routes = NULL;
    brim_access_log_reopen(reload->config.log);
    brim_conf_free(reload->latest);
    reload->latest = next->conf;
    next->conf = NULL;
    note_loaded(reload);
}

/* ---- interface ---- */

struct brim_reload *brim_reload_open(const struct brim_reload_config *config)
{
    struct brim_reload *reload = brim_alloc(sizeof(*reload));

    reload->magic = RELOAD_MAGIC;
    reload->config = *config;
    brim_routes_ref(reload->config.routes);
    pthread_mutex_init(&reload->lock, NULL);
    pthread_mutex_init(&reload->routes_lock, NULL);
    note_loaded(reload);
    return reload;
}

/* For whoever asks later why the old config is in force. Whoever called may be told them, too. */
static void tell_faults(char *text, FILE *caller)
{
    char *rest = NULL;
    size_t count = 0;

    if (caller != NULL)
        (void)fputs(text, caller);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        if (count++ < FAULTS_LOGGED)
            BRIM_LOG_ALL(ERROR, "reload.fault", "text='%s'", line);
    if (count > FAULTS_LOGGED)
        BRIM_LOG(ERROR, "reload.more_faults", "count=%zu; brim check tells all of them",
                 count - FAULTS_LOGGED);
}

static enum brim_err prepare_and_tell(struct brim_reload *reload, struct prepared *next,
                                      FILE *caller)
{
    char *text = NULL;
    size_t len = 0;
    FILE *faults = open_memstream(&text, &len);
    enum brim_err err;

    INVARIANT(faults != NULL);
    err = prepare(reload, next, faults);
    (void)fclose(faults);
    if (err != BRIM_OK)
        BRIM_LOG(ERROR, "reload.refused", "path=%s reason=%s; the config in force stays",
                 brim_conf_path(in_force(reload)), brim_err_name(err));
    tell_faults(text, caller);
    free(text);
    return err;
}

/* Under the lock, which it lets go. */
static enum brim_err run(struct brim_reload *reload, FILE *faults)
{
    uint64_t began_ms = brim_clock_mono_ms();
    struct prepared next = {0};
    enum brim_err err = BRIM_ECLOSED;

    if (reload->is_ended)
        goto out;
    brim_service_reloading();
    err = prepare_and_tell(reload, &next, faults);
    if (err != BRIM_OK)
        goto out;
    commit(reload, &next);
    BRIM_LOG(INFO, "reload.done", "path=%s took_ms=%llu", brim_conf_path(in_force(reload)),
             (unsigned long long)(brim_clock_mono_ms() - began_ms));
    if (reload->config.done != NULL)
        reload->config.done(reload->config.ctx);
out:
    drop(reload, &next);
    if (err != BRIM_ECLOSED)
        brim_service_ready();
    pthread_mutex_unlock(&reload->lock);
    if (err != BRIM_ECLOSED) /* who sees the number may reload again, and is not told to wait */
        brim_metric_add(err == BRIM_OK ? BRIM_METRIC_RELOAD_OK : BRIM_METRIC_RELOAD_REFUSED, 1);
    return err;
}

enum brim_err brim_reload_run(struct brim_reload *reload, FILE *faults)
{
    OBJ_CHECK(reload, RELOAD_MAGIC);
    return pthread_mutex_trylock(&reload->lock) == 0 ? run(reload, faults) : BRIM_EAGAIN;
}

void brim_reload_run_in_turn(struct brim_reload *reload)
{
    OBJ_CHECK(reload, RELOAD_MAGIC);
    pthread_mutex_lock(&reload->lock);
    (void)run(reload, NULL);
}

void brim_reload_end(struct brim_reload *reload)
{
    OBJ_CHECK(reload, RELOAD_MAGIC);
    pthread_mutex_lock(&reload->lock);
    reload->is_ended = true;
    pthread_mutex_unlock(&reload->lock);
}

const struct brim_conf_root *brim_reload_root(const struct brim_reload *reload)
{
    OBJ_CHECK(reload, RELOAD_MAGIC);
    return brim_conf_root(in_force(reload));
}

void brim_reload_close(struct brim_reload *reload)
{
    OBJ_CHECK(reload, RELOAD_MAGIC);
    brim_routes_unref(reload->config.routes);
    brim_conf_free(reload->latest);
    pthread_mutex_destroy(&reload->lock);
    pthread_mutex_destroy(&reload->routes_lock);
    reload->magic = 0;
    free(reload);
}
