/* SPDX-License-Identifier: MIT */
#include "brim/http/url_pattern.h"

#include <stdio.h>

#include "unit.h"

#define BASE   "https://a.example/app/v1/main.js?q=1"
#define ORIGIN "https://a.example"

static const struct {
    const char *pattern;
    const char *target; /* NULL: the pattern is refused */
    bool matches;
} rows[] = {
    /* RFC 9842 2.1.5: the examples */
    {"/product/*", "/product/", true},
    {"/product/*", "/product/1/2", true},
    {"/product/*", "/product", false},
    {"/product/*", "/products/1", false},
    {"/app/*/main.js", "/app/v2/main.js", true},
    {"/app/*/main.js", "/app/v2/b/main.js", true},
    {"/app/*/main.js", "/app/main.js", false},
    {"/app/*/main.js", "/app/v2/main.jsx", false},
    /* literals */
    {"/a", "/a", true},
    {"/a", "/A", false},
    {"/a", "/a/", false},
    {"/a.b", "/aXb", false},
    {"/a\\*b", "/a*b", true},
    {"/a\\*b", "/aXb", false},
    {"/a\\+b", "/a+b", true},
    {"/a)b", "/a)b", true},
    {"/a%20b", "/a%20b", true},
    {"/a\\", NULL, false},
    {"/a+", NULL, false},
    {"/a?b?", NULL, false},
    /* wildcards */
    {"*", "/app/v1/x/y", true},
    {"*", "/app/x", false},
    {"/*", "/", true},
    {"/*.js", "/.js", true},
    {"/*.js", "/a.js.js", true},
    {"/*.js", "/a.jsx", false},
    {"/*a*b*c", "/1a2b3c", true},
    {"/*a*b*c", "/1b2a3c", false},
    {"/**", "/x/y", true},
    {"/a/*?", "/a", true},
    {"/a/*?", "/ab", false},
    /* names: one segment, not empty */
    {"/:a/b", "/x/b", true},
    {"/:a/b", "//b", false},
    {"/:a/b", "/x/y/b", false},
    {"/main.:hash.js", "/main.1f.js", true},
    {"/main.:hash.js", "/main..js", false},
    {"/main.:hash.js", "/main.a/b.js", false},
    {"/:a/:b", "/x/y", true},
    {"/:a/:a", NULL, false},
    {"/:", NULL, false},
    {"/:1", NULL, false},
    {"/:a?", "/", false},
    {"/x/:a?", "/x", true},
    {"/x/:a?", "/x/y", true},
    {"/x/:a?", "/x/", false},
    {"/x/:a+", "/x/y/z", true},
    {"/x/:a+", "/x", false},
    {"/x/:a*", "/x", true},
    {"/x/:a*", "/x/y/z", true},
    {"/x/:a*", "/x/y/", false},
    /* groups */
    {"/a{b}c", "/abc", true},
    {"/a{b}?c", "/ac", true},
    {"/a{b}?c", "/abbc", false},
    {"/a{b}+c", "/abbbc", true},
    {"/a{b}+c", "/ac", false},
    {"/a{b}*c", "/ac", true},
    {"/a{b}*c", "/abbc", true},
    {"/{x-:n-y}", "/x-1-y", true},
    {"/{x-:n-y}*", "/x-1-yx-2-y", true},
    {"/a{}b", "/ab", true},
    {"{/a}*", "/a/a", true},
    {"/a{b{c}}", NULL, false},
    {"/a{b", NULL, false},
    {"/ab}", NULL, false},
    {"/a{*:n}", NULL, false},
    /* regular expressions: MUST NOT be used (RFC 9842 2.1.1) */
    {"/(a|b)", NULL, false},
    {"/:a(\\d+)", NULL, false},
    {"/a{(b)}", NULL, false},
    {"/a?(b)", NULL, false},
    /* the query: any, unless the pattern has one */
    {"/a", "/a?x=1", true},
    {"/a?x=1", "/a?x=1", true},
    {"/a?x=1", "/a?x=2", false},
    {"/a?x=1", "/a", false},
    {"/a?x=*", "/a?x=", true},
    {"/a?x=*", "/a?y=1", false},
    {"/a?", "/a", true},
    {"/a?", "/a?x", false},
    {"/*\\?x", "/a", false}, /* an escaped one is no query; a path has none */
    {"?v=*", "/app/v1/main.js?v=2", true},
    {"?v=*", "/app/v1/other.js?v=2", false},
    {"/a?p=:v", "/a?p=x/y", true},
    /* relative to the dictionary's own URL */
    {"main.*", "/app/v1/main.css", true},
    {"main.*", "/app/v2/main.css", false},
    {"", "/app/v1/main.js?q=1", true},
    {"", "/app/v1/main.js", false},
    {"{/b}", "/b", true},
    {"\\/b", "/b", true},
    /* with an origin: the base's, as it is written, or refused */
    {ORIGIN "/b/*", "/b/1", true},
    {ORIGIN, NULL, false},
    {"https://b.example/*", NULL, false},
    {"https://a.example.evil/*", NULL, false},
    {"https://*.example/*", NULL, false},
    {"http{s}?://a.example/*", NULL, false},
    {"*://a.example/*", NULL, false},
    {"http://a.example/*", NULL, false},
    {"/to/https://b.example/*", NULL, false},
    /* a fragment selects no response */
    {"/a#b", NULL, false},
};

static bool compiles(const char *pattern, const char *base, struct brim_url_pattern *out)
{
    return brim_url_pattern_compile(brim_str_of(pattern), brim_str_of(base), out) == BRIM_OK;
}

/* Client and node must agree about what a dictionary is for. */
START_TEST(patterns_match_as_the_standard_says)
{
    struct brim_url_pattern pattern;
    char url[256];

    ck_assert_msg(compiles(rows[_i].pattern, BASE, &pattern) == (rows[_i].target != NULL), "%s",
                  rows[_i].pattern);
    if (rows[_i].target == NULL)
        return;
    (void)snprintf(url, sizeof(url), "%s%s", ORIGIN, rows[_i].target);
    ck_assert_msg(brim_url_pattern_matches(&pattern, brim_str_of(url)) == rows[_i].matches,
                  "%s on %s", rows[_i].pattern, rows[_i].target);
}
END_TEST

/* What the base's path holds is text, whatever it means in patterns. */
START_TEST(bytes_of_the_base_are_literal)
{
    struct brim_url_pattern pattern;

    ck_assert(compiles("x", ORIGIN "/a*b/c+(d)/e", &pattern));
    ck_assert(brim_url_pattern_matches(&pattern, BRIM_STR(ORIGIN "/a*b/c+(d)/x")));
    ck_assert(!brim_url_pattern_matches(&pattern, BRIM_STR(ORIGIN "/aXb/c+(d)/x")));
}
END_TEST

/* Every limit is a refusal, never a wrong match. */
START_TEST(limits_refuse)
{
    struct brim_url_pattern pattern;
    char text[4096] = "/";
    char url[4096] = ORIGIN "/";
    size_t from = strlen(url);

    memset(text + 1, 'a', BRIM_URL_PATTERN_TEXT_BYTES);
    ck_assert_int_eq(brim_url_pattern_compile(brim_str_of(text), BRIM_STR(BASE), &pattern),
                     BRIM_ELIMIT);
    memset(text, 0, sizeof(text));
    for (size_t i = 0; i <= BRIM_URL_PATTERN_PARTS_MAX; i++)
        (void)memcpy(text + 2 * i, "/*", 2);
    ck_assert_int_eq(brim_url_pattern_compile(brim_str_of(text), BRIM_STR(BASE), &pattern),
                     BRIM_ELIMIT);

    ck_assert(compiles("/*", BASE, &pattern));
    memset(url + from, 'a', BRIM_URL_PATTERN_TARGET_BYTES - 1);
    ck_assert(brim_url_pattern_matches(&pattern, brim_str_of(url)));
    url[from + BRIM_URL_PATTERN_TARGET_BYTES - 1] = 'a';
    ck_assert(!brim_url_pattern_matches(&pattern, brim_str_of(url)));

    ck_assert(compiles("/{a}*", BASE, &pattern));
    url[from + BRIM_URL_PATTERN_REPEATS_MAX] = '\0';
    ck_assert(brim_url_pattern_matches(&pattern, brim_str_of(url)));
    url[from + BRIM_URL_PATTERN_REPEATS_MAX] = 'a';
    url[from + 2 * BRIM_URL_PATTERN_REPEATS_MAX] = '\0';
    ck_assert(!brim_url_pattern_matches(&pattern, brim_str_of(url)));
}
END_TEST

/* Origins write patterns, clients write URLs: whatever they are, it ends and stays inside. */
START_TEST(random_patterns_do_no_harm)
{
    static const char pieces[] = "/a*:b{}?+\\.(";
    unsigned seed = 7;

    for (int i = 0; i < 20000; i++) {
        struct brim_url_pattern pattern;
        char text[24], url[64] = ORIGIN "/";
        size_t len = (size_t)rand_r(&seed) % sizeof(text), from = strlen(url);

        for (size_t at = 0; at < len; at++)
            text[at] = pieces[(size_t)rand_r(&seed) % (sizeof(pieces) - 1)];
        for (size_t at = 0; at < 12; at++)
            url[from + at] = "/ab?"[rand_r(&seed) % 4];
        if (brim_url_pattern_compile(brim_str(text, len), BRIM_STR(BASE), &pattern) == BRIM_OK)
            (void)brim_url_pattern_matches(&pattern, brim_str_of(url));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_url_pattern");
    TCase *tcase = tcase_create("url_pattern");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, patterns_match_as_the_standard_says, 0,
                        sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, bytes_of_the_base_are_literal);
    tcase_add_test(tcase, limits_refuse);
    tcase_add_test(tcase, random_patterns_do_no_harm);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
