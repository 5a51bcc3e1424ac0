/* SPDX-License-Identifier: MIT */
#include "brim/policy/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static struct brim_access *compile(const struct brim_conf_access *conf)
{
    struct brim_access *access;

    ck_assert_int_eq(brim_access_compile(conf, &access), BRIM_OK);
    return access;
}

static char ten[] = "10.0.0.0/8", nine[] = "10.9.0.0/16", six[] = "2001:db8::/32";
static char *inside[] = {ten, six};
static char *outside[] = {nine, ten};
static char *holes[] = {nine};

static const struct {
    struct brim_conf_access conf;
    const char *client;
    bool is_allowed;
} cases[] = {
    {{.allow = {inside, 2}}, "10.1.2.3", true},
    {{.allow = {inside, 2}}, "192.0.2.1", false},
    {{.allow = {inside, 2}}, "2001:db8::1", true},
    {{.allow = {inside, 2}}, "2001:db9::1", false},
    {{.deny = {holes, 1}}, "10.9.0.1", false},
    {{.deny = {holes, 1}}, "10.8.0.1", true},
    {{.allow = {inside, 2}, .deny = {holes, 1}}, "10.9.0.1", false},
    {{.allow = {inside, 2}, .deny = {holes, 1}}, "10.8.0.1", true},
    {{.allow = {inside, 2}, .deny = {outside, 2}}, "10.8.0.1", false}, /* named in both */
    {{.allow = {holes, 1}, .deny = {outside, 2}}, "10.8.0.1", false},
};

START_TEST(the_longest_block_decides_and_denial_goes_before)
{
    struct brim_access *access = compile(&cases[_i].conf);
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr *client = (struct sockaddr *)&v4;

    if (inet_pton(AF_INET, cases[_i].client, &v4.sin_addr) != 1) {
        ck_assert_int_eq(inet_pton(AF_INET6, cases[_i].client, &v6.sin6_addr), 1);
        client = (struct sockaddr *)&v6;
    }
    ck_assert_ptr_nonnull(access);
    ck_assert_int_eq(brim_access_allows(access, client), cases[_i].is_allowed);
    brim_access_free(access);
}
END_TEST

START_TEST(a_rule_that_says_nothing_lets_everybody)
{
    struct brim_conf_access empty = {.allow.count = 0};
    struct sockaddr_in client = {.sin_family = AF_INET};

    ck_assert_ptr_null(compile(&empty));
    ck_assert(brim_access_allows(NULL, (struct sockaddr *)&client));
    brim_access_free(NULL);
}
END_TEST

START_TEST(a_unix_socket_is_let)
{
    struct brim_conf_access conf = {.allow = {inside, 1}};
    struct brim_access *access = compile(&conf);
    struct sockaddr client = {.sa_family = AF_UNIX};

    ck_assert(brim_access_allows(access, &client));
    brim_access_free(access);
}
END_TEST

/* A list of an hour's attackers is made by a program, not written into the config. */
START_TEST(a_file_says_more_of_the_same)
{
    static char path[] = "access.txt", missing[] = "no/such/file";
    struct brim_conf_access conf = {.deny_file = path};
    struct sockaddr_in client = {.sin_family = AF_INET};
    struct brim_access *access;
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs("# bad ones\n\n 192.0.2.0/24 # all of it\r\n2001:db8::1\n", file);
    fclose(file);
    access = compile(&conf);
    client.sin_addr.s_addr = htonl(0xc0000203);
    ck_assert(!brim_access_allows(access, (struct sockaddr *)&client));
    client.sin_addr.s_addr = htonl(0xc0000303);
    ck_assert(brim_access_allows(access, (struct sockaddr *)&client));
    brim_access_free(access);
    conf.deny_file = missing;
    ck_assert_int_eq(brim_access_compile(&conf, &access), BRIM_EINVAL);
    ck_assert_ptr_null(access);
    remove(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy/access");
    TCase *tcase = tcase_create("access");

    tcase_add_loop_test(tcase, the_longest_block_decides_and_denial_goes_before, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, a_rule_that_says_nothing_lets_everybody);
    tcase_add_test(tcase, a_unix_socket_is_let);
    tcase_add_test(tcase, a_file_says_more_of_the_same);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
