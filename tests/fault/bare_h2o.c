/* SPDX-License-Identifier: MIT */
/*
 * bare_h2o - libh2o as the distribution ships it, with nothing of brim in front: one worker, one
 * handler that answers every request from memory.
 *
 * Two uses. The benchmarks take it as the ceiling: what brim costs is the distance to it. The fault
 * tests attack it to prove that an attack is real: what does not hurt this server shows nothing
 * about brim's guard.
 *
 * Usage: bare_h2o [PORT [BODY_BYTES]]; port 0 (default) takes a free one. Prints `listening PORT`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <h2o/http2.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BODY_BYTES_DEFAULT 1024
#define BODY_BYTES_MAX     (16 * 1024 * 1024)
#define ACCEPTS_PER_EVENT  16

struct bare_handler {
    h2o_handler_t super;
    h2o_iovec_t body;
};

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    static h2o_generator_t generator = {NULL, NULL};
    struct bare_handler *self = (struct bare_handler *)handler;

    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = self->body.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("application/octet-stream"));
    h2o_start_response(req, &generator);
    h2o_send(req, &self->body, self->body.len > 0, H2O_SEND_STATE_FINAL);
    return 0;
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
    h2o_accept_ctx_t *accept_ctx = listener->data;

    if (err != NULL)
        return;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        h2o_socket_t *sock = h2o_evloop_socket_accept(listener);

        if (sock == NULL)
            return;
        h2o_accept(accept_ctx, sock);
    }
}

static int bind_port(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    socklen_t len = sizeof(address);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("bare_h2o: bind");
        exit(1);
    }
    printf("listening %u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static unsigned long number(const char *text, unsigned long max)
{
    char *end = NULL;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > max) {
        fprintf(stderr, "usage: bare_h2o [PORT [BODY_BYTES]]\n");
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    uint16_t port = argc > 1 ? (uint16_t)number(argv[1], UINT16_MAX) : 0;
    size_t body_bytes = argc > 2 ? number(argv[2], BODY_BYTES_MAX) : BODY_BYTES_DEFAULT;
    h2o_globalconf_t conf;
    h2o_context_t ctx;
    h2o_accept_ctx_t accept_ctx = {0};
    struct bare_handler *handler;
    h2o_socket_t *listener;

    signal(SIGPIPE, SIG_IGN);
    h2o_config_init(&conf);
    h2o_hostconf_t *host =
        h2o_config_register_host(&conf, h2o_iovec_init(H2O_STRLIT("default")), UINT16_MAX);
    handler = (struct bare_handler *)h2o_create_handler(h2o_config_register_path(host, "/", 0),
                                                        sizeof(*handler));
    handler->super.on_req = on_request;
    handler->body = h2o_iovec_init(h2o_mem_alloc(body_bytes + 1), body_bytes);
    memset(handler->body.base, 'b', body_bytes);
    h2o_context_init(&ctx, h2o_evloop_create(), &conf);
    accept_ctx.ctx = &ctx;
    accept_ctx.hosts = conf.hosts;
    listener = h2o_evloop_socket_create(ctx.loop, bind_port(port), H2O_SOCKET_FLAG_DONT_READ);
    listener->data = &accept_ctx;
    h2o_socket_read_start(listener, on_accept);
    while (h2o_evloop_run(ctx.loop, INT32_MAX) == 0)
        continue;
    return 1;
}
