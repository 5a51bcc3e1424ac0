/* SPDX-License-Identifier: MIT */
#include "brim/cache/kv_sweep.h"

#include <stdio.h>
#include <sys/stat.h>

#include "folder.h"
#include "unit.h"

#define MIB        (1024u * 1024u)
#define ROWS       9000u              /* more than two turns of a sweep */
#define LARGE_ROWS (LARGE_STEP * 40u) /* more than a round of it */
#define LARGE_STEP 8192u
#define NEVER      INT64_C(0)
#define MANY       200u
#define FULL_ROWS  3120u                  /* about as many fit into 2 MiB */
#define LONG       INT64_C(4102444800000) /* 2100: the sweep goes by the clock */

static char folder[64];
static const char value[400];
static struct brim_kv_table *table;
static struct brim_kv_sweep sweep;

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/brim-kv-sweep-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(brim_kv_table_open(folder, 64 * MIB, &table), BRIM_OK);
    sweep = (struct brim_kv_sweep){.table = table};
}

static void teardown(void)
{
    brim_kv_table_close(table);
    folder_remove(folder);
}

/* Of four rows each, one has ended. */
static void fill(void)
{
    static struct brim_kv_row rows[ROWS];
    static char keys[ROWS][16];

    for (unsigned i = 0; i < ROWS; i++) {
        int len = snprintf(keys[i], sizeof(keys[i]), "s/%05u", i);

        rows[i] = (struct brim_kv_row){.key = brim_str(keys[i], (size_t)len),
                                       .value = BRIM_STR("v"),
                                       .expires_wall_ms = i % 4 == 1   ? 1
                                                          : i % 4 == 2 ? LONG
                                                                       : NEVER};
    }
    ck_assert_int_eq(brim_kv_table_commit(table, rows, ROWS), BRIM_OK);
}

struct tally {
    unsigned all, ended;
};

static bool count_row(const struct brim_kv_row *row, void *ctx)
{
    struct tally *tally = ctx;

    tally->all++;
    tally->ended += row->expires_wall_ms == 1;
    return true;
}

static struct tally count(void)
{
    struct tally tally = {0};

    ck_assert_int_eq(brim_kv_table_walk(table, BRIM_STR(""), count_row, &tally), BRIM_OK);
    return tally;
}

/* A store that is called full while expired rows fill it would refuse writes for nothing. */
START_TEST(a_round_deletes_all_that_has_ended_and_nothing_else)
{
    fill();
    brim_kv_sweep_round(&sweep);
    ck_assert_uint_eq(count().all, ROWS - ROWS / 4);
    ck_assert_uint_eq(count().ended, 0);
    brim_kv_sweep_round(&sweep);
    ck_assert_uint_eq(count().all, ROWS - ROWS / 4);
}
END_TEST

/* One that began at the beginning each time would never see the end of a large store: that is full,
 * and loses writes, of rows that have ended. */
START_TEST(rounds_of_a_large_store_go_on_where_the_last_one_was)
{
    static struct brim_kv_row rows[LARGE_STEP];
    static char keys[LARGE_STEP][16];
    unsigned rounds = 0;

    for (unsigned n = 0; n < LARGE_ROWS; n++) {
        unsigned i = n % LARGE_STEP;
        int len = snprintf(keys[i], sizeof(keys[i]), "s/%07u", n);

        rows[i] = (struct brim_kv_row){.key = brim_str(keys[i], (size_t)len),
                                       .expires_wall_ms = n == LARGE_ROWS - 1 ? 1 : NEVER};
        if (i == LARGE_STEP - 1)
            ck_assert_int_eq(brim_kv_table_commit(table, rows, LARGE_STEP), BRIM_OK);
    }
    while (count().ended > 0) {
        ck_assert_uint_lt(rounds++, 4);
        brim_kv_sweep_round(&sweep);
    }
    ck_assert_uint_eq(count().all, LARGE_ROWS - 1);
    brim_kv_sweep_round(&sweep);
    ck_assert_uint_eq(count().all, LARGE_ROWS - 1);
}
END_TEST

/* Between batches of writes the sweep takes its turns, and goes on where it was. */
START_TEST(some_turns_come_to_the_end_and_say_when_little_is_left)
{
    fill();
    while (brim_kv_sweep_some(&sweep))
        continue;
    ck_assert_uint_eq(count().ended, 0);
    ck_assert_uint_eq(count().all, ROWS - ROWS / 4);
}
END_TEST

static struct brim_kv_row *rows_of(unsigned from, size_t count, int64_t expires)
{
    static struct brim_kv_row rows[MANY];
    static char keys[MANY][16];

    for (size_t i = 0; i < count; i++) {
        int len = snprintf(keys[i], sizeof(keys[i]), "s/%zu", from + i);

        rows[i] = (struct brim_kv_row){.key = brim_str(keys[i], (size_t)len),
                                       .value = brim_str(value, sizeof(value)),
                                       .expires_wall_ms = expires};
    }
    return rows;
}

static void open_small(void)
{
    brim_kv_table_close(table);
    ck_assert_int_eq(folder_remove(folder), 0);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert_int_eq(brim_kv_table_open(folder, 2 * MIB, &table), BRIM_OK);
    sweep = (struct brim_kv_sweep){.table = table};
}

/* Of what was deleted a moment ago there is nothing left to sweep, and no room yet: the next but
 * one has it. However full the table was: where all is deleted at once, and the rest is too little.
 */
START_TEST(what_a_turn_has_just_deleted_is_room)
{
    for (unsigned full = MANY; full < FULL_ROWS; full += 40) {
        open_small();
        for (unsigned n = 0; n < full; n += MANY) {
            size_t count = n + MANY < full ? MANY : full - n;

            ck_assert_int_eq(brim_kv_table_commit(table, rows_of(n, count, 1), count), BRIM_OK);
        }
        while (brim_kv_sweep_some(&sweep))
            continue;
        ck_assert_int_eq(brim_kv_sweep_commit(&sweep, rows_of(full, MANY, NEVER), MANY), BRIM_OK);
    }
}
END_TEST

/* A key that no writer of ours makes is a disk's doing; it has no room in a turn. */
START_TEST(a_key_that_is_too_long_is_passed_over)
{
    static char key[BRIM_KV_SWEEP_KEY_MAX + 1];
    struct brim_kv_row rows[] = {
        {.key = brim_str(memset(key, 'a', sizeof(key)), sizeof(key)), .expires_wall_ms = 1},
        {.key = brim_str(key, sizeof(key) - 1), .expires_wall_ms = 1},
    };

    ck_assert_int_eq(brim_kv_table_commit(table, rows, 2), BRIM_OK);
    brim_kv_sweep_round(&sweep);
    ck_assert_uint_eq(count().all, 1);
    brim_kv_sweep_round(&sweep);
    ck_assert_uint_eq(count().all, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_kv_sweep");
    TCase *tcase = tcase_create("kv_sweep");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_round_deletes_all_that_has_ended_and_nothing_else);
    tcase_add_test(tcase, rounds_of_a_large_store_go_on_where_the_last_one_was);
    tcase_add_test(tcase, some_turns_come_to_the_end_and_say_when_little_is_left);
    tcase_add_test(tcase, what_a_turn_has_just_deleted_is_room);
    tcase_add_test(tcase, a_key_that_is_too_long_is_passed_over);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
