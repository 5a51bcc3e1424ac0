/* SPDX-License-Identifier: MIT */
/*
 * What a failed commit says of an index: a page that no file could have is damage, which the next
 * start sets aside; a file that may not grow is none. And what a lookup says of it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/cache/indexer.h"
#include "folder.h"
#include "unit.h"

static char dir[64];
static _Atomic int fault; /* what the next commits say; 0: what LMDB says */

/* Goes before the library's. */
int mdb_txn_commit(MDB_txn *txn)
{
    typedef int function(MDB_txn *);
    static function *next;
    int now = atomic_load(&fault);

    if (now != 0) {
        mdb_txn_abort(txn);
        return now;
    }
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "mdb_txn_commit");
    return next(txn);
}

static void setup(void)
{
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
    snprintf(dir, sizeof(dir), "/tmp/brim-index-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    folder_remove(dir);
}

static enum brim_err try_open(struct brim_index **index_out)
{
    struct brim_index_config config = {
        .path = dir, .map_bytes = 256 * 1024, .growth_max = 4 * 1024 * 1024};

    return brim_index_open(&config, index_out);
}

/* What the next start finds, after a commit that said this. */
static enum brim_err after(int said)
{
    struct brim_record record = {.meta = {.length = 1}};
    struct brim_indexer *ixr;
    struct brim_index *ix;
    enum brim_err err;

    ck_assert_int_eq(try_open(&ix), BRIM_OK);
    ck_assert_int_eq(brim_indexer_open(ix, NULL, 100, &ixr), BRIM_OK);
    atomic_store(&fault, said);
    ck_assert_int_eq(brim_indexer_put(ixr, brim_hash128("a", 1), &record), BRIM_OK);
    brim_indexer_flush(ixr);
    atomic_store(&fault, 0);
    brim_indexer_close(ixr);
    brim_index_close(ix);
    err = try_open(&ix);
    brim_index_close(ix);
    return err;
}

static void limit_files_to(rlim_t bytes)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_page_that_no_file_can_have_is_damage)
{
    static const int says[] = {EINVAL, EFBIG}; /* of a place below 0, and beyond the last */

    limit_files_to(RLIM_INFINITY);
    ck_assert_int_eq(after(says[_i]), BRIM_ECORRUPT);
}
END_TEST

START_TEST(what_may_not_grow_is_no_damage)
{
    limit_files_to(_i == 0 ? 64 * 1024 * 1024 : RLIM_INFINITY);
    ck_assert_int_eq(after(_i == 0 ? EFBIG : ENOSPC), BRIM_OK);
}
END_TEST

/* Moves the root of the table of objects, in the row that LMDB keeps of it, beyond the file. */
static void lose_the_root(void)
{
    enum { ROOT_AT = 40, TO = 1 << 20 }; /* in struct MDB_db, which follows the name */
    static char file[1 << 20];
    char path[128];
    uint64_t root = TO;
    size_t moved = 0;
    ssize_t len;
    int fd;

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    len = read(fd, file, sizeof(file));
    ck_assert_int_gt(len, 0);
    for (ssize_t at = 0; at + 7 + ROOT_AT + 8 <= len; at++)
        if (memcmp(file + at, "objects", 7) == 0) {
            ck_assert_int_eq(pwrite(fd, &root, sizeof(root), at + 7 + ROOT_AT), sizeof(root));
            moved++;
        }
    ck_assert_uint_gt(moved, 0);
    close(fd);
}

/* LMDB tells nobody that it has not found the root, but that the transaction has failed. */
START_TEST(a_table_whose_root_is_lost_is_damage)
{
    struct brim_record record = {.meta = {.length = 1}};
    struct brim_digest digest = brim_hash128("a", 1);
    struct brim_indexer *ixr;
    struct brim_index *ix;

    ck_assert_int_eq(try_open(&ix), BRIM_OK);
    ck_assert_int_eq(brim_indexer_open(ix, NULL, 100, &ixr), BRIM_OK);
    ck_assert_int_eq(brim_indexer_put(ixr, digest, &record), BRIM_OK);
    brim_indexer_flush(ixr);
    brim_indexer_close(ixr);
    brim_index_close(ix);
    lose_the_root();
    ck_assert_int_eq(try_open(&ix), BRIM_OK); /* nobody has looked for it */
    ck_assert_int_eq(brim_index_find(ix, digest, &record), BRIM_ECORRUPT);
    brim_index_close(ix);
    ck_assert_int_eq(try_open(&ix), BRIM_ECORRUPT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_index_damage");
    TCase *tc = tcase_create("commit");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_page_that_no_file_can_have_is_damage, 0, 2);
    tcase_add_loop_test(tc, what_may_not_grow_is_no_damage, 0, 2);
    tcase_add_test(tc, a_table_whose_root_is_lost_is_damage);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
