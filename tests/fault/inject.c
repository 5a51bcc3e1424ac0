/* SPDX-License-Identifier: MIT */
/*
 * inject - a preloaded library that makes the nth call of a kind fail, under control of a file that
 * the test has mapped too (BRIM_INJECT names it), so that it arms a fault while the node runs.
 *
 * The file is an array of struct kind, one a kind, in the order of enum which. Only calls of the
 * process that is not control.spared count: that is the supervisor. Calls on sockets and pipes are
 * not touched; reads, writes and syncs are those of files that are read and written at an offset,
 * which is how the cache and LMDB do it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum which { ALLOC, WRITE, SYNC, READ, OPEN, ROOM, PUT, COMMIT, GET, CLOCK, WHICH_COUNT };

struct kind {
    _Atomic uint64_t from;  /* the call that fails first, counted from when it was armed; 0: none */
    _Atomic uint64_t count; /* how many fail from there on */
    _Atomic int64_t error;  /* errno, or LMDB's code; of the clock: seconds that it is wrong by */
    _Atomic uint64_t seen;  /* calls since it was armed */
    _Atomic uint64_t failed;
    _Atomic uint64_t bytes_min; /* allocations and writes that are smaller do not count */
    _Atomic uint64_t bytes_max; /* nor larger ones */
};

struct control {
    struct kind kinds[WHICH_COUNT];
    _Atomic int64_t spared;
};

static struct control *control;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("BRIM_INJECT");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *map;

    if (fd < 0)
        return;
    map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        control = map;
}

/* The error that this call is to fail with, or 0. */
static int due(enum which which, uint64_t bytes)
{
    struct kind *kind;
    uint64_t from, seen;

    if (control == NULL)
        return 0;
    kind = &control->kinds[which];
    from = atomic_load(&kind->from);
    if (from == 0 || bytes < atomic_load(&kind->bytes_min) ||
        bytes > atomic_load(&kind->bytes_max) || atomic_load(&control->spared) == (int64_t)getpid())
        return 0;
    seen = atomic_fetch_add(&kind->seen, 1) + 1;
    if (seen < from || seen >= from + atomic_load(&kind->count))
        return 0;
    atomic_fetch_add(&kind->failed, 1);
    return (int)atomic_load(&kind->error);
}

static int fails(enum which which, uint64_t bytes)
{
    int error = due(which, bytes);

    if (error != 0)
        errno = error;
    return error != 0;
}

/* The next function of the name, found once. */
#define NEXT(type, name)                                                                           \
    static type *next;                                                                             \
    if (next == NULL)                                                                              \
    *(void **)&next = dlsym(RTLD_NEXT, name)

/* ---- memory: glibc's own, as dlsym allocates ---- */

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

void *malloc(size_t bytes)
{
    return fails(ALLOC, bytes) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return fails(ALLOC, count * bytes) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return fails(ALLOC, bytes) ? NULL : __libc_realloc(old, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes)
{
    if (fails(ALLOC, bytes))
        return ENOMEM;
    *out = __libc_memalign(align, bytes);
    return *out == NULL ? ENOMEM : 0;
}

/* ---- files ---- */

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset)
{
    typedef ssize_t function(int, const void *, size_t, off64_t);
    NEXT(function, "pwrite64");
    return fails(WRITE, len) ? -1 : next(fd, bytes, len, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    return pwrite64(fd, bytes, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *list, int count, off_t offset)
{
    typedef ssize_t function(int, const struct iovec *, int, off_t);
    NEXT(function, "pwritev");
    return fails(WRITE, 0) ? -1 : next(fd, list, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *list, int count, off64_t offset)
{
    return pwritev(fd, list, count, offset);
}

int fsync(int fd)
{
    typedef int function(int);
    NEXT(function, "fsync");
    return fails(SYNC, 0) ? -1 : next(fd);
}

int fdatasync(int fd)
{
    typedef int function(int);
    NEXT(function, "fdatasync");
    return fails(SYNC, 0) ? -1 : next(fd);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t offset)
{
    typedef ssize_t function(int, void *, size_t, off64_t);
    NEXT(function, "pread64");
    return fails(READ, len) ? -1 : next(fd, bytes, len, offset);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
    return pread64(fd, bytes, len, offset);
}

ssize_t preadv2(int fd, const struct iovec *list, int count, off_t offset, int flags)
{
    typedef ssize_t function(int, const struct iovec *, int, off_t, int);
    NEXT(function, "preadv2");
    return fails(READ, 0) ? -1 : next(fd, list, count, offset, flags);
}

ssize_t preadv64v2(int fd, const struct iovec *list, int count, off64_t offset, int flags)
{
    return preadv2(fd, list, count, offset, flags);
}

/* Only files of the cache: relative to its directories. */
int openat(int dir, const char *path, int flags, ...)
{
    typedef int function(int, const char *, int, ...);
    mode_t mode = 0;
    va_list rest;
    NEXT(function, "openat");

    va_start(rest, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = va_arg(rest, mode_t);
    va_end(rest);
    return fails(OPEN, 0) ? -1 : next(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list rest;

    va_start(rest, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = va_arg(rest, mode_t);
    va_end(rest);
    return openat(dir, path, flags, mode);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    typedef int function(int, int, off64_t, off64_t);
    NEXT(function, "fallocate64");
    return fails(ROOM, 0) ? -1 : next(fd, mode, offset, len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fallocate64(fd, mode, offset, len);
}

int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
    typedef int function(int, off64_t, off64_t);
    int error = due(ROOM, 0);
    NEXT(function, "posix_fallocate64");
    return error != 0 ? error : next(fd, offset, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return posix_fallocate64(fd, offset, len);
}

/* ---- LMDB: opaque here ---- */

int mdb_put(void *txn, unsigned dbi, void *key, void *val, unsigned flags)
{
    typedef int function(void *, unsigned, void *, void *, unsigned);
    int error = due(PUT, 0);
    NEXT(function, "mdb_put");
    return error != 0 ? error : next(txn, dbi, key, val, flags);
}

/* A commit that fails has ended its transaction: so does this one. */
int mdb_txn_commit(void *txn)
{
    typedef int function(void *);
    static function *abort_txn;
    int error = due(COMMIT, 0);
    NEXT(function, "mdb_txn_commit");

    if (error == 0)
        return next(txn);
    if (abort_txn == NULL)
        *(void **)&abort_txn = dlsym(RTLD_NEXT, "mdb_txn_abort");
    (void)abort_txn(txn);
    return error;
}

int mdb_get(void *txn, unsigned dbi, void *key, void *val)
{
    typedef int function(void *, unsigned, void *, void *);
    int error = due(GET, 0);
    NEXT(function, "mdb_get");
    return error != 0 ? error : next(txn, dbi, key, val);
}

/* ---- the clock: only the wall's ---- */

int clock_gettime(clockid_t id, struct timespec *out)
{
    typedef int function(clockid_t, struct timespec *);
    int rc;
    NEXT(function, "clock_gettime");

    rc = next(id, out);
    if (control != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        out->tv_sec += (time_t)atomic_load(&control->kinds[CLOCK].error);
    return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
