/* SPDX-License-Identifier: MIT */
/*
 * cache_disk_fixture - a disk tier in a directory of its own under /tmp, a pool, and objects to
 * put.
 */
#ifndef BRIM_TESTS_CACHE_DISK_FIXTURE_H
#define BRIM_TESTS_CACHE_DISK_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brim/base/hash.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/disk.h"
#include "folder.h"
#include "unit.h"

#define FIXTURE_MIB (1024u * 1024u)

struct fixture {
    char dir[64];
    struct brim_pool *pool;
    struct brim_disk *disk;
};

static struct fixture fx;
static _Atomic uint64_t fixture_clock_ms = 1000;

static inline uint64_t fixture_now_ms(void)
{
    return atomic_load(&fixture_clock_ms);
}

static inline void fixture_make_dir(void)
{
    snprintf(fx.dir, sizeof(fx.dir), "/tmp/brim-disk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fx.dir));
}

static inline void fixture_remove_dir(void)
{
    folder_remove(fx.dir);
}

static inline void fixture_open_pool(void)
{
    struct brim_pool_limits limits = {.threads = 3, .queue_max = 65536};

    ck_assert_int_eq(brim_pool_open(&limits, &fx.pool), BRIM_OK);
}

static inline struct brim_disk_config fixture_config(uint64_t bytes_max)
{
    return (struct brim_disk_config){.path = fx.dir,
                                     .bytes_max = bytes_max,
                                     .segment_bytes = 4 * FIXTURE_MIB,
                                     .write_queue_max = 100000,
                                     .pool = fx.pool,
                                     .now_mono_ms = fixture_now_ms};
}

static inline void fixture_open(uint64_t bytes_max)
{
    struct brim_disk_config config;

    if (fx.pool == NULL)
        fixture_open_pool();
    config = fixture_config(bytes_max);
    ck_assert_int_eq(brim_disk_open(&config, &fx.disk), BRIM_OK);
}

static inline void fixture_close(void)
{
    brim_disk_close(fx.disk);
    fx.disk = NULL;
}

static inline void fixture_setup(void)
{
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
    fixture_make_dir();
}

static inline void fixture_teardown(void)
{
    fixture_close();
    if (fx.pool != NULL)
        brim_pool_close(fx.pool);
    fx.pool = NULL;
    fixture_remove_dir();
}

static inline struct brim_str fixture_text(unsigned id, char buffer[64])
{
    int n = snprintf(buffer, 64, "http://example.test/%u", id);

    return brim_str(buffer, (size_t)n);
}

static inline struct brim_digest fixture_digest(unsigned id)
{
    char buffer[64];

    return brim_key_of(fixture_text(id, buffer)).digest;
}

/* Byte i of body number id: differs between bodies and between places. */
static inline uint8_t fixture_byte(unsigned id, uint64_t i)
{
    return (uint8_t)(id * 31 + i * 7 + (i >> 8) * 13 + (i >> 16));
}

static inline uint8_t *fixture_bytes(unsigned id, size_t len)
{
    uint8_t *bytes = malloc(len + 1);

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = fixture_byte(id, i);
    return bytes;
}

static inline struct brim_object *fixture_object_with(unsigned id, struct brim_body *body)
{
    char buffer[64];
    struct brim_key key = brim_key_of(fixture_text(id, buffer));
    struct brim_field field = {BRIM_STR("content-type"), BRIM_STR("text/plain")};
    struct brim_object_spec spec = {
        .kind = body == NULL ? BRIM_OBJECT_VARY : BRIM_OBJECT_RESPONSE,
        .status = body == NULL ? 0 : 200,
        .key = key,
        .primary = key,
        .fields = {.items = &field, .count = 1},
        .body = body,
    };
    struct brim_object *object;

    ck_assert_int_eq(brim_object_new(&spec, &object), BRIM_OK);
    return object;
}

static inline struct brim_object *fixture_object(unsigned id, size_t len)
{
    uint8_t *bytes = fixture_bytes(id, len);
    struct brim_body *body = brim_body_from(bytes, len);
    struct brim_object *object = fixture_object_with(id, body);

    brim_body_unref(body);
    free(bytes);
    return object;
}

static inline void fixture_put(unsigned id, size_t len)
{
    struct brim_object *object = fixture_object(id, len);

    brim_disk_put(fx.disk, object);
    brim_object_unref(object);
}

static inline enum brim_err fixture_load(unsigned id, struct brim_object **object_out)
{
    struct brim_locator locator;
    enum brim_err err = brim_disk_locate(fx.disk, fixture_digest(id), &locator);

    *object_out = NULL;
    return err != BRIM_OK ? err : brim_disk_load(fx.disk, &locator, BRIM_DISK_WAIT, object_out);
}

/* Whether every byte of the body is that of number id; reads pieces from disk. */
static inline enum brim_err fixture_check_body(struct brim_body *body, unsigned id, size_t len)
{
    struct brim_body_piece piece;
    uint64_t offset = 0;

    if (brim_body_bytes(body) != len)
        return BRIM_EINVAL;
    while (offset < len) {
        enum brim_body_get got = brim_body_get(body, offset, &piece);
        struct brim_chunk *chunk = piece.chunk;
        if (got == BRIM_GET_DISK) {
            enum brim_err err = brim_disk_read(fx.disk, &piece.extent, BRIM_DISK_WAIT, &chunk);
            if (err != BRIM_OK)
                return err;
            piece.bytes = brim_str((const char *)brim_chunk_data(chunk) + piece.skip,
                                   piece.extent.length - piece.skip);
        } else if (got != BRIM_GET_RAM) {
            return BRIM_EINVAL;
        }
        for (size_t i = 0; i < piece.bytes.len; i++) {
            if ((uint8_t)piece.bytes.base[i] != fixture_byte(id, offset + i)) {
                brim_chunk_unref(chunk);
                return BRIM_EINVAL;
            }
        }
        offset += piece.bytes.len;
        brim_chunk_unref(chunk);
    }
    return BRIM_OK;
}

/* BRIM_OK: the object is there with exactly the right key, field and body. BRIM_EINVAL: it is
 * there and wrong, which must never be. */
static inline enum brim_err fixture_verify(unsigned id, size_t len)
{
    struct brim_object *object;
    char buffer[64];
    enum brim_err err = fixture_load(id, &object);

    if (err != BRIM_OK)
        return err;
    if (!brim_str_is(object->key.text, fixture_text(id, buffer)) || object->fields.count != 1 ||
        object->status != 200 || object->on_disk != 1)
        err = BRIM_EINVAL;
    if (err == BRIM_OK)
        err = fixture_check_body(object->body, id, len);
    brim_object_unref(object);
    return err;
}

struct fixture_file {
    char path[120];
    ino_t inode;
    uint64_t bytes;
};

static struct fixture_file fixture_files[512];
static unsigned fixture_file_count;

static inline int fixture_see_file(const char *path, const struct stat *st, int type,
                                   struct FTW *at)
{
    struct fixture_file *file = &fixture_files[fixture_file_count];

    (void)at;
    if (type != FTW_F && type != FTW_D)
        return 0;
    ck_assert_uint_lt(fixture_file_count, 512);
    snprintf(file->path, sizeof(file->path), "%s", path);
    file->inode = st->st_ino;
    file->bytes = (uint64_t)st->st_blocks * 512;
    fixture_file_count++;
    return 0;
}

/* What `du` would say, at one moment: of files seen one after the other, those that are still there
 * when the last one has been seen. One thread. */
static inline uint64_t fixture_disk_usage(void)
{
    struct stat st;
    uint64_t bytes = 0;

    fixture_file_count = 0;
    nftw(fx.dir, fixture_see_file, 16, FTW_PHYS);
    for (unsigned i = 0; i < fixture_file_count; i++) {
        if (lstat(fixture_files[i].path, &st) == 0 && st.st_ino == fixture_files[i].inode)
            bytes += fixture_files[i].bytes;
    }
    return bytes;
}

#endif
