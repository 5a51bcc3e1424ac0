/* SPDX-License-Identifier: MIT */
#include "brim/cache/deltas.h"

#include "unit.h"

enum { BODY_BYTES = 4096, ROOM = 64 * 1024 };

static struct brim_deltas *deltas;

static void setup(void)
{
    deltas = brim_deltas_new(ROOM);
}

static void teardown(void)
{
    brim_deltas_free(deltas);
}

static struct brim_delta_key key(uint64_t body_id, int hash)
{
    struct brim_delta_key made = {.body_id = body_id, .coding = BRIM_DELTA_DCZ};

    memset(made.hash.bytes, hash, sizeof(made.hash.bytes));
    return made;
}

static enum brim_delta_state claim(struct brim_delta_key of)
{
    struct brim_delta *delta;
    enum brim_delta_state state = brim_deltas_claim(deltas, &of, &delta);

    ck_assert((state == BRIM_DELTA_READY) == (delta != NULL));
    brim_delta_unref(delta);
    return state;
}

static void put(struct brim_delta_key of)
{
    static const char bytes[BODY_BYTES];
    struct brim_dictionary_terms terms = {.id_len = 0};
    struct brim_body *body = brim_body_from(bytes, sizeof(bytes));

    brim_deltas_put(deltas, &of, brim_delta_new(body, &terms, BRIM_STR("https://a.example/d")));
    brim_body_unref(body);
}

/* A crowd that asks for one delta makes one; another body, dictionary or coding is another. */
START_TEST(one_is_made_for_all_who_ask)
{
    struct brim_delta_key other_coding = key(1, 1);

    ck_assert_int_eq(claim(key(1, 1)), BRIM_DELTA_CLAIMED);
    ck_assert_int_eq(claim(key(1, 1)), BRIM_DELTA_MAKING);
    ck_assert_int_eq(claim(key(2, 1)), BRIM_DELTA_CLAIMED);
    ck_assert_int_eq(claim(key(1, 2)), BRIM_DELTA_CLAIMED);
    other_coding.coding = BRIM_DELTA_DCB;
    ck_assert_int_eq(claim(other_coding), BRIM_DELTA_CLAIMED);
    put(key(1, 1));
    ck_assert_int_eq(claim(key(1, 1)), BRIM_DELTA_READY);
    ck_assert_int_eq(claim(key(2, 1)), BRIM_DELTA_MAKING);
}
END_TEST

/* What could not be made may be tried again. */
START_TEST(a_dropped_claim_never_was)
{
    ck_assert_int_eq(claim(key(1, 1)), BRIM_DELTA_CLAIMED);
    struct brim_delta_key of = key(1, 1);
    brim_deltas_drop(deltas, &of);
    ck_assert_int_eq(claim(key(1, 1)), BRIM_DELTA_CLAIMED);
}
END_TEST

/* The bound holds; what was used last stays longest, and a claim always. */
START_TEST(the_least_recently_used_goes)
{
    ck_assert_int_eq(claim(key(1000, 0)), BRIM_DELTA_CLAIMED);
    for (uint64_t id = 1; id <= 100; id++) {
        ck_assert_int_eq(claim(key(id, 0)), BRIM_DELTA_CLAIMED);
        put(key(id, 0));
        ck_assert_int_eq(claim(key(1, 0)), BRIM_DELTA_READY);
    }
    ck_assert_int_eq(claim(key(100, 0)), BRIM_DELTA_READY);
    ck_assert_int_eq(claim(key(2, 0)), BRIM_DELTA_CLAIMED);
    ck_assert_int_eq(claim(key(1000, 0)), BRIM_DELTA_MAKING);
}
END_TEST

/* Claims alone cannot grow without end either. */
START_TEST(a_full_table_says_so)
{
    uint64_t id = 0;

    while (claim(key(++id, 0)) == BRIM_DELTA_CLAIMED)
        ck_assert_uint_lt(id, ROOM);
    ck_assert_int_eq(claim(key(id, 0)), BRIM_DELTA_FULL);
    struct brim_delta_key of = key(1, 0);
    brim_deltas_drop(deltas, &of);
    ck_assert_int_eq(claim(key(id, 0)), BRIM_DELTA_CLAIMED);
}
END_TEST

/* Who sends a delta keeps it alive when the table lets it go. */
START_TEST(a_delta_in_use_outlives_the_table)
{
    struct brim_delta_key of = key(1, 1);
    struct brim_delta *delta;

    ck_assert_int_eq(claim(of), BRIM_DELTA_CLAIMED);
    put(of);
    ck_assert_int_eq(brim_deltas_claim(deltas, &of, &delta), BRIM_DELTA_READY);
    brim_deltas_free(deltas);
    deltas = NULL;
    ck_assert_uint_eq(brim_body_bytes(delta->body), BODY_BYTES);
    ck_assert(brim_str_is(delta->dictionary_url, BRIM_STR("https://a.example/d")));
    brim_delta_unref(delta);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_deltas");
    TCase *tcase = tcase_create("deltas");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_is_made_for_all_who_ask);
    tcase_add_test(tcase, a_dropped_claim_never_was);
    tcase_add_test(tcase, the_least_recently_used_goes);
    tcase_add_test(tcase, a_full_table_says_so);
    tcase_add_test(tcase, a_delta_in_use_outlives_the_table);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
