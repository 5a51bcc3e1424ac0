/* SPDX-License-Identifier: MIT */
/*
 * Notes that an answer may not be stored: for how long they hold, for whom, and in whose place.
 */
#include "bodies.h"
#include "brim/cache/cache.h"
#include "brim/http/vary.h"

enum { BODY_BYTES = 10, NOTE_MS = 1000, NOW_MS = 5000 };

static const struct brim_fields no_fields = {NULL, 0};
static struct brim_cache *cache;

static void setup(void)
{
    struct brim_cache_config config = {.memory_bytes = 1024 * 1024,
                                       .memory_object_bytes = 128 * 1024,
                                       .object_bytes_max = 1024 * 1024,
                                       .window_bytes = 256 * 1024,
                                       .purge_epochs_max = 100};

    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
}

static void teardown(void)
{
    brim_cache_close(cache);
}

/* One exchange whose answer is stored. */
static void exchange(struct brim_fields request, struct brim_fields response)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = key_of("http://a/"),
                                    .seq = brim_cache_seq(cache),
                                    .fields = response};
    struct brim_fill *fill;

    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, request, BODY_BYTES, NULL, &fill),
                     BRIM_OK);
    ck_assert_int_eq(brim_fill_append(fill, "0123456789", BODY_BYTES), BRIM_OK);
    brim_fill_finish(fill);
}

/* object_out: counted; NULL: not wanted. */
static enum brim_found ask(struct brim_fields request, int64_t now_wall_ms,
                           struct brim_object **object_out)
{
    struct brim_find find = {
        .primary = key_of("http://a/"), .request = request, .now_wall_ms = now_wall_ms};
    enum brim_found found = brim_cache_find(cache, &find);

    brim_find_fini(&find);
    if (object_out != NULL)
        *object_out = find.object;
    else
        brim_object_unref(find.object);
    return found;
}

/* As after an exchange that was asked for by key; instead: what it was to replace. */
static void note(struct brim_key key, struct brim_fields request, struct brim_object *instead)
{
    struct brim_pass_note note = {.primary = key_of("http://a/"),
                                  .key = key,
                                  .request = request,
                                  .instead = instead,
                                  .ttl_ms = NOTE_MS,
                                  .now_wall_ms = NOW_MS};

    brim_cache_put_pass(cache, &note);
}

/* An uncacheable answer must not line up a crowd, and not for ever. */
START_TEST(a_note_holds_for_its_time)
{
    note(key_of("http://a/"), no_fields, NULL);
    ck_assert_int_eq(ask(no_fields, NOW_MS + NOTE_MS - 1, NULL), BRIM_FOUND_PASS);
    ck_assert_int_eq(ask(no_fields, NOW_MS + NOTE_MS, NULL), BRIM_FOUND_NONE);
    note(key_of("http://a/"), no_fields, NULL);
    exchange(no_fields, no_fields);
    ck_assert_int_eq(ask(no_fields, NOW_MS, NULL), BRIM_FOUND_OBJECT);
}
END_TEST

/* Made while the clock was a year ahead, it would hold for that year. */
START_TEST(a_note_ends_when_the_clock_was_set_back)
{
    note(key_of("http://a/"), no_fields, NULL);
    ck_assert_int_eq(ask(no_fields, NOW_MS - 1000, NULL), BRIM_FOUND_PASS);
    ck_assert_int_eq(ask(no_fields, NOW_MS - INT64_C(365) * 86400 * 1000, NULL), BRIM_FOUND_NONE);
}
END_TEST

/* What came while one was answered stays, for the others; what he was to replace does not. */
START_TEST(a_note_stands_in_nobodys_place)
{
    struct brim_object *stale;

    exchange(no_fields, no_fields);
    note(key_of("http://a/"), no_fields, NULL);
    ck_assert_int_eq(ask(no_fields, NOW_MS, &stale), BRIM_FOUND_OBJECT);
    note(key_of("http://a/"), no_fields, stale);
    brim_object_unref(stale);
    ck_assert_int_eq(ask(no_fields, NOW_MS, NULL), BRIM_FOUND_PASS);
}
END_TEST

/* An answer to a cookie, or to a part of the key, says nothing about who shows none, or another. */
START_TEST(a_note_concerns_those_who_ask_alike)
{
    static const struct brim_field first[] = {{BRIM_STR(BRIM_VARY_KEY), BRIM_STR("gold")},
                                              {BRIM_STR("cookie"), BRIM_STR("id=1")}};
    static const struct brim_field second[] = {{BRIM_STR(BRIM_VARY_KEY), BRIM_STR("gold")},
                                               {BRIM_STR("cookie"), BRIM_STR("id=2")}};
    static const struct brim_field silver[] = {{BRIM_STR(BRIM_VARY_KEY), BRIM_STR("silver")},
                                               {BRIM_STR("cookie"), BRIM_STR("id=1")}};

    note(key_of("http://a/"), (struct brim_fields){first, 2}, NULL);
    ck_assert_int_eq(ask((struct brim_fields){second, 2}, NOW_MS, NULL), BRIM_FOUND_PASS);
    ck_assert_int_eq(ask((struct brim_fields){silver, 2}, NOW_MS, NULL), BRIM_FOUND_NONE);
    ck_assert_int_eq(ask((struct brim_fields){first, 1}, NOW_MS, NULL), BRIM_FOUND_NONE);
}
END_TEST

/* Of a page that varies, the other variants are found as before. */
START_TEST(a_note_on_a_variant_is_of_that_variant)
{
    static const struct brim_field by_kind[] = {{BRIM_STR("vary"), BRIM_STR("x-kind")}};
    static const struct brim_field by_both[] = {{BRIM_STR("vary"), BRIM_STR("x-kind, cookie")}};
    static const struct brim_field a[] = {{BRIM_STR("x-kind"), BRIM_STR("a")},
                                          {BRIM_STR("cookie"), BRIM_STR("id=1")}};
    static const struct brim_field b[] = {{BRIM_STR("x-kind"), BRIM_STR("b")},
                                          {BRIM_STR("cookie"), BRIM_STR("id=1")}};
    struct brim_find find = {.primary = key_of("http://a/"), .request = {b, 2}};
    bool has_cookie = _i == 1; /* in Vary: who is told apart by it waits for nobody */

    exchange((struct brim_fields){a, 2}, (struct brim_fields){has_cookie ? by_both : by_kind, 1});
    ck_assert_int_eq(brim_cache_find(cache, &find), BRIM_FOUND_NONE);
    note(find.key, find.request, NULL);
    brim_find_fini(&find);
    ck_assert_int_eq(ask((struct brim_fields){a, 2}, NOW_MS, NULL), BRIM_FOUND_OBJECT);
    ck_assert_int_eq(ask((struct brim_fields){b, 2}, NOW_MS, NULL),
                     has_cookie ? BRIM_FOUND_NONE : BRIM_FOUND_PASS);
    exchange((struct brim_fields){b, 2}, (struct brim_fields){by_kind, 1});
    ck_assert_int_eq(ask((struct brim_fields){b, 2}, NOW_MS, NULL), BRIM_FOUND_OBJECT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/notes");
    TCase *tc = tcase_create("notes");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_note_holds_for_its_time);
    tcase_add_test(tc, a_note_ends_when_the_clock_was_set_back);
    tcase_add_test(tc, a_note_stands_in_nobodys_place);
    tcase_add_test(tc, a_note_concerns_those_who_ask_alike);
    tcase_add_loop_test(tc, a_note_on_a_variant_is_of_that_variant, 0, 2);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
