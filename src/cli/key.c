/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/conf.h"
#include "brim/base/invariant.h"
#include "brim/base/text.h"
#include "brim/cache/key.h"
#include "brim/cli/commands.h"
#include "brim/http/uri.h"
#include "brim/policy/route.h"

#define FIELDS_MAX     100u
#define SELECTOR_BYTES 8192u

static const char help[] =
    "usage: brim key -c FILE [-H 'NAME: VALUE']... URL\n"
    "\n"
    "Prints what a request for URL with these fields is looked up by: site, route, key, and what "
    "else\n"
    "tells answers apart. Asks no node. A purge of the URL takes the key that is printed here.\n"
    "\n"
    "  -c, --config FILE   the node's config\n"
    "  -H, --header FIELD  a request field; may be given many times\n"
    "  -h, --help          this text\n"
    "\n"
    "exit status: 0 printed, 1 no site has the host, 2 usage or config not usable\n";

struct arguments {
    const char *config;
    const char *url;
    struct brim_field fields[FIELDS_MAX];
    size_t field_count;
};

/* Takes "Name: value" apart; false: it is no field. Makes the name lower-case where it stands. */
static bool add_field(struct arguments *arguments, char *text)
{
    char *colon = strchr(text, ':');
    struct brim_field *field = &arguments->fields[arguments->field_count];

    if (colon == NULL || arguments->field_count == FIELDS_MAX)
        return false;
    for (char *c = text; c < colon; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
    field->name = brim_str(text, (size_t)(colon - text));
    field->value = brim_str_trim(brim_str_of(colon + 1));
    arguments->field_count++;
    return brim_field_name_is_valid(field->name) && brim_field_value_is_valid(field->value);
}

static void print_pair(const char *name, struct brim_str value)
{
    (void)printf("%-9s %.*s\n", name, (int)value.len, value.base);
}

static void print_key(const struct brim_route *route, const struct brim_uri *uri,
                      struct brim_fields fields)
{
    size_t room = uri->authority.len + uri->target.len + 16;
    char *target = brim_alloc(uri->target.len + 1), *text = brim_alloc(room);
    struct brim_str none = brim_str(NULL, 0);
    char *part = brim_alloc(brim_route_part_room(route, none, none)), selector[SELECTOR_BYTES];
    struct brim_str counts =
        brim_str(target, brim_cache_key_target(&route->key, uri->target, target));
    struct brim_key key = brim_key_of(
        brim_str(text, brim_uri_key_text(uri->scheme, uri->authority, counts, text, room)));
    size_t len = brim_cache_key_selector(
        &route->key, fields, brim_route_part(route, none, none, part), selector, sizeof(selector));

    print_pair("site", brim_str_of(route->site));
    print_pair("route", brim_str_of(route->path[0] == '\0' ? "(the site's)" : route->path));
    print_pair("key", key.text);
    (void)printf("%-9s %016llx%016llx\n", "digest", (unsigned long long)key.digest.hi,
                 (unsigned long long)key.digest.lo);
    if (len == SIZE_MAX)
        print_pair("selector", BRIM_STR("(too long: the request is refused)"));
    else if (len > 0)
        print_pair("selector", brim_str(selector, len));
    if (route->rules.bypass)
        print_pair("note", BRIM_STR("bypass: never looked up, never stored"));
    free(part);
    free(target);
    free(text);
}

static const struct brim_route *match(const struct brim_routes *routes, const struct brim_uri *uri,
                                      struct brim_fields fields)
{
    const struct brim_condition_ask ask = {BRIM_STR("GET"), fields};
    const char *query = memchr(uri->target.base, '?', uri->target.len);
    struct brim_str path = uri->target, host;
    char lower[256];
    uint16_t port;

    if (!brim_uri_parse_authority(uri->authority, &host, &port) || host.len > sizeof(lower))
        return NULL;
    for (size_t i = 0; i < host.len; i++)
        lower[i] =
            (char)(host.base[i] >= 'A' && host.base[i] <= 'Z' ? host.base[i] | 0x20 : host.base[i]);
    if (query != NULL)
        path.len = (size_t)(query - path.base);
    return brim_routes_match(routes, brim_str(lower, host.len), path, &ask);
}

static int print(const struct arguments *arguments)
{
    struct brim_conf *conf = NULL;
    struct brim_routes *routes = NULL;
    const struct brim_route *route;
    struct brim_uri uri;
    int status = BRIM_EXIT_USAGE;

    if (!brim_uri_parse(brim_str_of(arguments->url), &uri)) {
        (void)fprintf(stderr, "brim key: \"%s\" is not an absolute http or https URL\n",
                      arguments->url);
        return status;
    }
    if (brim_conf_load(arguments->config, stderr, &conf) != BRIM_OK)
        return status;
    if (brim_routes_compile(brim_conf_root(conf), NULL, NULL, NULL, &routes) == BRIM_OK) {
        route =
            match(routes, &uri, (struct brim_fields){arguments->fields, arguments->field_count});
        status = route == NULL ? BRIM_EXIT_FAILED : BRIM_EXIT_OK;
        if (route == NULL)
            (void)fputs("brim key: no site has this host\n", stderr);
        else
            print_key(route, &uri, (struct brim_fields){arguments->fields, arguments->field_count});
        brim_routes_unref(routes);
    }
    brim_conf_free(conf);
    return status;
}

int brim_cli_key(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"header", required_argument, NULL, 'H'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.config = NULL};
    int option;

    while ((option = brim_cli_option(argc, argv, "c:H:h", options)) != -1) {
        if (option == 'h') {
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        }
        if (option == 'c') {
            arguments.config = optarg;
        } else if (option != 'H' || !add_field(&arguments, optarg)) {
            (void)fputs("brim key: -H takes 'NAME: VALUE'; see brim key --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (arguments.config == NULL || optind != argc - 1) {
        (void)fputs("brim key: -c FILE and one URL are needed; see brim key --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    arguments.url = argv[optind];
    return print(&arguments);
}
