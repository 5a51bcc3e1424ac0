/* SPDX-License-Identifier: MIT */
#include "brim/policy/handlers.h"

#include <pthread.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/base/metric_group.h"
#include "brim/cache/cache.h"
#include "brim/policy/geo.h"
#include "brim/policy/script_file.h"

#define HANDLERS_MAGIC 0x68646c31u
#define WORKERS_MAX    256 /* of node.workers */
#define FREE_MAX       64  /* fetchers: so many can be in handlers at once */
#define ERROR_BYTES    2048

struct brim_handlers {
    uint32_t magic;
    char *site;
    char *file;
    char *root;
    const char **env; /* pairs, then NULL */
    struct brim_script_files *files;
    struct brim_script_stores stores;
    struct brim_script_limits limits;
    enum brim_handlers_failure failure;
    bool shows_errors;
    unsigned phases;
    unsigned metrics;                        /* a group */
    struct brim_script_vm *vms[WORKERS_MAX]; /* each touched by its worker only */
    pthread_mutex_t lock;                    /* of the two below; not held while one is opened */
    struct brim_script_vm *free[FREE_MAX];
    size_t free_count;
};

/* ---- what the VMs get from the node ---- */

static void host_log(void *ctx, enum brim_log_level level, struct brim_str text)
{
    const struct brim_handlers *h = ctx;
    int len = (int)text.len;

    switch (level) {
    case BRIM_LOG_ERROR:
        BRIM_LOG(ERROR, "script.log", "site=%s text=\"%.*s\"", h->site, len, text.base);
        return;
    case BRIM_LOG_WARN:
        BRIM_LOG(WARN, "script.log", "site=%s text=\"%.*s\"", h->site, len, text.base);
        return;
    case BRIM_LOG_INFO:
        BRIM_LOG(INFO, "script.log", "site=%s text=\"%.*s\"", h->site, len, text.base);
        return;
    case BRIM_LOG_DEBUG:
        BRIM_LOG(DEBUG, "script.log", "site=%s text=\"%.*s\"", h->site, len, text.base);
        return;
    }
}

static void host_count(void *ctx, struct brim_str name, int64_t n)
{
    (void)ctx;
    brim_metric_add_named(name, n);
}

/* In force here when it returns, whoever is above; what the tier above brings back until it has
 * purged too is purged again behind that. */
static const char *host_purge(void *ctx, const struct brim_script_purge *purge)
{
    const struct brim_handlers *h = ctx;
    const struct brim_script_stores *stores = &h->stores;
    uint64_t *scopes = brim_alloc((BRIM_PURGE_NAME_SCOPES * purge->count + 1) * sizeof(*scopes));
    const char *missing = NULL;
    size_t count = 0;

    for (size_t i = 0; i < purge->count; i++)
        count += brim_purge_name_scopes(purge->names[i].noun, purge->names[i].text, scopes + count);
    if (purge->is_all)
        scopes[count++] = brim_purge_scope_all();
    if (brim_cache_purge_soon(stores->cache, scopes, count,
                              purge->is_soft ? BRIM_PURGE_SOFT : BRIM_PURGE_HARD) != BRIM_OK)
        missing = "in force, but too much waits for the disk: a restart may forget it";
    if (stores->pass_purge != NULL && !stores->pass_purge(stores->up, purge, scopes, count))
        missing = "in force here, but too much waits for the tier above: it was not passed on";
    BRIM_LOG(INFO, "script.purge", "site=%s kind=%s named=%zu all=%s", h->site,
             purge->is_soft ? "soft" : "hard", purge->count, purge->is_all ? "yes" : "no");
    if (missing != NULL)
        BRIM_LOG(ERROR, "script.purge_missing", "site=%s what=\"%s\"", h->site, missing);
    free(scopes);
    return missing;
}

static enum brim_err host_geo(void *ctx, struct brim_str ip, struct brim_geo_place *place_out)
{
    return brim_geo_find(((const struct brim_handlers *)ctx)->stores.geo, ip, place_out);
}

/* ---- life ---- */

static enum brim_err open_vm(struct brim_handlers *h, char *error, struct brim_script_vm **vm_out)
{
    struct brim_script_host host = {
        .ctx = h,
        .log = host_log,
        .count = host_count,
        .purge = h->stores.cache == NULL ? NULL : host_purge,
        .kv = h->stores.kv,
        .dict = h->stores.dict,
        .geo = h->stores.geo == NULL ? NULL : host_geo,
    };
    struct brim_script_config config = {
        .file = h->file, .root = h->root, .limits = h->limits, .files = h->files, .env = h->env};

    brim_script_host_use_system(&host);
    return brim_script_vm_open(&config, &host, error, ERROR_BYTES, vm_out);
}

/* One line, as the log has it. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\n' || *text == '\t')
            *text = *text == '\n' ? '|' : ' ';
}

static void take_env(struct brim_handlers *h, const struct brim_conf_handlers *conf)
{
    h->env = brim_alloc((conf->env.count * 2 + 1) * sizeof(*h->env));
    for (size_t i = 0; i < conf->env.count; i++) {
        h->env[2 * i] = brim_strdup(conf->env.items[i].name);
        h->env[2 * i + 1] = brim_strdup(conf->env.items[i].value);
    }
}

enum brim_err brim_handlers_open(const struct brim_conf_handlers *conf, const char *site,
                                 const struct brim_script_stores *stores,
                                 struct brim_handlers **handlers_out)
{
    struct brim_handlers *h = brim_alloc(sizeof(*h));
    char error[ERROR_BYTES];

    *handlers_out = NULL;
    h->magic = HANDLERS_MAGIC;
    h->site = brim_strdup(site);
    if (stores != NULL)
        h->stores = *stores;
    h->file = brim_strdup(conf->file);
    h->root = brim_strdup(conf->root);
    h->failure = (enum brim_handlers_failure)conf->on_error;
    h->shows_errors = conf->debug;
    h->limits = (struct brim_script_limits){
        .cpu_us = (uint64_t)conf->cpu_ms * 1000,
        .wall_ms = (uint64_t)conf->wall_ms,
        .memory_bytes = conf->memory_bytes,
        .vm_bytes = conf->vm_memory_bytes,
        .fetch_bytes = conf->fetch_bytes,
        .fetches = (unsigned)conf->fetches,
    };
    h->files = brim_script_files_new();
    take_env(h, conf);
    h->metrics = brim_metric_group(BRIM_METRIC_HANDLERS, site);
    pthread_mutex_init(&h->lock, NULL);
    if (open_vm(h, error, &h->vms[0]) != BRIM_OK) {
        flatten(error);
        BRIM_LOG(ERROR, "script.invalid", "site=%s error=\"%s\"", site, error);
        brim_handlers_close(h);
        return BRIM_EINVAL;
    }
    for (unsigned phase = 0; phase < BRIM_SCRIPT_PHASES; phase++)
        if (brim_script_vm_has(h->vms[0], (enum brim_script_phase)phase))
            h->phases |= 1u << phase;
    *handlers_out = h;
    return BRIM_OK;
}

void brim_handlers_close(struct brim_handlers *h)
{
    if (h == NULL)
        return;
    OBJ_CHECK(h, HANDLERS_MAGIC);
    for (size_t i = 0; i < WORKERS_MAX; i++)
        brim_script_vm_close(h->vms[i]);
    for (size_t i = 0; i < h->free_count; i++)
        brim_script_vm_close(h->free[i]);
    brim_script_files_free(h->files);
    pthread_mutex_destroy(&h->lock);
    for (size_t i = 0; h->env[i] != NULL; i++)
        free((void *)(uintptr_t)h->env[i]);
    free(h->env);
    free(h->site);
    free(h->file);
    free(h->root);
    h->magic = 0;
    free(h);
}

bool brim_handlers_has(const struct brim_handlers *h, enum brim_script_phase phase)
{
    return h != NULL && (h->phases & (1u << phase)) != 0;
}

enum brim_handlers_failure brim_handlers_failure(const struct brim_handlers *h)
{
    return h->failure;
}

bool brim_handlers_shows_errors(const struct brim_handlers *h)
{
    return h->shows_errors;
}

static struct brim_script_vm *new_vm(struct brim_handlers *h)
{
    struct brim_script_vm *vm = NULL;
    char error[ERROR_BYTES];

    if (open_vm(h, error, &vm) != BRIM_OK) {
        flatten(error);
        BRIM_LOG(ERROR, "script.invalid", "site=%s error=\"%s\"", h->site, error);
    }
    return vm;
}

struct brim_script_vm *brim_handlers_vm(struct brim_handlers *h, size_t worker)
{
    OBJ_CHECK(h, HANDLERS_MAGIC);
    INVARIANT(worker < WORKERS_MAX);
    if (h->vms[worker] == NULL)
        h->vms[worker] = new_vm(h);
    return h->vms[worker];
}

struct brim_script_vm *brim_handlers_take_vm(struct brim_handlers *h)
{
    struct brim_script_vm *vm = NULL;

    OBJ_CHECK(h, HANDLERS_MAGIC);
    pthread_mutex_lock(&h->lock);
    if (h->free_count > 0)
        vm = h->free[--h->free_count];
    pthread_mutex_unlock(&h->lock);
    return vm != NULL ? vm : new_vm(h);
}

void brim_handlers_put_vm(struct brim_handlers *h, struct brim_script_vm *vm)
{
    pthread_mutex_lock(&h->lock);
    if (h->free_count < FREE_MAX) {
        h->free[h->free_count++] = vm;
        vm = NULL;
    }
    pthread_mutex_unlock(&h->lock);
    brim_script_vm_close(vm);
}

void brim_handlers_count(const struct brim_handlers *h, enum brim_script_phase phase,
                         uint64_t cpu_us)
{
    BRIM_COUNT(SCRIPT_CALLS);
    BRIM_ADD(SCRIPT_CPU_US, cpu_us);
    brim_metric_count_handler(h->metrics, phase, BRIM_METRIC_HANDLER_CALLS, 1);
    brim_metric_count_handler(h->metrics, phase, BRIM_METRIC_HANDLER_CPU_US, (int64_t)cpu_us);
}

void brim_handlers_report(const struct brim_handlers *h, enum brim_script_phase phase,
                          enum brim_script_end end, const char *error)
{
    static const enum brim_metric metrics[] = {
        [BRIM_SCRIPT_ERROR] = BRIM_METRIC_SCRIPT_ERROR,
        [BRIM_SCRIPT_CPU] = BRIM_METRIC_SCRIPT_CPU,
        [BRIM_SCRIPT_WALL] = BRIM_METRIC_SCRIPT_WALL,
        [BRIM_SCRIPT_MEMORY] = BRIM_METRIC_SCRIPT_MEMORY,
    };
    static const enum brim_metric_handler_cell cells[] = {
        [BRIM_SCRIPT_ERROR] = BRIM_METRIC_HANDLER_ERROR,
        [BRIM_SCRIPT_CPU] = BRIM_METRIC_HANDLER_CPU,
        [BRIM_SCRIPT_WALL] = BRIM_METRIC_HANDLER_WALL,
        [BRIM_SCRIPT_MEMORY] = BRIM_METRIC_HANDLER_MEMORY,
    };
    char line[ERROR_BYTES];

    INVARIANT(end != BRIM_SCRIPT_OK && end < BRIM_SCRIPT_WAIT);
    brim_metric_add(metrics[end], 1);
    brim_metric_count_handler(h->metrics, phase, cells[end], 1);
    (void)snprintf(line, sizeof(line), "%s", error);
    flatten(line);
    BRIM_LOG(WARN, "script.failed", "site=%s handler=%s reason=%s error=\"%s\"", h->site,
             brim_script_phase_name(phase), brim_script_end_name(end), line);
}
