/* SPDX-License-Identifier: MIT */
#include "brim/base/utf8.h"

#include <stdbool.h>
#include <stdint.h>

#include "unit.h"

static const struct {
    const char *text;
    size_t length;
} texts[] = {
    {"a", 1},
    {"a\xff", 1},
    {"\x7f", 1},
    {"\x80", 0},
    {"\xbf", 0},
    {"\xc1\xbf", 0}, /* overlong */
    {"\xc2\x80", 2},
    {"\xc3\xa9t", 2},
    {"\xc3", 0},
    {"\xc3t", 0},
    {"\xe0\x9f\xbf", 0}, /* overlong */
    {"\xe0\xa0\x80", 3},
    {"\xe2\x82\xac", 3},
    {"\xe2\x82", 0},
    {"\xed\x9f\xbf", 3},
    {"\xed\xa0\x80", 0}, /* a surrogate */
    {"\xef\xbf\xbf", 3},
    {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
    {"\xf0\x9f\x98\x80", 4},
    {"\xf4\x8f\xbf\xbf", 4},
    {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", 0},
    {"\xff", 0},
};

/* What is none, and is taken for one, makes JSON that no reader takes. */
START_TEST(the_length_of_a_character_is_told)
{
    struct brim_str text = brim_str_of(texts[_i].text);

    ck_assert_uint_eq(brim_utf8_length(text), texts[_i].length);
}
END_TEST

static struct brim_str encode(uint32_t point, char room[4])
{
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = length; i > 1; i--, point >>= 6)
        room[i - 1] = (char)(0x80 | (point & 0x3f));
    room[0] = (char)(leads[length] | point);
    return brim_str(room, length);
}

START_TEST(every_character_of_unicode_is_known)
{
    char room[4];

    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        struct brim_str text = encode(point, room);
        bool is_surrogate = point >= 0xd800 && point <= 0xdfff;

        if (brim_utf8_length(text) != (is_surrogate ? 0 : text.len))
            ck_abort_msg("U+%04X", point);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/utf8");
    TCase *tcase = tcase_create("utf8");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_length_of_a_character_is_told, 0,
                        (int)(sizeof(texts) / sizeof(texts[0])));
    tcase_add_test(tcase, every_character_of_unicode_is_known);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
