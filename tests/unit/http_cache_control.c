/* SPDX-License-Identifier: MIT */
#include "brim/http/cache_control.h"

#include <stdio.h>

#include "unit.h"

#define LINES_MAX 4

static struct brim_fields make_fields(const char *const *values, struct brim_field *items)
{
    size_t count = 0;

    for (; count < LINES_MAX && values[count] != NULL; count++)
        items[count] = (struct brim_field){BRIM_STR("cache-control"),
                                           brim_str_trim(brim_str_of(values[count]))};
    return (struct brim_fields){items, count};
}

static void append(char *text, size_t bytes, const char *name, int64_t seconds)
{
    size_t len = strlen(text);

    if (seconds == INT64_MAX)
        snprintf(text + len, bytes - len, "%s=any ", name);
    else if (seconds >= 0)
        snprintf(text + len, bytes - len, "%s=%lld ", name, (long long)seconds);
}

/* What was understood, in one line of text that a table row can state. */
static void describe(const struct brim_cache_control *control, char *text, size_t bytes)
{
    const struct {
        const char *name;
        bool set;
    } flags[] = {
        {"no-store", control->no_store},
        {"no-cache", control->no_cache},
        {"no-cache-fields", control->no_cache_fields},
        {"private", control->is_private},
        {"private-fields", control->private_fields},
        {"must-revalidate", control->must_revalidate},
        {"proxy-revalidate", control->proxy_revalidate},
        {"no-transform", control->no_transform},
        {"only-if-cached", control->only_if_cached},
        {"public", control->is_public},
        {"must-understand", control->must_understand},
        {"immutable", control->immutable},
        {"unclosed", control->unclosed},
    };

    text[0] = '\0';
    append(text, bytes, "max-age", control->max_age_s);
    append(text, bytes, "s-maxage", control->s_maxage_s);
    append(text, bytes, "swr", control->swr_s);
    append(text, bytes, "sie", control->sie_s);
    append(text, bytes, "max-stale", control->max_stale_s);
    append(text, bytes, "min-fresh", control->min_fresh_s);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        size_t len = strlen(text);
        if (flags[i].set)
            snprintf(text + len, bytes - len, "%s ", flags[i].name);
    }
    if (text[0] != '\0')
        text[strlen(text) - 1] = '\0';
}

static const struct {
    const char *values[LINES_MAX];
    const char *meaning;
} rows[] = {
    {{NULL}, ""},
    {{""}, ""},
    {{","}, ""},
    /* RFC 9111 5.2.1, 5.2.2; RFC 5861 3, 4; RFC 8246 2 */
    {{"max-age=3600"}, "max-age=3600"},
    {{"s-maxage=3600"}, "s-maxage=3600"},
    {{"stale-while-revalidate=30"}, "swr=30"},
    {{"stale-if-error=30"}, "sie=30"},
    {{"max-stale=30"}, "max-stale=30"},
    {{"max-stale"}, "max-stale=any"},
    {{"min-fresh=30"}, "min-fresh=30"},
    {{"no-store"}, "no-store"},
    {{"no-cache"}, "no-cache"},
    {{"private"}, "private"},
    {{"must-revalidate"}, "must-revalidate"},
    {{"proxy-revalidate"}, "proxy-revalidate"},
    {{"no-transform"}, "no-transform"},
    {{"only-if-cached"}, "only-if-cached"},
    {{"public"}, "public"},
    {{"must-understand"}, "must-understand"},
    {{"immutable"}, "immutable"},
    {{"max-age=1, s-maxage=2,public , must-revalidate"},
     "max-age=1 s-maxage=2 must-revalidate public"},
    {{"max-age=1", "no-store", "public"}, "max-age=1 no-store public"}, /* RFC 9110 5.3 */
    /* 5.2: directives are case-insensitive */
    {{"MaX-aGe=3600"}, "max-age=3600"},
    {{"No-StOrE, PUBLIC"}, "no-store public"},
    /* 5.2.3: unknown directives are ignored, arguments and all */
    {{"foobar, max-age=3600"}, "max-age=3600"},
    {{"foo=bar, max-age=3600, baz=\"x, y\""}, "max-age=3600"},
    {{"community=\"UCI\", private"}, "private"},
    {{"max-age-x=1, xmax-age=2, max_age=3, maxage=4"}, ""},
    {{"extension=\"max-age=3600\", max-age=1"}, "max-age=1"},
    {{"max-age=1, extension=\"max-age=3600\""}, "max-age=1"},
    {{"extension=\"no-store\""}, ""},
    {{"extension=\"a, no-store, b\""}, ""},
    {{"extension=\"a\\\", no-store\""}, ""},
    {{"\"no-store\""}, ""},
    {{"=3600"}, ""},
    {{"="}, ""},
    /* 1.2.2: delta-seconds */
    {{"max-age=0"}, "max-age=0"},
    {{"max-age=003600"}, "max-age=3600"},
    {{"max-age=2147483647"}, "max-age=2147483647"},
    {{"max-age=2147483648"}, "max-age=2147483648"},
    {{"max-age=2147483649"}, "max-age=2147483648"},
    {{"max-age=99999999999"}, "max-age=2147483648"},
    {{"max-age=99999999999999999999999999999999"}, "max-age=2147483648"},
    {{"max-age=0000000000000000000000000000000001"}, "max-age=1"},
    /* 5.2: both forms of argument */
    {{"max-age=\"3600\""}, "max-age=3600"},
    {{"s-maxage=\"0\""}, "s-maxage=0"},
    {{"max-stale=\"5\""}, "max-stale=5"},
    /* 4.2.1: what is not valid is stale */
    {{"max-age"}, "max-age=0"},
    {{"max-age="}, "max-age=0"},
    {{"max-age=\"\""}, "max-age=0"},
    {{"max-age=-3600"}, "max-age=0"},
    {{"max-age=+3600"}, "max-age=0"},
    {{"max-age=3600.0"}, "max-age=0"},
    {{"max-age=3600.5"}, "max-age=0"},
    {{"max-age=a3600"}, "max-age=0"},
    {{"max-age=3600a"}, "max-age=0"},
    {{"max-age=0x10"}, "max-age=0"},
    {{"max-age='3600'"}, "max-age=0"},
    {{"max-age =3600"}, "max-age=0"},
    {{"max-age= 3600"}, "max-age=0"},
    {{"max-age=36 00"}, "max-age=0"},
    {{"max-age=3600; public"}, "max-age=0"},
    {{"max-age:3600"}, "max-age=0"},
    {{"max-age=\"36\\00\""}, "max-age=0"},
    {{"max-age==3600"}, "max-age=0"},
    {{"s-maxage=a, max-age=60"}, "max-age=60 s-maxage=0"},
    {{"stale-while-revalidate"}, "swr=0"},
    {{"stale-if-error=x"}, "sie=0"},
    {{"max-stale=x"}, "max-stale=0"},
    {{"max-stale="}, "max-stale=0"},
    {{"min-fresh"}, "min-fresh=2147483648"},
    {{"min-fresh=x"}, "min-fresh=2147483648"},
    /* 4.2.1: twice the same; the smallest is neither later than the first nor fresh where "stale"
     * is right */
    {{"max-age=1800, max-age=1"}, "max-age=1"},
    {{"max-age=1, max-age=1800"}, "max-age=1"},
    {{"max-age=1800", "max-age=1"}, "max-age=1"},
    {{"max-age=60, max-age=60"}, "max-age=60"},
    {{"max-age=60, max-age=x"}, "max-age=0"},
    {{"s-maxage=60, s-maxage=5"}, "s-maxage=5"},
    {{"stale-if-error=60, stale-if-error=5"}, "sie=5"},
    {{"max-stale, max-stale=5"}, "max-stale=5"},
    {{"max-stale=5, max-stale"}, "max-stale=5"},
    {{"min-fresh=5, min-fresh=60"}, "min-fresh=60"},
    {{"no-store, no-store"}, "no-store"},
    /* 5.2.2.4, 5.2.2.7: with field names */
    {{"no-cache=\"a\""}, "no-cache-fields"},
    {{"no-cache=\"a, b\""}, "no-cache-fields"},
    {{"private=\"set-cookie\", max-age=5"}, "max-age=5 private-fields"},
    {{"no-cache=a"}, "no-cache-fields"},
    /* what a response cannot do without: then it is about all of it */
    {{"no-cache=\"Vary\""}, "no-cache"},
    {{"private=\"a, content-type\""}, "private"},
    {{"private=Location"}, "private"},
    {{"no-cache=\"\""}, "no-cache"},
    {{"no-cache="}, "no-cache"},
    {{"no-cache=\",\""}, "no-cache"},
    {{"no-cache=\"a b\""}, "no-cache"},
    {{"no-cache=\"a\", no-cache"}, "no-cache no-cache-fields"},
    {{"private=\"a\\\"b\""}, "private"},
    /* restrictions count whatever follows them, permissions only alone */
    {{"no-store=1"}, "no-store"},
    {{"no-store=\"x\""}, "no-store"},
    {{"no-store; max-age=60"}, "no-store"},
    {{"private; max-age=60"}, "private"},
    {{"must-revalidate=0"}, "must-revalidate"},
    {{"no-store x"}, "no-store"},
    {{"only-if-cached=1"}, "only-if-cached"},
    {{"public=1"}, ""},
    {{"public; max-age=60"}, ""},
    {{"public="}, ""},
    {{"must-understand=1"}, ""},
    {{"immutable=1"}, ""},
    /* a quote that never closes */
    {{"ext=\"a, no-store"}, "no-store unclosed"},
    {{"private=\"a, max-age=60"}, "max-age=60 private unclosed"},
    {{"max-age=\"60"}, "max-age=0 unclosed"},
    {{"ext=\"a, b", "max-age=60"}, "max-age=60 unclosed"},
    {{"max-age=60, ext=\""}, "max-age=60 unclosed"},
    {{"ext=\"a\", max-age=60"}, "max-age=60"},
};

/* Everything that brim stores or does not hangs on how these lines are read. */
START_TEST(directives_are_read_strictly)
{
    struct brim_field items[LINES_MAX];
    struct brim_fields fields = make_fields(rows[_i].values, items);
    struct brim_cache_control control;
    char text[256];

    brim_cache_control_parse(fields, BRIM_STR("cache-control"), &control);
    describe(&control, text, sizeof(text));
    ck_assert_str_eq(text, rows[_i].meaning);
    ck_assert_int_eq(control.present, rows[_i].values[0] != NULL);
}
END_TEST

static const struct {
    const char *values[LINES_MAX];
    const char *field;
    bool listed;
} lists[] = {
    /* RFC 9111 5.2.2.4, 5.2.2.7 */
    {{"no-cache=\"a\""}, "a", true},
    {{"no-cache=\"A, B\""}, "b", true},
    {{"private=\"set-cookie\""}, "set-cookie", true},
    {{"no-cache=a"}, "a", true},
    {{"max-age=5, no-cache=\"a\"", "private=\"b\""}, "b", true},
    {{"no-cache=\"ab\""}, "a", false},
    {{"no-cache"}, "a", false},
    {{"no-store=\"a\""}, "a", false},
    {{"ext=\"a\""}, "a", false},
    {{NULL}, "a", false},
};

/* A listed field that is kept is handed to clients that it was not meant for. */
START_TEST(listed_fields_are_found)
{
    struct brim_field items[LINES_MAX];

    ck_assert_int_eq(brim_cache_control_lists_field(make_fields(lists[_i].values, items),
                                                    BRIM_STR("cache-control"),
                                                    brim_str_of(lists[_i].field)),
                     lists[_i].listed);
}
END_TEST

/* Other fields of this syntax (RFC 9213) are read by the same code and do not mix. */
START_TEST(only_the_named_field_counts)
{
    struct brim_field items[] = {{BRIM_STR("cache-control"), BRIM_STR("max-age=1")},
                                 {BRIM_STR("cdn-cache-control"), BRIM_STR("max-age=2")}};
    struct brim_fields fields = {items, 2};
    struct brim_cache_control control;

    brim_cache_control_parse(fields, BRIM_STR("cdn-cache-control"), &control);
    ck_assert_int_eq(control.max_age_s, 2);
    brim_cache_control_parse(fields, BRIM_STR("cache-control"), &control);
    ck_assert_int_eq(control.max_age_s, 1);
}
END_TEST

/* RFC 9213: lines of three fields, two of which are targets, and what is understood. */
static const struct {
    const char *mine;   /* my-cache-control, the first target */
    const char *cdn[2]; /* cdn-cache-control, the second */
    const char *common; /* cache-control */
    const char *understood;
    bool is_targeted;
} targeted[] = {
    /* which field counts: 2.2 */
    {NULL, {NULL}, "max-age=1", "max-age=1", false},
    {NULL, {"max-age=2"}, "max-age=1", "max-age=2", true},
    {NULL, {"max-age=2"}, "no-store", "max-age=2", true},
    {NULL, {"no-store"}, "max-age=1", "no-store", true},
    {"max-age=3", {"max-age=2"}, "max-age=1", "max-age=3", true},
    {"max-age=3", {NULL}, NULL, "max-age=3", true},
    {"&", {"max-age=2"}, "max-age=1", "max-age=2", true},
    {"", {"max-age=2"}, "max-age=1", "max-age=2", true},
    {"&", {"&"}, "max-age=1", "max-age=1", false},
    {"foo", {"max-age=2"}, "max-age=1", "", true},
    /* not valid as a whole: 2.1 */
    {NULL, {""}, "max-age=1", "max-age=1", false},
    {NULL, {"max-age=2, &&&"}, "no-store", "no-store", false},
    {NULL, {"max-age=2,"}, "no-store", "no-store", false},
    {NULL, {"Max-Age=2"}, "no-store", "no-store", false},
    {NULL, {"max-age =2"}, "no-store", "no-store", false},
    {NULL, {"max-age=2", "&"}, "no-store", "no-store", false},
    {NULL, {"max-age=2", ""}, "no-store", "no-store", false},
    {NULL, {"max-age=2", "private"}, NULL, "max-age=2 private", true},
    /* types of values: 2.1 */
    {NULL, {"max-age=60;foo;bar=1"}, NULL, "max-age=60", true},
    {NULL, {"max-age=999999999999999"}, NULL, "max-age=2147483648", true},
    {NULL, {"max-age=-1"}, NULL, "max-age=0", true},
    {NULL, {"max-age=60.5"}, NULL, "max-age=0", true},
    {NULL, {"max-age=\"60\""}, NULL, "max-age=0", true},
    {NULL, {"max-age=x"}, NULL, "max-age=0", true},
    {NULL, {"max-age"}, NULL, "max-age=0", true},
    {NULL, {"max-age=(60)"}, NULL, "max-age=0", true},
    {NULL, {"s-maxage=5, max-age=6"}, NULL, "max-age=6 s-maxage=5", true},
    {NULL, {"no-store=?0, max-age=1"}, NULL, "max-age=1", true},
    {NULL, {"no-store=1"}, NULL, "no-store", true},
    {NULL, {"no-store=\"x\""}, NULL, "no-store", true},
    {NULL, {"public"}, NULL, "public", true},
    {NULL, {"public=?0"}, NULL, "", true},
    {NULL, {"public=1"}, NULL, "", true},
    {NULL, {"private"}, NULL, "private", true},
    {NULL, {"private=?0"}, NULL, "", true},
    {NULL, {"private=\"a, b\""}, NULL, "private-fields", true},
    {NULL, {"private=\"\""}, NULL, "private", true},
    {NULL, {"private=a"}, NULL, "private", true},
    {NULL, {"no-cache=\"set-cookie\""}, NULL, "no-cache-fields", true},
    {NULL, {"no-cache=\"(\""}, NULL, "no-cache", true},
    {NULL, {"no-cache=2"}, NULL, "no-cache", true},
    /* the last value of a key counts: RFC 9651 4.2.2 */
    {NULL, {"max-age=1, max-age=9"}, NULL, "max-age=9", true},
    {NULL, {"no-store", "no-store=?0"}, NULL, "", true},
    {NULL, {"private=\"a\", private"}, NULL, "private", true},
};

/* The origin speaks to the CDN apart from browsers; a wrong turn here shares what is private. */
START_TEST(targeted_fields_go_before_cache_control)
{
    static const struct brim_str names[] = {{"my-cache-control", 16}, {"cdn-cache-control", 17}};
    struct brim_field items[4];
    struct brim_cache_control control;
    char text[256] = "";
    size_t count = 0;

    if (targeted[_i].common != NULL)
        items[count++] =
            (struct brim_field){BRIM_STR("cache-control"), brim_str_of(targeted[_i].common)};
    for (size_t i = 0; i < 2 && targeted[_i].cdn[i] != NULL; i++)
        items[count++] = (struct brim_field){names[1], brim_str_of(targeted[_i].cdn[i])};
    if (targeted[_i].mine != NULL)
        items[count++] = (struct brim_field){names[0], brim_str_of(targeted[_i].mine)};
    brim_cache_control_parse_response((struct brim_fields){items, count},
                                      (struct brim_targets){names, 2}, &control);
    describe(&control, text, sizeof(text));
    ck_assert_str_eq(text, targeted[_i].understood);
    ck_assert_int_eq(control.is_targeted, targeted[_i].is_targeted);
    ck_assert(control.present);

    brim_cache_control_parse_response((struct brim_fields){items, count},
                                      (struct brim_targets){NULL, 0}, &control);
    ck_assert(!control.is_targeted);
}
END_TEST

/* Random bytes never crash, and never make a number that is out of range. */
START_TEST(random_bytes_do_no_harm)
{
    static const char *const pieces[] = {"max-age", "=",        "\"",  ",", " ",
                                         "\\",      "no-store", "1",   "9", "private",
                                         ";",       "s-maxage", "\xff"};
    unsigned seed = 7;

    for (int i = 0; i < 100000; i++) {
        char text[256];
        size_t len = 0;
        for (int n = rand_r(&seed) % 20; n > 0; n--) {
            const char *piece =
                pieces[(size_t)rand_r(&seed) % (sizeof(pieces) / sizeof(pieces[0]))];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        struct brim_field field = {BRIM_STR("cache-control"), {text, len}};
        struct brim_cache_control control;
        brim_cache_control_parse((struct brim_fields){&field, 1}, field.name, &control);
        ck_assert_int_ge(control.max_age_s, -1);
        ck_assert_int_le(control.max_age_s, BRIM_DELTA_SECONDS_MAX);
        ck_assert_int_le(control.s_maxage_s, BRIM_DELTA_SECONDS_MAX);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_cache_control");
    TCase *tcase = tcase_create("cache_control");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, directives_are_read_strictly, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(tcase, listed_fields_are_found, 0, sizeof(lists) / sizeof(lists[0]));
    tcase_add_loop_test(tcase, targeted_fields_go_before_cache_control, 0,
                        sizeof(targeted) / sizeof(targeted[0]));
    tcase_add_test(tcase, only_the_named_field_counts);
    tcase_add_test(tcase, random_bytes_do_no_harm);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
