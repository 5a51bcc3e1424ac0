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
#define SHORT_BYTES     4

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

static const char *skip_text(const char *at, const char *end)
{
    while (at < end && is_text(*at))
        at++;
    return at;
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

/* The body grows where its coded form stood, of which it never needs more. */
struct coded {
    char *to;
    const char *from;
    const char *end;
};

/* Where chunks are short they are many, and a call for each would be most of what they cost. */
static char *move(char *to, const char *from, size_t len)
{
    if (len > SHORT_BYTES)
        memmove(to, from, len);
    else
        for (size_t i = 0; i < len; i++)
            to[i] = from[i];
    return to + len;
}

/* Where the data begins of a chunk that is all there and is not the last; NULL: what stands at `at`
 * may be anything else, and the states find out what. */
static const char *whole_chunk(const char *at, const char *end, size_t *size_out)
{
    const char *digits_end = at + (end - at < SIZE_DIGITS_MAX ? end - at : SIZE_DIGITS_MAX);
    size_t size = 0;
    int value;

    for (; at < digits_end && (value = hex_value(*at)) >= 0; at++)
        size = size * 16 + (size_t)value;
    if (at < end && *at == ';')
        at = skip_text(at, end);
    if (size == 0 || end - at < 4 || size > (size_t)(end - at - 4) || at[0] != '\r' ||
        at[1] != '\n' || at[2 + size] != '\r' || at[3 + size] != '\n')
        return NULL;
    *size_out = size;
    return at + 2;
}

/* Nearly all are taken here; the states, byte by byte, are for what is cut off or wrong. */
static void take_whole_chunks(struct coded *coded)
{
    const char *from = coded->from, *data;
    char *to = coded->to;
    size_t size;

    while ((data = whole_chunk(from, coded->end, &size)) != NULL) {
        to = move(to, data, size);
        from = data + size + 2;
    }
    coded->to = to;
    coded->from = from;
}

static void take_data(struct phr_chunked_decoder *d, struct coded *coded)
{
    size_t there = (size_t)(coded->end - coded->from);
    size_t some = there < d->bytes_left_in_chunk ? there : d->bytes_left_in_chunk;

    coded->to = move(coded->to, coded->from, some);
    coded->from += some;
    d->bytes_left_in_chunk -= some;
    if (d->bytes_left_in_chunk == 0)
        d->_state = AT_DATA_CR;
}

ssize_t phr_decode_chunked(struct phr_chunked_decoder *d, char *buf, size_t *bufsz)
{
    struct coded coded = {.to = buf, .from = buf, .end = buf + *bufsz};
    size_t left;

    INVARIANT(d->consume_trailer); /* libh2o's server always does */
    while (coded.from < coded.end && d->_state != AT_END && d->_state != BROKEN) {
        if (d->_state == AT_SIZE && d->_hex_count == 0)
            take_whole_chunks(&coded);
        if (d->_state == IN_DATA)
            take_data(d, &coded);
        else if (coded.from < coded.end)
            d->_state = (char)next_state(d, *coded.from++);
    }
    left = (size_t)(coded.end - coded.from);
    *bufsz = (size_t)(coded.to - buf);
    memmove(coded.to, coded.from, left);
    if (d->_state == BROKEN)
        return -1;
    return d->_state == AT_END ? (ssize_t)left : -2;
}

int phr_decode_chunked_is_in_data(struct phr_chunked_decoder *d)
{
    return d->_state == IN_DATA;
}
