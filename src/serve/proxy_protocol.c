/* SPDX-License-Identifier: MIT */
/*
 * Version 1 is one line of at most 107 bytes, its end included:
 *
 *   "PROXY TCP4 192.0.2.1 198.51.100.1 35646 80\r\n"    TCP6 likewise; "PROXY UNKNOWN ...\r\n"
 *
 * Version 2 is binary: 12 bytes of signature, version and command, family and protocol, length (two
 * bytes, of what follows), then the addresses, then extensions.
 */
#include "brim/serve/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>

#define LINE_MAX      107u
#define SIGNATURE     "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_LEN 12u
#define FIXED_LEN     16u
#define V4_LEN        12u
#define V6_LEN        36u

static const struct brim_proxy_header bad = {.state = BRIM_PROXY_BAD};
static const struct brim_proxy_header more = {.state = BRIM_PROXY_MORE};

/* Whether bytes are a beginning of whole, or begin with it. */
static bool may_be(struct brim_str bytes, struct brim_str whole)
{
    return memcmp(bytes.base, whole.base, bytes.len < whole.len ? bytes.len : whole.len) == 0;
}

/* ---- version 1 ---- */

/* The next word of a line, which one space ends; empty: there is none. */
static struct brim_str take_word(struct brim_str *line)
{
    const char *space = line->len == 0 ? NULL : memchr(line->base, ' ', line->len);
    size_t len = space == NULL ? line->len : (size_t)(space - line->base);
    struct brim_str word = brim_str(line->base, len);
    size_t step = space == NULL ? len : len + 1;

    *line = brim_str(line->base + step, line->len - step);
    return word;
}

static bool read_address(struct brim_str word, int family, void *address)
{
    char text[INET6_ADDRSTRLEN];

    if (word.len == 0 || word.len >= sizeof(text))
        return false;
    memcpy(text, word.base, word.len);
    text[word.len] = '\0';
    return strlen(text) == word.len && inet_pton(family, text, address) == 1;
}

static bool read_port(struct brim_str word, in_port_t *port)
{
    int64_t number = brim_str_number(word, 5);

    if (number < 0 || (word.base[0] == '0' && word.len > 1))
        return false;
    *port = htons((uint16_t)number);
    return number <= UINT16_MAX;
}

static bool read_words(struct brim_str line, int family, struct brim_proxy_header *header)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct in6_addr other;
    in_port_t other_port;
    struct brim_str from = take_word(&line), to = take_word(&line), from_port = take_word(&line);
    void *address = family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr;
    in_port_t *port = family == AF_INET ? &v4.sin_port : &v6.sin6_port;

    if (!read_address(from, family, address) || !read_address(to, family, &other) ||
        !read_port(from_port, port) || !read_port(line, &other_port))
        return false;
    if (family == AF_INET)
        memcpy(&header->client, &v4, sizeof(v4));
    else
        memcpy(&header->client, &v6, sizeof(v6));
    return true;
}

static struct brim_proxy_header read_line(struct brim_str bytes)
{
    size_t room = bytes.len < LINE_MAX ? bytes.len : LINE_MAX;
    const char *end = memchr(bytes.base, '\n', room);
    struct brim_proxy_header header = {.state = BRIM_PROXY_ADDRESS};
    struct brim_str line, family;

    if (end == NULL)
        return bytes.len < LINE_MAX ? more : bad;
    header.len = (size_t)(end - bytes.base) + 1;
    line = brim_str(bytes.base, header.len - 1);
    if (line.len == 0 || line.base[line.len - 1] != '\r' ||
        memchr(line.base, '\0', line.len) != NULL)
        return bad;
    line.len--;
    (void)take_word(&line); /* PROXY */
    family = take_word(&line);
    if (brim_str_is(family, BRIM_STR("UNKNOWN")))
        header.state = BRIM_PROXY_LOCAL; /* whatever stands behind it */
    else if (brim_str_is(family, BRIM_STR("TCP4")))
        return read_words(line, AF_INET, &header) ? header : bad;
    else if (brim_str_is(family, BRIM_STR("TCP6")))
        return read_words(line, AF_INET6, &header) ? header : bad;
    else
        return bad;
    return header;
}

/* ---- version 2 ---- */

static void take_v4(const unsigned char *at, struct sockaddr_storage *client)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    memcpy(&v4.sin_addr, at, 4);
    memcpy(&v4.sin_port, at + 8, 2);
    memcpy(client, &v4, sizeof(v4));
}

static void take_v6(const unsigned char *at, struct sockaddr_storage *client)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    memcpy(&v6.sin6_addr, at, 16);
    memcpy(&v6.sin6_port, at + 32, 2);
    memcpy(client, &v6, sizeof(v6));
}

static struct brim_proxy_header read_binary(struct brim_str bytes)
{
    enum { LOCAL = 0x20, PROXY = 0x21, TCP4 = 0x11, TCP6 = 0x21 };
    const unsigned char *at = (const unsigned char *)bytes.base;
    struct brim_proxy_header header = {.state = BRIM_PROXY_LOCAL};
    size_t length;

    if (bytes.len < FIXED_LEN)
        return more;
    length = (size_t)at[14] << 8 | at[15];
    header.len = FIXED_LEN + length;
    if ((at[12] != LOCAL && at[12] != PROXY) || header.len > BRIM_PROXY_HEADER_MAX)
        return bad;
    if (bytes.len < header.len)
        return more;
    if (at[12] == LOCAL || at[13] == 0) /* of UNSPEC nothing is known */
        return header;
    header.state = BRIM_PROXY_ADDRESS;
    if (at[13] == TCP4 && length >= V4_LEN)
        take_v4(at + FIXED_LEN, &header.client);
    else if (at[13] == TCP6 && length >= V6_LEN)
        take_v6(at + FIXED_LEN, &header.client);
    else
        return bad; /* datagrams, unix sockets: nobody whose requests could be answered here */
    return header;
}

struct brim_proxy_header brim_proxy_protocol_read(struct brim_str bytes)
{
    struct brim_str signature = brim_str(SIGNATURE, SIGNATURE_LEN);

    if (bytes.len == 0)
        return more;
    if (may_be(bytes, signature))
        return bytes.len < signature.len ? more : read_binary(bytes);
    if (may_be(bytes, BRIM_STR("PROXY ")))
        return bytes.len < 6 ? more : read_line(bytes);
    return bad;
}
