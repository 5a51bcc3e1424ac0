/* SPDX-License-Identifier: MIT */
#include "brim/cache/purge.h"

#include <sched.h>

#include "bodies.h"

static struct brim_purge *purge;

static void setup(void)
{
    ck_assert_int_eq(brim_purge_open(1000, &purge), BRIM_OK);
}

static void teardown(void)
{
    brim_purge_close(purge);
}

static struct brim_object *object_now(const char *url)
{
    return make_object(url, 1, brim_purge_seq(purge));
}

static struct brim_purge_epoch put_url(const char *url, enum brim_purge_kind kind)
{
    struct brim_purge_epoch epoch;

    brim_purge_put(purge, brim_purge_scope_url(brim_str_of(url)), kind, &epoch);
    return epoch;
}

static void expect(struct brim_object *object, enum brim_purge_state state)
{
    ck_assert_int_eq(brim_purge_check(purge, object), state);
    ck_assert_int_eq(brim_purge_check(purge, object), state); /* what is remembered says the same */
}

/* The point of it: gone, and only that one. */
START_TEST(url_purge_hits_that_url_only)
{
    struct brim_object *a = object_now("http://a/1"), *b = object_now("http://a/2");

    expect(a, BRIM_PURGE_ALIVE);
    put_url("http://a/1", BRIM_PURGE_HARD);
    expect(a, BRIM_PURGE_GONE);
    expect(b, BRIM_PURGE_ALIVE);
    brim_object_unref(a);
    brim_object_unref(b);
}
END_TEST

static void put(uint64_t scope)
{
    struct brim_purge_epoch epoch;

    brim_purge_put(purge, scope, BRIM_PURGE_HARD, &epoch);
}

/* A prefix ends anywhere in a URL, and hits the slices that stand behind it too. */
START_TEST(prefix_purge_hits_what_begins_so)
{
    static const struct {
        const char *prefix;
        const char *url;
        enum brim_purge_state state;
    } cases[] = {
        {"http://a/img/", "http://a/img/1.png", BRIM_PURGE_GONE},
        {"http://a/img/", "http://a/img/", BRIM_PURGE_GONE},
        {"http://a/img/", "http://a/img/1.png#00:7", BRIM_PURGE_GONE},
        {"http://a/im", "http://a/img/1.png", BRIM_PURGE_GONE},
        {"http://a/img/1.png", "http://a/img/1.png", BRIM_PURGE_GONE},
        {"http://a/img/", "http://a/img", BRIM_PURGE_ALIVE},
        {"http://a/img/", "http://a/imp/1.png", BRIM_PURGE_ALIVE},
        {"http://a/img/", "https://a/img/1.png", BRIM_PURGE_ALIVE},
        {"http://a/img/1.png#", "http://a/img/1.png#00:7", BRIM_PURGE_ALIVE}, /* no URL has # */
    };
    struct brim_object *object = object_now(cases[_i].url);

    put(brim_purge_scope_prefix(BRIM_STR("http://other/of/another/length")));
    put(brim_purge_scope_prefix(brim_str_of(cases[_i].prefix)));
    expect(object, cases[_i].state);
    brim_object_unref(object);
}
END_TEST

START_TEST(host_purge_hits_all_of_that_authority)
{
    struct brim_object *a = object_now("http://a/1"), *b = object_now("https://a/2?x=http://b/"),
                       *c = object_now("http://a:8080/1"), *d = object_now("http://b/a");

    put(brim_purge_scope_host(BRIM_STR("a")));
    expect(a, BRIM_PURGE_GONE);
    expect(b, BRIM_PURGE_GONE);
    expect(c, BRIM_PURGE_ALIVE);
    expect(d, BRIM_PURGE_ALIVE);
    brim_object_unref(a);
    brim_object_unref(b);
    brim_object_unref(c);
    brim_object_unref(d);
}
END_TEST

START_TEST(tag_purge_hits_what_carries_it)
{
    uint64_t tags[] = {brim_purge_scope_tag(BRIM_STR("one")),
                       brim_purge_scope_tag(BRIM_STR("two"))};
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_PASS,
                                    .key = key_of("http://a/1"),
                                    .primary = key_of("http://a/1"),
                                    .tags = tags,
                                    .tag_count = 2};
    struct brim_object *both, *none = object_now("http://a/2");

    ck_assert_int_eq(brim_object_new(&spec, &both), BRIM_OK);
    put(brim_purge_scope_tag(BRIM_STR("on")));
    put(brim_purge_scope_url(BRIM_STR("two")));
    put(brim_purge_scope_host(BRIM_STR("two")));
    put(brim_purge_scope_prefix(BRIM_STR("two")));
    expect(both, BRIM_PURGE_ALIVE);
    put(brim_purge_scope_tag(BRIM_STR("two")));
    expect(both, BRIM_PURGE_GONE);
    expect(none, BRIM_PURGE_ALIVE);
    brim_object_unref(both);
    brim_object_unref(none);
}
END_TEST

/* What a restart reads back is a number: a prefix's length must be in it. */
START_TEST(restored_prefix_is_in_force)
{
    struct brim_purge_epoch epoch;
    struct brim_object *object;

    brim_purge_put(purge, brim_purge_scope_prefix(BRIM_STR("http://a/i")), BRIM_PURGE_HARD, &epoch);
    object = make_object("http://a/img", 1, epoch.hard_seq - 1);
    brim_purge_close(purge);
    ck_assert_int_eq(brim_purge_open(1000, &purge), BRIM_OK);
    brim_purge_restore(purge, &epoch);
    expect(object, BRIM_PURGE_GONE);
    brim_object_unref(object);
}
END_TEST

/* All variants of a URL go with it: the scope is the primary key's. */
START_TEST(url_purge_hits_its_variants)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_PASS,
                                    .key = key_of("http://a/1\nx-kind:red"),
                                    .primary = key_of("http://a/1")};
    struct brim_object *variant;

    ck_assert_int_eq(brim_object_new(&spec, &variant), BRIM_OK);
    put_url("http://a/1", BRIM_PURGE_HARD);
    expect(variant, BRIM_PURGE_GONE);
    brim_object_unref(variant);
}
END_TEST

/* What is fetched after the purge is the new content. */
START_TEST(object_of_a_later_fill_is_alive)
{
    struct brim_object *late;

    put_url("http://a/1", BRIM_PURGE_HARD);
    late = object_now("http://a/1");
    expect(late, BRIM_PURGE_ALIVE);
    brim_object_unref(late);
}
END_TEST

/* Soft means stale; a hard purge after it wins, a soft one after a hard one does not revive. */
START_TEST(hard_outweighs_soft_in_any_order)
{
    struct brim_object *a = object_now("http://a/1"), *b = object_now("http://a/2");

    put_url("http://a/1", BRIM_PURGE_SOFT);
    expect(a, BRIM_PURGE_STALE);
    put_url("http://a/1", BRIM_PURGE_HARD);
    expect(a, BRIM_PURGE_GONE);
    put_url("http://a/2", BRIM_PURGE_HARD);
    put_url("http://a/2", BRIM_PURGE_SOFT);
    expect(b, BRIM_PURGE_GONE);
    brim_object_unref(a);
    brim_object_unref(b);
}
END_TEST

/* Everything means everything, of before. */
START_TEST(purge_of_everything_hits_all_before_it)
{
    struct brim_object *a = object_now("http://a/1"), *b;
    struct brim_purge_epoch epoch;

    brim_purge_put(purge, brim_purge_scope_all(), BRIM_PURGE_SOFT, &epoch);
    expect(a, BRIM_PURGE_STALE);
    brim_purge_put(purge, brim_purge_scope_all(), BRIM_PURGE_HARD, &epoch);
    expect(a, BRIM_PURGE_GONE);
    b = object_now("http://a/1");
    expect(b, BRIM_PURGE_ALIVE);
    brim_object_unref(a);
    brim_object_unref(b);
}
END_TEST

/* A restart must not bring anything back; the order in which the index lists epochs is its own. */
START_TEST(restored_epochs_are_in_force_in_any_order)
{
    struct brim_object *a = object_now("http://a/1"), *b = object_now("http://a/2");
    struct brim_purge_epoch one = put_url("http://a/1", BRIM_PURGE_HARD);
    struct brim_purge_epoch two = put_url("http://a/2", BRIM_PURGE_SOFT);
    uint64_t seq = brim_purge_seq(purge);

    for (int order = 0; order < 2; order++) {
        brim_purge_close(purge);
        ck_assert_int_eq(brim_purge_open(1000, &purge), BRIM_OK);
        brim_purge_restore(purge, order == 0 ? &one : &two);
        brim_purge_restore(purge, order == 0 ? &two : &one);
        ck_assert_uint_eq(brim_purge_seq(purge), seq);
        expect(a, BRIM_PURGE_GONE);
        expect(b, BRIM_PURGE_STALE);
    }
    brim_object_unref(a);
    brim_object_unref(b);
}
END_TEST

/* The text must not be the caller's any more: it comes from a map of the index. */
START_TEST(pattern_hits_what_is_like_it_also_after_a_restart)
{
    struct brim_object *jpg = object_now("http://a/img/x.jpg"),
                       *png = object_now("http://a/img/x.png");
    struct brim_object *part = object_now("http://a/img/y.jpg#slice");
    char text[] = "http://a/img/*.jpg";
    struct brim_purge_epoch epoch;

    brim_purge_put_pattern(purge, brim_str_of(text), BRIM_PURGE_HARD, &epoch);
    expect(jpg, BRIM_PURGE_GONE);
    expect(part, BRIM_PURGE_GONE);
    expect(png, BRIM_PURGE_ALIVE);
    brim_purge_close(purge);
    ck_assert_int_eq(brim_purge_open(1000, &purge), BRIM_OK);
    brim_purge_restore(purge, &epoch);
    memset(text, 'x', strlen(text));
    expect(part, BRIM_PURGE_GONE);
    expect(png, BRIM_PURGE_ALIVE);
    expect(jpg, BRIM_PURGE_GONE);
    brim_object_unref(jpg);
    brim_object_unref(png);
    brim_object_unref(part);
}
END_TEST

/* Each pattern costs a comparison, so they are few; what is too much becomes coarser, never less.
 */
START_TEST(the_oldest_of_too_many_patterns_becomes_its_prefix)
{
    struct brim_object *first = object_now("http://a/0/x.jpg"),
                       *beside = object_now("http://a/0/x.png");
    struct brim_object *last = object_now("http://a/300/x.png"), *late;
    struct brim_purge_epoch epoch;
    char text[64];

    for (unsigned i = 0; i <= BRIM_PURGE_PATTERNS_MAX; i++) {
        int len = snprintf(text, sizeof(text), "http://a/%u/*.jpg", i);

        expect(last, BRIM_PURGE_ALIVE);
        if (i == BRIM_PURGE_PATTERNS_MAX)
            expect(beside, BRIM_PURGE_ALIVE);
        brim_purge_put_pattern(purge, brim_str(text, (size_t)len), BRIM_PURGE_HARD, &epoch);
    }
    expect(first, BRIM_PURGE_GONE);
    expect(beside, BRIM_PURGE_GONE);
    late = object_now("http://a/0/x.png");
    expect(late, BRIM_PURGE_ALIVE);
    brim_object_unref(first);
    brim_object_unref(beside);
    brim_object_unref(last);
    brim_object_unref(late);
}
END_TEST

/* An index tells its epochs in the order of their scopes. Were any but the oldest made coarser, a
 * start would purge half a cache that a stop had left alone. */
START_TEST(a_restart_makes_the_same_patterns_coarser)
{
    struct brim_purge_epoch epochs[BRIM_PURGE_PATTERNS_MAX + 1];
    char texts[BRIM_PURGE_PATTERNS_MAX + 1][32];
    struct brim_object *after_first = NULL, *beside;
    struct brim_purge *again;

    for (unsigned i = 0; i <= BRIM_PURGE_PATTERNS_MAX; i++) {
        int len = snprintf(texts[i], sizeof(texts[i]), "http://a/*/%u", i);

        brim_purge_put_pattern(purge, brim_str(texts[i], (size_t)len), BRIM_PURGE_HARD, &epochs[i]);
        if (i == 0)
            after_first = object_now("http://a/x");
    }
    beside = object_now("http://a/x");
    beside->seq = 0;
    beside->checked_seq = 0;
    expect(after_first, BRIM_PURGE_ALIVE);
    expect(beside, BRIM_PURGE_GONE); /* by the prefix of the first */
    ck_assert_int_eq(brim_purge_open(1000, &again), BRIM_OK);
    for (unsigned i = BRIM_PURGE_PATTERNS_MAX + 1; i-- > 0;) /* the newest first */
        brim_purge_restore(again, &epochs[i]);
    after_first->checked_seq = 0;
    ck_assert_int_eq(brim_purge_check(again, after_first), BRIM_PURGE_ALIVE);
    ck_assert_int_eq(brim_purge_check(again, beside), BRIM_PURGE_GONE);
    brim_purge_close(again);
    brim_object_unref(after_first);
    brim_object_unref(beside);
}
END_TEST

static void note_scope(const char *scope, const struct brim_purge_epoch *epoch, void *ctx)
{
    char *told = ctx;

    if (epoch->hard_seq + epoch->soft_seq > 0)
        (void)snprintf(told + strlen(told), 100 - strlen(told), "%s ", scope);
}

/* Who asks why something is gone is told every reason. */
START_TEST(each_epoch_of_an_object_is_told)
{
    struct brim_object *a = object_now("http://a/1");
    struct brim_purge_epoch epoch;
    char told[100] = "";

    put_url("http://a/1", BRIM_PURGE_SOFT);
    put_url("http://a/2", BRIM_PURGE_HARD);
    put(brim_purge_scope_host(BRIM_STR("a")));
    put(brim_purge_scope_prefix(BRIM_STR("http://")));
    brim_purge_put_pattern(purge, BRIM_STR("http://a/*"), BRIM_PURGE_HARD, &epoch);
    brim_purge_each(purge, a, note_scope, told);
    ck_assert_str_eq(told, "url host prefix pattern ");
    ck_assert(brim_purge_names(purge, a));
    brim_object_unref(a);
}
END_TEST

/* A crash may lose the newest epochs. Numbers they had must not be given out again. */
START_TEST(reservation_moves_the_sequence_and_purges_nothing)
{
    struct brim_purge_epoch reserved = {.scope = brim_purge_scope_reserved(), .hard_seq = 5000};
    struct brim_object *a = make_object("http://a/1", 1, 4999);

    expect(a, BRIM_PURGE_GONE); /* from beyond: its purges are unknown here */
    brim_purge_restore(purge, &reserved);
    ck_assert_uint_eq(brim_purge_seq(purge), 5000);
    expect(a, BRIM_PURGE_ALIVE);
    put_url("http://a/1", BRIM_PURGE_HARD);
    expect(a, BRIM_PURGE_GONE);
    brim_object_unref(a);
}
END_TEST

/* The table is bounded; what it forgets it forgets towards "purged". */
START_TEST(collapse_purges_too_much_and_never_too_little)
{
    enum { COUNT = 5000 };
    static struct brim_object *objects[COUNT];
    char url[64];
    struct brim_purge_epoch all;
    struct brim_object *late, *bystander = object_now("http://b/");
    unsigned alive = 0;

    for (int i = 0; i < COUNT; i++) {
        snprintf(url, sizeof(url), "http://a/%d", i);
        objects[i] = object_now(url);
        put_url(url, BRIM_PURGE_HARD);
    }
    for (int i = 0; i < COUNT; i++)
        expect(objects[i], BRIM_PURGE_GONE);
    expect(bystander, BRIM_PURGE_GONE); /* older than the oldest half */
    brim_purge_read_all(purge, &all);
    ck_assert_uint_gt(all.hard_seq, COUNT - 1100);
    late = object_now("http://b/");
    expect(late, BRIM_PURGE_ALIVE);
    for (int i = 0; i < COUNT; i++) {
        snprintf(url, sizeof(url), "http://c/%d", i);
        brim_object_unref(objects[i]);
        objects[i] = object_now(url);
        alive += brim_purge_check(purge, objects[i]) == BRIM_PURGE_ALIVE;
        brim_object_unref(objects[i]);
    }
    ck_assert_uint_eq(alive, COUNT);
    brim_object_unref(late);
    brim_object_unref(bystander);
}
END_TEST

/* ---- race ---- */

static struct {
    struct brim_object *object;
    _Atomic uint64_t purged; /* highest round whose purge has returned */
    _Atomic bool stop;
} race;

static void *check_for_ever(void *ctx)
{
    (void)ctx;
    while (!race.stop) {
        uint64_t purged = race.purged;

        if (purged == 0)
            continue;
        /* the purge returned before this check began */
        ck_assert_int_eq(brim_purge_check(purge, race.object), BRIM_PURGE_GONE);
    }
    return NULL;
}

static void *check_others_for_ever(void *ctx)
{
    uint64_t *seed = ctx;

    while (!race.stop) {
        char url[32];
        struct brim_object *other;

        snprintf(url, sizeof(url), "http://x/%u", random_of(seed) % 100);
        other = object_now(url);
        sched_yield();
        (void)brim_purge_check(purge, other);
        brim_object_unref(other);
    }
    return NULL;
}

/* Other purges and checks at the same time must not make a purged object look alive. */
START_TEST(purge_that_returned_is_seen_by_every_thread)
{
    uint64_t seeds[2] = {1, 2};
    pthread_t threads[4];

    race.object = object_now("http://a/1");
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, check_for_ever, NULL), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[2 + i], NULL, check_others_for_ever, &seeds[i]),
                         0);
    for (int i = 0; i < 20; i++)
        (void)brim_purge_check(purge, race.object);
    put_url("http://a/1", BRIM_PURGE_HARD);
    race.purged = 1;
    for (int i = 0; i < 3000; i++) {
        char url[32];

        snprintf(url, sizeof(url), "http://x/%d", i % 100);
        put_url(url, i % 2 == 0 ? BRIM_PURGE_HARD : BRIM_PURGE_SOFT);
        if (i % 64 == 0)
            sched_yield();
    }
    race.stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    brim_object_unref(race.object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/purge");
    TCase *tc = tcase_create("purge");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, url_purge_hits_that_url_only);
    tcase_add_test(tc, url_purge_hits_its_variants);
    tcase_add_loop_test(tc, prefix_purge_hits_what_begins_so, 0, 9);
    tcase_add_test(tc, host_purge_hits_all_of_that_authority);
    tcase_add_test(tc, tag_purge_hits_what_carries_it);
    tcase_add_test(tc, restored_prefix_is_in_force);
    tcase_add_test(tc, object_of_a_later_fill_is_alive);
    tcase_add_test(tc, hard_outweighs_soft_in_any_order);
    tcase_add_test(tc, purge_of_everything_hits_all_before_it);
    tcase_add_test(tc, restored_epochs_are_in_force_in_any_order);
    tcase_add_test(tc, pattern_hits_what_is_like_it_also_after_a_restart);
    tcase_add_test(tc, the_oldest_of_too_many_patterns_becomes_its_prefix);
    tcase_add_test(tc, a_restart_makes_the_same_patterns_coarser);
    tcase_add_test(tc, each_epoch_of_an_object_is_told);
    tcase_add_test(tc, reservation_moves_the_sequence_and_purges_nothing);
    tcase_add_test(tc, collapse_purges_too_much_and_never_too_little);
    tcase_add_test(tc, purge_that_returned_is_seen_by_every_thread);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
