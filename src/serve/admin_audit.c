/* SPDX-License-Identifier: MIT */
/*
 * A line for each call, whoever asked and however it ended:
 *
 *   admin.call method=POST path=/v1/purge peer=127.0.0.1:40112 status=200 ms=3
 *
 * None for probes and the page, which anybody may ask for, nor for what is asked for all day by who
 * may (metrics, the live page's numbers): among those the others would not be found.
 * What was let in is bounded by admin.rate and never kept back; what was refused may be kept back.
 * At a unix socket the peer is the process that connected. A caller that left before the answer has
 * status=none. What was refused before its body came is here too. What nobody can call has
 * method=- path=-, as a path of the caller's could say anything.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/serve/admin_inside.h"

#define PEER_BYTES 64u

struct brim_admin_audit {
    const char *method;
    const char *path;
    uint64_t began_ms;
    bool is_let;
    bool is_written;
    char peer[PEER_BYTES];
};

static void name_process(int fd, char *out)
{
    struct ucred process = {.pid = 0};
    socklen_t len = sizeof(process);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &len) != 0)
        (void)snprintf(out, PEER_BYTES, "unix");
    else
        (void)snprintf(out, PEER_BYTES, "pid:%d,uid:%u", (int)process.pid, process.uid);
}

static void name_peer(h2o_socket_t *sock, char *out)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
    char text[INET6_ADDRSTRLEN] = "";

    (void)h2o_socket_getpeername(sock, (struct sockaddr *)&address);
    if (address.ss_family == AF_INET &&
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)) != NULL)
        (void)snprintf(out, PEER_BYTES, "%s:%u", text, ntohs(v4->sin_port));
    else if (address.ss_family == AF_INET6 &&
             inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)) != NULL)
        (void)snprintf(out, PEER_BYTES, "[%s]:%u", text, ntohs(v6->sin6_port));
    else
        name_process(h2o_socket_get_fd(sock), out);
}

static void write_line(struct brim_admin_audit *audit, const char *status)
{
    uint64_t ms = brim_clock_mono_ms() - audit->began_ms;

    audit->is_written = true;
    if (audit->is_let)
        BRIM_LOG_ALL(INFO, "admin.call", "method=%s path=%s peer=%s status=%s ms=%" PRIu64,
                     audit->method, audit->path, audit->peer, status, ms);
    else
        BRIM_LOG(WARN, "admin.call", "method=%s path=%s peer=%s status=%s ms=%" PRIu64,
                 audit->method, audit->path, audit->peer, status, ms);
}

/* The pool's dispose. */
static void on_gone(void *memory)
{
    struct brim_admin_audit *audit = memory;

    if (!audit->is_written)
        write_line(audit, "none");
}

struct brim_admin_audit *brim_admin_audit_begin(h2o_req_t *req, const char *method,
                                                const char *path)
{
    struct brim_admin_audit *audit = h2o_mem_alloc_shared(&req->pool, sizeof(*audit), on_gone);

    *audit =
        (struct brim_admin_audit){.method = method, .path = path, .began_ms = brim_clock_mono_ms()};
    name_peer(req->conn->callbacks->get_socket(req->conn), audit->peer);
    return audit;
}

void brim_admin_audit_let(struct brim_admin_audit *audit)
{
    if (audit != NULL)
        audit->is_let = true;
}

void brim_admin_audit_forgo(struct brim_admin_audit *audit)
{
    if (audit != NULL)
        audit->is_written = true;
}

void brim_admin_audit_end(struct brim_admin_audit *audit, int status)
{
    char text[16];

    if (audit == NULL || audit->is_written)
        return;
    (void)snprintf(text, sizeof(text), "%d", status);
    write_line(audit, text);
}

void brim_admin_audit_refused(h2o_socket_t *sock, const char *method, const char *path,
                              unsigned status)
{
    struct brim_admin_audit audit = {
        .method = method, .path = path, .began_ms = brim_clock_mono_ms()};

    name_peer(sock, audit.peer);
    brim_admin_audit_end(&audit, (int)status);
}
