/* SPDX-License-Identifier: MIT */
#include "brim/http/dictionary.h"

#include <stdio.h>

#include "http_fields.h"

#define URL  "https://a.example/app/v1/main.js"
#define HASH ":pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4=:" /* RFC 9842 2.2 */

/* ---- Use-As-Dictionary: RFC 9842 2.1 ---- */

static const struct {
    const char *lines[FIELDS_MAX];
    enum brim_err err;
} offers[] = {
    {{NULL}, BRIM_ENOENT},
    {{"use-as-dictionary: match=\"/app/*/main.js\""}, BRIM_OK},
    {{"use-as-dictionary: match=\"/product/*\", match-dest=(\"document\")"}, BRIM_OK},
    {{"use-as-dictionary: match=\"/a\", id=\"dictionary-12345\", type=raw"}, BRIM_OK},
    {{"use-as-dictionary: match=\"/a\"", "use-as-dictionary: id=\"x\""}, BRIM_OK},
    {{"use-as-dictionary: match=\"/a\", new=(1 2);x"}, BRIM_OK}, /* 2.1: extensible */
    /* 2.1.1: match is required, a String, without regular expressions */
    {{"use-as-dictionary:"}, BRIM_EINVAL},
    {{"use-as-dictionary: id=\"x\""}, BRIM_EINVAL},
    {{"use-as-dictionary: match=/a"}, BRIM_EINVAL},
    {{"use-as-dictionary: match=token"}, BRIM_EINVAL},
    {{"use-as-dictionary: match"}, BRIM_EINVAL},
    {{"use-as-dictionary: match=\"/(a|b)\""}, BRIM_EINVAL},
    {{"use-as-dictionary: match=\"https://b.example/*\""}, BRIM_EINVAL},
    {{"use-as-dictionary: match=\"/a\", match=1"}, BRIM_EINVAL},
    {{"use-as-dictionary: match=1, match=\"/a\""}, BRIM_OK}, /* RFC 9651 4.2.2: the last counts */
    /* 2.1.2: match-dest is an Inner List of Strings */
    {{"use-as-dictionary: match=\"/a\", match-dest=()"}, BRIM_OK},
    {{"use-as-dictionary: match=\"/a\", match-dest=\"script\""}, BRIM_EINVAL},
    {{"use-as-dictionary: match=\"/a\", match-dest=(script)"}, BRIM_EINVAL},
    /* 2.1.3: id is a String */
    {{"use-as-dictionary: match=\"/a\", id=x"}, BRIM_EINVAL},
    {{"use-as-dictionary: match=\"/a\", id=\"\""}, BRIM_OK},
    /* 2.1.4: type is a Token, raw the only one */
    {{"use-as-dictionary: match=\"/a\", type=\"raw\""}, BRIM_EINVAL},
    {{"use-as-dictionary: match=\"/a\", type=brotli"}, BRIM_EINVAL},
    /* not a Dictionary: nothing */
    {{"use-as-dictionary: match=\"/a\","}, BRIM_EINVAL},
    {{"use-as-dictionary: match=\"/a\" x"}, BRIM_EINVAL},
};

START_TEST(offers_are_read_as_the_rfc_says)
{
    struct fields fields;
    struct brim_dictionary_terms terms;

    ck_assert_msg(brim_dictionary_terms(fields_of(offers[_i].lines, &fields), BRIM_STR(URL),
                                        &terms) == offers[_i].err,
                  "row %d", _i);
}
END_TEST

/* 2.1.3: an id has up to 1024 characters; one more is none that a client could send back. */
START_TEST(long_ids_are_refused)
{
    char line[BRIM_DICTIONARY_ID_BYTES + 64];
    size_t head = (size_t)snprintf(line, sizeof(line), "match=\"/a\", id=\"");
    struct brim_dictionary_terms terms;

    memset(line + head, 'i', BRIM_DICTIONARY_ID_BYTES + 1);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t len = head + BRIM_DICTIONARY_ID_BYTES + extra;
        line[len] = '"';
        struct brim_field field = {BRIM_STR("use-as-dictionary"), {line, len + 1}};
        ck_assert_int_eq(
            brim_dictionary_terms((struct brim_fields){&field, 1}, BRIM_STR(URL), &terms),
            extra == 0 ? BRIM_OK : BRIM_EINVAL);
        line[len] = 'i';
    }
}
END_TEST

/* ---- Available-Dictionary: 2.2 ---- */

static const struct {
    const char *lines[FIELDS_MAX];
    bool valid;
} available[] = {
    {{NULL}, false},
    {{"available-dictionary: " HASH}, true},
    {{"available-dictionary: " HASH ";p=1"}, true},
    {{"available-dictionary: " HASH, "available-dictionary: " HASH}, false},
    {{"available-dictionary: " HASH ", " HASH}, false},
    {{"available-dictionary: pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4="}, false},
    {{"available-dictionary: \"pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4=\""}, false},
    {{"available-dictionary: :pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2f:"}, false},
    {{"available-dictionary: ::"}, false},
};

START_TEST(hashes_are_read_as_the_rfc_says)
{
    static const unsigned char first[] = {0xa5, 0x91, 0xa6, 0xd4, 0x0b, 0xf4, 0x20, 0x40};
    static const struct brim_dictionary_hash none;
    struct fields fields;
    struct brim_dictionary_hash hash;

    ck_assert_msg(brim_dictionary_available(fields_of(available[_i].lines, &fields), &hash) ==
                      available[_i].valid,
                  "row %d", _i);
    ck_assert_mem_eq(hash.bytes, available[_i].valid ? first : none.bytes, sizeof(first));
}
END_TEST

static const struct {
    const char *lines[FIELDS_MAX];
    bool accepted;
} codings[] = {
    {{NULL}, false},
    {{"accept-encoding: gzip, deflate, br, zstd, dcb, dcz"}, true},
    {{"accept-encoding: DCZ"}, true},
    {{"accept-encoding: gzip", "accept-encoding: dcz;q=0.5"}, true},
    {{"accept-encoding: dcz ; q=0.001"}, true},
    {{"accept-encoding: dcz;q=0"}, false},
    {{"accept-encoding: dcz;q=0.000"}, false},
    {{"accept-encoding: dcz;x"}, false},
    {{"accept-encoding: dcb, *"}, false},
    {{"accept-encoding: xdcz, dczx"}, false},
};

START_TEST(codings_are_accepted_by_name)
{
    struct fields fields;

    ck_assert_msg(brim_dictionary_is_accepted(fields_of(codings[_i].lines, &fields),
                                              BRIM_STR("dcz")) == codings[_i].accepted,
                  "row %d", _i);
}
END_TEST

/* ---- which request a dictionary is for: 2.2.2, 2.3, 8 ---- */

static const struct {
    const char *offer;
    const char *dictionary;
    const char *url;
    const char *request[FIELDS_MAX];
    bool is_for;
} uses[] = {
    {"match=\"/app/*/main.js\"", URL, "https://a.example/app/v2/main.js", {NULL}, true},
    {"match=\"/app/*/main.js\"", URL, "https://a.example/app/v2/x.js", {NULL}, false},
    /* 2.2.2: same origin: scheme, host and port */
    {"match=\"/*\"", URL, "https://b.example/app/v2/main.js", {NULL}, false},
    {"match=\"/*\"", URL, "http://a.example/app/v2/main.js", {NULL}, false},
    {"match=\"/*\"", URL, "https://a.example:444/app/v2/main.js", {NULL}, false},
    /* 8: secure contexts only */
    {"match=\"/*\"", "http://a.example/d", "http://a.example/x", {NULL}, false},
    {"match=\"/*\"", "http://localhost:81/d", "http://localhost:81/x", {NULL}, true},
    {"match=\"/*\"", "http://127.0.0.1:81/d", "http://127.0.0.1:81/x", {NULL}, true},
    {"match=\"/*\"", "http://localhost.evil/d", "http://localhost.evil/x", {NULL}, false},
    /* 2.1.2, 2.2.2: destinations */
    {"match=\"/*\", match-dest=(\"script\")", URL, URL, {"sec-fetch-dest: script"}, true},
    {"match=\"/*\", match-dest=(\"script\")", URL, URL, {"sec-fetch-dest: scripts"}, false},
    {"match=\"/*\", match-dest=(\"script\")", URL, URL, {"sec-fetch-dest: document"}, false},
    {"match=\"/*\", match-dest=(\"style\" \"script\")", URL, URL, {"sec-fetch-dest: script"}, true},
    {"match=\"/*\", match-dest=(\"script\")", URL, URL, {NULL}, true},
    {"match=\"/*\", match-dest=()", URL, URL, {"sec-fetch-dest: document"}, true},
    {"match=\"/*\", match-dest=(\"\")", URL, URL, {"sec-fetch-dest: empty"}, true},
    {"match=\"/*\", match-dest=(\"script\")", URL, URL, {"sec-fetch-dest: empty"}, false},
    /* 2.3: the id comes back as it was given */
    {"match=\"/*\", id=\"x\"", URL, URL, {"dictionary-id: \"x\""}, true},
    {"match=\"/*\", id=\"x\"", URL, URL, {"dictionary-id: \"y\""}, false},
    {"match=\"/*\", id=\"x\"", URL, URL, {"dictionary-id: x"}, false},
    {"match=\"/*\", id=\"x\"", URL, URL, {NULL}, true},
    {"match=\"/*\"", URL, URL, {"dictionary-id: \"x\""}, false},
};

/* Whoever names a dictionary that it cannot have by the rules did not get it by the rules. */
START_TEST(dictionaries_are_for_what_they_say)
{
    struct fields request;
    struct brim_dictionary_terms terms;
    struct brim_field field = {BRIM_STR("use-as-dictionary"), brim_str_of(uses[_i].offer)};

    ck_assert_int_eq(brim_dictionary_terms((struct brim_fields){&field, 1},
                                           brim_str_of(uses[_i].dictionary), &terms),
                     BRIM_OK);
    struct brim_dictionary_use use = {.terms = &terms,
                                      .dictionary_url = brim_str_of(uses[_i].dictionary),
                                      .request_url = brim_str_of(uses[_i].url),
                                      .request = fields_of(uses[_i].request, &request)};
    ck_assert_msg(brim_dictionary_is_for(&use) == uses[_i].is_for, "row %d", _i);
}
END_TEST

/* ---- who may read the response: 9.3.3, step by step ---- */

static const struct {
    const char *request[FIELDS_MAX];
    const char *response[FIELDS_MAX];
    bool readable;
} readers[] = {
    {{NULL}, {NULL}, true},
    {{"sec-fetch-site: same-origin", "sec-fetch-mode: no-cors"}, {NULL}, true},
    {{"sec-fetch-site: cross-site"}, {NULL}, true},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: navigate"}, {NULL}, true},
    {{"sec-fetch-site: none", "sec-fetch-mode: navigate"}, {NULL}, true},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: same-origin"}, {NULL}, true},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: no-cors"}, {NULL}, false},
    {{"sec-fetch-site: same-site", "sec-fetch-mode: no-cors"}, {NULL}, false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: websocket"}, {NULL}, false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: cors"}, {NULL}, false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: cors", "origin: https://b.example"},
     {NULL},
     false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: cors"},
     {"access-control-allow-origin: *"},
     false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: cors", "origin: https://b.example"},
     {"access-control-allow-origin: *"},
     true},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: cors", "origin: https://b.example"},
     {"access-control-allow-origin: https://b.example"},
     true},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: cors", "origin: https://b.example"},
     {"access-control-allow-origin: https://c.example"},
     false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: cors", "origin: https://b.example"},
     {"access-control-allow-origin: https://c.example",
      "access-control-allow-origin: https://b.example"},
     false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: no-cors", "origin: https://b.example"},
     {"access-control-allow-origin: *"},
     false},
};

START_TEST(pages_that_may_not_read_get_no_delta)
{
    struct fields request, response;

    ck_assert_msg(brim_dictionary_is_readable(fields_of(readers[_i].request, &request),
                                              fields_of(readers[_i].response, &response)) ==
                      readers[_i].readable,
                  "row %d", _i);
}
END_TEST

/* ---- headers and windows: 4, 5 ---- */

/* 5: frame type 0x184D2A5E and length 32, little-endian; 4: 0xff "DCB". */
START_TEST(bodies_begin_as_the_rfc_says)
{
    struct brim_dictionary_hash hash;
    unsigned char dcz[BRIM_DICTIONARY_DCZ_BYTES], dcb[BRIM_DICTIONARY_DCB_BYTES];

    memset(&hash, 0x42, sizeof(hash));
    brim_dictionary_put_dcz(&hash, dcz);
    ck_assert_mem_eq(dcz, "\x5e\x2a\x4d\x18\x20\x00\x00\x00", 8);
    ck_assert_mem_eq(dcz + 8, hash.bytes, sizeof(hash.bytes));
    brim_dictionary_put_dcb(&hash, dcb);
    ck_assert_mem_eq(dcb, "\xff\x44\x43\x42", 4);
    ck_assert_mem_eq(dcb + 4, hash.bytes, sizeof(hash.bytes));
}
END_TEST

#define MIB ((size_t)1 << 20)

static const struct {
    size_t dictionary;
    size_t body;
    unsigned log;
} windows[] = {
    {0, 0, 10},
    {1000, 1024, 10},
    {1000, 1025, 11},
    {MIB, 2 * MIB, 21},
    {MIB, 8 * MIB, 23},
    {MIB, 9 * MIB, 23},       /* all take 8 MiB, some not more */
    {12 * MIB, 16 * MIB, 23}, /* 15 MiB would do, but a window is a power of two */
    {13 * MIB, 16 * MIB, 24},
    {200 * MIB, 100 * MIB, 27},
    {200 * MIB, 1000 * MIB, 27},
    {SIZE_MAX, SIZE_MAX, 27},
};

START_TEST(windows_are_what_every_client_takes)
{
    ck_assert_uint_eq(brim_dictionary_window_log(windows[_i].dictionary, windows[_i].body),
                      windows[_i].log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_dictionary");
    TCase *tcase = tcase_create("dictionary");

    tcase_add_loop_test(tcase, offers_are_read_as_the_rfc_says, 0,
                        sizeof(offers) / sizeof(offers[0]));
    tcase_add_test(tcase, long_ids_are_refused);
    tcase_add_loop_test(tcase, hashes_are_read_as_the_rfc_says, 0,
                        sizeof(available) / sizeof(available[0]));
    tcase_add_loop_test(tcase, codings_are_accepted_by_name, 0,
                        sizeof(codings) / sizeof(codings[0]));
    tcase_add_loop_test(tcase, dictionaries_are_for_what_they_say, 0,
                        sizeof(uses) / sizeof(uses[0]));
    tcase_add_loop_test(tcase, pages_that_may_not_read_get_no_delta, 0,
                        sizeof(readers) / sizeof(readers[0]));
    tcase_add_test(tcase, bodies_begin_as_the_rfc_says);
    tcase_add_loop_test(tcase, windows_are_what_every_client_takes, 0,
                        sizeof(windows) / sizeof(windows[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
