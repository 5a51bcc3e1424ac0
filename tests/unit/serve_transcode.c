/* SPDX-License-Identifier: MIT */
#include "brim/serve/transcode.h"

#include <stdlib.h>

#include "bodies.h"

enum { KIB = 1024, MOST = 4096 * KIB };

static struct bell bell;
static char made[MOST], back[MOST];

static const enum brim_coding codings[] = {BRIM_CODING_BR, BRIM_CODING_ZSTD, BRIM_CODING_GZIP};

static void setup(void)
{
    bell_init(&bell);
}

static void teardown(void)
{
    bell_fini(&bell);
}

static struct brim_coder_config config_of(enum brim_coder_way way, int index)
{
    return (struct brim_coder_config){
        .coding = codings[index], .way = way, .level = 3, .bytes_max = MOST};
}

/* Takes what there is; says what came instead of more. */
static enum brim_reader_got drain(struct brim_transcode *transcode, struct brim_reader *reader,
                                  char *out, size_t *len)
{
    enum brim_reader_got got;
    struct brim_str piece;

    while ((got = brim_transcode_next(transcode, reader, &piece)) == BRIM_READER_DATA) {
        ck_assert_uint_gt(piece.len, 0);
        ck_assert_uint_le(*len + piece.len, MOST);
        memcpy(out + *len, piece.base, piece.len);
        *len += piece.len;
    }
    return got;
}

static void open_reader(struct brim_reader *reader, struct brim_body *body)
{
    const struct brim_load_from from = {.port = &bell.port};

    *reader = (struct brim_reader){.offset = 0};
    ck_assert_int_eq(brim_reader_init(reader, body, 0, BRIM_BODY_LENGTH_UNKNOWN, &from), BRIM_OK);
}

/* A body through one direction, whole. */
static enum brim_reader_got pass(enum brim_coder_way way, int index, struct brim_str body,
                                 char *out, size_t *len)
{
    struct brim_coder_config config = config_of(way, index);
    struct brim_body *source = brim_body_from((const uint8_t *)body.base, body.len);
    struct brim_transcode *transcode;
    struct brim_reader reader;
    enum brim_reader_got got;

    *len = 0;
    open_reader(&reader, source);
    ck_assert_int_eq(brim_transcode_open(&config, &transcode), BRIM_OK);
    got = drain(transcode, &reader, out, len);
    if (way == BRIM_CODER_ENCODE)
        ck_assert_uint_eq(brim_transcode_taken(transcode), body.len);
    brim_transcode_close(transcode);
    brim_reader_fini(&reader);
    brim_body_unref(source);
    return got;
}

/* Ends with FAILED, whatever the bytes before. */
static void expect_failure(int index, size_t len)
{
    size_t back_len;

    ck_assert_int_eq(pass(BRIM_CODER_DECODE, index, brim_str(made, len), back, &back_len),
                     BRIM_READER_FAILED);
}

/* Whatever is coded on the way out is what it was, of any size and however well it shrinks. */
START_TEST(what_is_coded_decodes_to_itself)
{
    static const size_t sizes[] = {0, 1, 900 * KIB, 3000 * KIB, 64 * KIB + 1};
    static uint8_t body[MOST];
    size_t len, back_len;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill_bytes(body, 0, sizes[i]);
        if (i % 2 == 0) /* nothing comes out of the coder for long */
            memset(body, 'a', sizes[i]);
        ck_assert_int_eq(pass(BRIM_CODER_ENCODE, _i, brim_str((char *)body, sizes[i]), made, &len),
                         BRIM_READER_END);
        ck_assert_int_eq(pass(BRIM_CODER_DECODE, _i, brim_str(made, len), back, &back_len),
                         BRIM_READER_END);
        ck_assert_uint_eq(back_len, sizes[i]);
        ck_assert_int_eq(memcmp(back, body, back_len), 0);
    }
}
END_TEST

/* As with a redirect, of whose body that is not there its origin says how it is coded. */
START_TEST(no_byte_decodes_to_none)
{
    size_t len;

    ck_assert_int_eq(pass(BRIM_CODER_DECODE, _i, brim_str("", 0), back, &len), BRIM_READER_END);
    ck_assert_uint_eq(len, 0);
}
END_TEST

/* Bytes cut off, behind the end, or of something else are a failure, not an end. */
START_TEST(damage_is_no_end)
{
    size_t len;

    memset(back, 'b', 9999);
    ck_assert_int_eq(pass(BRIM_CODER_ENCODE, _i, brim_str(back, 9999), made, &len),
                     BRIM_READER_END);
    expect_failure(_i, len - 1);
    made[len] = 'x';
    expect_failure(_i, len + 1);
    memset(made, 0x5a, 2000);
    expect_failure(_i, 2000);
}
END_TEST

/* A page that comes in pieces goes out in pieces: what is there can be read before more comes. */
START_TEST(what_has_come_goes_out)
{
    struct brim_coder_config encode = config_of(BRIM_CODER_ENCODE, _i);
    struct brim_coder_config decode = config_of(BRIM_CODER_DECODE, _i);
    struct brim_body *body = brim_body_new(BRIM_BODY_LENGTH_UNKNOWN);
    struct brim_transcode *transcode;
    struct brim_coder *decoder;
    struct brim_reader reader;
    struct brim_coder_step step = {.out = back, .room = MOST};
    size_t len = 0;

    open_reader(&reader, body);
    ck_assert_int_eq(brim_transcode_open(&encode, &transcode), BRIM_OK);
    ck_assert_int_eq(drain(transcode, &reader, made, &len), BRIM_READER_WAIT);
    ck_assert_uint_eq(len, 0);
    ck_assert_int_eq(brim_body_append(body, "first", 5), BRIM_OK);
    ck_assert_int_eq(drain(transcode, &reader, made, &len), BRIM_READER_WAIT);
    ck_assert_int_eq(brim_coder_open(&decode, &decoder), BRIM_OK);
    step.in = brim_str(made, len);
    ck_assert_int_eq(brim_coder_run(decoder, &step), BRIM_OK);
    ck_assert(brim_str_is(brim_str(back, step.made), BRIM_STR("first")));
    ck_assert_int_eq(drain(transcode, &reader, made, &len), BRIM_READER_WAIT);
    ck_assert_uint_eq(step.in.len, 0); /* and no flush after a flush */
    brim_body_fail(body, BRIM_ECLOSED);
    brim_coder_close(decoder);
    brim_transcode_close(transcode);
    brim_reader_fini(&reader);
    brim_body_unref(body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/transcode");
    TCase *tcase = tcase_create("transcode");
    int count = (int)(sizeof(codings) / sizeof(codings[0]));

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_is_coded_decodes_to_itself, 0, count);
    tcase_add_loop_test(tcase, no_byte_decodes_to_none, 0, count);
    tcase_add_loop_test(tcase, damage_is_no_end, 0, count);
    tcase_add_loop_test(tcase, what_has_come_goes_out, 0, count);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
