/* SPDX-License-Identifier: MIT */
#include "brim/cache/purge_name.h"

#include "unit.h"

static const struct named {
    enum brim_purge_noun noun;
    const char *text;
    size_t scopes;
} cases[] = {
    {BRIM_PURGE_URL, "http://a/b?c", 1},
    {BRIM_PURGE_URL, "https://a:8443/", 1},
    {BRIM_PURGE_URL, "/b", 0},
    {BRIM_PURGE_URL, "ftp://a/b", 0},
    {BRIM_PURGE_URL, "http://a/b#c", 0},
    {BRIM_PURGE_URL, "", 0},
    {BRIM_PURGE_PREFIX, "http://a/img/", 1},
    {BRIM_PURGE_PREFIX, "http://a/img/*", 1},
    {BRIM_PURGE_PREFIX, "//a/img/*", 2},
    {BRIM_PURGE_PREFIX, "/img/", 0},
    {BRIM_PURGE_PREFIX, "*", 0},
    {BRIM_PURGE_HOST, "a.example", 2},
    {BRIM_PURGE_HOST, "a.example:8080", 2},
    {BRIM_PURGE_HOST, "a b", 0},
    {BRIM_PURGE_HOST, "", 0},
    {BRIM_PURGE_TAG, "product-42", 1},
    {BRIM_PURGE_TAG, "", 0},
    {BRIM_PURGE_TAG, "a b", 0}, /* two, as an origin writes them */
    {BRIM_PURGE_TAG, "a,b", 0},
    {BRIM_PURGE_TAG, "a\tb", 0},
};

START_TEST(a_name_has_its_scopes_or_is_none)
{
    uint64_t scopes[BRIM_PURGE_NAME_SCOPES];
    const struct named *c = &cases[_i];

    ck_assert_uint_eq(brim_purge_name_scopes(c->noun, brim_str_of(c->text), scopes), c->scopes);
}
END_TEST

static uint64_t scope_of(enum brim_purge_noun noun, const char *text)
{
    uint64_t scopes[BRIM_PURGE_NAME_SCOPES];

    ck_assert_uint_ge(brim_purge_name_scopes(noun, brim_str_of(text), scopes), 1);
    return scopes[0];
}

START_TEST(what_means_the_same_is_the_same)
{
    ck_assert_uint_eq(scope_of(BRIM_PURGE_URL, "http://A:80/b"),
                      scope_of(BRIM_PURGE_URL, "http://a/b"));
    ck_assert_uint_ne(scope_of(BRIM_PURGE_URL, "http://a/b"),
                      scope_of(BRIM_PURGE_URL, "https://a/b"));
    ck_assert_uint_eq(scope_of(BRIM_PURGE_PREFIX, "http://a/b*"),
                      scope_of(BRIM_PURGE_PREFIX, "http://a/b"));
    ck_assert_uint_ne(scope_of(BRIM_PURGE_PREFIX, "http://a/b"),
                      scope_of(BRIM_PURGE_URL, "http://a/b"));
    ck_assert_uint_ne(scope_of(BRIM_PURGE_TAG, "a"), scope_of(BRIM_PURGE_HOST, "a"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/purge_name");
    TCase *names = tcase_create("names");

    tcase_add_loop_test(names, a_name_has_its_scopes_or_is_none, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(names, what_means_the_same_is_the_same);
    suite_add_tcase(suite, names);
    return unit_run(suite);
}
