/* SPDX-License-Identifier: MIT */
#include "brim/policy/origins.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric_group.h"
#include "brim/origin/sticky.h"

struct counted {
    _Atomic unsigned refs; /* snapshots that have it */
    struct brim_origin origin;
    struct brim_balance_config config; /* of origin.balance */
    struct brim_balance_server *servers;
    bool is_faulty; /* a file of it is not usable */
};

enum { ALL_DOWN_FAIL, ALL_DOWN_ASK }; /* values of health.all_down */

struct brim_origins {
    struct counted **items;
    size_t count;
    unsigned next_id;
};

static const char *none_if_empty(const char *text)
{
    return text[0] == '\0' ? NULL : brim_strdup(text);
}

static struct brim_balance_config balance_config(const struct brim_conf_origin *conf,
                                                 const struct counted *counted)
{
    bool is_checked = conf->health.path[0] != '\0';

    return (struct brim_balance_config){
        .name = counted->origin.name,
        .servers = counted->servers,
        .server_count = (unsigned)conf->servers.count,
        .method = (enum brim_balance_method)conf->balance,
        .eject_failures = (unsigned)conf->eject_failures,
        .eject_percent = (unsigned)conf->eject_percent,
        .eject_ms = (uint64_t)conf->eject_time_ms,
        .eject_max = (unsigned)conf->eject_max,
        .slow_start_ms = (uint64_t)conf->slow_start_ms,
        .retry_percent = (unsigned)conf->retry_percent,
        .rise = is_checked ? (unsigned)conf->health.rise : 0,
        .fall = is_checked ? (unsigned)conf->health.fall : 0,
        .asks_down = conf->health.all_down == ALL_DOWN_ASK,
        .has_fallback = conf->fallback[0] != '\0',
    };
}

static struct brim_check_rules health_rules(const struct brim_conf_health *conf)
{
    struct brim_check_rules rules = {
        .path = none_if_empty(conf->path),
        .host = none_if_empty(conf->host),
        .body = none_if_empty(conf->body),
        .interval_ms = (uint64_t)conf->interval_ms,
        .timeout_ms = (uint64_t)conf->timeout_ms,
    };

    if (brim_spans_parse(conf->status, &rules.statuses) != BRIM_OK)
        rules.statuses.count = 0; /* the config's checks have seen to it that it is not so */
    return rules;
}

static void compile_balance(const struct brim_conf_origin *conf, struct counted *counted)
{
    counted->servers = brim_alloc(conf->servers.count * sizeof(*counted->servers));
    for (size_t i = 0; i < conf->servers.count; i++)
        counted->servers[i] = (struct brim_balance_server){
            .url = brim_strdup(conf->servers.items[i].url),
            .weight = (unsigned)conf->servers.items[i].weight,
            .connections_max = (unsigned)conf->servers.items[i].max_connections,
            .is_backup = conf->servers.items[i].backup,
        };
    counted->config = balance_config(conf, counted);
    counted->origin.balance = brim_balance_open(&counted->config);
}

/* Of a field as fields are kept, in lower case; of a cookie, where case matters, as it is. */
static struct brim_str hash_name(const struct brim_conf_origin *conf)
{
    return brim_str_of(conf->hash_on == BRIM_HASH_ON_HEADER ? brim_strdup_lower(conf->hash_name)
                                                            : brim_strdup(conf->hash_name));
}

static void compile_retries(const struct brim_conf_strings *conf, struct brim_origin *origin)
{
    struct brim_spans *statuses = &origin->retry_on;
    struct brim_spans one;

    for (size_t i = 0; i < conf->count; i++)
        if (strcmp(conf->items[i], "timeout") == 0)
            origin->retry_timeout = true;
        else if (statuses->count < BRIM_SPANS_MAX &&
                 brim_spans_parse(conf->items[i], &one) == BRIM_OK)
            statuses->items[statuses->count++] = one.items[0];
}

/* Other brims know by the secret that it is one of theirs that asks. */
static void compile_tier(const struct brim_conf_node *node, const struct brim_conf_origin *conf,
                         struct brim_origin *origin)
{
    enum brim_err err;

    if (origin->tier == BRIM_TIER_ORIGIN)
        return;
    err = brim_secret_open(node->tier_secret, &origin->tier_secret);
    if (err != BRIM_OK)
        BRIM_LOG(ERROR, "origin.secret_unusable", "origin=%s file=%s reason=%s", origin->name,
                 node->tier_secret, brim_err_name(err));
    for (size_t i = 0; origin->tier == BRIM_TIER_PEER && i < conf->servers.count; i++)
        if (strcmp(conf->servers.items[i].node, node->id) == 0)
            origin->self = (unsigned)i + 1;
}

static struct counted *compile(const struct brim_conf_origin *conf, unsigned id)
{
    struct counted *counted = brim_alloc(sizeof(*counted));
    unsigned group = brim_metric_group(BRIM_METRIC_ORIGIN, conf->name);

    atomic_init(&counted->refs, 1);
    counted->origin = (struct brim_origin){
        .name = brim_strdup(conf->name),
        .host = none_if_empty(conf->host),
        .hash_on = (enum brim_hash_on)conf->hash_on,
        .hash_name = hash_name(conf),
        .health = health_rules(&conf->health),
        .hedge_ms = conf->hedge_ms < 0 ? 0 : (uint64_t)conf->hedge_ms,
        .tier = (enum brim_tier_kind)conf->tier,
        .fetch =
            {
                .id = id,
                .metrics = group,
                .sockets = group,
                .connections_max = (unsigned)conf->pool,
                .queue_max = (unsigned)conf->queue,
                .connect_timeout_ms = (uint64_t)conf->connect_timeout_ms,
                .first_byte_timeout_ms = (uint64_t)conf->first_byte_timeout_ms,
                .between_bytes_timeout_ms = (uint64_t)conf->between_bytes_timeout_ms,
                .is_http2 = conf->http2,
                .tls_verify = conf->tls.verify,
                .tls_ca_file = none_if_empty(conf->tls.ca),
                .tls_server_name = none_if_empty(conf->tls.server_name),
            },
    };
    compile_retries(&conf->retry_on, &counted->origin);
    compile_balance(conf, counted);
    if (conf->sticky.cookie[0] != '\0') {
        struct brim_sticky_config sticky = {.origin = counted->origin.name,
                                            .cookie = conf->sticky.cookie,
                                            .secret = conf->sticky.secret,
                                            .ttl_s = conf->sticky.ttl_ms / 1000};

        counted->is_faulty =
            brim_sticky_open(&sticky, counted->origin.balance, &counted->origin.sticky) != BRIM_OK;
    }
    return counted;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool have_same_servers(const struct counted *a, const struct counted *b)
{
    if (a->config.server_count != b->config.server_count)
        return false;
    for (unsigned i = 0; i < a->config.server_count; i++)
        if (strcmp(a->servers[i].url, b->servers[i].url) != 0 ||
            a->servers[i].weight != b->servers[i].weight ||
            a->servers[i].connections_max != b->servers[i].connections_max ||
            a->servers[i].is_backup != b->servers[i].is_backup)
            return false;
    return true;
}

static bool is_balanced_alike(const struct counted *a, const struct counted *b)
{
    const struct brim_balance_config *x = &a->config, *y = &b->config;

    return have_same_servers(a, b) && x->method == y->method &&
           x->eject_failures == y->eject_failures && x->eject_percent == y->eject_percent &&
           x->eject_ms == y->eject_ms && x->eject_max == y->eject_max &&
           x->slow_start_ms == y->slow_start_ms && x->retry_percent == y->retry_percent &&
           x->rise == y->rise && x->fall == y->fall && x->asks_down == y->asks_down &&
           x->has_fallback == y->has_fallback && a->origin.hash_on == b->origin.hash_on &&
           brim_str_is(a->origin.hash_name, b->origin.hash_name);
}

static bool are_checked_alike(const struct brim_check_rules *a, const struct brim_check_rules *b)
{
    return is_same_text(a->path, b->path) && is_same_text(a->host, b->host) &&
           is_same_text(a->body, b->body) && a->interval_ms == b->interval_ms &&
           a->timeout_ms == b->timeout_ms &&
           memcmp(&a->statuses, &b->statuses, sizeof(a->statuses)) == 0;
}

static bool are_tried_alike(const struct brim_origin *a, const struct brim_origin *b)
{
    return brim_sticky_is_same(a->sticky, b->sticky) && a->fallback == b->fallback &&
           a->hedge_ms == b->hedge_ms && a->retry_timeout == b->retry_timeout &&
           memcmp(&a->retry_on, &b->retry_on, sizeof(a->retry_on)) == 0;
}

static bool are_tiers_alike(const struct brim_origin *a, const struct brim_origin *b)
{
    char x[BRIM_SECRET_SIGN_BYTES], y[BRIM_SECRET_SIGN_BYTES];

    if (a->tier != b->tier || a->self != b->self ||
        (a->tier_secret == NULL) != (b->tier_secret == NULL))
        return false;
    if (a->tier_secret == NULL)
        return true;
    brim_secret_sign(a->tier_secret, BRIM_STR("same"), x);
    brim_secret_sign(b->tier_secret, BRIM_STR("same"), y);
    return brim_secret_is_equal(x, y);
}

static bool is_same(const struct counted *one, const struct counted *other)
{
    const struct brim_origin *a = &one->origin, *b = &other->origin;
    const struct brim_fetch_origin *x = &a->fetch, *y = &b->fetch;

    return is_balanced_alike(one, other) && are_checked_alike(&a->health, &b->health) &&
           are_tried_alike(a, b) && is_same_text(a->host, b->host) &&
           x->connections_max == y->connections_max && x->queue_max == y->queue_max &&
           x->connect_timeout_ms == y->connect_timeout_ms &&
           x->first_byte_timeout_ms == y->first_byte_timeout_ms &&
           x->between_bytes_timeout_ms == y->between_bytes_timeout_ms && are_tiers_alike(a, b) &&
           x->is_http2 == y->is_http2 && x->tls_verify == y->tls_verify &&
           is_same_text(x->tls_ca_file, y->tls_ca_file) &&
           is_same_text(x->tls_server_name, y->tls_server_name);
}

/* Strings of our own behind pointers to const. */
static void free_const(const void *memory)
{
    free((void *)(uintptr_t)memory);
}

static void unref(struct counted *counted)
{
    struct brim_origin *origin = &counted->origin;

    if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
        return;
    brim_balance_close(origin->balance);
    brim_secret_close(origin->tier_secret);
    brim_sticky_close(origin->sticky);
    for (unsigned i = 0; i < counted->config.server_count; i++)
        free_const(counted->servers[i].url);
    free(counted->servers);
    free_const(origin->hash_name.base);
    free_const(origin->name);
    free_const(origin->host);
    free_const(origin->health.path);
    free_const(origin->health.host);
    free_const(origin->health.body);
    free_const(origin->fetch.tls_ca_file);
    free_const(origin->fetch.tls_server_name);
    free(counted);
}

static struct counted *find(const struct brim_origins *origins, struct brim_str name)
{
    for (size_t i = 0; origins != NULL && i < origins->count; i++)
        if (brim_str_is(name, brim_str_of(origins->items[i]->origin.name)))
            return origins->items[i];
    return NULL;
}

struct compiling {
    const struct brim_conf_root *conf;
    const struct brim_origins *previous;
    struct brim_origins *origins;
};

static struct brim_origin *settle_named(const struct compiling *c, const char *name);

/* Those that stand in come first: one that is new makes whom it stands in for new, too. The chain
 * ends: the config's checks have seen to it. */
static struct counted *settle(const struct compiling *c, size_t i)
{
    const struct brim_conf_origin *from = &c->conf->origins.items[i];
    struct counted *old = find(c->previous, brim_str_of(from->name)), *made;

    if (c->origins->items[i] != NULL)
        return c->origins->items[i];
    made = compile(from, old == NULL ? c->origins->next_id++ : old->origin.fetch.id);
    made->origin.fallback = settle_named(c, from->fallback);
    compile_tier(&c->conf->node, from, &made->origin);
    if (old != NULL && !made->is_faulty && is_same(old, made)) {
        atomic_fetch_add_explicit(&old->refs, 1, memory_order_relaxed);
        unref(made);
        made = old;
    } else if (old != NULL) {
        brim_balance_inherit(made->origin.balance, old->origin.balance);
    }
    c->origins->items[i] = made;
    return made;
}

static struct brim_origin *settle_named(const struct compiling *c, const char *name)
{
    if (name[0] == '\0')
        return NULL;
    for (size_t i = 0; i < c->conf->origins.count; i++)
        if (strcmp(c->conf->origins.items[i].name, name) == 0)
            return &settle(c, i)->origin;
    return NULL;
}

struct brim_origins *brim_origins_compile(const struct brim_conf_root *conf,
                                          const struct brim_origins *previous)
{
    struct brim_origins *origins = brim_alloc(sizeof(*origins));
    struct compiling c = {.conf = conf, .previous = previous, .origins = origins};
    bool is_faulty = false;

    origins->items = brim_alloc((conf->origins.count + 1) * sizeof(struct counted *));
    origins->count = conf->origins.count;
    origins->next_id = previous == NULL ? 0 : previous->next_id;
    for (size_t i = 0; i < conf->origins.count; i++)
        is_faulty = settle(&c, i)->is_faulty || is_faulty;
    if (is_faulty) {
        brim_origins_free(origins);
        return NULL;
    }
    return origins;
}

void brim_origins_free(struct brim_origins *origins)
{
    if (origins == NULL)
        return;
    for (size_t i = 0; i < origins->count; i++)
        unref(origins->items[i]);
    free(origins->items);
    free(origins);
}

struct brim_origin *brim_origins_get(const struct brim_origins *origins, const char *name)
{
    struct counted *found = find(origins, brim_str_of(name));

    INVARIANT(found != NULL);
    return &found->origin;
}

struct brim_origin *brim_origins_find(const struct brim_origins *origins, struct brim_str name)
{
    struct counted *found = find(origins, name);

    return found == NULL ? NULL : &found->origin;
}

void brim_origins_check(const struct brim_origins *origins, struct brim_checks *checks,
                        const struct brim_checks_keep *keep)
{
    struct brim_origin **all = brim_alloc((origins->count + 1) * sizeof(struct brim_origin *));

    for (size_t i = 0; i < origins->count; i++)
        all[i] = &origins->items[i]->origin;
    brim_checks_follow(checks, all, origins->count, keep);
    free(all);
}
