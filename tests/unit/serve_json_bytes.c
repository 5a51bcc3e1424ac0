/* SPDX-License-Identifier: MIT */
#include "brim/serve/json_bytes.h"

#include <jansson.h>

#include "unit.h"

static const struct {
    struct brim_str bytes;
    const char *json;
} cases[] = {
    {{"", 0}, "\"\""},
    {{"a\xc3\xa4", 3}, "\"a\xc3\xa4\""},
    {{"a\0b", 3}, "\"a\\u0000b\""},
    {{"\xff", 1}, "{\"base64\": \"/w==\"}"},
    {{"a\0\xff", 3}, "{\"base64\": \"YQD/\"}"},
};

/* Named stores hold any bytes: what is told of them says which, and is JSON for every reader. */
START_TEST(bytes_are_a_string_or_base64)
{
    json_t *json = brim_json_bytes(cases[_i].bytes);
    char *text = json_dumps(json, JSON_ENCODE_ANY);

    ck_assert_str_eq(text, cases[_i].json);
    free(text);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_json_bytes");
    TCase *tcase = tcase_create("json_bytes");

    tcase_add_loop_test(tcase, bytes_are_a_string_or_base64, 0, sizeof(cases) / sizeof(cases[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
