/* SPDX-License-Identifier: MIT */
#include "brim/origin/response.h"

#include <string.h>

#include "unit.h"

static const struct brim_response_limits limits = {.header_bytes_max = 400, .header_count_max = 6};

/* Feeds a whole block, split after each LF as libcurl does. */
static enum brim_response_got feed(struct brim_response *response, const char *block)
{
    enum brim_response_got got = BRIM_RESPONSE_MORE;

    while (*block != '\0' && got != BRIM_RESPONSE_BAD) {
        const char *end = strchr(block, '\n');
        size_t len = end == NULL ? strlen(block) : (size_t)(end - block) + 1;
        enum brim_response_got now = brim_response_line(response, brim_str(block, len));

        if (now != BRIM_RESPONSE_MORE)
            got = now;
        block += len;
    }
    return got;
}

#define OK     "HTTP/1.1 200 OK\r\n"
#define R(f)   OK f "\r\n"
#define LONG40 "0123456789012345678901234567890123456789"

static const struct {
    enum brim_response_got got;
    const char *block;
} blocks[] = {
    /* RFC 9112 4: status line */
    {BRIM_RESPONSE_FINAL, R("")},
    {BRIM_RESPONSE_FINAL, "HTTP/1.0 404 Not Found\r\n\r\n"},
    {BRIM_RESPONSE_FINAL, "HTTP/1.1 200\r\n\r\n"},
    {BRIM_RESPONSE_FINAL, "HTTP/1.1 200 \r\n\r\n"},
    {BRIM_RESPONSE_FINAL, "HTTP/1.1 599 \xc3\xbc\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "HTTP/2 200\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "HTTP/1.1 20 OK\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "HTTP/1.1 2000 OK\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "HTTP/1.1 099 OK\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "HTTP/1.1 101 Switching\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "HTTP/1.1  200 OK\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "http/1.1 200 OK\r\n\r\n"},
    {BRIM_RESPONSE_BAD, "HTTP/1.1 200 O\001K\r\n\r\n"},
    /* RFC 9112 2.2: line ends */
    {BRIM_RESPONSE_BAD, "HTTP/1.1 200 OK\n\r\n"},
    {BRIM_RESPONSE_BAD, OK "A: b\n\r\n"},
    {BRIM_RESPONSE_BAD, OK "A: b\r\n\n"},
    {BRIM_RESPONSE_BAD, OK "A: b\rC: d\r\n\r\n"},
    /* RFC 9112 5: field lines */
    {BRIM_RESPONSE_FINAL, R("A:b\r\n")},
    {BRIM_RESPONSE_FINAL, R("A:\r\n")},
    {BRIM_RESPONSE_FINAL, R("A: \t b \t\r\n")},
    {BRIM_RESPONSE_FINAL, R("A: \x80\xff\r\n")},
    {BRIM_RESPONSE_BAD, R("A : b\r\n")},
    {BRIM_RESPONSE_BAD, R(" A: b\r\n")},
    {BRIM_RESPONSE_BAD, R("A: b\r\n c\r\n")},
    {BRIM_RESPONSE_BAD, R("A: b\r\n\tc\r\n")},
    {BRIM_RESPONSE_BAD, R(": b\r\n")},
    {BRIM_RESPONSE_BAD, R("A b\r\n")},
    {BRIM_RESPONSE_BAD, R("A(: b\r\n")},
    {BRIM_RESPONSE_BAD, R("A: b\001\r\n")},
    {BRIM_RESPONSE_BAD, R("A: b\x7f\r\n")},
    /* RFC 9112 6: framing */
    {BRIM_RESPONSE_FINAL, R("Content-Length: 0\r\n")},
    {BRIM_RESPONSE_FINAL, R("Content-Length: 123456789012345678\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: 1234567890123456789\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: 5\r\nContent-Length: 5\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: 5, 5\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: +5\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: -5\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: 0x5\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: 5x\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length:\r\n")},
    {BRIM_RESPONSE_FINAL, R("Transfer-Encoding: Chunked\r\n")},
    {BRIM_RESPONSE_BAD, R("Transfer-Encoding: gzip, chunked\r\n")},
    {BRIM_RESPONSE_BAD, R("Transfer-Encoding: identity\r\n")},
    {BRIM_RESPONSE_BAD, R("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
    {BRIM_RESPONSE_BAD, R("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
    {BRIM_RESPONSE_BAD, R("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
    {BRIM_RESPONSE_BAD, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    /* RFC 9110 15.2: interim responses */
    {BRIM_RESPONSE_FINAL, "HTTP/1.1 100 Continue\r\n\r\n" R("A: b\r\n")},
    {BRIM_RESPONSE_FINAL, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" R("A: b\r\n")},
    {BRIM_RESPONSE_FINAL, "HTTP/1.1 102 P\r\nContent-Length: 9\r\n\r\n" R("Content-Length: 5\r\n")},
    {BRIM_RESPONSE_MORE, "HTTP/1.1 100 Continue\r\n\r\n"},
    /* limits of this test: 6 fields, 400 bytes */
    {BRIM_RESPONSE_FINAL, R("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n")},
    {BRIM_RESPONSE_BAD, R("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\n")},
    {BRIM_RESPONSE_BAD, R("A: " LONG40 LONG40 LONG40 LONG40 LONG40 LONG40
                          "\r\nB: " LONG40 LONG40 LONG40 LONG40 LONG40 "\r\n")},
    /* trailers are dropped, whatever they are */
    {BRIM_RESPONSE_FINAL, R("A: b\r\n") "Content-Length: 7\r\n : x\n\r\n"},
};

/* What an origin sends is believed only if it can be read in one way. */
START_TEST(header_block_is_read_strictly)
{
    struct brim_response *response = brim_response_new(&limits);

    ck_assert_ptr_nonnull(response);
    ck_assert_msg(feed(response, blocks[_i].block) == blocks[_i].got, "row %d: %s", _i,
                  brim_response_fault(response));
    ck_assert_int_eq(brim_response_err(response) != BRIM_OK, blocks[_i].got == BRIM_RESPONSE_BAD);
    brim_response_free(response);
}
END_TEST

/* Names are compared in lower case everywhere else; values come without their white space. */
START_TEST(fields_are_normalised_and_belong_to_the_final_response)
{
    struct brim_response *response = brim_response_new(&limits);
    struct brim_fields fields;

    ck_assert_int_eq(feed(response, "HTTP/1.1 103 H\r\nLink: early\r\n\r\n" OK
                                    "ETag:  \"a\" \r\nX-Empty:\r\nContent-Length: 12\r\n\r\n"),
                     BRIM_RESPONSE_FINAL);
    fields = brim_response_fields(response);
    ck_assert_uint_eq(brim_response_status(response), 200);
    ck_assert_uint_eq(brim_response_length(response), 12);
    ck_assert_uint_eq(fields.count, 3);
    ck_assert(brim_str_is(fields.items[0].name, BRIM_STR("etag")));
    ck_assert(brim_str_is(fields.items[0].value, BRIM_STR("\"a\"")));
    ck_assert_uint_eq(fields.items[1].value.len, 0);
    ck_assert_ptr_null(brim_fields_find(fields, BRIM_STR("link")));
    brim_response_free(response);
}
END_TEST

/* Else an origin keeps an exchange, and whoever waits for it, busy for ever. */
START_TEST(interim_responses_are_bounded)
{
    struct brim_response *response = brim_response_new(&limits);
    unsigned count = 0;

    while (feed(response, "HTTP/1.1 100 C\r\n\r\n") == BRIM_RESPONSE_MORE)
        ck_assert_uint_lt(++count, 1000);
    ck_assert_int_eq(brim_response_err(response), BRIM_EPROTO);
    brim_response_reset(response);
    ck_assert_int_eq(feed(response, R("")), BRIM_RESPONSE_FINAL);
    brim_response_free(response);
}
END_TEST

/* What libcurl writes of an HTTP/2 answer; nobody but who was offered it may say so. */
START_TEST(http2_only_where_it_may_be)
{
    struct brim_response_limits h2 = limits;
    struct brim_response *response;

    h2.may_be_http2 = true;
    response = brim_response_new(&h2);
    ck_assert_int_eq(feed(response, "HTTP/2 204 \r\nA: b\r\n\r\n"), BRIM_RESPONSE_FINAL);
    ck_assert_uint_eq(brim_response_status(response), 204);
    ck_assert_int_eq(brim_response_version(response), BRIM_HTTP_2);
    brim_response_reset(response);
    ck_assert_int_eq(feed(response, "HTTP/2 103 \r\n\r\nHTTP/2 200 \r\n\r\n"), BRIM_RESPONSE_FINAL);
    brim_response_reset(response);
    ck_assert_int_eq(feed(response, "HTTP/2 200 \r\nTransfer-Encoding: chunked\r\n\r\n"),
                     BRIM_RESPONSE_BAD);
    brim_response_reset(response);
    ck_assert_int_eq(feed(response, "HTTP/2 20\r\n\r\n"), BRIM_RESPONSE_BAD);
    brim_response_reset(response);
    ck_assert_int_eq(feed(response, "HTTP/1.1 200 OK\r\n\r\n"), BRIM_RESPONSE_FINAL);
    ck_assert_int_eq(brim_response_version(response), BRIM_HTTP_1_1);
    brim_response_reset(response);
    ck_assert_int_eq(feed(response, "HTTP/1.0 200 OK\r\n\r\n"), BRIM_RESPONSE_FINAL);
    ck_assert_int_eq(brim_response_version(response), BRIM_HTTP_1_0);
    brim_response_free(response);
    response = brim_response_new(&limits);
    ck_assert_int_eq(feed(response, "HTTP/2 204 \r\n\r\n"), BRIM_RESPONSE_BAD);
    brim_response_free(response);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/response");
    TCase *tcase = tcase_create("response");

    tcase_add_loop_test(tcase, header_block_is_read_strictly, 0,
                        (int)(sizeof(blocks) / sizeof(blocks[0])));
    tcase_add_test(tcase, fields_are_normalised_and_belong_to_the_final_response);
    tcase_add_test(tcase, interim_responses_are_bounded);
    tcase_add_test(tcase, http2_only_where_it_may_be);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
