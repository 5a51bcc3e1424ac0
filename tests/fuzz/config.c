/* SPDX-License-Identifier: MIT */
/*
 * A config file: it is accepted, or refused with a fault of one line that names its place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "brim/base/conf.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct brim_conf *conf = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *faults = open_memstream(&text, &len);

    if (fd == -1) {
        fd = memfd_create("config", 0);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    INVARIANT(fd >= 0 && faults != NULL);
    INVARIANT(ftruncate(fd, 0) == 0);
    INVARIANT(pwrite(fd, data, size, 0) == (ssize_t)size);
    enum brim_err err = brim_conf_load(path, faults, &conf);
    INVARIANT(fclose(faults) == 0);
    INVARIANT(err == BRIM_OK || err == BRIM_EINVAL);
    INVARIANT((err == BRIM_OK) == (len == 0));
    if (len > 0) {
        INVARIANT(strncmp(text, path, strlen(path)) == 0 && text[len - 1] == '\n');
        for (size_t i = 0; i + 1 < len; i++) /* nothing that a terminal would obey */
            INVARIANT((unsigned char)text[i] >= ' ' || text[i] == '\n');
    }
    brim_conf_free(conf);
    free(text);
    return 0;
}
