/* SPDX-License-Identifier: MIT */
/*
 * What stands on disk under a key while it is being replaced or dropped: of several changes that
 * are under way the last one counts, for the key that it is of and for no other.
 */
#include <sched.h>

#include "cache_disk_fixture.h"

#define QUOTA      (64 * FIXTURE_MIB)
#define SLOW_BYTES (8 * FIXTURE_MIB) /* longer to write than a few bytes, by far */

/* A locator that was taken before the object was replaced must not bring the old one back. */
START_TEST(a_replaced_record_is_not_loaded)
{
    struct brim_locator old;
    struct brim_object *object;

    fixture_open(QUOTA);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &old), BRIM_OK);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_disk_load(fx.disk, &old, BRIM_DISK_WAIT, &object), BRIM_ENOENT);
    ck_assert_int_eq(fixture_verify(1, 100), BRIM_OK);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), 1);
}
END_TEST

START_TEST(dropped_records_are_gone)
{
    fixture_open(QUOTA);
    fixture_put(1, 100);
    fixture_put(2, 100);
    brim_disk_flush(fx.disk);
    brim_disk_drop(fx.disk, fixture_digest(1));
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 100), BRIM_ENOENT);
    ck_assert_int_eq(fixture_verify(2, 100), BRIM_OK);
}
END_TEST

START_TEST(a_drop_is_in_force_before_it_is_committed)
{
    struct brim_locator locator;

    fixture_open(QUOTA);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_OK);
    brim_disk_drop(fx.disk, fixture_digest(1));
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_ENOENT);
    fixture_put(1, 200);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 200), BRIM_OK);
}
END_TEST

/* Several threads write. An object that takes long must not reach the index after a small one that
 * came later: it would be served once RAM lets the later one go, and after a restart. */
START_TEST(of_two_writes_of_a_key_the_later_stays)
{
    fixture_open(QUOTA);
    for (unsigned round = 0; round < 4; round++) {
        fixture_put(1, SLOW_BYTES);
        fixture_put(1, 100 + round);
        brim_disk_flush(fx.disk);
        ck_assert_int_eq(fixture_verify(1, 100 + round), BRIM_OK);
    }
    fixture_close();
    fixture_open(QUOTA);
    ck_assert_int_eq(fixture_verify(1, 103), BRIM_OK);
}
END_TEST

/* Nor come back after it was dropped. */
START_TEST(a_drop_is_of_what_is_still_being_written_too)
{
    struct brim_locator locator;

    fixture_open(QUOTA);
    fixture_put(1, SLOW_BYTES);
    ck_assert(brim_disk_has(fx.disk, fixture_digest(1)));
    brim_disk_drop(fx.disk, fixture_digest(1));
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_ENOENT);
    ck_assert(!brim_disk_has(fx.disk, fixture_digest(1)));
}
END_TEST

/* RAM may let the newer one go before it is on disk: the older one is not what it stands for. */
START_TEST(what_is_being_replaced_is_not_found)
{
    struct brim_locator locator;

    fixture_open(QUOTA);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    fixture_put(1, 200);
    fixture_put(1, SLOW_BYTES);
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_ENOENT);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, SLOW_BYTES), BRIM_OK);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), 1);
}
END_TEST

/* An id whose digest shares its low bits, by which tables go, with that of id 1. */
static unsigned id_beside_1(void)
{
    uint64_t low = fixture_digest(1).lo % 65536;
    unsigned id = 2;

    while (fixture_digest(id).lo % 65536 != low)
        id++;
    return id;
}

/* An unsafe request must outdate what is stored, and nothing else: both go by "has". */
START_TEST(what_is_under_way_is_of_its_own_key_only)
{
    unsigned other = id_beside_1();

    fixture_open(QUOTA);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    brim_disk_drop(fx.disk, fixture_digest(other));
    ck_assert(brim_disk_has(fx.disk, fixture_digest(1)));
    ck_assert_int_eq(fixture_verify(1, 100), BRIM_OK);
    for (unsigned round = 0; round < 200; round++) { /* until well after it was handed on */
        fixture_put(1, 100);
        sched_yield();
        ck_assert(!brim_disk_has(fx.disk, fixture_digest(other)));
    }
}
END_TEST

/* Dropped and stored again within one commit: it is there, though not to be read yet. */
START_TEST(what_is_put_after_a_drop_is_there)
{
    fixture_open(QUOTA);
    for (unsigned round = 0; round < 200; round++) {
        brim_disk_drop(fx.disk, fixture_digest(1));
        ck_assert(!brim_disk_has(fx.disk, fixture_digest(1)));
        fixture_put(1, 100);
        for (unsigned look = 0; look < 20; look++) {
            ck_assert(brim_disk_has(fx.disk, fixture_digest(1)));
            sched_yield();
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_disk_order");
    TCase *tc = tcase_create("order");

    tcase_set_timeout(tc, 280);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, a_replaced_record_is_not_loaded);
    tcase_add_test(tc, dropped_records_are_gone);
    tcase_add_test(tc, a_drop_is_in_force_before_it_is_committed);
    tcase_add_test(tc, of_two_writes_of_a_key_the_later_stays);
    tcase_add_test(tc, a_drop_is_of_what_is_still_being_written_too);
    tcase_add_test(tc, what_is_being_replaced_is_not_found);
    tcase_add_test(tc, what_is_under_way_is_of_its_own_key_only);
    tcase_add_test(tc, what_is_put_after_a_drop_is_there);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
