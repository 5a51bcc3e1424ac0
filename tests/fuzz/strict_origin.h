/* SPDX-License-Identifier: MIT */
/*
 * strict_origin - an origin on a thread, that ends the process at the first request that is not
 * well formed to the letter: one Host, one framing, no field that is the connection's business,
 * nothing before or behind a request. What it reads with is its own, and nothing of brim's.
 *
 * Words of the target choose the answer: none, gone, priv, vary, chunk, stale, until, early, moved,
 * torn, junk, cookie, big; else 600 bytes of text with a validator, of which it serves ranges.
 */
#ifndef BRIM_TESTS_STRICT_ORIGIN_H
#define BRIM_TESTS_STRICT_ORIGIN_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "brim/base/str.h"

#define ORIGIN_PEERS 64u
#define ORIGIN_BYTES 65536u /* of a request, body included */
#define ORIGIN_BODY  600

struct origin_request {
    struct brim_str method;
    struct brim_str target;
    struct brim_str fields; /* lines, each with its end */
    size_t length;          /* Content-Length */
    size_t hosts, lengths, codings;
};

struct origin_peer {
    int fd;
    size_t len;
    char bytes[ORIGIN_BYTES];
};

struct origin {
    int listener;
    int stop[2];
    uint16_t port;
    pthread_t thread;
    size_t peer_count;
    struct origin_peer *peers[ORIGIN_PEERS];
};

/* ---- reading, strictly ---- */

static inline void origin_fault(const char *why, struct brim_str bytes)
{
    fprintf(stderr, "the origin was sent what is no request: %s\n", why);
    (void)!write(STDERR_FILENO, why, strlen(why));
    (void)!write(STDERR_FILENO, "\n", 1);
    (void)!write(STDERR_FILENO, bytes.base, bytes.len < 4096 ? bytes.len : 4096);
    abort();
}

static inline void origin_expect(bool holds, const char *why, struct brim_str bytes)
{
    if (!holds)
        origin_fault(why, bytes);
}

static inline bool origin_is_token(struct brim_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_letter && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return text.len > 0;
}

/* The line at the front of *rest without its CRLF; false: there is no whole one yet. */
static inline bool origin_line(struct brim_str *rest, struct brim_str *line_out)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->base, '\n', rest->len);
    size_t len = end == NULL ? 0 : (size_t)(end - rest->base);

    if (end == NULL)
        return false;
    origin_expect(len > 0 && end[-1] == '\r', "a line ends without CR", *rest);
    *line_out = brim_str(rest->base, len - 1);
    origin_expect(memchr(line_out->base, '\r', line_out->len) == NULL, "a CR in a line", *rest);
    origin_expect(memchr(line_out->base, '\0', line_out->len) == NULL, "a NUL in a line", *rest);
    *rest = brim_str(rest->base + len + 1, rest->len - len - 1);
    return true;
}

static inline void origin_request_line(struct brim_str line, struct origin_request *request)
{
    const char *first = memchr(line.base, ' ', line.len);
    const char *last = memrchr(line.base, ' ', line.len);

    origin_expect(first != NULL && first != last, "no request line", line);
    request->method = brim_str(line.base, (size_t)(first - line.base));
    request->target = brim_str(first + 1, (size_t)(last - first - 1));
    origin_expect(origin_is_token(request->method), "the method is no token", line);
    origin_expect(
        brim_str_is(brim_str(last, line.len - (size_t)(last - line.base)), BRIM_STR(" HTTP/1.1")),
        "another version", line);
    origin_expect(request->target.len > 0 && (request->target.base[0] == '/' ||
                                              brim_str_is(request->target, BRIM_STR("*"))),
                  "the target is no path", line);
    for (size_t i = 0; i < request->target.len; i++)
        origin_expect((unsigned char)request->target.base[i] > ' ' &&
                          request->target.base[i] != 0x7f && request->target.base[i] != '#',
                      "a byte of the target", line);
}

static inline void origin_field_line(struct brim_str line, struct origin_request *request)
{
    static const char *const of_the_connection[] = {
        "upgrade", "keep-alive", "proxy-connection", "http2-settings", "te", "trailer"};
    const char *colon = line.len == 0 ? NULL : memchr(line.base, ':', line.len);
    struct brim_str name, value;

    origin_expect(colon != NULL, "a field without a colon", line);
    name = brim_str(line.base, (size_t)(colon - line.base));
    value = brim_str_trim(brim_str(colon + 1, line.len - name.len - 1));
    origin_expect(origin_is_token(name), "the name of a field", line);
    for (size_t i = 0; i < value.len; i++)
        origin_expect((unsigned char)value.base[i] >= ' ' || value.base[i] == '\t',
                      "a byte of a value", line);
    for (size_t i = 0; i < sizeof(of_the_connection) / sizeof(of_the_connection[0]); i++)
        origin_expect(!brim_str_is_nocase(name, brim_str_of(of_the_connection[i])),
                      "a field of the client's connection", line);
    if (brim_str_is_nocase(name, BRIM_STR("host"))) {
        request->hosts++;
        origin_expect(value.len > 0, "an empty Host", line);
    } else if (brim_str_is_nocase(name, BRIM_STR("content-length"))) {
        request->lengths++;
        origin_expect(value.len > 0 && value.len < 10, "Content-Length", line);
        for (size_t i = 0; i < value.len; i++) {
            origin_expect(value.base[i] >= '0' && value.base[i] <= '9', "Content-Length", line);
            request->length = request->length * 10 + (size_t)(value.base[i] - '0');
        }
    } else if (brim_str_is_nocase(name, BRIM_STR("transfer-encoding"))) {
        request->codings++;
        origin_expect(brim_str_is(value, BRIM_STR("chunked")), "Transfer-Encoding", line);
    }
}

/* Takes a chunked body off *rest; false: not all of it is there. */
static inline bool origin_chunks(struct brim_str *rest)
{
    struct brim_str line;

    for (size_t size = 1; size > 0;) {
        size = 0;
        if (!origin_line(rest, &line))
            return false;
        origin_expect(line.len > 0 && line.len < 8, "the size of a chunk", line);
        for (size_t i = 0; i < line.len; i++) {
            const char *digit = strchr("00112233445566778899aAbBcCdDeEfF", line.base[i]);

            origin_expect(digit != NULL, "the size of a chunk", line);
            size = size * 16 + (size_t)(digit - "00112233445566778899aAbBcCdDeEfF") / 2;
        }
        if (size > 0 && rest->len < size + 2)
            return false;
        if (size > 0) {
            origin_expect(memcmp(rest->base + size, "\r\n", 2) == 0, "the end of a chunk", *rest);
            *rest = brim_str(rest->base + size + 2, rest->len - size - 2);
        }
    }
    if (!origin_line(rest, &line))
        return false;
    origin_expect(line.len == 0, "trailers", line);
    return true;
}

/* Reads one request; false: it has not all come. */
static inline bool origin_read(struct brim_str bytes, struct origin_request *request)
{
    struct brim_str rest = bytes, line;

    *request = (struct origin_request){.length = 0};
    if (!origin_line(&rest, &line))
        return false;
    origin_request_line(line, request);
    request->fields = rest;
    for (;;) {
        if (!origin_line(&rest, &line))
            return false;
        if (line.len == 0)
            break;
        origin_field_line(line, request);
    }
    request->fields.len = (size_t)(rest.base - request->fields.base);
    origin_expect(request->hosts == 1, "not one Host", bytes);
    origin_expect(request->lengths + request->codings <= 1, "more than one framing", bytes);
    if (request->codings == 1 && !origin_chunks(&rest))
        return false;
    if (rest.len < request->length)
        return false;
    origin_expect(rest.len == request->length, "bytes behind the request", bytes);
    return true;
}

/* ---- answering ---- */

static inline bool origin_asks(const struct origin_request *request, const char *word)
{
    return memmem(request->target.base, request->target.len, word, strlen(word)) != NULL;
}

/* The value of a field that is there in this very spelling, or an empty text. */
static inline struct brim_str origin_field(const struct origin_request *request, const char *name)
{
    struct brim_str rest = request->fields, line;
    size_t len = strlen(name);

    while (origin_line(&rest, &line) && line.len > 0)
        if (line.len > len && strncasecmp(line.base, name, len) == 0 && line.base[len] == ':')
            return brim_str_trim(brim_str(line.base + len + 1, line.len - len - 1));
    return brim_str("", 0);
}

static inline const char *origin_text(void)
{
    static char text[ORIGIN_BODY + 1];

    if (text[0] == '\0')
        for (int i = 0; i < ORIGIN_BODY; i++)
            text[i] = "All of it is text, and so it is coded.\n"[i % 39];
    return text;
}

/* Writes head and body; returns false where the connection is to end. */
static inline bool origin_say(int fd, const struct origin_request *request, const char *head,
                              struct brim_str body)
{
    char out[2048 + ORIGIN_BODY];
    bool is_bare = brim_str_is(request->method, BRIM_STR("HEAD"));
    int len = snprintf(out, sizeof(out), "%s%.*s", head, is_bare ? 0 : (int)body.len, body.base);

    return send(fd, out, (size_t)len, MSG_NOSIGNAL) == len;
}

/* 206 for "bytes=A-B" that begins inside, else the whole. */
static inline bool origin_say_text(int fd, const struct origin_request *request, const char *more)
{
    char head[1024], range[64];
    struct brim_str asked = origin_field(request, "range");
    unsigned first = 0, last = ORIGIN_BODY - 1;
    const char *status = "200 OK";

    if (brim_str_is(origin_field(request, "if-none-match"), BRIM_STR("\"v1\"")))
        return origin_say(fd, request, "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n",
                          brim_str("", 0));
    snprintf(range, sizeof(range), "%.*s", (int)asked.len, asked.base);
    if (sscanf(range, "bytes=%3u-%3u", &first, &last) == 2 && first < ORIGIN_BODY && first <= last)
        status = "206 Partial Content";
    else
        first = 0;
    if (status[1] != '0' || status[2] != '6' || last >= ORIGIN_BODY)
        last = ORIGIN_BODY - 1;
    snprintf(range, sizeof(range), "Content-Range: bytes %u-%u/%d\r\n", first, last, ORIGIN_BODY);
    snprintf(head, sizeof(head),
             "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nETag: \"v1\"\r\n%s%sContent-Length: %u\r\n"
             "\r\n",
             status, more, status[2] == '6' ? range : "", last - first + 1);
    return origin_say(fd, request, head, brim_str(origin_text() + first, last - first + 1));
}

static inline bool origin_say_target(int fd, const struct origin_request *request)
{
    char head[1024];

    snprintf(head, sizeof(head),
             "HTTP/1.1 301 Moved\r\nLocation: %.*s\r\nContent-Length: 0\r\n\r\n",
             request->target.len < 512 ? (int)request->target.len : 512, request->target.base);
    return origin_say(fd, request, head, brim_str("", 0));
}

static const struct origin_rule {
    const char *word, *head, *body;
    bool ends;
} origin_rules[] = {
    {"none", "HTTP/1.1 204 No Content\r\n\r\n", "", false},
    {"gone", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n", "gone", false},
    {"chunk",
     "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n"
     "Trailer: X-End\r\n\r\n",
     "4\r\nfour\r\nA;x=y\r\n0123456789\r\n0\r\nX-End: 1\r\n\r\n", false},
    {"until", "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\n", "until the end", true},
    {"early",
     "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
     "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\n",
     "early", false},
    {"torn", "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 500\r\n\r\n", "torn",
     true},
    {"junk", "HTTP/1.1 2x0 OK\nContent-Length: 3\r\n\r\n", "junk", true},
    {"cookie",
     "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nCache-Control: max-age=60\r\n"
     "Content-Length: 1\r\n\r\n",
     "c", false},
};

static inline bool origin_answer(int fd, const struct origin_request *request)
{
    for (size_t i = 0; i < sizeof(origin_rules) / sizeof(origin_rules[0]); i++) {
        const struct origin_rule *rule = &origin_rules[i];

        if (origin_asks(request, rule->word))
            return origin_say(fd, request, rule->head, brim_str_of(rule->body)) && !rule->ends;
    }
    if (origin_asks(request, "moved"))
        return origin_say_target(fd, request);
    if (origin_asks(request, "priv"))
        return origin_say_text(fd, request, "Cache-Control: private\r\n");
    if (origin_asks(request, "stale"))
        return origin_say_text(fd, request,
                               "Cache-Control: max-age=0, stale-while-revalidate=60\r\nAge: 1\r\n");
    if (origin_asks(request, "vary"))
        return origin_say_text(fd, request,
                               "Vary: Accept-Language, X-Q\r\nCache-Control: max-age=60\r\n");
    return origin_say_text(fd, request,
                           "Cache-Control: max-age=60\r\nSurrogate-Key: a b\r\n"
                           "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
}

/* ---- the thread ---- */

static inline bool origin_hear(struct origin_peer *peer)
{
    struct origin_request request;
    ssize_t n = recv(peer->fd, peer->bytes + peer->len, sizeof(peer->bytes) - peer->len, 0);

    if (n <= 0)
        return false;
    peer->len += (size_t)n;
    if (!origin_read(brim_str(peer->bytes, peer->len), &request))
        return peer->len < sizeof(peer->bytes);
    peer->len = 0;
    return origin_answer(peer->fd, &request);
}

static inline void origin_let_in(struct origin *origin)
{
    int fd = accept4(origin->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    struct origin_peer *peer = fd < 0 ? NULL : malloc(sizeof(*peer));

    if (peer == NULL)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    peer->fd = fd;
    peer->len = 0;
    origin->peers[origin->peer_count++] = peer;
}

static inline void origin_drop(struct origin *origin, size_t at)
{
    close(origin->peers[at]->fd);
    free(origin->peers[at]);
    origin->peers[at] = origin->peers[--origin->peer_count];
}

static inline void *origin_main(void *arg)
{
    struct origin *origin = arg;
    struct pollfd ready[ORIGIN_PEERS + 2];

    for (;;) {
        size_t count = origin->peer_count;

        ready[0] = (struct pollfd){origin->stop[0], POLLIN, 0};
        ready[1] = (struct pollfd){count < ORIGIN_PEERS ? origin->listener : -1, POLLIN, 0};
        for (size_t i = 0; i < count; i++)
            ready[i + 2] = (struct pollfd){origin->peers[i]->fd, POLLIN, 0};
        if (poll(ready, (nfds_t)count + 2, -1) < 0)
            continue;
        if (ready[0].revents != 0)
            break;
        for (size_t i = count; i-- > 0;) /* from behind: the last takes the place of who leaves */
            if (ready[i + 2].revents != 0 && !origin_hear(origin->peers[i]))
                origin_drop(origin, i);
        if (ready[1].revents != 0)
            origin_let_in(origin);
    }
    while (origin->peer_count > 0)
        origin_drop(origin, 0);
    return NULL;
}

static inline void origin_start(struct origin *origin)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    origin->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(origin->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(origin->listener, 128) != 0 ||
        getsockname(origin->listener, (struct sockaddr *)&address, &len) != 0 ||
        pipe(origin->stop) != 0 || pthread_create(&origin->thread, NULL, origin_main, origin) != 0)
        abort();
    origin->port = ntohs(address.sin_port);
}

static inline void origin_end(struct origin *origin)
{
    (void)!write(origin->stop[1], "", 1);
    pthread_join(origin->thread, NULL);
    close(origin->listener);
    close(origin->stop[0]);
    close(origin->stop[1]);
}

#endif
