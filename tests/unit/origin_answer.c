/* SPDX-License-Identifier: MIT */
#include "brim/origin/answer.h"

#include "http_fields.h"

/* A cookie of one client in a stored response is handed to every other; all lines of it must go. */
START_TEST(strip_leaves_no_set_cookie_and_nothing_else_out)
{
    static const char *const lines[FIELDS_MAX] = {
        "set-cookie: a=1", "etag: x", "set-cookie: b=2", "cookie: c=3", "x-set-cookie: d",
        "set-cookie: e=4", NULL};
    struct brim_cache_rules rules = {.set_cookie = BRIM_SET_COOKIE_STRIP};
    struct fields storage;
    struct brim_fields all = fields_of(lines, &storage);
    struct brim_fields kept = brim_answer_stored_fields(storage.items, all.count, &rules);

    ck_assert_uint_eq(kept.count, 3);
    ck_assert_ptr_null(brim_fields_find(kept, BRIM_STR("set-cookie")));
    ck_assert_ptr_nonnull(brim_fields_find(kept, BRIM_STR("etag")));
    ck_assert_ptr_nonnull(brim_fields_find(kept, BRIM_STR("cookie")));
    ck_assert_ptr_nonnull(brim_fields_find(kept, BRIM_STR("x-set-cookie")));
}
END_TEST

/* Stored as it is means every line, in its order. */
START_TEST(store_and_refuse_keep_every_line)
{
    static const enum brim_set_cookie others[] = {BRIM_SET_COOKIE_REFUSE, BRIM_SET_COOKIE_STORE};
    static const char *const lines[FIELDS_MAX] = {"set-cookie: a=1", "etag: x", "set-cookie: b=2",
                                                  NULL};

    for (size_t i = 0; i < 2; i++) {
        struct brim_cache_rules rules = {.set_cookie = others[i]};
        struct fields storage;
        struct brim_fields all = fields_of(lines, &storage);
        struct brim_fields kept = brim_answer_stored_fields(storage.items, all.count, &rules);

        ck_assert_uint_eq(kept.count, 3);
        ck_assert(brim_str_is(kept.items[2].value, BRIM_STR("b=2")));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin_answer");
    TCase *tcase = tcase_create("answer");

    tcase_add_test(tcase, strip_leaves_no_set_cookie_and_nothing_else_out);
    tcase_add_test(tcase, store_and_refuse_keep_every_line);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
