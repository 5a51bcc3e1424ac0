/* SPDX-License-Identifier: MIT */
#include "brim/policy/pin.h"

#include <stdio.h>
#include <unistd.h>

#include "unit.h"

#define NOW 1700000000

static char file[64], other_file[64], cookie[] = "brim_wrote";

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

static void setup(void)
{
    (void)snprintf(file, sizeof(file), "pin-secret-%d", (int)getpid());
    (void)snprintf(other_file, sizeof(other_file), "pin-secret2-%d", (int)getpid());
    write_file(file, "0123456789abcdef\n");
    write_file(other_file, "0123456789abcdeg\n");
}

static void teardown(void)
{
    remove(file);
    remove(other_file);
}

static struct brim_pin *open_pin(char *secret, const char *site)
{
    struct brim_conf_ryw conf = {.for_ms = 10000, .secret = secret, .cookie = cookie};
    struct brim_pin *pin;

    ck_assert_int_eq(brim_pin_open(&conf, site, &pin), BRIM_OK);
    return pin;
}

/* The cookie as a client sends it back, among others. */
static struct brim_fields sent_back(struct brim_pin *pin, char *text, struct brim_field *field)
{
    char buffer[BRIM_PIN_COOKIE_BYTES];
    struct brim_str set = brim_pin_cookie(pin, NOW, true, buffer);
    int len = snprintf(text, 512, "a=1; %.*s; b=2", (int)strcspn(set.base, ";"), set.base);

    ck_assert(memmem(set.base, set.len, "; HttpOnly", 10) != NULL);
    ck_assert(memmem(set.base, set.len, "; SameSite=Lax", 14) != NULL);
    ck_assert(memmem(set.base, set.len, "; Secure", 8) != NULL);
    ck_assert(memmem(set.base, set.len, "; Max-Age=10;", 13) != NULL);
    *field = (struct brim_field){BRIM_STR("cookie"), brim_str(text, (size_t)len)};
    return (struct brim_fields){field, 1};
}

/* What we gave out holds until its time is over. */
START_TEST(holds_until_it_expires)
{
    struct brim_pin *pin = open_pin(file, "example.com");
    struct brim_field field;
    char text[512];
    struct brim_fields fields = sent_back(pin, text, &field);

    ck_assert(brim_pin_is_named(pin, fields));
    ck_assert(brim_pin_holds(pin, fields, NOW));
    ck_assert(brim_pin_holds(pin, fields, NOW + 9));
    ck_assert(!brim_pin_holds(pin, fields, NOW + 10));
    brim_pin_close(pin);
}
END_TEST

/* Each byte that somebody changes, another site's and another fleet's: nobody is kept off the cache
 * by what he made himself. */
START_TEST(forged_cookies_do_not_hold)
{
    struct brim_pin *pin = open_pin(file, "example.com");
    struct brim_pin *site = open_pin(file, "example.org"),
                    *fleet = open_pin(other_file, "example.com");
    struct brim_field field;
    char text[512];
    struct brim_fields fields = sent_back(pin, text, &field);
    size_t from = strcspn(text, "b"), to = strlen(text) - 5;

    ck_assert(!brim_pin_holds(site, fields, NOW));
    ck_assert(!brim_pin_holds(fleet, fields, NOW));
    for (size_t i = from; i < to; i++) {
        text[i] ^= 1;
        ck_assert_msg(!brim_pin_holds(pin, fields, NOW), "byte %zu", i);
        text[i] ^= 1;
    }
    ck_assert(brim_pin_holds(pin, fields, NOW));
    brim_pin_close(pin);
    brim_pin_close(site);
    brim_pin_close(fleet);
}
END_TEST

static const struct {
    const char *from, *to; /* NULL: the field goes */
} strips[] = {
    {"a=1; brim_wrote=x; b=2", "a=1; b=2"},
    {"brim_wrote=x", NULL},
    {"brim_wrote=x;brim_wrote=y; ;c", "c"},
    {"a;b;c;d;e;brim_wrote=1", "a; b; c; d; e"},
    {"my_brim_wrote=1; brim_wrote2=2; brim_wrote", "my_brim_wrote=1; brim_wrote2=2; brim_wrote"},
};

/* The origin is never told, and nothing is keyed by it. */
START_TEST(it_is_taken_out_and_others_stay)
{
    struct brim_pin *pin = open_pin(file, "example.com");
    struct brim_field in[] = {{BRIM_STR("cookie"), brim_str_of(strips[_i].from)},
                              {BRIM_STR("accept"), BRIM_STR("brim_wrote=1")}},
                      out[2];
    char text[256];
    struct brim_fields left = brim_pin_strip(pin, (struct brim_fields){in, 2}, out, text);

    ck_assert_uint_eq(left.count, strips[_i].to == NULL ? 1 : 2);
    if (strips[_i].to != NULL)
        ck_assert(brim_str_is(left.items[0].value, brim_str_of(strips[_i].to)));
    brim_pin_close(pin);
}
END_TEST

/* A key that can be guessed signs nothing. */
START_TEST(a_short_secret_is_refused)
{
    char path[] = "pin-short", missing[] = "no/such/file";
    struct brim_conf_ryw conf = {.for_ms = 1, .secret = path, .cookie = cookie};
    struct brim_pin *pin;

    write_file(path, "  fifteen-bytes!!  \n");
    ck_assert_int_eq(brim_pin_open(&conf, "s", &pin), BRIM_EINVAL);
    ck_assert_ptr_null(pin);
    conf.secret = missing;
    ck_assert_int_eq(brim_pin_open(&conf, "s", &pin), BRIM_EIO);
    conf.for_ms = 0;
    ck_assert_int_eq(brim_pin_open(&conf, "s", &pin), BRIM_OK);
    ck_assert_ptr_null(pin);
    remove(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy/pin");
    TCase *tcase = tcase_create("pin");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, holds_until_it_expires);
    tcase_add_test(tcase, forged_cookies_do_not_hold);
    tcase_add_loop_test(tcase, it_is_taken_out_and_others_stay, 0,
                        (int)(sizeof(strips) / sizeof(strips[0])));
    tcase_add_test(tcase, a_short_secret_is_refused);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
