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

int main(void)
{
    Suite *suite = suite_create("base_base64url");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, bytes_go_there_and_back, 0, (int)(sizeof(pairs) / sizeof(pairs[0])));
    tcase_add_test(tcase, another_way_to_write_it_is_refused);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
