/* SPDX-License-Identifier: MIT */
/*
 * The index and its writer: records are found as they were put, die with their segments, outlive
 * growth of the map and the process, and nothing unknown is ever taken for a record.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/indexer.h"
#include "folder.h"
#include "unit.h"

static char dir[64];
static struct brim_index *ix;
static struct brim_indexer *ixr;
static uint64_t allowed_bytes = UINT64_MAX;

static bool may_grow(void *ctx, uint64_t bytes)
{
    (void)ctx;
    return bytes <= allowed_bytes;
}

static enum brim_err try_open(void)
{
    struct brim_index_config config = {
        .path = dir, .map_bytes = 256 * 1024, .growth_max = 4 * 1024 * 1024, .may_grow = may_grow};

    return brim_index_open(&config, &ix);
}

static void open_all(const struct brim_indexer_hooks *hooks)
{
    ck_assert_int_eq(try_open(), BRIM_OK);
    ck_assert_int_eq(brim_indexer_open(ix, hooks, 100000, &ixr), BRIM_OK);
}

static void close_all(void)
{
    brim_indexer_close(ixr);
    brim_index_close(ix);
    ixr = NULL;
    ix = NULL;
}

static void setup(void)
{
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
    snprintf(dir, sizeof(dir), "/tmp/brim-index-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    close_all();
    folder_remove(dir);
}

static struct brim_digest digest_of(unsigned id)
{
    return brim_hash128(&id, sizeof(id));
}

static struct brim_record record_of(unsigned id, uint32_t segment)
{
    return (struct brim_record){.meta = {.segment = segment, .offset = id * 64, .length = id},
                                .oldest_segment = segment,
                                .piece_count = id % 3,
                                .body_bytes = (uint64_t)id << 33};
}

static void put(unsigned id, uint32_t segment)
{
    struct brim_record record = record_of(id, segment);

    ck_assert_int_eq(brim_indexer_put(ixr, digest_of(id), &record), BRIM_OK);
}

static bool has(unsigned id, uint32_t segment)
{
    struct brim_record record, want = record_of(id, segment);
    enum brim_err err = brim_index_find(ix, digest_of(id), &record);

    ck_assert(err == BRIM_OK || err == BRIM_ENOENT);
    return err == BRIM_OK && brim_extent_is_at(record.meta, want.meta) &&
           record.meta.length == want.meta.length && record.piece_count == want.piece_count &&
           record.body_bytes == want.body_bytes && record.oldest_segment == segment;
}

/* Rows as bytes are what an upgrade has to read: they must not change by accident. */
START_TEST(rows_have_the_documented_bytes)
{
    static const uint8_t want[40] = {1, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1, 8, 7, 6, 5, 9, 0, 0, 0,
                                     3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
    struct brim_record record = {.meta = {0x01020304, 0x05060708, 9},
                                 .oldest_segment = 3,
                                 .piece_count = 2,
                                 .body_bytes = 0x0102030405060708};
    struct brim_digest digest = {.hi = 0x1122334455667788, .lo = 1};
    struct brim_record back;
    struct brim_row_bytes row;

    brim_record_encode(digest, &record, &row);
    ck_assert_uint_eq(row.key_len, 16);
    ck_assert_uint_eq(row.key[0], 0x88);
    ck_assert_uint_eq(row.key[8], 1);
    ck_assert_uint_eq(row.value_len, sizeof(want));
    ck_assert_mem_eq(row.value, want, sizeof(want));
    ck_assert_int_eq(brim_record_decode(brim_str((char *)row.value, row.value_len), &back),
                     BRIM_OK);
    ck_assert(brim_extent_is_at(back.meta, record.meta));
    ck_assert_uint_eq(back.meta.length, record.meta.length);
    ck_assert_uint_eq(back.oldest_segment, record.oldest_segment);
    ck_assert_uint_eq(back.piece_count, record.piece_count);
    ck_assert_uint_eq(back.body_bytes, record.body_bytes);
    row.value[0] = 2;
    ck_assert_int_eq(brim_record_decode(brim_str((char *)row.value, row.value_len), &back),
                     BRIM_ENOENT);
    ck_assert_int_eq(brim_record_decode(brim_str((char *)row.value, row.value_len - 1), &back),
                     BRIM_ENOENT);
}
END_TEST

START_TEST(records_are_found_as_they_were_put_also_after_reopening)
{
    open_all(NULL);
    for (unsigned id = 0; id < 3000; id++)
        put(id, 0);
    put(7, 1); /* the last put counts */
    brim_indexer_drop(ixr, digest_of(8));
    brim_indexer_flush(ixr);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned id = 0; id < 3000; id++)
            ck_assert(has(id, id == 7) == (id != 8));
        ck_assert(!has(3000, 0));
        ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), 2999);
        close_all();
        open_all(NULL);
    }
}
END_TEST

/* A map that starts small is what keeps the quota; growing it must lose nothing. */
START_TEST(the_map_grows_under_readers)
{
    uint64_t first;

    open_all(NULL);
    first = brim_index_bytes(ix);
    for (unsigned id = 0; id < 40000; id++) {
        put(id, 0);
        if (id % 1000 == 999)
            brim_indexer_flush(ixr);
        (void)has(id / 2, 0);
    }
    brim_indexer_flush(ixr);
    ck_assert_uint_gt(brim_index_bytes(ix), 4 * first);
    for (unsigned id = 0; id < 40000; id++)
        ck_assert(has(id, 0));
}
END_TEST

static bool file_is_within_bound(void)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    ck_assert_int_eq(stat(path, &st), 0);
    return (uint64_t)st.st_size <= brim_index_bytes(ix);
}

/* The quota wins over the index: records are refused, drops and epochs go on, and it heals. */
START_TEST(a_full_index_refuses_records_and_recovers)
{
    struct brim_purge_epoch epoch = {.scope = 1, .hard_seq = 1};
    unsigned there = 0;

    allowed_bytes = 1024 * 1024;
    open_all(NULL);
    for (unsigned id = 0; id < 30000; id++) {
        put(id, 0);
        if (id % 500 == 499)
            brim_indexer_flush(ixr);
    }
    brim_indexer_flush(ixr);
    for (unsigned id = 0; id < 30000; id++)
        there += has(id, 0);
    ck_assert_uint_gt(there, 1000);
    ck_assert_uint_lt(there, 30000);
    ck_assert_uint_le(brim_index_bytes(ix), allowed_bytes);
    ck_assert(file_is_within_bound());
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), there);
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_DISK_REFUSED), 0);

    allowed_bytes = UINT64_MAX;
    ck_assert_int_eq(brim_indexer_put_epochs(ixr, &epoch, 1), BRIM_OK);
    put(50000, 0);
    brim_indexer_flush(ixr);
    ck_assert(has(50000, 0));
}
END_TEST

/* Check writes a note to a file for every assertion, so there are none below a file size limit. */
static unsigned put_quietly(unsigned first, unsigned end)
{
    unsigned refused = 0;

    for (unsigned id = first; id < end; id++) {
        struct brim_record record = record_of(id, 0);
        refused += brim_indexer_put(ixr, digest_of(id), &record) != BRIM_OK;
    }
    brim_indexer_flush(ixr);
    return refused;
}

static unsigned count_quietly(unsigned first, unsigned end)
{
    unsigned count = 0;

    for (unsigned id = first; id < end; id++) {
        struct brim_record record;
        count += brim_index_find(ix, digest_of(id), &record) == BRIM_OK;
    }
    return count;
}

/* A full device below LMDB: the last commit stands, the environment stays usable. */
START_TEST(a_full_device_costs_only_what_was_being_stored)
{
    struct rlimit limit, tight;

    signal(SIGXFSZ, SIG_IGN);
    open_all(NULL);
    ck_assert_uint_eq(put_quietly(0, 500), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    tight = (struct rlimit){.rlim_cur = 64 * 1024, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    unsigned refused = put_quietly(500, 4000);
    unsigned old = count_quietly(0, 500);
    unsigned stored = count_quietly(500, 4000);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_uint_eq(refused, 0); /* taken, and lost later */
    ck_assert_uint_eq(old, 500);
    ck_assert_uint_lt(stored, 3500);
    ck_assert_int_ge(brim_metric_read(BRIM_METRIC_DISK_REFUSED), 3500 - stored);

    ck_assert_uint_eq(put_quietly(500, 4000), 0);
    ck_assert_uint_eq(count_quietly(0, 4000), 4000);
}
END_TEST

/* A process of its own with the same index, as during an upgrade: it begins when it is told to.
 * Forked before there is an environment, which must not be carried over. */
struct other {
    pid_t pid;
    int turn;
};

static struct other other_start(void (*run)(void))
{
    struct other other;
    int turn[2];
    char byte;

    ck_assert_int_eq(pipe(turn), 0);
    other = (struct other){.pid = fork(), .turn = turn[1]};
    ck_assert_int_ge(other.pid, 0);
    if (other.pid != 0) {
        close(turn[0]);
        return other;
    }
    if (read(turn[0], &byte, 1) == 1 && try_open() == BRIM_OK)
        run();
    _exit(0);
}

static int other_run(const struct other *other)
{
    int status;

    ck_assert_int_eq(write(other->turn, "g", 1), 1);
    ck_assert_int_eq(waitpid(other->pid, &status, 0), other->pid);
    close(other->turn);
    return status;
}

static void die_inside(const struct brim_purge_epoch *epoch, void *ctx)
{
    (void)epoch;
    (void)ctx;
    kill(getpid(), SIGKILL);
}

static void die_while_reading(void)
{
    if (brim_index_each_epoch(ix, die_inside, NULL) != BRIM_OK)
        _exit(1);
}

/* What it saw last would be kept for it until the node ends: every page that is freed from then on.
 */
START_TEST(who_was_killed_while_it_read_does_not_hold_up_the_index)
{
    struct brim_purge_epoch epoch = {.scope = 1, .hard_seq = 1};
    struct other other = other_start(die_while_reading);

    allowed_bytes = 1024 * 1024;
    open_all(NULL);
    ck_assert_int_eq(brim_indexer_put_epochs(ixr, &epoch, 1), BRIM_OK);
    ck_assert_int_eq(WTERMSIG(other_run(&other)), SIGKILL);
    for (unsigned round = 0; round < 60; round++)
        ck_assert_uint_eq(put_quietly(0, 2000), 0);
    ck_assert_uint_eq(count_quietly(0, 2000), 2000);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_REFUSED), 0);
}
END_TEST

static void write_much(void)
{
    if (brim_indexer_open(ix, NULL, 100000, &ixr) == BRIM_OK)
        (void)put_quietly(500, 40000);
    close_all();
}

/* Who has let the directory go reads on while it drains, in a map that another one makes larger. */
START_TEST(what_another_process_writes_is_found_when_the_map_has_grown)
{
    struct other other = other_start(write_much);

    open_all(NULL);
    ck_assert_uint_eq(put_quietly(0, 500), 0);
    brim_indexer_end(ixr);
    ck_assert_int_eq(other_run(&other), 0);
    ck_assert_uint_eq(count_quietly(0, 40000), 40000);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_ERRORS), 0);
}
END_TEST

static enum brim_err give_rows(void *ctx, struct brim_segment_row **rows_out, size_t *count_out)
{
    (void)ctx;
    *rows_out = calloc(3, sizeof(**rows_out));
    *count_out = 3;
    for (uint32_t i = 0; i < 3; i++)
        (*rows_out)[i] = (struct brim_segment_row){
            .id = i + 4, .state = BRIM_SEGMENT_LIVE, .capacity = 4096, .tail = i};
    return BRIM_OK;
}

static const struct brim_indexer_hooks row_hooks = {.prepare = give_rows};

/* A record must not outlive the bytes that it names, however late it comes. */
START_TEST(records_die_with_the_segment_they_lean_on)
{
    struct brim_record moved = record_of(3, 6);

    open_all(&row_hooks);
    for (unsigned id = 0; id < 6; id++)
        put(id, 4 + id % 2);
    brim_indexer_retire(ixr, 4);
    put(10, 4); /* too late */
    put(11, 5);
    brim_indexer_flush(ixr);
    ck_assert(has(0, 4)); /* still there while it is walked */
    ck_assert(!has(10, 4));
    ck_assert(has(11, 5));

    brim_indexer_drop_leaning(ixr, digest_of(0), 4);
    brim_indexer_drop_leaning(ixr, digest_of(1), 4); /* leans on 5 */
    brim_indexer_drop_at(ixr, digest_of(3), (struct brim_extent){.segment = 9});
    ck_assert_int_eq(brim_indexer_move(ixr, digest_of(3), record_of(3, 5).meta, &moved), BRIM_OK);
    ck_assert_int_eq(brim_indexer_move(ixr, digest_of(5), record_of(3, 5).meta, &moved), BRIM_OK);
    brim_indexer_flush(ixr);
    ck_assert(!has(0, 4));
    ck_assert(has(1, 5));
    ck_assert(has(3, 6));
    ck_assert(has(5, 5)); /* was not what the move thought */

    ck_assert(has(2, 4));
    brim_indexer_remove(ixr, 4, 5);
    ck_assert(!has(2, 4)); /* missed by the walk: not seen all the same */
    close_all();
    open_all(&row_hooks);
    ck_assert_uint_eq(brim_index_next_segment(ix), 7);
    ck_assert(!has(2, 4));
    ck_assert(has(1, 5));
}
END_TEST

static enum brim_err fail_prepare(void *ctx, struct brim_segment_row **rows_out, size_t *count_out)
{
    (void)ctx;
    *rows_out = NULL;
    *count_out = 0;
    return BRIM_EIO;
}

/* Bytes before index: where the bytes are not durable, there is no record of them. */
START_TEST(records_without_durable_bytes_are_not_committed)
{
    struct brim_indexer_hooks hooks = {.prepare = fail_prepare};
    struct brim_purge_epoch epoch = {.scope = 1, .hard_seq = 1};

    open_all(&hooks);
    put(1, 0);
    ck_assert_int_eq(brim_indexer_put_epochs(ixr, &epoch, 1), BRIM_OK);
    ck_assert(!has(1, 0));
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_REFUSED), 1);
}
END_TEST

static _Atomic bool has_durable_bytes = true;
static _Atomic bool can_put = true;

static enum brim_err prepare_if_told(void *ctx, struct brim_segment_row **rows_out,
                                     size_t *count_out)
{
    enum brim_err err = fail_prepare(ctx, rows_out, count_out);

    return atomic_load(&has_durable_bytes) ? BRIM_OK : err;
}

/* Goes before the library's: an index in which nothing can be stored, but from which can be taken.
 */
int mdb_put(void *txn, unsigned dbi, void *key, void *val, unsigned flags);
int mdb_put(void *txn, unsigned dbi, void *key, void *val, unsigned flags)
{
    typedef int function(void *, unsigned, void *, void *, unsigned);
    static function *next;

    if (!atomic_load(&can_put))
        return EIO;
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "mdb_put");
    return next(txn, dbi, key, val, flags);
}

static bool is_absent(unsigned id)
{
    struct brim_record record;

    return brim_index_find(ix, digest_of(id), &record) == BRIM_ENOENT;
}

/* Who has seen the newer is not given the older again: where a record is lost that was to replace
 * another, be it that its bytes are not durable or that the index refuses it, the other goes too.
 * What was only to be moved stays where it is, and what is not named stays. */
START_TEST(a_lost_record_takes_what_it_replaces_with_it)
{
    enum { LOST = 40 }; /* more than are tried one by one */
    struct brim_indexer_hooks hooks = {.prepare = prepare_if_told};
    struct brim_record moved = record_of(LOST + 1, 1);

    open_all(&hooks);
    for (unsigned id = 0; id < LOST + 3; id++)
        put(id, 0);
    brim_indexer_flush(ixr);
    atomic_store(_i == 0 ? &has_durable_bytes : &can_put, false);
    for (unsigned id = 0; id < LOST; id++)
        put(id, 1);
    put(LOST + 5, 1); /* replaces nothing */
    ck_assert_int_eq(
        brim_indexer_move(ixr, digest_of(LOST + 1), record_of(LOST + 1, 0).meta, &moved), BRIM_OK);
    brim_indexer_flush(ixr);
    for (unsigned id = 0; id < LOST; id++)
        ck_assert(is_absent(id));
    ck_assert(is_absent(LOST + 5));
    for (unsigned id = LOST; id < LOST + 3; id++)
        ck_assert(has(id, 0));
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_REFUSED), LOST + 2);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_DISK_OBJECTS), 3);

    atomic_store(&has_durable_bytes, true);
    atomic_store(&can_put, true);
    put(0, 1);
    brim_indexer_flush(ixr);
    ck_assert(has(0, 1));
}
END_TEST

static unsigned epoch_count;

static void count_epoch(const struct brim_purge_epoch *epoch, void *ctx)
{
    (void)epoch;
    (void)ctx;
    epoch_count++;
}

/* Purges come for years: what an epoch of everything covers must not stay. */
START_TEST(the_epoch_of_everything_takes_out_what_it_covers)
{
    struct brim_purge_epoch epoch = {0};

    open_all(NULL);
    for (uint64_t i = 1; i <= 100; i++) {
        epoch = (struct brim_purge_epoch){.scope = i * 1000003, .hard_seq = i};
        ck_assert_int_eq(brim_indexer_put_epochs(ixr, &epoch, 1), BRIM_OK);
    }
    epoch = (struct brim_purge_epoch){.scope = brim_purge_scope_all(), .hard_seq = 90};
    ck_assert_int_eq(brim_indexer_put_epochs(ixr, &epoch, 1), BRIM_OK);
    ck_assert_int_eq(brim_index_each_epoch(ix, count_epoch, NULL), BRIM_OK);
    ck_assert_uint_eq(epoch_count, 11);
}
END_TEST

/* What a disk has made of a purge: to go on without it would bring back what was purged, and from
 * the last of all sequences on there are no more purges. */
static const struct brim_purge_epoch no_epochs[] = {
    {.scope = 8, .hard_seq = UINT64_MAX},
    {.scope = 8, .soft_seq = UINT64_MAX - 3},
    {.hard_seq = 1},
    {.scope = 8, .hard_seq = 1, .pattern = {"//a/*.css", 9}},
};

START_TEST(an_epoch_that_nobody_can_have_written_is_damage)
{
    open_all(NULL);
    ck_assert_int_eq(brim_indexer_put_epochs(ixr, &no_epochs[_i], 1), BRIM_OK);
    close_all();
    ck_assert_int_eq(try_open(), BRIM_ECORRUPT); /* whoever has it begins with an empty one */
}
END_TEST

START_TEST(epochs_are_as_they_were_written)
{
    struct brim_str pattern = BRIM_STR("//a/*.css");
    struct brim_purge_epoch epoch = {.scope = brim_purge_scope_pattern(pattern),
                                     .hard_seq = BRIM_PURGE_SEQ_MAX,
                                     .pattern = pattern};

    open_all(NULL);
    ck_assert_int_eq(brim_indexer_put_epochs(ixr, &epoch, 1), BRIM_OK);
    close_all();
    open_all(NULL);
    epoch_count = 0;
    ck_assert_int_eq(brim_index_each_epoch(ix, count_epoch, NULL), BRIM_OK);
    ck_assert_uint_eq(epoch_count, 1);
}
END_TEST

/* Changes what stands in the environment, wherever it does: a page is there twice once it was
 * written to. */
static void change(const char *from, const char *to, size_t len)
{
    static uint8_t bytes[1024 * 1024];
    char path[128];
    unsigned changed = 0;

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    for (size_t i = 0; i + len <= size; i++) {
        if (memcmp(bytes + i, from, len) != 0)
            continue;
        memcpy(bytes + i, to, len);
        changed++;
    }
    ck_assert_uint_gt(changed, 0);
    rewind(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/* A row's name, then its value as four bytes. */
#define FORMAT         "format\x01\0\0\0"
#define INVERSE        "format_inverse\xfe\xff\xff\xff"
#define FORMAT_OTHER   "format\x11\0\0\0"
#define INVERSE_OTHER  "format_inverse\xee\xff\xff\xff"
#define FORMAT_UNNAMED "fornat\x01\0\0\0"

/* A downgrade must say what to do, and must not touch what it does not know. */
START_TEST(an_unknown_format_is_refused)
{
    open_all(NULL);
    close_all();
    change(FORMAT, FORMAT_OTHER, sizeof(FORMAT) - 1);
    change(INVERSE, INVERSE_OTHER, sizeof(INVERSE) - 1);
    ck_assert_int_eq(try_open(), BRIM_EVERSION);
    ck_assert_ptr_null(ix);
}
END_TEST

/* To ask for another version because of a bit would keep a node from starting. */
START_TEST(a_damaged_format_is_no_other_version)
{
    open_all(NULL);
    close_all();
    change(FORMAT, FORMAT_OTHER, sizeof(FORMAT) - 1);
    ck_assert_int_eq(try_open(), BRIM_ECORRUPT);
}
END_TEST

START_TEST(an_index_without_its_format_is_not_taken_for_a_new_one)
{
    open_all(NULL);
    close_all();
    change(FORMAT, FORMAT_UNNAMED, sizeof(FORMAT) - 1);
    ck_assert_int_eq(try_open(), BRIM_ECORRUPT);
}
END_TEST

START_TEST(what_is_no_index_is_damage)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (unsigned i = 0; i < 20000; i++)
        fputs("not an index", file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(try_open(), BRIM_ECORRUPT);
}
END_TEST

/* As the two pages that describe the rest have it in LMDB's format; no machine can map so many. */
START_TEST(a_number_of_pages_that_cannot_be_is_damage)
{
    enum { PAGE = 4096, LAST_AT = 136 };
    uint64_t last = UINT64_C(1) << (_i == 0 ? 44 : 52);
    char path[128];

    open_all(NULL);
    put(1, 0);
    close_all();
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (off_t page = 0; page < 2; page++)
        ck_assert_int_eq(pwrite(fd, &last, sizeof(last), page * PAGE + LAST_AT), sizeof(last));
    close(fd);
    ck_assert_int_eq(try_open(), BRIM_ECORRUPT);
}
END_TEST

static uint16_t u16_at(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* Makes every row of every leaf of LMDB's format longer than its page has room for, which it finds
 * out when it splits the page. Returns the leaves. */
static unsigned lengthen_rows(uint8_t *bytes, size_t len)
{
    enum { PAGE = 4096, FLAGS_AT = 10, LOWER_AT = 12, ROWS_AT = 16, LEAF = 2, ROWS_MIN = 10 };
    unsigned leaves = 0;

    for (uint8_t *page = bytes + 2 * PAGE; page + PAGE <= bytes + len; page += PAGE) {
        size_t end = u16_at(page + LOWER_AT);

        if (u16_at(page + FLAGS_AT) != LEAF || end < ROWS_AT + 2 * ROWS_MIN || end > PAGE / 2)
            continue;
        for (size_t at = ROWS_AT; at < end; at += 2) {
            uint8_t *row = page + u16_at(page + at);
            uint16_t longer = (uint16_t)(u16_at(row) + 256);
            memcpy(row, &longer, sizeof(longer));
        }
        leaves++;
    }
    return leaves;
}

/* Else the node would end at the first segment behind the last number, and again at each start. */
START_TEST(numbers_of_segments_do_not_run_out)
{
    struct brim_segment_row row = {
        .id = UINT32_MAX - 1, .state = BRIM_SEGMENT_LIVE, .capacity = 4096};
    struct brim_index_batch batch = {.rows = &row, .row_count = 1};

    ck_assert_int_eq(try_open(), BRIM_OK);
    ck_assert_int_eq(brim_index_commit(ix, &batch), BRIM_OK);
    close_all();
    ck_assert_int_eq(try_open(), BRIM_ECORRUPT); /* whoever has it begins with an empty one */
}
END_TEST

/* One that opens, harms nobody and can never be written again would stay for ever. */
START_TEST(an_index_that_cannot_be_written_is_not_opened_again)
{
    static uint8_t bytes[4 * 1024 * 1024];
    char path[128];

    open_all(NULL);
    for (unsigned id = 0; id < 2000; id++)
        put(id, 0);
    close_all();
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    ck_assert_uint_gt(lengthen_rows(bytes, len), 10);
    rewind(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);

    open_all(NULL);
    for (unsigned id = 2000; id < 4000; id++)
        put(id, 0);
    close_all();
    ck_assert_int_eq(try_open(), BRIM_ECORRUPT);
}
END_TEST

static _Atomic bool stop_reading;

static void *read_on(void *arg)
{
    unsigned *wrong = arg;

    for (unsigned id = 0; !atomic_load(&stop_reading); id = (id + 1) % 20000) {
        struct brim_record record;
        enum brim_err err = brim_index_find(ix, digest_of(id), &record);
        if (err == BRIM_OK ? record.body_bytes != (uint64_t)id << 33 : err != BRIM_ENOENT)
            ++*wrong;
    }
    return NULL;
}

/* Every loop looks up while the writer commits and the map moves. */
START_TEST(readers_on_many_threads_see_whole_records)
{
    pthread_t threads[4];
    unsigned wrong[4] = {0};

    open_all(NULL);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, &wrong[i]), 0);
    for (unsigned id = 0; id < 20000; id++) {
        put(id, 0);
        if (id % 3 == 0)
            brim_indexer_drop(ixr, digest_of(id / 2));
        if (id % 2000 == 0)
            brim_indexer_flush(ixr);
    }
    brim_indexer_flush(ixr);
    atomic_store(&stop_reading, true);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(wrong[i], 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_index");
    TCase *tc = tcase_create("index");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, rows_have_the_documented_bytes);
    tcase_add_test(tc, records_are_found_as_they_were_put_also_after_reopening);
    tcase_add_test(tc, the_map_grows_under_readers);
    tcase_add_test(tc, a_full_index_refuses_records_and_recovers);
    tcase_add_test(tc, a_full_device_costs_only_what_was_being_stored);
    tcase_add_test(tc, who_was_killed_while_it_read_does_not_hold_up_the_index);
    tcase_add_test(tc, what_another_process_writes_is_found_when_the_map_has_grown);
    tcase_add_test(tc, records_die_with_the_segment_they_lean_on);
    tcase_add_test(tc, records_without_durable_bytes_are_not_committed);
    tcase_add_loop_test(tc, a_lost_record_takes_what_it_replaces_with_it, 0, 2);
    tcase_add_test(tc, the_epoch_of_everything_takes_out_what_it_covers);
    tcase_add_test(tc, epochs_are_as_they_were_written);
    tcase_add_loop_test(tc, an_epoch_that_nobody_can_have_written_is_damage, 0,
                        sizeof(no_epochs) / sizeof(no_epochs[0]));
    tcase_add_test(tc, an_unknown_format_is_refused);
    tcase_add_test(tc, a_damaged_format_is_no_other_version);
    tcase_add_test(tc, an_index_without_its_format_is_not_taken_for_a_new_one);
    tcase_add_test(tc, what_is_no_index_is_damage);
    tcase_add_loop_test(tc, a_number_of_pages_that_cannot_be_is_damage, 0, 2);
    tcase_add_test(tc, numbers_of_segments_do_not_run_out);
    tcase_add_test(tc, an_index_that_cannot_be_written_is_not_opened_again);
    tcase_add_test(tc, readers_on_many_threads_see_whole_records);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
