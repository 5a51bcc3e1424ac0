/* SPDX-License-Identifier: MIT */
#include "brim/policy/acme.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/pool.h"
#include "brim/base/watch.h"

#define READ_MAGIC 0x61636d65u
#define DIRECTORY  "/.well-known/acme-challenge/"
#define TOKEN_MAX  128u
#define TEXT_MAX   4096u
#define PATH_MAX_  (4096u + sizeof(DIRECTORY) + TOKEN_MAX)

struct brim_acme_read {
    struct brim_job job; /* first */
    uint32_t magic;
    _Atomic unsigned refs; /* the job's and the asker's */
    _Atomic int state;
    struct brim_port *port; /* counted */
    size_t len;
    char path[PATH_MAX_];
    char text[TEXT_MAX];
};

struct brim_str brim_acme_token(struct brim_str target)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct brim_str directory = BRIM_STR(DIRECTORY), token;

    if (target.len <= directory.len || target.len > directory.len + TOKEN_MAX ||
        !brim_str_has_prefix(target, directory))
        return brim_str(NULL, 0);
    token = brim_str(target.base + directory.len, target.len - directory.len);
    for (size_t i = 0; i < token.len; i++)
        if (memchr(good, token.base[i], sizeof(good) - 1) == NULL)
            return brim_str(NULL, 0);
    return token;
}

void brim_acme_end(struct brim_acme_read *read)
{
    if (read == NULL)
        return;
    OBJ_CHECK(read, READ_MAGIC);
    if (atomic_fetch_sub_explicit(&read->refs, 1, memory_order_acq_rel) != 1)
        return;
    brim_port_unref(read->port);
    read->magic = 0;
    free(read);
}

/* A regular file and no link, so that who may write there shows what he wrote and nothing else. */
static bool read_text(struct brim_acme_read *job)
{
    int fd = open(job->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t len = -1;
    struct stat st;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= TEXT_MAX)
        len = read(fd, job->text, TEXT_MAX);
    (void)close(fd);
    job->len = len < 0 ? 0 : (size_t)len;
    return len > 0;
}

static void run(struct brim_job *job)
{
    struct brim_acme_read *read = (struct brim_acme_read *)job; /* it stands first */

    OBJ_CHECK(read, READ_MAGIC);
    atomic_store_explicit(&read->state, read_text(read) ? BRIM_ACME_THERE : BRIM_ACME_NONE,
                          memory_order_release);
    brim_port_fire(read->port);
    brim_acme_end(read);
}

struct brim_acme_read *brim_acme_begin(struct brim_pool *pool, const char *webroot,
                                       struct brim_str token, struct brim_port *port)
{
    struct brim_acme_read *read = brim_alloc(sizeof(*read));
    int len = snprintf(read->path, sizeof(read->path), "%s" DIRECTORY "%.*s", webroot,
                       (int)token.len, token.base);

    INVARIANT(len > 0 && (size_t)len < sizeof(read->path));
    read->job.run = run;
    read->magic = READ_MAGIC;
    read->refs = 2;
    read->port = port;
    brim_port_ref(port);
    if (brim_pool_submit(pool, BRIM_JOB_READ, &read->job) == BRIM_OK)
        return read;
    read->refs = 1;
    brim_acme_end(read);
    return NULL;
}

enum brim_acme_state brim_acme_look(const struct brim_acme_read *read, struct brim_str *text_out)
{
    enum brim_acme_state state;

    OBJ_CHECK(read, READ_MAGIC);
    state = (enum brim_acme_state)atomic_load_explicit(&read->state, memory_order_acquire);
    *text_out = state == BRIM_ACME_THERE ? brim_str(read->text, read->len) : brim_str(NULL, 0);
    return state;
}
