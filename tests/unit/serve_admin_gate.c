/* SPDX-License-Identifier: MIT */
#include "brim/serve/admin_gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "unit.h"

#define RIGHT BRIM_STR("Bearer 0123456789abcdef")
#define WRONG BRIM_STR("Bearer 0123456789abcdee")

static struct brim_admin_gate gate;
static char path[] = "/tmp/brim-gate-XXXXXX";

static void write_token(const char *token)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(token, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void set_up(void)
{
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    write_token("0123456789abcdef\n");
    ck_assert_int_eq(brim_admin_gate_init(&gate, path, 3), BRIM_OK);
}

static void tear_down(void)
{
    brim_admin_gate_fini(&gate);
    unlink(path);
}

START_TEST(a_second_holds_so_many_calls_and_no_more)
{
    for (uint64_t second = 1; second < 4; second++) {
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, second * 1000),
                             BRIM_ADMIN_GATE_OPEN);
        ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, second * 1000), BRIM_ADMIN_GATE_BUSY);
    }
    ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 3000 + 333), BRIM_ADMIN_GATE_BUSY);
    ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 3000 + 334), BRIM_ADMIN_GATE_OPEN);
    /* Who was away for a long time has not saved up for it. */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 1000000), BRIM_ADMIN_GATE_OPEN);
    ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 1000000), BRIM_ADMIN_GATE_BUSY);
}
END_TEST

/* Else anybody who reaches the port could keep the operator out. */
START_TEST(guessing_is_slow_and_takes_nothing_from_those_who_know)
{
    for (unsigned i = 0; i < BRIM_ADMIN_GATE_ATTEMPTS; i++)
        ck_assert_int_eq(brim_admin_gate_check(&gate, WRONG, 1000), BRIM_ADMIN_GATE_SHUT);
    ck_assert_int_eq(brim_admin_gate_check(&gate, WRONG, 1000), BRIM_ADMIN_GATE_BUSY);
    ck_assert_int_eq(brim_admin_gate_check(&gate, BRIM_STR(""), 1000), BRIM_ADMIN_GATE_BUSY);
    ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 1000), BRIM_ADMIN_GATE_OPEN);
}
END_TEST

/* Who is asked before a body is read, and again when the call is made, makes one call. */
START_TEST(asking_who_knows_it_takes_nothing)
{
    for (int i = 0; i < 100; i++) {
        ck_assert(brim_admin_gate_knows(&gate, RIGHT));
        ck_assert(!brim_admin_gate_knows(&gate, WRONG));
        ck_assert(!brim_admin_gate_knows(&gate, BRIM_STR("")));
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 1000), BRIM_ADMIN_GATE_OPEN);
    ck_assert_int_eq(brim_admin_gate_check(&gate, WRONG, 1000), BRIM_ADMIN_GATE_SHUT);
}
END_TEST

START_TEST(a_renewed_token_counts_and_a_lost_one_leaves_the_old)
{
    write_token("fedcba9876543210");
    ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 1000), BRIM_ADMIN_GATE_OPEN);
    brim_admin_gate_renew(&gate);
    ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 2000), BRIM_ADMIN_GATE_SHUT);
    ck_assert_int_eq(brim_admin_gate_check(&gate, BRIM_STR("Bearer fedcba9876543210"), 2000),
                     BRIM_ADMIN_GATE_OPEN);
    write_token("");
    brim_admin_gate_renew(&gate);
    ck_assert_int_eq(brim_admin_gate_check(&gate, BRIM_STR("Bearer fedcba9876543210"), 3000),
                     BRIM_ADMIN_GATE_OPEN);
    ck_assert_int_eq(brim_admin_gate_check(&gate, BRIM_STR("Bearer "), 3000), BRIM_ADMIN_GATE_SHUT);
}
END_TEST

/* Who has the file's new token shall not need the old one to say so: brim reload takes the new. */
START_TEST(a_new_token_in_the_file_counts_when_somebody_brings_it)
{
    write_token("fedcba9876543210-");
    ck_assert_int_eq(brim_admin_gate_check(&gate, WRONG, 1000), BRIM_ADMIN_GATE_SHUT);
    ck_assert_int_eq(brim_admin_gate_check(&gate, BRIM_STR("Bearer fedcba9876543210-"), 1000),
                     BRIM_ADMIN_GATE_OPEN);
    ck_assert_int_eq(brim_admin_gate_check(&gate, RIGHT, 1000), BRIM_ADMIN_GATE_SHUT);
    write_token("short");
    ck_assert_int_eq(brim_admin_gate_check(&gate, BRIM_STR("Bearer short"), 2000),
                     BRIM_ADMIN_GATE_SHUT);
    unlink(path);
    ck_assert_int_eq(brim_admin_gate_check(&gate, WRONG, 3000), BRIM_ADMIN_GATE_SHUT);
    ck_assert(brim_admin_gate_knows(&gate, BRIM_STR("Bearer fedcba9876543210-")));
}
END_TEST

/* What everybody may read is no secret. */
START_TEST(a_token_that_others_may_read_is_warned_of)
{
    char text[1024] = "";
    FILE *log = tmpfile();

    ck_assert_ptr_nonnull(log);
    brim_log_setup(BRIM_LOG_INFO, fileno(log));
    brim_admin_gate_renew(&gate);
    ck_assert_int_eq(ftell(log), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
    brim_admin_gate_renew(&gate);
    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    rewind(log);
    ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, log), 0);
    (void)fclose(log);
    ck_assert_ptr_nonnull(strstr(text, "warn admin.token_open path="));
}
END_TEST

START_TEST(without_a_file_everybody_is_let_and_with_an_empty_one_nobody)
{
    struct brim_admin_gate other;

    ck_assert_int_eq(brim_admin_gate_init(&other, "", 0), BRIM_OK);
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(brim_admin_gate_check(&other, BRIM_STR(""), 1), BRIM_ADMIN_GATE_OPEN);
    brim_admin_gate_fini(&other);
    ck_assert_int_eq(brim_admin_gate_init(&other, "/dev/null", 0), BRIM_EINVAL);
    brim_admin_gate_fini(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_admin_gate");
    TCase *tcase = tcase_create("gate");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_new_token_in_the_file_counts_when_somebody_brings_it);
    tcase_add_test(tcase, a_token_that_others_may_read_is_warned_of);
    tcase_add_test(tcase, a_second_holds_so_many_calls_and_no_more);
    tcase_add_test(tcase, guessing_is_slow_and_takes_nothing_from_those_who_know);
    tcase_add_test(tcase, asking_who_knows_it_takes_nothing);
    tcase_add_test(tcase, a_renewed_token_counts_and_a_lost_one_leaves_the_old);
    tcase_add_test(tcase, without_a_file_everybody_is_let_and_with_an_empty_one_nobody);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
