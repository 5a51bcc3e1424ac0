/* SPDX-License-Identifier: MIT */
/*
 * hold - a preloaded library that holds whoever opens the file BRIM_HOLD, with the file open, for
 * as long as somebody has the FIFO BRIM_HELD_BY open for writing. Where there is no such FIFO
 * nobody is held.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int open_fn(const char *, int, ...);

static void hold(open_fn *next, const char *path)
{
    const char *held = getenv("BRIM_HOLD"), *by = getenv("BRIM_HELD_BY");
    int fd = held == NULL || by == NULL || strcmp(path, held) != 0 ? -1 : next(by, O_RDONLY);
    char byte;

    if (fd == -1)
        return;
    while (read(fd, &byte, 1) > 0)
        continue;
    close(fd);
}

int open64(const char *path, int flags, ...)
{
    open_fn *next = (open_fn *)dlsym(RTLD_NEXT, "open64");
    mode_t mode = 0;
    va_list rest;
    int fd;

    va_start(rest, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = va_arg(rest, mode_t);
    va_end(rest);
    fd = next(path, flags, mode);
    hold(next, path);
    return fd;
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));
