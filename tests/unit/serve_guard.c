/* SPDX-License-Identifier: MIT */
/*
 * What the guard lets through and what it refuses: raw HTTP/1 blocks, and requests as HTTP/2
 * delivers them. Each table row is one request and the status that must come out (0: fine).
 */
#include "brim/serve/guard.h"

#include <stdio.h>

#include "unit.h"

static const struct brim_guard_limits limits = {
    .header_bytes_max = 4096, .header_count_max = 20, .target_bytes_max = 256};

struct raw_case {
    const char *raw;
    size_t len;
    unsigned status;
};

#define RAW(status, text)                                                                          \
    {                                                                                              \
        text, sizeof(text) - 1, status                                                             \
    }
#define LINE(status, line)    RAW(status, line "\r\nHost: example.com\r\n\r\n")
#define FIELD(status, fields) RAW(status, "GET / HTTP/1.1\r\nHost: example.com\r\n" fields "\r\n")
#define HOST(status, value)   RAW(status, "GET / HTTP/1.1\r\nHost: " value "\r\n\r\n")
#define OLD(status, fields)   RAW(status, "GET / HTTP/1.0\r\n" fields "\r\n")
#define POST(status, fields)  RAW(status, "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")

static void check_raw(const struct raw_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct brim_guard_refusal got =
            brim_guard_scan_h1(brim_str(cases[i].raw, cases[i].len), &limits);

        ck_assert_msg(got.status == cases[i].status, "case %zu: %u (%s), not %u:\n%s", i,
                      got.status, got.reason, cases[i].status, cases[i].raw);
        ck_assert_msg((got.reason == NULL) == (got.status == 0), "case %zu has no reason", i);
    }
}

#define CHECK_RAW(cases) check_raw(cases, sizeof(cases) / sizeof((cases)[0]))

/* The request line decides what is asked for: two readings of it are two different requests. */
START_TEST(request_lines_are_read_as_rfc_9112_3_says)
{
    static const struct raw_case cases[] = {
        LINE(0, "GET / HTTP/1.1"),
        LINE(0, "HEAD /a/b.c HTTP/1.1"),
        LINE(0, "POST /x?y=z&w HTTP/1.1"),
        LINE(0, "M-SEARCH / HTTP/1.1"),
        LINE(0, "get / HTTP/1.1"), /* methods are case-sensitive tokens: another method */
        LINE(0, "!#$%&'*+-.^_`|~09 / HTTP/1.1"),
        LINE(0, "GET / HTTP/1.0"),
        RAW(0, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        LINE(400, " GET / HTTP/1.1"),
        LINE(400, "\tGET / HTTP/1.1"),
        RAW(400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        RAW(400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        LINE(400, "GET  / HTTP/1.1"),
        LINE(400, "GET\t/ HTTP/1.1"),
        LINE(400, "GET / /a HTTP/1.1"),
        LINE(400, "GET /  HTTP/1.1"),
        LINE(400, "GET /\tHTTP/1.1"),
        LINE(400, "GET / HTTP/1.1 "),
        LINE(400, "GET /"),
        LINE(400, "GET"),
        LINE(400, "GET "),
        LINE(400, "GET  HTTP/1.1"),
        LINE(400, " / HTTP/1.1"),
        LINE(400, "G(T / HTTP/1.1"),
        LINE(400, "G\"T / HTTP/1.1"),
        LINE(400, "GET\x80 / HTTP/1.1"),
        LINE(400, "GET / http/1.1"),
        LINE(400, "GET / HTTP/1,1"),
        LINE(400, "GET / HTTP/11"),
        LINE(400, "GET / HTTP/1.10"),
        LINE(400, "GET / HTTP/01.1"),
        LINE(400, "GET / HTTP/ 1.1"),
        LINE(400, "GET / ICY/1.1"),
        LINE(400, "GET / HTTP/1.x"),
        LINE(505, "GET / HTTP/1.2"),
        LINE(505, "GET / HTTP/1.9"),
        LINE(505, "GET / HTTP/0.9"),
        LINE(505, "GET / HTTP/2.0"),
        LINE(505, "GET / HTTP/3.0"),
        RAW(400, "GET / HTTP/1.1\nHost: a\n\n"),
        RAW(400, "GET / HTTP/1.1\rHost: a\r\r"),
        RAW(400, "GET / HTTP/1.1\n\r\nHost: a\r\n\r\n"),
        RAW(400, "GET / HTTP/1.1\0\r\nHost: a\r\n\r\n"),
        RAW(400, "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        RAW(400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        RAW(400, ""),
        RAW(400, "\r\n"),
        RAW(400, "G"),
        RAW(400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* TLS to a cleartext port */
        LINE(405, "TRACE / HTTP/1.1"),
        LINE(405, "CONNECT example.com:443 HTTP/1.1"),
        LINE(405, "CONNECT / HTTP/1.1"),
        LINE(0, "TRACER / HTTP/1.1"),
        LINE(501, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1"),
    };
    CHECK_RAW(cases);
}
END_TEST

/* A target that two servers decode differently makes one cache entry of two resources. */
START_TEST(targets_are_origin_form_and_nothing_else)
{
    static const struct raw_case cases[] = {
        LINE(0, "GET /%41%e4%0a HTTP/1.1"),
        LINE(0, "GET //x HTTP/1.1"),
        LINE(0, "GET /a;b=c,d@e:f!$&'()*+~ HTTP/1.1"),
        LINE(0, "GET /?a=/?b HTTP/1.1"),
        LINE(0, "OPTIONS * HTTP/1.1"),
        LINE(400, "GET * HTTP/1.1"),
        LINE(400, "OPTIONS ** HTTP/1.1"),
        LINE(400, "GET a HTTP/1.1"),
        LINE(400, "GET ?a HTTP/1.1"),
        LINE(400, "GET /#a HTTP/1.1"),
        LINE(400, "GET /a% HTTP/1.1"),
        LINE(400, "GET /a%4 HTTP/1.1"),
        LINE(400, "GET /a%4g HTTP/1.1"),
        LINE(400, "GET /%%41 HTTP/1.1"),
        LINE(400, "GET /\x7f HTTP/1.1"),
        LINE(400, "GET /\xc3\xa4 HTTP/1.1"),
        LINE(400, "GET /\x01 HTTP/1.1"),
        LINE(400, "GET /a\\b HTTP/1.1"),
        LINE(400, "GET /<a> HTTP/1.1"),
        LINE(400, "GET example.com:80 HTTP/1.1"),
        LINE(0, "GET http://example.com/ HTTP/1.1"),
        LINE(0, "GET http://example.com HTTP/1.1"),
        LINE(0, "GET https://EXAMPLE.com/a?b HTTP/1.1"),
        LINE(0, "GET HTTP://example.com/a HTTP/1.1"),
        LINE(400, "GET http://example.com/#a HTTP/1.1"),
        LINE(400, "GET http://other.com/ HTTP/1.1"),
        LINE(400, "GET http://example.com:81/ HTTP/1.1"),
        LINE(400, "GET http://user@example.com/ HTTP/1.1"),
        LINE(400, "GET http://example.com?a HTTP/1.1"),
        LINE(400, "GET http:///a HTTP/1.1"),
        LINE(400, "GET http:/example.com/ HTTP/1.1"),
        LINE(400, "GET ftp://example.com/ HTTP/1.1"),
        RAW(400, "GET http://a/ HTTP/1.0\r\n\r\n"),
        RAW(0, "GET http://a/ HTTP/1.0\r\nHost: a\r\n\r\n"),
        RAW(400, "GET http://a/ HTTP/1.1\r\n\r\n"),
    };
    CHECK_RAW(cases);
}
END_TEST

/* A missing, second or odd Host is how one server's cache is filled with another site's pages. */
START_TEST(exactly_one_valid_host_is_needed)
{
    static const struct raw_case cases[] = {
        HOST(0, "a"),
        HOST(0, "example.com:8080"),
        HOST(0, "  example.com\t"),
        HOST(0, "[::1]:80"),
        HOST(0, "127.0.0.1"),
        HOST(400, ""),
        HOST(400, " "),
        HOST(400, ":80"),
        HOST(400, "a:b"),
        HOST(400, "a:99999"),
        HOST(400, "a:-1"),
        HOST(400, "a:80:80"),
        HOST(400, "a b"),
        HOST(400, "a, b"),
        HOST(400, "a,a"),
        HOST(400, "user@a"),
        HOST(400, "user:pass@a:80"),
        HOST(400, "a/b"),
        HOST(400, "http://a"),
        HOST(400, "a?b"),
        HOST(400, "a#b"),
        HOST(400, "a\\b"),
        HOST(400, "[::1"),
        HOST(400, "[::g]"),
        HOST(400, "a\x80"),
        RAW(400, "GET / HTTP/1.1\r\n\r\n"),
        RAW(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        RAW(400, "GET / HTTP/1.1\r\nHost: a\r\nhOsT: b\r\n\r\n"),
        RAW(400, "GET / HTTP/1.1\r\nX-Host: a\r\n\r\n"),
        RAW(0, "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        RAW(0, "GET / HTTP/1.1\r\nHOST:a\r\n\r\n"),
        OLD(0, ""),
        OLD(0, "Host: a\r\n"),
        OLD(400, "Host: a\r\nHost: a\r\n"),
        OLD(400, "Host: a b\r\n"),
    };
    CHECK_RAW(cases);
}
END_TEST

/* Every one of these is read in two ways by some pair of servers: request smuggling. */
START_TEST(the_length_of_a_body_is_told_once_and_clearly)
{
    static const struct raw_case cases[] = {
        POST(0, "Content-Length: 0\r\n"),
        POST(0, "Content-Length: 5\r\n"),
        POST(0, "Content-Length:\t5 \r\n"),
        POST(0, "content-LENGTH: 007\r\n"),
        POST(0, "Content-Length: 999999999999999999\r\n"),
        POST(400, "Content-Length: 9999999999999999999\r\n"),
        POST(400, "Content-Length: 18446744073709551621\r\n"),
        POST(400, "Content-Length:\r\n"),
        POST(400, "Content-Length: +5\r\n"),
        POST(400, "Content-Length: -5\r\n"),
        POST(400, "Content-Length: 0x5\r\n"),
        POST(400, "Content-Length: 5.0\r\n"),
        POST(400, "Content-Length: 5 5\r\n"),
        POST(400, "Content-Length: 5, 5\r\n"),
        POST(400, "Content-Length: \"5\"\r\n"),
        POST(400, "Content-Length: 5;a\r\n"),
        POST(400, "Content-Length: 5\r\nContent-Length: 5\r\n"),
        POST(400, "Content-Length: 5\r\nContent-Length: 6\r\n"),
        POST(400, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        POST(400, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        POST(0, "Transfer-Encoding: chunked\r\n"),
        POST(0, "transfer-encoding: CHUNKED\r\n"),
        POST(0, "Transfer-Encoding:\tchunked \r\n"),
        POST(400, "Transfer-Encoding:\r\n"),
        POST(400, "Transfer-Encoding: ,\r\n"),
        POST(400, "Transfer-Encoding: chunked,\r\n"),
        POST(400, "Transfer-Encoding: , chunked\r\n"),
        POST(400, "Transfer-Encoding: chunked, chunked\r\n"),
        POST(400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        POST(400, "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        POST(501, "Transfer-Encoding: gzip, chunked\r\n"),
        POST(501, "Transfer-Encoding: chunked, gzip\r\n"),
        POST(501, "Transfer-Encoding: identity\r\n"),
        POST(501, "Transfer-Encoding: xchunked\r\n"),
        POST(501, "Transfer-Encoding: chunked;a=b\r\n"),
        POST(501, "Transfer-Encoding: \"chunked\"\r\n"),
        POST(400, "Transfer-Encoding: chunked\x0b\r\n"),
        POST(400, "Transfer-Encoding : chunked\r\n"),
        POST(400, "Transfer-Encoding\r\n : chunked\r\n"),
        POST(400, " Transfer-Encoding: chunked\r\n"),
        POST(0, "X-Transfer-Encoding: gzip\r\n"),
        OLD(400, "Transfer-Encoding: chunked\r\n"),
        OLD(0, "Content-Length: 5\r\n"),
    };
    CHECK_RAW(cases);
}
END_TEST

/* Each name is looked for among the fields: 14 KiB of names cost more than all else of a request.
 */
START_TEST(connection_names_no_more_fields_than_there_may_be)
{
#define TEN ",a,b,c,d,e,f,g,h,i,j"
    static const struct raw_case cases[] = {
        FIELD(0, "Connection: keep-alive, Upgrade, HTTP2-Settings\r\n"),
        FIELD(0, "Connection: x" TEN ",a,b,c,d,e,f,g,h,i\r\n"),
        FIELD(400, "Connection: x" TEN TEN "\r\n"),
        FIELD(400, "connection: x" TEN "\r\nA: b\r\nConnection: x" TEN "\r\n"),
        FIELD(400, "Connection: ,,,,,,,,,,,,,,,,,,,,,,\r\n"),
        FIELD(0, "Connectio: x" TEN TEN "\r\nConnections: x" TEN TEN "\r\n"),
    };
#undef TEN
    CHECK_RAW(cases);
}
END_TEST

/* Lines that end in two ways, or fold, hide fields from one server and show them to another. */
START_TEST(fields_are_tokens_with_values_on_lines_that_end_in_crlf)
{
    static const struct raw_case cases[] = {
        FIELD(0, "A: b\r\n"),
        FIELD(0, "A:\r\n"),
        FIELD(0, "A: \t \r\n"),
        FIELD(0, "A:b\tc d\r\n"),
        FIELD(0, "A: \xe4\xf6\xff\x80\r\n"),
        FIELD(0, "!#$%&'*+-.^_`|~: b\r\n"),
        FIELD(0, "A: b:c\r\n"),
        FIELD(0, "A: 12345678\tabcdefgh\t12345678\t\r\n"),
        FIELD(400, "A\r\n"),
        FIELD(400, "A \r\n"),
        FIELD(400, ": b\r\n"),
        FIELD(400, " : b\r\n"),
        FIELD(400, "A : b\r\n"),
        FIELD(400, "A\t: b\r\n"),
        FIELD(400, "A B: c\r\n"),
        FIELD(400, "A(: c\r\n"),
        FIELD(400, "A\xe4: c\r\n"),
        FIELD(400, "A\x01: c\r\n"),
        FIELD(400, "A: b\n"),
        FIELD(400, "A: b\nC: d\r\n"),
        FIELD(400, "A: b\rC: d\r\n"),
        FIELD(400, "A: b\r\r\n"),
        FIELD(400, "A: b\n\r\n"),
        FIELD(400, "A: b\0c\r\n"),
        FIELD(400, "A: b\x01 c\r\n"),
        FIELD(400, "A: b\x0b c\r\n"),
        FIELD(400, "A: b\x0c c\r\n"),
        FIELD(400, "A: b\x1f c\r\n"),
        FIELD(400, "A: b\x7f c\r\n"),
        FIELD(400, "A: 0123456789abcdef0123456789\x7f\r\n"),
        FIELD(400, "A: 0123456789abcdef0123456789\x08\r\n"),
        FIELD(400, "A: b\r\n c\r\n"),
        FIELD(400, "A: b\r\n\tc\r\n"),
        RAW(400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        RAW(400, "GET / HTTP/1.1\r\nHost: a\r\n"),
        RAW(400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        RAW(400, "GET / HTTP/1.1\r\nHost: a\r\nA: b"),
        RAW(400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r"),
        RAW(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /\x01 what follows is not ours to judge"),
    };
    CHECK_RAW(cases);
}
END_TEST

/* We can promise 100-continue and nothing else; to ignore another expectation would be a lie. */
START_TEST(only_100_continue_may_be_expected)
{
    static const struct raw_case cases[] = {
        FIELD(0, "Expect: 100-continue\r\n"),
        FIELD(0, "expect: 100-Continue \r\n"),
        FIELD(417, "Expect: 200-ok\r\n"),
        FIELD(417, "Expect:\r\n"),
        FIELD(417, "Expect: 100-continue, x\r\n"),
        FIELD(417, "Expect: 100-continue\r\nExpect: x\r\n"),
        OLD(0, "Expect: x\r\n"), /* RFC 9110 10.1.1: not on HTTP/1.0 */
    };
    CHECK_RAW(cases);
}
END_TEST

/* Limits answer with the status that tells the client which one it was. */
START_TEST(limits_have_their_own_statuses)
{
    static char raw[16384];
    const char *end = "\r\nHost: a\r\n\r\n";

    for (size_t len = limits.target_bytes_max; len <= limits.target_bytes_max + 1; len++) {
        int n = snprintf(raw, sizeof(raw), "GET /%0*d HTTP/1.1%s", (int)len - 1, 0, end);
        ck_assert_uint_eq(brim_guard_scan_h1(brim_str(raw, (size_t)n), &limits).status,
                          len > limits.target_bytes_max ? 414 : 0);
    }
    int n = snprintf(raw, sizeof(raw), "GET /%08000d HTTP/1.1%s", 0, end);
    ck_assert_uint_eq(brim_guard_scan_h1(brim_str(raw, (size_t)n), &limits).status, 414);

    for (int count = 19; count <= 20; count++) { /* and Host */
        n = snprintf(raw, sizeof(raw), "GET / HTTP/1.1\r\n");
        for (int i = 0; i < count; i++)
            n += snprintf(raw + n, sizeof(raw) - (size_t)n, "A: b\r\n");
        n += snprintf(raw + n, sizeof(raw) - (size_t)n, "Host: a\r\n\r\n");
        ck_assert_uint_eq(brim_guard_scan_h1(brim_str(raw, (size_t)n), &limits).status,
                          count > 19 ? 431 : 0);
    }
    for (int extra = 0; extra <= 1; extra++) { /* "A: ", CRLF, "Host: a", CRLF, CRLF */
        int bytes = (int)limits.header_bytes_max - 3 - 2 - 7 - 2 - 2 + extra;
        n = snprintf(raw, sizeof(raw), "GET / HTTP/1.1\r\nA: %0*d%s", bytes, 0, end);
        ck_assert_uint_eq(brim_guard_scan_h1(brim_str(raw, (size_t)n), &limits).status,
                          extra > 0 ? 431 : 0);
    }
    n = snprintf(raw, sizeof(raw), "GET / HTTP/1.1\r\n%09000d: b%s", 0, end);
    ck_assert_uint_eq(brim_guard_scan_h1(brim_str(raw, (size_t)n), &limits).status, 431);
}
END_TEST

/* The scan must not read behind its input, wherever that ends: run under ASan this proves it. */
START_TEST(every_prefix_of_a_request_is_refused)
{
    static const char raw[] = "POST http://example.com/a%41?b HTTP/1.1\r\nHost: example.com\r\n"
                              "Content-Length: 12\r\nA: 0123456789abcdef\tx\r\nExpect: 100-continue"
                              "\r\n\r\n";

    for (size_t len = 0; len < sizeof(raw) - 1; len++) {
        char *copy = malloc(len + 1);

        memcpy(copy, raw, len);
        ck_assert_uint_ne(brim_guard_scan_h1(brim_str(copy, len), &limits).status, 0);
        free(copy);
    }
    ck_assert_uint_eq(brim_guard_scan_h1(brim_str(raw, sizeof(raw) - 1), &limits).status, 0);
}
END_TEST

/* The fast way over values must stop at exactly the bytes that the slow way stops at. */
START_TEST(each_byte_is_judged_alike_at_each_place_of_a_value)
{
    char raw[128];

    for (unsigned byte = 0; byte < 256; byte++) {
        bool is_good = byte == '\t' || (byte >= ' ' && byte != 0x7f);

        for (size_t at = 0; at < 24; at++) {
            int n = snprintf(raw, sizeof(raw),
                             "GET / HTTP/1.1\r\nHost: a\r\nA:0123456789abcdef01234567\r\n\r\n");

            raw[27 + at] = (char)byte;
            ck_assert_msg((brim_guard_scan_h1(brim_str(raw, (size_t)n), &limits).status == 0) ==
                              is_good,
                          "byte %u at %zu", byte, at);
        }
    }
}
END_TEST

/* ---- HTTP/2 ---- */

struct h2_case {
    const char *method, *scheme, *path, *authority, *name, *value;
    unsigned status;
};

static unsigned scan_h2(const struct h2_case *c)
{
    struct brim_field field = {brim_str_of(c->name), brim_str_of(c->value)};
    struct brim_guard_h2_request request = {
        .method = brim_str_of(c->method),
        .scheme = brim_str_of(c->scheme),
        .path = brim_str_of(c->path),
        .authority = brim_str_of(c->authority),
        .fields = {&field, c->name != NULL},
    };
    return brim_guard_scan_h2(&request, &limits).status;
}

#define H2(status, method, path, authority)                                                        \
    {                                                                                              \
        method, "https", path, authority, NULL, NULL, status                                       \
    }
#define H2_FIELD(status, name, value)                                                              \
    {                                                                                              \
        "GET", "https", "/", "a", name, value, status                                              \
    }

/* h2o checks little of what HTTP/2 delivers: a space in :path would become part of a key. */
START_TEST(http2_requests_follow_the_rules_of_http1)
{
    static const struct h2_case cases[] = {
        H2(0, "GET", "/", "a"),
        H2(0, "GET", "/a?b=c%20d", "example.com:443"),
        H2(0, "OPTIONS", "*", "a"),
        H2(0, "GET", "/", "[::1]:8443"),
        H2(400, "", "/", "a"),
        H2(400, "G T", "/", "a"),
        H2(400, "GET ", "/", "a"),
        H2(405, "CONNECT", "/", "a"),
        H2(405, "TRACE", "/", "a"),
        H2(400, "GET", "", "a"),
        H2(400, "GET", "*", "a"),
        H2(400, "GET", "a", "a"),
        H2(400, "GET", "/a b", "a"),
        H2(400, "GET", "/#a", "a"),
        H2(400, "GET", "/%", "a"),
        H2(400, "GET", "/%zz", "a"),
        H2(400, "GET", "/\x7f", "a"),
        H2(400, "GET", "/\r\nX: y", "a"),
        H2(400, "GET", "/\xc3\xa4", "a"),
        H2(400, "GET", "http://a/", "a"),
        H2(400, "GET", "/", ""),
        H2(400, "GET", "/", "user@a"),
        H2(400, "GET", "/", "a b"),
        H2(400, "GET", "/", "a/b"),
        H2(400, "GET", "/", "a:port"),
        {"GET", "", "/", "a", NULL, NULL, 400},
        {"GET", "ftp", "/", "a", NULL, NULL, 400},
        {"GET", "http", "/", "a", NULL, NULL, 0},
        H2_FIELD(0, "accept", "*/*"),
        H2_FIELD(0, "x", ""),
        H2_FIELD(0, "x", "a\tb \xe4"),
        H2_FIELD(0, "te", "trailers"),
        H2_FIELD(0, "host", "A"),
        H2_FIELD(0, "content-length", "5"),
        H2_FIELD(0, "expect", "100-continue"),
        H2_FIELD(400, "", "a"),
        H2_FIELD(400, "Accept", "a"),
        H2_FIELD(400, "a b", "a"),
        H2_FIELD(400, ":path", "/"),
        H2_FIELD(400, ":status", "200"),
        H2_FIELD(400, "x", " a"),
        H2_FIELD(400, "x", "a "),
        H2_FIELD(400, "x", "\ta"),
        H2_FIELD(400, "x", "a\rb"),
        H2_FIELD(400, "x", "a\nb"),
        H2_FIELD(400, "x", "a\x7f"),
        H2_FIELD(400, "connection", "close"),
        H2_FIELD(400, "keep-alive", "1"),
        H2_FIELD(400, "proxy-connection", "close"),
        H2_FIELD(400, "transfer-encoding", "chunked"),
        H2_FIELD(400, "upgrade", "websocket"),
        H2_FIELD(400, "http2-settings", "AAMAAABk"),
        H2_FIELD(400, "te", "gzip"),
        H2_FIELD(400, "te", "trailers, gzip"),
        H2_FIELD(400, "host", "b"),
        H2_FIELD(400, "content-length", "5, 5"),
        H2_FIELD(400, "content-length", ""),
        H2_FIELD(400, "content-length", "-1"),
        H2_FIELD(417, "expect", "200-ok"),
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned got = scan_h2(&cases[i]);

        ck_assert_msg(got == cases[i].status, "case %zu: %u, not %u", i, got, cases[i].status);
    }
}
END_TEST

/* Browsers split one Cookie field into crumbs; to count these would refuse ordinary visitors. */
START_TEST(http2_limits_count_cookie_crumbs_as_one_field)
{
    struct brim_field fields[64];
    struct brim_guard_h2_request request = {
        BRIM_STR("GET"), BRIM_STR("/"), BRIM_STR("a"), BRIM_STR("https"), {fields, 64}};
    static char path[512];

    for (size_t i = 0; i < 64; i++)
        fields[i] = (struct brim_field){BRIM_STR("cookie"), BRIM_STR("a=b")};
    ck_assert_uint_eq(brim_guard_scan_h2(&request, &limits).status, 0);
    for (size_t i = 0; i < 64; i++)
        fields[i].name = BRIM_STR("x");
    ck_assert_uint_eq(brim_guard_scan_h2(&request, &limits).status, 431);
    request.fields.count = limits.header_count_max;
    ck_assert_uint_eq(brim_guard_scan_h2(&request, &limits).status, 0);
    static char big[4096];
    memset(big, 'a', sizeof(big));
    fields[0].value = brim_str(big, sizeof(big));
    ck_assert_uint_eq(brim_guard_scan_h2(&request, &limits).status, 431);
    fields[0].name = BRIM_STR("\x01");
    fields[1].value = BRIM_STR("\x01"); /* is not looked at any more */
    ck_assert_uint_eq(brim_guard_scan_h2(&request, &limits).status, 431);
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    request.path = brim_str(path, limits.target_bytes_max + 1);
    ck_assert_uint_eq(brim_guard_scan_h2(&request, &limits).status, 414);
}
END_TEST

/* Two lengths are two bodies; the last of them would win in h2o. */
START_TEST(http2_content_length_is_told_once)
{
    struct brim_field fields[2] = {{BRIM_STR("content-length"), BRIM_STR("5")},
                                   {BRIM_STR("content-length"), BRIM_STR("5")}};
    struct brim_guard_h2_request request = {
        BRIM_STR("POST"), BRIM_STR("/"), BRIM_STR("a"), BRIM_STR("https"), {fields, 2}};

    ck_assert_uint_eq(brim_guard_scan_h2(&request, &limits).status, 400);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_guard");
    TCase *h1 = tcase_create("h1"), *h2 = tcase_create("h2");

    tcase_add_test(h1, request_lines_are_read_as_rfc_9112_3_says);
    tcase_add_test(h1, targets_are_origin_form_and_nothing_else);
    tcase_add_test(h1, exactly_one_valid_host_is_needed);
    tcase_add_test(h1, the_length_of_a_body_is_told_once_and_clearly);
    tcase_add_test(h1, connection_names_no_more_fields_than_there_may_be);
    tcase_add_test(h1, fields_are_tokens_with_values_on_lines_that_end_in_crlf);
    tcase_add_test(h1, only_100_continue_may_be_expected);
    tcase_add_test(h1, limits_have_their_own_statuses);
    tcase_add_test(h1, every_prefix_of_a_request_is_refused);
    tcase_add_test(h1, each_byte_is_judged_alike_at_each_place_of_a_value);
    suite_add_tcase(suite, h1);
    tcase_add_test(h2, http2_requests_follow_the_rules_of_http1);
    tcase_add_test(h2, http2_limits_count_cookie_crumbs_as_one_field);
    tcase_add_test(h2, http2_content_length_is_told_once);
    suite_add_tcase(suite, h2);
    return unit_run(suite);
}
