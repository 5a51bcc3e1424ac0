/* SPDX-License-Identifier: MIT */
#include "brim/cache/segment_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/invariant.h"

#define NAME_BYTES 13u /* XXXXXXXX.seg and NUL */

static void name_of(uint32_t id, char name_out[NAME_BYTES])
{
    int n = snprintf(name_out, NAME_BYTES, "%08" PRIx32 ".seg", id);

    INVARIANT(n == (int)NAME_BYTES - 1);
}

/* All blocks now, so that a full device shows here and not in the middle of a body. */
static int allocate(int fd, off_t bytes)
{
    int rc;

    do
        rc = fallocate(fd, 0, 0, bytes);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        rc = ftruncate(fd, bytes); /* this file system finds out when it writes */
    return rc == 0 ? 0 : errno;
}

int brim_segment_file_make(int dir_fd, uint32_t id, uint32_t bytes, int *fd_out)
{
    char name[NAME_BYTES];
    int errnum;

    name_of(id, name);
    *fd_out = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd_out < 0)
        return errno;
    errnum = allocate(*fd_out, (off_t)bytes);
    if (errnum != 0) {
        close(*fd_out);
        *fd_out = -1;
        (void)unlinkat(dir_fd, name, 0);
    }
    return errnum;
}

int brim_segment_file_open(int dir_fd, uint32_t id, int *fd_out)
{
    char name[NAME_BYTES];

    name_of(id, name);
    *fd_out = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return *fd_out < 0 ? errno : 0;
}

int brim_segment_file_remove(int dir_fd, uint32_t id)
{
    char name[NAME_BYTES];

    name_of(id, name);
    return unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ? 0 : errno;
}

int brim_segment_file_write(int fd, const uint8_t *bytes, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        bytes += n;
        len -= (size_t)n;
        offset += (size_t)n;
    }
    return 0;
}

static void skip_read(struct iovec parts[2], size_t read)
{
    for (int i = 0; i < 2; i++) {
        size_t taken = read < parts[i].iov_len ? read : parts[i].iov_len;
        parts[i].iov_base = (uint8_t *)parts[i].iov_base + taken;
        parts[i].iov_len -= taken;
        read -= taken;
    }
}

enum brim_err brim_segment_file_read(int fd, uint64_t offset, struct iovec parts[2],
                                     enum brim_segments_wait wait)
{
    size_t left = parts[0].iov_len + parts[1].iov_len;
    int flags = wait == BRIM_SEGMENTS_NOWAIT ? RWF_NOWAIT : 0;

    while (left > 0) {
        ssize_t n = preadv2(fd, parts, 2, (off_t)offset, flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (wait == BRIM_SEGMENTS_NOWAIT && n != (ssize_t)left)
            return BRIM_EAGAIN;
        if (n < 0)
            return BRIM_EIO;
        if (n == 0)
            return BRIM_ECORRUPT;
        left -= (size_t)n;
        offset += (size_t)n;
        skip_read(parts, (size_t)n);
    }
    return BRIM_OK;
}

static bool id_of(const char *name, uint32_t *id_out)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t id = 0;

    if (strlen(name) != NAME_BYTES - 1 || strcmp(name + 8, ".seg") != 0)
        return false;
    for (int i = 0; i < 8; i++) {
        const char *digit = strchr(digits, name[i]);
        if (digit == NULL)
            return false;
        id = id << 4 | (uint32_t)(digit - digits);
    }
    *id_out = id;
    return true;
}

int brim_segment_file_each(int dir_fd, void (*fn)(uint32_t id, void *ctx), void *ctx)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;
    DIR *dir;
    uint32_t id;
    int errnum;

    if (fd < 0)
        return errno;
    dir = fdopendir(fd);
    if (dir == NULL) {
        errnum = errno;
        close(fd);
        return errnum;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this thread has the stream for itself */
    for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
        if (id_of(entry->d_name, &id))
            fn(id, ctx);
    }
    errnum = errno;
    closedir(dir);
    return errnum;
}
