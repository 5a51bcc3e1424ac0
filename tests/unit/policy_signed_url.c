/* SPDX-License-Identifier: MIT */
#include "brim/policy/signed_url.h"

#include <stdio.h>

#include "unit.h"

static struct brim_url_keys *keys;

static struct brim_url_keys *read_keys(const char *text, enum brim_err want)
{
    static const char path[] = "signed_url.key";
    struct brim_url_keys *read;
    const char *why;
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(brim_url_keys_read(path, &read, &why), want);
    remove(path);
    return read;
}

static void setup(void)
{
    keys = read_keys("a key of sixteen\nanother, older key\n", BRIM_OK);
}

static void teardown(void)
{
    brim_url_keys_free(keys);
}

static struct brim_str make(const struct brim_url_keys *with, const char *target, size_t prefix_len)
{
    static char room[1024];
    struct brim_signable what = {BRIM_STR("Example.com"), brim_str_of(target), 1000, prefix_len};

    return brim_str(room, brim_signed_url_make(with, &what, room));
}

static const char *check(const char *host, struct brim_str target, int64_t now_s, char *left)
{
    char room[1024];
    struct brim_signed_url_ask ask = {brim_str_of(host), target, now_s};
    struct brim_str out;
    const char *why = brim_signed_url_check(keys, &ask, room, &out);

    memcpy(left, out.base, out.len);
    left[out.len] = '\0';
    return why;
}

/* What is signed today must be good tomorrow, whoever signs it: the form is a promise. */
START_TEST(the_form_is_fixed)
{
    struct brim_str made = make(keys, "/a?x=1", 0);

    ck_assert_msg(brim_str_is(made, BRIM_STR("/a?x=1&brim_expires=1000&brim_sig="
                                             "Vur8Zd4GaC6CfsDlXT-b2Zn-rAzJ2vol_p0pl5uDGJ0")),
                  "%.*s", (int)made.len, made.base);
}
END_TEST

START_TEST(a_signed_url_is_good_until_it_expires)
{
    static const char *const targets[] = {"/", "/a", "/a?", "/a?x=1&y", "/a?&", "/a?brim_=1"};
    char left[1024];

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        ck_assert_ptr_null(check("example.com", make(keys, targets[i], 0), 999, left));
        ck_assert_str_eq(left, targets[i]);
        ck_assert_str_eq(check("example.com", make(keys, targets[i], 0), 1000, left),
                         "the URL has expired");
        ck_assert_str_eq(check("example.org", make(keys, targets[i], 0), 999, left),
                         "the signature of the URL is wrong");
    }
    ck_assert_str_eq(check("example.com", BRIM_STR("/a"), 999, left), "the URL is not signed");
}
END_TEST

/* Where the parameters stand does not matter, what else stands there does. */
START_TEST(no_byte_can_be_changed)
{
    char text[1024], left[1024];
    struct brim_str made = make(keys, "/abc?x=1", 0);

    memcpy(text, made.base, made.len);
    for (size_t i = 0; i < made.len; i++) {
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        ck_assert_msg(check("example.com", brim_str(text, made.len), 999, left) != NULL, "%zu", i);
        text[i] = was;
    }
    (void)snprintf(text, sizeof(text), "%.*s&brim_expires=2000", (int)made.len, made.base);
    ck_assert_ptr_nonnull(check("example.com", brim_str_of(text), 999, left));
    (void)snprintf(text, sizeof(text), "%.*s&z=1", (int)made.len, made.base);
    ck_assert_ptr_nonnull(check("example.com", brim_str_of(text), 999, left));
    (void)snprintf(text, sizeof(text), "%.*s&brim_prefix=1", (int)made.len, made.base);
    ck_assert_ptr_nonnull(check("example.com", brim_str_of(text), 999, left));
}
END_TEST

static void with_path(const char *path, struct brim_str made, char *text, size_t room)
{
    const char *query = memchr(made.base, '?', made.len);

    (void)snprintf(text, room, "%s%.*s", path, (int)(made.base + made.len - query), query);
}

/* A player asks for the parts with what the list was signed with. */
START_TEST(a_prefix_is_good_for_all_below_it_and_nothing_else)
{
    static const char *const good[] = {"/v/",   "/v/1.ts", "/v/a/b/..c", "/v/a..",
                                       "/v/.x", "/v/...",  "/v//a"};
    static const char *const bad[] = {
        "/w/1.ts",     "/v",        "/",         "/v/../w",   "/v/a/..",     "/v/./a",
        "/v/%2e%2e/w", "/v/%2E./w", "/v/..%2fw", "/v/..%5cw", "/v/a%2f../b", "/v/..;x/w",
        "/v/.%2e",     "/v/%2e",    "/v%2F../w", "/v/..\\w",  "/V/1.ts",
    };
    struct brim_str made = make(keys, "/v/list", 3);
    char text[1024], left[1024];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        with_path(good[i], made, text, sizeof(text));
        ck_assert_msg(check("example.com", brim_str_of(text), 999, left) == NULL, "%s", text);
        ck_assert_str_eq(left, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        with_path(bad[i], made, text, sizeof(text));
        ck_assert_msg(check("example.com", brim_str_of(text), 999, left) != NULL, "%s", text);
    }
}
END_TEST

START_TEST(keys_can_be_changed)
{
    struct brim_url_keys *older = read_keys("another, older key", BRIM_OK);
    struct brim_url_keys *other = read_keys("a key of somebody else", BRIM_OK);
    char left[1024];

    ck_assert_ptr_null(check("example.com", make(older, "/a", 0), 999, left));
    ck_assert_ptr_nonnull(check("example.com", make(other, "/a", 0), 999, left));
    brim_url_keys_free(older);
    brim_url_keys_free(other);
}
END_TEST

START_TEST(bad_keys_and_targets_are_refused)
{
    ck_assert_ptr_null(read_keys("too short\n", BRIM_EINVAL));
    ck_assert_ptr_null(read_keys("\n\n", BRIM_EINVAL));
    ck_assert_uint_eq(make(keys, "/a?brim_sig=x", 0).len, 0);
    ck_assert_uint_eq(make(keys, "/a", 3).len, 0);
    ck_assert_uint_eq(make(keys, "/v/../w", 3).len, 0);
    brim_url_keys_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_signed_url");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_form_is_fixed);
    tcase_add_test(tcase, a_signed_url_is_good_until_it_expires);
    tcase_add_test(tcase, no_byte_can_be_changed);
    tcase_add_test(tcase, a_prefix_is_good_for_all_below_it_and_nothing_else);
    tcase_add_test(tcase, keys_can_be_changed);
    tcase_add_test(tcase, bad_keys_and_targets_are_refused);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
