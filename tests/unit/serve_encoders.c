/* SPDX-License-Identifier: MIT */
#include "brim/serve/encoders.h"

#include <stdlib.h>

#include "brim/base/clock.h"
#include "unit.h"

enum { KIB = 1024, MIB = 1024 * KIB, BODY_BYTES = 300 * KIB, CEILING = 1000 * KIB };

static struct brim_pool *pool;
static struct brim_cache *cache;
static struct brim_ledger *ledger;
static struct brim_encoders *encoders;

static void setup(void)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 64};
    struct brim_cache_config config = {.memory_bytes = 8 * MIB,
                                       .memory_object_bytes = MIB,
                                       .object_bytes_max = MIB,
                                       .window_bytes = 128 * KIB,
                                       .write_queue_max = 16,
                                       .purge_epochs_max = 1000};
    struct brim_encoders_config coders = {
        .threads = 1, .queue_max = 16, .bytes_min = KIB, .bytes_max = MIB};

    ledger = brim_ledger_open(CEILING);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    config.pool = pool;
    config.ledger = ledger;
    ck_assert_int_eq(brim_cache_open(&config, &cache), BRIM_OK);
    coders.cache = cache;
    ck_assert_int_eq(brim_encoders_open(&coders, &encoders), BRIM_OK);
}

static void teardown(void)
{
    brim_encoders_close(encoders);
    brim_pool_close(pool);
    brim_cache_close(cache);
    brim_ledger_close(ledger);
}

/* Stores a body of bytes that take so many values: 64 shrink by a quarter, 256 not at all. */
static struct brim_object *store(int values)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = brim_key_of(BRIM_STR("http://a/")),
                                    .seq = brim_cache_seq(cache),
                                    .fresh = {.lifetime_ms = 60000},
                                    .is_codable = true};
    static char bytes[BODY_BYTES];
    struct brim_object *object;
    struct brim_fill *fill;
    unsigned seed = 5;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(rand_r(&seed) % values);
    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0},
                                           sizeof(bytes), NULL, &fill),
                     BRIM_OK);
    object = brim_object_ref(brim_fill_object(fill));
    ck_assert_int_eq(brim_fill_append(fill, bytes, sizeof(bytes)), BRIM_OK);
    brim_fill_finish(fill);
    ck_assert(brim_encoders_would(encoders, object));
    return object;
}

static void code(struct brim_object *object)
{
    brim_encoders_want(encoders, object, BRIM_CODING_GZIP);
    brim_pool_wait_idle(brim_encoders_pool(encoders));
}

/* What is found of the coding, so long after now. PASS: a note that it is not to be tried. */
static enum brim_found look(const struct brim_object *object, int64_t after_ms)
{
    char text[64];
    struct brim_find find = {.primary = brim_represent_key(object, BRIM_CODING_GZIP, text),
                             .now_wall_ms = brim_clock_wall_ms() + after_ms};
    enum brim_found found = brim_cache_find(cache, &find);

    brim_object_unref(find.object);
    brim_find_fini(&find);
    return found;
}

START_TEST(what_shrinks_is_kept_and_what_does_not_is_not_tried_again)
{
    struct brim_object *object = store(_i == 0 ? 64 : 256);

    code(object);
    ck_assert_int_eq(look(object, 3600 * 1000), _i == 0 ? BRIM_FOUND_OBJECT : BRIM_FOUND_PASS);
    brim_object_unref(object);
}
END_TEST

/* That clients hold all the memory passes; that it was so is not to be remembered for a day. */
START_TEST(what_found_no_memory_is_tried_again_soon)
{
    struct brim_object *object = store(64);

    brim_ledger_hold(ledger, CEILING - 100 * KIB);
    code(object);
    ck_assert_int_eq(look(object, 0), BRIM_FOUND_PASS);
    ck_assert_int_eq(look(object, 2 * 60 * 1000), BRIM_FOUND_NONE);
    brim_ledger_hold(ledger, 100 * KIB - CEILING);
    code(object);
    ck_assert_int_eq(look(object, 0), BRIM_FOUND_OBJECT);
    brim_object_unref(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/encoders");
    TCase *tcase = tcase_create("encoders");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_shrinks_is_kept_and_what_does_not_is_not_tried_again, 0, 2);
    tcase_add_test(tcase, what_found_no_memory_is_tried_again_soon);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
