/* SPDX-License-Identifier: MIT */
#include "brim/base/base64url.h"

#include "unit.h"

/* RFC 4648 10, without padding, and the two characters of its own. */
static const struct {
    struct brim_str bytes;
    struct brim_str text;
} pairs[] = {
    {BRIM_STR(""), BRIM_STR("")},
    {BRIM_STR("f"), BRIM_STR("Zg")},
    {BRIM_STR("fo"), BRIM_STR("Zm8")},
    {BRIM_STR("foo"), BRIM_STR("Zm9v")},
    {BRIM_STR("foobar"), BRIM_STR("Zm9vYmFy")},
    {BRIM_STR("\xff\xef\xfe"), BRIM_STR("_-_-")},
};

START_TEST(bytes_go_there_and_back)
{
    char text[16], bytes[16];
    size_t len = BRIM_BASE64URL_LEN(pairs[_i].bytes.len);

    brim_base64url_write(pairs[_i].bytes.base, pairs[_i].bytes.len, text);
    ck_assert(brim_str_is(brim_str(text, len), pairs[_i].text));
    ck_assert(brim_base64url_read(pairs[_i].text, bytes, &len));
    ck_assert(brim_str_is(brim_str(bytes, len), pairs[_i].bytes));
}
END_TEST

/* Two texts for one run of bytes would be two tokens for one signature. */
START_TEST(another_way_to_write_it_is_refused)
{
    static const char *const bad[] = {"Zg==", "Zh", "Z", "Zm9", "Zm9v\n", "Zm+v", "Zm/v", " Zm9v"};
    char bytes[16];
    size_t len;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!brim_base64url_read(brim_str_of(bad[i]), bytes, &len), "%s", bad[i]);
}
END_TEST

/* RFC 4648 10. */
static const struct {
    struct brim_str bytes;
    struct brim_str text;
} padded[] = {
    {BRIM_STR(""), BRIM_STR("")},
    {BRIM_STR("f"), BRIM_STR("Zg==")},
    {BRIM_STR("fo"), BRIM_STR("Zm8=")},
    {BRIM_STR("foo"), BRIM_STR("Zm9v")},
    {BRIM_STR("\xff\xef\xfe"), BRIM_STR("/+/+")},
};

START_TEST(bytes_go_there_and_back_with_padding)
{
    char text[16], bytes[16];
    size_t len = BRIM_BASE64_LEN(padded[_i].bytes.len);

    brim_base64_write(padded[_i].bytes.base, padded[_i].bytes.len, text);
    ck_assert(brim_str_is(brim_str(text, len), padded[_i].text));
    ck_assert(brim_base64_read(padded[_i].text, bytes, &len));
    ck_assert(brim_str_is(brim_str(bytes, len), padded[_i].bytes));
}
END_TEST

START_TEST(padding_is_as_long_as_it_must_be)
{
    static const char *const bad[] = {"Zg",  "Zg=",  "Zh==", "Z===", "====",  "=",
                                      "Zm8", "Zm9=", "Z=9v", "_-_-", "Zm9v=", "Zm9v===="};
    char bytes[16];
    size_t len;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!brim_base64_read(brim_str_of(bad[i]), bytes, &len), "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_base64url");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, bytes_go_there_and_back, 0, (int)(sizeof(pairs) / sizeof(pairs[0])));
    tcase_add_test(tcase, another_way_to_write_it_is_refused);
    tcase_add_loop_test(tcase, bytes_go_there_and_back_with_padding, 0,
                        (int)(sizeof(padded) / sizeof(padded[0])));
    tcase_add_test(tcase, padding_is_as_long_as_it_must_be);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
