/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_once.h"

#include <stdbool.h>
#include <stdlib.h>

#include "scripted_origin.h"

enum { BODY = 100000, HEAD_MAX = 64 };

static struct scripted server;
static char answer[HEAD_MAX + BODY + 1];

static void set_up(void)
{
    int head =
        snprintf(answer, HEAD_MAX, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", (int)BODY);

    memset(answer + head, 'x', BODY);
    scripted_open(&server, answer);
    scripted_start(&server);
}

static void tear_down(void)
{
    scripted_close(&server);
}

static enum brim_err ask(size_t bytes_max)
{
    struct brim_fetch_call call = {
        .method = "GET", .url = server.url, .answer_bytes_max = bytes_max};
    struct brim_fetch_answer got;
    enum brim_err err = brim_fetch_once(&call, &got);

    ck_assert_uint_eq(got.body_bytes, err == BRIM_OK ? BODY : 0);
    free(got.body);
    return err;
}

/* A node asks others, too: whoever answers there is not to fill its memory. */
START_TEST(no_more_is_taken_of_an_answer_than_is_asked_for)
{
    ck_assert_int_eq(ask(BODY), BRIM_OK);
    ck_assert_int_eq(ask(0), BRIM_OK);
    ck_assert_int_eq(ask(BODY - 1), BRIM_ELIMIT);
    ck_assert_int_eq(ask(1), BRIM_ELIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin.fetch_once");
    TCase *tcase = tcase_create("fetch_once");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, no_more_is_taken_of_an_answer_than_is_asked_for);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
