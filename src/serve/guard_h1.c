/* SPDX-License-Identifier: MIT */
/*
 * The scanner of raw HTTP/1 header blocks.
 *
 * libh2o parses leniently: bare LF, folded lines, several Host or Content-Length fields,
 * Content-Length beside Transfer-Encoding. Every one of these is a way to make two servers see two
 * different requests in the same bytes. So the raw block, which h2o leaves in the socket's input,
 * is read a second time here, once from left to right, and what is not exactly RFC 9112 is refused.
 *
 *   request-line   method SP target SP "HTTP/1." ("0" | "1") CRLF
 *   field          token ":" value CRLF          value: SP, HTAB, VCHAR, obs-text
 *   end            CRLF
 *
 * Cost matters: this runs for every request. Names go through a class table; values, which are most
 * of the bytes, are skipped eight at a time: a word without a byte below 0x20 and without 0x7f is
 * all good. The four fields that frame a message or name its host are picked out by their length
 * before their bytes are compared.
 */
#include <stdint.h>

#include "brim/http/uri.h"
#include "brim/serve/guard.h"

#define METHOD_BYTES_MAX 32u /* RFC 9112 3: longer than any we know gets 501 */

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* tchar, RFC 9110 5.6.2 */
static const bool is_token[256] = {
    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

bool brim_guard_is_token(char c)
{
    return is_token[(unsigned char)c];
}

/* What a scan knows so far. */
struct scan {
    const char *at;
    const char *end;
    const struct brim_guard_limits *limits;
    struct brim_str target;
    struct brim_str host;
    struct brim_str coding; /* Transfer-Encoding */
    size_t fields;
    size_t named; /* by Connection */
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    bool is_1_0;
    bool expects_more; /* an Expect that is not 100-continue */
};

static const struct brim_guard_refusal fine = {0, NULL};

static struct brim_guard_refusal refuse(unsigned status, const char *reason)
{
    return (struct brim_guard_refusal){status, reason};
}

static bool take_text(struct scan *s, struct brim_str text)
{
    if ((size_t)(s->end - s->at) < text.len || memcmp(s->at, text.base, text.len) != 0)
        return false;
    s->at += text.len;
    return true;
}

static struct brim_str take_token(struct scan *s)
{
    const char *from = s->at, *end = s->end, *p = from; /* locals: else every step is a store */

    while (p < end && is_token[(unsigned char)*p])
        p++;
    s->at = p;
    return brim_str(from, (size_t)(p - from));
}

/* Has the high bit of each byte that is < 0x20 or 0x7f set; a borrow may set more, but only behind
 * a byte that is one. */
static uint64_t controls(uint64_t word)
{
    uint64_t del = word ^ (ONES * 0x7f);

    return ((word - ONES * 0x20) & ~word) | ((del - ONES) & ~del);
}

/* The first byte at or after p that is a control (HTAB included) or DEL, or end. */
static const char *find_control(const char *p, const char *end)
{
    while (end - p >= 16) {
        uint64_t words[2];

        memcpy(words, p, sizeof(words));
        if ((controls(words[0]) | controls(words[1])) & HIGHS)
            break;
        p += 16;
    }
    if (end - p >= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof(word));
        if (!(controls(word) & HIGHS))
            p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && *p != 0x7f)
        p++;
    return p;
}

/* ---- request line ---- */

bool brim_guard_is_method_refused(struct brim_str method)
{
    return brim_str_is(method, BRIM_STR("CONNECT")) || brim_str_is(method, BRIM_STR("TRACE"));
}

bool brim_guard_split_absolute(struct brim_str target, struct brim_str *authority_out,
                               struct brim_str *rest_out)
{
    size_t at, from;

    *authority_out = *rest_out = brim_str(NULL, 0);
    if (target.len >= 7 && strncasecmp(target.base, "http://", 7) == 0)
        from = 7;
    else if (target.len >= 8 && strncasecmp(target.base, "https://", 8) == 0)
        from = 8;
    else
        return false;
    for (at = from; at < target.len && target.base[at] != '/'; at++)
        continue;
    *authority_out = brim_str(target.base + from, at - from);
    *rest_out = brim_str(target.base + at, target.len - at);
    return true;
}

static struct brim_guard_refusal check_target(const struct scan *s, struct brim_str method)
{
    struct brim_str authority, rest;

    if (s->target.len == 0)
        return refuse(400, "empty request target");
    if (s->target.len > s->limits->target_bytes_max)
        return refuse(414, "request target too long");
    if (s->target.base[0] == '/')
        return brim_uri_target_is_valid(s->target) ? fine : refuse(400, "invalid request target");
    if (brim_str_is(s->target, BRIM_STR("*")))
        return brim_str_is(method, BRIM_STR("OPTIONS")) ? fine : refuse(400, "* is for OPTIONS");
    if (brim_guard_split_absolute(s->target, &authority, &rest) &&
        (rest.len == 0 || brim_uri_target_is_valid(rest)))
        return fine;
    return refuse(400, "invalid request target");
}

static struct brim_guard_refusal scan_version(struct scan *s)
{
    const char *p = s->at;

    if (take_text(s, BRIM_STR("HTTP/1.1\r\n")))
        return fine;
    if (take_text(s, BRIM_STR("HTTP/1.0\r\n"))) {
        s->is_1_0 = true;
        return fine;
    }
    if (s->end - p >= 10 && memcmp(p, "HTTP/", 5) == 0 && p[5] >= '0' && p[5] <= '9' &&
        p[6] == '.' && p[7] >= '0' && p[7] <= '9' && p[8] == '\r' && p[9] == '\n')
        return refuse(505, "HTTP version not supported");
    return refuse(400, "invalid request line");
}

static struct brim_guard_refusal scan_request_line(struct scan *s)
{
    struct brim_guard_refusal bad;
    struct brim_str method = take_token(s);
    const char *from, *end = s->end, *p;

    if (method.len > METHOD_BYTES_MAX)
        return refuse(501, "method not implemented");
    if (method.len == 0 || s->at == s->end || *s->at != ' ')
        return refuse(400, "invalid method");
    if (brim_guard_is_method_refused(method))
        return refuse(405, "method not allowed");
    from = p = ++s->at;
    while (p < end && (unsigned char)*p > ' ')
        p++;
    s->at = p;
    s->target = brim_str(from, (size_t)(p - from));
    bad = check_target(s, method);
    if (bad.status != 0)
        return bad;
    if (s->at == s->end || *s->at != ' ')
        return refuse(400, "invalid request line");
    s->at++;
    return scan_version(s);
}

/* ---- fields ---- */

/* Empty ones count: who sends many of them means no good either. */
static size_t count_members(struct brim_str value)
{
    size_t count = 1;

    for (size_t i = 0; i < value.len; i++)
        count += value.base[i] == ',';
    return count;
}

/* Notes the fields that frame the message or name its host; false for an invalid Content-Length. */
static bool note_field(struct scan *s, struct brim_str name, struct brim_str value)
{
    switch (name.len) {
    case 4:
        if (brim_str_is_nocase(name, BRIM_STR("host"))) {
            s->hosts++;
            s->host = brim_str_trim(value);
        }
        return true;
    case 6:
        if (brim_str_is_nocase(name, BRIM_STR("expect")))
            s->expects_more |= !brim_str_is_nocase(brim_str_trim(value), BRIM_STR("100-continue"));
        return true;
    case 10:
        if (brim_str_is_nocase(name, BRIM_STR("connection")))
            s->named += count_members(value);
        return true;
    case 14:
        if (!brim_str_is_nocase(name, BRIM_STR("content-length")))
            return true;
        s->lengths++;
        return brim_str_number(brim_str_trim(value), BRIM_NUMBER_DIGITS) >= 0;
    case 17:
        if (brim_str_is_nocase(name, BRIM_STR("transfer-encoding"))) {
            s->codings++;
            s->coding = brim_str_trim(value);
        }
        return true;
    default:
        return true;
    }
}

static struct brim_guard_refusal scan_field(struct scan *s)
{
    struct brim_str name = take_token(s);
    const char *from;

    if (s->at == s->end || *s->at != ':' || name.len == 0)
        return refuse(400, "invalid field name");
    from = ++s->at;
    for (;;) {
        s->at = find_control(s->at, s->end);
        if (s->at == s->end || *s->at != '\t')
            break;
        s->at++;
    }
    if (s->end - s->at < 2 || s->at[0] != '\r' || s->at[1] != '\n')
        return refuse(400, "invalid field value");
    if (++s->fields > s->limits->header_count_max)
        return refuse(431, "too many header fields");
    if (!note_field(s, name, brim_str(from, (size_t)(s->at - from))))
        return refuse(400, "invalid Content-Length");
    s->at += 2;
    return fine;
}

static struct brim_guard_refusal scan_fields(struct scan *s)
{
    while (!take_text(s, BRIM_STR("\r\n"))) {
        struct brim_guard_refusal bad = scan_field(s);

        if (bad.status != 0)
            return bad;
    }
    return fine;
}

/* ---- what the fields say together ---- */

/* RFC 9112 6.1: exactly "chunked" is understood; any other coding is 501, but a list that cannot
 * frame a message at all is 400. */
static struct brim_guard_refusal check_coding(const struct scan *s)
{
    struct brim_str rest = s->coding;

    if (s->is_1_0)
        return refuse(400, "Transfer-Encoding on HTTP/1.0");
    if (s->lengths > 0)
        return refuse(400, "Content-Length with Transfer-Encoding");
    if (s->codings > 1)
        return refuse(400, "more than one Transfer-Encoding");
    if (brim_str_is_nocase(rest, BRIM_STR("chunked")))
        return fine;
    while (rest.len > 0) {
        const char *comma = memchr(rest.base, ',', rest.len);
        size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.base);
        struct brim_str member = brim_str_trim(brim_str(rest.base, len));

        if (member.len > 0 && !brim_str_is_nocase(member, BRIM_STR("chunked")))
            return refuse(501, "transfer coding not implemented");
        rest = comma == NULL ? brim_str(NULL, 0) : brim_str(comma + 1, rest.len - len - 1);
    }
    return refuse(400, "invalid Transfer-Encoding");
}

static struct brim_guard_refusal check_host(const struct scan *s)
{
    struct brim_str host, authority, rest;
    uint16_t port;

    if (s->hosts == 0 && s->is_1_0)
        return s->target.base[0] == '/' || s->target.base[0] == '*'
                   ? fine
                   : refuse(400, "absolute-form without Host");
    if (s->hosts == 0)
        return refuse(400, "no Host");
    if (s->hosts > 1)
        return refuse(400, "more than one Host");
    if (!brim_uri_parse_authority(s->host, &host, &port))
        return refuse(400, "invalid Host");
    if (brim_guard_split_absolute(s->target, &authority, &rest) &&
        !brim_str_is_nocase(authority, s->host))
        return refuse(400, "request target and Host differ");
    return fine;
}

static struct brim_guard_refusal check_together(const struct scan *s)
{
    if (s->lengths > 1)
        return refuse(400, "more than one Content-Length");
    if (s->codings > 0) {
        struct brim_guard_refusal bad = check_coding(s);

        if (bad.status != 0)
            return bad;
    }
    /* Each is looked for among the fields (brim_fields_beyond_hop). */
    if (s->named > s->limits->header_count_max)
        return refuse(400, "Connection names more fields than a request may have");
    if (s->expects_more && !s->is_1_0)
        return refuse(417, "expectation not supported");
    return check_host(s);
}

struct brim_guard_refusal brim_guard_scan_h1(struct brim_str raw,
                                             const struct brim_guard_limits *limits)
{
    struct scan s = {.at = raw.base, .end = raw.base + raw.len, .limits = limits};
    struct brim_guard_refusal bad;
    /* The target has a limit of its own; what is cut off here is found to be too large below. */
    size_t most = limits->header_bytes_max + limits->target_bytes_max + METHOD_BYTES_MAX;
    const char *fields;

    if (raw.len > most)
        s.end = raw.base + most;
    (void)take_text(&s, BRIM_STR("\r\n")); /* RFC 9112 2.2 */
    bad = scan_request_line(&s);
    if (bad.status != 0)
        return bad;
    fields = s.at;
    if ((size_t)(s.end - fields) > limits->header_bytes_max)
        s.end = fields + limits->header_bytes_max;
    bad = scan_fields(&s);
    if (bad.status != 0)
        return s.at >= s.end - 1 && s.end < raw.base + raw.len
                   ? refuse(431, "header fields too large")
                   : bad;
    return check_together(&s);
}
