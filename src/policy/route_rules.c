/* SPDX-License-Identifier: MIT */
/* What a site or a route says of the cache and its keys, as requests read it. */
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/policy/route.h"
#include "brim/policy/route_inside.h"

static struct brim_targets copy_by(char *(*copy)(const char *),
                                   const struct brim_conf_strings *conf)
{
    struct brim_str *names = brim_alloc((conf->count + 1) * sizeof(*names));

    for (size_t i = 0; i < conf->count; i++)
        names[i] = brim_str_of(copy(conf->items[i]));
    return (struct brim_targets){names, conf->count};
}

static struct brim_targets compile_targets(const struct brim_conf_strings *conf)
{
    return copy_by(brim_strdup_lower, conf);
}

/* As it is written: names of parameters and cookies are told apart by case. */
static struct brim_targets compile_names(const struct brim_conf_strings *conf)
{
    return copy_by(brim_strdup, conf);
}

struct brim_cache_rules brim_route_compile_rules(const struct brim_conf_rules *conf)
{
    return (struct brim_cache_rules){
        .bypass = conf->bypass,
        .compress = conf->compress,
        .compress_types = compile_targets(&conf->compress_types),
        .ignore_request_control = conf->ignore_request_control,
        .s_maxage_stale = conf->s_maxage_stale,
        .default_ttl_ms = conf->default_ttl_ms,
        .max_ttl_ms = conf->max_ttl_ms,
        .grace_ms = conf->grace_ms,
        .swr_ms = conf->swr_ms,
        .ahead_percent = conf->ahead_percent,
        .negative_ttl_ms = conf->negative_ttl_ms,
        .set_cookie = (enum brim_set_cookie)conf->set_cookie,
        .targets = compile_targets(&conf->targets),
        .tags = compile_targets(&conf->tags),
        .use_as_dictionary = brim_str_of(brim_strdup(conf->use_as_dictionary)),
    };
}

struct brim_key_rules brim_route_compile_key(const struct brim_conf_rules *conf)
{
    return (struct brim_key_rules){
        .query_keep = compile_names(&conf->query_keep),
        .query_drop = compile_names(&conf->query_drop),
        .query_sort = conf->query_sort,
        .headers = compile_targets(&conf->key_headers),
        .cookies = compile_names(&conf->key_cookies),
        .languages = compile_targets(&conf->key_languages),
        .device = conf->key_device,
        .in_status = conf->status_key,
    };
}

void brim_route_free_const(const void *memory)
{
    free((void *)(uintptr_t)memory);
}

static void free_targets(const struct brim_targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        brim_route_free_const(targets->names[i].base);
    brim_route_free_const(targets->names);
}

void brim_route_free_rules(const struct brim_cache_rules *rules)
{
    free_targets(&rules->targets);
    free_targets(&rules->tags);
    free_targets(&rules->compress_types);
    brim_route_free_const(rules->use_as_dictionary.base);
}

void brim_route_free_key(const struct brim_key_rules *key)
{
    free_targets(&key->query_keep);
    free_targets(&key->query_drop);
    free_targets(&key->headers);
    free_targets(&key->cookies);
    free_targets(&key->languages);
}
