/* SPDX-License-Identifier: MIT */
#include "brim/serve/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/socket.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"

#define BACKLOG 65535 /* the kernel lowers it to net.core.somaxconn */

/* An address as bind(2) wants it. */
struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } address;
    socklen_t len;
    bool is_dual; /* IPv6 socket that takes IPv4 as well */
};

/* ---- addresses ---- */

static bool parse_port(const char *text, in_port_t *port_out)
{
    char *end = NULL;
    unsigned long value;

    *port_out = 0;
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > UINT16_MAX)
        return false;
    *port_out = htons((uint16_t)value);
    return true;
}

static bool parse_unix(const char *path, struct endpoint *endpoint_out)
{
    struct sockaddr_un *un = &endpoint_out->address.un;
    size_t len = strlen(path);

    if (path[0] != '/' || len >= sizeof(un->sun_path))
        return false;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    endpoint_out->len = sizeof(*un);
    return true;
}

/* "0.0.0.0:80", "[::1]:80", ":80", "unix:/path" */
static bool parse_endpoint(const char *text, struct endpoint *endpoint_out)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN];
    in_port_t port;
    size_t len;

    *endpoint_out = (struct endpoint){.len = 0};
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, endpoint_out);
    if (colon == NULL || !parse_port(colon + 1, &port))
        return false;
    len = (size_t)(colon - text);
    if (len == 0 || text[0] == '[') {
        endpoint_out->address.v6 =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
        endpoint_out->len = sizeof(endpoint_out->address.v6);
        endpoint_out->is_dual = len == 0;
        if (len == 0)
            return true; /* the zero address is any address */
        if (len < 3 || len - 2 >= sizeof(host) || text[len - 1] != ']')
            return false;
        memcpy(host, text + 1, len - 2);
        host[len - 2] = '\0';
        return inet_pton(AF_INET6, host, &endpoint_out->address.v6.sin6_addr) == 1;
    }
    if (len >= sizeof(host))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    endpoint_out->address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    endpoint_out->len = sizeof(endpoint_out->address.v4);
    return inet_pton(AF_INET, host, &endpoint_out->address.v4.sin_addr) == 1;
}

/* ---- one socket ---- */

enum sharing { ALONE, SHARED_PORT };

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* Returns a bound socket, or -1 with errno. */
static int bind_one(const struct endpoint *endpoint, enum sharing sharing)
{
    int family = endpoint->address.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int saved;

    if (fd == -1)
        return -1;
    if (family != AF_UNIX && !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        goto failed;
    if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !endpoint->is_dual))
        goto failed;
    if (sharing == SHARED_PORT && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
        goto failed;
    if (bind(fd, &endpoint->address.any, endpoint->len) != 0)
        goto failed;
    return fd;

failed:
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Whether this machine has no IPv6, so that "any address" can only mean IPv4. */
static bool is_without_ipv6(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

/* From any address of both families to any of IPv4. */
static void to_any_v4(struct endpoint *endpoint)
{
    in_port_t port = endpoint->address.v6.sin6_port;

    *endpoint = (struct endpoint){.len = sizeof(endpoint->address.v4)};
    endpoint->address.v4.sin_family = AF_INET;
    endpoint->address.v4.sin_port = port;
}

/* Finds out whether the address is free, which SO_REUSEPORT would hide, and which port it is. */
static bool probe(struct endpoint *endpoint)
{
    int fd = bind_one(endpoint, ALONE);
    bool is_good;

    if (fd == -1 && endpoint->is_dual && is_without_ipv6(errno)) {
        to_any_v4(endpoint);
        fd = bind_one(endpoint, ALONE);
    }
    if (fd == -1)
        return false;
    is_good = getsockname(fd, &endpoint->address.any, &endpoint->len) == 0;
    close(fd);
    return is_good;
}

/* Removes a unix socket that nobody listens on. Returns why the path cannot be used, or NULL. */
static const char *clear_path(const struct endpoint *endpoint)
{
    const char *path = endpoint->address.un.sun_path;
    struct stat info;
    int fd, error;

    if (lstat(path, &info) != 0)
        return NULL; /* nothing there; bind says what else may be wrong */
    if (!S_ISSOCK(info.st_mode))
        return "is a file that is not a socket";
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return strerrordesc_np(errno);
    error = connect(fd, &endpoint->address.any, endpoint->len) == 0 ? 0 : errno;
    close(fd);
    if (error != ECONNREFUSED)
        return "is in use by another process";
    return unlink(path) == 0 ? NULL : strerrordesc_np(errno);
}

static const char *listen_unix(struct endpoint *endpoint, int *fd_out)
{
    const char *why = clear_path(endpoint);

    if (why != NULL)
        return why;
    *fd_out = bind_one(endpoint, ALONE);
    if (*fd_out == -1 || listen(*fd_out, BACKLOG) != 0)
        return strerrordesc_np(errno);
    return NULL;
}

/* ---- interface ---- */

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int fd = fds[i];

        for (size_t j = i; fd != -1 && j < count; j++) /* some are repeated */
            if (fds[j] == fd)
                fds[j] = -1;
        if (fd != -1)
            close(fd);
    }
}

static const char *listen_all(struct endpoint *endpoint, size_t count, int *fds)
{
    const char *why;

    if (endpoint->address.any.sa_family == AF_UNIX) {
        why = listen_unix(endpoint, &fds[0]);
        for (size_t i = 1; i < count; i++)
            fds[i] = fds[0];
        return why;
    }
    if (!probe(endpoint))
        return strerrordesc_np(errno);
    for (size_t i = 0; i < count; i++) {
        fds[i] = bind_one(endpoint, count > 1 ? SHARED_PORT : ALONE);
        if (fds[i] == -1)
            return strerrordesc_np(errno);
    }
    /* Only now: a connection that came to the first before the last is there would be lost if the
     * last failed. */
    for (size_t i = 0; i < count; i++)
        if (listen(fds[i], BACKLOG) != 0)
            return strerrordesc_np(errno);
    return NULL;
}

enum brim_err brim_sockets_bind_address(const char *address, size_t count, int *fds_out,
                                        const char **why_out)
{
    struct endpoint endpoint;

    INVARIANT(count > 0);
    for (size_t i = 0; i < count; i++)
        fds_out[i] = -1;
    if (!parse_endpoint(address, &endpoint))
        *why_out = "is not an address";
    else
        *why_out = listen_all(&endpoint, count, fds_out);
    if (*why_out == NULL)
        return BRIM_OK;
    close_all(fds_out, count);
    return BRIM_EINVAL;
}

/* The kernel gives twice what it is asked for, as it counts its own needs too. Returns what it
 * gives; for what is no socket of TCP's, what was asked for. */
static uint64_t bound(int fd, uint64_t bytes)
{
    int given = 0;
    socklen_t len = sizeof(given);

    if (!set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)(bytes / 2)) ||
        getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &given, &len) != 0 || given < 0)
        return bytes;
    return (uint64_t)given;
}

/* Kernels before 5.14 cannot: there a socket that was handed over keeps its bound. */
static void unbound(int fd)
{
    int locks = 0;
    socklen_t len = sizeof(locks);

    if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &len) == 0)
        (void)set_option(fd, SOL_SOCKET, SO_BUF_LOCK, locks & ~SOCK_RCVBUF_LOCK);
}

void brim_sockets_bound_unread(const struct brim_sockets *sockets, uint64_t bytes)
{
    uint64_t least = bytes;

    for (size_t i = 0; i < sockets->listeners * sockets->slots; i++) {
        uint64_t given = bytes;

        if (sockets->fds[i] == -1)
            continue;
        if (bytes == 0)
            unbound(sockets->fds[i]);
        else
            given = bound(sockets->fds[i], bytes);
        least = given < least ? given : least;
    }
    if (least + 1 < bytes) /* an odd one loses a byte */
        BRIM_LOG(WARN, "listener.unread_capped", "asked=%llu given=%llu by=net.core.rmem_max",
                 (unsigned long long)bytes, (unsigned long long)least);
}

static void fault(const struct brim_conf *conf, FILE *faults, const char *key, const char *text)
{
    (void)fprintf(faults, "%s:%d: %s: %s\n", brim_conf_path(conf), brim_conf_line(conf, key), key,
                  text);
}

/* One that is to be listened on, and where the config says so. */
struct wanted {
    const char *key;
    const char *address;
    const char *name; /* of the socket that a service manager hands over; "": goes by the address */
};

/* All that there are, up to max; 0: there is none. */
static size_t claim(struct brim_inherited *inherited, const struct wanted *wanted, size_t max,
                    int *fds_out)
{
    struct brim_inherited_wanted by = {.name = wanted->name};
    struct endpoint endpoint;
    size_t found = 0;

    if (inherited == NULL || !parse_endpoint(wanted->address, &endpoint))
        return 0;
    by.address = &endpoint.address.any;
    by.address_len = endpoint.len;
    found = brim_inherited_claim(inherited, &by, fds_out, max);
    if (found == 0 && endpoint.is_dual) {
        to_any_v4(&endpoint);
        by.address_len = endpoint.len;
        found = brim_inherited_claim(inherited, &by, fds_out, max);
    }
    return found;
}

/* Where the sockets of one address go. */
struct room {
    int *fds;
    size_t slots;
    size_t workers;
};

/* Listens for count workers in up to `max` slots. */
static enum brim_err bind_for(const struct brim_conf *conf, FILE *faults,
                              struct brim_inherited *inherited, const struct wanted *wanted,
                              const struct room *room)
{
    size_t found = claim(inherited, wanted, room->slots, room->fds);
    const char *why;
    char text[512];

    for (size_t i = found; found > 0 && i < room->workers; i++)
        room->fds[i] = room->fds[i - found];
    if (found > 0)
        return BRIM_OK;
    if (brim_sockets_bind_address(wanted->address, room->workers, room->fds, &why) == BRIM_OK)
        return BRIM_OK;
    if (snprintf(text, sizeof(text), "cannot listen on \"%s\": %s", wanted->address, why) > 0)
        fault(conf, faults, wanted->key, text);
    return BRIM_EINVAL;
}

static void prepare(struct brim_sockets *sockets, size_t listeners, size_t workers, size_t handed)
{
    *sockets = (struct brim_sockets){.listeners = listeners,
                                     .workers = workers,
                                     .slots = handed > workers ? handed : workers,
                                     .admin_fd = -1};
    sockets->fds = brim_alloc(listeners * sockets->slots * sizeof(int));
    for (size_t i = 0; i < listeners * sockets->slots; i++)
        sockets->fds[i] = -1;
}

enum brim_err brim_sockets_bind(const struct brim_conf *conf, size_t workers,
                                struct brim_inherited *inherited, FILE *faults,
                                struct brim_sockets *sockets_out)
{
    struct wanted admin = {.key = "admin.address", .name = ""};
    const struct brim_conf_root *root = brim_conf_root(conf);
    struct room room = {.workers = workers};
    enum brim_err result = BRIM_OK;
    char key[64];

    INVARIANT(workers > 0 && root->listeners.count > 0);
    prepare(sockets_out, root->listeners.count, workers,
            inherited == NULL ? 0 : brim_inherited_count(inherited));
    room.slots = sockets_out->slots;
    for (size_t i = 0; i < sockets_out->listeners; i++) { /* to the end: every fault is told */
        struct wanted wanted = {.key = key,
                                .address = root->listeners.items[i].address,
                                .name = root->listeners.items[i].socket};
        int len = snprintf(key, sizeof(key), "listeners[%zu].address", i);

        INVARIANT(len > 0 && (size_t)len < sizeof(key));
        room.fds = sockets_out->fds + i * room.slots;
        if (bind_for(conf, faults, inherited, &wanted, &room) != BRIM_OK)
            result = BRIM_EINVAL;
    }
    admin.address = root->admin.address;
    room.workers = room.slots = 1;
    room.fds = &sockets_out->admin_fd;
    if (bind_for(conf, faults, inherited, &admin, &room) != BRIM_OK)
        result = BRIM_EINVAL;
    if (result != BRIM_OK)
        brim_sockets_close(sockets_out);
    else
        brim_sockets_bound_unread(sockets_out, root->limits.unread_bytes);
    return result;
}

bool brim_sockets_are_all(const struct brim_conf *conf, struct brim_inherited *inherited)
{
    const struct brim_conf_root *root = brim_conf_root(conf);
    struct wanted admin = {.address = root->admin.address, .name = ""};
    size_t max = brim_inherited_count(inherited);
    int *fds = brim_alloc((max + 1) * sizeof(int));
    bool are_all = true;

    for (size_t i = 0; i < root->listeners.count; i++) {
        struct wanted wanted = {.address = root->listeners.items[i].address,
                                .name = root->listeners.items[i].socket};

        are_all &= claim(inherited, &wanted, max, fds) > 0;
    }
    are_all &= claim(inherited, &admin, 1, fds) > 0 && brim_inherited_left(inherited) == NULL;
    brim_inherited_unclaim(inherited);
    free(fds);
    return are_all;
}

void brim_sockets_close(struct brim_sockets *sockets)
{
    if (sockets->fds != NULL) {
        for (size_t i = 0; i < sockets->listeners; i++)
            close_all(sockets->fds + i * sockets->slots, sockets->slots);
    }
    free(sockets->fds);
    sockets->fds = NULL;
    if (sockets->admin_fd != -1)
        close(sockets->admin_fd);
    sockets->admin_fd = -1;
}
