/* SPDX-License-Identifier: MIT */
#include "brim/base/err.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "unit.h"

/* Logs and admin answers print reasons: none may be without a text or a name. */
START_TEST(every_reason_has_a_text_and_a_name)
{
    for (int i = 0; i < BRIM_ERR_COUNT; i++) {
        const char *name = brim_err_name((enum brim_err)i);

        ck_assert_uint_gt(strlen(brim_err_text((enum brim_err)i)), 0);
        ck_assert_uint_gt(strlen(name), 0);
        for (; *name != '\0'; name++)
            ck_assert(islower((unsigned char)*name));
    }
}
END_TEST

/* Names are matched by dashboards: they are the constants without prefix, in small letters. */
START_TEST(name_is_the_constant_without_its_prefix)
{
    ck_assert_str_eq(brim_err_name(BRIM_OK), "ok");
    ck_assert_str_eq(brim_err_name(BRIM_ENOENT), "enoent");
    ck_assert_str_eq(brim_err_name(BRIM_EVERSION), "eversion");
    ck_assert_str_eq(brim_err_text(BRIM_ENOENT), "no such record");
}
END_TEST

/* A reason that does not exist is our own mistake and must not read past the table. */
START_TEST(text_of_an_unknown_reason_aborts)
{
    (void)brim_err_text(BRIM_ERR_COUNT);
}
END_TEST

/* Structs are filled on the promise that what is not set is zero. */
START_TEST(alloc_gives_zeroed_memory_and_accepts_no_bytes)
{
    unsigned char *bytes = brim_alloc(4096);
    void *nothing = brim_alloc(0);

    for (size_t i = 0; i < 4096; i++)
        ck_assert_uint_eq(bytes[i], 0);
    free(bytes);
    free(nothing);
}
END_TEST

/* Optional texts are copied without asking first. */
START_TEST(strdup_of_null_is_null)
{
    char *copy = brim_strdup("text");

    ck_assert_ptr_null(brim_strdup(NULL));
    ck_assert_str_eq(copy, "text");
    free(copy);
}
END_TEST

/* A node makes log lines of what libraries print to stderr, and its log may keep errors only. The
 * reason for its death must be told all the same. */
START_TEST(a_broken_invariant_is_told_to_the_descriptor)
{
    int ends[2], status;
    char said[256] = "";
    pid_t child;

    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        stderr = fopen("/dev/null", "w");
        brim_invariant_failed("file.c", 7, "a == b");
    }
    close(ends[1]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_int_gt(read(ends[0], said, sizeof(said) - 1), 0);
    ck_assert_ptr_nonnull(strstr(said, "file.c:7: invariant does not hold: a == b\n"));
    close(ends[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/err");
    TCase *tcase = tcase_create("err");

    tcase_add_test(tcase, every_reason_has_a_text_and_a_name);
    tcase_add_test(tcase, name_is_the_constant_without_its_prefix);
    tcase_add_test_raise_signal(tcase, text_of_an_unknown_reason_aborts, SIGABRT);
    tcase_add_test(tcase, alloc_gives_zeroed_memory_and_accepts_no_bytes);
    tcase_add_test(tcase, strdup_of_null_is_null);
    tcase_add_test(tcase, a_broken_invariant_is_told_to_the_descriptor);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
