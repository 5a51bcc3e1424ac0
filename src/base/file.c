/* SPDX-License-Identifier: MIT */
#include "brim/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *open_failed(void)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return "does not exist";
    return errno == EACCES ? "may not be read" : "cannot be opened";
}

FILE *brim_file_open(const char *path, const char **why_out)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    FILE *file = NULL;
    struct stat st;

    *why_out = NULL;
    if (fd < 0) {
        *why_out = open_failed();
        return NULL;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        *why_out = "is not a regular file";
    else if ((file = fdopen(fd, "r")) == NULL)
        *why_out = "cannot be opened";
    if (file == NULL)
        (void)close(fd);
    return file;
}
