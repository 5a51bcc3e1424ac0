/* SPDX-License-Identifier: MIT */
#include "brim/policy/route.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

static const char config[] =
    "listeners: [{address: \":8080\"}]\n"
    "origins:\n"
    "  - {name: one, servers: [{url: \"http://127.0.0.1:1\"}, {url: \"http://127.0.0.1:2\"}]}\n"
    "  - {name: two, host: two.internal, servers: [{url: \"https://127.0.0.1:3\"}]}\n"
    "sites:\n"
    "  - hosts: [example.com, \"*.example.com\"]\n"
    "    origin: one\n"
    "    cache: {default_ttl: 60s, grace: 5s}\n"
    "    routes:\n"
    "      - {path: /img/, origin: two}\n"
    "      - {path: /img/raw/, cache: {bypass: true}}\n"
    "      - {path: \"*.css\", cache: {default_ttl: 1h}}\n"
    "      - {path: \"/a/*/b\"}\n"
    "      - {path: \"/deep/**/end\"}\n"
    "      - {path: \"/q?\"}\n"
    "  - {hosts: [deep.example.com, \"*.deep.example.com\"], origin: two}\n"
    "  - {hosts: [\"*\"], origin: two}\n";

static struct brim_routes *routes;
static struct brim_condition_ask get = {.method = {"GET", 3}};

static struct brim_routes *compile(const char *text)
{
    char path[] = "/tmp/brim-route-XXXXXX";
    int fd = mkstemp(path);
    struct brim_routes *compiled = NULL;
    struct brim_conf *conf = NULL;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    ck_assert_int_eq(brim_conf_load(path, stderr, &conf), BRIM_OK);
    unlink(path);
    ck_assert_int_eq(brim_routes_compile(brim_conf_root(conf), NULL, NULL, NULL, &compiled),
                     BRIM_OK);
    brim_conf_free(conf); /* the routes have copies of their own */
    return compiled;
}

static void setup(void)
{
    routes = compile(config);
}

static void teardown(void)
{
    brim_routes_unref(routes);
}

static const struct brim_route *match(const char *host, const char *path)
{
    return brim_routes_match(routes, brim_str_of(host), brim_str_of(path), &get);
}

static const struct {
    const char *host;
    const char *site; /* first name of the site */
} hosts[] = {
    {"example.com", "example.com"},
    {"www.example.com", "example.com"},
    {"a.b.example.com", "example.com"},
    {"deep.example.com", "deep.example.com"},
    {"x.deep.example.com", "deep.example.com"},
    {"notexample.com", "*"},
    {"com", "*"},
    {"", "*"},
    {".example.com", "*"},
    {"example.com.evil.org", "*"},
};

/* A name that is somebody else's must not get a site's cache, nor its origin. */
START_TEST(exact_name_then_longest_wildcard_then_star)
{
    const struct brim_route *route = match(hosts[_i].host, "/");

    ck_assert_ptr_nonnull(route);
    ck_assert_str_eq(route->site, hosts[_i].site);
}
END_TEST

static const struct {
    const char *path;
    const char *pattern; /* "": the site's own rules */
} paths[] = {
    {"/", ""},
    {"/img", ""},
    {"/img/", "/img/"},
    {"/img/x", "/img/"},
    {"/img/raw/x", "/img/raw/"},
    {"/style.css", "*.css"},
    {"/img/style.css", "*.css"}, /* a glob before a prefix */
    {"/style.css.map", ""},
    {"/a/x/b", "/a/*/b"},
    {"/a/x/y/b", ""}, /* * does not cross a slash */
    {"/a//b", ""},    /* slashes in a row are one */
    {"//img///x", "/img/"},
    {"/%69mg/x", "/img/"}, /* however it is spelt */
    {"/img%2Fx", "/img/"},
    {"/img%2fraw/x", "/img/raw/"},
    {"/style%2ecss", "*.css"},
    {"/a/x/bc", ""},
    {"/deep/x/y/end", "/deep/**/end"},
    {"/deep/end", ""},
    {"/deep/a/end/b", ""},
    {"/qx", "/q?"},
    {"/q/", ""}, /* ? is not a slash */
    {"/q", ""},
};

/* Which rules a path gets must be what the config's reader expects. */
START_TEST(first_glob_then_longest_prefix_then_site)
{
    ck_assert_str_eq(match("example.com", paths[_i].path)->path, paths[_i].pattern);
}
END_TEST

/* A route says what differs; the rest is its site's. */
START_TEST(routes_inherit_what_they_do_not_set)
{
    const struct brim_route *img = match("example.com", "/img/x");
    const struct brim_route *css = match("example.com", "/a.css");
    const struct brim_route *raw = match("example.com", "/img/raw/x");

    ck_assert_str_eq(img->origin->name, "two");
    ck_assert_str_eq(img->origin->host, "two.internal");
    ck_assert_int_eq(img->rules.default_ttl_ms, 60000);
    ck_assert_str_eq(css->origin->name, "one");
    ck_assert_int_eq(css->rules.default_ttl_ms, 3600000);
    ck_assert_int_eq(css->rules.grace_ms, 5000);
    ck_assert(raw->rules.bypass && !css->rules.bypass);
    ck_assert_uint_eq(brim_balance_count(css->origin->balance), 2);
    ck_assert_ptr_null(css->origin->host);
}
END_TEST

/* The node answers 404 then, rather than with another site's pages. */
START_TEST(unknown_host_has_no_route_without_a_star)
{
    struct brim_routes *strict =
        compile("listeners: [{address: \":8080\"}]\n"
                "origins: [{name: o, servers: [{url: \"http://127.0.0.1:1\"}]}]\n"
                "sites: [{hosts: [\"*.a.org\"], origin: o}]\n");

    ck_assert_ptr_null(brim_routes_match(strict, BRIM_STR("a.org"), BRIM_STR("/"), &get));
    ck_assert_ptr_null(brim_routes_match(strict, BRIM_STR("b.org"), BRIM_STR("/"), &get));
    ck_assert_ptr_nonnull(brim_routes_match(strict, BRIM_STR("x.a.org"), BRIM_STR("/"), &get));
    brim_routes_unref(strict);
}
END_TEST

/* A client chooses the path: a pattern must not be able to take exponential time on it. */
START_TEST(globs_with_many_stars_end)
{
    struct brim_routes *many =
        compile("listeners: [{address: \":8080\"}]\n"
                "origins: [{name: o, servers: [{url: \"http://127.0.0.1:1\"}]}]\n"
                "sites: [{hosts: [\"*\"], origin: o, routes: ["
                "{path: \"*a*a*a*a*a*a*a*a*b\"}, {path: \"/**a**a**a**a**a**a**a**b\"}]}]\n");
    char path[4001];

    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    ck_assert_str_eq(brim_routes_match(many, BRIM_STR("h"), brim_str_of(path), &get)->path, "");
    path[sizeof(path) - 2] = 'b';
    ck_assert_str_eq(brim_routes_match(many, BRIM_STR("h"), brim_str_of(path), &get)->path,
                     "*a*a*a*a*a*a*a*a*b");
    brim_routes_unref(many);
}
END_TEST

/* A route with conditions comes before one without, wherever it stands; one whose conditions do not
 * hold is as if it were not there. */
START_TEST(conditions_come_first)
{
    struct brim_routes *many =
        compile("listeners: [{address: \":8080\"}]\n"
                "origins: [{name: o, servers: [{url: \"http://127.0.0.1:1\"}]}]\n"
                "sites: [{hosts: [\"*\"], origin: o, routes: ["
                "{path: /a/, cache: {default_ttl: 1s}},"
                "{path: /a/, methods: [POST], cache: {default_ttl: 2s}},"
                "{path: /a/, headers: [{name: x-v, value: \"2\"}], cache: {default_ttl: 3s}},"
                "{path: \"*.c\", cache: {default_ttl: 4s}},"
                "{path: \"*.c\", methods: [POST], cache: {default_ttl: 5s}},"
                "{path: /a/b/, headers: [{name: x-none}], cache: {default_ttl: 6s}}]}]\n");
    struct brim_field field = {BRIM_STR("x-v"), BRIM_STR("2")};
    struct brim_condition_ask post = {.method = BRIM_STR("POST")},
                              v2 = {BRIM_STR("GET"), {&field, 1}},
                              both = {BRIM_STR("POST"), {&field, 1}};
    struct brim_str host = BRIM_STR("h");

#define TTL(path, ask) (brim_routes_match(many, host, BRIM_STR(path), ask)->rules.default_ttl_ms)
    ck_assert_int_eq(TTL("/a/x", &get), 1000);
    ck_assert_int_eq(TTL("/a/x", &post), 2000);
    ck_assert_int_eq(TTL("/a/x", &v2), 3000);
    ck_assert_int_eq(TTL("/a/x", &both), 2000); /* the first in the file */
    ck_assert_int_eq(TTL("/a/b/x", &get), 1000);
    ck_assert_int_eq(TTL("/x.c", &get), 4000);
    ck_assert_int_eq(TTL("/x.c", &post), 5000);
#undef TTL
    brim_routes_unref(many);
}
END_TEST

/* Where two origins may answer one URL, what they say is kept apart. */
START_TEST(the_key_tells_origins_apart)
{
    struct brim_routes *many = compile(
        "listeners: [{address: \":8080\"}]\n"
        "origins: [{name: o, servers: [{url: \"http://127.0.0.1:1\"}]}]\n"
        "sites: [{hosts: [\"*\"], origin: o, routes: ["
        "{path: /a/},"
        "{path: /a/, headers: [{name: x-v, value: \"2\"}]},"
        "{path: /a/, headers: [{name: x-v, value: \"3\"}], rewrite: {prefix: /a/, to: /3/}}]}]\n");
    struct brim_field two = {BRIM_STR("x-v"), BRIM_STR("2")},
                      three = {BRIM_STR("x-v"), BRIM_STR("3")};
    struct brim_condition_ask v2 = {BRIM_STR("GET"), {&two, 1}},
                              v3 = {BRIM_STR("GET"), {&three, 1}};
    struct brim_str host = BRIM_STR("h"), path = BRIM_STR("/a/x"), none = BRIM_STR("");
    char text[3][64];
    struct brim_str parts[] = {
        brim_route_part(brim_routes_match(many, host, path, &get), none, none, text[0]),
        brim_route_part(brim_routes_match(many, host, path, &v2), none, none, text[1]),
        brim_route_part(brim_routes_match(many, host, path, &v3), none, none, text[2]),
    };

    ck_assert(brim_str_is(parts[0], BRIM_STR("o ")));
    ck_assert_uint_eq(brim_route_part(match("example.com", "/"), none, none, text[0]).len, 0);
    ck_assert(brim_str_is(parts[1], BRIM_STR("o ")));
    ck_assert(brim_str_is(parts[2], BRIM_STR("o|/a/ /3/  ")));
    brim_routes_unref(many);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy/route");
    TCase *tcase = tcase_create("route");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, exact_name_then_longest_wildcard_then_star, 0,
                        (int)(sizeof(hosts) / sizeof(hosts[0])));
    tcase_add_loop_test(tcase, first_glob_then_longest_prefix_then_site, 0,
                        (int)(sizeof(paths) / sizeof(paths[0])));
    tcase_add_test(tcase, routes_inherit_what_they_do_not_set);
    tcase_add_test(tcase, unknown_host_has_no_route_without_a_star);
    tcase_add_test(tcase, globs_with_many_stars_end);
    tcase_add_test(tcase, conditions_come_first);
    tcase_add_test(tcase, the_key_tells_origins_apart);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
