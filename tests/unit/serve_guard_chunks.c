/* SPDX-License-Identifier: MIT */
/* The chunked coding of request bodies: what two servers could read in two ways is an error. */
#include "brim/serve/guard.h"

#include "unit.h"

enum { BYTES_MAX = 256 };

#define CHUNKS(raw, result, body)                                                                  \
    {                                                                                              \
        raw, sizeof(raw) - 1, result, body                                                         \
    }

static const struct {
    const char *raw;
    size_t len;
    ssize_t result; /* bytes behind the end; -1: refused, -2: more must come */
    const char *body;
} cases[] = {
    CHUNKS("5\r\nhello\r\n0\r\n\r\n", 0, "hello"),
    CHUNKS("5\r\nhello\r\n0\r\n\r\nGET /", 5, "hello"),
    CHUNKS("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 0, "hello"),
    CHUNKS("a\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789"),
    CHUNKS("A\r\n0123456789\r\n000\r\n\r\n", 0, "0123456789"),
    CHUNKS("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", 0, "hello"),
    CHUNKS("0\r\nA: b\r\nC:\r\n\r\n", 0, ""),
    CHUNKS("000000000000005\r\nhello\r\n0\r\n\r\n", 0, "hello"),
    CHUNKS("0000000000000005\r\nhello\r\n0\r\n\r\n", -1, ""),
    CHUNKS("5\r\nhello\r\n0\r\n", -2, "hello"),
    CHUNKS("5\r\nhel", -2, "hel"),
    CHUNKS("", -2, ""),
    CHUNKS("\r\n", -1, ""),
    CHUNKS(";x\r\n", -1, ""),
    CHUNKS("0x5\r\nhello\r\n", -1, ""),
    CHUNKS("5 \r\nhello\r\n", -1, ""),
    CHUNKS(" 5\r\nhello\r\n", -1, ""),
    CHUNKS("+5\r\n", -1, ""),
    CHUNKS("5g\r\n", -1, ""),
    CHUNKS("5\nhello\r\n0\r\n\r\n", -1, ""),
    CHUNKS("5\r\r\nhello", -1, ""),
    CHUNKS("5;a\nb\r\nhello", -1, ""),
    CHUNKS("5;a\rb\r\nhello", -1, ""),
    CHUNKS("5;\0\r\nhello", -1, ""),
    CHUNKS("5\r\nhello\n0\r\n\r\n", -1, "hello"),
    CHUNKS("5\r\nhello\r\r\n0\r\n\r\n", -1, "hello"),
    CHUNKS("4\r\nhello\r\n0\r\n\r\n", -1, "hell"),
    CHUNKS("6\r\nhello\r\n0\r\n\r\n", -1, "hello\r"),
    CHUNKS("0\n\r\n", -1, ""),
    CHUNKS("0\r\n\n", -1, ""),
    CHUNKS("0\r\n\r\r\n", -1, ""),
    CHUNKS("0\r\nA : b\r\n\r\n", -1, ""),
    CHUNKS("0\r\n A: b\r\n\r\n", -1, ""),
    CHUNKS("0\r\nA\r\n\r\n", -1, ""),
    CHUNKS("0\r\nA: b\nC: d\r\n\r\n", -1, ""),
    CHUNKS("0\r\nA: \0\r\n\r\n", -1, ""),
};

/* Feeds all of a case in pieces; what stands behind the body is at `rest`. */
static ssize_t decode(int i, size_t piece, char *body, size_t *body_len, char *rest)
{
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    size_t at = 0;
    ssize_t result = -2;

    *body_len = 0;
    while (result == -2 && at < cases[i].len) {
        size_t some = cases[i].len - at < piece ? cases[i].len - at : piece, len = some;

        memcpy(body + *body_len, cases[i].raw + at, some);
        result = phr_decode_chunked(&decoder, body + *body_len, &len);
        *body_len += len;
        at += some;
    }
    if (result < 0)
        return result;
    memcpy(rest, body + *body_len, (size_t)result);
    return result + (ssize_t)(cases[i].len - at);
}

/* However the bytes arrive. */
START_TEST(chunks_are_read_by_the_letter)
{
    char body[BYTES_MAX], rest[BYTES_MAX];
    size_t len;

    for (size_t piece = 1; piece <= cases[_i].len + 1; piece++) {
        ck_assert_int_eq(decode(_i, piece, body, &len, rest), cases[_i].result);
        ck_assert_uint_eq(len, strlen(cases[_i].body));
        ck_assert_mem_eq(body, cases[_i].body, len);
    }
    if (cases[_i].result > 0)
        ck_assert_mem_eq(rest, "GET /", 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/guard_chunks");
    TCase *tcase = tcase_create("chunks");

    tcase_add_loop_test(tcase, chunks_are_read_by_the_letter, 0, sizeof(cases) / sizeof(cases[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
