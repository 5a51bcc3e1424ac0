/* SPDX-License-Identifier: MIT */
/*
 * The disk tier as the cache sees it: what was put comes back whole or not at all, whatever happens
 * to the process, the bytes, the device and the quota in between.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "cache_disk_fixture.h"

#define QUOTA (64 * FIXTURE_MIB)

/* The point of a disk tier. Sizes around the borders of inline, one piece and several. */
START_TEST(objects_come_back_whole_also_after_reopening)
{
    static const size_t sizes[] = {0,
                                   1,
                                   63,
                                   4096,
                                   BRIM_EXTENT_BODY_MAX - 1,
                                   BRIM_EXTENT_BODY_MAX,
                                   BRIM_EXTENT_BODY_MAX + 1,
                                   3 * BRIM_EXTENT_BODY_MAX,
                                   5 * FIXTURE_MIB + 12345};
    const unsigned count = sizeof(sizes) / sizeof(sizes[0]);

    fixture_open(QUOTA);
    for (unsigned i = 0; i < count; i++)
        fixture_put(i, sizes[i]);
    brim_disk_flush(fx.disk);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < count; i++)
            ck_assert_int_eq(fixture_verify(i, sizes[i]), BRIM_OK);
        ck_assert_int_eq(fixture_verify(count, 1), BRIM_ENOENT);
        ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), count);
        fixture_close();
        fixture_open(QUOTA);
    }
}
END_TEST

/* Without its marker a resource that varies is never found again after a restart. */
START_TEST(vary_markers_come_back)
{
    struct brim_object *marker, *found;

    fixture_open(QUOTA);
    marker = fixture_object_with(1, NULL);
    brim_disk_put(fx.disk, marker);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_load(1, &found), BRIM_OK);
    ck_assert_int_eq(found->kind, BRIM_OBJECT_VARY);
    ck_assert_ptr_null(found->body);
    ck_assert_uint_eq(found->fields.count, 1);
    brim_object_unref(found);
    brim_object_unref(marker);
}
END_TEST

/* A body that spilled while it arrived is already on disk: only its metadata is written. */
START_TEST(spilled_bodies_are_named_not_copied)
{
    const size_t len = 2 * BRIM_EXTENT_BODY_MAX + 777;
    struct brim_extent extents[3];
    uint8_t *bytes = fixture_bytes(7, len);

    fixture_open(QUOTA);
    for (unsigned i = 0; i < 3; i++) {
        size_t offset = (size_t)i * BRIM_EXTENT_BODY_MAX;
        size_t n = i < 2 ? BRIM_EXTENT_BODY_MAX : 777;
        ck_assert_int_eq(
            brim_disk_append(fx.disk, fixture_digest(7), bytes + offset, n, &extents[i]), BRIM_OK);
    }
    struct brim_body *body = brim_body_on_disk(extents, 3);
    struct brim_object *object = fixture_object_with(7, body);
    brim_disk_put(fx.disk, object);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(7, len), BRIM_OK);
    brim_object_unref(object);
    brim_body_unref(body);
    free(bytes);
}
END_TEST

/* What waits to be written is held for clients once RAM lets it go: it does not wait while they
 * hold much themselves. What stood in its place is gone, as it is older. */
START_TEST(nothing_waits_while_clients_hold_much)
{
    struct brim_ledger *ledger = brim_ledger_open(1000);
    struct brim_disk_config config;

    fixture_open_pool();
    config = fixture_config(QUOTA);
    config.ledger = ledger;
    ck_assert_int_eq(brim_disk_open(&config, &fx.disk), BRIM_OK);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    brim_ledger_hold(ledger, 501);
    fixture_put(1, 200);
    fixture_put(2, 200);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 100), BRIM_ENOENT);
    ck_assert_int_eq(fixture_verify(1, 200), BRIM_ENOENT);
    ck_assert_int_eq(fixture_verify(2, 200), BRIM_ENOENT);
    brim_ledger_hold(ledger, -501);
    fixture_put(2, 200);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(2, 200), BRIM_OK);
    fixture_close();
    brim_ledger_close(ledger);
}
END_TEST

/* A warm read stays on the loop; one that cannot be told to be warm goes to the pool. */
START_TEST(nowait_gives_the_object_or_says_not_now)
{
    struct brim_locator locator;
    struct brim_object *object;

    fixture_open(QUOTA);
    fixture_put(1, 5000);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_OK);
    enum brim_err err = brim_disk_load(fx.disk, &locator, BRIM_DISK_NOWAIT, &object);
    ck_assert(err == BRIM_OK || err == BRIM_EAGAIN);
    if (object != NULL)
        brim_object_unref(object);
    ck_assert_int_eq(fixture_verify(1, 5000), BRIM_OK);
}
END_TEST

static char *only_segment(void)
{
    static char path[600];
    char dir[128];
    struct dirent *entry;

    snprintf(dir, sizeof(dir), "%s/segments", fx.dir);
    DIR *listing = opendir(dir);
    ck_assert_ptr_nonnull(listing);
    path[0] = '\0';
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] != '.')
            snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
    }
    closedir(listing);
    return path;
}

/* A disk may return anything. Every byte of an extent is flipped: never a wrong body, no crash. */
START_TEST(no_flipped_byte_is_ever_served)
{
    const size_t len = 300;
    struct brim_locator locator;
    unsigned found = 0, exact = 0;
    uint8_t byte;

    fixture_open(QUOTA);
    fixture_put(1, len);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_OK);
    int fd = open(only_segment(), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    for (off_t i = 0; i < (off_t)(64 + locator.meta.length); i++) {
        off_t at = (off_t)locator.meta.offset + i;
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x41;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        enum brim_err err = fixture_verify(1, len);
        ck_assert(err == BRIM_ECORRUPT);
        found++;
        byte ^= 0x41;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        brim_disk_flush(fx.disk);
        ck_assert_int_eq(fixture_verify(1, len), BRIM_ENOENT); /* the record was dropped */
        fixture_put(1, len);
        brim_disk_flush(fx.disk);
        ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_OK);
        exact++;
    }
    close(fd);
    ck_assert_uint_gt(found, 300);
    ck_assert_uint_eq(found, exact);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_CORRUPT), found);
}
END_TEST

/* The same for a file that was cut, as some file systems leave it after a power cut. */
START_TEST(a_truncated_segment_gives_no_wrong_body)
{
    const size_t len = 200;
    struct brim_locator locator;

    fixture_open(QUOTA);
    fixture_put(1, len);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_disk_locate(fx.disk, fixture_digest(1), &locator), BRIM_OK);
    fixture_close();
    for (int cut = (int)locator.meta.length + 63; cut >= 0; cut -= 7) {
        ck_assert_int_eq(truncate(only_segment(), (off_t)locator.meta.offset + cut), 0);
        fixture_open(QUOTA);
        enum brim_err err = fixture_verify(1, len);
        ck_assert(err == BRIM_ECORRUPT || err == BRIM_ENOENT);
        fixture_put(2, len); /* and it goes on working */
        brim_disk_flush(fx.disk);
        ck_assert_int_eq(fixture_verify(2, len), BRIM_OK);
        fixture_close();
    }
}
END_TEST

/* An operator may remove what he likes: it is only a cache. */
START_TEST(a_missing_segment_is_a_miss)
{
    fixture_open(QUOTA);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    fixture_close();
    ck_assert_int_eq(unlink(only_segment()), 0);
    fixture_open(QUOTA);
    ck_assert_int_eq(fixture_verify(1, 100), BRIM_ENOENT);
    fixture_put(1, 100);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 100), BRIM_OK);
}
END_TEST

/* What the index does not name does not exist, and must not take room for ever. */
START_TEST(files_that_no_row_names_are_removed)
{
    char path[128];

    fixture_open(QUOTA);
    fixture_close();
    snprintf(path, sizeof(path), "%s/segments/00abcdef.seg", fx.dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    fixture_open(QUOTA);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

static size_t size_of(unsigned id)
{
    return id % 10 == 0 ? BRIM_EXTENT_BODY_MAX + id % 1000 : id * 37 % 20000;
}

/* The child puts objects until it is killed; every 50 it says how many are surely committed. */
static void put_until_killed(int pipe_fd)
{
    fixture_open(QUOTA * 4);
    for (unsigned id = 0;; id++) {
        fixture_put(id, size_of(id));
        if (id % 50 != 49)
            continue;
        brim_disk_flush(fx.disk);
        if (write(pipe_fd, &id, sizeof(id)) != (ssize_t)sizeof(id))
            _exit(1);
    }
}

/* A node dies at any moment: what was committed is there, what is there is right. */
START_TEST(kill_9_loses_only_what_was_not_committed)
{
    unsigned base = 0;

    for (unsigned round = 0; round < 4; round++) {
        unsigned last = 0, there = 0;
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            close(ends[0]);
            put_until_killed(ends[1]);
        }
        close(ends[1]);
        for (unsigned i = 0; i < 3 + round; i++)
            ck_assert_int_eq(read(ends[0], &last, sizeof(last)), sizeof(last));
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        close(ends[0]);

        /* In a child again: LMDB must not be carried over the next fork. */
        pid = fork();
        if (pid == 0) {
            fixture_open(QUOTA * 4);
            for (unsigned id = 0; id <= last + 500; id++) {
                enum brim_err err = fixture_verify(id, size_of(id));
                if (id <= last)
                    ck_assert_msg(err == BRIM_OK, "object %u: %s", id, brim_err_name(err));
                else
                    ck_assert_msg(err == BRIM_OK || err == BRIM_ENOENT, "object %u: %s", id,
                                  brim_err_name(err));
                there += err == BRIM_OK;
            }
            ck_assert_uint_gt(there, last);
            ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_CORRUPT), 0);
            fixture_close();
            _exit(0);
        }
        int status = 0;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        base += last;
    }
    ck_assert_uint_gt(base, 0);
}
END_TEST

struct poller {
    uint64_t quota;
    uint64_t most;
    unsigned polls;
    _Atomic bool stop;
};

static void *poll_usage(void *arg)
{
    struct poller *poller = arg;

    do {
        uint64_t now = fixture_disk_usage();
        if (now > poller->most)
            poller->most = now;
        poller->polls++;
    } while (!atomic_load(&poller->stop));
    return NULL;
}

/* "Never exceeded" is what the configuration says of the quota: not even for a moment. */
START_TEST(the_quota_holds_at_every_moment_of_a_flood)
{
    struct poller poller = {.quota = (_i == 0 ? 4 : 24) * FIXTURE_MIB};
    unsigned there = 0, total = 0;
    pthread_t thread;

    fixture_open(poller.quota);
    ck_assert_int_eq(pthread_create(&thread, NULL, poll_usage, &poller), 0);
    /* Tiny objects let the index grow, large ones the segments. */
    for (unsigned id = 0; id < 20000; id++)
        fixture_put(id, id % 2 == 0 ? 40 : size_of(id));
    brim_disk_flush(fx.disk);
    for (unsigned id = 20000; id < 21000; id++) {
        fixture_put(id, 3000);
        if (id % 100 == 0)
            brim_disk_flush(fx.disk);
    }
    brim_disk_flush(fx.disk);
    atomic_store(&poller.stop, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);

    ck_assert_uint_gt(poller.polls, 0);
    ck_assert_msg(poller.most <= poller.quota, "%llu > %llu", (unsigned long long)poller.most,
                  (unsigned long long)poller.quota);
    ck_assert_int_le(brim_metric_read(BRIM_METRIC_DISK_BYTES), (int64_t)poller.quota);
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_DISK_RETIRED), 0);
    for (unsigned id = 0; id < 21000; id++) {
        size_t len = id >= 20000 ? 3000 : id % 2 == 0 ? 40 : size_of(id);
        enum brim_err err = fixture_verify(id, len);
        ck_assert_msg(err == BRIM_OK || err == BRIM_ENOENT, "%u %s", id, brim_err_name(err));
        there += err == BRIM_OK;
        total++;
    }
    ck_assert_uint_gt(there, 100);
    ck_assert_uint_lt(there, total);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_CORRUPT), 0);
}
END_TEST

/* What people ask for survives a scan of what nobody asks for twice. */
START_TEST(objects_in_use_get_a_second_chance)
{
    unsigned hot = 0, cold = 0;

    fixture_open(16 * FIXTURE_MIB);
    for (unsigned id = 0; id < 100; id++)
        fixture_put(id, 2000);
    brim_disk_flush(fx.disk);
    for (unsigned id = 1000; id < 11000; id++) {
        fixture_put(id, 4000);
        if (id % 10 != 0)
            continue; /* a scan that leaves the retirer its moment: see the last line */
        brim_disk_flush(fx.disk);
        for (unsigned i = 0; i < 50; i++)
            brim_disk_touch(fx.disk, fixture_digest(i));
    }
    brim_disk_flush(fx.disk);
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_DISK_RETIRED), 8);
    for (unsigned id = 0; id < 50; id++)
        hot += fixture_verify(id, 2000) == BRIM_OK;
    for (unsigned id = 50; id < 100; id++)
        cold += fixture_verify(id, 2000) == BRIM_OK;
    ck_assert_uint_eq(cold, 0);
    ck_assert_uint_ge(hot, 45); /* a moment without room may cost some */
}
END_TEST

/* The index must not fill with records of what is gone. */
START_TEST(retired_objects_leave_the_index)
{
    unsigned there = 0;

    fixture_open(8 * FIXTURE_MIB);
    for (unsigned id = 0; id < 4000; id++) {
        fixture_put(id, id % 20 == 0 ? BRIM_EXTENT_BODY_MAX * 2 : 6000);
        if (id % 50 == 0)
            brim_disk_flush(fx.disk);
    }
    brim_disk_flush(fx.disk);
    fixture_close(); /* ends what is being retired at the next start */
    fixture_open(8 * FIXTURE_MIB);
    brim_disk_flush(fx.disk);
    for (unsigned id = 0; id < 4000; id++) {
        struct brim_locator locator;
        there += brim_disk_locate(fx.disk, fixture_digest(id), &locator) == BRIM_OK;
    }
    ck_assert_int_le(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), there + 200);
}
END_TEST

/* Two processes in one directory would eat each other's segments. */
START_TEST(a_second_process_is_refused)
{
    struct brim_disk_config config;
    struct brim_disk *second = NULL;

    fixture_open(QUOTA);
    config = fixture_config(QUOTA);
    ck_assert_int_eq(brim_disk_open(&config, &second), BRIM_EBUSY);
    ck_assert_ptr_null(second);
    fixture_put(1, 10);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 10), BRIM_OK);
}
END_TEST

/* The process that takes over, as it is after the byte has come. Returns its exit status. */
static int take_over(int turn)
{
    struct brim_disk_config config;
    char byte;

    if (read(turn, &byte, 1) != 1)
        return 1;
    fixture_open_pool();
    config = fixture_config(QUOTA);
    if (brim_disk_open(&config, &fx.disk) != BRIM_OK || fixture_verify(1, 1000) != BRIM_OK)
        return 2;
    for (unsigned id = 100; id < 300; id++)
        fixture_put(id, 10000);
    brim_disk_flush(fx.disk);
    if (fixture_verify(299, 10000) != BRIM_OK)
        return 3;
    fixture_close();
    return 0;
}

/* An upgrade: two processes have the directory, one of them only reads. A body that has no record
 * yet is among what it reads, and must not be written over. */
START_TEST(a_released_directory_is_another_ones_to_write)
{
    struct brim_extent piece, refused;
    uint8_t *bytes = fixture_bytes(7, BRIM_EXTENT_BODY_MAX);
    struct brim_purge_epoch epoch = {.scope = brim_purge_scope_reserved(), .hard_seq = 1};
    struct brim_chunk *chunk;
    int turn[2], status;
    pid_t child;

    ck_assert_int_eq(pipe(turn), 0);
    child = fork(); /* before there is an environment of LMDB's, which must not be carried over */
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(take_over(turn[0]));
    fixture_open(QUOTA);
    fixture_put(1, 1000);
    ck_assert_int_eq(
        brim_disk_append(fx.disk, fixture_digest(7), bytes, BRIM_EXTENT_BODY_MAX, &piece), BRIM_OK);
    brim_disk_release(fx.disk);
    ck_assert_int_eq(brim_disk_append(fx.disk, fixture_digest(7), bytes, 10, &refused),
                     BRIM_ENOSPC);
    ck_assert_int_eq(brim_disk_put_epochs(fx.disk, &epoch, 1), BRIM_ECLOSED);
    ck_assert_int_eq(write(turn[1], "g", 1), 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    fixture_put(2, 10);
    brim_disk_drop(fx.disk, fixture_digest(1));
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(2, 10), BRIM_ENOENT);
    ck_assert_int_eq(fixture_verify(1, 1000), BRIM_OK);
    ck_assert_int_eq(brim_disk_read(fx.disk, &piece, BRIM_DISK_WAIT, &chunk), BRIM_OK);
    ck_assert_int_eq(memcmp(brim_chunk_data(chunk), bytes, BRIM_EXTENT_BODY_MAX), 0);
    brim_chunk_unref(chunk);
    free(bytes);
}
END_TEST

/* What cannot work is said at the start, not found out under load. */
START_TEST(directories_and_quotas_of_no_use_are_refused)
{
    struct brim_disk_config config;
    struct brim_disk *disk = NULL;
    char path[128];

    fixture_open_pool();
    config = fixture_config(QUOTA);
    snprintf(path, sizeof(path), "%s/file", fx.dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    config.path = path;
    ck_assert_int_eq(brim_disk_open(&config, &disk), BRIM_EINVAL);
    snprintf(path, sizeof(path), "%s/no/parent", fx.dir);
    ck_assert_int_eq(brim_disk_open(&config, &disk), BRIM_EINVAL);
    config = fixture_config(2 * FIXTURE_MIB);
    ck_assert_int_eq(brim_disk_open(&config, &disk), BRIM_EINVAL);
    ck_assert_ptr_null(disk);
    /* Missing, with its parent there: made, for its owner only. */
    config = fixture_config(4 * FIXTURE_MIB);
    snprintf(path, sizeof(path), "%s/new", fx.dir);
    config.path = path;
    ck_assert_int_eq(brim_disk_open(&config, &disk), BRIM_OK);
    brim_disk_close(disk);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0700);
}
END_TEST

/* A purge that a crash forgets serves purged bytes. */
static unsigned epochs_seen;

static void see_epoch(const struct brim_purge_epoch *epoch, void *ctx)
{
    const struct brim_purge_epoch *want = ctx;

    if (epoch->scope == want->scope && epoch->hard_seq == want->hard_seq &&
        epoch->soft_seq == want->soft_seq)
        epochs_seen++;
}

START_TEST(epochs_survive_kill_9)
{
    struct brim_purge_epoch epoch = {.scope = 77, .hard_seq = 5, .soft_seq = 6};
    pid_t pid = fork();

    if (pid == 0) {
        fixture_open(QUOTA);
        if (brim_disk_put_epochs(fx.disk, &epoch, 1) == BRIM_OK)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    fixture_open(QUOTA);
    ck_assert_int_eq(brim_disk_each_epoch(fx.disk, see_epoch, &epoch), BRIM_OK);
    ck_assert_uint_eq(epochs_seen, 1);
}
END_TEST

/* A full device: nothing is stored, everything is served, and it heals by itself. */
START_TEST(a_full_device_degrades_and_recovers)
{
    struct rlimit limit, tight;

    signal(SIGXFSZ, SIG_IGN);
    fixture_open(QUOTA);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    tight = (struct rlimit){.rlim_cur = FIXTURE_MIB, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    fixture_put(1, 1000); /* the first segment cannot be made */
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 1000), BRIM_ENOENT);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_REFUSED), 1);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_ERRORS), 1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

    fixture_put(1, 1000); /* within the second: not tried */
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 1000), BRIM_ENOENT);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_ERRORS), 1);
    atomic_fetch_add(&fixture_clock_ms, 1000);
    fixture_put(1, 1000);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(fixture_verify(1, 1000), BRIM_OK);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_REFUSED), 2);
}
END_TEST

struct crowd {
    pthread_t thread;
    unsigned seed;
    unsigned wrong;
};

static void *work(void *arg)
{
    struct crowd *me = arg;

    for (unsigned i = 0; i < 1500; i++) {
        unsigned id = (i * 7919 + me->seed * 104729) % 400;
        if (i % 4 == 0)
            fixture_put(id, size_of(id));
        else if (i % 97 == 0)
            brim_disk_drop(fx.disk, fixture_digest(id));
        enum brim_err err = fixture_verify(id, size_of(id));
        if (err != BRIM_OK && err != BRIM_ENOENT)
            me->wrong++;
        brim_disk_touch(fx.disk, fixture_digest(id));
    }
    return NULL;
}

/* Loops, fetchers and the pool are all here at once, while segments retire under them. */
START_TEST(many_threads_see_only_whole_objects)
{
    struct crowd crowd[6] = {0};

    fixture_open(12 * FIXTURE_MIB);
    for (unsigned i = 0; i < 6; i++) {
        crowd[i].seed = i;
        ck_assert_int_eq(pthread_create(&crowd[i].thread, NULL, work, &crowd[i]), 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_int_eq(pthread_join(crowd[i].thread, NULL), 0);
        ck_assert_uint_eq(crowd[i].wrong, 0);
    }
    /* The crowd may be through before the first segment is. */
    for (unsigned id = 0; brim_metric_read(BRIM_METRIC_DISK_RETIRED) == 0; id = (id + 1) % 400) {
        fixture_put(id, size_of(id));
        brim_disk_flush(fx.disk);
    }
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_CORRUPT), 0);
}
END_TEST

/* Gauges that drift are worse than none. */
START_TEST(gauges_are_zero_when_closed)
{
    fixture_open(QUOTA);
    for (unsigned id = 0; id < 100; id++)
        fixture_put(id, 1000);
    brim_disk_flush(fx.disk);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_WRITES), 100);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), 100);
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_DISK_BYTES), 0);
    fixture_close();
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), 0);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_BYTES), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_disk");
    TCase *tc = tcase_create("disk");

    tcase_set_timeout(tc, 280);
    tcase_add_checked_fixture(tc, fixture_setup, fixture_teardown);
    tcase_add_test(tc, objects_come_back_whole_also_after_reopening);
    tcase_add_test(tc, vary_markers_come_back);
    tcase_add_test(tc, spilled_bodies_are_named_not_copied);
    tcase_add_test(tc, nothing_waits_while_clients_hold_much);
    tcase_add_test(tc, nowait_gives_the_object_or_says_not_now);
    tcase_add_test(tc, no_flipped_byte_is_ever_served);
    tcase_add_test(tc, a_truncated_segment_gives_no_wrong_body);
    tcase_add_test(tc, a_missing_segment_is_a_miss);
    tcase_add_test(tc, files_that_no_row_names_are_removed);
    tcase_add_test(tc, kill_9_loses_only_what_was_not_committed);
    tcase_add_loop_test(tc, the_quota_holds_at_every_moment_of_a_flood, 0, 2);
    tcase_add_test(tc, objects_in_use_get_a_second_chance);
    tcase_add_test(tc, retired_objects_leave_the_index);
    tcase_add_test(tc, a_second_process_is_refused);
    tcase_add_test(tc, a_released_directory_is_another_ones_to_write);
    tcase_add_test(tc, directories_and_quotas_of_no_use_are_refused);
    tcase_add_test(tc, epochs_survive_kill_9);
    tcase_add_test(tc, a_full_device_degrades_and_recovers);
    tcase_add_test(tc, many_threads_see_only_whole_objects);
    tcase_add_test(tc, gauges_are_zero_when_closed);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
