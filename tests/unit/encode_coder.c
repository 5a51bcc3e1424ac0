/* SPDX-License-Identifier: MIT */
#include "brim/encode/coder.h"

#include <string.h>

#include "unit.h"

#define TEXT_BYTES 300000u

static char text[TEXT_BYTES];
static char coded[2 * TEXT_BYTES];
static char back[TEXT_BYTES + 1];

static void write_text(void)
{
    unsigned seed = 7;

    for (size_t i = 0; i < TEXT_BYTES; i++)
        text[i] = (char)('a' + (rand_r(&seed) % 100 < 80 ? (int)(i / 7 % 11) : rand_r(&seed) % 26));
}

struct pieces {
    size_t in, out; /* bytes at a time */
};

/* Runs all of in through a new coder. */
static enum brim_err run(const struct brim_coder_config *config, struct brim_str in,
                         struct pieces pieces, char *out, size_t room, size_t *len_out)
{
    struct brim_coder *coder;
    struct brim_coder_step step = {.is_done = false};
    enum brim_err err = brim_coder_open(config, &coder);

    *len_out = 0;
    while (err == BRIM_OK && !step.is_done) {
        size_t len = in.len < pieces.in ? in.len : pieces.in, taken;

        step.in = brim_str(in.base, len);
        step.flush = len == in.len ? BRIM_CODER_END : BRIM_CODER_MORE;
        step.out = out + *len_out;
        step.room = room - *len_out < pieces.out ? room - *len_out : pieces.out;
        err = brim_coder_run(coder, &step);
        *len_out += step.made;
        taken = len - step.in.len;
        in = brim_str(in.base + taken, in.len - taken);
    }
    if (err == BRIM_OK && in.len > 0) {
        step = (struct brim_coder_step){.in = in, .flush = BRIM_CODER_END, .out = out};
        err = brim_coder_run(coder, &step);
    }
    brim_coder_close(coder);
    return err;
}

static const struct {
    enum brim_coding coding;
    int level;
} codecs[] = {
    {BRIM_CODING_GZIP, 1}, {BRIM_CODING_GZIP, 9}, {BRIM_CODING_BR, 4},
    {BRIM_CODING_BR, 9},   {BRIM_CODING_ZSTD, 3}, {BRIM_CODING_ZSTD, 19},
};

/* What goes in comes back, however it is cut into pieces. */
START_TEST(every_codec_gives_back_what_it_took)
{
    static const size_t pieces[] = {1, 977, 65536, SIZE_MAX / 2};
    struct brim_coder_config encode = {.coding = codecs[_i].coding,
                                       .way = BRIM_CODER_ENCODE,
                                       .level = codecs[_i].level,
                                       .size_hint = TEXT_BYTES};
    struct brim_coder_config decode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_DECODE, .bytes_max = TEXT_BYTES};
    size_t len, back_len;

    write_text();
    for (size_t i = 1; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        ck_assert_int_eq(run(&encode, brim_str(text, TEXT_BYTES),
                             (struct pieces){pieces[i], pieces[i]}, coded, sizeof(coded), &len),
                         BRIM_OK);
        ck_assert_uint_lt(len, TEXT_BYTES);
        ck_assert_int_eq(run(&decode, brim_str(coded, len),
                             (struct pieces){pieces[i - 1], pieces[i]}, back, sizeof(back),
                             &back_len),
                         BRIM_OK);
        ck_assert_uint_eq(back_len, TEXT_BYTES);
        ck_assert_mem_eq(back, text, TEXT_BYTES);
    }
}
END_TEST

/* Members of gzip and frames of zstd that stand one after the other are one body; br has no such.
 */
START_TEST(streams_in_a_row_are_one_body)
{
    struct brim_coder_config encode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_ENCODE, .level = codecs[_i].level};
    struct brim_coder_config decode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_DECODE, .bytes_max = TEXT_BYTES};
    bool is_one = codecs[_i].coding != BRIM_CODING_BR;
    size_t half = TEXT_BYTES / 2, first, second, back_len;

    write_text();
    ck_assert_int_eq(run(&encode, brim_str(text, half), (struct pieces){half, half}, coded,
                         sizeof(coded), &first),
                     BRIM_OK);
    ck_assert_int_eq(run(&encode, brim_str(text + half, half), (struct pieces){half, half},
                         coded + first, sizeof(coded) - first, &second),
                     BRIM_OK);
    for (size_t piece = 1; piece < sizeof(coded); piece += first - 1) { /* at, and off, the seam */
        ck_assert_int_eq(run(&decode, brim_str(coded, first + second), (struct pieces){piece, 4096},
                             back, sizeof(back), &back_len),
                         is_one ? BRIM_OK : BRIM_ECORRUPT);
        ck_assert_uint_eq(back_len, is_one ? TEXT_BYTES : half);
        ck_assert_mem_eq(back, text, back_len);
    }
    ck_assert_int_eq(run(&decode, brim_str(coded, first + second - 1), (struct pieces){1000, 4096},
                         back, sizeof(back), &back_len),
                     BRIM_ECORRUPT);
}
END_TEST

/* An empty body is a stream too. */
START_TEST(every_codec_codes_nothing)
{
    struct brim_coder_config encode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_ENCODE, .level = codecs[_i].level};
    struct brim_coder_config decode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_DECODE, .bytes_max = 1};
    size_t len, back_len;

    ck_assert_int_eq(run(&encode, brim_str("", 0), (struct pieces){1, 100}, coded, 100, &len),
                     BRIM_OK);
    ck_assert_uint_gt(len, 0);
    ck_assert_int_eq(
        run(&decode, brim_str(coded, len), (struct pieces){100, 100}, back, 100, &back_len),
        BRIM_OK);
    ck_assert_uint_eq(back_len, 0);
    /* nor does it need an address; clang's sanitizer counts a step of 0 bytes from NULL as a fault
     */
    ck_assert_int_eq(
        run(&encode, brim_str(NULL, 0), (struct pieces){1, 100}, coded, 100, &back_len), BRIM_OK);
    ck_assert_uint_eq(back_len, len);
}
END_TEST

/* What is cut off, or is something else, is told from what is whole. */
START_TEST(damage_is_seen)
{
    struct brim_coder_config encode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_ENCODE, .level = codecs[_i].level};
    struct brim_coder_config decode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_DECODE, .bytes_max = TEXT_BYTES};
    size_t len, back_len;

    write_text();
    ck_assert_int_eq(
        run(&encode, brim_str(text, 5000), (struct pieces){5000, 9000}, coded, sizeof(coded), &len),
        BRIM_OK);
    for (size_t cut = 0; cut < len; cut += 97)
        ck_assert_int_ne(run(&decode, brim_str(coded, cut), (struct pieces){cut, sizeof(back)},
                             back, sizeof(back), &back_len),
                         BRIM_OK);
    coded[len] = 'x'; /* something behind the end */
    ck_assert_int_eq(run(&decode, brim_str(coded, len + 1), (struct pieces){1, sizeof(back)}, back,
                         sizeof(back), &back_len),
                     BRIM_ECORRUPT);
    memset(coded, 0x5a, 2000);
    ck_assert_int_eq(run(&decode, brim_str(coded, 2000), (struct pieces){2000, sizeof(back)}, back,
                         sizeof(back), &back_len),
                     BRIM_ECORRUPT);
}
END_TEST

/* A small answer that becomes a large body is stopped. */
START_TEST(bomb_is_stopped)
{
    struct brim_coder_config encode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_ENCODE, .level = codecs[_i].level};
    struct brim_coder_config decode = {
        .coding = codecs[_i].coding, .way = BRIM_CODER_DECODE, .bytes_max = TEXT_BYTES / 2};
    size_t len, back_len;

    memset(text, 'a', sizeof(text));
    ck_assert_int_eq(run(&encode, brim_str(text, TEXT_BYTES), (struct pieces){9999, 9999}, coded,
                         sizeof(coded), &len),
                     BRIM_OK);
    ck_assert_int_eq(run(&decode, brim_str(coded, len), (struct pieces){len, 4096}, back,
                         sizeof(back), &back_len),
                     BRIM_ELIMIT);
    ck_assert_uint_le(back_len, TEXT_BYTES / 2 + 4096);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encode/coder");
    TCase *tcase = tcase_create("coder");
    int count = (int)(sizeof(codecs) / sizeof(codecs[0]));

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, every_codec_gives_back_what_it_took, 0, count);
    tcase_add_loop_test(tcase, streams_in_a_row_are_one_body, 0, count);
    tcase_add_loop_test(tcase, every_codec_codes_nothing, 0, count);
    tcase_add_loop_test(tcase, damage_is_seen, 0, count);
    tcase_add_loop_test(tcase, bomb_is_stopped, 0, count);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
