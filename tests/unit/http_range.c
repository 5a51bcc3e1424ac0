/* SPDX-License-Identifier: MIT */
#include "brim/http/range.h"

#include "unit.h"

#define NONE BRIM_RANGE_NONE
#define ONE  BRIM_RANGE_ONE
#define BAD  BRIM_RANGE_UNSATISFIABLE

static const struct {
    const char *value;
    uint64_t length;
    enum brim_range_verdict verdict;
    struct brim_range range;
} ranges[] = {
    /* RFC 9110 14.1.2, the examples for 10000 bytes */
    {"bytes=0-499", 10000, ONE, {0, 499}},
    {"bytes=500-999", 10000, ONE, {500, 999}},
    {"bytes=-500", 10000, ONE, {9500, 9999}},
    {"bytes=9500-", 10000, ONE, {9500, 9999}},
    {"bytes=0-0", 10000, ONE, {0, 0}},
    {"bytes=-1", 10000, ONE, {9999, 9999}},
    {"bytes=0-0,-1", 10000, NONE, {0, 0}}, /* several: all of it */
    {"bytes=500-600,601-999", 10000, NONE, {0, 0}},
    /* ends */
    {"bytes=0-", 10, ONE, {0, 9}},
    {"bytes=9-", 10, ONE, {9, 9}},
    {"bytes=9-9", 10, ONE, {9, 9}},
    {"bytes=0-9", 10, ONE, {0, 9}},
    {"bytes=0-10", 10, ONE, {0, 9}},
    {"bytes=5-99999", 10, ONE, {5, 9}},
    {"bytes=10-", 10, BAD, {0, 0}},
    {"bytes=10-20", 10, BAD, {0, 0}},
    {"bytes=-10", 10, ONE, {0, 9}},
    {"bytes=-11", 10, ONE, {0, 9}},
    {"bytes=-0", 10, BAD, {0, 0}},
    {"bytes=-00", 10, BAD, {0, 0}},
    /* an empty body has no first byte, and no Content-Range for its end */
    {"bytes=0-", 0, BAD, {0, 0}},
    {"bytes=0-0", 0, BAD, {0, 0}},
    {"bytes=-1", 0, NONE, {0, 0}},
    {"bytes=-0", 0, BAD, {0, 0}},
    /* not valid: ignored (14.2) */
    {"bytes=5-4", 10, NONE, {0, 0}},
    {"bytes=20-19", 10, NONE, {0, 0}},
    {"bytes=", 10, NONE, {0, 0}},
    {"bytes=-", 10, NONE, {0, 0}},
    {"bytes=,", 10, NONE, {0, 0}},
    {"bytes", 10, NONE, {0, 0}},
    {"", 10, NONE, {0, 0}},
    {"0-5", 10, NONE, {0, 0}},
    {"=0-5", 10, NONE, {0, 0}},
    {"bytes=a-5", 10, NONE, {0, 0}},
    {"bytes=0-a", 10, NONE, {0, 0}},
    {"bytes=0x1-5", 10, NONE, {0, 0}},
    {"bytes=5", 10, NONE, {0, 0}},
    {"bytes=--5", 10, NONE, {0, 0}},
    {"bytes=-5-", 10, NONE, {0, 0}},
    {"bytes=1-2-3", 10, NONE, {0, 0}},
    {"bytes=+1-5", 10, NONE, {0, 0}},
    {"bytes=1.5-5", 10, NONE, {0, 0}},
    {"bytes=\"0-5\"", 10, NONE, {0, 0}},
    {"bytes 0-5", 10, NONE, {0, 0}},
    {"bytes:0-5", 10, NONE, {0, 0}},
    {"items=0-5", 10, NONE, {0, 0}}, /* 14.2: unknown units are ignored */
    {"byte=0-5", 10, NONE, {0, 0}},
    {"bytess=0-5", 10, NONE, {0, 0}},
    /* 14.1: range units are case-insensitive */
    {"Bytes=0-5", 10, ONE, {0, 5}},
    {"BYTES=-5", 10, ONE, {5, 9}},
    /* white space: around commas only (5.6.1); empty members do not count */
    {"bytes=0-5,", 10, ONE, {0, 5}},
    {"bytes=,0-5", 10, ONE, {0, 5}},
    {"bytes=0-5 , ,", 10, ONE, {0, 5}},
    {"bytes=, 0-5", 10, ONE, {0, 5}},
    {"bytes= 0-5", 10, NONE, {0, 0}},
    {"bytes=\t0-5", 10, NONE, {0, 0}},
    {"bytes =0-5", 10, NONE, {0, 0}},
    {"bytes=0 -5", 10, NONE, {0, 0}},
    {"bytes=0- 5", 10, NONE, {0, 0}},
    {"bytes=0-5,a", 10, NONE, {0, 0}},
    /* numbers beyond 64 bits lie behind every end */
    {"bytes=0-18446744073709551615", 10, ONE, {0, 9}},
    {"bytes=0-18446744073709551616", 10, ONE, {0, 9}},
    {"bytes=0-99999999999999999999999999", 10, ONE, {0, 9}},
    {"bytes=18446744073709551616-", 10, BAD, {0, 0}},
    {"bytes=18446744073709551617-18446744073709551618", 10, BAD, {0, 0}},
    {"bytes=99999999999999999999999999-5", 10, NONE, {0, 0}},
    {"bytes=-99999999999999999999999999", 10, ONE, {0, 9}},
    {"bytes=0000000000000000000000000001-2", 10, ONE, {1, 2}},
    {"bytes=9223372036854775807-9223372036854775808",
     UINT64_MAX,
     ONE,
     {9223372036854775807u, 9223372036854775808u}},
    {"bytes=-1", UINT64_MAX, ONE, {UINT64_MAX - 2 + 1, UINT64_MAX - 1}},
};

/* A wrong range sends bytes that the client glues into a broken file. */
START_TEST(range_is_exact_or_ignored)
{
    struct brim_range range = {7, 7};
    enum brim_range_verdict verdict =
        brim_range_parse(brim_str_of(ranges[_i].value), ranges[_i].length, &range);

    ck_assert_msg(verdict == ranges[_i].verdict, "%s: %d", ranges[_i].value, (int)verdict);
    ck_assert_uint_eq(range.first, ranges[_i].range.first);
    ck_assert_uint_eq(range.last, ranges[_i].range.last);
}
END_TEST

static const struct {
    const char *value;
    bool valid;
    struct brim_range range;
    uint64_t length;
} contents[] = {
    /* RFC 9110 14.4, the examples */
    {"bytes 42-1233/1234", true, {42, 1233}, 1234},
    {"bytes 42-1233/*", true, {42, 1233}, UINT64_MAX},
    {"bytes */1234", false, {0, 0}, 0}, /* that of a 416 */
    {"bytes 0-0/1", true, {0, 0}, 1},
    {"BYTES 0-0/1", true, {0, 0}, 1},
    {"bytes 4-9/10", true, {4, 9}, 10},
    {"bytes 4-10/10", false, {0, 0}, 0}, /* 14.4: last-pos is less than complete-length */
    {"bytes 5-4/10", false, {0, 0}, 0},
    {"bytes 0-0/0", false, {0, 0}, 0},
    {"bytes 0-1", false, {0, 0}, 0},
    {"bytes 0-1/", false, {0, 0}, 0},
    {"bytes 0-/10", false, {0, 0}, 0},
    {"bytes -1/10", false, {0, 0}, 0},
    {"bytes=0-1/10", false, {0, 0}, 0},
    {"bytes  0-1/10", false, {0, 0}, 0},
    {"bytes 0-1/10 ", false, {0, 0}, 0},
    {"bytes 0-1/10,", false, {0, 0}, 0},
    {"bytes 0-1/**", false, {0, 0}, 0},
    {"bytes 0-1/x", false, {0, 0}, 0},
    {"items 0-1/10", false, {0, 0}, 0},
    {"", false, {0, 0}, 0},
    {"bytes 0-99999999999999999999/*", false, {0, 0}, 0},
    {"bytes 0-1/18446744073709551615", false, {0, 0}, 0},
    {"bytes 0-1/99999999999999999999", false, {0, 0}, 0},
    {"bytes 0-1/18446744073709551614", true, {0, 1}, UINT64_MAX - 1},
};

/* A part that does not say truly where it belongs must not be put anywhere. */
START_TEST(content_range_is_exact_or_refused)
{
    struct brim_range range = {7, 7};
    uint64_t length = 7;

    ck_assert_msg(brim_content_range_parse(brim_str_of(contents[_i].value), &range, &length) ==
                      contents[_i].valid,
                  "%s", contents[_i].value);
    ck_assert_uint_eq(range.first, contents[_i].range.first);
    ck_assert_uint_eq(range.last, contents[_i].range.last);
    ck_assert_uint_eq(length, contents[_i].length);
}
END_TEST

/* Whatever comes in, a range that goes out lies inside the body. */
START_TEST(random_ranges_stay_inside)
{
    static const char alphabet[] = "0123456789-,= bytes";
    unsigned seed = 1;

    for (int i = 0; i < 200000; i++) {
        char value[24] = "bytes=";
        struct brim_range range;
        for (size_t at = 6; at < sizeof(value); at++)
            value[at] = alphabet[(unsigned)rand_r(&seed) % (sizeof(alphabet) - 1)];
        size_t len = 6 + (unsigned)rand_r(&seed) % 12;
        uint64_t length = (unsigned)rand_r(&seed) % 20;
        if (brim_range_parse(brim_str(value, len), length, &range) == ONE) {
            ck_assert_uint_le(range.first, range.last);
            ck_assert_uint_lt(range.last, length);
        }
    }
}
END_TEST

/* A range is read before anybody knows the length, and resolved by it later. */
START_TEST(spec_says_what_was_asked)
{
    struct brim_range_spec spec;
    struct brim_range range;

    ck_assert(brim_range_spec_parse(BRIM_STR("bytes=5-"), &spec));
    ck_assert(!spec.is_suffix);
    ck_assert_uint_eq(spec.first, 5);
    ck_assert_uint_eq(spec.last, UINT64_MAX);
    ck_assert_int_eq(brim_range_resolve(&spec, 10, &range), ONE);
    ck_assert_uint_eq(range.last, 9);
    ck_assert_int_eq(brim_range_resolve(&spec, 5, &range), BAD);
    ck_assert(brim_range_spec_parse(BRIM_STR("bytes=-7"), &spec));
    ck_assert(spec.is_suffix);
    ck_assert_uint_eq(spec.first, 7);
    ck_assert(!brim_range_spec_parse(BRIM_STR("bytes=0-1,3-4"), &spec));
    ck_assert(!brim_range_spec_parse(BRIM_STR("lines=0-1"), &spec));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_range");
    TCase *tcase = tcase_create("range");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, range_is_exact_or_ignored, 0, sizeof(ranges) / sizeof(ranges[0]));
    tcase_add_loop_test(tcase, content_range_is_exact_or_refused, 0,
                        sizeof(contents) / sizeof(contents[0]));
    tcase_add_test(tcase, spec_says_what_was_asked);
    tcase_add_test(tcase, random_ranges_stay_inside);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
