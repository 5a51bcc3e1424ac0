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
    CHUNKS("1\r\na\r\n1;x=\"\t\"\r\nb\r\n5\r\ncdefg\r\n0\r\n\r\nGET /", 5, "abcdefg"),
    CHUNKS("1\r\na\r\n1;\r\nb\r\n11\r\n0123456789abcdef!\r\n", -2, "ab0123456789abcdef!"),
    CHUNKS("1\r\na\r\n1\r\nbc\r\n", -1, "ab"),
    CHUNKS("1\r\na\r\n1\r\n\r\n\r\n", -1, "a\r"),
    CHUNKS("1\r\na\r\nffffffffffffffff\r\nb\r\n", -1, "a"),
    CHUNKS("1\r\na\r\nfffffffffffffff\r\nb\r\n", -2, "ab\r\n"),
};

struct decoded {
    char body[BYTES_MAX]; /* then what stands behind it */
    size_t len;
    ssize_t result;
};

/* Feeds all of raw: the first `cut` bytes at once, then pieces of `piece`. */
static struct decoded decode(const char *raw, size_t raw_len, size_t cut, size_t piece)
{
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    struct decoded to = {.result = -2};

    for (size_t at = 0; to.result == -2 && at < raw_len; cut = piece) {
        size_t some = raw_len - at < cut ? raw_len - at : cut, len = some;

        memcpy(to.body + to.len, raw + at, some);
        to.result = phr_decode_chunked(&decoder, to.body + to.len, &len);
        to.len += len;
        at += some;
        if (to.result >= 0) {
            memcpy(to.body + to.len + to.result, raw + at, raw_len - at);
            to.result += (ssize_t)(raw_len - at);
        }
    }
    return to;
}

static void check_same(const struct decoded *a, const struct decoded *b)
{
    size_t rest = a->result > 0 ? (size_t)a->result : 0;

    ck_assert_int_eq(a->result, b->result);
    ck_assert_uint_eq(a->len, b->len);
    ck_assert_mem_eq(a->body, b->body, a->len + rest);
}

/* However the bytes arrive. */
START_TEST(chunks_are_read_by_the_letter)
{
    for (size_t piece = 1; piece <= cases[_i].len + 1; piece++) {
        struct decoded got = decode(cases[_i].raw, cases[_i].len, piece, piece);

        ck_assert_int_eq(got.result, cases[_i].result);
        ck_assert_uint_eq(got.len, strlen(cases[_i].body));
        ck_assert_mem_eq(got.body, cases[_i].body, got.len);
        if (got.result > 0)
            ck_assert_mem_eq(got.body + got.len, "GET /", 5);
    }
}
END_TEST

/* Chunks that are there as a whole are not read byte by byte; both ways must judge alike, whatever
 * stands at whatever place. */
START_TEST(a_cut_changes_nothing)
{
    static const char other[] = "\r\n;: 01fg\t\0\x7f\x80";
    char raw[BYTES_MAX];

    for (size_t place = 0; place < cases[_i].len; place++) {
        memcpy(raw, cases[_i].raw, cases[_i].len);
        for (size_t i = 0; i < sizeof(other); i++) {
            struct decoded bytes, whole, halves;

            raw[place] = i == 0 ? cases[_i].raw[place] : other[i - 1];
            bytes = decode(raw, cases[_i].len, 1, 1);
            whole = decode(raw, cases[_i].len, BYTES_MAX, BYTES_MAX);
            check_same(&bytes, &whole);
            for (size_t cut = 1; cut < cases[_i].len; cut++) {
                halves = decode(raw, cases[_i].len, cut, BYTES_MAX);
                check_same(&bytes, &halves);
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/guard_chunks");
    TCase *tcase = tcase_create("chunks");

    tcase_add_loop_test(tcase, chunks_are_read_by_the_letter, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_loop_test(tcase, a_cut_changes_nothing, 0, sizeof(cases) / sizeof(cases[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
