/* SPDX-License-Identifier: MIT */
#include "brim/cli/url_list.h"

#include <stdlib.h>

#include "unit.h"

static struct brim_url_list list;
static char *faults;
static size_t faults_len, bad;

static void setup(void)
{
    list = (struct brim_url_list){.count_max = 100};
    bad = 0;
}

static void teardown(void)
{
    brim_url_list_fini(&list);
    free(faults);
    faults = NULL;
}

static enum brim_err read_text(char *text)
{
    FILE *in = fmemopen(text, strlen(text), "r"), *out = open_memstream(&faults, &faults_len);
    enum brim_err err;

    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(out);
    err = brim_url_list_read(&list, in, "urls.txt", out, &bad);
    (void)fclose(in);
    (void)fclose(out);
    return err;
}

/* Lists are made by people and by programs of other systems. */
START_TEST(lines_are_urls_comments_or_faults)
{
    char text[] = "http://a/1\r\n\n# no\n  https://b/2 \n/3\nhttp://a/#x\nhttp://c";

    ck_assert_int_eq(read_text(text), BRIM_OK);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_str_eq(list.urls[0], "http://a/1");
    ck_assert_str_eq(list.urls[1], "https://b/2");
    ck_assert_str_eq(list.urls[2], "http://c");
    ck_assert_uint_eq(bad, 2);
    ck_assert_str_eq(faults, "urls.txt:5: is no absolute http(s) URL without fragment\n"
                             "urls.txt:6: is no absolute http(s) URL without fragment\n");
}
END_TEST

START_TEST(full_list_takes_no_more)
{
    char text[] = "http://a/1\nhttp://a/2\nhttp://a/3\n";

    list.count_max = 2;
    ck_assert_int_eq(read_text(text), BRIM_ELIMIT);
    ck_assert_uint_eq(list.count, 2);
}
END_TEST

START_TEST(list_grows)
{
    list.count_max = 1000;
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(brim_url_list_add(&list, BRIM_STR("http://a/")), BRIM_OK);
    ck_assert_int_eq(brim_url_list_add(&list, BRIM_STR("http://a/")), BRIM_ELIMIT);
    ck_assert_int_eq(brim_url_list_add(&list, BRIM_STR("ftp://a/")), BRIM_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli/url_list");
    TCase *tcase = tcase_create("url_list");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, lines_are_urls_comments_or_faults);
    tcase_add_test(tcase, full_list_takes_no_more);
    tcase_add_test(tcase, list_grows);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
