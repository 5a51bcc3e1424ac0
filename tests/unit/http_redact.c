/* SPDX-License-Identifier: MIT */
#include "brim/http/redact.h"

#include "unit.h"

static char names[5][16] = {"token", "api_key", "x-*", "", "Sig"};
static char *const list[] = {names[0], names[1], names[2], names[4]};

static const struct {
    const char *url;
    const char *shown;
} cases[] = {
    {"/a", "/a"},
    {"/a?b=c", "/a?b=c"},
    {"/token=1", "/token=1"},
    {"/a?token=secret", "/a?token=***"},
    {"/a?token=secret&b=c", "/a?token=***&b=c"},
    {"/a?b=c&token=secret;api_key=12345&d", "/a?b=c&token=***;api_key=***&d"},
    {"/a?TOKEN=s", "/a?TOKEN=***"},
    {"/a?Tok%65n=s", "/a?Tok%65n=***"},
    {"/a?%74oken=s%26t", "/a?%74oken=***"},
    {"/a?tokens=s&token", "/a?tokens=s&token"},
    {"/a?token=", "/a?token="},
    {"/a?x-=1&x-y=2&xy=3", "/a?x-=***&x-y=***&xy=3"},
    {"/a?sig=a=b&c=d", "/a?sig=***&c=d"},
    {"https://a.example/?b&token=s#token=t", "https://a.example/?b&token=***#token=t"},
    {"/a?&&token=s&", "/a?&&token=***&"},
    {"/a?token=s?token=t", "/a?token=***"},
    {"/a?%=%&%7=1&token=%zz", "/a?%=%&%7=1&token=***"},
};

/* A log is read by more people than the credentials in it are meant for. */
START_TEST(values_of_named_parameters_are_not_shown)
{
    struct brim_redact redact;
    struct brim_str shown;
    char buffer[256];

    brim_redact_init(&redact, list, 4);
    shown = brim_redact_query(&redact, brim_str_of(cases[_i].url), buffer, sizeof(buffer));
    ck_assert_uint_eq(shown.len, strlen(cases[_i].shown));
    ck_assert_mem_eq(shown.base, cases[_i].shown, shown.len);
    brim_redact_fini(&redact);
}
END_TEST

/* Three stars may be more than was there; what does not fit must not be the secret's end. */
START_TEST(what_does_not_fit_is_left_out)
{
    struct brim_redact redact;
    struct brim_str shown;
    char buffer[12];

    brim_redact_init(&redact, list, 4);
    shown = brim_redact_query(&redact, BRIM_STR("/a?token=s&token=secret"), buffer, sizeof(buffer));
    ck_assert_uint_le(shown.len, sizeof(buffer));
    for (size_t i = 0; i + 3 <= shown.len; i++)
        ck_assert_mem_ne(shown.base + i, "sec", 3);
    brim_redact_fini(&redact);
}
END_TEST

START_TEST(without_names_nothing_is_copied)
{
    struct brim_redact redact;
    struct brim_str url = BRIM_STR("/a?token=secret");

    brim_redact_init(&redact, NULL, 0);
    ck_assert_ptr_eq(brim_redact_query(&redact, url, NULL, 0).base, url.base);
    brim_redact_fini(&redact);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/redact");
    TCase *tcase = tcase_create("redact");

    tcase_add_loop_test(tcase, values_of_named_parameters_are_not_shown, 0,
                        sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tcase, what_does_not_fit_is_left_out);
    tcase_add_test(tcase, without_names_nothing_is_copied);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
