/* SPDX-License-Identifier: MIT */
/*
 * Compiled once, read by every request. Hosts are one sorted array: exact names, found by binary
 * search; wildcards are the same array asked for each suffix of the name ("*.b.c", "*.c"), longest
 * first, then "*". A site keeps its globs in the order of the file (those with conditions where the
 * first of the same pattern stands) and its prefixes longest first,
 * so both are a walk that stops at the first match; sites have few routes.
 */
#include "brim/policy/route.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric_group.h"
#include "brim/base/text.h"
#include "brim/http/uri.h"
#include "brim/policy/compile_faults.h"
#include "brim/policy/origins.h"
#include "brim/policy/route_inside.h"
#include "brim/policy/script_test.h"

#define ROUTES_MAGIC   0x726f7531u
#define PATH_BYTES_MAX (64u * 1024u) /* the most that limits.target can be */

struct site {
    struct brim_route own; /* where no route matches */
    struct brim_route *globs;
    size_t glob_count;
    struct brim_route *prefixes; /* longest first */
    size_t prefix_count;
};

struct host {
    struct brim_str name; /* "example.com", "*.example.com" or "*" */
    const struct site *site;
};

struct brim_routes {
    uint32_t magic;
    const struct brim_script_stores *stores; /* while compiling */
    struct brim_compile_faults *faults;      /* likewise; NULL: log them */
    _Atomic unsigned refs;
    struct brim_origins *origins;
    struct brim_secret *tier_secret; /* NULL: none */
    struct site *sites;
    size_t site_count;
    struct brim_handlers **handlers;
    size_t handlers_count;
    struct host *hosts; /* sorted */
    size_t host_count;
    bool has_wildcards; /* else nothing is searched for them */
};

/* ---- compiling ---- */

static bool is_glob(const char *path)
{
    return strpbrk(path, "*?") != NULL;
}

/* A position in the file. */
static int compare_places(size_t left, size_t right)
{
    return left < right ? -1 : left > right;
}

/* Of routes with one path: those with conditions first, in the order of the file. */
static int by_conditions(const struct brim_route *a, const struct brim_route *b)
{
    if ((a->condition == NULL) != (b->condition == NULL))
        return a->condition == NULL ? 1 : -1;
    return compare_places(a->place, b->place);
}

static int by_length_down(const void *a, const void *b)
{
    const struct brim_route *left = a, *right = b;
    int order = compare_places(strlen(right->path), strlen(left->path));

    return order != 0 ? order : by_conditions(left, right);
}

static int by_rank(const void *a, const void *b)
{
    const struct brim_route *left = a, *right = b;
    int order = compare_places(left->rank, right->rank);

    return order != 0 ? order : by_conditions(left, right);
}

/* A glob with conditions ranks with the first of its pattern, so that it comes before one without
 * them; the others stay where they are. */
static void order_globs(struct site *site)
{
    for (size_t i = 0; i < site->glob_count; i++) {
        struct brim_route *glob = &site->globs[i];
        size_t first = 0;

        while (glob->condition != NULL && strcmp(site->globs[first].path, glob->path) != 0)
            first++;
        glob->rank = glob->condition == NULL ? glob->place : site->globs[first].place;
    }
    qsort(site->globs, site->glob_count, sizeof(*site->globs), by_rank);
}

/* The handlers' own test, with what it says in the log where it fails. */
static enum brim_err test_handlers(const char *test, const char *site)
{
    unsigned number = 0, failed = 0;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    const char *line;
    enum brim_err err;

    if (out == NULL)
        return BRIM_ENOMEM;
    err = brim_script_test_file(test, out, &number, &failed);
    if (fclose(out) != 0)
        err = BRIM_ENOMEM;
    line = text == NULL ? NULL : strstr(text, "not ok ");
    if (line == NULL)
        line = "";
    if (err != BRIM_OK || failed > 0)
        BRIM_LOG(ERROR, "script.test_failed", "site=%s file=%s failed=%u of=%u first=\"%.*s\"",
                 site, test, failed, number, (int)strcspn(line, "\n"), line);
    free(text);
    return err == BRIM_OK && failed > 0 ? BRIM_EINVAL : err;
}

/* NULL in *handlers_out where none are configured. */
static enum brim_err compile_handlers(struct brim_routes *routes,
                                      const struct brim_conf_handlers *conf, const char *site,
                                      struct brim_handlers **handlers_out)
{
    enum brim_err err;

    if (conf->file[0] == '\0')
        return BRIM_OK;
    brim_compile_faults_in(routes->faults, "handlers.test");
    if (conf->test[0] != '\0' && test_handlers(conf->test, site) != BRIM_OK)
        return BRIM_EINVAL;
    brim_compile_faults_in(routes->faults, "handlers.file");
    err = brim_handlers_open(conf, site, routes->stores, handlers_out);
    if (err == BRIM_OK)
        routes->handlers[routes->handlers_count++] = *handlers_out;
    return err;
}

static const struct brim_str accept_encodings[] = {
    /* by sites[].origin_coding */
    BRIM_STR("gzip"),
    BRIM_STR("br, gzip"),
    BRIM_STR("identity"),
};

/* A route that reads elsewhere does not write to the site's. */
static void choose_origins(const struct brim_routes *routes, const struct brim_conf_route *conf,
                           struct brim_route *route)
{
    if (conf->origin[0] != '\0') {
        route->origin = brim_origins_get(routes->origins, conf->origin);
        route->write_origin = NULL;
    }
    if (conf->write_origin[0] != '\0')
        route->write_origin = brim_origins_get(routes->origins, conf->write_origin);
}

/* As requests are matched. The caller's. */
static char *plain_path(const char *path)
{
    char *buffer = brim_alloc(strlen(path) + 1);
    struct brim_str plain = brim_uri_path_plain(brim_str_of(path), buffer);

    memmove(buffer, plain.base, plain.len);
    buffer[plain.len] = '\0';
    return buffer;
}

static enum brim_err compile_route(struct brim_routes *routes, const struct brim_conf_route *conf,
                                   const struct brim_conf_site *site, const struct brim_route *own,
                                   struct brim_route *route_out)
{
    enum brim_err err;

    *route_out = *own;
    route_out->path = plain_path(conf->path);
    route_out->condition = brim_condition_compile(conf);
    route_out->rewrite = brim_rewrite_compile(conf);
    route_out->rules = brim_route_compile_rules(&conf->cache);
    route_out->key = brim_route_compile_key(&conf->cache);
    choose_origins(routes, conf, route_out);
    err = brim_route_compile_gates(conf, site, routes->faults, route_out);
    return brim_route_both(
        err, compile_handlers(routes, &conf->handlers, own->site, &route_out->handlers));
}

static bool has_conditions(const struct brim_conf_site *conf)
{
    for (size_t i = 0; i < conf->routes.count; i++)
        if (conf->routes.items[i].methods.count + conf->routes.items[i].headers.count > 0)
            return true;
    return false;
}

static void add_edge_fields(const struct brim_jwt_gate *gate, struct brim_targets *fields)
{
    size_t count = 0;
    const struct brim_str *names = gate == NULL ? NULL : brim_jwt_gate_claim_fields(gate, &count);
    struct brim_str *all = brim_alloc((fields->count + count + 1) * sizeof(*all));

    for (size_t i = 0; i < fields->count + count; i++)
        all[i] = i < fields->count ? fields->names[i] : names[i - fields->count];
    free((void *)(uintptr_t)fields->names);
    *fields = (struct brim_targets){all, fields->count + count};
}

/* An origin that believes X-User on one route will on the next: whatever a gate of the site sets is
 * taken from clients on all its routes, those without that gate too. Names are the gates'. */
static void gather_edge_fields(struct site *site)
{
    struct brim_targets *fields = &site->own.edge_fields;

    add_edge_fields(site->own.jwt, fields);
    if (site->own.subject_field.len > 0) /* there is room for one more */
        ((struct brim_str *)(uintptr_t)fields->names)[fields->count++] = site->own.subject_field;
    for (size_t i = 0; i < site->glob_count; i++)
        if (site->globs[i].jwt != site->own.jwt)
            add_edge_fields(site->globs[i].jwt, fields);
    for (size_t i = 0; i < site->prefix_count; i++)
        if (site->prefixes[i].jwt != site->own.jwt)
            add_edge_fields(site->prefixes[i].jwt, fields);
    for (size_t i = 0; i < site->glob_count; i++)
        site->globs[i].edge_fields = *fields;
    for (size_t i = 0; i < site->prefix_count; i++)
        site->prefixes[i].edge_fields = *fields;
}

/* What of a site may not be usable. */
static enum brim_err compile_site_files(struct brim_routes *routes,
                                        const struct brim_conf_site *conf, struct brim_route *own)
{
    enum brim_err err;

    brim_compile_faults_in(routes->faults, "read_your_writes.secret");
    err = brim_pin_open(&conf->read_your_writes, own->site, &own->pin);
    err = brim_route_both(err, brim_route_compile_site_gates(conf, routes->faults, own));
    brim_compile_faults_in(routes->faults, "error_page");
    err = brim_route_both(err, brim_error_page_read(conf->error_page, &own->error_page));
    return brim_route_both(err,
                           compile_handlers(routes, &conf->handlers, own->site, &own->handlers));
}

static enum brim_err compile_site(struct brim_routes *routes, const struct brim_conf_site *conf,
                                  struct site *site)
{
    size_t room = conf->routes.count + 1, number = (size_t)(site - routes->sites);
    enum brim_err err;

    brim_compile_faults_at(routes->faults, "sites[%zu]", number);
    site->own = (struct brim_route){
        .site = brim_strdup_lower(conf->hosts.items[0]),
        .metrics = brim_metric_group(BRIM_METRIC_SITE, conf->hosts.items[0]),
        .path = "",
        .origin = brim_origins_get(routes->origins, conf->origin),
        .rules = brim_route_compile_rules(&conf->cache),
        .key = brim_route_compile_key(&conf->cache),
        .forwarded = (enum brim_forwarded)conf->forwarded,
        .trace = (enum brim_trace_mode)conf->trace,
        .server_timing = conf->server_timing,
        .acme_webroot = brim_strdup(conf->acme_webroot),
        .subject_field = brim_str_of(brim_strdup_lower(conf->subject_field)),
        .tells_origins = has_conditions(conf),
        .accept_encoding = accept_encodings[conf->origin_coding],
    };
    if (conf->write_origin[0] != '\0')
        site->own.write_origin = brim_origins_get(routes->origins, conf->write_origin);
    err = compile_site_files(routes, conf, &site->own);
    site->globs = brim_alloc(room * sizeof(*site->globs));
    site->prefixes = brim_alloc(room * sizeof(*site->prefixes));
    for (size_t i = 0; i < conf->routes.count; i++) {
        const struct brim_conf_route *from = &conf->routes.items[i];
        struct brim_route *route = is_glob(from->path) ? &site->globs[site->glob_count++]
                                                       : &site->prefixes[site->prefix_count++];

        brim_compile_faults_at(routes->faults, "sites[%zu].routes[%zu]", number, i);
        err = brim_route_both(err, compile_route(routes, from, conf, &site->own, route));
        route->place = i;
    }
    gather_edge_fields(site);
    order_globs(site);
    qsort(site->prefixes, site->prefix_count, sizeof(*site->prefixes), by_length_down);
    return err;
}

static size_t count_handlers(const struct brim_conf_root *conf)
{
    size_t count = conf->sites.count;

    for (size_t i = 0; i < conf->sites.count; i++)
        count += conf->sites.items[i].routes.count;
    return count;
}

static int compare_names(struct brim_str a, struct brim_str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.base, b.base, shorter);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len ? 1 : 0;
}

static int by_name(const void *a, const void *b)
{
    return compare_names(((const struct host *)a)->name, ((const struct host *)b)->name);
}

static void compile_hosts(struct brim_routes *routes, const struct brim_conf_root *conf)
{
    size_t count = 0;

    for (size_t i = 0; i < conf->sites.count; i++)
        count += conf->sites.items[i].hosts.count;
    routes->hosts = brim_alloc((count + 1) * sizeof(*routes->hosts));
    for (size_t i = 0; i < conf->sites.count; i++) {
        for (size_t j = 0; j < conf->sites.items[i].hosts.count; j++) {
            struct host *host = &routes->hosts[routes->host_count++];

            host->name = brim_str_of(brim_strdup_lower(conf->sites.items[i].hosts.items[j]));
            host->site = &routes->sites[i];
            if (host->name.len > 1 && host->name.base[0] == '*')
                routes->has_wildcards = true;
        }
    }
    qsort(routes->hosts, routes->host_count, sizeof(*routes->hosts), by_name);
}

static const struct site *site_called(const struct brim_routes *routes, struct brim_str name)
{
    struct host wanted = {.name = name};
    const struct host *host =
        bsearch(&wanted, routes->hosts, routes->host_count, sizeof(*routes->hosts), by_name);

    return host == NULL ? NULL : host->site;
}

/* ---- what goes on at a reload ---- */

static size_t route_count(const struct site *site)
{
    return 1 + site->glob_count + site->prefix_count;
}

/* The site's own first. */
static const struct brim_route *route_at(const struct site *site, size_t i)
{
    if (i == 0)
        return &site->own;
    return i <= site->glob_count ? &site->globs[i - 1] : &site->prefixes[i - 1 - site->glob_count];
}

/* Whom a route's gate asks for keys. One that the config says the same of is the same one. */
static const struct brim_origin *keys_origin(const struct brim_routes *routes,
                                             const struct brim_route *route)
{
    struct brim_str name = brim_jwt_gate_origin(route->jwt);

    return name.len == 0 ? route->origin : brim_routes_origin(routes, name);
}

/* Has a gate that fetches its keys go on with those of the old ones of its site that ask the same
 * origin: at a reload that may be down. A path alone is asked for with the site's name. */
static void inherit_keys(const struct brim_routes *routes, const struct site *site,
                         const struct brim_routes *previous)
{
    const struct site *old = site_called(previous, brim_str_of(site->own.site));

    for (size_t i = 0; i < route_count(site); i++) {
        const struct brim_route *route = route_at(site, i);

        if (route->jwt == NULL || (i > 0 && route->jwt == site->own.jwt))
            continue;
        for (size_t j = 0; old != NULL && j < route_count(old); j++) {
            const struct brim_route *before = route_at(old, j);

            if (before->jwt != NULL && keys_origin(previous, before) == keys_origin(routes, route))
                brim_jwt_gate_inherit(route->jwt, before->jwt);
        }
    }
}

/* ---- all of it ---- */

enum brim_err brim_routes_compile(const struct brim_conf_root *conf,
                                  const struct brim_routes *previous,
                                  const struct brim_script_stores *stores,
                                  struct brim_compile_faults *faults,
                                  struct brim_routes **routes_out)
{
    struct brim_routes *routes = brim_alloc(sizeof(*routes));
    enum brim_err err = BRIM_OK;

    *routes_out = NULL;
    routes->magic = ROUTES_MAGIC;
    routes->stores = stores;
    routes->faults = faults;
    brim_compile_faults_at(faults, "origins");
    atomic_init(&routes->refs, 1);
    routes->origins = brim_origins_compile(conf, previous == NULL ? NULL : previous->origins);
    if (routes->origins == NULL) {
        brim_routes_unref(routes);
        return BRIM_EINVAL;
    }
    brim_compile_faults_at(faults, "node.tier_secret");
    if (conf->node.tier_secret[0] != '\0')
        err = brim_secret_open(conf->node.tier_secret, &routes->tier_secret);
    if (err != BRIM_OK)
        BRIM_LOG(ERROR, "node.secret_unusable", "file=%s reason=%s", conf->node.tier_secret,
                 brim_err_name(err));
    routes->sites = brim_alloc((conf->sites.count + 1) * sizeof(*routes->sites));
    routes->site_count = conf->sites.count;
    routes->handlers = brim_alloc((count_handlers(conf) + 1) * sizeof(*routes->handlers));
    for (size_t i = 0; i < conf->sites.count; i++) {
        err = brim_route_both(err, compile_site(routes, &conf->sites.items[i], &routes->sites[i]));
    }
    compile_hosts(routes, conf);
    for (size_t i = 0; previous != NULL && err == BRIM_OK && i < routes->site_count; i++)
        inherit_keys(routes, &routes->sites[i], previous);
    if (err == BRIM_OK)
        *routes_out = routes;
    else
        brim_routes_unref(routes);
    return err;
}

/* ---- life ---- */

void brim_routes_ref(struct brim_routes *routes)
{
    OBJ_CHECK(routes, ROUTES_MAGIC);
    atomic_fetch_add_explicit(&routes->refs, 1, memory_order_relaxed);
}

static void free_routes(struct brim_route *routes, size_t count, const struct brim_route *own)
{
    for (size_t i = 0; i < count; i++) {
        brim_route_free_const(routes[i].path);
        brim_condition_free(routes[i].condition);
        brim_rewrite_fini(&routes[i].rewrite);
        brim_route_free_rules(&routes[i].rules);
        brim_route_free_key(&routes[i].key);
        brim_route_free_gates(&routes[i], own);
    }
    free(routes);
}

static void free_site(struct site *site)
{
    free_routes(site->globs, site->glob_count, &site->own);
    free_routes(site->prefixes, site->prefix_count, &site->own);
    brim_route_free_rules(&site->own.rules);
    brim_route_free_key(&site->own.key);
    brim_pin_close(site->own.pin);
    brim_route_free_site_gates(&site->own);
    brim_error_page_free(site->own.error_page);
    brim_route_free_const(site->own.edge_fields.names);
    brim_route_free_const(site->own.subject_field.base);
    brim_route_free_const(site->own.acme_webroot);
    brim_route_free_const(site->own.site);
}

void brim_routes_unref(struct brim_routes *routes)
{
    if (routes == NULL)
        return;
    OBJ_CHECK(routes, ROUTES_MAGIC);
    if (atomic_fetch_sub_explicit(&routes->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < routes->host_count; i++)
        brim_route_free_const(routes->hosts[i].name.base);
    for (size_t i = 0; i < routes->site_count; i++)
        free_site(&routes->sites[i]);
    for (size_t i = 0; i < routes->handlers_count; i++)
        brim_handlers_close(routes->handlers[i]);
    free(routes->handlers);
    free(routes->hosts);
    free(routes->sites);
    brim_origins_free(routes->origins);
    brim_secret_close(routes->tier_secret);
    routes->magic = 0;
    free(routes);
}

/* ---- matching ---- */

/* "a.b.c" asks for "*.b.c", then "*.c": a wildcard stands for one label or more. */
static const struct site *site_by_wildcard(const struct brim_routes *routes, struct brim_str host)
{
    char name[256] = "*";
    const struct site *site = NULL;

    for (size_t dot = 1; site == NULL && dot < host.len; dot++) {
        size_t rest = host.len - dot;

        if (host.base[dot] != '.' || rest >= sizeof(name) - 1)
            continue;
        memcpy(name + 1, host.base + dot, rest);
        site = site_called(routes, brim_str(name, rest + 1));
    }
    return site;
}

static const struct site *find_site(const struct brim_routes *routes, struct brim_str host)
{
    const struct site *site = site_called(routes, host);

    if (site == NULL && routes->has_wildcards)
        site = site_by_wildcard(routes, host);
    return site == NULL ? site_called(routes, BRIM_STR("*")) : site;
}

/* The state of a glob match that has to go back: where the last star stood and how far it ate. */
struct retry {
    const char *pattern;
    const char *path;
    bool crosses_slash;
};

/*
 * `*` is any run without '/', `**` any run, `?` one byte but '/'. A leading `*` without '/' before
 * it ("*.css") crosses slashes too, as a name pattern. One retry point for each kind of star is
 * enough: what an earlier star could still give, a later one of the same reach can take; so the
 * time is bounded by pattern length times path length.
 */
static bool glob_matches(const char *pattern, struct brim_str path)
{
    const char *at = path.base, *end = path.base + path.len;
    struct retry near = {0}, far = {0};
    bool leading = pattern[0] == '*';

    for (;;) {
        if (*pattern == '*') {
            bool crosses = pattern[1] == '*' || leading;
            struct retry *retry = crosses ? &far : &near;

            while (*pattern == '*')
                pattern++;
            *retry = (struct retry){pattern, at, crosses};
            if (crosses)
                near = (struct retry){0};
            leading = false;
            continue;
        }
        leading = false;
        if (at < end && *pattern != '\0' && (*pattern == *at || (*pattern == '?' && *at != '/'))) {
            pattern++;
            at++;
            continue;
        }
        if (at == end && *pattern == '\0')
            return true;
        if (near.pattern != NULL && near.path < end && *near.path != '/') {
            at = ++near.path;
            pattern = near.pattern;
        } else if (far.pattern != NULL && far.path < end) {
            at = ++far.path;
            pattern = far.pattern;
            near = (struct retry){0};
        } else {
            return false;
        }
    }
}

static const struct brim_route *match(const struct site *site, struct brim_str path,
                                      const struct brim_condition_ask *ask)
{
    for (size_t i = 0; i < site->glob_count; i++)
        if (glob_matches(site->globs[i].path, path) &&
            brim_condition_holds(site->globs[i].condition, ask))
            return &site->globs[i];
    for (size_t i = 0; i < site->prefix_count; i++)
        if (brim_str_has_prefix(path, brim_str_of(site->prefixes[i].path)) &&
            brim_condition_holds(site->prefixes[i].condition, ask))
            return &site->prefixes[i];
    return &site->own;
}

/* A rule about /staff/ is about /%73taff/ and //staff/, too: the origin may take them for one. Not
 * inlined, as each page of so large a frame is touched. */
__attribute__((noinline)) static const struct brim_route *
match_plain(const struct site *site, struct brim_str path, const struct brim_condition_ask *ask)
{
    char buffer[PATH_BYTES_MAX];

    return match(site, brim_uri_path_plain(path, buffer), ask);
}

const struct brim_route *brim_routes_match(const struct brim_routes *routes, struct brim_str host,
                                           struct brim_str path,
                                           const struct brim_condition_ask *ask)
{
    const struct site *site = find_site(routes, host);

    if (site == NULL)
        return NULL;
    if (brim_uri_path_is_plain(path) || path.len > PATH_BYTES_MAX)
        return match(site, path, ask);
    return match_plain(site, path, ask);
}

const struct brim_secret *brim_routes_tier_secret(const struct brim_routes *routes)
{
    return routes->tier_secret;
}

struct brim_origin *brim_routes_origin(const struct brim_routes *routes, struct brim_str name)
{
    return brim_origins_find(routes->origins, name);
}

void brim_routes_check(struct brim_routes *routes, struct brim_checks *checks)
{
    struct brim_checks_keep keep = {.unref = (void (*)(void *))brim_routes_unref, .what = routes};

    brim_routes_ref(routes);
    brim_origins_check(routes->origins, checks, &keep);
}

/* ---- keys ---- */

size_t brim_route_part_room(const struct brim_route *route, struct brim_str origin,
                            struct brim_str part)
{
    return strlen(route->origin->name) + origin.len + route->rewrite.text.len + part.len + 2;
}

struct brim_str brim_route_part(const struct brim_route *route, struct brim_str origin,
                                struct brim_str part, char *buffer)
{
    struct brim_text text = brim_text_in(buffer, brim_route_part_room(route, origin, part));

    if (origin.len == 0 && route->tells_origins)
        origin = brim_str_of(route->origin->name);
    if (origin.len + part.len == 0)
        return brim_str(NULL, 0);
    brim_text_put(&text, origin);
    if (origin.len > 0)
        brim_text_put(&text, route->rewrite.text);
    brim_text_put(&text, BRIM_STR(" "));
    brim_text_put(&text, part);
    INVARIANT(!text.is_cut);
    return brim_text_str(&text);
}
