/* SPDX-License-Identifier: MIT */
#include "brim/cache/purge_pattern.h"

#include "unit.h"

START_TEST(a_star_is_any_run_and_nothing_else_is_special)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"http://h/a", "http://h/a", true},
        {"http://h/a", "http://h/ab", false},
        {"http://h/a", "http://h/", false},
        {"http://h/img/*.jpg", "http://h/img/x.jpg", true},
        {"http://h/img/*.jpg", "http://h/img/a/b/x.jpg", true},
        {"http://h/img/*.jpg", "http://h/img/.jpg", true},
        {"http://h/img/*.jpg", "http://h/img/x.jpg?v=1", false},
        {"http://h/img/*.jpg", "http://h/img/x.jpeg", false},
        {"http://h/img/*.jpg", "http://h/other/x.jpg", false},
        {"http://h/img/*", "http://h/img/", true},
        {"http://h/*/x", "http://h/x", false},
        {"http://h/*/x", "http://h//x", true},
        {"http://h/*a*b", "http://h/ab", true},
        {"http://h/*a*b", "http://h/ba", false},
        {"http://h/*a*b", "http://h/aab", true},
        {"http://h/*ab*ab", "http://h/ab", false},
        {"http://h/*ab*ab", "http://h/abab", true},
        {"http://h/*ab", "http://h/abxab", true},
        {"http://h/**", "http://h/", true},
        {"http://h/a?b=*", "http://h/a?b=1", true},
        {"http://h/a?b=*", "http://h/axb=1", false},
        {"*", "", true},
        {"", "", true},
        {"", "x", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(brim_purge_pattern_matches(brim_str_of(rows[i].pattern),
                                                 brim_str_of(rows[i].text)) == rows[i].matches,
                      "%s %s", rows[i].pattern, rows[i].text);
}
END_TEST

/* What a pattern becomes when there are too many must cover all that it covered. */
START_TEST(whatever_matches_begins_with_the_prefix)
{
    ck_assert(brim_str_is(brim_purge_pattern_prefix(BRIM_STR("http://h/img/*.jpg")),
                          BRIM_STR("http://h/img/")));
    ck_assert(
        brim_str_is(brim_purge_pattern_prefix(BRIM_STR("http://h/a")), BRIM_STR("http://h/a")));
    ck_assert_uint_eq(brim_purge_pattern_prefix(BRIM_STR("*")).len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_purge_pattern");
    TCase *tcase = tcase_create("pattern");

    tcase_add_test(tcase, a_star_is_any_run_and_nothing_else_is_special);
    tcase_add_test(tcase, whatever_matches_begins_with_the_prefix);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
