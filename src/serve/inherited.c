/* SPDX-License-Identifier: MIT */
#include "brim/serve/inherited.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "brim/base/invariant.h"

struct brim_inherited {
    char **names; /* count of them, and a NULL */
    int *fds;
    bool *is_claimed;
    size_t count;
};

/* Takes names, which count belong to. */
static struct brim_inherited *inherited_new(char **names, size_t count)
{
    struct brim_inherited *inherited = brim_alloc(sizeof(*inherited));

    inherited->names = names;
    inherited->count = count;
    inherited->fds = brim_alloc((count + 1) * sizeof(int));
    inherited->is_claimed = brim_alloc(count + 1);
    return inherited;
}

static void never_block(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags != -1)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct brim_inherited *brim_inherited_open(void)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    struct brim_inherited *inherited = inherited_new(names, count < 0 ? 0 : (size_t)count);

    for (size_t i = 0; i < inherited->count; i++) {
        inherited->fds[i] = SD_LISTEN_FDS_START + (int)i;
        never_block(inherited->fds[i]);
    }
    return inherited;
}

struct brim_inherited *brim_inherited_named(const char *text)
{
    char *copy = brim_strdup(text), *rest = NULL;
    char **names = brim_alloc((BRIM_INHERITED_MAX + 1) * sizeof(char *));
    struct brim_inherited *inherited = inherited_new(names, BRIM_INHERITED_MAX);

    inherited->count = 0;
    for (char *word = strtok_r(copy, ":", &rest);
         word != NULL && inherited->count < BRIM_INHERITED_MAX; word = strtok_r(NULL, ":", &rest)) {
        const char *name = strtok_r(NULL, ":", &rest);
        char *end = NULL;
        long fd = strtol(word, &end, 10);

        if (name == NULL || *end != '\0' || fd < 3 || fd > INT_MAX ||
            fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
            continue;
        inherited->names[inherited->count] = brim_strdup(name);
        inherited->fds[inherited->count++] = (int)fd;
    }
    free(copy);
    return inherited;
}

size_t brim_inherited_count(const struct brim_inherited *inherited)
{
    return inherited->count;
}

static bool is_same_address(const struct sockaddr_storage *have, const struct sockaddr *wanted)
{
    if (have->ss_family != wanted->sa_family)
        return false;
    if (have->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)have;
        const struct sockaddr_in *b = (const struct sockaddr_in *)wanted;

        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    if (have->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)have;
        const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)wanted;

        return a->sin6_port == b->sin6_port &&
               memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
    }
    return have->ss_family == AF_UNIX &&
           strcmp(((const struct sockaddr_un *)have)->sun_path,
                  ((const struct sockaddr_un *)wanted)->sun_path) == 0;
}

static bool is_listening(int fd)
{
    return sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
}

static bool is_wanted(const struct brim_inherited *inherited, size_t position,
                      const struct brim_inherited_wanted *wanted)
{
    /* A unix path that fills its field has no NUL there: one byte more has. */
    union {
        struct sockaddr_storage any;
        char room[sizeof(struct sockaddr_storage) + 1];
    } address = {.room = ""};
    socklen_t len = sizeof(address.any);

    if (wanted->name[0] != '\0')
        return strcmp(inherited->names[position], wanted->name) == 0;
    return getsockname(inherited->fds[position], (struct sockaddr *)&address.any, &len) == 0 &&
           is_same_address(&address.any, wanted->address);
}

size_t brim_inherited_claim(struct brim_inherited *inherited,
                            const struct brim_inherited_wanted *wanted, int *fds_out, size_t max)
{
    size_t found = 0;

    for (size_t i = 0; i < inherited->count && found < max; i++) {
        if (inherited->is_claimed[i] || !is_listening(inherited->fds[i]) ||
            !is_wanted(inherited, i, wanted))
            continue;
        inherited->is_claimed[i] = true;
        fds_out[found++] = inherited->fds[i];
    }
    return found;
}

void brim_inherited_unclaim(struct brim_inherited *inherited)
{
    memset(inherited->is_claimed, 0, inherited->count * sizeof(*inherited->is_claimed));
}

const char *brim_inherited_left(const struct brim_inherited *inherited)
{
    for (size_t i = 0; i < inherited->count; i++)
        if (!inherited->is_claimed[i])
            return inherited->names[i];
    return NULL;
}

void brim_inherited_close(struct brim_inherited *inherited)
{
    if (inherited == NULL)
        return;
    for (size_t i = 0; i < inherited->count; i++) {
        if (!inherited->is_claimed[i])
            close(inherited->fds[i]);
        free(inherited->names[i]);
    }
    free(inherited->names);
    free(inherited->fds);
    free(inherited->is_claimed);
    free(inherited);
}
