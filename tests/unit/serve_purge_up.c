/* SPDX-License-Identifier: MIT */
/* What is made of the answers of the tier above, or of whoever answers there. */
#include "brim/serve/purge_up.h"

#include <stdbool.h>

#include "scripted_origin.h"

enum { LONG = 100000, HEAD_MAX = 64 };

static struct scripted server;
static struct brim_purge_up *up;
static char wrong[BRIM_PURGE_UP_WRONG_BYTES];

static void set_up(void)
{
    static struct brim_conf_purge_via via;
    static char none[] = "";
    struct brim_conf_admin conf = {.purge_via = {.items = &via, .count = 1}};

    scripted_open(&server, NULL);
    scripted_start(&server);
    via = (struct brim_conf_purge_via){.url = server.url, .token = none};
    up = brim_purge_up_open(&conf);
}

static void tear_down(void)
{
    brim_purge_up_close(up);
    scripted_close(&server);
}

static enum brim_err pass(const char *answer)
{
    server.answer = answer;
    return brim_purge_up_pass(up, "{\"all\":true}", wrong);
}

START_TEST(only_the_word_of_a_brim_counts)
{
    ck_assert_int_eq(pass("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"purged\":1}"), BRIM_OK);
    ck_assert_int_eq(pass("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), BRIM_EPROTO);
    ck_assert_int_eq(pass(NULL), BRIM_EPROTO);
}
END_TEST

/* BRIM_ELIMIT means that others are being passed on: come again. */
START_TEST(an_answer_that_is_too_long_is_none)
{
    static char answer[HEAD_MAX + LONG + 1];
    int head =
        snprintf(answer, HEAD_MAX, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", (int)LONG);

    memset(answer + head, 'x', LONG);
    ck_assert_int_eq(pass(answer), BRIM_EPROTO);
}
END_TEST

/* It is told in JSON, and to clients. */
START_TEST(what_is_quoted_of_an_answer_is_plain_text)
{
    ck_assert_int_eq(pass("HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\nno\xff\r\n!"), BRIM_EPROTO);
    ck_assert_ptr_nonnull(strstr(wrong, "answered 500: no...!"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_purge_up");
    TCase *tcase = tcase_create("purge_up");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, only_the_word_of_a_brim_counts);
    tcase_add_test(tcase, an_answer_that_is_too_long_is_none);
    tcase_add_test(tcase, what_is_quoted_of_an_answer_is_plain_text);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
