/* SPDX-License-Identifier: MIT */
#include "brim/cache/dictionaries.h"

#include "brim/base/sha256.h"

#include "unit.h"

enum { BODY_BYTES = 32 * 1024, LARGEST = 64 * 1024 };

static struct brim_pool *pool;
static struct brim_cache *cache;
static struct brim_dictionaries *dictionaries;
static char old[LARGEST + 1], new[LARGEST + 1];

static void setup(void)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 64};
    struct brim_cache_config config = {.memory_bytes = 8 << 20,
                                       .memory_object_bytes = 1 << 20,
                                       .object_bytes_max = 1 << 20,
                                       .window_bytes = 128 << 10,
                                       .write_queue_max = 16,
                                       .purge_epochs_max = 1000};
    unsigned seed = 5;

    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    config.pool = pool;
    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
    dictionaries = brim_dictionaries_open(&(struct brim_dictionaries_config){
        .cache = cache, .pool = pool, .object_bytes_max = LARGEST, .deltas_bytes_max = 1 << 20});
    for (size_t i = 0; i < sizeof(old); i++)
        old[i] = new[i] = (char)(rand_r(&seed) % 64 + ' ');
    memcpy(new + 1000, "changed", 7);
}

static void teardown(void)
{
    brim_dictionaries_stop(dictionaries);
    brim_pool_close(pool);
    brim_cache_close(cache);
    brim_dictionaries_close(dictionaries);
}

/* Stores a response, as a flight does, and lets the pool finish what that set off. */
static struct brim_object *store(const char *url, const char *bytes, size_t len,
                                 struct brim_fields fields)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = brim_key_of(brim_str_of(url)),
                                    .seq = brim_cache_seq(cache),
                                    .fresh = {.lifetime_ms = 60000},
                                    .fields = fields};
    struct brim_object *object;
    struct brim_fill *fill;

    ck_assert_int_eq(
        brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0}, len, NULL, &fill),
        BRIM_OK);
    object = brim_object_ref(brim_fill_object(fill));
    ck_assert_int_eq(brim_fill_append(fill, bytes, len), BRIM_OK);
    brim_fill_finish(fill);
    brim_pool_wait_idle(pool);
    return object;
}

static struct brim_dictionary_hash hash_of(const char *bytes, size_t len)
{
    struct brim_dictionary_hash hash;

    brim_sha256(bytes, len, hash.bytes);
    return hash;
}

/* Asks as a client does that has the bytes of `old`: at once, and when the pool is done. */
static struct brim_delta *ask_twice(struct brim_object *object)
{
    struct brim_dictionary_hash hash = hash_of(old, BODY_BYTES);

    ck_assert_ptr_null(brim_dictionaries_get(dictionaries, object, BRIM_DELTA_DCZ, &hash));
    brim_pool_wait_idle(pool);
    return brim_dictionaries_get(dictionaries, object, BRIM_DELTA_DCZ, &hash);
}

static const struct brim_field offer[] = {
    {BRIM_STR("use-as-dictionary"), BRIM_STR("match=\"/*\"")}};
static const struct brim_field narrow[] = {
    {BRIM_STR("use-as-dictionary"), BRIM_STR("match=\"/v1/*\"")}};
static const struct brim_field coded[] = {{BRIM_STR("use-as-dictionary"), BRIM_STR("match=\"/*\"")},
                                          {BRIM_STR("content-encoding"), BRIM_STR("gzip")}};
static const struct brim_field plain[] = {{BRIM_STR("etag"), BRIM_STR("\"x\"")}};
static const struct brim_field untouchable[] = {
    {BRIM_STR("cache-control"), BRIM_STR("max-age=9, no-transform")}};
#define FIELDS(items) ((struct brim_fields){items, sizeof(items) / sizeof((items)[0])})

/* The whole way: kept under its hash, and the next version made from it, though its URL is gone. */
START_TEST(what_was_offered_codes_the_next_version)
{
    struct brim_object *first = store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(offer));
    struct brim_object *second = store("https://a.example/v2/x", new, BODY_BYTES, FIELDS(plain));
    struct brim_delta *delta;

    brim_cache_forget(cache, &first->key, first);
    delta = ask_twice(second);
    ck_assert(delta != NULL && delta->body != NULL);
    ck_assert_uint_lt(brim_body_bytes(delta->body), 200);
    ck_assert(brim_str_is(delta->dictionary_url, BRIM_STR("https://a.example/v1/x")));
    brim_delta_unref(delta);
    brim_object_unref(first);
    brim_object_unref(second);
}
END_TEST

/* A purge of everything, as each release brings one: what has not changed comes again with the same
 * bytes, and the copy under their hash is as old as what was purged. */
START_TEST(what_is_offered_again_after_a_purge_codes_again)
{
    uint64_t all = brim_purge_scope_all();
    struct brim_object *second;
    struct brim_delta *delta;

    brim_object_unref(store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(offer)));
    ck_assert_int_eq(brim_cache_purge(cache, &all, 1, BRIM_PURGE_HARD), BRIM_OK);
    brim_object_unref(store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(offer)));
    second = store("https://a.example/v2/x", new, BODY_BYTES, FIELDS(plain));
    delta = ask_twice(second);
    ck_assert(delta != NULL && delta->body != NULL);
    brim_delta_unref(delta);
    brim_object_unref(second);
}
END_TEST

/* The copies stand below the origin, and so does the front page, which every second release purges.
 * A purge of all that is below it takes them, too. */
START_TEST(a_purge_of_the_front_page_leaves_the_dictionaries)
{
    struct brim_str page = BRIM_STR("https://a.example/");
    uint64_t scope = _i == 0 ? brim_purge_scope_url(page) : brim_purge_scope_prefix(page);
    struct brim_object *second;
    struct brim_delta *delta;

    brim_object_unref(store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(offer)));
    ck_assert_int_eq(brim_cache_purge(cache, &scope, 1, BRIM_PURGE_HARD), BRIM_OK);
    second = store("https://a.example/v2/x", new, BODY_BYTES, FIELDS(plain));
    delta = ask_twice(second);
    ck_assert_int_eq(delta != NULL && delta->body != NULL, _i == 0);
    brim_delta_unref(delta);
    brim_object_unref(second);
}
END_TEST

static const struct {
    const char *url;
    const struct brim_field *items;
    size_t count;
    size_t bytes;
    bool is_kept;
} offers[] = {
    {"https://a.example/v1/x", offer, 1, BODY_BYTES, true},
    {"https://a.example/v1/x", plain, 1, BODY_BYTES, false},
    {"https://a.example/v1/x", coded, 2, BODY_BYTES, false}, /* its bytes are not its content */
    {"http://a.example/v1/x", offer, 1, BODY_BYTES, false},  /* RFC 9842 8 */
    {"http://localhost/v1/x", offer, 1, BODY_BYTES, true},
    {"https://a.example/v1/x#0", offer, 1, BODY_BYTES, false}, /* a slice */
    {"https://a.example/v1/x", offer, 1, 100, false},
    {"https://a.example/v1/x", offer, 1, LARGEST, true},
    {"https://a.example/v1/x", offer, 1, LARGEST + 1, false},
};

/* Only what clients can have as a dictionary takes room. */
START_TEST(only_dictionaries_are_kept)
{
    struct brim_object *first = store(offers[_i].url, old, offers[_i].bytes,
                                      (struct brim_fields){offers[_i].items, offers[_i].count});
    struct brim_object *second = store(offers[_i].url, new, BODY_BYTES, FIELDS(plain));
    struct brim_dictionary_hash hash = hash_of(old, offers[_i].bytes);
    struct brim_delta *delta;

    ck_assert_ptr_null(brim_dictionaries_get(dictionaries, second, BRIM_DELTA_DCZ, &hash));
    brim_pool_wait_idle(pool);
    delta = brim_dictionaries_get(dictionaries, second, BRIM_DELTA_DCZ, &hash);
    ck_assert_msg((delta != NULL) == offers[_i].is_kept, "row %d", _i);
    brim_delta_unref(delta);
    brim_object_unref(first);
    brim_object_unref(second);
}
END_TEST

/* RFC 9842 2.2.2: nothing is coded for a URL that no client could name the dictionary for. */
START_TEST(a_pattern_that_does_not_match_costs_nothing)
{
    struct brim_object *first = store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(narrow));
    struct brim_object *second = store("https://a.example/v2/x", new, BODY_BYTES, FIELDS(plain));
    struct brim_delta *delta = ask_twice(second);

    ck_assert(delta != NULL && delta->body == NULL);
    brim_delta_unref(delta);
    brim_object_unref(first);
    brim_object_unref(second);
}
END_TEST

/* The same hash on another origin is not there: what one site stores says nothing about others. */
START_TEST(origins_do_not_share)
{
    struct brim_object *first = store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(offer));
    struct brim_object *second = store("https://b.example/v2/x", new, BODY_BYTES, FIELDS(plain));

    ck_assert_ptr_null(ask_twice(second));
    brim_object_unref(first);
    brim_object_unref(second);
}
END_TEST

/* A body with nothing in common is not worth a delta, and that is found out once. */
START_TEST(what_saves_nothing_is_remembered)
{
    struct brim_object *first = store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(offer));
    unsigned seed = 99;

    for (size_t i = 0; i < BODY_BYTES; i++)
        new[i] = (char)rand_r(&seed);
    struct brim_object *second = store("https://a.example/v2/x", new, BODY_BYTES, FIELDS(plain));
    struct brim_delta *delta = ask_twice(second);
    ck_assert(delta != NULL && delta->body == NULL);
    brim_delta_unref(delta);
    brim_object_unref(first);
    brim_object_unref(second);
}
END_TEST

/* RFC 9111 5.2.2.6, and what has a coding already. */
START_TEST(what_must_stay_as_it_is_is_not_codable)
{
    static const struct {
        struct brim_fields fields;
        size_t bytes;
        bool codable;
    } bodies[] = {{FIELDS(plain), BODY_BYTES, true},
                  {FIELDS(untouchable), BODY_BYTES, false},
                  {FIELDS(coded), BODY_BYTES, false},
                  {FIELDS(plain), 100, false}};

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct brim_object *object =
            store("https://a.example/x", new, bodies[i].bytes, bodies[i].fields);

        ck_assert_int_eq(brim_dictionaries_is_codable(dictionaries, object), bodies[i].codable);
        brim_object_unref(object);
    }
}
END_TEST

/* The node ends with work in the queue: it is let go, and nothing new is taken. */
START_TEST(nothing_is_begun_after_stop)
{
    struct brim_dictionary_hash hash = hash_of(old, BODY_BYTES);
    struct brim_object *first = store("https://a.example/v1/x", old, BODY_BYTES, FIELDS(offer));
    struct brim_object *second = store("https://a.example/v2/x", new, BODY_BYTES, FIELDS(plain));

    brim_dictionaries_stop(dictionaries);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_null(brim_dictionaries_get(dictionaries, second, BRIM_DELTA_DCZ, &hash));
        brim_pool_wait_idle(pool);
    }
    brim_object_unref(first);
    brim_object_unref(second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_dictionaries");
    TCase *tcase = tcase_create("dictionaries");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_offered_codes_the_next_version);
    tcase_add_test(tcase, what_is_offered_again_after_a_purge_codes_again);
    tcase_add_loop_test(tcase, a_purge_of_the_front_page_leaves_the_dictionaries, 0, 2);
    tcase_add_loop_test(tcase, only_dictionaries_are_kept, 0, sizeof(offers) / sizeof(offers[0]));
    tcase_add_test(tcase, a_pattern_that_does_not_match_costs_nothing);
    tcase_add_test(tcase, origins_do_not_share);
    tcase_add_test(tcase, what_saves_nothing_is_remembered);
    tcase_add_test(tcase, what_must_stay_as_it_is_is_not_codable);
    tcase_add_test(tcase, nothing_is_begun_after_stop);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
