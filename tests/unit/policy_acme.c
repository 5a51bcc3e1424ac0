/* SPDX-License-Identifier: MIT */
#include "brim/policy/acme.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/pool.h"
#include "brim/base/watch.h"
#include "unit.h"

#define AT "/.well-known/acme-challenge/"

/* Who chooses the token must not choose the file. */
START_TEST(only_a_token_is_a_token)
{
    static const char *const bad[] = {AT,       AT "..", AT "a/b",    AT "a?b",  AT "%2e", AT "a.b",
                                      AT "a b", "/a",    "/x" AT "a", AT "a\\b", ""};

    ck_assert(brim_str_is(brim_acme_token(BRIM_STR(AT "aZ09-_")), BRIM_STR("aZ09-_")));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_uint_eq(brim_acme_token(brim_str_of(bad[i])).len, 0);
}
END_TEST

static void ignore(struct brim_port *port)
{
    (void)port;
}

START_TEST(a_file_is_read_and_a_link_is_not)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 16};
    struct brim_acme_read *there, *link, *missing;
    struct brim_pool *pool;
    struct brim_port port;
    struct brim_str text;
    FILE *file;

    mkdir("acme", 0755);
    mkdir("acme/.well-known", 0755);
    mkdir("acme" AT, 0755);
    file = fopen("acme" AT "token", "w");
    ck_assert_ptr_nonnull(file);
    fputs("token.thumbprint", file);
    fclose(file);
    (void)unlink("acme" AT "link");
    ck_assert_int_eq(symlink("token", "acme" AT "link"), 0);
    brim_port_init(&port, ignore, ignore);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    there = brim_acme_begin(pool, "acme", BRIM_STR("token"), &port);
    link = brim_acme_begin(pool, "acme", BRIM_STR("link"), &port);
    missing = brim_acme_begin(pool, "acme", BRIM_STR("missing"), &port);
    brim_pool_close(pool); /* runs what is queued */
    ck_assert_int_eq(brim_acme_look(there, &text), BRIM_ACME_THERE);
    ck_assert(brim_str_is(text, BRIM_STR("token.thumbprint")));
    ck_assert_int_eq(brim_acme_look(link, &text), BRIM_ACME_NONE);
    ck_assert_int_eq(brim_acme_look(missing, &text), BRIM_ACME_NONE);
    brim_acme_end(there);
    brim_acme_end(link);
    brim_acme_end(missing);
    brim_acme_end(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_acme");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, only_a_token_is_a_token);
    tcase_add_test(tcase, a_file_is_read_and_a_link_is_not);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
