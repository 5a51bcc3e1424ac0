/* SPDX-License-Identifier: MIT */
#include "brim/cache/reader.h"

#include <sched.h>

#include "bodies.h"
#include "brim/base/metric.h"
#include "fake_disk.h"

enum { KIB = 1024 };

static struct brim_disk *disk;
static struct brim_pool *pool;
static struct bell bell;
static uint8_t scratch[1024 * KIB];

static void setup(void)
{
    struct brim_pool_limits limits = {.threads = 2, .queue_max = 64};
    struct brim_disk_config config = {.path = "fake"};

    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    ck_assert_int_eq(brim_disk_open(&config, &disk), BRIM_OK);
    bell_init(&bell);
}

static void teardown(void)
{
    brim_pool_close(pool);
    brim_disk_close(disk);
    bell_fini(&bell);
    fake_wipe();
}

/* A body of len bytes that is on the fake disk in pieces of piece bytes. */
static struct brim_body *body_on_disk(size_t len, size_t piece)
{
    struct brim_extent extents[256];
    size_t count = 0;

    for (size_t at = 0; at < len; at += piece, count++) {
        size_t n = len - at < piece ? len - at : piece;

        fill_bytes(scratch, at, n);
        ck_assert_int_eq(
            brim_disk_append(disk, (struct brim_digest){1, 1}, scratch, n, &extents[count]),
            BRIM_OK);
    }
    return brim_body_on_disk(extents, count);
}

static struct brim_body *body_in_ram(size_t len)
{
    fill_bytes(scratch, 0, len);
    return brim_body_from(scratch, len);
}

static enum brim_err open_reader(struct brim_reader *reader, struct brim_body *body,
                                 uint64_t offset, uint64_t length)
{
    const struct brim_load_from from = {disk, pool, &bell.port, NULL};

    return brim_reader_init(reader, body, offset, length, &from);
}

/* Reads to the end in steps of max bytes, waits where told; returns the position behind. */
static uint64_t read_all(struct brim_reader *reader, uint64_t offset, size_t max,
                         enum brim_reader_got *got_out)
{
    struct brim_str iov[BRIM_READER_IOV_MAX];
    size_t count;

    for (;;) {
        size_t sum = 0;

        *got_out = brim_reader_next(reader, max, iov, &count);
        if (*got_out == BRIM_READER_WAIT) {
            bell_wait(&bell);
            continue;
        }
        if (*got_out != BRIM_READER_DATA)
            return offset;
        ck_assert_uint_gt(count, 0);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_gt(iov[i].len, 0);
            ck_assert(bytes_are(iov[i].base, offset, iov[i].len));
            offset += iov[i].len;
            sum += iov[i].len;
        }
        ck_assert_uint_le(sum, max);
    }
}

/* Every range of a stored body, from RAM and from a cold disk, in steps of any size. */
START_TEST(ranges_are_exact_from_both_tiers)
{
    struct brim_body *bodies[] = {body_in_ram(100000), body_on_disk(100000, 30000)};
    const uint64_t ranges[][2] = {{0, UINT64_MAX}, {0, 100000}, {0, 1},         {29999, 2},
                                  {30000, 30000},  {99999, 1},  {50000, 50000}, {7, 0}};
    struct brim_reader reader;
    enum brim_reader_got got;

    for (size_t b = 0; b < 2; b++) {
        for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
            for (size_t max = 900; max < 300000; max *= 7) {
                uint64_t from = ranges[r][0];
                uint64_t end = ranges[r][1] == UINT64_MAX ? 100000 : from + ranges[r][1];

                fake_chill();
                ck_assert_int_eq(open_reader(&reader, bodies[b], from, ranges[r][1]), BRIM_OK);
                ck_assert_uint_eq(read_all(&reader, from, max, &got), end);
                ck_assert_int_eq(got, BRIM_READER_END);
                ck_assert(brim_reader_is_done(&reader));
                brim_reader_fini(&reader);
                brim_reader_fini(&reader); /* idempotent */
            }
        }
        brim_body_unref(bodies[b]);
    }
}
END_TEST

/* Each extent is read and verified once, however small the steps of the client are. */
START_TEST(small_steps_do_not_read_an_extent_twice)
{
    struct brim_body *body = body_on_disk(60000, 30000);
    struct brim_str iov[BRIM_READER_IOV_MAX];
    struct brim_reader reader;
    size_t count;

    ck_assert_int_eq(open_reader(&reader, body, 0, UINT64_MAX), BRIM_OK);
    ck_assert_int_eq(brim_reader_next(&reader, 1000, iov, &count), BRIM_READER_WAIT);
    bell_wait(&bell);
    for (int i = 0; i < 30; i++) {
        fake_chill();
        ck_assert_int_eq(brim_reader_next(&reader, 1000, iov, &count), BRIM_READER_DATA);
    }
    fake_chill();
    ck_assert_int_eq(brim_reader_next(&reader, 1000, iov, &count), BRIM_READER_WAIT);
    brim_reader_fini(&reader);
    brim_body_unref(body);
}
END_TEST

/* A promise of Content-Length that the body does not keep must be visible to the client. */
START_TEST(range_beyond_the_end_fails_after_what_is_there)
{
    struct brim_body *body = body_in_ram(1000);
    struct brim_reader reader;
    enum brim_reader_got got;

    ck_assert_int_eq(open_reader(&reader, body, 500, 1000), BRIM_OK);
    ck_assert_uint_eq(read_all(&reader, 500, 4096, &got), 1000);
    ck_assert_int_eq(got, BRIM_READER_FAILED);
    brim_reader_fini(&reader);
    brim_body_unref(body);
}
END_TEST

/* A damaged extent ends the response as a failure: never with wrong bytes, never silently. */
START_TEST(unreadable_extent_fails)
{
    struct brim_body *body = body_on_disk(60000, 30000);
    struct brim_reader reader;
    enum brim_reader_got got;

    ck_assert_int_eq(open_reader(&reader, body, 0, UINT64_MAX), BRIM_OK);
    fake.read_err = BRIM_ECORRUPT;
    ck_assert_uint_eq(read_all(&reader, 0, 65536, &got), 0);
    ck_assert_int_eq(got, BRIM_READER_FAILED);
    fake.read_err = BRIM_OK;
    brim_reader_fini(&reader);
    brim_body_unref(body);
}
END_TEST

/* A client that goes away in the middle of a cold read. */
START_TEST(reader_may_leave_while_the_disk_is_read)
{
    struct brim_body *body = body_on_disk(60000, 30000);
    struct brim_str iov[BRIM_READER_IOV_MAX];
    struct brim_reader reader;
    size_t count;

    for (int i = 0; i < 200; i++) {
        fake_chill();
        ck_assert_int_eq(open_reader(&reader, body, 0, UINT64_MAX), BRIM_OK);
        /* DATA where the read of the round before has ended after the chill */
        ck_assert_int_le(brim_reader_next(&reader, 1000, iov, &count), BRIM_READER_WAIT);
        if (i % 2 == 0)
            sched_yield();
        brim_reader_fini(&reader);
    }
    brim_body_unref(body);
}
END_TEST

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void run_gate(struct brim_job *job)
{
    (void)job;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

/* A saturated disk slows a response down; it neither breaks it nor blocks the loop. */
START_TEST(full_pool_is_asked_again)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 1};
    struct brim_body *body = body_on_disk(60000, 30000);
    struct brim_job jobs[3] = {{.run = run_gate}, {.run = run_gate}, {.run = run_gate}};
    struct brim_str iov[BRIM_READER_IOV_MAX];
    struct brim_reader reader;
    struct brim_pool *small;
    enum brim_reader_got got;
    size_t count;
    int queued = 0;

    ck_assert_int_eq(brim_pool_open(&limits, &small), BRIM_OK);
    pthread_mutex_lock(&gate);
    while (queued < 2) /* one runs, one waits: full */
        queued += brim_pool_submit(small, BRIM_JOB_READ, &jobs[queued]) == BRIM_OK;
    ck_assert_int_eq(brim_reader_init(&reader, body, 0, UINT64_MAX,
                                      &(struct brim_load_from){disk, small, &bell.port, NULL}),
                     BRIM_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(brim_reader_next(&reader, 1000, iov, &count), BRIM_READER_WAIT);
        bell_wait(&bell);
    }
    pthread_mutex_unlock(&gate);
    ck_assert_uint_eq(read_all(&reader, 0, 65536, &got), 60000);
    ck_assert_int_eq(got, BRIM_READER_END);
    brim_reader_fini(&reader);
    brim_pool_close(small);
    brim_body_unref(body);
}
END_TEST

/* ---- growing ---- */

struct writer {
    struct brim_body *body;
    size_t total;
    struct bell drained;
    bool fails;
};

static void on_drained(void *ctx)
{
    brim_port_fire(&((struct bell *)ctx)->port);
}

static void *write_along(void *ctx)
{
    struct writer *writer = ctx;
    uint8_t *bytes = malloc(50000);
    uint64_t seed = writer->total;
    size_t at = 0;

    while (at < writer->total) {
        size_t len = random_of(&seed) % 50000 + 1;

        len = len < writer->total - at ? len : writer->total - at;
        fill_bytes(bytes, at, len);
        if (brim_body_append(writer->body, bytes, len) == BRIM_EAGAIN)
            bell_wait(&writer->drained);
        at += len;
        if (random_of(&seed) % 3 == 0)
            sched_yield();
    }
    if (writer->fails)
        brim_body_fail(writer->body, BRIM_ECLOSED);
    else
        brim_body_finish(writer->body);
    free(bytes);
    return NULL;
}

static void run_growing(struct writer *writer, enum brim_body_mode mode, uint64_t offset)
{
    struct brim_reader reader;
    enum brim_reader_got got;
    pthread_t thread;

    writer->body = brim_body_new(BRIM_BODY_LENGTH_UNKNOWN);
    bell_init(&writer->drained);
    if (mode != BRIM_BODY_KEEP)
        brim_body_set_mode(writer->body, mode, 64 * KIB);
    brim_body_set_hooks(writer->body,
                        &(struct brim_body_hooks){on_drained, NULL, &writer->drained});
    ck_assert_int_eq(open_reader(&reader, writer->body, offset, UINT64_MAX), BRIM_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_along, writer), 0);
    ck_assert_uint_eq(read_all(&reader, offset, 20000, &got), writer->total);
    ck_assert_int_eq(got, writer->fails ? BRIM_READER_FAILED : BRIM_READER_END);
    pthread_join(thread, NULL);
    brim_body_set_hooks(writer->body, NULL);
    brim_reader_fini(&reader);
    brim_body_unref(writer->body);
    bell_fini(&writer->drained);
}

/* No wake-up may be lost: a reader that sleeps for ever is a request that hangs. */
START_TEST(reader_follows_a_growing_body_to_its_end)
{
    for (size_t round = 0; round < 20; round++) {
        run_growing(&(struct writer){.total = 300000 + round}, BRIM_BODY_KEEP, 0);
        run_growing(&(struct writer){.total = 300000 + round}, BRIM_BODY_WINDOW, 0);
        run_growing(&(struct writer){.total = 300000 + round}, BRIM_BODY_WINDOW, 200000);
    }
}
END_TEST

/* The origin broke off: everything that came, then the truth. */
START_TEST(reader_of_a_body_that_fails_gets_the_front_and_the_failure)
{
    run_growing(&(struct writer){.total = 300000, .fails = true}, BRIM_BODY_KEEP, 0);
    run_growing(&(struct writer){.total = 300000, .fails = true}, BRIM_BODY_WINDOW, 0);
}
END_TEST

/* Late to a pass: its front is gone, and that is said before a byte is sent. */
START_TEST(reader_of_a_window_that_moved_on_is_refused)
{
    struct brim_body *body = brim_body_new(BRIM_BODY_LENGTH_UNKNOWN);
    struct brim_reader reader, late;
    struct brim_str iov[BRIM_READER_IOV_MAX];
    size_t count;

    brim_body_set_mode(body, BRIM_BODY_WINDOW, 64 * KIB);
    ck_assert_int_eq(open_reader(&reader, body, 0, UINT64_MAX), BRIM_OK);
    for (int i = 0; i < 20; i++) {
        fill_bytes(scratch, (uint64_t)i * 20000, 20000);
        ck_assert_int_eq(brim_body_append(body, scratch, 20000), BRIM_OK);
        ck_assert_int_eq(brim_reader_next(&reader, 100000, iov, &count), BRIM_READER_DATA);
    }
    ck_assert_int_eq(open_reader(&late, body, 0, UINT64_MAX), BRIM_ENOENT);
    brim_reader_fini(&late);
    brim_reader_fini(&reader);
    brim_body_fail(body, BRIM_ECLOSED);
    brim_body_unref(body);
}
END_TEST

/* What a client makes the node hold by reading slowly is counted as the client's: the extent that
 * is read for it, before it is read; and the window of what is not stored, of which each reader has
 * its share. */
START_TEST(memory_held_for_a_reader_is_told)
{
    struct brim_body *stored = body_on_disk(60000, 30000), *passed = brim_body_new(UINT64_MAX);
    struct brim_ledger *ledger = brim_ledger_open(0);
    struct brim_reader disk_reader, first, second;
    struct brim_str iov[BRIM_READER_IOV_MAX];
    size_t count;

    ck_assert_int_eq(open_reader(&disk_reader, stored, 0, UINT64_MAX), BRIM_OK);
    ck_assert_uint_eq(brim_reader_memory(&disk_reader), 60000 + BRIM_CHUNK_OVERHEAD);
    fake_chill();
    while (brim_reader_next(&disk_reader, 1000, iov, &count) == BRIM_READER_WAIT)
        bell_wait(&bell);
    ck_assert_uint_eq(brim_reader_memory(&disk_reader), 60000 + BRIM_CHUNK_OVERHEAD);
    brim_reader_fini(&disk_reader);
    ck_assert_uint_eq(brim_reader_memory(&disk_reader), 0);

    brim_body_set_ledger(passed, ledger);
    brim_body_set_mode(passed, BRIM_BODY_WINDOW, 64 * KIB);
    ck_assert_int_eq(open_reader(&first, passed, 0, UINT64_MAX), BRIM_OK);
    while (brim_body_append(passed, scratch, 10000) == BRIM_OK)
        ;
    ck_assert_uint_gt(brim_reader_memory(&first), 64 * KIB);
    ck_assert_int_eq((int64_t)brim_reader_memory(&first), brim_ledger_held(ledger));
    ck_assert_int_eq(open_reader(&second, passed, 0, UINT64_MAX), BRIM_OK);
    ck_assert_int_eq((int64_t)brim_reader_memory(&second), brim_ledger_held(ledger) / 2);
    brim_reader_fini(&first);
    brim_reader_fini(&second);
    brim_body_finish(passed);
    brim_body_unref(passed);
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    brim_ledger_close(ledger);
    brim_body_unref(stored);
}
END_TEST

/* Who is refused is told before a byte is sent; who reads already reads on, whatever others do. */
START_TEST(reading_from_disk_is_refused_when_clients_hold_all)
{
    struct brim_ledger *ledger = brim_ledger_open(100000);
    struct brim_body *bodies[2] = {body_on_disk(60000, 30000), body_on_disk(60000, 30000)};
    struct brim_reader readers[2];
    struct brim_str iov[BRIM_READER_IOV_MAX];
    int64_t refused = brim_metric_read(BRIM_METRIC_MEMORY_REFUSED_READ);
    size_t count;

    for (int i = 0; i < 2; i++)
        brim_body_set_ledger(bodies[i], ledger);
    ck_assert_int_eq(open_reader(&readers[0], bodies[0], 0, UINT64_MAX), BRIM_OK);
    ck_assert_int_eq(open_reader(&readers[1], bodies[1], 0, UINT64_MAX), BRIM_ENOSPC);
    brim_reader_fini(&readers[1]);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_MEMORY_REFUSED_READ), refused + 1);
    while (brim_reader_next(&readers[0], 100000, iov, &count) == BRIM_READER_WAIT)
        bell_wait(&bell);
    ck_assert_uint_gt(count, 0);
    brim_reader_fini(&readers[0]);
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    ck_assert_int_eq(open_reader(&readers[1], bodies[1], 0, UINT64_MAX), BRIM_OK);
    brim_reader_fini(&readers[1]);
    for (int i = 0; i < 2; i++)
        brim_body_unref(bodies[i]);
    brim_ledger_close(ledger);
}
END_TEST

/* A chunk that has gone to disk, and from the body, is there for the one who is still sending it.
 */
START_TEST(chunk_that_its_body_has_let_go_is_the_readers)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_extent extent = {.length = 32 * KIB};
    struct brim_str iov[BRIM_READER_IOV_MAX];
    struct brim_chunk *chunk;
    struct brim_reader reader;
    size_t count, len;

    brim_body_set_mode(body, BRIM_BODY_SPILL, 128 * KIB);
    ck_assert_int_eq(open_reader(&reader, body, 0, UINT64_MAX), BRIM_OK);
    ck_assert_int_eq(brim_body_append(body, scratch, 64 * KIB), BRIM_OK);
    ck_assert_int_eq(brim_reader_next(&reader, 1000, iov, &count), BRIM_READER_DATA);
    ck_assert_int_eq(brim_body_spill_take(body, 1, 32 * KIB, &chunk, &len), BRIM_OK);
    extent.length = (uint32_t)len;
    ck_assert_int_eq(brim_body_spill_done(body, &extent), BRIM_OK);
    brim_chunk_unref(chunk);
    ck_assert_uint_ge(brim_reader_memory(&reader), 16 * KIB);
    brim_reader_fini(&reader);
    brim_body_fail(body, BRIM_ECLOSED);
    brim_body_unref(body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/reader");
    TCase *tc = tcase_create("reader");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, ranges_are_exact_from_both_tiers);
    tcase_add_test(tc, small_steps_do_not_read_an_extent_twice);
    tcase_add_test(tc, range_beyond_the_end_fails_after_what_is_there);
    tcase_add_test(tc, unreadable_extent_fails);
    tcase_add_test(tc, reader_may_leave_while_the_disk_is_read);
    tcase_add_test(tc, full_pool_is_asked_again);
    tcase_add_test(tc, reader_follows_a_growing_body_to_its_end);
    tcase_add_test(tc, reader_of_a_body_that_fails_gets_the_front_and_the_failure);
    tcase_add_test(tc, reader_of_a_window_that_moved_on_is_refused);
    tcase_add_test(tc, memory_held_for_a_reader_is_told);
    tcase_add_test(tc, reading_from_disk_is_refused_when_clients_hold_all);
    tcase_add_test(tc, chunk_that_its_body_has_let_go_is_the_readers);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
