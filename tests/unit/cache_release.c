/* SPDX-License-Identifier: MIT */
/* Two caches over one disk tier, as there are while a node takes over from another. */
#include "brim/cache/cache.h"

#include "bodies.h"
#include "fake_disk.h"

enum { KIB = 1024, MIB = 1024 * KIB };

static struct brim_purge_mail mail;
static struct brim_pool *pool;
static struct brim_cache *old, *new;
static struct bell bell;

static struct brim_cache *open_cache(void)
{
    struct brim_cache_config config = {
        .path = "fake",
        .disk_bytes = 1 << 30,
        .segment_bytes = 1 << 20,
        .memory_bytes = 8 * MIB,
        .memory_object_bytes = 256 * KIB,
        .object_bytes_max = 3 * MIB,
        .window_bytes = 128 * KIB,
        .write_queue_max = 16,
        .purge_epochs_max = 1000,
        .pool = pool,
        .mail = &mail,
    };
    struct brim_cache *cache;

    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
    return cache;
}

static enum brim_found ask(struct brim_cache *cache, const char *url)
{
    struct brim_find find = {.primary = key_of(url), .port = &bell.port};
    enum brim_found found;

    while ((found = brim_cache_find(cache, &find)) == BRIM_FOUND_WAIT)
        bell_wait(&bell);
    brim_object_unref(find.object);
    brim_find_fini(&find);
    return found;
}

static bool is_there(struct brim_cache *cache, const char *url)
{
    return ask(cache, url) == BRIM_FOUND_OBJECT;
}

static void store(struct brim_cache *cache, const char *url)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = key_of(url),
                                    .seq = brim_cache_seq(cache),
                                    .fresh = {.lifetime_ms = 60000}};
    struct brim_fill *fill;

    ck_assert_int_eq(
        brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0}, 3, NULL, &fill),
        BRIM_OK);
    ck_assert_int_eq(brim_fill_append(fill, "abc", 3), BRIM_OK);
    brim_fill_finish(fill);
}

/* /1 and /2 are stored; the old one lets go, the new one opens. */
static void setup(void)
{
    struct brim_pool_limits limits = {.threads = 2, .queue_max = 4096};

    bell_init(&bell);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    old = open_cache();
    store(old, "http://a/1");
    store(old, "http://a/2");
    brim_pool_wait_idle(pool);
    brim_cache_release(old);
    new = open_cache();
}

static void teardown(void)
{
    brim_pool_close(pool);
    brim_cache_close(new);
    brim_cache_close(old);
    bell_fini(&bell);
    fake_wipe();
}

START_TEST(both_serve_what_is_stored)
{
    ck_assert(is_there(old, "http://a/1") && is_there(new, "http://a/1"));
    ck_assert_int_eq(ask(old, "http://a/3"), BRIM_FOUND_NONE);
}
END_TEST

/* A POST that was under way: it takes out what the other one may have, whatever this one has. */
START_TEST(what_the_old_one_purges_is_purged_in_the_new_one)
{
    struct brim_key one = key_of("http://a/1"), three = key_of("http://a/3");
    uint64_t scope;

    ck_assert(brim_cache_has(old, &one) && brim_cache_has(old, &three));
    brim_cache_invalidate(old, &one);
    ck_assert(!is_there(new, "http://a/1") && is_there(new, "http://a/2"));
    scope = brim_purge_scope_url(BRIM_STR("http://a/2"));
    ck_assert_int_eq(brim_cache_purge(old, &scope, 1, BRIM_PURGE_HARD), BRIM_OK);
    ck_assert(!is_there(new, "http://a/2"));
    store(new, "http://a/1"); /* mail is read once */
    ck_assert(is_there(new, "http://a/1"));
}
END_TEST

/* There is no room for texts: what begins as the pattern does, and nothing else. */
START_TEST(a_pattern_reaches_as_far_as_its_first_wildcard)
{
    const struct brim_str pattern = BRIM_STR("http://a/1/*.png");
    const struct brim_purge_set set = {.patterns = &pattern, .pattern_count = 1};

    store(new, "http://a/1/x.png");
    store(new, "http://a/1/x.gif");
    ck_assert_int_eq(brim_cache_purge_set(old, &set, BRIM_PURGE_HARD), BRIM_OK);
    ck_assert(!is_there(new, "http://a/1/x.png") && !is_there(new, "http://a/1/x.gif"));
    ck_assert(is_there(new, "http://a/1") && is_there(new, "http://a/2"));
}
END_TEST

/* Too much to be told one by one is everything. */
START_TEST(a_flood_of_purges_purges_all)
{
    struct brim_key key = key_of("http://a/3");

    ck_assert(is_there(new, "http://a/2"));
    for (unsigned i = 0; i <= BRIM_PURGE_MAIL_ROOM; i++)
        brim_cache_invalidate(old, &key);
    ck_assert(!is_there(new, "http://a/2"));
    store(new, "http://a/2");
    ck_assert(is_there(new, "http://a/2"));
}
END_TEST

/* It is not told what was purged over there, so it looks nothing up any more. */
START_TEST(the_old_one_passes_once_there_was_a_purge)
{
    uint64_t scope = brim_purge_scope_url(BRIM_STR("http://a/9"));

    ck_assert(is_there(old, "http://a/1"));
    ck_assert_int_eq(brim_cache_purge(new, &scope, 1, BRIM_PURGE_SOFT), BRIM_OK);
    ck_assert_int_eq(ask(old, "http://a/1"), BRIM_FOUND_PASS);
    ck_assert(is_there(new, "http://a/1"));
}
END_TEST

/* The new one dies before it has read it: the next one does. */
START_TEST(mail_outlives_who_should_have_read_it)
{
    struct brim_key one = key_of("http://a/1");

    brim_pool_wait_idle(pool);
    brim_cache_close(new);
    brim_cache_invalidate(old, &one);
    new = open_cache();
    ck_assert(!is_there(new, "http://a/1") && is_there(new, "http://a/2"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_release");
    TCase *tc = tcase_create("release");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, both_serve_what_is_stored);
    tcase_add_test(tc, what_the_old_one_purges_is_purged_in_the_new_one);
    tcase_add_test(tc, a_pattern_reaches_as_far_as_its_first_wildcard);
    tcase_add_test(tc, a_flood_of_purges_purges_all);
    tcase_add_test(tc, the_old_one_passes_once_there_was_a_purge);
    tcase_add_test(tc, mail_outlives_who_should_have_read_it);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
