/* SPDX-License-Identifier: MIT */
#include "brim/http/cache_key.h"

#include "unit.h"

static const struct brim_str kept[] = {{"a", 1}, {"p_*", 3}};
static const struct brim_str dropped[] = {{"utm_*", 5}, {"x", 1}};
static const struct brim_key_rules keep = {.query_keep = {kept, 2}};
static const struct brim_key_rules drop = {.query_drop = {dropped, 2}};
static const struct brim_key_rules sort = {.query_sort = true};
static const struct brim_key_rules none = {.device = true};

static const struct {
    const struct brim_key_rules *rules;
    const char *target;
    const char *expected;
} targets[] = {
    {&none, "/p?b=2&a=1", "/p?b=2&a=1"},
    {&none, "/p?", "/p?"},
    {&keep, "/p?b=2&a=1&p_x=3&p=4", "/p?a=1&p_x=3"},
    {&keep, "/p?A=1", "/p"},
    {&keep, "/p?a", "/p?a"},
    {&keep, "/p?a=1&a=0", "/p?a=1&a=0"},
    {&keep, "/p", "/p"},
    {&drop, "/p?utm_source=1&b=2&x=3&xx=4", "/p?b=2&xx=4"},
    {&drop, "/p?utm_=1", "/p"},
    {&drop, "/p?&&b=1&", "/p?b=1"},
    {&drop, "/p?%78=1", "/p?%78=1"}, /* not decoded: another name */
    {&sort, "/p?b=2&a=1&b=1", "/p?a=1&b=2&b=1"},
    {&sort, "/p?b&a=&ab", "/p?a=&ab&b"},
};

START_TEST(only_what_counts_is_left_of_a_query)
{
    struct brim_str target = brim_str_of(targets[_i].target);
    char buffer[128];
    size_t len = brim_cache_key_target(targets[_i].rules, target, buffer);

    ck_assert_msg(brim_str_is(brim_str(buffer, len), brim_str_of(targets[_i].expected)),
                  "%s gives %.*s", targets[_i].target, (int)len, buffer);
    ck_assert_uint_le(len, target.len);
}
END_TEST

static const struct brim_str headers[] = {{"accept", 6}};
static const struct brim_str cookies[] = {{"plan", 4}, {"ab", 2}};
static const struct brim_str tags[] = {{"en", 2}, {"de", 2}};
static const struct brim_key_rules all = {
    .headers = {headers, 1}, .cookies = {cookies, 2}, .languages = {tags, 2}, .device = true};

static struct brim_str selector_of(struct brim_fields request, char *buffer, size_t room)
{
    return brim_str(buffer, brim_cache_key_selector(&all, request, BRIM_STR("x y"), buffer, room));
}

/* No value can look like another part, and absent is not empty. */
START_TEST(selector_cannot_be_read_in_two_ways)
{
    struct brim_field items[] = {
        {BRIM_STR("accept"), BRIM_STR("a/b;c:plan=x, %")},
        {BRIM_STR("cookie"), BRIM_STR("sid=1; plan=gold=1;ab=; ab=2")},
        {BRIM_STR("accept-language"), BRIM_STR("de-CH, en;q=0.5")},
        {BRIM_STR("user-agent"), BRIM_STR("Mozilla/5.0 (Linux; Android 14; Tablet)")},
    };
    char buffer[256];

    ck_assert(brim_str_is(selector_of((struct brim_fields){items, 4}, buffer, sizeof(buffer)),
                          BRIM_STR("h:accept=a%2Fb%3Bc%3Aplan%3Dx%2C%20%25;c:plan=%3Dgold%3D1;"
                                   "c:ab=%3D=%3D2;d:tablet;l:de;k:x%20y")));
    ck_assert(brim_str_is(selector_of((struct brim_fields){NULL, 0}, buffer, sizeof(buffer)),
                          BRIM_STR("h:accept;c:plan;c:ab;d:desktop;l:en;k:x%20y")));
    ck_assert_uint_eq(
        brim_cache_key_selector(&all, (struct brim_fields){items, 4}, BRIM_STR(""), buffer, 40),
        SIZE_MAX);
}
END_TEST

START_TEST(only_cookies_that_count_are_left)
{
    struct brim_field items[] = {
        {BRIM_STR("cookie"), BRIM_STR("sid=1; plan=\"a b\";x=2")},
        {BRIM_STR("cookie"), BRIM_STR("; ab=1; planet=3")},
    };
    char buffer[128];
    size_t len = brim_cache_key_cookies(&all, (struct brim_fields){items, 2}, buffer);

    ck_assert(brim_str_is(brim_str(buffer, len), BRIM_STR("plan=\"a b\"; ab=1")));
    ck_assert_uint_eq(brim_cache_key_cookies(&all, (struct brim_fields){NULL, 0}, buffer), 0);
}
END_TEST

/* A `*` is a byte of a cookie's name, here as in the selector: what went out without being in the
 * key could change what is stored. */
START_TEST(cookie_that_is_not_in_the_key_is_not_sent)
{
    static const struct brim_str open[] = {{"s*", 2}};
    static const struct brim_key_rules rules = {.cookies = {open, 1}};
    struct brim_field item = {BRIM_STR("cookie"), BRIM_STR("sid=1; s*=2")};
    char buffer[64];
    size_t len = brim_cache_key_cookies(&rules, (struct brim_fields){&item, 1}, buffer);

    ck_assert(brim_str_is(brim_str(buffer, len), BRIM_STR("s*=2")));
}
END_TEST

static const struct {
    const char *value;
    const char *language;
} languages[] = {
    /* RFC 4647 3.4, RFC 9110 12.5.4 */
    {"de", "de"},
    {"DE-at", "de"},
    {"de-Latn-x-y", "de"},
    {"fr, de;q=0.2", "de"},
    {"en;q=0.2, de;q=0.9", "de"},
    {"de;q=0, en", "en"},
    {"de;q=0", "en"},
    {"*", "en"},
    {"", "en"},
    {"deutsch", "en"},
    {"de;q=x", "en"},
};

START_TEST(language_is_looked_up)
{
    struct brim_field field = {BRIM_STR("accept-language"), brim_str_of(languages[_i].value)};

    ck_assert(brim_str_is(brim_cache_key_language(&all, (struct brim_fields){&field, 1}),
                          brim_str_of(languages[_i].language)));
}
END_TEST

static const struct {
    const char *name;
    const char *value;
    const char *device;
} devices[] = {
    {"sec-ch-ua-mobile", "?1", "mobile"},
    {"sec-ch-ua-mobile", "?0", "desktop"},
    {"user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E148", "mobile"},
    {"user-agent", "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Safari/537.36", "mobile"},
    {"user-agent", "Mozilla/5.0 (Linux; Android 13; SM-X700) Safari/537.36", "tablet"},
    {"user-agent", "Mozilla/5.0 (iPad; CPU OS 16_6)", "tablet"},
    {"user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/120", "desktop"},
    {"x-none", "", "desktop"},
};

START_TEST(device_has_three_classes)
{
    struct brim_field field = {brim_str_of(devices[_i].name), brim_str_of(devices[_i].value)};

    ck_assert(brim_str_is(brim_cache_key_device((struct brim_fields){&field, 1}),
                          brim_str_of(devices[_i].device)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/cache_key");
    TCase *tcase = tcase_create("key");

    tcase_add_loop_test(tcase, only_what_counts_is_left_of_a_query, 0,
                        sizeof(targets) / sizeof(targets[0]));
    tcase_add_test(tcase, selector_cannot_be_read_in_two_ways);
    tcase_add_test(tcase, only_cookies_that_count_are_left);
    tcase_add_test(tcase, cookie_that_is_not_in_the_key_is_not_sent);
    tcase_add_loop_test(tcase, language_is_looked_up, 0, sizeof(languages) / sizeof(languages[0]));
    tcase_add_loop_test(tcase, device_has_three_classes, 0, sizeof(devices) / sizeof(devices[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
