/* SPDX-License-Identifier: MIT */
#include "brim/policy/origins.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define HEAD "listeners: [{address: \":8080\"}]\nsites: [{hosts: [\"*\"], origin: one}]\norigins:\n"
#define ONE  "  - {name: one, servers: [{url: \"http://127.0.0.1:1\"}]}\n"
#define TWO                                                                                        \
    "  - {name: two, host: h, servers: [{url: \"http://127.0.0.1:2\"}], tls: {server_name: s}}\n"

static struct brim_origins *compile(const char *text, const struct brim_origins *previous)
{
    char path[] = "/tmp/brim-origins-XXXXXX";
    int fd = mkstemp(path);
    struct brim_conf *conf = NULL;
    struct brim_origins *compiled;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    ck_assert_int_eq(brim_conf_load(path, stderr, &conf), BRIM_OK);
    unlink(path);
    compiled = brim_origins_compile(brim_conf_root(conf), previous);
    brim_conf_free(conf);
    return compiled;
}

/* An origin that a reload does not change keeps its limit of connections and its turn. */
START_TEST(what_has_not_changed_lives_on_in_the_next_config)
{
    struct brim_origins *first = compile(HEAD ONE TWO, NULL);
    struct brim_origin *one = brim_origins_get(first, "one");
    struct brim_origin *two = brim_origins_get(first, "two");
    struct brim_origins *second = compile(HEAD TWO ONE, first);

    brim_origins_free(first);
    ck_assert_ptr_eq(brim_origins_get(second, "one"), one);
    ck_assert_ptr_eq(brim_origins_get(second, "two"), two);
    ck_assert_str_eq(two->host, "h");
    brim_origins_free(second);
}
END_TEST

static const char *const changes[] = {
    "  - {name: one, servers: [{url: \"http://127.0.0.1:9\"}]}\n",
    "  - {name: one, servers: [{url: \"http://127.0.0.1:1\"}, {url: \"http://127.0.0.1:9\"}]}\n",
    "  - {name: one, servers: [{url: \"http://127.0.0.1:1\", weight: 2}]}\n",
    "  - {name: one, servers: [{url: \"http://127.0.0.1:1\", backup: true}]}\n",
    "  - {name: one, servers: [{url: \"http://127.0.0.1:1\", max_connections: 2}]}\n",
    "  - {name: one, balance: hash, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, hash_on: client, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, hash_name: x, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, eject_failures: 9, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, eject_percent: 9, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, eject_time: 9s, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, eject_max: 9, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, slow_start: 9s, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, retry_percent: 9, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, health: {path: /h}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, health: {host: h}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, health: {body: ok}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, health: {status: 204}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, health: {interval: 9s}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, health: {timeout: 9s}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, health: {all_down: ask}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, hedge: 9ms, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, retry_on: 503, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, retry_on: timeout, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, fallback: two, servers: [{url: \"http://127.0.0.1:1\"}]}\n"
    "  - {name: two, servers: [{url: \"http://127.0.0.1:2\"}]}\n",
    "  - {name: one, host: h, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, pool: 7, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, queue: 7, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, connect_timeout: 7s, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, first_byte_timeout: 7s, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, between_bytes_timeout: 7s, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, tls: {verify: false}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, tls: {ca: /etc/passwd}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
    "  - {name: one, tls: {server_name: n}, servers: [{url: \"http://127.0.0.1:1\"}]}\n",
};

/* Whatever the config changes of an origin is a new one, which stays with the same fetcher. */
START_TEST(what_has_changed_is_new_and_keeps_its_number)
{
    struct brim_origins *first = compile(HEAD TWO ONE, NULL);
    struct brim_origin *one = brim_origins_get(first, "one");
    char text[1024];

    snprintf(text, sizeof(text), "%s%s%s", HEAD, changes[_i],
             "  - {name: three, servers: [{url: \"http://127.0.0.1:3\"}]}\n");
    struct brim_origins *second = compile(text, first);

    ck_assert_ptr_ne(brim_origins_get(second, "one"), one);
    ck_assert_uint_eq(brim_origins_get(second, "one")->fetch.id, one->fetch.id);
    ck_assert_uint_eq(brim_origins_get(second, "three")->fetch.id, 2);
    brim_origins_free(first);
    brim_origins_free(second);
}
END_TEST

#define STANDS_IN(port)                                                                            \
    "  - {name: one, servers: [{url: \"http://127.0.0.1:1\"}], fallback: two}\n"                   \
    "  - {name: two, servers: [{url: \"http://127.0.0.1:" port "\"}]}\n"

/* What refers to it must not refer to the old one. */
START_TEST(a_new_fallback_makes_whom_it_stands_in_for_new)
{
    struct brim_origins *first = compile(HEAD STANDS_IN("2"), NULL);
    struct brim_origins *second = compile(HEAD STANDS_IN("2"), first);
    struct brim_origins *third = compile(HEAD STANDS_IN("3"), second);
    struct brim_origin *one = brim_origins_get(first, "one");

    ck_assert_ptr_eq(one->fallback, brim_origins_get(first, "two"));
    ck_assert_ptr_eq(brim_origins_get(second, "one"), one);
    ck_assert_ptr_ne(brim_origins_get(third, "one"), one);
    ck_assert_ptr_eq(brim_origins_get(third, "one")->fallback, brim_origins_get(third, "two"));
    brim_origins_free(first);
    brim_origins_free(second);
    brim_origins_free(third);
}
END_TEST

START_TEST(a_header_to_hash_on_is_found_however_it_is_written)
{
    struct brim_origins *origins =
        compile(HEAD "  - {name: one, balance: hash, hash_on: header, hash_name: X-User, "
                     "servers: [{url: \"http://127.0.0.1:1\"}]}\n"
                     "  - {name: two, balance: hash, hash_on: cookie, hash_name: X-User, "
                     "servers: [{url: \"http://127.0.0.1:1\"}]}\n",
                NULL);

    ck_assert_str_eq(brim_origins_get(origins, "one")->hash_name.base, "x-user");
    ck_assert_str_eq(brim_origins_get(origins, "two")->hash_name.base, "X-User");
    brim_origins_free(origins);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy/origins");
    TCase *reload = tcase_create("reload");

    tcase_add_test(reload, what_has_not_changed_lives_on_in_the_next_config);
    tcase_add_loop_test(reload, what_has_changed_is_new_and_keeps_its_number, 0,
                        (int)(sizeof(changes) / sizeof(changes[0])));
    tcase_add_test(reload, a_header_to_hash_on_is_found_however_it_is_written);
    tcase_add_test(reload, a_new_fallback_makes_whom_it_stands_in_for_new);
    suite_add_tcase(suite, reload);
    return unit_run(suite);
}
