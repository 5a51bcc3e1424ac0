/* SPDX-License-Identifier: MIT */
#include "brim/cache/remember.h"

#include "cache_disk_fixture.h"

#define QUOTA     (64ull * FIXTURE_MIB)
#define HOT_BYTES (4ull * FIXTURE_MIB)
#define HOUR_MS   3600000u

static struct brim_hot *hot;
static struct brim_purge *purge;

static void open_hot(void)
{
    ck_assert_int_eq(brim_hot_open(HOT_BYTES, 2, &hot), BRIM_OK);
}

static void setup(void)
{
    fixture_setup();
    fixture_open(QUOTA);
    ck_assert_int_eq(brim_purge_open(1000, &purge), BRIM_OK);
    open_hot();
}

static void teardown(void)
{
    brim_hot_close(hot);
    brim_purge_close(purge);
    fixture_teardown();
}

static void (*before_promoting)(const struct brim_locator *locator, struct brim_object *object);

/* As the cache does, but for the turn of its key: nobody else is here. */
static bool promote(const struct brim_locator *locator, struct brim_object *object, void *ctx)
{
    bool is_current;

    if (before_promoting != NULL)
        before_promoting(locator, object);
    is_current = brim_disk_is_current(fx.disk, locator);
    if (is_current)
        brim_hot_promote(ctx, object);
    return is_current;
}

static struct brim_remember *open_remember(uint64_t file_bytes)
{
    struct brim_remember_config config = {.path = fx.dir,
                                          .interval_ms = HOUR_MS,
                                          .file_bytes_max = file_bytes,
                                          .hot_bytes_max = HOT_BYTES,
                                          .hot = hot,
                                          .disk = fx.disk,
                                          .purge = purge,
                                          .promote = promote,
                                          .ctx = hot};
    struct brim_remember *remember;

    ck_assert_int_eq(brim_remember_open(&config, &remember), BRIM_OK);
    return remember;
}

/* As after a restart: nothing is in RAM but what the file brings back. */
static void restart(uint64_t file_bytes)
{
    struct brim_remember *remember;

    brim_hot_close(hot);
    open_hot();
    remember = open_remember(file_bytes);
    brim_remember_wait(remember);
    brim_remember_close(remember);
}

static bool is_hot(unsigned id)
{
    char buffer[64];
    struct brim_key key = brim_key_of(fixture_text(id, buffer));
    struct brim_object *object = brim_hot_get(hot, &key);

    if (object != NULL)
        brim_object_unref(object);
    return object != NULL;
}

/* In both tiers, and asked for `uses` times. */
static void store(unsigned id, unsigned uses)
{
    struct brim_object *object = fixture_object(id, 1000);

    brim_disk_put(fx.disk, object);
    atomic_store(&object->on_disk, 1);
    brim_hot_put(hot, object);
    brim_object_unref(object);
    for (unsigned i = 0; i < uses; i++)
        ck_assert(is_hot(id));
}

static void file_path(char path[128])
{
    snprintf(path, 128, "%s/" BRIM_REMEMBER_FILE, fx.dir);
}

static void write_file(void)
{
    brim_disk_flush(fx.disk);
    brim_remember_close(open_remember(65536));
}

START_TEST(what_was_hot_is_hot_again)
{
    for (unsigned id = 0; id < 100; id++)
        store(id, 1);
    write_file();
    restart(65536);
    for (unsigned id = 0; id < 100; id++)
        ck_assert(is_hot(id));
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_HOT_REMEMBERED), 100);
}
END_TEST

/* The file is bounded, and then holds what is used most. */
START_TEST(the_most_used_come_first)
{
    struct brim_digest digests[8];
    struct stat info;
    char path[128];

    for (unsigned id = 0; id < 100; id++)
        store(id, id % 10 == 0 ? 3 : 0);
    ck_assert_uint_eq(brim_hot_list(hot, digests, 8), 8);
    for (unsigned i = 0; i < 8; i++) {
        bool is_used = false;

        for (unsigned id = 0; id < 100; id += 10)
            is_used |= brim_digest_is(digests[i], fixture_digest(id));
        ck_assert(is_used);
    }
    brim_disk_flush(fx.disk);
    brim_remember_close(open_remember(24 + 10 * 16));
    file_path(path);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_size, 24 + 10 * 16);
    restart(65536);
    for (unsigned id = 0; id < 100; id++)
        ck_assert_int_eq(is_hot(id), id % 10 == 0);
}
END_TEST

/* RAM alone holds it, or it has gone meanwhile: nothing is brought back, nothing breaks. */
START_TEST(what_is_gone_stays_gone)
{
    struct brim_purge_epoch epoch;
    char buffer[64];
    struct brim_object *object = fixture_object(3, 1000);

    store(1, 1);
    store(2, 1);
    brim_hot_put(hot, object); /* not on disk */
    brim_object_unref(object);
    write_file();
    brim_disk_drop(fx.disk, fixture_digest(1));
    brim_disk_flush(fx.disk);
    brim_purge_put(purge, brim_purge_scope_url(fixture_text(2, buffer)), BRIM_PURGE_HARD, &epoch);
    restart(65536);
    ck_assert(!is_hot(1) && !is_hot(2) && !is_hot(3));
}
END_TEST

static void forget(const struct brim_locator *locator, struct brim_object *object)
{
    ck_assert_ptr_null(brim_hot_get(hot, &object->key)); /* nobody is given it yet */
    brim_disk_drop(fx.disk, locator->digest);
}

/* Not even for a moment: who forgets a key, or replaces what stands there, has told those who asked
 * since then what is newer. */
START_TEST(what_is_forgotten_while_it_is_read_is_not_brought_back)
{
    store(1, 1);
    write_file();
    before_promoting = forget;
    restart(65536);
    ck_assert(!is_hot(1));
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_HOT_REMEMBERED), 0);
}
END_TEST

static const struct {
    off_t cut_to;  /* -1: as it is */
    off_t flip_at; /* -1: none */
    off_t grow_to; /* -1: as it is */
} damages[] = {{0, -1, -1}, {7, -1, -1},  {24, -1, -1},  {100, -1, -1},  {-1, 0, -1},
               {-1, 9, -1}, {-1, 20, -1}, {-1, -1, 200}, {-1, -1, 70000}};

START_TEST(a_damaged_file_is_ignored)
{
    char path[128], byte;
    int fd;

    for (unsigned id = 0; id < 10; id++)
        store(id, 1);
    write_file();
    file_path(path);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    if (damages[_i].cut_to >= 0)
        ck_assert_int_eq(ftruncate(fd, damages[_i].cut_to), 0);
    if (damages[_i].grow_to >= 0)
        ck_assert_int_eq(ftruncate(fd, damages[_i].grow_to), 0);
    if (damages[_i].flip_at >= 0) {
        ck_assert_int_eq(pread(fd, &byte, 1, damages[_i].flip_at), 1);
        byte ^= 1;
        ck_assert_int_eq(pwrite(fd, &byte, 1, damages[_i].flip_at), 1);
    }
    close(fd);
    restart(65536);
    ck_assert(!is_hot(1));
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_HOT_REMEMBERED), 0);
}
END_TEST

/* Neither a directory nor a link to elsewhere is read or written through. */
START_TEST(a_foreign_file_is_ignored)
{
    char path[128];

    file_path(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    restart(65536);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    restart(65536);
    restart(65536); /* has replaced the link */
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_HOT_REMEMBERED), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_remember");
    TCase *tc = tcase_create("remember");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_hot_is_hot_again);
    tcase_add_test(tc, the_most_used_come_first);
    tcase_add_test(tc, what_is_gone_stays_gone);
    tcase_add_test(tc, what_is_forgotten_while_it_is_read_is_not_brought_back);
    tcase_add_loop_test(tc, a_damaged_file_is_ignored, 0,
                        (int)(sizeof(damages) / sizeof(damages[0])));
    tcase_add_test(tc, a_foreign_file_is_ignored);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
