/* SPDX-License-Identifier: MIT */
#include "brim/base/bearer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

static char path[] = "/tmp/brim-bearer-XXXXXX";

static const char *read_of(const char *bytes, size_t len, char *token)
{
    int fd = mkstemp(path);
    const char *wrong;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    wrong = brim_bearer_read(path, token);
    unlink(path);
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    return wrong;
}

/* Editors end a file with a line's end; secrets are mounted without. */
START_TEST(a_token_is_what_stands_between_white_space)
{
    static const char *const rows[] = {"0123456789abcdef", "0123456789abcdef\n",
                                       " \t\r\n0123456789abcdef\r\n\r\n"};
    char token[BRIM_BEARER_MAX + 1];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_ptr_null(read_of(rows[i], strlen(rows[i]), token));
        ck_assert_str_eq(token, "0123456789abcdef");
    }
}
END_TEST

/* A file that is empty, or another one by mistake, must not become a token that anybody guesses. */
START_TEST(what_is_no_token_is_refused)
{
    static const char *const rows[] = {"",
                                       "\n",
                                       "short",
                                       "0123456789 abcdef",
                                       "0123456789\nabcdefgh",
                                       "0123456789abcdef\xc3\xa4",
                                       "\"0123456789abcdef\""};
    char token[BRIM_BEARER_MAX + 1], longest[BRIM_BEARER_MAX + 100];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_ptr_nonnull(read_of(rows[i], strlen(rows[i]), token));
        ck_assert_str_eq(token, "");
    }
    ck_assert_ptr_nonnull(read_of("0123456789\0abcdef", 17, token));
    memset(longest, 'x', sizeof(longest));
    ck_assert_ptr_null(read_of(longest, BRIM_BEARER_MAX, token));
    ck_assert_uint_eq(strlen(token), BRIM_BEARER_MAX);
    ck_assert_ptr_nonnull(read_of(longest, BRIM_BEARER_MAX + 1, token));
    ck_assert_ptr_nonnull(read_of(longest, sizeof(longest), token));
    ck_assert_ptr_nonnull(brim_bearer_read("/nonexistent", token));
    ck_assert_ptr_nonnull(brim_bearer_read("/tmp", token));
}
END_TEST

START_TEST(only_the_token_itself_is_accepted)
{
    struct brim_bearer bearer = brim_bearer_of(BRIM_STR("0123456789abcdef"));
    static const char *const right[] = {"Bearer 0123456789abcdef", "bearer  0123456789abcdef ",
                                        "BEARER 0123456789abcdef"};
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        "0123456789abcdef",
                                        "Basic 0123456789abcdef",
                                        "Bearer 0123456789abcde",
                                        "Bearer 0123456789abcdef0",
                                        "Bearer 0123456789abcdeF",
                                        "Bearer 0123456789abcdef, x"};

    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        ck_assert(brim_bearer_is(&bearer, brim_str_of(right[i])));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert(!brim_bearer_is(&bearer, brim_str_of(wrong[i])));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_bearer");
    TCase *tcase = tcase_create("bearer");

    tcase_add_test(tcase, a_token_is_what_stands_between_white_space);
    tcase_add_test(tcase, what_is_no_token_is_refused);
    tcase_add_test(tcase, only_the_token_itself_is_accepted);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
