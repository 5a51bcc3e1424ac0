/* SPDX-License-Identifier: MIT */
#include "brim/serve/datagrams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"

#define SYSLOG        "syslog"
#define SYSLOG_SOCKET "/dev/log"
#define UNIX          "unix:"
#define WAIT_US       100000 /* then who called is asked whether to go on waiting */
#define PRIORITY      134    /* local0.info */

struct brim_datagrams {
    int fd;
    bool is_syslog;
    struct sockaddr_un address;
};

bool brim_datagrams_is_target(const char *path)
{
    return strcmp(path, SYSLOG) == 0 || strncmp(path, UNIX "/", sizeof(UNIX)) == 0;
}

struct brim_datagrams *brim_datagrams_open(const char *path)
{
    bool is_syslog = strcmp(path, SYSLOG) == 0;
    const char *place = is_syslog ? SYSLOG_SOCKET : path + sizeof(UNIX) - 1;
    struct timeval patience = {.tv_usec = WAIT_US};
    struct brim_datagrams *to;

    INVARIANT(brim_datagrams_is_target(path));
    if (strlen(place) >= sizeof(to->address.sun_path)) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    to = brim_alloc(sizeof(*to));
    to->is_syslog = is_syslog;
    to->address.sun_family = AF_UNIX;
    memcpy(to->address.sun_path, place, strlen(place) + 1);
    to->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (to->fd < 0 ||
        setsockopt(to->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0) {
        brim_datagrams_close(to);
        return NULL;
    }
    return to;
}

void brim_datagrams_close(struct brim_datagrams *to)
{
    if (to == NULL)
        return;
    if (to->fd >= 0)
        close(to->fd);
    free(to);
}

char *brim_datagram_prefix(struct brim_datagrams *to, char *at, int64_t wall_s)
{
    char when[32] = "";
    time_t time = (time_t)wall_s;
    struct tm tm;
    int len;

    if (!to->is_syslog)
        return at;
    if (localtime_r(&time, &tm) == NULL || strftime(when, sizeof(when), "%b %e %T", &tm) == 0)
        when[0] = '\0';
    len = snprintf(at, BRIM_DATAGRAM_PREFIX_BYTES, "<%d>%s brim[%d]: ", PRIORITY, when,
                   (int)getpid());
    INVARIANT(len > 0 && (size_t)len < BRIM_DATAGRAM_PREFIX_BYTES);
    return at + len;
}

static bool send_one(struct brim_datagrams *to, struct brim_str line, bool (*may_wait)(void *ctx),
                     void *ctx)
{
    for (;;) {
        ssize_t sent = sendto(to->fd, line.base, line.len, MSG_NOSIGNAL,
                              (const struct sockaddr *)&to->address, sizeof(to->address));

        if (sent >= 0)
            return true;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN && may_wait(ctx))
            continue; /* WAIT_US have passed */
        BRIM_LOG(ERROR, "access_log.send_failed", "path=%s errno=%d", to->address.sun_path, errno);
        return false;
    }
}

size_t brim_datagrams_send(struct brim_datagrams *to, struct brim_str lines,
                           bool (*may_wait)(void *ctx), void *ctx)
{
    const char *at = lines.base, *end = lines.base + lines.len;
    size_t lost = 0;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        INVARIANT(newline != NULL);
        if (!send_one(to, brim_str(at, (size_t)(newline - at)), may_wait, ctx))
            lost++;
        at = newline + 1;
    }
    return lost;
}
