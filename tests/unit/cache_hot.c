/* SPDX-License-Identifier: MIT */
#include "brim/cache/hot.h"

#include "bodies.h"

static struct brim_hot *hot;

static void open_hot(uint64_t bytes, unsigned shards)
{
    ck_assert_int_eq(brim_hot_open(bytes, shards, &hot), BRIM_OK);
}

static const char *url_of(unsigned id)
{
    static _Thread_local char url[64];

    snprintf(url, sizeof(url), "http://a/%u", id);
    return url;
}

static void put(unsigned id, size_t len)
{
    struct brim_object *object = make_object(url_of(id), len, 0);

    brim_hot_put(hot, object);
    brim_object_unref(object);
}

/* Asks for id; returns whether it was there. */
static bool ask(unsigned id)
{
    struct brim_key key = key_of(url_of(id));
    struct brim_object *object = brim_hot_get(hot, &key);

    if (object == NULL)
        return false;
    ck_assert(brim_key_is(&object->key, &key));
    brim_object_unref(object);
    return true;
}

/* What is put is found, what was not is not. */
START_TEST(object_is_found_under_its_key)
{
    open_hot(1 << 20, 4);
    put(1, 100);
    ck_assert(ask(1));
    ck_assert(!ask(2));
    brim_hot_close(hot);
}
END_TEST

/* A constructed collision of digests is a miss. */
START_TEST(colliding_digest_with_another_text_is_a_miss)
{
    struct brim_key key = key_of(url_of(1));

    open_hot(1 << 20, 1);
    put(1, 100);
    key.text = BRIM_STR("http://evil/");
    ck_assert_ptr_null(brim_hot_get(hot, &key));
    brim_hot_close(hot);
}
END_TEST

/* A 304 or a refresh: the new object is the one that is found, and bytes are not counted twice. */
START_TEST(put_replaces_and_promote_yields)
{
    struct brim_object *old, *new, *got;
    struct brim_key key = key_of(url_of(1));
    uint64_t bytes;

    open_hot(1 << 20, 1);
    old = make_object(url_of(1), 1000, 0);
    new = make_object(url_of(1), 1000, 1);
    brim_hot_put(hot, old);
    bytes = brim_hot_bytes(hot);
    brim_hot_put(hot, new);
    ck_assert_uint_eq(brim_hot_bytes(hot), bytes);
    brim_hot_promote(hot, old); /* read from disk while the new one came */
    got = brim_hot_get(hot, &key);
    ck_assert_ptr_eq(got, new);
    brim_object_unref(got);
    brim_hot_drop(hot, &key, old);
    ck_assert(ask(1));
    brim_hot_drop(hot, &key, new);
    ck_assert(!ask(1));
    ck_assert_uint_eq(brim_hot_bytes(hot), 0);
    brim_object_unref(old);
    brim_object_unref(new);
    brim_hot_close(hot);
}
END_TEST

/* Two bodies that go to disk as they come may end in either order; who has seen the later is not
 * given the earlier. What is left of another run says nothing of the order. */
START_TEST(an_earlier_one_does_not_replace_a_later)
{
    static const struct {
        uint64_t there, put;
        bool is_kept;
    } rows[] = {
        {7, 8, true},          {7, 7, true},           {8, 7, false},
        {UINT64_MAX, 0, true}, {0, UINT64_MAX, false}, {UINT64_C(1) << 60, 7, true},
    };
    struct brim_object *there = make_object(url_of(1), 1000, 0);
    struct brim_object *object = make_object(url_of(1), 1000, 0), *got;
    struct brim_key key = key_of(url_of(1));

    open_hot(1 << 20, 1);
    there->body_id = rows[_i].there;
    object->body_id = rows[_i].put;
    ck_assert(brim_hot_put(hot, there));
    ck_assert_int_eq(brim_hot_put(hot, object), rows[_i].is_kept);
    got = brim_hot_get(hot, &key);
    ck_assert_ptr_eq(got, rows[_i].is_kept ? object : there);
    brim_object_unref(got);
    brim_object_unref(there);
    brim_object_unref(object);
    brim_hot_close(hot);
}
END_TEST

/* What is here is the cache's; what was thrown out while it is being sent is its readers', or many
 * slow readers of many objects would hold any amount that nobody counts. */
START_TEST(what_was_thrown_out_is_its_readers)
{
    struct brim_object *object = make_object(url_of(1), 1000, 0);
    struct brim_key key = key_of(url_of(1));
    struct brim_ledger *ledger = brim_ledger_open(0);

    open_hot(1 << 20, 1);
    brim_body_set_ledger(object->body, ledger);
    ck_assert_int_ge(brim_ledger_held(ledger), 1000); /* until it is here */
    brim_body_ref(object->body);                      /* a reader */
    brim_hot_put(hot, object);
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    ck_assert_uint_eq(brim_body_share_bytes(object->body), 0);
    brim_hot_put(hot, object);
    ck_assert_uint_eq(brim_body_share_bytes(object->body), 0);
    brim_hot_drop(hot, &key, NULL);
    ck_assert_uint_ge(brim_body_share_bytes(object->body), 1000);
    ck_assert_int_eq(brim_ledger_held(ledger), (int64_t)brim_body_share_bytes(object->body));
    brim_body_ref(object->body); /* and another */
    ck_assert_uint_lt(brim_body_share_bytes(object->body), 1000);
    brim_body_unref(object->body);
    brim_body_unref(object->body);
    brim_object_unref(object);
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    brim_ledger_close(ledger);
    brim_hot_close(hot);
}
END_TEST

/* An object too large to keep must not leave its predecessor behind. */
START_TEST(too_large_an_object_replaces_with_nothing)
{
    open_hot(1 << 20, 1);
    put(1, 1000);
    put(1, 2 << 20);
    ck_assert(!ask(1));
    brim_hot_close(hot);
}
END_TEST

/* Memory is promised to the operator: no mix of sizes and uses may pass the bound. */
START_TEST(bytes_never_exceed_the_bound)
{
    uint64_t seed = 7;

    open_hot(1 << 20, 4);
    for (int i = 0; i < 20000; i++) {
        unsigned id = random_of(&seed) % 3000;

        if (!ask(id))
            put(id, random_of(&seed) % (random_of(&seed) % 50 == 0 ? 200000 : 2000));
        if (i % 100 == 0)
            ck_assert_uint_le(brim_hot_bytes(hot), 1 << 20);
    }
    ck_assert_uint_gt(brim_hot_bytes(hot), 1 << 19);
    brim_hot_close(hot);
}
END_TEST

/* ---- hit ratio ---- */

enum { IDS = 20000, TRACE = 200000, KEEP = 1000, SCAN_FROM = 1000000 };

/* A deterministic Zipf trace (exponent 1) with a one-time scan mixed in: every third request asks
 * for something that never comes again, as crawlers do. */
static void make_trace(unsigned *trace)
{
    static double cumulated[IDS];
    uint64_t seed = 12345;
    double sum = 0;

    for (int i = 0; i < IDS; i++)
        cumulated[i] = sum += 1.0 / (i + 1);
    for (unsigned t = 0; t < TRACE; t++) {
        double x = (double)random_of(&seed) / 2147483648.0 * sum;
        unsigned low = 0, high = IDS - 1;

        while (low < high) {
            unsigned middle = (low + high) / 2;

            if (cumulated[middle] < x)
                low = middle + 1;
            else
                high = middle;
        }
        trace[t] = t % 3 == 2 ? SCAN_FROM + t : low;
    }
}

static unsigned hits_of_fifo(const unsigned *trace)
{
    static unsigned ring[KEEP];
    static bool in[SCAN_FROM + TRACE];
    unsigned at = 0, hits = 0;

    for (unsigned t = 0; t < TRACE; t++) {
        if (in[trace[t]]) {
            hits++;
            continue;
        }
        if (t >= KEEP)
            in[ring[at % KEEP]] = false;
        ring[at++ % KEEP] = trace[t];
        in[trace[t]] = true;
    }
    return hits;
}

/* The reason for S3-FIFO: popular objects stay while a crawler passes by. */
START_TEST(scan_does_not_push_out_what_is_popular)
{
    static unsigned trace[TRACE];
    struct brim_object *one = make_object(url_of(SCAN_FROM), 100, 0);
    unsigned hits = 0, fifo;
    uint64_t charge;

    open_hot(1 << 20, 1);
    brim_hot_put(hot, one);
    charge = brim_hot_bytes(hot);
    brim_object_unref(one);
    brim_hot_close(hot);

    make_trace(trace);
    open_hot(charge * KEEP, 1);
    for (unsigned t = 0; t < TRACE; t++) {
        if (ask(trace[t]))
            hits++;
        else
            put(trace[t], 100);
    }
    fifo = hits_of_fifo(trace);
    printf("# hit ratio of the popular part: s3-fifo %.3f, fifo %.3f\n", hits * 1.5 / TRACE,
           fifo * 1.5 / TRACE);
    ck_assert_uint_gt(hits, fifo + fifo / 4);
    brim_hot_close(hot);
}
END_TEST

/* ---- threads ---- */

static void *hammer(void *ctx)
{
    uint64_t seed = (uint64_t)(uintptr_t)ctx;

    for (int i = 0; i < 20000; i++) {
        unsigned id = random_of(&seed) % 500;
        struct brim_key key = key_of(url_of(id));

        switch (random_of(&seed) % 8) {
        case 0:
            put(id, random_of(&seed) % 5000);
            break;
        case 1:
            brim_hot_drop(hot, &key, NULL);
            break;
        case 2:
            ck_assert_uint_le(brim_hot_bytes(hot), 200000);
            break;
        default:
            (void)ask(id);
        }
    }
    return NULL;
}

/* Counts, queues and bound hold whatever threads do to one another. */
START_TEST(threads_keep_counts_and_bound)
{
    pthread_t threads[4];

    open_hot(200000, 2);
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    brim_hot_close(hot);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/hot");
    TCase *tc = tcase_create("hot");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, object_is_found_under_its_key);
    tcase_add_test(tc, colliding_digest_with_another_text_is_a_miss);
    tcase_add_test(tc, put_replaces_and_promote_yields);
    tcase_add_loop_test(tc, an_earlier_one_does_not_replace_a_later, 0, 6);
    tcase_add_test(tc, too_large_an_object_replaces_with_nothing);
    tcase_add_test(tc, what_was_thrown_out_is_its_readers);
    tcase_add_test(tc, bytes_never_exceed_the_bound);
    tcase_add_test(tc, scan_does_not_push_out_what_is_popular);
    tcase_add_test(tc, threads_keep_counts_and_bound);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
