/* SPDX-License-Identifier: MIT */
/*
 * admin_rig - the admin API over real sockets, with a real cache in RAM and a real pool, and a
 * client that says exactly what it is told to.
 */
#ifndef BRIM_TESTS_ADMIN_RIG_H
#define BRIM_TESTS_ADMIN_RIG_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/serve/admin.h"
#include "unit.h"

#define MIB    (1024u * 1024u)
#define GET(p) "GET " p " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static struct brim_pool *pool;
static struct brim_cache *cache;
static struct brim_admin *admin;
static _Atomic bool ready = true;
static int listener = -1;
static struct sockaddr_storage address;
static socklen_t address_len;

static inline bool is_ready(void *ctx)
{
    return atomic_load((_Atomic bool *)ctx);
}

static inline void listen_tcp(void)
{
    struct sockaddr_in loopback = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&loopback, sizeof(loopback)), 0);
}

static inline void open_all(unsigned threads, unsigned queue_max)
{
    struct brim_pool_limits limits = {.threads = threads, .queue_max = queue_max};
    struct brim_cache_config cache_config = {
        .memory_bytes = 2 * MIB,
        .memory_object_bytes = MIB,
        .object_bytes_max = MIB,
        .window_bytes = 65536,
        .write_queue_max = 16,
        .purge_epochs_max = 100000,
    };

    signal(SIGPIPE, SIG_IGN);
    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    cache_config.pool = pool;
    ck_assert_int_eq(brim_cache_open(&cache_config, &cache), BRIM_OK);
    struct brim_admin_config config = {
        .fd = listener, .cache = cache, .pool = pool, .is_ready = is_ready, .ctx = &ready};
    ck_assert_int_eq(listen(listener, 128), 0);
    address_len = sizeof(address);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &address_len), 0);
    ck_assert_int_eq(brim_admin_open(&config, &admin), BRIM_OK);
    close(listener); /* the admin has its own */
}

static inline void set_up(void)
{
    listen_tcp();
    open_all(2, 16);
}

static inline void close_admin(void)
{
    brim_admin_close(admin);
    admin = NULL;
}

static inline void tear_down(void)
{
    if (admin != NULL)
        close_admin();
    brim_pool_close(pool);
    brim_cache_close(cache);
}

/* ---- a client that says exactly what it is told to ---- */

static inline int dial(void)
{
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, address_len), 0);
    return fd;
}

static inline void say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        ck_assert_int_gt(n, 0);
        text += n;
        len -= (size_t)n;
    }
}

static inline void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

struct answer {
    char bytes[65536];
    size_t len;
    int status;
    const char *body;
};

/* The length that the header announces, or SIZE_MAX while the header is not whole. */
static inline size_t message_bytes(const struct answer *a)
{
    const char *end = strstr(a->bytes, "\r\n\r\n");
    const char *length = strcasestr(a->bytes, "content-length: ");

    if (end == NULL)
        return SIZE_MAX;
    ck_assert_ptr_nonnull(length);
    return (size_t)(end + 4 - a->bytes) +
           (size_t)strtoul(length + strlen("content-length: "), NULL, 10);
}

/* Reads one answer; status 0 if the connection ended instead. */
static inline void hear(int fd, struct answer *a)
{
    *a = (struct answer){.len = 0};
    while (message_bytes(a) > a->len) {
        ssize_t n = recv(fd, a->bytes + a->len, sizeof(a->bytes) - 1 - a->len, 0);

        if (n <= 0)
            return;
        a->len += (size_t)n;
        a->bytes[a->len] = '\0';
    }
    ck_assert_int_eq(strncmp(a->bytes, "HTTP/1.1 ", 9), 0);
    a->status = (int)strtol(a->bytes + 9, NULL, 10);
    a->body = strstr(a->bytes, "\r\n\r\n") + 4;
}

static inline void ask(const char *request, struct answer *a)
{
    int fd = dial();

    say_text(fd, request);
    hear(fd, a);
    close(fd);
}

static inline void say_purge(int fd, const char *body, size_t len)
{
    char head[256];
    int n = snprintf(head, sizeof(head),
                     "POST /purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", len);

    say(fd, head, (size_t)n);
    say(fd, body, len);
}

static inline void assert_has(const struct answer *a, const char *text)
{
    ck_assert_msg(strstr(a->bytes, text) != NULL, "no \"%s\" in: %s", text, a->bytes);
}

static inline bool is_ended(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) <= 0;
}

/* Holds a pool thread until it is told to let go. */
static struct blocker {
    struct brim_job job;
    _Atomic bool is_running;
    _Atomic bool may_end;
} blocker;

static inline void run_blocker(struct brim_job *job)
{
    (void)job;
    atomic_store(&blocker.is_running, true);
    while (!atomic_load(&blocker.may_end))
        sched_yield();
}

static inline void block(void)
{
    blocker.job.run = run_blocker;
    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_WRITE, &blocker.job), BRIM_OK);
    while (!atomic_load(&blocker.is_running))
        sched_yield();
}

#endif
