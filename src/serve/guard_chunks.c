/* SPDX-License-Identifier: MIT */
/*
 * The chunked coding of request bodies, by the letter.
 *
 * libh2o decodes a body while it comes, before anybody is asked: the raw bytes are gone when the
 * guard sees the request, and its decoder takes what others do not: bare LF, `5 hello` and `0x5`
 * for a size, CRs in a row. Two servers that read one body with two lengths are how requests are
 * smuggled. So this file defines the one function that libh2o calls for it, under the same name and
 * with the same contract; the program's own definition goes before that of a shared library.
 *
 *   chunk    1*15HEXDIG [";" extension] CRLF data CRLF         extension: SP, HTAB, VCHAR, obs-text
 *   last     1*15"0" [";" extension] CRLF *( token ":" value CRLF ) CRLF
 *
 * Extensions and trailers end here (RFC 9112 7.1.1, 7.1.2). No white space around a size: the RFC
 * lets a recipient skip some before an extension, and no sender is known to need it.
 */
#include "brim/base/invariant.h"
#include "brim/serve/guard.h"

#define SIZE_DIGITS_MAX 15 /* always fits 63 bits */

_Static_assert(sizeof(struct phr_chunked_decoder) == 16, "as libh2o 2.2.5 allocates it");

enum state { /* the first is the one that zeroed memory says */
             AT_SIZE,
             IN_EXTENSION,
             AT_SIZE_LF,
             IN_DATA,
             AT_DATA_CR,
             AT_DATA_LF,
             AT_TRAILER,
             IN_TRAILER_NAME,
             IN_TRAILER_VALUE,
             AT_TRAILER_LF,
             AT_END_LF,
             AT_END,
             BROKEN
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static bool is_text(char c)
{
    unsigned char byte = (unsigned char)c;

    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static enum state after_size(struct phr_chunked_decoder *d, char c)
{
    int value = hex_value(c);

    if (value >= 0 && d->_hex_count < SIZE_DIGITS_MAX) {
        d->bytes_left_in_chunk = d->bytes_left_in_chunk * 16 + (size_t)value;
        d->_hex_count++;
        return AT_SIZE;
    }
    if (value >= 0 || d->_hex_count == 0)
        return BROKEN;
    return c == ';' ? IN_EXTENSION : c == '\r' ? AT_SIZE_LF : BROKEN;
}

static enum state after_size_line(struct phr_chunked_decoder *d, char c)
{
    d->_hex_count = 0;
    if (c != '\n')
        return BROKEN;
    return d->bytes_left_in_chunk == 0 ? AT_TRAILER : IN_DATA;
}

/* One byte that is not data. */
static enum state next_state(struct phr_chunked_decoder *d, char c)
{
    switch ((enum state)d->_state) {
    case AT_SIZE:
        return after_size(d, c);
    case IN_EXTENSION:
        return c == '\r' ? AT_SIZE_LF : is_text(c) ? IN_EXTENSION : BROKEN;
    case AT_SIZE_LF:
        return after_size_line(d, c);
    case AT_DATA_CR:
        return c == '\r' ? AT_DATA_LF : BROKEN;
    case AT_DATA_LF:
        return c == '\n' ? AT_SIZE : BROKEN;
    case AT_TRAILER:
        return c == '\r' ? AT_END_LF : brim_guard_is_token(c) ? IN_TRAILER_NAME : BROKEN;
    case IN_TRAILER_NAME:
        return c == ':' ? IN_TRAILER_VALUE : brim_guard_is_token(c) ? IN_TRAILER_NAME : BROKEN;
    case IN_TRAILER_VALUE:
        return c == '\r' ? AT_TRAILER_LF : is_text(c) ? IN_TRAILER_VALUE : BROKEN;
    case AT_TRAILER_LF:
        return c == '\n' ? AT_TRAILER : BROKEN;
    case AT_END_LF:
        return c == '\n' ? AT_END : BROKEN;
    case IN_DATA:
    case AT_END:
    case BROKEN:
        break;
    }
    return BROKEN;
}

/* Moves data to where the body ends; returns how many bytes. */
static size_t take_data(struct phr_chunked_decoder *d, char *to, const char *from, size_t len)
{
    size_t some = len < d->bytes_left_in_chunk ? len : d->bytes_left_in_chunk;

    memmove(to, from, some);
    d->bytes_left_in_chunk -= some;
    if (d->bytes_left_in_chunk == 0)
        d->_state = AT_DATA_CR;
    return some;
}

ssize_t phr_decode_chunked(struct phr_chunked_decoder *d, char *buf, size_t *bufsz)
{
    size_t at = 0, made = 0, len = *bufsz;

    INVARIANT(d->consume_trailer); /* libh2o's server always does */
    while (at < len && d->_state != AT_END && d->_state != BROKEN) {
        if (d->_state == IN_DATA) {
            size_t some = take_data(d, buf + made, buf + at, len - at);

            at += some;
            made += some;
        } else {
            d->_state = (char)next_state(d, buf[at++]);
        }
    }
    memmove(buf + made, buf + at, len - at);
    *bufsz = made;
    if (d->_state == BROKEN)
        return -1;
    return d->_state == AT_END ? (ssize_t)(len - at) : -2;
}

int phr_decode_chunked_is_in_data(struct phr_chunked_decoder *d)
{
    return d->_state == IN_DATA;
}
