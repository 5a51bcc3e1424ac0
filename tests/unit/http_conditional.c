/* SPDX-License-Identifier: MIT */
#include "brim/http/conditional.h"

#include "http_fields.h"

#define NOW 1764000000LL /* 2025-11-24 16:00:00 */

#define LM_TEXT   "Sun, 06 Nov 1994 08:49:37 GMT"
#define LM_BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define LM_AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"
#define LM        784111777LL

enum condition { OK, SAME, ORIGIN };

static const struct {
    const char *lines[FIELDS_MAX];
    const char *etag;
    int64_t last_modified;
    int64_t date;
    enum condition condition;
} checks[] = {
    {{NULL}, "\"a\"", LM, LM + 9, OK},
    /* If-None-Match, weak comparison: the four examples of RFC 9110 8.8.3.2 */
    {{"if-none-match: W/\"1\""}, "W/\"1\"", -1, LM, SAME},
    {{"if-none-match: W/\"1\""}, "W/\"2\"", -1, LM, OK},
    {{"if-none-match: W/\"1\""}, "\"1\"", -1, LM, SAME},
    {{"if-none-match: \"1\""}, "\"1\"", -1, LM, SAME},
    {{"if-none-match: \"1\""}, "W/\"1\"", -1, LM, SAME},
    /* RFC 9110 13.1.2 */
    {{"if-none-match: *"}, "\"1\"", -1, LM, SAME},
    {{"if-none-match: *"}, NULL, -1, LM, SAME},
    {{"if-none-match: \"1\""}, NULL, -1, LM, OK},
    {{"if-none-match:"}, "\"1\"", -1, LM, OK},
    {{"if-none-match:"}, NULL, -1, LM, OK},
    {{"if-none-match: \"a\", \"b\", \"c\""}, "\"a\"", -1, LM, SAME},
    {{"if-none-match: \"a\", \"b\", \"c\""}, "\"b\"", -1, LM, SAME},
    {{"if-none-match: \"a\", \"b\", \"c\""}, "\"c\"", -1, LM, SAME},
    {{"if-none-match: \"a\",\"b\""}, "\"b\"", -1, LM, SAME},
    {{"if-none-match: , \"a\" ,, \"b\" ,"}, "\"b\"", -1, LM, SAME},
    {{"if-none-match: \"a\", \"b\", \"c\""}, "\"d\"", -1, LM, OK},
    {{"if-none-match: \"a\"", "if-none-match: \"b\""}, "\"b\"", -1, LM, SAME},
    {{"if-none-match: \"A\""}, "\"a\"", -1, LM, OK},
    {{"if-none-match: \"\""}, "\"\"", -1, LM, SAME},
    {{"if-none-match: \"a,b\""}, "\"a,b\"", -1, LM, SAME}, /* 8.8.3: a comma in a tag */
    {{"if-none-match: \"a,b\""}, "\"a\"", -1, LM, OK},
    {{"if-none-match: \"x\", \"a,b\""}, "\"a,b\"", -1, LM, SAME},
    {{"if-none-match: \"a\\\", \"b\""},
     "\"b\"",
     -1,
     LM,
     SAME}, /* 8.8.3: a backslash is no escape */
    {{"if-none-match: \"a\\\""}, "\"a\\\"", -1, LM, SAME},
    {{"if-none-match: \"\xfc\""}, "\"\xfc\"", -1, LM, SAME}, /* obs-text */
    {{"if-none-match: *, \"b\""}, "\"a\"", -1, LM, OK},      /* "*" stands alone or not at all */
    {{"if-none-match: *", "if-none-match: \"b\""}, "\"a\"", -1, LM, OK},
    {{"if-none-match: \"*\""}, "\"a\"", -1, LM, OK},
    /* what is no entity-tag matches only itself */
    {{"if-none-match: abc"}, "\"abc\"", -1, LM, OK},
    {{"if-none-match: \"abc\""}, "abc", -1, LM, OK},
    {{"if-none-match: abc"}, "abc", -1, LM, SAME},
    {{"if-none-match: w/\"abc\""}, "w/\"abc\"", -1, LM, SAME},
    {{"if-none-match: w/\"abc\""}, "\"abc\"", -1, LM, OK}, /* 8.8.3: W is case-sensitive */
    {{"if-none-match: W \"abc\""}, "\"abc\"", -1, LM, OK},
    {{"if-none-match: \"abc"}, "\"abc\"", -1, LM, OK},
    {{"if-none-match: \"abc\"x"}, "\"abc\"", -1, LM, OK},
    {{"if-none-match: \"a b\""}, "\"a\"", -1, LM, OK},
    {{"if-none-match: \"x, \"abc\""}, "\"abc\"", -1, LM, SAME},
    /* If-Modified-Since (13.1.3) */
    {{"if-modified-since: " LM_TEXT}, NULL, LM, LM + 9, SAME},
    {{"if-modified-since: " LM_AFTER}, NULL, LM, LM + 9, SAME},
    {{"if-modified-since: " LM_BEFORE}, NULL, LM, LM + 9, OK},
    {{"if-modified-since: Sunday, 06-Nov-94 08:49:37 GMT"}, NULL, LM, LM + 9, SAME},
    {{"if-modified-since: Sun Nov  6 08:49:37 1994"}, NULL, LM, LM + 9, SAME},
    {{"if-modified-since: Sun, 01 Jan 2040 00:00:00 GMT"}, NULL, LM, LM + 9, SAME},
    {{"if-modified-since: 0"}, NULL, LM, LM + 9, OK},
    {{"if-modified-since:"}, NULL, LM, LM + 9, OK},
    {{"if-modified-since: " LM_TEXT ", " LM_TEXT}, NULL, LM, LM + 9, OK},
    {{"if-modified-since: " LM_TEXT, "if-modified-since: " LM_TEXT}, NULL, LM, LM + 9, OK},
    /* without Last-Modified: Date (RFC 9111 4.3.2) */
    {{"if-modified-since: " LM_TEXT}, NULL, -1, LM, SAME},
    {{"if-modified-since: " LM_AFTER}, NULL, -1, LM, SAME},
    {{"if-modified-since: " LM_BEFORE}, NULL, -1, LM, OK},
    {{"if-modified-since: " LM_TEXT}, NULL, -1, -1, OK},
    {{"if-modified-since: " LM_TEXT}, "\"a\"", LM, LM + 9, SAME},
    /* If-None-Match decides alone where both are (13.1.3) */
    {{"if-none-match: \"a\"", "if-modified-since: " LM_BEFORE}, "\"a\"", LM, LM + 9, SAME},
    {{"if-none-match: \"b\"", "if-modified-since: " LM_TEXT}, "\"a\"", LM, LM + 9, OK},
    {{"if-none-match: bad", "if-modified-since: " LM_TEXT}, "\"a\"", LM, LM + 9, OK},
    {{"if-none-match:", "if-modified-since: " LM_TEXT}, "\"a\"", LM, LM + 9, OK},
    /* If-Match (13.1.1) is about what the origin has now: never judged here (RFC 9111 4.3.2) */
    {{"if-match: W/\"1\""}, "W/\"1\"", -1, LM, ORIGIN},
    {{"if-match: W/\"1\""}, "W/\"2\"", -1, LM, ORIGIN},
    {{"if-match: W/\"1\""}, "\"1\"", -1, LM, ORIGIN},
    {{"if-match: \"1\""}, "\"1\"", -1, LM, ORIGIN},
    {{"if-match: \"1\""}, "W/\"1\"", -1, LM, ORIGIN},
    {{"if-match: *"}, "\"1\"", -1, LM, ORIGIN},
    {{"if-match: *"}, NULL, -1, LM, ORIGIN},
    {{"if-match: \"1\""}, NULL, -1, LM, ORIGIN},
    {{"if-match: \"0\", \"1\""}, "\"1\"", -1, LM, ORIGIN},
    {{"if-match: \"0\", \"2\""}, "\"1\"", -1, LM, ORIGIN},
    {{"if-match: abc"}, "abc", -1, LM, ORIGIN},
    /* If-Unmodified-Since (13.1.4): likewise, where it is a date */
    {{"if-unmodified-since: " LM_TEXT}, NULL, LM, LM + 9, ORIGIN},
    {{"if-unmodified-since: " LM_AFTER}, NULL, LM, LM + 9, ORIGIN},
    {{"if-unmodified-since: " LM_BEFORE}, NULL, LM, LM + 9, ORIGIN},
    {{"if-unmodified-since: " LM_BEFORE}, NULL, -1, LM + 9, ORIGIN},
    {{"if-unmodified-since: bad"}, NULL, LM, LM + 9, OK},
    {{"if-unmodified-since: " LM_BEFORE, "if-unmodified-since: " LM_BEFORE}, NULL, LM, LM + 9, OK},
    /* precedence (13.2.2) */
    {{"if-match: \"a\"", "if-unmodified-since: " LM_BEFORE}, "\"a\"", LM, LM + 9, ORIGIN},
    {{"if-match: \"a\"", "if-none-match: \"a\""}, "\"a\"", LM, LM + 9, ORIGIN},
    {{"if-match: \"b\"", "if-none-match: \"a\""}, "\"a\"", LM, LM + 9, ORIGIN},
    {{"if-match: \"a\"", "if-modified-since: " LM_TEXT}, "\"a\"", LM, LM + 9, ORIGIN},
    {{"if-unmodified-since: " LM_BEFORE, "if-none-match: \"a\""}, "\"a\"", LM, LM + 9, ORIGIN},
    {{"if-unmodified-since: " LM_TEXT, "if-none-match: \"b\""}, "\"a\"", LM, LM + 9, ORIGIN},
};

static struct brim_validators validators_of(const char *etag, int64_t last_modified, int64_t date)
{
    return (struct brim_validators){
        .etag = brim_str_of(etag), .last_modified_wall_s = last_modified, .date_wall_s = date};
}

/* A 304 for something that the client does not have leaves it with the wrong page. */
START_TEST(preconditions_are_judged_in_order)
{
    struct fields storage;
    struct brim_fields fields = fields_of(checks[_i].lines, &storage);
    struct brim_validators validators =
        validators_of(checks[_i].etag, checks[_i].last_modified, checks[_i].date);

    ck_assert_int_eq(brim_conditional_is_for_origin(fields, NOW), checks[_i].condition == ORIGIN);
    if (checks[_i].condition != ORIGIN)
        ck_assert_int_eq(brim_conditional_is_not_modified(fields, &validators, NOW),
                         checks[_i].condition == SAME);
}
END_TEST

static const struct {
    const char *lines[FIELDS_MAX];
    const char *etag;
    int64_t last_modified;
    int64_t date;
    bool applies;
} range_checks[] = {
    /* RFC 9110 13.1.5 */
    {{NULL}, "\"a\"", LM, LM + 9, true},
    {{"if-range: \"a\""}, "\"a\"", LM, LM + 9, true},
    {{"if-range: \"b\""}, "\"a\"", LM, LM + 9, false},
    {{"if-range: \"a\""}, NULL, LM, LM + 9, false},
    {{"if-range: W/\"a\""}, "W/\"a\"", LM, LM + 9, false},
    {{"if-range: W/\"a\""}, "\"a\"", LM, LM + 9, false},
    {{"if-range: \"a\""}, "W/\"a\"", LM, LM + 9, false},
    {{"if-range: \"a\", \"b\""}, "\"a\"", LM, LM + 9, false},
    {{"if-range: \"a\"", "if-range: \"a\""}, "\"a\"", LM, LM + 9, false},
    {{"if-range: *"}, "\"a\"", LM, LM + 9, false},
    {{"if-range: a"}, "a", LM, LM + 9, false},
    {{"if-range: "}, "\"a\"", LM, LM + 9, false},
    {{"if-range: " LM_TEXT}, "\"a\"", LM, LM + 9, true},
    {{"if-range: Sunday, 06-Nov-94 08:49:37 GMT"}, NULL, LM, LM + 9, true},
    {{"if-range: " LM_AFTER}, NULL, LM, LM + 9, false}, /* exact, not "since" */
    {{"if-range: " LM_BEFORE}, NULL, LM, LM + 9, false},
    {{"if-range: " LM_TEXT}, NULL, -1, LM, false},
    {{"if-range: bad"}, NULL, LM, LM + 9, false},
    /* 8.8.2.2: a date is strong if the response is at least a second younger */
    {{"if-range: " LM_TEXT}, NULL, LM, LM + 1, true},
    {{"if-range: " LM_TEXT}, NULL, LM, LM, false},
    {{"if-range: " LM_TEXT}, NULL, LM, LM - 1, false},
    {{"if-range: " LM_TEXT}, NULL, LM, -1, false},
};

/* A part of the new body behind the client's part of the old one is a broken file. */
START_TEST(range_applies_only_to_the_same_bytes)
{
    struct fields storage;
    struct brim_fields fields = fields_of(range_checks[_i].lines, &storage);
    struct brim_validators validators =
        validators_of(range_checks[_i].etag, range_checks[_i].last_modified, range_checks[_i].date);

    ck_assert_int_eq(brim_conditional_range_applies(fields, &validators, NOW),
                     range_checks[_i].applies);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_conditional");
    TCase *tcase = tcase_create("conditional");

    tcase_add_loop_test(tcase, preconditions_are_judged_in_order, 0,
                        sizeof(checks) / sizeof(checks[0]));
    tcase_add_loop_test(tcase, range_applies_only_to_the_same_bytes, 0,
                        sizeof(range_checks) / sizeof(range_checks[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
