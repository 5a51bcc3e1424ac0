/* SPDX-License-Identifier: MIT */
/*
 * Segments by themselves: extents, the account of the quota, faults of the device, retirement; and
 * the header that stands in front of every extent.
 */
#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/health.h"
#include "brim/cache/segment.h"
#include "brim/cache/sketch.h"
#include "folder.h"
#include "unit.h"

#define KIB     1024u
#define SEGMENT (64u * KIB)

static char dir[64];
static char index_dir[96];
static char segment_dir[96];
static struct brim_index *ix;
static struct brim_segments *segs;
static _Atomic unsigned pressures;
static _Atomic uint64_t clock_ms = 5000;

static uint64_t now_ms(void)
{
    return atomic_load(&clock_ms);
}

static void on_pressure(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&pressures, 1);
}

/* Room for `count` segments and an index of 256 KiB. */
static void open_for(unsigned count)
{
    struct brim_index_config index = {
        .path = index_dir, .map_bytes = 256 * KIB, .growth_max = 256 * KIB};
    struct brim_segments_config config = {
        .path = segment_dir,
        .bytes_max = count * (uint64_t)(SEGMENT + BRIM_SEGMENT_OVERHEAD) + 256 * KIB + 128 * KIB,
        .kept_bytes = 2 * (uint64_t)(SEGMENT + BRIM_SEGMENT_OVERHEAD),
        .reserve_bytes = 128 * KIB,
        .slack_bytes = 64 * KIB,
        .index_bytes = 256 * KIB,
        .segment_bytes = SEGMENT,
        .files_open_max = 4,
        .now_mono_ms = now_ms,
        .pressure = on_pressure,
    };

    ck_assert_int_eq(brim_index_open(&index, &ix), BRIM_OK);
    ck_assert_int_eq(brim_segments_open(&config, ix, &segs), BRIM_OK);
}

static void close_all(void)
{
    brim_segments_close(segs);
    brim_index_close(ix);
    segs = NULL;
    ix = NULL;
}

static void setup(void)
{
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
    snprintf(dir, sizeof(dir), "/tmp/brim-segment-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(index_dir, sizeof(index_dir), "%s/index", dir);
    snprintf(segment_dir, sizeof(segment_dir), "%s/segments", dir);
}

static void teardown(void)
{
    close_all();
    folder_remove(dir);
}

static enum brim_err append(unsigned id, size_t len, struct brim_extent *extent_out)
{
    struct brim_extent_draft draft = {
        .payload_len = len, .type = BRIM_EXTENT_PIECE, .digest = {.hi = id, .lo = len}};
    enum brim_err err;

    draft.bytes = malloc(BRIM_EXTENT_HEAD_BYTES + len);
    ck_assert_ptr_nonnull(draft.bytes);
    memset(draft.bytes + BRIM_EXTENT_HEAD_BYTES, (int)(id & 0xff), len);
    err = brim_segments_append(segs, &draft, extent_out);
    free(draft.bytes);
    return err;
}

static enum brim_err check(unsigned id, struct brim_extent at)
{
    struct brim_extent_head head;
    uint8_t *payload = malloc((size_t)at.length + 1);
    enum brim_err err = brim_segments_read(segs, at, BRIM_SEGMENTS_WAIT, payload, &head);

    if (err == BRIM_OK) {
        ck_assert_uint_eq(head.digest.hi, id);
        for (size_t i = 0; i < at.length; i++)
            ck_assert_uint_eq(payload[i], id & 0xff);
    }
    free(payload);
    return err;
}

/* Anything but the very header that was written is damage. */
START_TEST(a_header_with_any_bit_flipped_is_refused)
{
    struct brim_extent_head head = {.type = BRIM_EXTENT_OBJECT,
                                    .digest = {1, 2},
                                    .place = {3, 64, 5},
                                    .meta_len = 4,
                                    .piece_count = 1,
                                    .payload_hash = 99};
    struct brim_extent_head back;
    uint8_t bytes[BRIM_EXTENT_HEAD_BYTES];

    brim_extent_head_encode(&head, bytes);
    ck_assert_int_eq(brim_extent_head_decode(bytes, &back), BRIM_OK);
    ck_assert_uint_eq(back.place.length, 5);
    ck_assert_uint_eq(back.payload_hash, 99);
    for (unsigned bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(brim_extent_head_decode(bytes, &back), BRIM_ECORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

/* A right checksum is no proof that brim wrote it: no extent stands between the lines of 64. */
START_TEST(a_header_that_is_not_aligned_is_refused_for_all_its_checksum)
{
    struct brim_extent_head head = {
        .type = BRIM_EXTENT_PIECE, .digest = {1, 2}, .place = {3, 64, 5}, .payload_hash = 99};
    struct brim_extent_head back;
    uint8_t bytes[BRIM_EXTENT_HEAD_BYTES];
    uint64_t hash;

    brim_extent_head_encode(&head, bytes);
    bytes[40] = 65; /* the offset */
    hash = htole64(brim_hash64(bytes, 56));
    memcpy(bytes + 56, &hash, sizeof(hash));
    ck_assert_int_eq(brim_extent_head_decode(bytes, &back), BRIM_ECORRUPT);
    ck_assert_uint_eq(back.place.offset, 0);

    bytes[40] = 128; /* nothing else was wrong with it */
    hash = htole64(brim_hash64(bytes, 56));
    memcpy(bytes + 56, &hash, sizeof(hash));
    ck_assert_int_eq(brim_extent_head_decode(bytes, &back), BRIM_OK);
    ck_assert_uint_eq(back.place.offset, 128);
}
END_TEST

START_TEST(extents_are_read_as_they_were_written_and_nowhere_else)
{
    struct brim_extent at[40], wrong;

    open_for(20);
    for (unsigned i = 0; i < 40; i++) {
        ck_assert_int_eq(append(i, i * 500, &at[i]), BRIM_OK);
        ck_assert_uint_eq(at[i].offset % BRIM_EXTENT_ALIGN, 0);
    }
    ck_assert_uint_gt(brim_segments_count(segs), 4);
    for (unsigned i = 0; i < 40; i++)
        ck_assert_int_eq(check(i, at[i]), BRIM_OK);
    wrong = at[5];
    wrong.offset += 64;
    ck_assert_int_eq(check(5, wrong), BRIM_ECORRUPT);
    wrong = at[5];
    wrong.length -= 1;
    ck_assert_int_eq(check(5, wrong), BRIM_ECORRUPT);
    wrong = at[5];
    wrong.offset = SEGMENT - 64;
    ck_assert_int_eq(check(5, wrong), BRIM_ECORRUPT);
    wrong = at[5];
    wrong.segment = 1000;
    ck_assert_int_eq(check(5, wrong), BRIM_ENOENT);
}
END_TEST

/* One object too large for any segment must not turn the whole cache over. */
START_TEST(what_is_larger_than_a_segment_is_refused)
{
    struct brim_extent at;

    open_for(4);
    ck_assert_int_eq(append(1, SEGMENT, &at), BRIM_ENOSPC);
    ck_assert_uint_eq(brim_segments_count(segs), 0);
    ck_assert_int_eq(append(1, SEGMENT - 64, &at), BRIM_OK);
}
END_TEST

/* The quota is a wall; below it, whoever makes room is called in time. */
START_TEST(writes_are_refused_at_the_quota_until_the_oldest_is_gone)
{
    struct brim_segment_row row;
    struct brim_extent at, first;

    open_for(3);
    ck_assert_int_eq(append(0, SEGMENT - 64, &first), BRIM_OK);
    ck_assert_int_eq(append(1, SEGMENT - 64, &at), BRIM_OK);
    ck_assert_uint_eq(pressures, 0);
    ck_assert(!brim_segments_wants_retire(segs));
    ck_assert_int_eq(append(2, SEGMENT - 64, &at), BRIM_OK);
    ck_assert_uint_eq(pressures, 1); /* no room for the next: before anybody needs it */
    ck_assert(brim_segments_wants_retire(segs));
    ck_assert_int_eq(append(3, 10, &at), BRIM_ENOSPC);

    ck_assert_int_eq(brim_segments_retire(segs, &row), BRIM_OK);
    ck_assert_uint_eq(row.id, first.segment);
    ck_assert_int_eq(check(0, first), BRIM_OK); /* to be read until it is buried */
    ck_assert_uint_eq(brim_segments_bury(segs, row.id), row.id + 1);
    ck_assert_int_eq(check(0, first), BRIM_ENOENT);
    ck_assert_int_eq(append(3, 10, &at), BRIM_ENOSPC); /* the file is still there */
    brim_segments_remove(segs, row.id);
    ck_assert_int_eq(append(3, 10, &at), BRIM_ENOSPC); /* and now still open */
    brim_segments_reap(segs);
    ck_assert_int_eq(append(3, 10, &at), BRIM_OK);
    ck_assert_uint_eq(brim_segments_count(segs), 3);
}
END_TEST

/* The oldest segment, to its end. */
static void retire(void)
{
    struct brim_segment_row row;

    ck_assert_int_eq(brim_segments_retire(segs, &row), BRIM_OK);
    (void)brim_segments_bury(segs, row.id);
    brim_segments_remove(segs, row.id);
    brim_segments_reap(segs);
}

static void fill_segments(struct brim_extent *extents, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        ck_assert_int_eq(append(i, SEGMENT - 64, &extents[i]), BRIM_OK);
}

/* Somebody who reads what stands in some segments. */
struct user {
    struct brim_segments_use use;
    struct brim_segment_set kept;
};

static void begin(struct user *user, const struct brim_extent *at)
{
    user->kept = (struct brim_segment_set){0};
    ck_assert_int_eq(brim_segment_set_add(&user->kept, at->segment), BRIM_OK);
    brim_segments_begin_use(segs, &user->use, &user->kept);
}

static void end(struct user *user)
{
    brim_segments_end_use(segs, &user->use);
    brim_segment_set_fini(&user->kept);
}

/* A file is closed here after four others; it is opened before it is unlinked. */
START_TEST(what_is_read_when_its_segment_is_retired_is_read_to_its_end)
{
    struct user user, other;
    struct brim_extent at[20], more;

    open_for(16);
    fill_segments(at, 0, 16);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_int_eq(check(i, at[i]), BRIM_OK);
    begin(&user, &at[0]);
    begin(&other, &at[1]);
    retire();
    ck_assert_int_eq(check(0, at[0]), BRIM_OK);
    ck_assert_int_eq(append(16, 10, &more), BRIM_ENOSPC); /* its room is taken */
    ck_assert(brim_segments_wants_retire(segs));
    end(&other);
    retire();
    ck_assert_int_eq(check(1, at[1]), BRIM_ENOENT); /* nobody has read it */
    ck_assert_int_eq(append(16, 10, &more), BRIM_OK);
    ck_assert_int_eq(check(0, at[0]), BRIM_OK);
    atomic_store(&pressures, 0);
    end(&user);
    ck_assert_uint_eq(pressures, 1); /* somebody is to reap it */
    brim_segments_reap(segs);
    ck_assert_int_eq(check(0, at[0]), BRIM_ENOENT);
}
END_TEST

/* A body that came slowly while others filled the disk stands at both ends of what they wrote. */
START_TEST(what_others_wrote_between_two_pieces_of_a_body_is_not_kept_for_its_readers)
{
    struct brim_extent at[16], more;
    struct user user;

    open_for(16);
    fill_segments(at, 0, 16);
    begin(&user, &at[0]);
    ck_assert_int_eq(brim_segments_widen_use(segs, &user.kept, at[15]), BRIM_OK);
    for (unsigned i = 0; i < 2; i++)
        retire();
    ck_assert_int_eq(check(0, at[0]), BRIM_OK);
    ck_assert_int_eq(check(1, at[1]), BRIM_ENOENT);
    ck_assert(!brim_segments_wants_retire(segs));
    ck_assert_int_eq(append(16, 10, &more), BRIM_OK);
    end(&user);
}
END_TEST

/* Two may be kept. */
START_TEST(the_oldest_is_cut_off_from_its_readers_when_they_hold_too_much)
{
    struct user users[3];
    struct brim_extent at[16];
    int64_t cut = brim_metric_read(BRIM_METRIC_DISK_CUT);

    open_for(16);
    fill_segments(at, 0, 16);
    for (unsigned i = 0; i < 3; i++) {
        begin(&users[i], &at[i]);
        retire();
    }
    ck_assert_int_eq(check(0, at[0]), BRIM_ENOENT);
    ck_assert_int_eq(check(1, at[1]), BRIM_OK);
    ck_assert_int_eq(check(2, at[2]), BRIM_OK);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_CUT), cut + 1);
    for (unsigned i = 0; i < 3; i++) {
        end(&users[i]);
        brim_segments_reap(segs);
        ck_assert_int_eq(check(i, at[i]), BRIM_ENOENT);
    }
}
END_TEST

/* A connection that would not end is left as it is when the node closes. */
START_TEST(a_reader_that_never_ends_does_not_hold_up_the_close)
{
    static struct user users[2];
    struct brim_extent at[16];

    open_for(16);
    fill_segments(at, 0, 16);
    for (unsigned i = 0; i < 2; i++)
        begin(&users[i], &at[i * 8]);
    retire();
    ck_assert_int_eq(check(0, at[0]), BRIM_OK);
}
END_TEST

/* The index takes from the same quota. */
START_TEST(the_index_is_charged_and_room_is_made_for_it)
{
    struct brim_segment_row row;
    struct brim_extent at;

    open_for(3);
    ck_assert(brim_segments_may_grow(segs, 300 * KIB));
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(append(i, SEGMENT - 64, &at), BRIM_OK);
    ck_assert_int_eq(append(2, SEGMENT - 64, &at), BRIM_ENOSPC);
    ck_assert(!brim_segments_may_grow(segs, 512 * KIB));
    ck_assert_int_eq(brim_segments_retire(segs, &row), BRIM_OK);
    (void)brim_segments_bury(segs, row.id);
    brim_segments_remove(segs, row.id);
    brim_segments_reap(segs);
    ck_assert(brim_segments_may_grow(segs, 400 * KIB));
}
END_TEST

static _Atomic bool is_device_stuck, is_device_asked;

/* Goes before the library's: a device that takes its time. */
int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    typedef int function(int, int, off_t, off_t);
    static function *next;

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "fallocate");
    atomic_store(&is_device_asked, true);
    while (atomic_load(&is_device_stuck))
        sched_yield();
    return next(fd, mode, offset, bytes);
}

static void *append_one(void *at)
{
    return append(1, 100, at) == BRIM_OK ? at : NULL;
}

/* Else all that is written to it is taken for gone with the others, until it is full. */
START_TEST(a_segment_that_is_being_made_is_not_among_the_retired)
{
    struct brim_extent first, at;
    pthread_t thread;
    void *got;

    open_for(2);
    ck_assert_int_eq(append(0, SEGMENT - 64, &first), BRIM_OK);
    atomic_store(&is_device_asked, false);
    atomic_store(&is_device_stuck, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, append_one, &at), 0);
    while (!atomic_load(&is_device_asked))
        sched_yield();
    ck_assert(!brim_segments_may_grow(segs, 512 * KIB));
    retire();
    ck_assert(!brim_segments_has(segs, first.segment));
    atomic_store(&is_device_stuck, false);
    ck_assert_int_eq(pthread_join(thread, &got), 0);
    ck_assert_ptr_eq(got, &at);
    ck_assert(brim_segments_has(segs, at.segment));
}
END_TEST

/* Second run of a segment: what is committed is kept, and the rest is written over. */
START_TEST(the_last_segment_goes_on_at_its_committed_tail)
{
    struct brim_index_batch batch = {0};
    struct brim_segment_row *rows;
    struct brim_extent kept, lost, next;
    size_t count;

    open_for(10);
    ck_assert_int_eq(append(1, 1000, &kept), BRIM_OK);
    ck_assert_int_eq(brim_segments_prepare(segs, &rows, &count), BRIM_OK);
    ck_assert_uint_eq(count, 1);
    batch.rows = rows;
    batch.row_count = count;
    ck_assert_int_eq(brim_index_commit(ix, &batch), BRIM_OK);
    brim_segments_committed(segs, rows, count);
    free(rows);
    ck_assert_int_eq(append(2, 1000, &lost), BRIM_OK);
    close_all();

    open_for(10);
    ck_assert_int_eq(check(1, kept), BRIM_OK);
    ck_assert_int_eq(append(3, 500, &next), BRIM_OK);
    ck_assert_uint_eq(next.segment, kept.segment);
    ck_assert_uint_eq(next.offset, lost.offset);
    ck_assert_int_eq(check(2, lost), BRIM_ECORRUPT);
    ck_assert_int_eq(check(3, next), BRIM_OK);
}
END_TEST

/* LMDB has no checksums. A node that ends at its first write would do so at every start. */
START_TEST(nothing_goes_on_at_a_tail_that_was_never_one)
{
    struct brim_index_batch batch = {.row_count = 1};
    struct brim_segment_row *rows;
    struct brim_extent kept, next;
    size_t count;

    open_for(10);
    ck_assert_int_eq(append(1, 1000, &kept), BRIM_OK);
    ck_assert_int_eq(brim_segments_prepare(segs, &rows, &count), BRIM_OK);
    ck_assert_uint_eq(count, 1);
    rows[0].tail ^= 1; /* as a disk may */
    batch.rows = rows;
    ck_assert_int_eq(brim_index_commit(ix, &batch), BRIM_OK);
    free(rows);
    close_all();

    open_for(10);
    ck_assert_int_eq(check(1, kept), BRIM_OK);
    ck_assert_int_eq(append(2, 1000, &next), BRIM_OK);
    ck_assert_uint_gt(next.segment, kept.segment);
    ck_assert_int_eq(check(2, next), BRIM_OK);
}
END_TEST

/* A row is reported until it has been committed, else a crash would cut off what records name. */
START_TEST(rows_come_again_until_they_are_committed)
{
    struct brim_segment_row *rows;
    struct brim_extent at;
    size_t count;

    open_for(10);
    ck_assert_int_eq(append(1, 1000, &at), BRIM_OK);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(brim_segments_prepare(segs, &rows, &count), BRIM_OK);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(rows[0].tail, brim_extent_stride(1000));
        if (i == 2)
            brim_segments_committed(segs, rows, count);
        free(rows);
    }
    ck_assert_int_eq(brim_segments_prepare(segs, &rows, &count), BRIM_OK);
    ck_assert_uint_eq(count, 0);
    free(rows);
}
END_TEST

/* The descriptor of the only segment. */
static int fd_of_segment(void)
{
    char name[32], path[256];

    for (int fd = 0; fd < 1024; fd++) {
        ssize_t len;

        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        len = readlink(name, path, sizeof(path) - 1);
        path[len < 0 ? 0 : len] = '\0';
        if (strstr(path, ".seg") != NULL)
            return fd;
    }
    ck_abort_msg("no segment is open");
    return -1;
}

/* What one batch could not make durable, the next one does not take for it: a piece of a large body
 * is written long before the record that names it. */
START_TEST(what_could_not_be_synced_is_synced_with_the_next)
{
    struct brim_segment_row *rows;
    struct brim_extent at;
    size_t count;
    int ends[2], fd, kept;

    open_for(10);
    ck_assert_int_eq(append(1, 1000, &at), BRIM_OK);
    fd = fd_of_segment();
    kept = dup(fd);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[1], fd), fd); /* cannot be synced */
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(brim_segments_prepare(segs, &rows, &count), BRIM_EIO);
    ck_assert_int_eq(dup2(kept, fd), fd);
    ck_assert_int_eq(brim_segments_prepare(segs, &rows, &count), BRIM_OK);
    ck_assert_uint_eq(count, 1);
    free(rows);
    close(kept);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* A device that fails is left alone for a second, then tried by one caller, not by a crowd. */
START_TEST(faults_are_retried_once_a_second)
{
    struct brim_health health = {.path = "x", .now_mono_ms = now_ms};

    ck_assert(brim_health_may_write(&health));
    ck_assert_int_eq(brim_health_failed(&health, "write", EIO), BRIM_EIO);
    ck_assert_int_eq(brim_health_failed(&health, "write", ENOSPC), BRIM_ENOSPC);
    ck_assert(!brim_health_may_write(&health));
    atomic_fetch_add(&clock_ms, 999);
    ck_assert(!brim_health_may_write(&health));
    atomic_fetch_add(&clock_ms, 1);
    ck_assert(brim_health_may_write(&health));
    ck_assert(!brim_health_may_write(&health));
    brim_health_succeeded(&health);
    ck_assert(brim_health_may_write(&health));
    ck_assert(brim_health_may_write(&health));
}
END_TEST

/* More segments than files that may be open: what is closed is opened again. */
START_TEST(more_segments_than_open_files_can_be_read)
{
    enum { COUNT = 20 };
    static struct brim_extent at[COUNT];
    struct brim_segment_row *rows;
    size_t count;

    open_for(COUNT + 10);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_int_eq(append(i, SEGMENT - 64, &at[i]), BRIM_OK);
    ck_assert_int_eq(brim_segments_prepare(segs, &rows, &count), BRIM_OK); /* not dirty any more */
    brim_segments_committed(segs, rows, count);
    free(rows);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT; i++)
            ck_assert_int_eq(check(i, at[i]), BRIM_OK);
    }
}
END_TEST

struct writer {
    pthread_t thread;
    unsigned id;
    struct brim_extent at[100];
};

static void *write_many(void *arg)
{
    struct writer *writer = arg;

    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(append(writer->id, 100 + i * 17, &writer->at[i]), BRIM_OK);
    return NULL;
}

/* Reserving under the lock and writing outside of it must not overlap. */
START_TEST(writers_side_by_side_do_not_overlap)
{
    static struct writer writers[6];

    open_for(60);
    for (unsigned i = 0; i < 6; i++) {
        writers[i].id = i;
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    for (unsigned i = 0; i < 6; i++)
        ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned n = 0; n < 100; n++)
            ck_assert_int_eq(check(i, writers[i].at[n]), BRIM_OK);
    }
}
END_TEST

/* What was used lately stands out from what was not, and use fades. */
START_TEST(the_sketch_counts_uses_and_forgets_them)
{
    struct brim_sketch *sketch = brim_sketch_new(1 << 16);
    struct brim_digest key = brim_hash128("key", 3);
    unsigned wrong = 0;

    for (unsigned i = 0; i < 40; i++)
        brim_sketch_touch(sketch, key);
    ck_assert_uint_eq(brim_sketch_uses(sketch, key), BRIM_SKETCH_MAX);
    for (unsigned i = 0; i < 1000; i++) {
        struct brim_digest other = brim_hash128(&i, sizeof(i));
        wrong += brim_sketch_uses(sketch, other) > 0;
    }
    ck_assert_uint_lt(wrong, 10);
    brim_sketch_age(sketch);
    ck_assert_uint_eq(brim_sketch_uses(sketch, key), BRIM_SKETCH_MAX); /* too early */
    for (unsigned i = 0; i < 1 << 14; i++)
        brim_sketch_touch(sketch, key);
    brim_sketch_age(sketch);
    ck_assert_uint_eq(brim_sketch_uses(sketch, key), BRIM_SKETCH_MAX / 2);
    brim_sketch_free(sketch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_segment");
    TCase *tc = tcase_create("segment");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_header_with_any_bit_flipped_is_refused);
    tcase_add_test(tc, a_header_that_is_not_aligned_is_refused_for_all_its_checksum);
    tcase_add_test(tc, extents_are_read_as_they_were_written_and_nowhere_else);
    tcase_add_test(tc, what_is_larger_than_a_segment_is_refused);
    tcase_add_test(tc, writes_are_refused_at_the_quota_until_the_oldest_is_gone);
    tcase_add_test(tc, what_is_read_when_its_segment_is_retired_is_read_to_its_end);
    tcase_add_test(tc, the_oldest_is_cut_off_from_its_readers_when_they_hold_too_much);
    tcase_add_test(tc, what_others_wrote_between_two_pieces_of_a_body_is_not_kept_for_its_readers);
    tcase_add_test(tc, a_reader_that_never_ends_does_not_hold_up_the_close);
    tcase_add_test(tc, the_index_is_charged_and_room_is_made_for_it);
    tcase_add_test(tc, a_segment_that_is_being_made_is_not_among_the_retired);
    tcase_add_test(tc, the_last_segment_goes_on_at_its_committed_tail);
    tcase_add_test(tc, nothing_goes_on_at_a_tail_that_was_never_one);
    tcase_add_test(tc, rows_come_again_until_they_are_committed);
    tcase_add_test(tc, what_could_not_be_synced_is_synced_with_the_next);
    tcase_add_test(tc, faults_are_retried_once_a_second);
    tcase_add_test(tc, more_segments_than_open_files_can_be_read);
    tcase_add_test(tc, writers_side_by_side_do_not_overlap);
    tcase_add_test(tc, the_sketch_counts_uses_and_forgets_them);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
