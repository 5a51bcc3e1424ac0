/* SPDX-License-Identifier: MIT */
#include "brim/cache/kv.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brim/base/metric.h"
#include "brim/cache/kv_table.h"
#include "folder.h"
#include "unit.h"

#define MIB (1024u * 1024u)
#define NOW                                                                                        \
    ((int64_t)4102444800000) /* 2100: what the sweep, which goes by the clock, leaves alone */
#define NAME        (&(struct brim_kv_name){BRIM_STR("s"), BRIM_STR("k")})
#define N(k)        (&(struct brim_kv_name){BRIM_STR("s"), brim_str_of(k)})
#define STEPS       500
#define WAITING_MAX 8192u /* kv.c's */

static char folder[64];
static struct brim_kv *kv;

static void open_kv(uint64_t bytes)
{
    const struct brim_kv_config config = {.path = folder, .size_bytes = bytes};

    ck_assert_int_eq(brim_kv_open(&config, &kv), BRIM_OK);
}

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/brim-kv-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    open_kv(16 * MIB);
}

static void teardown(void)
{
    brim_kv_close(kv);
    folder_remove(folder);
}

static const char *get(const struct brim_kv_name *name, int64_t now_ms)
{
    static char value[64];
    size_t len;

    if (brim_kv_get(kv, name, now_ms, (struct brim_kv_room){value, sizeof(value) - 1}, &len) !=
        BRIM_OK)
        return NULL;
    value[len] = '\0';
    return value;
}

static void set(const char *key, const char *value, int64_t expires)
{
    ck_assert_int_eq(brim_kv_set(kv, N(key), brim_str_of(value), expires), BRIM_OK);
}

static struct brim_kv_table *open_table_of(uint64_t bytes)
{
    struct brim_kv_table *table = NULL;
    char path[80];

    snprintf(path, sizeof(path), "%s/other", folder);
    return brim_kv_table_open(path, bytes, &table) == BRIM_OK ? table : NULL;
}

static struct brim_kv_table *open_table(void)
{
    return open_table_of(MIB);
}

/* Is killed from outside: valgrind takes whoever kills himself for one who ends, and leaks. */
static bool stay_inside(const struct brim_kv_row *row, void *ctx)
{
    const int *tell = ctx;

    (void)row;
    if (write(*tell, "i", 1) == 1)
        pause();
    return false;
}

/* Two processes have it while one follows the other. What a dead one saw last would be kept for it
 * until the node ends, and the store be full of what was overwritten. */
START_TEST(who_was_killed_while_it_read_does_not_fill_the_store)
{
    struct brim_kv_row row = {.key = BRIM_STR("k"), .value = BRIM_STR("v")};
    struct brim_kv_table *table;
    char value[4096] = "";
    int turn[2], inside[2], status;
    pid_t child;

    ck_assert_int_eq(pipe(turn), 0);
    ck_assert_int_eq(pipe(inside), 0);
    child = fork(); /* before there is an environment of LMDB's, which must not be carried over */
    if (child == 0 && read(turn[0], value, 1) == 1)
        _exit(brim_kv_table_walk(open_table(), BRIM_STR(""), stay_inside, &inside[1]));
    table = open_table();
    ck_assert_int_eq(brim_kv_table_commit(table, &row, 1), BRIM_OK);
    ck_assert_int_eq(write(turn[1], "g", 1), 1);
    ck_assert_int_eq(read(inside[0], value, 1), 1);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    row.value = brim_str(value, sizeof(value));
    for (unsigned i = 0; i < 500; i++)
        ck_assert_int_eq(brim_kv_table_commit(table, &row, 1), BRIM_OK);
    brim_kv_table_close(table);
}
END_TEST

static void check_list(const char *prefix, const char *after, size_t limit, const char *want)
{
    char room[10 * 256], got[256] = "";
    const struct brim_kv_query query = {
        .name = *N(prefix), .after = brim_str_of(after), .limit = limit, .now_wall_ms = NOW};
    struct brim_kv_keys keys = {.room = {room, sizeof(room)}};
    const char *at = room;

    while (!keys.is_whole) {
        ck_assert_int_eq(brim_kv_list(kv, &query, &keys), BRIM_OK);
        ck_assert_uint_le(keys.seen, BRIM_KV_LIST_ROWS + WAITING_MAX);
    }
    for (size_t i = 0; i < keys.count; i++, at += strlen(at) + 1)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%.16s", i > 0 ? " " : "", at);
    ck_assert_str_eq(got, want);
}

#define ROWS 1100u

static enum brim_err put_rows(struct brim_kv_table *table, unsigned from, unsigned to)
{
    static char value[4096], keys[ROWS][16];
    struct brim_kv_row rows[ROWS];

    for (unsigned i = from; i < to; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%u", i);
        rows[i] = (struct brim_kv_row){.key = brim_str_of(keys[i]),
                                       .value = brim_str(value, sizeof(value))};
    }
    return brim_kv_table_commit(table, rows + from, to - from);
}

static int write_in_a_larger_map(int turn)
{
    struct brim_kv_table *table;
    char byte;

    if (read(turn, &byte, 1) != 1)
        return 1;
    table = open_table_of(16 * MIB);
    if (put_rows(table, 100, 1000) != BRIM_OK)
        return 1;
    brim_kv_table_close(table);
    return 0;
}

static bool is_found(const struct brim_kv_row *row, void *ctx)
{
    (void)row;
    ++*(unsigned *)ctx;
    return true;
}

struct finder {
    pthread_t thread;
    struct brim_kv_table *table;
    unsigned found;
};

static void *find_rows(void *arg)
{
    struct finder *finder = arg;
    char key[16];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        if (brim_kv_table_find(finder->table, brim_str_of(key), is_found, &finder->found) !=
            BRIM_OK)
            break;
    }
    return NULL;
}

/* An upgrade with a larger kv.size: who drains reads and writes on, on all of its threads. */
START_TEST(who_drains_goes_on_when_its_successor_has_a_larger_map)
{
    struct brim_kv_table *table;
    struct finder finders[4];
    unsigned found = 0;
    int turn[2], status;
    pid_t child;

    ck_assert_int_eq(pipe(turn), 0);
    child = fork(); /* before there is an environment of LMDB's, which must not be carried over */
    if (child == 0)
        _exit(write_in_a_larger_map(turn[0]));
    table = open_table();
    ck_assert_int_eq(put_rows(table, 0, 100), BRIM_OK);
    ck_assert_int_eq(write(turn[1], "g", 1), 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    for (size_t i = 0; i < 4; i++) {
        finders[i] = (struct finder){.table = table};
        pthread_create(&finders[i].thread, NULL, find_rows, &finders[i]);
    }
    ck_assert_int_eq(put_rows(table, 1000, ROWS), BRIM_OK);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(finders[i].thread, NULL);
        ck_assert_uint_eq(finders[i].found, 1000);
    }
    ck_assert_int_eq(brim_kv_table_walk(table, BRIM_STR(""), is_found, &found), BRIM_OK);
    ck_assert_uint_eq(found, ROWS);
    brim_kv_table_close(table);
}
END_TEST

/* Before, while and after the writer commits it. */
START_TEST(a_write_is_seen_at_once_and_after_a_restart)
{
    set("k", "one", 0);
    ck_assert_str_eq(get(NAME, NOW), "one");
    set("k", "two", 0);
    ck_assert_str_eq(get(NAME, NOW), "two");
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    ck_assert_str_eq(get(NAME, NOW), "two");
    set("gone", "x", 0);
    ck_assert_int_eq(brim_kv_delete(kv, N("gone")), BRIM_OK);
    ck_assert_ptr_null(get(N("gone"), NOW));
    brim_kv_close(kv); /* commits what waits */
    open_kv(16 * MIB);
    ck_assert_str_eq(get(NAME, NOW), "two");
    ck_assert_ptr_null(get(N("gone"), NOW));
    ck_assert_ptr_null(get(&(struct brim_kv_name){BRIM_STR("other"), BRIM_STR("k")}, NOW));
}
END_TEST

START_TEST(what_expired_is_not_there)
{
    set("k", "v", NOW + 5);
    ck_assert_str_eq(get(NAME, NOW + 4), "v");
    ck_assert_ptr_null(get(NAME, NOW + 5));
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    ck_assert_ptr_null(get(NAME, NOW + 5));
}
END_TEST

START_TEST(a_value_longer_than_the_room_says_its_length)
{
    char room[2];
    size_t len;

    set("k", "four", 0);
    ck_assert_int_eq(brim_kv_get(kv, NAME, NOW, (struct brim_kv_room){room, 2}, &len), BRIM_ELIMIT);
    ck_assert_uint_eq(len, 4);
}
END_TEST

START_TEST(numbers_are_added_to)
{
    struct brim_kv_step step = {.n = 5, .now_wall_ms = NOW, .expires_wall_ms = NOW + 10};
    int64_t sum;

    ck_assert_int_eq(brim_kv_incr(kv, NAME, &step, &sum), BRIM_OK);
    ck_assert_int_eq(sum, 5);
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    step = (struct brim_kv_step){.n = -7, .now_wall_ms = NOW, .expires_wall_ms = 0};
    ck_assert_int_eq(brim_kv_incr(kv, NAME, &step, &sum), BRIM_OK);
    ck_assert_int_eq(sum, -2);
    ck_assert_str_eq(get(NAME, NOW), "-2");
    ck_assert_ptr_null(get(NAME, NOW + 10)); /* the end of life that it had */
    set("k", "-9223372036854775808", 0);
    ck_assert_int_eq(brim_kv_incr(kv, NAME, &step, &sum), BRIM_EINVAL);
    step.n = 1;
    ck_assert_int_eq(brim_kv_incr(kv, NAME, &step, &sum), BRIM_OK);
    set("k", "9223372036854775808", 0);
    ck_assert_int_eq(brim_kv_incr(kv, NAME, &step, &sum), BRIM_EINVAL);
    set("k", "many", 0);
    ck_assert_int_eq(brim_kv_incr(kv, NAME, &step, &sum), BRIM_EINVAL);
}
END_TEST

/* Rows on disk and writes in front of them are one ordered list. */
START_TEST(a_list_merges_what_waits_with_what_is_stored)
{
    set("b", "", 0);
    set("d", "", 0);
    set("e", "", NOW);
    set("f", "", 0);
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    set("a", "", 0);
    set("c", "", 0);
    set("d", "again", 0);
    set("g", "", 0);
    ck_assert_int_eq(brim_kv_delete(kv, N("f")), BRIM_OK);
    ck_assert_int_eq(
        brim_kv_set(kv, &(struct brim_kv_name){BRIM_STR("t"), BRIM_STR("x")}, BRIM_STR(""), 0),
        BRIM_OK);
    check_list("", "", 10, "a b c d g");
    check_list("", "", 3, "a b c");
    check_list("", "c", 10, "d g");
    check_list("d", "", 10, "d");
    check_list("x", "", 10, "");
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    check_list("", "", 10, "a b c d g");
    check_list("", "a", 2, "b c");
}
END_TEST

/* A step ends at its row, whether or not something newer waits in front of it. */
START_TEST(a_list_of_many_steps_misses_no_key)
{
    char key[16];

    for (unsigned i = 0; i < 3 * BRIM_KV_LIST_ROWS; i++) {
        snprintf(key, sizeof(key), "%06u", i);
        set(key, "", i % BRIM_KV_LIST_ROWS == 7 ? 0 : NOW);
    }
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    check_list("", "", 10, "000007 001031 002055");
    for (unsigned i = 1022; i <= 1025; i++) { /* around the end of the first step */
        snprintf(key, sizeof(key), "%06u", i);
        set(key, "", 0);
    }
    set("000500x", "", 0);
    ck_assert_int_eq(brim_kv_delete(kv, N("001031")), BRIM_OK);
    check_list("", "", 10, "000007 000500x 001022 001023 001024 001025 002055");
    check_list("", "", 4, "000007 000500x 001022 001023");
    check_list("0", "001023", 10, "001024 001025 002055");
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    check_list("", "", 10, "000007 000500x 001022 001023 001024 001025 002055");
    check_list("", "002055", 10, "");
    check_list("000", "", 10, "000007 000500x");
}
END_TEST

/* In all of the file: pages that are no longer used, too. */
static void change_in_file(const char *from, const char *to)
{
    char path[80];
    struct stat st;
    char *bytes, *at;
    size_t len = strlen(from);
    int fd;

    snprintf(path, sizeof(path), "%s/data.mdb", folder);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);
    for (at = bytes; (at = memmem(at, (size_t)(bytes + st.st_size - at), from, len)) != NULL;)
        memcpy(at, to, len);
    munmap(bytes, (size_t)st.st_size);
    close(fd);
}

/* Rows that a disk has put out of order: a newer write may have been listed before its row comes.
 */
START_TEST(a_list_of_damaged_rows_ends)
{
    char room[10 * 256];
    const struct brim_kv_query query = {.name = *N(""), .limit = 10, .now_wall_ms = NOW};

    set("row1", "", 0);
    set("row2", "", 0);
    set("row3", "", 0);
    brim_kv_close(kv);
    change_in_file("row1", "row9");
    open_kv(16 * MIB);
    for (unsigned i = 0; i < 200; i++) {
        struct brim_kv_keys keys = {.room = {room, sizeof(room)}};

        set("row2", "newer", 0); /* waits while it is listed, nearly always */
        ck_assert_int_eq(brim_kv_list(kv, &query, &keys), BRIM_OK);
        ck_assert(keys.is_whole);
    }
}
END_TEST

static void *add_many(void *ctx)
{
    const struct brim_kv_step step = {.n = 1, .now_wall_ms = NOW};
    int64_t sum;

    (void)ctx;
    for (int i = 0; i < STEPS; i++)
        ck_assert_int_eq(brim_kv_incr(kv, NAME, &step, &sum), BRIM_OK);
    return NULL;
}

START_TEST(no_step_of_many_threads_is_lost)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
        pthread_join(threads[i], NULL);
    }
    ck_assert_str_eq(get(NAME, NOW), "2000");
}
END_TEST

/* Whoever writes to full stores learns it; deleting makes room. */
START_TEST(full_stores_refuse_and_deleting_makes_room)
{
    static char big[BRIM_KV_VALUE_MAX];
    enum brim_err err = BRIM_OK;
    char key[16];
    int i;

    brim_kv_close(kv);
    open_kv(MIB * 2);
    for (i = 0; i < 20 && err == BRIM_OK; i++) {
        snprintf(key, sizeof(key), "%d", i);
        err = brim_kv_set(kv, N(key), brim_str(big, sizeof(big)), 0);
        if (err == BRIM_OK)
            err = brim_kv_sync(kv);
    }
    ck_assert_int_eq(err, BRIM_ENOSPC);
    ck_assert_int_ge(i, 3);
    ck_assert_int_eq(brim_kv_set(kv, NAME, brim_str(big, sizeof(big)), 0), BRIM_ENOSPC);
    ck_assert_int_eq(brim_kv_delete(kv, N("0")), BRIM_OK);
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
}
END_TEST

/* Short lives are what such stores are for: sessions, counters. Rows that nobody sees any more must
 * not be what a store is full of. */
START_TEST(what_has_expired_makes_room_for_what_comes)
{
    char key[16], value[400] = "";
    unsigned refused = 0;

    brim_kv_close(kv);
    open_kv(MIB * 2);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        ck_assert_int_eq(brim_kv_set(kv, N(key), brim_str(value, sizeof(value)), 1), BRIM_OK);
        if (i % 200 == 199 && brim_kv_sync(kv) != BRIM_OK)
            refused++;
    }
    ck_assert_uint_eq(refused, 0);
    set("kept", "kept", NOW);
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    ck_assert_str_eq(get(N("kept"), 2), "kept");
}
END_TEST

/* Two processes have the stores during an upgrade, and both sweep. */
START_TEST(what_was_written_since_is_not_swept)
{
    struct brim_kv_table *table = open_table();
    struct brim_kv_row row = {.key = BRIM_STR("k"), .value = BRIM_STR("new"), .expires_wall_ms = 7};
    struct brim_kv_row seen = {.key = BRIM_STR("k"), .expires_wall_ms = 5, .is_gone = true};
    unsigned found = 0;

    ck_assert_int_eq(brim_kv_table_commit(table, &row, 1), BRIM_OK);
    ck_assert_int_eq(brim_kv_table_commit(table, &seen, 1), BRIM_OK);
    ck_assert_int_eq(brim_kv_table_find(table, row.key, is_found, &found), BRIM_OK);
    seen.expires_wall_ms = 7;
    ck_assert_int_eq(brim_kv_table_commit(table, &seen, 1), BRIM_OK);
    ck_assert_int_eq(brim_kv_table_find(table, row.key, is_found, &found), BRIM_ENOENT);
    ck_assert_int_eq(brim_kv_table_commit(table, &seen, 1), BRIM_OK); /* nor is it an error */
    brim_kv_table_close(table);
}
END_TEST

START_TEST(names_are_checked)
{
    ck_assert(brim_kv_store_is_valid(BRIM_STR("a-B_9.c")));
    ck_assert(!brim_kv_store_is_valid(BRIM_STR("")));
    ck_assert(!brim_kv_store_is_valid(BRIM_STR("a/b")));
    ck_assert(brim_kv_key_is_valid(BRIM_STR("/any \xff")));
    ck_assert(!brim_kv_key_is_valid(BRIM_STR("a\0b")));
    ck_assert(!brim_kv_key_is_valid(BRIM_STR("")));
}
END_TEST

static void damage_file(void (*damage)(int fd, off_t size))
{
    char path[96];
    struct stat st;
    int fd;

    snprintf(path, sizeof(path), "%s/data.mdb", folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    damage(fd, st.st_size);
    close(fd);
}

static void no_meta(int fd, off_t size)
{
    static const char zeros[8192];

    (void)size;
    ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
}

static void empty(int fd, off_t size)
{
    (void)size;
    ck_assert_int_eq(ftruncate(fd, 0), 0);
}

/* Pages keep their numbers, and become of no kind: LMDB says so itself. */
static void no_kind(int fd, off_t size)
{
    static const char zeros[6];

    for (off_t at = 2 * 4096; at < size; at += 4096)
        ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), at + 10), sizeof(zeros));
}

/* More than can be mapped: memory is what LMDB says is missing. */
static void too_many(int fd, off_t size)
{
    uint64_t last = UINT64_C(1) << 44;

    (void)size;
    for (off_t page = 0; page < 2; page++)
        ck_assert_int_eq(pwrite(fd, &last, sizeof(last), page * 4096 + 136), sizeof(last));
}

static void (*const damages[])(int fd, off_t size) = {no_meta, empty, no_kind, too_many};

/* What is there exists nowhere else: it is not to be written over, and the node is to go on. */
START_TEST(damaged_stores_fail_and_stay_as_they_are)
{
    char room[16], path[96];
    struct stat before, after;
    int64_t sum;
    size_t len;

    set("k", "v", 0);
    ck_assert_int_eq(brim_kv_sync(kv), BRIM_OK);
    brim_kv_close(kv);
    damage_file(damages[_i]);
    snprintf(path, sizeof(path), "%s/data.mdb", folder);
    ck_assert_int_eq(stat(path, &before), 0);
    for (unsigned round = 0; round < 2; round++) { /* the next process finds it as it is, too */
        open_kv(16 * MIB);
        ck_assert_int_eq(
            brim_kv_get(kv, NAME, NOW, (struct brim_kv_room){room, sizeof(room)}, &len),
            BRIM_ECORRUPT);
        ck_assert_int_eq(brim_kv_set(kv, NAME, BRIM_STR("new"), 0), BRIM_ECORRUPT);
        ck_assert_int_eq(brim_kv_delete(kv, NAME), BRIM_ECORRUPT);
        ck_assert_int_eq(
            brim_kv_incr(kv, NAME, &(struct brim_kv_step){.n = 1, .now_wall_ms = NOW}, &sum),
            BRIM_ECORRUPT);
        ck_assert_int_eq(brim_metric_read(BRIM_METRIC_KV_DAMAGED), 1);
        brim_kv_close(kv);
    }
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
    ck_assert_int_eq(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    kv = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache.kv");
    TCase *tcase = tcase_create("kv");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_write_is_seen_at_once_and_after_a_restart);
    tcase_add_test(tcase, what_expired_is_not_there);
    tcase_add_test(tcase, a_value_longer_than_the_room_says_its_length);
    tcase_add_test(tcase, numbers_are_added_to);
    tcase_add_test(tcase, a_list_merges_what_waits_with_what_is_stored);
    tcase_add_test(tcase, a_list_of_many_steps_misses_no_key);
    tcase_add_test(tcase, a_list_of_damaged_rows_ends);
    tcase_add_test(tcase, no_step_of_many_threads_is_lost);
    tcase_add_test(tcase, full_stores_refuse_and_deleting_makes_room);
    tcase_add_test(tcase, who_was_killed_while_it_read_does_not_fill_the_store);
    tcase_add_test(tcase, who_drains_goes_on_when_its_successor_has_a_larger_map);
    tcase_add_test(tcase, what_has_expired_makes_room_for_what_comes);
    tcase_add_test(tcase, what_was_written_since_is_not_swept);
    tcase_add_test(tcase, names_are_checked);
    tcase_add_loop_test(tcase, damaged_stores_fail_and_stay_as_they_are, 0,
                        sizeof(damages) / sizeof(damages[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
