/* SPDX-License-Identifier: MIT */
#include "brim/origin/posted.h"

#include "http_fields.h"

#define NOW_MS  1764000000000LL
#define HERE    "content-location: http://a/form?x=1"
#define FRESH   "cache-control: max-age=60"
#define KEY     "http://a/form?x=1"
#define LM      "last-modified: Sun, 06 Nov 1994 08:49:37 GMT"
#define EXPIRES "expires: Sun, 06 Nov 2094 08:49:37 GMT"

static const struct brim_cache_rules none = {
    .default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};
static const struct brim_cache_rules ttl = {
    .default_ttl_ms = 7000, .max_ttl_ms = -1, .negative_ttl_ms = -1};
static const struct brim_cache_rules bypass = {
    .bypass = true, .default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};

static const struct {
    const char *method;
    unsigned status;
    const char *request[FIELDS_MAX];
    const char *response[FIELDS_MAX];
    const struct brim_cache_rules *rules;
    bool storable;
} rows[] = {
    /* RFC 9110 9.3.3: explicit freshness, and Content-Location that is the target URI */
    {"POST", 200, {NULL}, {FRESH, HERE}, &none, true},
    {"POST", 200, {NULL}, {EXPIRES, HERE}, &none, true},
    {"POST", 200, {NULL}, {FRESH, "content-location: /form?x=1"}, &none, true},
    {"POST", 200, {NULL}, {FRESH, "content-location: HTTP://A:80/form?x=1"}, &none, true},
    {"POST", 200, {NULL}, {"cache-control: s-maxage=60", HERE}, &none, true},
    {"POST", 200, {NULL}, {FRESH}, &none, false},
    {"POST", 200, {NULL}, {FRESH, "content-location: /form"}, &none, false},
    {"POST", 200, {NULL}, {FRESH, "content-location: http://b/form?x=1"}, &none, false},
    {"POST", 200, {NULL}, {FRESH, "content-location: https://a/form?x=1"}, &none, false},
    {"POST", 200, {NULL}, {FRESH, HERE, HERE}, &none, false},
    {"POST", 200, {NULL}, {HERE}, &none, false},
    {"POST", 200, {NULL}, {HERE}, &ttl, false},
    {"POST", 200, {NULL}, {LM, HERE}, &none, false},
    {"POST", 200, {NULL}, {"cache-control: max-age=0", "etag: \"a\"", HERE}, &none, false},
    {"POST", 200, {NULL}, {"age: 60", FRESH, HERE}, &none, false},
    /* only what is a representation, only from POST */
    {"POST", 201, {NULL}, {FRESH, HERE}, &none, false},
    {"POST", 206, {NULL}, {FRESH, HERE}, &none, false},
    {"POST", 404, {NULL}, {FRESH, HERE}, &none, false},
    {"PUT", 200, {NULL}, {FRESH, HERE}, &none, false},
    {"PATCH", 200, {NULL}, {FRESH, HERE}, &none, false},
    {"HEAD", 200, {NULL}, {FRESH, HERE}, &none, false},
    {"post", 200, {NULL}, {FRESH, HERE}, &none, false},
    /* whatever could make it one client's */
    {"POST", 200, {"authorization: x"}, {"cache-control: public, max-age=60", HERE}, &none, false},
    {"POST", 200, {"cookie: a=b"}, {FRESH, HERE}, &none, false},
    {"POST",
     200,
     {NULL},
     {"cache-control: public, max-age=60", HERE, "set-cookie: a=b"},
     &none,
     false},
    {"POST", 200, {NULL}, {FRESH, HERE, "vary: accept"}, &none, false},
    {"POST", 200, {NULL}, {FRESH, HERE, "content-encoding: gzip"}, &none, false},
    {"POST", 200, {NULL}, {"cache-control: private, max-age=60", HERE}, &none, false},
    {"POST", 200, {NULL}, {"cache-control: no-store, max-age=60", HERE}, &none, false},
    {"POST",
     200,
     {NULL},
     {"cache-control: no-cache, max-age=60", "etag: \"a\"", HERE},
     &none,
     false},
    {"POST", 200, {"cache-control: no-store"}, {FRESH, HERE}, &none, false},
    {"POST", 200, {NULL}, {FRESH, HERE}, &bypass, false},
};

/* One client's form result under a URL that all may GET would be shown to all. */
START_TEST(only_what_the_origin_offers_to_all_is_stored)
{
    struct fields storage[2];
    struct brim_exchange exchange = {
        .method = brim_str_of(rows[_i].method),
        .request = fields_of(rows[_i].request, &storage[0]),
        .status = rows[_i].status,
        .response = fields_of(rows[_i].response, &storage[1]),
        .request_wall_ms = NOW_MS,
        .response_wall_ms = NOW_MS,
    };

    ck_assert_int_eq(brim_posted_is_storable(&exchange, rows[_i].rules, BRIM_STR(KEY)),
                     rows[_i].storable);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin_posted");
    TCase *tcase = tcase_create("posted");

    tcase_add_loop_test(tcase, only_what_the_origin_offers_to_all_is_stored, 0,
                        sizeof(rows) / sizeof(rows[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
