/* SPDX-License-Identifier: MIT */
/*
 * scripted_origin - a server on a port of its own that answers as its test says: one thread that
 * takes connections, one for each of them.
 */
#ifndef BRIM_TESTS_SCRIPTED_ORIGIN_H
#define BRIM_TESTS_SCRIPTED_ORIGIN_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#define SCRIPTED_CONNECTIONS 64

struct scripted {
    char url[64];
    _Atomic(const char *) answer; /* the whole message; NULL: the connection ends without a word */
    _Atomic bool hangs;           /* no answer as long as it is set */
    _Atomic unsigned asked;
    int fd;
    bool is_deaf; /* nobody listens */
    pthread_t thread;
    pthread_mutex_t lock;
    unsigned count;
    struct scripted_connection {
        struct scripted *server;
        int fd;
        pthread_t thread;
    } connections[SCRIPTED_CONNECTIONS];
};

/* Whether a whole request is there. Bodies are short and come with their header here. */
static inline bool scripted_read(int fd)
{
    char request[4096];
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);

        if (n <= 0)
            return false;
        len += (size_t)n;
        request[len] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL)
            return true;
    }
}

static inline void *scripted_serve(void *arg)
{
    struct scripted_connection *c = arg;
    struct scripted *s = c->server;
    const char *answer;
    char byte;

    while (scripted_read(c->fd)) {
        s->asked++;
        while (s->hangs && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
            usleep(1000); /* until it may go on, or the other side has gone */
        answer = s->answer;
        if (answer == NULL ||
            send(c->fd, answer, strlen(answer), MSG_NOSIGNAL) != (ssize_t)strlen(answer))
            break;
    }
    shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

static inline void *scripted_listen(void *arg)
{
    struct scripted *s = arg;
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        struct scripted_connection *c;

        pthread_mutex_lock(&s->lock);
        ck_assert_uint_lt(s->count, SCRIPTED_CONNECTIONS);
        c = &s->connections[s->count];
        *c = (struct scripted_connection){.server = s, .fd = fd};
        ck_assert_int_eq(pthread_create(&c->thread, NULL, scripted_serve, c), 0);
        s->count++;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

/* The port is taken, and refuses until scripted_start(). */
static inline void scripted_open(struct scripted *s, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    memset(s, 0, sizeof(*s));
    s->answer = answer;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(s->fd, 0);
    ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
    s->is_deaf = true;
}

static inline void scripted_start(struct scripted *s)
{
    ck_assert_int_eq(listen(s->fd, 64), 0);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, scripted_listen, s), 0);
    s->is_deaf = false;
}

static inline void scripted_close(struct scripted *s)
{
    s->hangs = false;
    shutdown(s->fd, SHUT_RDWR);
    if (!s->is_deaf)
        pthread_join(s->thread, NULL);
    for (unsigned i = 0; i < s->count; i++) {
        shutdown(s->connections[i].fd, SHUT_RDWR);
        pthread_join(s->connections[i].thread, NULL);
        close(s->connections[i].fd);
    }
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
}

#endif
