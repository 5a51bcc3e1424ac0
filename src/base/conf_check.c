/* SPDX-License-Identifier: MIT */
/*
 * A config may hold tens of thousands of sites, routes and hosts, so what must be unique is sorted
 * and its neighbours compared, and names are found by bisection.
 *
 * Reference checks are left out while a name of an origin is missing or faulty itself: they would
 * only repeat that fault for every site.
 */
#include "brim/base/conf_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "brim/base/bearer.h"
#include "brim/base/conf_check_gates.h"
#include "brim/base/conf_value.h"
#include "brim/base/invariant.h"

enum { NAMES_SHOWN_MAX = 10, PATH_BYTES = 128 };

/* ---- what must be unique ---- */

/* What a text is and where it stands; inner is not used by all kinds. */
enum kind { HOST, ROUTE_PATH, ORIGIN_NAME };

struct named {
    const char *text;
    enum kind kind;
    size_t outer;
    size_t inner;
};

static void write_path(const struct named *named, char path[PATH_BYTES])
{
    switch (named->kind) {
    case HOST:
        (void)snprintf(path, PATH_BYTES, "sites[%zu].hosts[%zu]", named->outer, named->inner);
        break;
    case ROUTE_PATH:
        (void)snprintf(path, PATH_BYTES, "sites[%zu].routes[%zu].path", named->outer, named->inner);
        break;
    case ORIGIN_NAME:
        (void)snprintf(path, PATH_BYTES, "origins[%zu].name", named->outer);
        break;
    }
}

static int compare_text(const struct named *a, const struct named *b)
{
    return a->kind == HOST ? strcasecmp(a->text, b->text) : strcmp(a->text, b->text);
}

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a;
    const struct named *y = b;
    int order = compare_text(x, y);

    if (order != 0)
        return order;
    if (x->outer != y->outer)
        return x->outer < y->outer ? -1 : 1;
    return x->inner < y->inner ? -1 : x->inner > y->inner;
}

/* Sorts all and notes every one that is there a second time. */
static void check_unique(struct brim_conf_faults *faults, struct named *all, size_t count)
{
    char path[PATH_BYTES], first[PATH_BYTES];

    qsort(all, count, sizeof(*all), compare_named);
    for (size_t i = 1; i < count; i++) {
        struct brim_conf_text shown = {.len = 0};

        if (compare_text(&all[i - 1], &all[i]) != 0)
            continue;
        brim_conf_text_add_input(&shown, all[i].text);
        write_path(&all[i], path);
        write_path(&all[i - 1], first);
        brim_conf_fault(faults, path, "%s is also %s; accepted: each once", shown.bytes, first);
    }
}

/* ---- node, log, listeners, cache ---- */

static void check_name(struct brim_conf_faults *faults, const char *path, const char *name)
{
    struct brim_conf_text shown = {.len = 0};

    if (name == NULL || brim_conf_value_is_name(name))
        return;
    brim_conf_text_add_input(&shown, name);
    brim_conf_fault(faults, path, "%s is not a name; accepted: letters, digits, '-', '.', '_'",
                    shown.bytes);
}

/* Whether what stands before the last slash of path is there. What stands behind it is made. A
 * directory that whoever checks must not look into may well be one for the node. */
static bool has_parent(const char *path)
{
    size_t len = strlen(path);
    struct stat st;
    bool is_there;
    char *parent;

    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len <= 1)
        return true; /* in / or where brim is started */
    parent = strndup(path, len);
    INVARIANT(parent != NULL);
    is_there = stat(parent, &st) == 0 ? S_ISDIR(st.st_mode) : errno == EACCES;
    free(parent);
    return is_there;
}

/* What the node keeps things in, and makes where it is not there. */
enum place { DIRECTORY, LOG_FILE };

static const char *wrong_place(const char *path, enum place kind)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        if (kind == LOG_FILE && path[strlen(path) - 1] == '/')
            return "is a directory";
        return has_parent(path) ? NULL : "is in no directory";
    }
    if (kind == LOG_FILE)
        return S_ISDIR(st.st_mode) ? "is a directory" : NULL;
    return S_ISDIR(st.st_mode) ? NULL : "is not a directory";
}

static void check_place(const char *option, const char *path, enum place kind,
                        struct brim_conf_faults *faults)
{
    static const char *const accepted[] = {
        [DIRECTORY] = "a directory, or one to be made in a directory that exists, or \"\"",
        [LOG_FILE] = "a file in a directory that exists, stdout, syslog, unix:/path, off",
    };
    struct brim_conf_text shown = {.len = 0};
    const char *wrong;

    if (path == NULL || path[0] == '\0')
        return;
    wrong = wrong_place(path, kind);
    if (wrong == NULL)
        return;
    brim_conf_text_add_input(&shown, path);
    brim_conf_fault(faults, option, "%s %s; accepted: %s", shown.bytes, wrong, accepted[kind]);
}

static void check_access_log(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    const char *path = root->access_log.path;

    if (path == NULL || strcmp(path, "off") == 0 || strcmp(path, "stdout") == 0 ||
        strcmp(path, "syslog") == 0 || strncmp(path, "unix:/", 6) == 0)
        return; /* who reads at a socket may come later */
    check_place("access_log.path", path, LOG_FILE, faults);
}

/* `:80` is short for `[::]:80`. */
static bool is_same_address(const char *a, const char *b)
{
    static const char any[] = "[::]";

    if (a[0] == ':' && strncmp(b, any, sizeof(any) - 1) == 0)
        b += sizeof(any) - 1;
    else if (b[0] == ':' && strncmp(a, any, sizeof(any) - 1) == 0)
        a += sizeof(any) - 1;
    return strcmp(a, b) == 0;
}

static bool is_local(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0 ||
           strncmp(address, "unix:", 5) == 0;
}

bool brim_conf_check_risk(const struct brim_conf_root *root, struct brim_conf_text *text_out)
{
    *text_out = (struct brim_conf_text){.len = 0};
    if (is_local(root->admin.address))
        return false;
    brim_conf_text_add(text_out,
                       "admin.address: \"%s\" is open to other hosts, and cleartext: who reads "
                       "along has admin.token; better a loopback or unix address, with a proxy "
                       "that speaks TLS in front of it",
                       root->admin.address);
    return true;
}

static void check_token(const char *option, const char *file, struct brim_conf_faults *faults)
{
    char token[BRIM_BEARER_MAX + 1];
    const char *wrong;

    if (file == NULL || file[0] == '\0')
        return;
    wrong = brim_bearer_read(file, token);
    if (wrong != NULL)
        brim_conf_fault(faults, option,
                        "\"%s\" %s; accepted: a file with one token of %u to %u "
                        "letters, digits, - . _ ~ + / =",
                        file, wrong, BRIM_BEARER_MIN, BRIM_BEARER_MAX);
    explicit_bzero(token, sizeof(token));
}

/* The admin API may purge everything: other hosts must not reach it without a token. */
static void check_admin(const struct brim_conf_admin *admin, struct brim_conf_faults *faults)
{
    char path[PATH_BYTES];

    if (admin->token[0] == '\0' && !is_local(admin->address))
        brim_conf_fault(faults, "admin.address",
                        "\"%s\" is open to other hosts; accepted: 127.0.0.1:PORT, [::1]:PORT, "
                        "unix:/PATH; any other with admin.token",
                        admin->address);
    check_token("admin.token", admin->token, faults);
    for (size_t i = 0; i < admin->purge_via.count; i++) {
        (void)snprintf(path, sizeof(path), "admin.purge_via[%zu].token", i);
        check_token(path, admin->purge_via.items[i].token, faults);
    }
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Who asks for modern TLS, or for certificates of clients, and gives none of his own, does not mean
 * cleartext. */
static void check_certificates(const struct brim_conf_tls *tls, const char *where,
                               struct brim_conf_faults *faults)
{
    char path[2 * PATH_BYTES];

    if (tls->certificates.count > 0 || (tls->profile == 0 && tls->min_version == 0 &&
                                        tls->client_verify == 0 && !is_set(tls->tickets)))
        return;
    (void)snprintf(path, sizeof(path), "%s.tls.certificates", where);
    brim_conf_fault(faults, path,
                    "has none, which means cleartext; accepted: 1 or more beside profile, "
                    "min_version, tickets, client_verify");
}

static void check_client_tls(const struct brim_conf_tls *tls, const char *where,
                             struct brim_conf_faults *faults)
{
    char path[2 * PATH_BYTES];
    bool has_ca = is_set(tls->client_ca);

    (void)snprintf(path, sizeof(path), "%s.tls.client_ca", where);
    if (tls->client_verify != 0 && !has_ca)
        brim_conf_fault(
            faults, path,
            "is missing; accepted: a PEM file, beside client_verify: optional, require");
    if (tls->client_verify == 0 && has_ca)
        brim_conf_fault(faults, path,
                        "is of no use; accepted: beside client_verify: optional, require");
}

static void check_listeners(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    const char *admin = root->admin.address;

    check_admin(&root->admin, faults);
    for (size_t i = 0; i < root->listeners.count; i++) {
        const char *address = root->listeners.items[i].address;
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof(path), "listeners[%zu]", i);
        brim_conf_check_blocks(&root->listeners.items[i].proxy_protocol, path, "proxy_protocol",
                               faults);
        check_certificates(&root->listeners.items[i].tls, path, faults);
        check_client_tls(&root->listeners.items[i].tls, path, faults);
        if (address == NULL)
            continue;
        (void)snprintf(path, sizeof(path), "listeners[%zu].address", i);
        if (is_same_address(address, admin))
            brim_conf_fault(faults, path, "\"%s\" is also admin.address; accepted: each once",
                            address);
        for (size_t j = 0; j < i; j++) {
            const char *other = root->listeners.items[j].address;

            if (other == NULL || !is_same_address(address, other))
                continue;
            brim_conf_fault(faults, path,
                            "\"%s\" is also listeners[%zu].address; accepted: each once", address,
                            j);
            break;
        }
    }
}

static void check_dns(const struct brim_conf_dns *dns, struct brim_conf_faults *faults)
{
    union brim_conf_nameserver server;

    for (size_t i = 0; i < dns->nameservers.count; i++) {
        const char *text = dns->nameservers.items[i];
        char path[PATH_BYTES];

        if (text == NULL || brim_conf_value_nameserver(text, &server))
            continue;
        (void)snprintf(path, sizeof(path), "dns.nameservers[%zu]", i);
        brim_conf_fault(faults, path,
                        "\"%s\" is not an address of a name server; accepted: as in 10.0.0.2, "
                        "10.0.0.2:53, [2001:db8::2], [2001:db8::2]:53",
                        text);
    }
    if (dns->ttl_min_ms > dns->ttl_max_ms)
        brim_conf_fault(faults, "dns.ttl_min",
                        "is longer than dns.ttl_max; accepted: at most that");
}

/* Of a body the client's copy is held, one for another try, and one that is being sent: three; no
 * exchange begins with more than seven eighths held (base/ledger). Of what is left then an address
 * has to have no more than half. */
uint64_t brim_conf_check_body_max(const struct brim_conf_limits *limits)
{
    uint64_t room = limits->client_memory_bytes / 8 * 7;

    if (limits->client_memory_bytes == 0)
        return UINT64_MAX;
    return (limits->connections_per_address == 0 ? room / 3 : room / 5) & ~(uint64_t)1023;
}

static void check_limits(const struct brim_conf_limits *limits, struct brim_conf_faults *faults)
{
    uint64_t most = brim_conf_check_body_max(limits);
    struct brim_conf_text shown = {.len = 0};

    if (limits->request_body_bytes <= most)
        return;
    brim_conf_value_add_size(&shown, limits->request_body_bytes);
    brim_conf_text_add(&shown, " will never be let in by limits.client_memory of ");
    brim_conf_value_add_size(&shown, limits->client_memory_bytes);
    brim_conf_text_add(&shown, "; accepted: up to ");
    brim_conf_value_add_size(&shown, most);
    brim_conf_text_add(&shown, ", or more client_memory");
    brim_conf_fault(faults, "limits.request_body", "%s", shown.bytes);
}

static void check_cache(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    const struct brim_conf_cache *cache = &root->cache;
    struct brim_conf_text shown = {.len = 0};

    if (cache->memory_object_bytes > cache->memory_bytes) {
        brim_conf_value_add_size(&shown, cache->memory_object_bytes);
        brim_conf_text_add(&shown, " is more than cache.memory; accepted: up to ");
        brim_conf_value_add_size(&shown, cache->memory_bytes);
        brim_conf_fault(faults, "cache.memory_object", "%s", shown.bytes);
    }
    check_place("cache.path", cache->path, DIRECTORY, faults);
    check_place("kv.path", root->kv.path, DIRECTORY, faults);
}

/* ---- origins ---- */

bool brim_conf_check_is_authority(const char *text)
{
    size_t len = strlen(text);
    size_t host_len = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");

    if (host_len > len)
        return false;
    if (!brim_conf_value_is_host(text, host_len))
        return false;
    return host_len == len || (text[host_len] == ':' &&
                               brim_conf_value_port(text + host_len + 1, len - host_len - 1) != 0);
}

enum { HASH_ON_URL, HASH_ON_CLIENT }; /* the values of hash_on that need no name */

static void check_hash(const struct brim_conf_origin *origin, size_t i,
                       struct brim_conf_faults *faults)
{
    char path[PATH_BYTES];

    if (origin->hash_on == HASH_ON_URL || origin->hash_on == HASH_ON_CLIENT ||
        origin->hash_name[0] != '\0')
        return;
    (void)snprintf(path, sizeof(path), "origins[%zu].hash_on", i);
    brim_conf_fault(faults, path, "which header or cookie is not said; say it in hash_name");
}

static void check_origin(const struct brim_conf_origin *origin, size_t i,
                         struct brim_conf_faults *faults)
{
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "origins[%zu].name", i);
    check_name(faults, path, origin->name);
    check_hash(origin, i, faults);
    brim_conf_check_origin(origin, i, faults);
    if (origin->host != NULL && origin->host[0] != '\0' &&
        !brim_conf_check_is_authority(origin->host)) {
        (void)snprintf(path, sizeof(path), "origins[%zu].host", i);
        brim_conf_text_add_input(&shown, origin->host);
        brim_conf_fault(faults, path, "%s is not a host; accepted: host[:port], or \"\"",
                        shown.bytes);
    }
    const char *name = origin->tls.server_name;
    if (name != NULL && name[0] != '\0' && !brim_conf_value_is_host(name, strlen(name))) {
        shown = (struct brim_conf_text){.len = 0};
        (void)snprintf(path, sizeof(path), "origins[%zu].tls.server_name", i);
        brim_conf_text_add_input(&shown, name);
        brim_conf_fault(faults, path, "%s is not a host name; accepted: a host name, or \"\"",
                        shown.bytes);
    }
}

/* Names of all origins, sorted. */
struct names {
    struct named *all;
    size_t count;
    bool is_complete; /* every origin has a usable name */
};

static void check_origins(const struct brim_conf_root *root, struct brim_conf_faults *faults,
                          struct names *names_out)
{
    size_t count = root->origins.count;
    struct names names = {.all = brim_alloc(count * sizeof(*names.all)), .is_complete = count > 0};

    for (size_t i = 0; i < count; i++) {
        const struct brim_conf_origin *origin = &root->origins.items[i];

        check_origin(origin, i, faults);
        if (origin->name == NULL)
            names.is_complete = false;
        else
            names.all[names.count++] =
                (struct named){.text = origin->name, .kind = ORIGIN_NAME, .outer = i};
    }
    check_unique(faults, names.all, names.count);
    *names_out = names;
}

static bool has_name(const struct names *names, const char *name)
{
    size_t low = 0;
    size_t high = names->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, names->all[middle].text);

        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* name may be NULL (faulty) or empty (the site's): nothing to check. */
static void check_reference(struct brim_conf_faults *faults, const struct names *names,
                            const char *path, const char *name)
{
    struct brim_conf_text text = {.len = 0};
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    if (!names->is_complete || name == NULL || name[0] == '\0' || has_name(names, name))
        return;
    for (size_t i = 0; i < names->count; i++) {
        size_t distance = brim_conf_fault_distance(name, names->all[i].text);

        if (distance < best) {
            best = distance;
            nearest = names->all[i].text;
        }
    }
    brim_conf_text_add_input(&text, name);
    brim_conf_text_add(&text, " is no origin");
    if (brim_conf_fault_is_near(name, best))
        brim_conf_text_add(&text, ", perhaps \"%s\"", nearest);
    brim_conf_text_add(&text, "; accepted: ");
    for (size_t i = 0; i < names->count && i < NAMES_SHOWN_MAX; i++)
        brim_conf_text_add(&text, "%s%s", i == 0 ? "" : ", ", names->all[i].text);
    if (names->count > NAMES_SHOWN_MAX)
        brim_conf_text_add(&text, " and %zu more", names->count - NAMES_SHOWN_MAX);
    brim_conf_fault(faults, path, "%s", text.bytes);
}

/* ---- sites ---- */

static bool is_host_pattern(const char *text)
{
    if (strcmp(text, "*") == 0)
        return true;
    if (strncmp(text, "*.", 2) == 0)
        return text[2] != '[' && brim_conf_value_is_host(text + 2, strlen(text + 2));
    return brim_conf_value_is_host(text, strlen(text));
}

static void check_host(struct brim_conf_faults *faults, const struct named *host)
{
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];

    if (is_host_pattern(host->text))
        return;
    write_path(host, path);
    brim_conf_text_add_input(&shown, host->text);
    brim_conf_fault(faults, path,
                    "%s is not a host name; accepted: example.com, *.example.com, * (no port, no "
                    "dot at the end, other scripts as xn--)",
                    shown.bytes);
}

static bool is_path_pattern(const char *text)
{
    if (text[0] != '/' && text[0] != '*')
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == '#')
            return false;
    return true;
}

static void check_route_path(struct brim_conf_faults *faults, const struct named *route)
{
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];

    if (is_path_pattern(route->text))
        return;
    write_path(route, path);
    brim_conf_text_add_input(&shown, route->text);
    brim_conf_fault(faults, path,
                    "%s is not a path pattern; accepted: text that begins with / or *, without "
                    "blanks and #",
                    shown.bytes);
}

/* tchar+ (RFC 9110 5.6.2). Cache-Control itself is what targeted fields go before. */
static bool is_target(const char *text)
{
    static const char more[] = "!#$%&'*+-.^_`|~0123456789"
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return strspn(text, more) == strlen(text) && strcasecmp(text, "cache-control") != 0;
}

/* where: path of the rules that the names stand in. */
static void check_targets(struct brim_conf_faults *faults, const char *where,
                          const struct brim_conf_strings *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        struct brim_conf_text shown = {.len = 0};
        char path[PATH_BYTES];

        if (targets->items[i] == NULL || is_target(targets->items[i]))
            continue;
        (void)snprintf(path, sizeof(path), "%s.targets[%zu]", where, i);
        brim_conf_text_add_input(&shown, targets->items[i]);
        brim_conf_fault(faults, path,
                        "%s is not a targeted field; accepted: cdn-cache-control, "
                        "NAME-cache-control",
                        shown.bytes);
    }
}

/* Only what no Structured Field has, or a dictionary lacks; the whole of RFC 9842 2.1 is read where
 * the URL is known. */
static void check_dictionary(struct brim_conf_faults *faults, const char *where, const char *text)
{
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];
    bool is_text = true;

    if (text == NULL || text[0] == '\0')
        return;
    for (const char *c = text; *c != '\0'; c++)
        is_text &= *c >= ' ' && *c <= '~';
    if (is_text && strstr(text, "match=\"") != NULL)
        return;
    (void)snprintf(path, sizeof(path), "%s.use_as_dictionary", where);
    brim_conf_text_add_input(&shown, text);
    brim_conf_fault(faults, path,
                    "%s is not a Use-As-Dictionary field; accepted: as in "
                    "match=\"/app/*/main.js\", match-dest=(\"script\")",
                    shown.bytes);
}

static bool has_open_listener(const struct brim_conf_root *root)
{
    for (size_t i = 0; i < root->listeners.count; i++) {
        const char *address = root->listeners.items[i].address;

        if (address != NULL && !is_local(address))
            return true;
    }
    return false;
}

/* What a handler says when it fails is for its author only. */
static void check_debug(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    char path[PATH_BYTES];

    if (!has_open_listener(root))
        return;
    for (size_t i = 0; i < root->sites.count; i++) {
        const struct brim_conf_site *site = &root->sites.items[i];
        bool shows = site->handlers.debug;

        (void)snprintf(path, sizeof(path), "sites[%zu].handlers.debug", i);
        for (size_t j = 0; j < site->routes.count && !shows; j++) {
            shows = site->routes.items[j].handlers.debug;
            (void)snprintf(path, sizeof(path), "sites[%zu].routes[%zu].handlers.debug", i, j);
        }
        if (shows)
            brim_conf_fault(faults, path,
                            "would show errors to other hosts; accepted: true only where every "
                            "listener is 127.0.0.1:PORT, [::1]:PORT or unix:/PATH");
    }
}

/* What a route has from its site was checked there. */
static void check_route_gates(struct brim_conf_faults *faults, const char *path,
                              const struct brim_conf_site *site,
                              const struct brim_conf_route *route)
{
    struct brim_conf_gates gates = {
        .access = &route->access, .rate_limit = &route->rate_limit, .hosts = &site->hosts};

    if (!brim_conf_table_is_same(&brim_conf_table_jwt, &route->jwt, &site->jwt))
        gates.jwt = &route->jwt;
    if (!brim_conf_table_is_same(&brim_conf_table_basic_auth, &route->basic_auth,
                                 &site->basic_auth))
        gates.basic_auth = &route->basic_auth;
    if (!brim_conf_table_is_same(&brim_conf_table_cors, &route->cors, &site->cors))
        gates.cors = &route->cors;
    brim_conf_check_gates(&gates, path, faults);
}

static void check_routes(const struct brim_conf_site *site, size_t i, const struct names *origins,
                         struct brim_conf_faults *faults)
{
    struct named *paths = brim_alloc(site->routes.count * sizeof(*paths));
    size_t count = 0;

    for (size_t j = 0; j < site->routes.count; j++) {
        const struct brim_conf_route *route = &site->routes.items[j];
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof(path), "sites[%zu].routes[%zu].origin", i, j);
        check_reference(faults, origins, path, route->origin);
        (void)snprintf(path, sizeof(path), "sites[%zu].routes[%zu].jwt.jwks_origin", i, j);
        if (route->jwt.jwks_origin != site->jwt.jwks_origin)
            check_reference(faults, origins, path, route->jwt.jwks_origin);
        (void)snprintf(path, sizeof(path), "sites[%zu].routes[%zu].write_origin", i, j);
        check_reference(faults, origins, path, route->write_origin);
        (void)snprintf(path, sizeof(path), "sites[%zu].routes[%zu].cache", i, j);
        if (route->cache.targets.items != site->cache.targets.items) /* else inherited */
            check_targets(faults, path, &route->cache.targets);
        if (route->cache.use_as_dictionary != site->cache.use_as_dictionary)
            check_dictionary(faults, path, route->cache.use_as_dictionary);
        (void)snprintf(path, sizeof(path), "sites[%zu].routes[%zu]", i, j);
        check_route_gates(faults, path, site, route);
        brim_conf_check_route(route, path, faults);
        if (route->path == NULL)
            continue;
        paths[count] =
            (struct named){.text = route->path, .kind = ROUTE_PATH, .outer = i, .inner = j};
        check_route_path(faults, &paths[count]);
        if (route->methods.count + route->headers.count == 0)
            count++; /* with conditions there may be several for one path */
    }
    check_unique(faults, paths, count);
    free(paths);
}

/* Over all sites: a host leads to one site. */
static void check_hosts(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    struct named *hosts;
    size_t count = 0;

    for (size_t i = 0; i < root->sites.count; i++)
        count += root->sites.items[i].hosts.count;
    hosts = brim_alloc(count * sizeof(*hosts));
    count = 0;
    for (size_t i = 0; i < root->sites.count; i++) {
        const struct brim_conf_strings *strings = &root->sites.items[i].hosts;

        for (size_t j = 0; j < strings->count; j++) {
            if (strings->items[j] == NULL)
                continue;
            hosts[count] =
                (struct named){.text = strings->items[j], .kind = HOST, .outer = i, .inner = j};
            check_host(faults, &hosts[count++]);
        }
    }
    check_unique(faults, hosts, count);
    free(hosts);
}

static void check_sites(const struct brim_conf_root *root, const struct names *origins,
                        struct brim_conf_faults *faults)
{
    for (size_t i = 0; i < root->sites.count; i++) {
        const struct brim_conf_site *site = &root->sites.items[i];
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof(path), "sites[%zu].origin", i);
        check_reference(faults, origins, path, site->origin);
        (void)snprintf(path, sizeof(path), "sites[%zu].jwt.jwks_origin", i);
        check_reference(faults, origins, path, site->jwt.jwks_origin);
        (void)snprintf(path, sizeof(path), "sites[%zu].write_origin", i);
        check_reference(faults, origins, path, site->write_origin);
        (void)snprintf(path, sizeof(path), "sites[%zu].cache", i);
        check_targets(faults, path, &site->cache.targets);
        check_dictionary(faults, path, site->cache.use_as_dictionary);
        (void)snprintf(path, sizeof(path), "sites[%zu]", i);
        brim_conf_check_gates(&(struct brim_conf_gates){&site->access, &site->rate_limit,
                                                        &site->jwt, &site->basic_auth, &site->cors,
                                                        &site->purge, &site->hosts},
                              path, faults);
        brim_conf_check_ryw(&site->read_your_writes, path, faults);
        brim_conf_check_field(site->subject_field, path, "subject_field", faults);
        (void)snprintf(path, sizeof(path), "sites[%zu].acme_webroot", i);
        check_place(path, site->acme_webroot, DIRECTORY, faults);
        check_routes(site, i, origins, faults);
    }
    check_hosts(root, faults);
    check_debug(root, faults);
}

void brim_conf_check(const struct brim_conf_root *root, struct brim_conf_faults *faults)
{
    struct names origins;

    INVARIANT(root != NULL && faults != NULL);
    if (root->line == 0)
        return; /* the file held no mapping at all, which was noted */
    check_name(faults, "node.id", root->node.id);
    check_access_log(root, faults);
    check_listeners(root, faults);
    check_cache(root, faults);
    check_limits(&root->limits, faults);
    check_dns(&root->dns, faults);
    check_origins(root, faults, &origins);
    for (size_t i = 0; i < root->origins.count; i++) {
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof(path), "origins[%zu].fallback", i);
        check_reference(faults, &origins, path, root->origins.items[i].fallback);
    }
    brim_conf_check_fallbacks(root, faults);
    brim_conf_check_tiers(root, faults);
    check_sites(root, &origins, faults);
    free(origins.all);
}
