/* SPDX-License-Identifier: MIT */
#include "brim/origin/outdate.h"

#include "http_fields.h"

#define NOW_MS 1000000000000

static const struct {
    const char *asked[FIELDS_MAX];   /* fields of the request that the 304 answers */
    const char *updated[FIELDS_MAX]; /* what the stored response has become by it */
    bool is_there;                   /* the old one, for others */
    bool no_cache;
    bool must_revalidate;
} rows[] = {
    {{"authorization: Basic YTph"},
     {"etag: \"a\"", "cache-control: max-age=9"},
     true,
     false,
     false},
    {{"authorization: Basic YTph"}, {"etag: \"a\"", "cache-control: no-cache"}, true, true, false},
    {{"authorization: Basic YTph"},
     {"etag: \"a\"", "cache-control: max-age=9, proxy-revalidate"},
     true,
     false,
     true},
    {{"authorization: Basic YTph"}, {"etag: \"a\"", "cache-control: private"}, false, false, false},
    {{"authorization: Basic YTph"},
     {"etag: \"a\"", "cache-control: no-store"},
     false,
     false,
     false},
};

static struct brim_object *make(const char *const *lines, int64_t lifetime_ms)
{
    struct fields room;
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = 200,
        .key = brim_key_of(BRIM_STR("http://a/")),
        .primary = brim_key_of(BRIM_STR("http://a/")),
        .fresh = {.response_wall_ms = NOW_MS, .date_wall_ms = NOW_MS, .lifetime_ms = lifetime_ms},
        .fields = fields_of(lines, &room),
        .body = brim_body_from("body", 4),
    };
    struct brim_object *object;

    ck_assert_int_eq(brim_object_new(&spec, &object), BRIM_OK);
    brim_body_unref(spec.body);
    return object;
}

/* One client's 304 says more about what others are given than its own request lets us store: what
 * is kept for them must not go on by rules that the origin has replaced (RFC 9111 4.3.4). */
START_TEST(what_cannot_be_stored_still_binds_what_is)
{
    static const char *const old[FIELDS_MAX] = {"etag: \"a\"", "cache-control: max-age=3600"};
    struct brim_cache_config config = {.memory_bytes = 1 << 20,
                                       .memory_object_bytes = 65536,
                                       .object_bytes_max = 65536,
                                       .window_bytes = 65536,
                                       .purge_epochs_max = 16};
    struct brim_find find = {.primary = brim_key_of(BRIM_STR("http://a/")), .now_wall_ms = NOW_MS};
    struct brim_cache_rules rules = {.default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};
    struct fields asked;
    struct brim_exchange exchange = {.method = BRIM_STR("GET"),
                                     .request = fields_of(rows[_i].asked, &asked),
                                     .status = 304,
                                     .request_wall_ms = NOW_MS,
                                     .response_wall_ms = NOW_MS};
    struct brim_object *stale = make(old, 3600000), *updated = make(rows[_i].updated, 9000);
    struct brim_answer_update update = {.stale = stale, .exchange = &exchange, .rules = &rules};
    struct brim_exchange judged = exchange;
    struct brim_cache *cache;

    judged.status = 200;
    judged.response = updated->fields;
    brim_freshness_compute(&judged, &rules, &updated->fresh);
    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
    brim_cache_put(cache, stale);
    brim_outdate_updated(cache, &update, updated);
    ck_assert_int_eq(brim_cache_find(cache, &find),
                     rows[_i].is_there ? BRIM_FOUND_OBJECT : BRIM_FOUND_NONE);
    if (rows[_i].is_there) {
        ck_assert_int_eq(find.object->fresh.lifetime_ms, 0);
        ck_assert_int_eq(find.object->fresh.no_cache, rows[_i].no_cache);
        ck_assert_int_eq(find.object->fresh.must_revalidate, rows[_i].must_revalidate);
        brim_object_unref(find.object);
    }
    brim_find_fini(&find);
    brim_cache_close(cache);
    brim_object_unref(stale);
    brim_object_unref(updated);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin_outdate");
    TCase *tcase = tcase_create("outdate");

    tcase_add_loop_test(tcase, what_cannot_be_stored_still_binds_what_is, 0,
                        (int)(sizeof(rows) / sizeof(rows[0])));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
