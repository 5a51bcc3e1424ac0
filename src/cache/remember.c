/* SPDX-License-Identifier: MIT */
/*
 * DIR/hot:
 *
 *   bytes  0.. 7  "brimhot1"
 *          8..15  u64  number of keys
 *         16..    16 bytes a key: hi, lo
 *   last 8 bytes  u64  XXH3-64 of all before
 *
 * Numbers are little-endian. The file is written under another name, synced, and renamed.
 *
 * Reading back goes in the order of the file and ends with it, or where the hot tier is full, or
 * after READ_MS_MAX, or when it is told to end. What has been read counts as used twice, so that it
 * gets to where what is used stays, and goes again if it is not asked for.
 */
#include "brim/cache/remember.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define REMEMBER_MAGIC 0x72656d31u
#define FILE_MAGIC     "brimhot1"
#define HEAD_BYTES     16u
#define KEY_BYTES      16u
#define TAIL_BYTES     8u
#define READ_MS_MAX    120000u
#define NICE           19
#define USES           2u

struct brim_remember {
    uint32_t magic;
    struct brim_remember_config config;
    char *path;
    char *path_new;
    pthread_t thread;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t wake;
    bool has_read; /* what there was */
    bool stop;
};

/* Bytes of a file, as they stand in it. */
struct image {
    uint8_t *bytes;
    size_t len;
    size_t count; /* of keys */
};

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t little;

    memcpy(&little, at, sizeof(little));
    return le64toh(little);
}

static void put_u64(uint8_t *at, uint64_t value)
{
    uint64_t little = htole64(value);

    memcpy(at, &little, sizeof(little));
}

static size_t keys_max(const struct brim_remember *r)
{
    INVARIANT(r->config.file_bytes_max >= BRIM_REMEMBER_BYTES_MIN);
    return (size_t)(r->config.file_bytes_max - HEAD_BYTES - TAIL_BYTES) / KEY_BYTES;
}

static bool is_stopping(struct brim_remember *r)
{
    bool stop;

    pthread_mutex_lock(&r->lock);
    stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    return stop;
}

/* ---- reading ---- */

/* Why it is no image, or NULL. */
static const char *check(struct image *image)
{
    if (image->len < HEAD_BYTES + TAIL_BYTES || memcmp(image->bytes, FILE_MAGIC, 8) != 0)
        return "no file of this kind";
    image->count = (image->len - HEAD_BYTES - TAIL_BYTES) / KEY_BYTES;
    if (get_u64(image->bytes + 8) != image->count ||
        image->len != HEAD_BYTES + image->count * KEY_BYTES + TAIL_BYTES)
        return "cut off, or too long";
    if (get_u64(image->bytes + image->len - TAIL_BYTES) !=
        brim_hash64(image->bytes, image->len - TAIL_BYTES))
        return "damaged";
    return NULL;
}

static enum brim_err read_whole(int fd, struct image *image)
{
    size_t at = 0;

    image->bytes = malloc(image->len + 1);
    if (image->bytes == NULL)
        return BRIM_ENOMEM;
    while (at < image->len) {
        ssize_t n = pread(fd, image->bytes + at, image->len - at, (off_t)at);

        if (n <= 0)
            return BRIM_EIO;
        at += (size_t)n;
    }
    return BRIM_OK;
}

/* False: there is nothing that could be read back. Owns: image->bytes is the caller's anyway. */
static bool read_image(const struct brim_remember *r, struct image *image)
{
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *why = NULL;
    struct stat info;

    if (fd == -1 && errno == ENOENT)
        return false;
    if (fd == -1 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        why = "no file";
    else if ((uint64_t)info.st_size > r->config.file_bytes_max)
        why = "larger than it may be";
    else
        image->len = (size_t)info.st_size;
    if (why == NULL)
        why = read_whole(fd, image) == BRIM_OK ? check(image) : "not readable";
    if (fd != -1)
        close(fd);
    if (why != NULL)
        BRIM_LOG(WARN, "cache.remember_ignored", "path=%s what=\"%s\"; RAM fills as requests come",
                 r->path, why);
    return why == NULL;
}

/* Whether it is in RAM now because of this. */
static bool bring_back(const struct brim_remember *r, struct brim_digest digest)
{
    struct brim_locator locator;
    struct brim_object *object;
    bool is_back;

    if (brim_disk_locate(r->config.disk, digest, &locator) != BRIM_OK ||
        brim_disk_load(r->config.disk, &locator, BRIM_DISK_WAIT, &object) != BRIM_OK)
        return false;
    atomic_store(&object->on_disk, 1);
    atomic_store(&object->use, USES);
    is_back = brim_purge_check(r->config.purge, object) != BRIM_PURGE_GONE &&
              r->config.promote(&locator, object, r->config.ctx);
    brim_object_unref(object);
    return is_back;
}

/* False: told to end before it was through. */
static bool bring_all_back(struct brim_remember *r, const struct image *image)
{
    uint64_t began_ms = brim_clock_mono_ms();
    size_t brought = 0, i = 0;
    bool is_through = true;

    for (; i < image->count && is_through; i++) {
        const uint8_t *key = image->bytes + HEAD_BYTES + i * KEY_BYTES;

        if (brim_hot_bytes(r->config.hot) >= r->config.hot_bytes_max ||
            brim_clock_mono_ms() - began_ms > READ_MS_MAX)
            break;
        if (bring_back(r, (struct brim_digest){.hi = get_u64(key), .lo = get_u64(key + 8)})) {
            brought++;
            BRIM_COUNT(HOT_REMEMBERED);
        }
        is_through = !is_stopping(r);
    }
    BRIM_LOG(INFO, "cache.remembered", "keys=%zu objects=%zu took_ms=%llu", image->count, brought,
             (unsigned long long)(brim_clock_mono_ms() - began_ms));
    return is_through;
}

static bool read_back(struct brim_remember *r)
{
    struct image image = {.bytes = NULL};
    bool is_through = !read_image(r, &image) || bring_all_back(r, &image);

    free(image.bytes);
    return is_through;
}

/* ---- writing ---- */

static enum brim_err write_whole(int fd, const struct image *image)
{
    size_t at = 0;

    while (at < image->len) {
        ssize_t n = write(fd, image->bytes + at, image->len - at);

        if (n <= 0)
            return errno == ENOSPC || errno == EDQUOT ? BRIM_ENOSPC : BRIM_EIO;
        at += (size_t)n;
    }
    return fdatasync(fd) == 0 ? BRIM_OK : BRIM_EIO;
}

static bool make_image(const struct brim_remember *r, struct image *image)
{
    struct brim_digest *digests = calloc(keys_max(r), sizeof(*digests));

    if (digests == NULL)
        return false;
    image->count = brim_hot_list(r->config.hot, digests, keys_max(r));
    image->len = HEAD_BYTES + image->count * KEY_BYTES + TAIL_BYTES;
    image->bytes = malloc(image->len);
    if (image->bytes != NULL) {
        memcpy(image->bytes, FILE_MAGIC, 8);
        put_u64(image->bytes + 8, image->count);
        for (size_t i = 0; i < image->count; i++) {
            put_u64(image->bytes + HEAD_BYTES + i * KEY_BYTES, digests[i].hi);
            put_u64(image->bytes + HEAD_BYTES + i * KEY_BYTES + 8, digests[i].lo);
        }
        put_u64(image->bytes + image->len - TAIL_BYTES,
                brim_hash64(image->bytes, image->len - TAIL_BYTES));
    }
    free(digests);
    return image->bytes != NULL;
}

static void write_image(const struct brim_remember *r)
{
    struct image image = {.bytes = NULL};
    enum brim_err err = make_image(r, &image) ? BRIM_OK : BRIM_ENOMEM;
    int fd = -1;

    if (err == BRIM_OK) {
        fd = open(r->path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        err = fd == -1 ? BRIM_EIO : write_whole(fd, &image);
    }
    if (fd != -1)
        close(fd);
    if (err == BRIM_OK && rename(r->path_new, r->path) != 0)
        err = BRIM_EIO;
    if (err != BRIM_OK) {
        BRIM_LOG(WARN, "cache.remember_failed", "path=%s reason=%s", r->path_new,
                 brim_err_name(err));
        (void)unlink(r->path_new);
    }
    free(image.bytes);
}

/* ---- the thread ---- */

/* Returns whether it goes on. */
static bool wait_for_turn(struct brim_remember *r)
{
    uint64_t until_ms = brim_clock_mono_ms() + r->config.interval_ms;
    struct timespec at = {.tv_sec = (time_t)(until_ms / 1000),
                          .tv_nsec = (long)(until_ms % 1000) * 1000000};
    bool stop;

    pthread_mutex_lock(&r->lock);
    while (!r->stop && brim_clock_mono_ms() < until_ms)
        pthread_cond_timedwait(&r->wake, &r->lock, &at);
    stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    return !stop;
}

static void *remember_main(void *arg)
{
    struct brim_remember *r = arg;
    bool is_through;

    OBJ_CHECK(r, REMEMBER_MAGIC);
    pthread_setname_np(pthread_self(), "brim-remember");
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread */
    is_through = read_back(r);
    pthread_mutex_lock(&r->lock);
    r->has_read = true;
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
    while (is_through) {
        bool goes_on = wait_for_turn(r);

        write_image(r);
        is_through = goes_on;
    }
    return NULL;
}

/* ---- life ---- */

static char *join(const char *directory, const char *name)
{
    size_t len = strlen(directory) + strlen(name) + 2;
    char *path = brim_alloc(len);

    (void)snprintf(path, len, "%s/%s", directory, name);
    return path;
}

static void remember_free(struct brim_remember *r)
{
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r->path);
    free(r->path_new);
    r->magic = 0;
    free(r);
}

enum brim_err brim_remember_open(const struct brim_remember_config *config,
                                 struct brim_remember **remember_out)
{
    struct brim_remember *r = brim_alloc(sizeof(*r));
    pthread_condattr_t attr;
    int error;

    INVARIANT(config->interval_ms > 0);
    *remember_out = NULL;
    r->magic = REMEMBER_MAGIC;
    r->config = *config;
    r->config.path = NULL; /* borrowed for the call only */
    r->path = join(config->path, BRIM_REMEMBER_FILE);
    r->path_new = join(config->path, BRIM_REMEMBER_FILE ".new");
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    error = pthread_create(&r->thread, NULL, remember_main, r);
    if (error != 0) {
        BRIM_LOG(ERROR, "cache.remember_failed", "what=\"start thread\" errno=%d", error);
        remember_free(r);
        return BRIM_EIO;
    }
    *remember_out = r;
    return BRIM_OK;
}

void brim_remember_end(struct brim_remember *r)
{
    if (r == NULL)
        return;
    OBJ_CHECK(r, REMEMBER_MAGIC);
    pthread_mutex_lock(&r->lock);
    INVARIANT(!r->stop);
    r->stop = true;
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
}

void brim_remember_close(struct brim_remember *r)
{
    if (r == NULL)
        return;
    if (!is_stopping(r))
        brim_remember_end(r);
    remember_free(r);
}

void brim_remember_wait(struct brim_remember *r)
{
    OBJ_CHECK(r, REMEMBER_MAGIC);
    pthread_mutex_lock(&r->lock);
    while (!r->has_read)
        pthread_cond_wait(&r->wake, &r->lock);
    pthread_mutex_unlock(&r->lock);
}
