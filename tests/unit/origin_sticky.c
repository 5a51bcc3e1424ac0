/* SPDX-License-Identifier: MIT */
#include "brim/origin/sticky.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define NOW 1800000000

static const struct brim_balance_server two[] = {{.url = "http://10.0.0.1:80", .weight = 1},
                                                 {.url = "http://10.0.0.2:80", .weight = 1}};
static char path[] = "/tmp/brim-sticky-XXXXXX";
static struct brim_balance *balance;
static struct brim_sticky *sticky;

static void write_secret(const char *secret)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(secret, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static struct brim_sticky *open_for(const char *origin)
{
    struct brim_sticky_config config = {
        .origin = origin, .cookie = "stay", .secret = path, .ttl_s = 100};
    struct brim_sticky *made;

    ck_assert_int_eq(brim_sticky_open(&config, balance, &made), BRIM_OK);
    return made;
}

static void setup(void)
{
    struct brim_balance_config config = {.name = "app", .servers = two, .server_count = 2};

    (void)snprintf(path, sizeof(path), "/tmp/brim-sticky-XXXXXX");
    close(mkstemp(path));
    write_secret("0123456789abcdef");
    balance = brim_balance_open(&config);
    sticky = open_for("app");
}

static void teardown(void)
{
    brim_sticky_close(sticky);
    brim_balance_close(balance);
    unlink(path);
}

/* The value alone of a Set-Cookie. */
static char *value_for(unsigned server)
{
    char buffer[BRIM_STICKY_COOKIE_BYTES];
    struct brim_str cookie = brim_sticky_cookie(sticky, server, NOW, buffer);
    const char *end = memchr(cookie.base, ';', cookie.len);

    ck_assert_int_eq(memcmp(cookie.base, "stay=", 5), 0);
    return strndup(cookie.base + 5, (size_t)(end - cookie.base) - 5);
}

static unsigned read_at(const struct brim_sticky *by, const char *value, int64_t now_s)
{
    bool is_old;

    return brim_sticky_server(by, brim_str_of(value), now_s, &is_old);
}

START_TEST(a_cookie_names_its_server_for_a_while)
{
    char *value = value_for(1);
    bool is_old;

    ck_assert_uint_eq(brim_sticky_server(sticky, brim_str_of(value), NOW + 1, &is_old), 1);
    ck_assert(!is_old);
    ck_assert_uint_eq(brim_sticky_server(sticky, brim_str_of(value), NOW + 60, &is_old), 1);
    ck_assert(is_old);
    ck_assert_uint_eq(read_at(sticky, value, NOW + 99), 1);
    ck_assert_uint_eq(read_at(sticky, value, NOW + 100), BRIM_STICKY_NONE);
    free(value);
}
END_TEST

/* Any byte: the server, the time, the signature; and every beginning of it. */
START_TEST(what_was_changed_is_nothing)
{
    char *value = value_for(0);
    size_t len = strlen(value);

    for (size_t i = 0; i < len; i++) {
        char was = value[i];

        value[i] = was == '1' ? '2' : '1';
        ck_assert_uint_eq(read_at(sticky, value, NOW), BRIM_STICKY_NONE);
        value[i] = was;
    }
    for (; len > 0; len--) {
        value[len - 1] = '\0';
        ck_assert_uint_eq(read_at(sticky, value, NOW), BRIM_STICKY_NONE);
    }
    free(value);
}
END_TEST

START_TEST(another_origin_or_secret_does_not_know_it)
{
    char *value = value_for(0);
    struct brim_sticky *other = open_for("other"), *same = open_for("app");

    ck_assert_uint_eq(read_at(other, value, NOW), BRIM_STICKY_NONE);
    ck_assert_uint_eq(read_at(same, value, NOW), 0);
    ck_assert(brim_sticky_is_same(sticky, same));
    ck_assert(!brim_sticky_is_same(sticky, other));
    ck_assert(!brim_sticky_is_same(sticky, NULL));
    brim_sticky_close(other);
    brim_sticky_close(same);
    write_secret("fedcba9876543210");
    other = open_for("app");
    ck_assert_uint_eq(read_at(other, value, NOW), BRIM_STICKY_NONE);
    ck_assert(!brim_sticky_is_same(sticky, other));
    brim_sticky_close(other);
    free(value);
}
END_TEST

START_TEST(a_cookie_tells_no_address)
{
    char *value = value_for(0), *other = value_for(1);

    ck_assert_ptr_null(strstr(value, "10.0"));
    ck_assert_int_ne(memcmp(value, other, 16), 0);
    free(value);
    free(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/sticky");
    TCase *tcase = tcase_create("sticky");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_cookie_names_its_server_for_a_while);
    tcase_add_test(tcase, what_was_changed_is_nothing);
    tcase_add_test(tcase, another_origin_or_secret_does_not_know_it);
    tcase_add_test(tcase, a_cookie_tells_no_address);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
