/* SPDX-License-Identifier: MIT */
#include "brim/origin/answer.h"

#include "brim/cache/purge.h"
#include "http_fields.h"

/* A cookie of one client in a stored response is handed to every other; all lines of it must go. */
START_TEST(strip_leaves_no_set_cookie_and_nothing_else_out)
{
    static const char *const lines[FIELDS_MAX] = {
        "set-cookie: a=1", "etag: x", "set-cookie: b=2", "cookie: c=3", "x-set-cookie: d",
        "set-cookie: e=4", NULL};
    struct brim_cache_rules rules = {.set_cookie = BRIM_SET_COOKIE_STRIP};
    struct fields storage[2];
    struct brim_fields all = fields_of(lines, &storage[0]);
    struct brim_fields response = fields_of(lines, &storage[1]);
    struct brim_fields kept =
        brim_answer_stored_fields(storage[0].items, all.count, response, &rules);

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
        struct fields storage[2];
        struct brim_fields all = fields_of(lines, &storage[0]);
        struct brim_fields response = fields_of(lines, &storage[1]);
        struct brim_fields kept =
            brim_answer_stored_fields(storage[0].items, all.count, response, &rules);

        ck_assert_uint_eq(kept.count, 3);
        ck_assert(brim_str_is(kept.items[2].value, BRIM_STR("b=2")));
    }
}
END_TEST

/* RFC 9111 5.2.2.4 and 5.2.2.7: a field that is one client's goes to no other; and no field goes
 * that says what the response is. */
START_TEST(listed_fields_are_not_stored)
{
    static const struct {
        const char *lines[FIELDS_MAX];
        size_t kept;
    } rows[] = {
        {{"cache-control: private=\"set-cookie, X-User\"", "set-cookie: a", "x-user: b", "x: c"},
         2},
        {{"cache-control: no-cache=\"x-user\"", "x-user: a", "x-user: b", "x: c"}, 2},
        {{"cache-control: private=x-user", "x-user: a", "x: c"}, 2}, /* token form */
        {{"cache-control: private=\"x-other\"", "x-user: a", "x: c"}, 3},
        {{"cache-control: private", "x-user: a", "x: c"}, 3},
        {{"cache-control: private=\"vary, x-user\"", "x-user: a", "vary: c"}, 3},
        {{"cache-control: max-age=1", "cdn-cache-control: private=\"x-user\"", "x-user: a"}, 2},
        {{"cache-control: private=\"x-user\"", "cdn-cache-control: max-age=1", "x-user: a"}, 3},
        {{"cdn-cache-control: private=\"cdn-cache-control\"", "x-user: a"}, 2},
    };
    static const struct brim_str names[] = {BRIM_STR("cdn-cache-control")};
    struct brim_cache_rules rules = {.targets = {names, 1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fields storage[2];
        struct brim_fields all = fields_of(rows[i].lines, &storage[0]);
        struct brim_fields response = fields_of(rows[i].lines, &storage[1]);
        struct brim_fields kept =
            brim_answer_stored_fields(storage[0].items, all.count, response, &rules);

        ck_assert_uint_eq(kept.count, rows[i].kept);
        ck_assert_int_eq(brim_cache_control_excludes_any(response, rules.targets),
                         kept.count < all.count);
    }
}
END_TEST

/* RFC 9842 2.1: brim offers what the config says, and leaves what the origin says alone. */
START_TEST(dictionaries_are_offered_where_the_origin_does_not)
{
    static const char *const without[FIELDS_MAX] = {"etag: x", NULL};
    static const char *const with[FIELDS_MAX] = {"use-as-dictionary: match=\"/o\"", NULL};
    struct brim_cache_rules rules = {.use_as_dictionary = BRIM_STR("match=\"/c\"")};
    struct brim_cache_rules none = {.use_as_dictionary = {NULL, 0}};
    struct fields storage;
    struct brim_fields got;

    (void)fields_of(without, &storage);
    got = brim_answer_with_dictionary(storage.items, 1, 200, &rules);
    ck_assert_uint_eq(got.count, 2);
    ck_assert(brim_str_is(got.items[1].name, BRIM_STR("use-as-dictionary")));
    ck_assert(brim_str_is(got.items[1].value, BRIM_STR("match=\"/c\"")));
    ck_assert_uint_eq(brim_answer_with_dictionary(storage.items, 1, 404, &rules).count, 1);
    ck_assert_uint_eq(brim_answer_with_dictionary(storage.items, 1, 200, &none).count, 1);
    (void)fields_of(with, &storage);
    ck_assert_uint_eq(brim_answer_with_dictionary(storage.items, 1, 200, &rules).count, 1);
}
END_TEST

static bool is_from_tier; /* the 304 */

/* What a 304 at wall second 2000000 makes of a response of second 1000000, which has a tag; counts
 * one reference. */
static struct brim_object *refreshed(const char *const *stored, const char *const *fresh,
                                     struct brim_object **own)
{
    struct brim_cache_rules rules = {.default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};
    struct fields before, after;
    struct brim_exchange exchange = {.method = BRIM_STR("GET"),
                                     .status = 304,
                                     .response = fields_of(fresh, &after),
                                     .request_wall_ms = 2000000000,
                                     .response_wall_ms = 2000000000};
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = 200,
        .key = brim_key_of(BRIM_STR("http://a/")),
        .primary = brim_key_of(BRIM_STR("http://a/")),
        .fields = fields_of(stored, &before),
        .body = brim_body_from("body", 4),
    };
    uint64_t tags[] = {brim_purge_scope_tag(BRIM_STR("old"))};
    struct brim_answer_update update = {
        .exchange = &exchange, .rules = &rules, .is_from_tier = is_from_tier};
    enum brim_store_verdict verdict;
    struct brim_object *object;

    spec.tags = tags;
    spec.tag_count = 1;
    ck_assert_int_eq(brim_object_new(&spec, &update.stale), BRIM_OK);
    ck_assert_int_eq(brim_answer_refresh(&update, &object, own, &verdict), BRIM_OK);
    ck_assert_int_eq(verdict, BRIM_STORE);
    brim_object_unref(update.stale);
    brim_body_unref(spec.body);
    return object;
}

/* RFC 9110 6.6.1: a message without Date is as old as its receipt. Counted from the old Date, what
 * was validated just now would be stale at once, for ever. */
START_TEST(a_304_without_date_is_of_now)
{
    static const char *const stored[FIELDS_MAX] = {
        "date: Mon, 12 Jan 1970 13:46:40 GMT", "cache-control: max-age=60", "etag: \"a\"", NULL};
    static const char *const fresh[FIELDS_MAX] = {"etag: \"a\"", NULL};
    struct brim_object *own, *object = refreshed(stored, fresh, &own);

    ck_assert_ptr_null(own);
    ck_assert_int_eq(brim_freshness_age_ms(&object->fresh, 2000000000), 0);
    ck_assert_ptr_null(brim_fields_find(object->fields, BRIM_STR("date")));
    brim_object_unref(object);
}
END_TEST

/* A field for the asker alone keeps neither the others from the rest of the 304, nor goes to them.
 */
START_TEST(what_a_304_has_for_all_is_stored_without_the_askers_fields)
{
    static const char *const stored[FIELDS_MAX] = {"cache-control: max-age=60", "etag: \"a\"",
                                                   NULL};
    static const char *const fresh[FIELDS_MAX] = {"cache-control: max-age=5, private=\"x-user\"",
                                                  "x-user: me", "etag: \"a\"", NULL};
    struct brim_object *own, *object = refreshed(stored, fresh, &own);

    ck_assert_ptr_nonnull(own);
    ck_assert_ptr_nonnull(brim_fields_find(own->fields, BRIM_STR("x-user")));
    ck_assert_ptr_null(brim_fields_find(object->fields, BRIM_STR("x-user")));
    ck_assert_int_eq(object->fresh.lifetime_ms, 5000);
    brim_object_unref(own);
    brim_object_unref(object);
}
END_TEST

/* A purge goes to shield and edge by the tags of now: by those of the day on which an edge first
 * had it, what a shield has revalidated ever since would be missed. */
START_TEST(a_shields_304_brings_its_tags)
{
    static const char *const stored[FIELDS_MAX] = {"cache-control: max-age=60", "etag: \"a\"",
                                                   NULL};
    static const struct {
        const char *fresh[FIELDS_MAX];
        bool is_from_tier;
        bool is_new;
    } rows[] = {
        {{"brim-tags: 00000000000000aa", "etag: \"a\""}, true, true},
        {{"etag: \"a\""}, true, false},
        {{"brim-tags: 00000000000000aa", "etag: \"a\""}, false, false}, /* an origin's word */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct brim_object *own, *object;

        is_from_tier = rows[i].is_from_tier;
        object = refreshed(stored, rows[i].fresh, &own);
        ck_assert_uint_eq(object->tag_count, 1);
        ck_assert_uint_eq(object->tags[0],
                          rows[i].is_new ? 0xaa : brim_purge_scope_tag(BRIM_STR("old")));
        brim_object_unref(object);
    }
    is_from_tier = false;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin_answer");
    TCase *tcase = tcase_create("answer");

    tcase_add_test(tcase, strip_leaves_no_set_cookie_and_nothing_else_out);
    tcase_add_test(tcase, store_and_refuse_keep_every_line);
    tcase_add_test(tcase, dictionaries_are_offered_where_the_origin_does_not);
    tcase_add_test(tcase, listed_fields_are_not_stored);
    tcase_add_test(tcase, a_304_without_date_is_of_now);
    tcase_add_test(tcase, what_a_304_has_for_all_is_stored_without_the_askers_fields);
    tcase_add_test(tcase, a_shields_304_brings_its_tags);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
