/* SPDX-License-Identifier: MIT */
#include "brim/serve/estate.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"

#define ESTATE_MAGIC 0x65737431u

_Static_assert(sizeof(struct brim_estate) <= BRIM_ESTATE_BYTES, "it has room to grow");

static enum brim_err map(int fd, struct brim_estate **estate_out)
{
    struct stat info;
    void *page;

    if (fstat(fd, &info) != 0 || info.st_size != BRIM_ESTATE_BYTES)
        return BRIM_EVERSION;
    page = mmap(NULL, BRIM_ESTATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return BRIM_ENOMEM;
    *estate_out = page;
    return BRIM_OK;
}

static enum brim_err make(int *fd_out, struct brim_estate **estate_out)
{
    int fd = memfd_create("brim-estate", MFD_CLOEXEC);
    enum brim_err err;

    if (fd == -1)
        return BRIM_EIO;
    err = ftruncate(fd, BRIM_ESTATE_BYTES) == 0 ? map(fd, estate_out) : BRIM_EIO;
    if (err != BRIM_OK) {
        close(fd);
        return err;
    }
    (*estate_out)->magic = ESTATE_MAGIC;
    *fd_out = fd;
    return BRIM_OK;
}

enum brim_err brim_estate_open(int *fd, struct brim_estate **estate_out)
{
    enum brim_err err;

    *estate_out = NULL;
    if (*fd == -1) {
        err = make(fd, estate_out);
    } else {
        err = map(*fd, estate_out);
        if (err == BRIM_OK && (*estate_out)->magic != ESTATE_MAGIC) {
            brim_estate_close(*estate_out, -1);
            *estate_out = NULL;
            err = BRIM_EVERSION;
        }
    }
    if (err != BRIM_OK)
        BRIM_LOG(ERROR, "node.estate", "reason=%s errno=%d", brim_err_name(err), errno);
    return err;
}

void brim_estate_close(struct brim_estate *estate, int fd)
{
    if (estate != NULL)
        (void)munmap(estate, BRIM_ESTATE_BYTES);
    if (fd != -1)
        close(fd);
}

bool brim_estate_ask(struct brim_estate *estate, const char *binary)
{
    uint32_t state = atomic_load(&estate->state);
    size_t len = strlen(binary);

    INVARIANT(len < sizeof(estate->binary));
    do {
        if (state == BRIM_UPGRADE_ASKED || state == BRIM_UPGRADE_UNDER_WAY)
            return false;
    } while (!atomic_compare_exchange_weak(&estate->state, &state, BRIM_UPGRADE_ASKED));
    memcpy(estate->binary, binary, len + 1); /* read after the signal that follows */
    return true;
}
