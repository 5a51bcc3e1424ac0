/* SPDX-License-Identifier: MIT */
#include "brim/http/coding.h"

#include "unit.h"

static struct brim_accept accept_of(const char *value)
{
    struct brim_field field = {BRIM_STR("accept-encoding"), brim_str_of(value)};
    struct brim_accept accept;

    brim_accept_parse((struct brim_fields){&field, value == NULL ? 0 : 1}, &accept);
    return accept;
}

static const struct {
    const char *value;
    enum brim_coding order[4]; /* the choices, one after the other struck out */
} choices[] = {
    /* RFC 9110 12.5.3 */
    {NULL, {BRIM_CODING_IDENTITY}},
    {"", {BRIM_CODING_IDENTITY}},
    {"gzip", {BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"x-gzip", {BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"GZip", {BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"gzip, deflate, br, zstd",
     {BRIM_CODING_BR, BRIM_CODING_ZSTD, BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"br;q=0.5, gzip;q=0.9", {BRIM_CODING_GZIP, BRIM_CODING_BR, BRIM_CODING_IDENTITY}},
    {"br;q=0, gzip", {BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"*", {BRIM_CODING_BR, BRIM_CODING_ZSTD, BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"*;q=0, gzip", {BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"*;q=0.1, zstd", {BRIM_CODING_ZSTD, BRIM_CODING_BR, BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"identity, gzip;q=0.5", {BRIM_CODING_IDENTITY}},
    {"identity;q=0", {BRIM_CODING_IDENTITY}}, /* nothing else is wanted: an answer, not a 406 */
    {"identity;q=0, gzip", {BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"gzip;q=0.001", {BRIM_CODING_GZIP, BRIM_CODING_IDENTITY}},
    {"gzip;q=2", {BRIM_CODING_IDENTITY}}, /* not readable: not wanted */
    {"gzip;level=9", {BRIM_CODING_IDENTITY}},
    {"gzip, gzip;q=0", {BRIM_CODING_IDENTITY}},
    {"deflate", {BRIM_CODING_IDENTITY}},
};

START_TEST(client_gets_the_best_of_what_it_takes)
{
    struct brim_accept accept = accept_of(choices[_i].value);
    unsigned tried = 0;

    for (size_t i = 0; i < 4; i++) {
        enum brim_coding best = brim_accept_best(&accept, tried);

        ck_assert_msg(best == choices[_i].order[i], "%s: choice %zu is %d",
                      choices[_i].value == NULL ? "(none)" : choices[_i].value, i, (int)best);
        if (best == BRIM_CODING_IDENTITY)
            return;
        tried |= 1u << best;
    }
}
END_TEST

static const struct brim_str patterns[] = {
    BRIM_STR("text/*"),   BRIM_STR("+json"), BRIM_STR("+xml"), BRIM_STR("application/javascript"),
    BRIM_STR("font/ttf"),
};
static const struct brim_targets listed = {patterns, sizeof(patterns) / sizeof(patterns[0])};

static const struct {
    const char *type;
    bool suits;
} types[] = {
    {"text/html", true},
    {"text/html; charset=utf-8", true},
    {"Text/CSS", true},
    {"application/javascript", true},
    {"application/problem+json", true},
    {"application/rss+xml; x=1", true},
    {"image/svg+xml", true},
    {"font/ttf", true},
    {"font/woff2", false},
    {"text/event-stream", false},
    {"image/png", false},
    {"application/octet-stream", false},
    {"application/zip", false},
    {"text", false},
    {"text/", false},
    {"+json", false},
    {"application/json", false},
    {"application/javascriptx", false},
    {"", false},
};

START_TEST(text_suits_a_coding)
{
    struct brim_field type = {BRIM_STR("content-type"), brim_str_of(types[_i].type)};

    ck_assert_int_eq(brim_coding_suits((struct brim_fields){&type, 1}, listed), types[_i].suits);
}
END_TEST

/* RFC 9111 5.2.2.6; what is coded, or a part, is left as it is. */
START_TEST(what_must_not_be_coded_does_not_suit)
{
    struct brim_field type = {BRIM_STR("content-type"), BRIM_STR("text/html")};
    struct brim_field transform[] = {type, {BRIM_STR("cache-control"), BRIM_STR("No-Transform")}};
    struct brim_field coded[] = {type, {BRIM_STR("content-encoding"), BRIM_STR("gzip")}};
    struct brim_field odd[] = {type, {BRIM_STR("content-encoding"), BRIM_STR("aes128gcm")}};
    struct brim_field part[] = {type, {BRIM_STR("content-range"), BRIM_STR("bytes 0-1/5")}};

    ck_assert(!brim_coding_suits((struct brim_fields){transform, 2}, listed));
    ck_assert(
        brim_coding_suits((struct brim_fields){coded, 2}, listed)); /* decoded, and coded better */
    ck_assert(!brim_coding_suits((struct brim_fields){odd, 2}, listed));
    ck_assert(!brim_coding_suits((struct brim_fields){part, 2}, listed));
    ck_assert_int_eq(brim_coding_of((struct brim_fields){coded, 2}), BRIM_CODING_GZIP);
    ck_assert_int_eq(brim_coding_of((struct brim_fields){odd, 2}), BRIM_CODINGS);
    ck_assert_int_eq(brim_coding_of((struct brim_fields){&type, 1}), BRIM_CODING_IDENTITY);
}
END_TEST

static struct brim_str etag_of(const char *etag, enum brim_coding coding, char *buffer, size_t room)
{
    struct brim_recoding recoding = {.own = BRIM_CODING_IDENTITY, .as = coding};

    return brim_str(buffer, brim_coding_etag(brim_str_of(etag), recoding, buffer, room));
}

/* RFC 9110 8.8.3.3: two codings of one resource have two strong tags. */
START_TEST(strong_tag_tells_the_coding)
{
    char buffer[32];

    ck_assert(brim_str_is(etag_of("\"a\"", BRIM_CODING_BR, buffer, 32), BRIM_STR("\"a-br\"")));
    ck_assert(brim_str_is(etag_of("\"\"", BRIM_CODING_GZIP, buffer, 32), BRIM_STR("\"-gzip\"")));
    ck_assert(brim_str_is(etag_of("\"a\"", BRIM_CODING_IDENTITY, buffer, 32), BRIM_STR("\"a\"")));
    ck_assert(brim_str_is(etag_of("W/\"a\"", BRIM_CODING_BR, buffer, 32), BRIM_STR("W/\"a\"")));
    ck_assert(brim_str_is(etag_of("junk", BRIM_CODING_BR, buffer, 32), BRIM_STR("junk")));
    ck_assert_uint_eq(etag_of("\"a\"", BRIM_CODING_ZSTD, buffer, 7).len, 0);
    ck_assert_uint_eq(etag_of("\"a\"", BRIM_CODING_ZSTD, buffer, 8).len, 8);
    ck_assert_uint_eq(etag_of("\"a\"", BRIM_CODING_IDENTITY, buffer, 3).len, 3);
    ck_assert_uint_eq(etag_of("", BRIM_CODING_BR, buffer, 32).len, 0);
    ck_assert_uint_eq(
        brim_coding_etag(BRIM_STR("\"a\""),
                         (struct brim_recoding){.own = BRIM_CODING_GZIP, .as = BRIM_CODING_GZIP},
                         buffer, 32),
        3);
    ck_assert_uint_eq(brim_coding_etag(BRIM_STR("\"a\""),
                                       (struct brim_recoding){.own = BRIM_CODING_GZIP,
                                                              .as = BRIM_CODING_IDENTITY},
                                       buffer, 32),
                      sizeof("\"a-identity\"") - 1);
}
END_TEST

static struct brim_str for_origin(const char *list, char *buffer, size_t room)
{
    struct brim_str text = brim_str_of(list);

    ck_assert_uint_le(BRIM_CODING_ETAGS_ROOM(text.len), room);
    return brim_str(buffer,
                    brim_coding_etags_for_origin(text, buffer, BRIM_CODING_ETAGS_ROOM(text.len)));
}

/* Who has a coding has what the origin calls by the tag without the suffix. */
START_TEST(origin_is_asked_by_its_own_tags)
{
    char b[256];

    ck_assert(brim_str_is(for_origin("\"a-br\"", b, 256), BRIM_STR("\"a-br\", \"a\"")));
    ck_assert(brim_str_is(for_origin("\"x\", W/\"a-zstd\" ,\"b-identity\"", b, 256),
                          BRIM_STR("\"x\", W/\"a-zstd\", W/\"a\" ,\"b-identity\", \"b\"")));
    ck_assert_uint_eq(for_origin("\"a\", *, \"-br\", \"a-deflate\"", b, 256).len, 0);
    ck_assert_uint_eq(for_origin("", b, 256).len, 0);
    ck_assert_uint_eq(for_origin("\"a-br", b, 256).len, 0);
    ck_assert(brim_str_is(for_origin("\"1-br\"", b, 256), BRIM_STR("\"1-br\", \"1\"")));
    ck_assert_uint_eq(brim_coding_etags_for_origin(BRIM_STR("\"a-br\""), b, 9), 0);
}
END_TEST

/* What is coded for one answer must never be joined with parts of what is kept. */
START_TEST(tag_of_what_is_coded_anew_is_weak)
{
    struct brim_recoding anew = {
        .own = BRIM_CODING_IDENTITY, .as = BRIM_CODING_BR, .is_anew = true};
    char buffer[32];
    size_t len = brim_coding_etag(BRIM_STR("\"a\""), anew, buffer, sizeof(buffer));

    ck_assert(brim_str_is(brim_str(buffer, len), BRIM_STR("W/\"a-br\"")));
    len = brim_coding_etag(BRIM_STR("W/\"a\""), anew, buffer, sizeof(buffer));
    ck_assert(brim_str_is(brim_str(buffer, len), BRIM_STR("W/\"a\"")));
    ck_assert_uint_eq(brim_coding_etag(BRIM_STR("\"a\""), anew, buffer, 7), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/coding");
    TCase *tcase = tcase_create("coding");

    tcase_add_loop_test(tcase, client_gets_the_best_of_what_it_takes, 0,
                        sizeof(choices) / sizeof(choices[0]));
    tcase_add_loop_test(tcase, text_suits_a_coding, 0, sizeof(types) / sizeof(types[0]));
    tcase_add_test(tcase, what_must_not_be_coded_does_not_suit);
    tcase_add_test(tcase, strong_tag_tells_the_coding);
    tcase_add_test(tcase, origin_is_asked_by_its_own_tags);
    tcase_add_test(tcase, tag_of_what_is_coded_anew_is_weak);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
