/* SPDX-License-Identifier: MIT */
#include "brim/cache/slice.h"

#include "unit.h"

#define DATE_S 1000000000 /* Sun, 09 Sep 2001 01:46:40 GMT */

static struct brim_part read_part(const struct brim_field *items, size_t count, bool expected)
{
    struct brim_part part;

    ck_assert_int_eq(brim_part_read((struct brim_fields){items, count}, DATE_S, &part), expected);
    return part;
}

/* RFC 9110 14.4: what a 206 with one part must say to be kept. */
START_TEST(content_range_tells_the_part)
{
    struct brim_field good = {BRIM_STR("content-range"), BRIM_STR("bytes 10-19/25")};
    struct brim_field unknown = {BRIM_STR("content-range"), BRIM_STR("bytes 10-19/*")};
    struct brim_field largest = {BRIM_STR("content-range"),
                                 BRIM_STR("bytes 10-19/9223372036854775807")};
    struct brim_field too_large = {BRIM_STR("content-range"),
                                   BRIM_STR("bytes 10-19/9223372036854775808")};
    struct brim_field twice[] = {good, good};
    struct brim_field multipart = {BRIM_STR("content-type"),
                                   BRIM_STR("multipart/byteranges; boundary=x")};
    struct brim_part part = read_part(&good, 1, true);

    ck_assert_uint_eq(part.first, 10);
    ck_assert_uint_eq(part.last, 19);
    ck_assert_uint_eq(part.total, 25);
    ck_assert_uint_eq(part.version, 0);
    (void)read_part(&unknown, 1, false);
    (void)read_part(&largest, 1, true);
    (void)read_part(&too_large, 1, false);
    (void)read_part(twice, 2, false);
    (void)read_part(&multipart, 1, false);
}
END_TEST

/* RFC 9110 15.3.7.3: parts are combined if they share a strong validator, and only then. */
START_TEST(only_a_strong_validator_makes_a_version)
{
    struct brim_field range = {BRIM_STR("content-range"), BRIM_STR("bytes 0-9/25")};
    struct brim_field strong[] = {range, {BRIM_STR("etag"), BRIM_STR("\"a\"")}};
    struct brim_field other[] = {range, {BRIM_STR("etag"), BRIM_STR("\"b\"")}};
    struct brim_field weak[] = {range, {BRIM_STR("etag"), BRIM_STR("W/\"a\"")}};
    struct brim_field longer[] = {
        {BRIM_STR("content-range"), BRIM_STR("bytes 0-9/26")},
        {BRIM_STR("etag"), BRIM_STR("\"a\"")},
    };
    struct brim_field two[] = {strong[1], range, other[1]};
    uint64_t version = read_part(strong, 2, true).version;

    ck_assert_uint_ne(version, 0);
    ck_assert_uint_eq(read_part(strong, 2, true).version, version);
    ck_assert_uint_ne(read_part(other, 2, true).version, version);
    ck_assert_uint_ne(read_part(longer, 2, true).version, version);
    ck_assert_uint_eq(read_part(weak, 2, true).version, 0);
    ck_assert_uint_eq(read_part(two, 3, true).version, 0);
}
END_TEST

/* RFC 9110 8.8.2.2: Last-Modified is strong if the answer was made later than that second. */
START_TEST(last_modified_counts_if_it_is_old_enough)
{
    struct brim_field range = {BRIM_STR("content-range"), BRIM_STR("bytes 0-9/25")};
    struct brim_field old[] = {
        range, {BRIM_STR("last-modified"), BRIM_STR("Sun, 09 Sep 2001 01:46:39 GMT")}};
    struct brim_field fresh[] = {
        range, {BRIM_STR("last-modified"), BRIM_STR("Sun, 09 Sep 2001 01:46:40 GMT")}};
    struct brim_field junk[] = {range, {BRIM_STR("last-modified"), BRIM_STR("yesterday")}};

    ck_assert_uint_ne(read_part(old, 2, true).version, 0);
    ck_assert_uint_eq(read_part(fresh, 2, true).version, 0);
    ck_assert_uint_eq(read_part(junk, 2, true).version, 0);
}
END_TEST

/* No URL's key text holds '#': what stands behind it belongs to the URL and is purged with it. */
START_TEST(keys_stand_behind_the_url)
{
    struct brim_str url = BRIM_STR("http://a/b?c");
    struct brim_part part = {.version = 0xab};
    char head[64], slice[64];

    ck_assert(brim_str_is(brim_slice_head_key(url, head).text, BRIM_STR("http://a/b?c#")));
    ck_assert(brim_str_is(brim_slice_part_key(url, &part, 7, slice).text,
                          BRIM_STR("http://a/b?c#00000000000000ab:7")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/slice");
    TCase *tcase = tcase_create("slice");

    tcase_add_test(tcase, content_range_tells_the_part);
    tcase_add_test(tcase, only_a_strong_validator_makes_a_version);
    tcase_add_test(tcase, last_modified_counts_if_it_is_old_enough);
    tcase_add_test(tcase, keys_stand_behind_the_url);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
