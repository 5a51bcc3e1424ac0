/* SPDX-License-Identifier: MIT */
#include "brim/policy/origins.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/metric_group.h"

struct counted {
    _Atomic unsigned refs; /* snapshots that have it */
    struct brim_origin origin;
};

struct brim_origins {
    struct counted **items;
    size_t count;
    unsigned next_id;
};

static const char *none_if_empty(const char *text)
{
    return text[0] == '\0' ? NULL : brim_strdup(text);
}

static struct counted *compile(const struct brim_conf_origin *conf, unsigned id)
{
    struct counted *counted = brim_alloc(sizeof(*counted));
    const char **servers = brim_alloc(conf->servers.count * sizeof(*servers));

    for (size_t i = 0; i < conf->servers.count; i++)
        servers[i] = brim_strdup(conf->servers.items[i].url);
    atomic_init(&counted->refs, 1);
    counted->origin = (struct brim_origin){
        .name = brim_strdup(conf->name),
        .servers = servers,
        .server_count = (unsigned)conf->servers.count,
        .host = none_if_empty(conf->host),
        .fetch =
            {
                .id = id,
                .metrics = brim_metric_group(BRIM_METRIC_ORIGIN, conf->name),
                .connections_max = (unsigned)conf->pool,
                .queue_max = (unsigned)conf->queue,
                .connect_timeout_ms = (uint64_t)conf->connect_timeout_ms,
                .first_byte_timeout_ms = (uint64_t)conf->first_byte_timeout_ms,
                .between_bytes_timeout_ms = (uint64_t)conf->between_bytes_timeout_ms,
                .tls_verify = conf->tls.verify,
                .tls_ca_file = none_if_empty(conf->tls.ca),
                .tls_server_name = none_if_empty(conf->tls.server_name),
            },
    };
    return counted;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool have_same_servers(const struct brim_origin *a, const struct brim_origin *b)
{
    if (a->server_count != b->server_count)
        return false;
    for (unsigned i = 0; i < a->server_count; i++)
        if (strcmp(a->servers[i], b->servers[i]) != 0)
            return false;
    return true;
}

static bool is_same(const struct brim_origin *a, const struct brim_origin *b)
{
    const struct brim_fetch_origin *x = &a->fetch, *y = &b->fetch;

    return have_same_servers(a, b) && is_same_text(a->host, b->host) &&
           x->connections_max == y->connections_max && x->queue_max == y->queue_max &&
           x->connect_timeout_ms == y->connect_timeout_ms &&
           x->first_byte_timeout_ms == y->first_byte_timeout_ms &&
           x->between_bytes_timeout_ms == y->between_bytes_timeout_ms &&
           x->tls_verify == y->tls_verify && is_same_text(x->tls_ca_file, y->tls_ca_file) &&
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
    for (unsigned i = 0; i < origin->server_count; i++)
        free_const(origin->servers[i]);
    free_const(origin->servers);
    free_const(origin->name);
    free_const(origin->host);
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

struct brim_origins *brim_origins_compile(const struct brim_conf_root *conf,
                                          const struct brim_origins *previous)
{
    struct brim_origins *origins = brim_alloc(sizeof(*origins));

    origins->items = brim_alloc((conf->origins.count + 1) * sizeof(struct counted *));
    origins->count = conf->origins.count;
    origins->next_id = previous == NULL ? 0 : previous->next_id;
    for (size_t i = 0; i < conf->origins.count; i++) {
        const struct brim_conf_origin *from = &conf->origins.items[i];
        struct counted *old = find(previous, brim_str_of(from->name));
        struct counted *made =
            compile(from, old == NULL ? origins->next_id++ : old->origin.fetch.id);

        if (old != NULL && is_same(&old->origin, &made->origin)) {
            atomic_fetch_add_explicit(&old->refs, 1, memory_order_relaxed);
            unref(made);
            made = old;
        }
        origins->items[i] = made;
    }
    return origins;
}

void brim_origins_free(struct brim_origins *origins)
{
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
