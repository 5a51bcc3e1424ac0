/* SPDX-License-Identifier: MIT */
#include "brim/http/coding.h"
#include "brim/http/vary.h"

#include <stdint.h>
#include <stdio.h>

#include "http_fields.h"

static const struct {
    const char *lines[FIELDS_MAX];
    bool any;
    const char *names; /* each in <>; NULL: BRIM_EINVAL */
} names[] = {
    /* RFC 9110 12.5.5 */
    {{NULL}, false, ""},
    {{"vary:"}, false, ""},
    {{"vary: , ,"}, false, ""},
    {{"vary: Accept-Encoding"}, false, "<accept-encoding>"},
    {{"vary: b, A,c"}, false, "<a><b><c>"},
    {{"vary: c", "vary: b,a"}, false, "<a><b><c>"},
    {{"vary: a, A, a", "vary: a"}, false, "<a>"},
    {{"vary: ab, a, abc"}, false, "<a><ab><abc>"},
    {{"vary: b, a, b, a, c"}, false, "<a><b><c>"},
    {{"not-vary: *"}, false, ""},
    /* RFC 9111 4.1; the shapes of the http-cache-tests suite */
    {{"vary: *"}, true, NULL},
    {{"vary: *, *"}, true, NULL},
    {{"vary: *", "vary: *"}, true, NULL},
    {{"vary: , *"}, true, NULL},
    {{"vary:", "vary: *"}, true, NULL},
    {{"vary: *, Foo"}, true, NULL},
    {{"vary: Foo, *"}, true, NULL},
    {{"vary: \"a, *"}, true, NULL},
    {{"vary: a*"}, false, "<a*>"}, /* "*" is a tchar */
    {{"vary: a b"}, false, NULL},
    {{"vary: \"a\""}, false, NULL},
    {{"vary: a;q=1"}, false, NULL},
    {{"vary: a/b"}, false, NULL},
    {{"vary: \xc3\xbc"}, false, NULL},
};

/* A selecting field that is overlooked hands one client's page to another. */
START_TEST(vary_names_are_sorted_unique_and_complete)
{
    struct fields storage;
    struct brim_fields fields = fields_of(names[_i].lines, &storage);
    struct brim_str out[BRIM_VARY_NAMES_MAX];
    char scratch[256];
    char text[256] = "";
    size_t count = 7;
    size_t len = 0;

    ck_assert_int_eq(brim_vary_is_any(fields), names[_i].any);
    enum brim_err err = brim_vary_names(fields, scratch, sizeof(scratch), out, &count);
    ck_assert_int_eq(err, names[_i].names == NULL ? BRIM_EINVAL : BRIM_OK);
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "<%.*s>", (int)out[i].len,
                                out[i].base);
    ck_assert_str_eq(text, names[_i].names == NULL ? "" : names[_i].names);
}
END_TEST

/* The bounds hold for unique names; a repeated one costs nothing. */
START_TEST(vary_names_have_limits)
{
    char value[1024];
    char scratch[256];
    struct brim_str out[BRIM_VARY_NAMES_MAX];
    size_t count;
    size_t len = 0;

    for (int i = 0; i < (int)BRIM_VARY_NAMES_MAX; i++)
        len += (size_t)snprintf(value + len, sizeof(value) - len, "h%d,h%d,", i, i);
    struct brim_field field = {BRIM_STR("vary"), {value, len}};
    struct brim_fields fields = {&field, 1};
    ck_assert_int_eq(brim_vary_names(fields, scratch, sizeof(scratch), out, &count), BRIM_OK);
    ck_assert_uint_eq(count, BRIM_VARY_NAMES_MAX);

    field.value.len += (size_t)snprintf(value + len, sizeof(value) - len, "x");
    ck_assert_int_eq(brim_vary_names(fields, scratch, sizeof(scratch), out, &count), BRIM_ELIMIT);
    ck_assert_uint_eq(count, 0);

    field.value = BRIM_STR("abc, abc, def");
    ck_assert_int_eq(brim_vary_names(fields, scratch, 6, out, &count), BRIM_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(brim_vary_names(fields, scratch, 5, out, &count), BRIM_ELIMIT);
}
END_TEST

static const struct {
    const char *name;
    const char *lines[FIELDS_MAX];
    const char *value;
} values[] = {
    /* RFC 9111 4.1: joined lines and white space make no difference, presence does */
    {"foo", {NULL}, BRIM_VARY_ABSENT},
    {"foo", {"food: 1"}, BRIM_VARY_ABSENT},
    {"foo", {"foo:"}, ""},
    {"foo", {"foo: 1"}, "1"},
    {"foo", {"foo: 1, 2"}, "1,2"},
    {"foo", {"foo: 1,2"}, "1,2"},
    {"foo", {"foo:  1 ,\t2 "}, "1,2"},
    {"foo", {"foo: 1", "bar: x", "foo: 2"}, "1,2"},
    {"foo", {"foo: 2, 1"}, "2,1"}, /* order may mean something */
    {"foo", {"foo: A"}, "A"},      /* so may case */
    {"foo", {"foo: \"a, b\", c"}, "\"a, b\",c"},
    {"foo", {"foo: a  b"}, "a  b"},
    {"foo", {"foo: 1, 1"}, "1,1"},
    {"foo", {"foo: a ,b\t, c d"}, "a,b,c d"},
    {"foo", {"foo: \"a\\\" , b\" , c"}, "\"a\\\" , b\",c"},
    {"foo", {"foo: \"a , b"}, "\"a , b"}, /* never closed: nobody knows what it means */
    /* an empty member is one where no list is read: what it selects is not what others are given */
    {"foo", {"foo: ,1"}, ",1"},
    {"foo", {"foo: 1,"}, "1,"},
    {"foo", {"foo: 1, ,2"}, "1,,2"},
    {"foo", {"foo: ,"}, ","},
    {"foo", {"foo:", "foo: 1"}, ",1"},
    /* no lists: a blank of theirs may be what their origin looks for */
    {"user-agent", {"user-agent: M/5 (KHTML, like Gecko)"}, "M/5 (KHTML, like Gecko)"},
    {"user-agent", {"user-agent: M/5 (KHTML,like Gecko)"}, "M/5 (KHTML,like Gecko)"},
    {"origin", {"origin: ,https://a.example"}, ",https://a.example"},
    {"referer", {"referer: https://a.example/?a, b"}, "https://a.example/?a, b"},
    /* Cookie is no list: its commas are its own, its lines one (RFC 6265 4.2.1, RFC 9113 8.2.3) */
    {"cookie", {NULL}, BRIM_VARY_ABSENT},
    {"cookie", {"cookie:"}, BRIM_VARY_ABSENT},
    {"cookie", {"cookie: a=1,b=2"}, "a=1,b=2"},
    {"cookie", {"cookie: a=1, b=2"}, "a=1, b=2"},
    {"cookie", {"cookie: a=1,,b=2"}, "a=1,,b=2"},
    {"cookie", {"cookie: a=1; b=2"}, "a=1; b=2"},
    {"cookie", {"cookie: a=1", "foo: 1", "cookie:", "cookie: b=2"}, "a=1; b=2"},
    /* what origins are not shown selects nothing (RFC 9842 2.2, 2.3) */
    {"available-dictionary", {"available-dictionary: :AAAA:"}, BRIM_VARY_ABSENT},
    {"dictionary-id", {"dictionary-id: \"x\""}, BRIM_VARY_ABSENT},
    {"x-forwarded-proto", {"x-forwarded-proto: https"}, BRIM_VARY_ABSENT},
    {"x-forwarded-host", {"x-forwarded-host: other.example"}, BRIM_VARY_ABSENT},
    /* Accept-Language: order and case say nothing (RFC 9110 12.5.4, RFC 4647 2.1) */
    {"accept-language", {NULL}, BRIM_VARY_ABSENT},
    {"accept-language", {"accept-language:"}, ""},
    {"accept-language", {"accept-language: en, de"}, "de,en"},
    {"accept-language", {"accept-language: de, en"}, "de,en"},
    {"accept-language", {"accept-language: eN, De"}, "de,en"},
    {"accept-language", {"accept-language:  en ,   de"}, "de,en"},
    {"accept-language", {"accept-language: en", "accept-language: de"}, "de,en"},
    {"accept-language", {"accept-language: en;q=1.0, de;q=1"}, "de,en"},
    {"accept-language", {"accept-language: en ; q=0.80,de"}, "de,en;q=0.8"},
    {"accept-language", {"accept-language: en;Q=0.5"}, "en;q=0.5"},
    {"accept-language", {"accept-language: en;q=0.001"}, "en;q=0.001"},
    {"accept-language", {"accept-language: en;q=0.010"}, "en;q=0.01"},
    {"accept-language", {"accept-language: en;q=0"}, "en;q=0"},
    {"accept-language", {"accept-language: en;q=0.000"}, "en;q=0"},
    {"accept-language", {"accept-language: en-GB, en, *;q=0.1"}, "*;q=0.1,en,en-gb"},
    {"accept-language", {"accept-language: en, en, EN"}, "en"},
    {"accept-language", {"accept-language: en;q=0.5, en"}, "en;q=0.5,en"},
    /* not the grammar: left as it is */
    {"accept-language", {"accept-language: en;q=2, De"}, "en;q=2,De"},
    {"accept-language", {"accept-language: en;q=1.001, De"}, "en;q=1.001,De"},
    {"accept-language", {"accept-language: en;q=0.0001"}, "en;q=0.0001"},
    {"accept-language", {"accept-language: en;q=a"}, "en;q=a"},
    {"accept-language", {"accept-language: en;level=1, De"}, "en;level=1,De"},
    {"accept-language", {"accept-language: e n, De"}, "e n,De"},
    {"accept-language", {"accept-language: ;q=1, De"}, ";q=1,De"},
};

/* Clients that mean the same share a variant; clients that do not never do. */
START_TEST(value_has_one_form_for_one_meaning)
{
    struct fields storage;
    struct brim_fields fields = fields_of(values[_i].lines, &storage);
    char buffer[128];
    size_t len = brim_vary_value(fields, brim_str_of(values[_i].name), buffer, sizeof(buffer));

    ck_assert_uint_lt(len, sizeof(buffer));
    buffer[len] = '\0';
    ck_assert_str_eq(buffer, values[_i].value);
    /* One byte too few is SIZE_MAX, and ASan sees that nothing lies beyond. */
    if (len > 0) {
        char *small = malloc(len);
        ck_assert_ptr_nonnull(small);
        ck_assert_uint_eq(brim_vary_value(fields, brim_str_of(values[_i].name), small, len), len);
        ck_assert_uint_eq(brim_vary_value(fields, brim_str_of(values[_i].name), small, len - 1),
                          SIZE_MAX);
        free(small);
    }
}
END_TEST

static const struct {
    const char *lines[FIELDS_MAX];
    const char *normal;
} encodings[] = {
    /* RFC 9110 12.5.3 */
    {{NULL}, ""},
    {{"accept-encoding:"}, ""},
    {{"accept-encoding: gzip"}, "gzip"},
    {{"accept-encoding: GZip"}, "gzip"},
    {{"accept-encoding: x-gzip"}, "gzip"}, /* 8.4.1.3 */
    {{"accept-encoding: gzip, deflate, br, zstd"}, "gzip"},
    {{"accept-encoding: br", "accept-encoding: gzip"}, "gzip"},
    {{"accept-encoding: deflate, br"}, ""},
    {{"accept-encoding: identity"}, ""},
    {{"accept-encoding: *"}, "gzip"},
    {{"accept-encoding: *;q=0"}, ""},
    {{"accept-encoding: br, *;q=0.1"}, "gzip"},
    {{"accept-encoding: gzip;q=0"}, ""},
    {{"accept-encoding: gzip;q=0.0"}, ""},
    {{"accept-encoding: gzip;q=0, *"}, ""},
    {{"accept-encoding: gzip;q=0.001"}, "gzip"},
    {{"accept-encoding: gzip;q=1.0, identity; q=0.5, *;q=0"}, "gzip"},
    {{"accept-encoding: gzip;q=0.5, identity"}, ""},
    {{"accept-encoding: gzip;q=0.5, identity;q=0.5"}, "gzip"},
    {{"accept-encoding: gzip ; q=0.5"}, "gzip"},
    {{"accept-encoding: gzip;q=x"}, ""},
    {{"accept-encoding: gzip;q="}, ""},
    {{"accept-encoding: gzip;level=9"}, ""},
    {{"accept-encoding: gzip;q=2"}, ""},
    {{"accept-encoding: gzip, gzip;q=0"}, ""},
    {{"accept-encoding: gzipped"}, ""},
};

/* A client that gets gzip against its will sees rubbish; one that could and does not costs bytes.
 * What origins are asked for does not depend on it, so it never selects. */
START_TEST(encoding_is_gzip_only_where_it_is_welcome)
{
    struct fields storage;
    struct brim_fields fields = fields_of(encodings[_i].lines, &storage);
    char buffer[8];

    struct brim_accept accept;
    brim_accept_parse(fields, &accept);
    bool is_welcome = accept.weights[BRIM_CODING_GZIP] > 0 &&
                      accept.weights[BRIM_CODING_GZIP] >= accept.weights[BRIM_CODING_IDENTITY];
    ck_assert_int_eq(is_welcome, *encodings[_i].normal != '\0');
    size_t len = brim_vary_value(fields, BRIM_STR("accept-encoding"), buffer, sizeof(buffer));
    ck_assert_uint_eq(len, 0);
}
END_TEST

/* A list longer than is sorted keeps its order instead of being cut. */
START_TEST(long_language_list_loses_nothing)
{
    char value[33 * 3];
    char buffer[128];
    struct brim_field field = {BRIM_STR("accept-language"), {value, sizeof(value)}};

    for (size_t i = 0; i < sizeof(value); i += 3)
        memcpy(value + i, i == 0 ? "zz," : "aa,", 3);
    size_t len =
        brim_vary_value((struct brim_fields){&field, 1}, field.name, buffer, sizeof(buffer));
    ck_assert_uint_eq(len, sizeof(value));
    ck_assert_int_eq(memcmp(buffer, "zz,aa,", 6), 0);
}
END_TEST

/* Who waits for one exchange together may get its answer only if he would have got it alone. */
START_TEST(other_spelling_of_what_is_varied_by_is_told)
{
    const struct brim_field by[] = {{BRIM_STR("vary"), BRIM_STR("Accept, X-My-Plan")}};
    static const struct {
        struct brim_field field;
        bool is_twin;
    } cases[] = {
        {{BRIM_STR("x_my-plan"), BRIM_STR("1")}, true},
        {{BRIM_STR("x_my_plan"), BRIM_STR("")}, true},
        {{BRIM_STR("x-my-plan"), BRIM_STR("1")}, false},
        {{BRIM_STR("x_my_plans"), BRIM_STR("1")}, false},
        {{BRIM_STR("x_other"), BRIM_STR("1")}, false},
    };
    const struct brim_fields request = {&cases[_i].field, 1}, response = {by, 1};

    ck_assert_int_eq(brim_vary_is_by_twin(request, response), cases[_i].is_twin);
    ck_assert(!brim_vary_is_by_twin(request, request));
}
END_TEST

START_TEST(same_selection_is_told_from_another)
{
    const struct brim_field vary[] = {{BRIM_STR("vary"), BRIM_STR("X-A, Accept-Language")}};
    const struct brim_field any[] = {{BRIM_STR("vary"), BRIM_STR("*")}};
    const struct brim_field sender[] = {{BRIM_STR("vary"), BRIM_STR("X-A, X-Forwarded-For")}};
    const struct brim_field en[] = {{BRIM_STR("accept-language"), BRIM_STR("en")},
                                    {BRIM_STR("x-b"), BRIM_STR("1")}};
    const struct brim_field also_en[] = {{BRIM_STR("accept-language"), BRIM_STR("en")}};
    const struct brim_field de[] = {{BRIM_STR("accept-language"), BRIM_STR("de")}};
    const struct brim_fields none = {NULL, 0}, by = {vary, 1}, star = {any, 1};
    const struct brim_fields a = {en, 2}, b = {also_en, 1}, c = {de, 1};

    ck_assert(brim_vary_selects_same(by, a, b));
    ck_assert(!brim_vary_selects_same(by, a, c));
    ck_assert(!brim_vary_selects_same(by, a, none));
    ck_assert(brim_vary_selects_same(none, a, c));
    ck_assert(!brim_vary_selects_same(star, a, a));
    ck_assert(!brim_vary_selects_same((struct brim_fields){sender, 1}, a, a));
}
END_TEST

static const struct {
    const char *stored[FIELDS_MAX];
    const char *fresh[FIELDS_MAX];
    bool adds;
} additions[] = {
    {{NULL}, {NULL}, false},
    {{NULL}, {"vary: Origin"}, true},
    {{"vary: origin"}, {"vary: Origin"}, false},
    {{"vary: Origin, Cookie"}, {"vary: cookie"}, false},
    {{"vary: Origin"}, {"vary: Origin", "vary: Cookie"}, true},
    /* what never selects */
    {{NULL}, {"vary: Accept-Encoding, X-Forwarded-Proto"}, false},
    /* what is not stored */
    {{NULL}, {"vary: a, *"}, false},
    {{NULL}, {"vary: a, Forwarded"}, false},
};

/* An update that is for fewer requests than what it updates would stand where all of them look. */
START_TEST(more_selecting_fields_are_seen)
{
    struct fields fresh, stored;

    ck_assert_int_eq(brim_vary_adds(fields_of(additions[_i].fresh, &fresh),
                                    fields_of(additions[_i].stored, &stored)),
                     additions[_i].adds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_vary");
    TCase *tcase = tcase_create("vary");

    tcase_add_loop_test(tcase, vary_names_are_sorted_unique_and_complete, 0,
                        sizeof(names) / sizeof(names[0]));
    tcase_add_test(tcase, vary_names_have_limits);
    tcase_add_loop_test(tcase, value_has_one_form_for_one_meaning, 0,
                        sizeof(values) / sizeof(values[0]));
    tcase_add_loop_test(tcase, encoding_is_gzip_only_where_it_is_welcome, 0,
                        sizeof(encodings) / sizeof(encodings[0]));
    tcase_add_test(tcase, long_language_list_loses_nothing);
    tcase_add_loop_test(tcase, other_spelling_of_what_is_varied_by_is_told, 0, 5);
    tcase_add_test(tcase, same_selection_is_told_from_another);
    tcase_add_loop_test(tcase, more_selecting_fields_are_seen, 0,
                        sizeof(additions) / sizeof(additions[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
