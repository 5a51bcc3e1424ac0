/* SPDX-License-Identifier: MIT */
#include "brim/http/freshness.h"

#include "http_fields.h"

/* The moment at which every response here is received. */
#define NOW_TEXT   "Sun, 06 Nov 1994 08:49:37 GMT"
#define NOW_MS     784111777000LL
#define DATE       "date: " NOW_TEXT
#define DAY_BEFORE "Sat, 05 Nov 1994 08:49:37 GMT"
#define HOUR_AFTER "Sun, 06 Nov 1994 09:49:37 GMT"
#define LM         "last-modified: " DAY_BEFORE
#define TENTH_MS   (86400LL * 1000 / 10)
#define DAY_MS     (86400LL * 1000)
#define MAX_MS     (2147483648LL * 1000)

#define STORE BRIM_STORE
#define NOT   BRIM_STORE_NOT
#define PASS  BRIM_STORE_PASS

static const struct brim_cache_rules none = {
    .default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};
static const struct brim_cache_rules ttl = {
    .default_ttl_ms = 7000, .max_ttl_ms = -1, .negative_ttl_ms = 3000};
static const struct brim_cache_rules capped = {
    .default_ttl_ms = -1, .max_ttl_ms = 5000, .negative_ttl_ms = -1};
static const struct brim_cache_rules stale = {.default_ttl_ms = -1,
                                              .max_ttl_ms = -1,
                                              .negative_ttl_ms = -1,
                                              .grace_ms = 50000,
                                              .swr_ms = 20000};
static const struct brim_cache_rules deaf = {
    .ignore_request_control = true, .default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};
static const struct brim_cache_rules bypass = {
    .bypass = true, .default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};

static struct brim_exchange exchange_of(unsigned status, struct brim_fields request,
                                        struct brim_fields response)
{
    return (struct brim_exchange){.method = BRIM_STR("GET"),
                                  .request = request,
                                  .status = status,
                                  .response = response,
                                  .request_wall_ms = NOW_MS,
                                  .response_wall_ms = NOW_MS};
}

static const struct {
    unsigned status;
    const char *request[FIELDS_MAX];
    const char *response[FIELDS_MAX];
    const struct brim_cache_rules *rules;
    enum brim_store_verdict verdict;
    const char *reason;
} verdicts[] = {
    /* RFC 9111 3: something must say that it may be stored */
    {200, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {200, {NULL}, {"cache-control: s-maxage=60"}, &none, STORE, "fresh"},
    {200, {NULL}, {"expires: " HOUR_AFTER, DATE}, &none, STORE, "fresh"},
    {200, {NULL}, {LM, DATE}, &none, STORE, "fresh"},
    {200, {NULL}, {"etag: \"a\""}, &none, STORE, "validator"},
    {200, {NULL}, {NULL}, &ttl, STORE, "fresh"},
    {200, {NULL}, {NULL}, &none, PASS, "no-freshness"},
    {200, {NULL}, {"etag:"}, &none, PASS, "no-freshness"},
    {200, {NULL}, {"etag: \"a\"", "etag: \"b\""}, &none, PASS, "no-freshness"},
    {200, {NULL}, {"last-modified: yesterday"}, &none, PASS, "no-freshness"},
    {200, {NULL}, {"cache-control: public"}, &none, PASS, "no-freshness"},
    {200, {NULL}, {"cache-control: foo"}, &none, PASS, "no-freshness"},
    {200, {NULL}, {"cache-control: max-age=0"}, &none, PASS, "stale-no-validator"},
    {200, {NULL}, {"cache-control: max-age=0", "etag: \"a\""}, &none, STORE, "validator"},
    {200, {NULL}, {"cache-control: max-age=0", LM}, &none, STORE, "validator"},
    {200, {NULL}, {"cache-control: max-age=x"}, &none, PASS, "stale-no-validator"},
    {200, {NULL}, {"expires: 0"}, &none, PASS, "stale-no-validator"},
    {200, {NULL}, {"expires: 0", "etag: \"a\""}, &none, STORE, "validator"},
    {200, {NULL}, {"cache-control: max-age=60", "age: 60"}, &none, PASS, "stale-no-validator"},
    {200, {NULL}, {"cache-control: max-age=60", "age: 59"}, &none, STORE, "fresh"},
    /* RFC 5861: worth storing though stale at once, if the origin says so */
    {200,
     {NULL},
     {"cache-control: max-age=0, stale-while-revalidate=9"},
     &none,
     STORE,
     "stale-directive"},
    {200, {NULL}, {"cache-control: max-age=0, stale-if-error=9"}, &none, STORE, "stale-directive"},
    {200,
     {NULL},
     {"cache-control: max-age=0, stale-if-error=0"},
     &none,
     PASS,
     "stale-no-validator"},
    {200,
     {NULL},
     {"cache-control: max-age=0, stale-if-error=9, must-revalidate"},
     &none,
     PASS,
     "stale-no-validator"},
    {200, {NULL}, {"cache-control: max-age=0"}, &stale, PASS, "stale-no-validator"},
    /* worth something until a tier above had kept it for so long */
    {200, {NULL}, {"cache-control: max-age=60", "age: 61"}, &stale, STORE, "grace"},
    {200, {NULL}, {"cache-control: s-maxage=6", "age: 7"}, &stale, PASS, "stale-no-validator"},
    /* 5.2.2.5 no-store, 5.2.2.7 private */
    {200, {NULL}, {"cache-control: no-store"}, &none, PASS, "no-store"},
    {200, {NULL}, {"cache-control: No-StOrE"}, &none, PASS, "no-store"},
    {200, {NULL}, {"cache-control: max-age=60, no-store"}, &none, PASS, "no-store"},
    {200, {NULL}, {"cache-control: no-store"}, &ttl, PASS, "no-store"},
    {503, {NULL}, {"cache-control: no-store"}, &none, NOT, "no-store"},
    {404, {NULL}, {"cache-control: no-store"}, &none, NOT, "no-store"},
    {200, {NULL}, {"cache-control: private, max-age=60"}, &none, PASS, "private"},
    {200, {NULL}, {"cache-control: private=\"x\", max-age=60"}, &none, STORE, "fresh"},
    {200, {NULL}, {"cache-control: private, public, max-age=60"}, &none, PASS, "private"},
    /* 5.2.2.4 no-cache */
    {200, {NULL}, {"cache-control: no-cache"}, &none, PASS, "no-cache-no-validator"},
    {200, {NULL}, {"cache-control: no-cache, max-age=60"}, &none, PASS, "no-cache-no-validator"},
    {200, {NULL}, {"cache-control: no-cache=\"a\", max-age=60"}, &none, STORE, "fresh"},
    {200, {NULL}, {"cache-control: no-cache", "etag: \"a\""}, &none, STORE, "validator"},
    {200, {NULL}, {"cache-control: no-cache, max-age=60", LM}, &none, STORE, "fresh"},
    /* 5.2.2.3 must-understand */
    {200, {NULL}, {"cache-control: max-age=60, no-store, must-understand"}, &none, STORE, "fresh"},
    {599,
     {NULL},
     {"cache-control: max-age=60, no-store, must-understand"},
     &none,
     NOT,
     "must-understand"},
    {599, {NULL}, {"cache-control: max-age=60, must-understand"}, &none, NOT, "must-understand"},
    {404, {NULL}, {"cache-control: max-age=60, must-understand"}, &none, STORE, "fresh"},
    {200,
     {NULL},
     {"cache-control: max-age=60, no-store, must-understand=1"},
     &none,
     PASS,
     "no-store"},
    {200, {NULL}, {"cache-control: private, must-understand, max-age=60"}, &none, PASS, "private"},
    /* any final status with explicit freshness (3; the status tests of http-cache-tests) */
    {203, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {204, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {299, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {301, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {302, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {303, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {307, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {308, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {400, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {404, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {410, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {499, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {500, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {502, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {503, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {504, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {599, {NULL}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    /* not final, about the request, or forbidden (3; RFC 6585) */
    {100, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {103, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {0, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {600, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {206, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {304, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {407, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {408, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {412, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {416, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {421, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {428, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {429, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {431, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    {511, {NULL}, {"cache-control: max-age=60"}, &none, NOT, "status"},
    /* heuristics: only for these statuses (RFC 9110 15.1) or with public (RFC 9111 4.2.2) */
    {200, {NULL}, {LM}, &none, STORE, "fresh"},
    {203, {NULL}, {LM}, &none, STORE, "fresh"},
    {204, {NULL}, {LM}, &none, STORE, "fresh"},
    {300, {NULL}, {LM}, &none, STORE, "fresh"},
    {301, {NULL}, {LM}, &none, STORE, "fresh"},
    {308, {NULL}, {LM}, &none, STORE, "fresh"},
    {404, {NULL}, {LM}, &none, STORE, "fresh"},
    {405, {NULL}, {LM}, &none, STORE, "fresh"},
    {410, {NULL}, {LM}, &none, STORE, "fresh"},
    {414, {NULL}, {LM}, &none, STORE, "fresh"},
    {501, {NULL}, {LM}, &none, STORE, "fresh"},
    {201, {NULL}, {LM}, &none, PASS, "no-freshness"},
    {202, {NULL}, {LM}, &none, PASS, "no-freshness"},
    {302, {NULL}, {LM}, &none, PASS, "no-freshness"},
    {307, {NULL}, {LM}, &none, PASS, "no-freshness"},
    {403, {NULL}, {LM}, &none, NOT, "no-freshness"},
    {500, {NULL}, {LM}, &none, NOT, "no-freshness"},
    {502, {NULL}, {LM}, &none, NOT, "no-freshness"},
    {503, {NULL}, {LM}, &ttl, NOT, "no-freshness"},
    {504, {NULL}, {LM}, &none, NOT, "no-freshness"},
    {599, {NULL}, {LM}, &none, NOT, "no-freshness"},
    {599, {NULL}, {LM, "cache-control: public"}, &none, STORE, "fresh"},
    {302, {NULL}, {LM, "cache-control: public"}, &none, STORE, "fresh"},
    {302, {NULL}, {"etag: \"a\""}, &none, PASS, "no-freshness"},
    {404, {NULL}, {NULL}, &none, NOT, "no-freshness"},
    {404, {NULL}, {NULL}, &ttl, STORE, "fresh"},
    {302, {NULL}, {NULL}, &ttl, PASS, "no-freshness"},
    /* 3.5 Authorization */
    {200, {"authorization: x"}, {"cache-control: max-age=60"}, &none, NOT, "authorization"},
    {200, {"authorization: x"}, {LM}, &none, NOT, "authorization"},
    {200, {"authorization: x"}, {"cache-control: max-age=60, public"}, &none, STORE, "fresh"},
    {200,
     {"authorization: x"},
     {"cache-control: max-age=60, must-revalidate"},
     &none,
     STORE,
     "fresh"},
    {200, {"authorization: x"}, {"cache-control: s-maxage=60"}, &none, STORE, "fresh"},
    {200,
     {"authorization: x"},
     {"cache-control: max-age=60, proxy-revalidate"},
     &none,
     NOT,
     "authorization"},
    {200,
     {"authorization: x"},
     {"cache-control: max-age=60, s-maxage=x"},
     &none,
     NOT,
     "authorization"},
    {200,
     {"authorization: x"},
     {"cache-control: max-age=60, public=1"},
     &none,
     NOT,
     "authorization"},
    {200, {"authorization: x"}, {"cache-control: private"}, &none, NOT, "authorization"},
    {200, {"authorization: x"}, {NULL}, &ttl, NOT, "authorization"},
    {200, {"cookie: x"}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    /* 4.1 Vary */
    {200, {NULL}, {"cache-control: max-age=60", "vary: *"}, &none, PASS, "vary-any"},
    {200, {NULL}, {"cache-control: max-age=60", "vary: a, *"}, &none, PASS, "vary-any"},
    {200, {NULL}, {"cache-control: max-age=60", "vary: Forwarded"}, &none, PASS, "vary-sender"},
    {200, {NULL}, {"cache-control: max-age=60", "vary: a"}, &none, STORE, "fresh"},
    {500, {NULL}, {"cache-control: max-age=60", "vary: *"}, &none, NOT, "vary-any"},
    /* 7.3: cookies for one client */
    {200, {NULL}, {"cache-control: max-age=60", "set-cookie: a=b"}, &none, PASS, "set-cookie"},
    {200, {NULL}, {LM, "set-cookie: a=b"}, &ttl, PASS, "set-cookie"},
    {200, {NULL}, {"cache-control: max-age=60, public", "set-cookie: a=b"}, &none, STORE, "fresh"},
    {200, {NULL}, {"cache-control: s-maxage=60", "set-cookie: a=b"}, &none, STORE, "fresh"},
    {200,
     {NULL},
     {"cache-control: s-maxage=x, max-age=60", "set-cookie: a=b", "etag: \"a\""},
     &none,
     PASS,
     "set-cookie"},
    /* the request and the rules */
    {200,
     {"cache-control: no-store"},
     {"cache-control: max-age=60"},
     &none,
     NOT,
     "request-no-store"},
    {200, {"cache-control: no-store"}, {"cache-control: max-age=60"}, &deaf, STORE, "fresh"},
    {200, {"cache-control: no-cache"}, {"cache-control: max-age=60"}, &none, STORE, "fresh"},
    {200, {NULL}, {"cache-control: max-age=60"}, &bypass, NOT, "bypass"},
    /* an unclosed quote permits nothing */
    {200, {NULL}, {"cache-control: max-age=60, x=\"y"}, &none, PASS, "stale-no-validator"},
    {200, {NULL}, {"cache-control: max-age=60, x=\"y", "etag: \"a\""}, &none, STORE, "validator"},
    {200, {NULL}, {"cache-control: x=\"y, no-store"}, &none, PASS, "no-store"},
    {200,
     {"authorization: x"},
     {"cache-control: public, max-age=60, x=\"y"},
     &none,
     NOT,
     "authorization"},
    /* Pragma in a response: nothing (5.4), but no invitation to guess */
    {200, {NULL}, {"pragma: no-cache"}, &ttl, PASS, "no-freshness"},
    {200, {NULL}, {"pragma: no-cache", LM}, &none, STORE, "validator"},
    {200, {NULL}, {"pragma: no-cache", "cache-control: max-age=60"}, &none, STORE, "fresh"},
    {200, {NULL}, {"pragma: foo", LM}, &none, STORE, "fresh"},
    {200, {NULL}, {"cache-control: max-age=60"}, &capped, STORE, "fresh"},
    {200, {NULL}, {"cache-control: max-age=60", "age: 6"}, &capped, PASS, "stale-no-validator"},
};

/* To store what must not be stored leaks pages; not to store what may be costs the origin. */
START_TEST(verdict_follows_the_rfc)
{
    struct fields storage[2];
    struct brim_exchange exchange =
        exchange_of(verdicts[_i].status, fields_of(verdicts[_i].request, &storage[0]),
                    fields_of(verdicts[_i].response, &storage[1]));
    const char *reason = NULL;
    enum brim_store_verdict verdict =
        brim_freshness_verdict(&exchange, verdicts[_i].rules, &reason);

    ck_assert_str_eq(reason, verdicts[_i].reason);
    ck_assert_int_eq(verdict, verdicts[_i].verdict);
}
END_TEST

/* RFC 9110 9.3: brim reuses answers to GET only; methods are case-sensitive (9.1). */
START_TEST(only_get_is_stored)
{
    static const char *const methods[] = {"HEAD", "POST", "PUT", "get", "GETS", "GE", ""};
    struct fields storage;
    const char *lines[FIELDS_MAX] = {"cache-control: max-age=60"};
    struct brim_exchange exchange =
        exchange_of(200, (struct brim_fields){NULL, 0}, fields_of(lines, &storage));

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const char *reason;
        exchange.method = brim_str_of(methods[i]);
        ck_assert_int_eq(brim_freshness_verdict(&exchange, &none, &reason), NOT);
        ck_assert_str_eq(reason, "method");
    }
}
END_TEST

static const struct {
    unsigned status;
    const char *response[FIELDS_MAX];
    const struct brim_cache_rules *rules;
    int64_t lifetime_ms;
    int64_t age_ms;
    bool guessed;
} lifetimes[] = {
    /* RFC 9111 4.2.1: s-maxage > max-age > Expires > the rest */
    {200, {"cache-control: max-age=60"}, &none, 60000, 0, false},
    {200, {"cache-control: s-maxage=60"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=3600, s-maxage=1"}, &none, 1000, 0, false},
    {200, {"cache-control: s-maxage=3600, max-age=1"}, &none, 3600000, 0, false},
    {200, {"cache-control: max-age=0, s-maxage=60", "expires: 0"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "expires: " DAY_BEFORE, DATE}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "expires: 0", DATE}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=0", "expires: " HOUR_AFTER, DATE}, &none, 0, 0, false},
    {200, {"cache-control: max-age=x", "expires: " HOUR_AFTER, DATE}, &none, 0, 0, false},
    {200, {"cache-control: max-age=60", LM}, &ttl, 60000, 0, false},
    {200, {"cache-control: max-age=2147483648"}, &none, MAX_MS, 0, false},
    {200, {"cache-control: max-age=99999999999"}, &none, MAX_MS, 0, false},
    /* 5.3 Expires */
    {200, {"expires: " HOUR_AFTER, DATE}, &none, 3600000, 0, false},
    {200, {"expires: " NOW_TEXT, DATE}, &none, 0, 0, false},
    {200, {"expires: " DAY_BEFORE, DATE}, &none, 0, 0, false},
    {200, {"expires: " HOUR_AFTER}, &none, 3600000, 0, false},
    {200, {"expires: " HOUR_AFTER, "date: foo"}, &none, 3600000, 0, false},
    {200, {"expires: " HOUR_AFTER, DATE, DATE}, &none, 3600000, 0, false},
    {200, {"expires: 0", DATE}, &ttl, 0, 0, false},
    {200, {"expires: -1", DATE}, &ttl, 0, 0, false},
    {200, {"expires:", DATE}, &ttl, 0, 0, false},
    {200, {"expires: " HOUR_AFTER, "expires: " HOUR_AFTER, DATE}, &ttl, 0, 0, false},
    {200, {"expires: Sun, 06 Nov 1994 09:49:37 UTC", DATE}, &none, 0, 0, false},
    {200,
     {"expires: Fri, 31 Dec 9999 23:59:59 GMT", DATE},
     &none,
     (253402300799LL - 784111777) * 1000,
     0,
     false},
    {200, {"expires: " HOUR_AFTER, "date: Sun, 06 Nov 1994 09:59:37 GMT"}, &none, 0, 0, false},
    {200, {"expires: " HOUR_AFTER, "date: Sun, 06 Nov 1994 09:49:27 GMT"}, &none, 10000, 0, false},
    /* 4.2.3 and 5.1: Age */
    {200, {"cache-control: max-age=60", "age: 7"}, &none, 60000, 7000, false},
    {200, {"cache-control: max-age=60", "age: 0"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "age: abc"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "age: -7200"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "age: 7200.0"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "age: 7200;foo=1"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "age: 2147483647"}, &none, 60000, MAX_MS - 1000, false},
    {200, {"cache-control: max-age=60", "age: 2147483648"}, &none, 60000, MAX_MS, false},
    {200, {"cache-control: max-age=60", "age: 99999999999999999999"}, &none, 60000, MAX_MS, false},
    {200, {"cache-control: max-age=60", "age: 7200, 0"}, &none, 60000, 7200000, false},
    {200, {"cache-control: max-age=60", "age: 0, 7200"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "age: 7200", "age: 0"}, &none, 60000, 7200000, false},
    {200, {"cache-control: max-age=60", "age: 0", "age: 7200"}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "age: 3600", "age: 3600"}, &none, 60000, 3600000, false},
    {200, {"cache-control: max-age=60", "age:"}, &none, 60000, 0, false},
    /* 4.2.3: apparent age */
    {200, {"cache-control: max-age=60", DATE}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "date: " DAY_BEFORE}, &none, 60000, DAY_MS, false},
    {200,
     {"cache-control: max-age=60", "date: " DAY_BEFORE, "age: 5"},
     &none,
     60000,
     DAY_MS,
     false},
    {200,
     {"cache-control: max-age=60", "date: " DAY_BEFORE, "age: 90000"},
     &none,
     60000,
     90000000,
     false},
    {200, {"cache-control: max-age=60", "date: " HOUR_AFTER}, &none, 60000, 0, false},
    {200, {"cache-control: max-age=60", "date: foo"}, &none, 60000, 0, false},
    {200,
     {"cache-control: max-age=60", "date: " DAY_BEFORE, "date: " DAY_BEFORE},
     &none,
     60000,
     0,
     false},
    /* 4.2.2: a tenth, at most a day */
    {200, {LM, DATE}, &none, TENTH_MS, 0, true},
    {200, {LM}, &none, TENTH_MS, 0, true},
    {200, {"last-modified: Thu, 01 Jan 1970 00:00:00 GMT", DATE}, &none, DAY_MS, 0, true},
    {200, {"last-modified: " NOW_TEXT, DATE}, &none, 0, 0, false},
    {200, {"last-modified: " HOUR_AFTER, DATE}, &none, 0, 0, false},
    {200, {"last-modified: foo", DATE}, &none, 0, 0, false},
    {200, {LM, LM, DATE}, &none, 0, 0, false},
    {200, {LM, DATE, "pragma: no-cache"}, &none, 0, 0, false},
    {200, {LM, DATE, "pragma: no-cache", "cache-control: foo"}, &none, TENTH_MS, 0, true},
    {302, {LM, DATE}, &none, 0, 0, false},
    {302, {LM, DATE, "cache-control: public"}, &none, TENTH_MS, 0, true},
    /* what the operator set */
    {200, {LM, DATE}, &ttl, 7000, 0, false},
    {200, {NULL}, &ttl, 7000, 0, false},
    {404, {NULL}, &ttl, 3000, 0, false},
    {405, {NULL}, &ttl, 3000, 0, false},
    {410, {LM, DATE}, &ttl, 3000, 0, false},
    {414, {NULL}, &ttl, 3000, 0, false},
    {501, {NULL}, &ttl, 3000, 0, false},
    {404, {"cache-control: max-age=60"}, &ttl, 60000, 0, false},
    {500, {NULL}, &ttl, 0, 0, false},
    {302, {NULL}, &ttl, 0, 0, false},
    {200, {"cache-control: max-age=60"}, &capped, 5000, 0, false},
    {200, {"cache-control: max-age=4"}, &capped, 4000, 0, false},
    {200, {LM, DATE}, &capped, 5000, 0, true},
    {200, {"expires: " HOUR_AFTER, DATE}, &capped, 5000, 0, false},
};

/* Fresh for too long is wrong pages, for too short a loaded origin. */
START_TEST(lifetime_and_age_follow_the_rfc)
{
    struct fields storage;
    struct brim_exchange exchange = exchange_of(lifetimes[_i].status, (struct brim_fields){NULL, 0},
                                                fields_of(lifetimes[_i].response, &storage));
    struct brim_freshness freshness;

    brim_freshness_compute(&exchange, lifetimes[_i].rules, &freshness);
    ck_assert_int_eq(freshness.lifetime_ms, lifetimes[_i].lifetime_ms);
    ck_assert_int_eq(freshness.initial_age_ms, lifetimes[_i].age_ms);
    ck_assert_int_eq(freshness.heuristic, lifetimes[_i].guessed);
    ck_assert_int_eq(freshness.response_wall_ms, NOW_MS);
}
END_TEST

static const struct {
    const char *control;
    const struct brim_cache_rules *rules;
    int64_t swr_ms;
    int64_t sie_ms;
    bool must_revalidate;
    bool no_cache;
} stales[] = {
    /* RFC 5861 3 and 4: the directive, else the rule */
    {"cache-control: max-age=1", &none, 0, 0, false, false},
    {"cache-control: max-age=1", &stale, 20000, 50000, false, false},
    {"cache-control: max-age=1, stale-while-revalidate=3", &none, 3000, 0, false, false},
    {"cache-control: max-age=1, stale-while-revalidate=3", &stale, 3000, 50000, false, false},
    {"cache-control: max-age=1, stale-if-error=4", &stale, 20000, 4000, false, false},
    {"cache-control: max-age=1, stale-while-revalidate=0, stale-if-error=0", &stale, 0, 0, false,
     false},
    {"cache-control: max-age=1, stale-while-revalidate=x", &stale, 0, 50000, false, false},
    {"cache-control: max-age=1, immutable", &none, 0, 0, false, false},
    /* RFC 9111 4.2.4: what forbids stale forbids it to both */
    {"cache-control: max-age=1, must-revalidate", &stale, 0, 0, true, false},
    {"cache-control: max-age=1, proxy-revalidate", &stale, 0, 0, true, false},
    {"cache-control: s-maxage=1", &stale, 0, 0, true, false},
    {"cache-control: max-age=1, no-cache", &stale, 0, 0, false, true},
    {"cache-control: max-age=1, no-cache=\"a\"", &stale, 20000, 50000, false, false},
    {"cache-control: max-age=1, must-revalidate, stale-if-error=9", &none, 0, 0, true, false},
    {"cache-control: s-maxage=1, stale-while-revalidate=9", &none, 0, 0, true, false},
    {"cache-control: max-age=1, x=\"", &stale, 0, 0, true, false},
};

/* Stale pages are served only by leave of the origin or the operator, never against the origin. */
START_TEST(stale_allowance_follows_the_rfc)
{
    struct fields storage;
    const char *lines[FIELDS_MAX] = {stales[_i].control};
    struct brim_exchange exchange =
        exchange_of(200, (struct brim_fields){NULL, 0}, fields_of(lines, &storage));
    struct brim_freshness freshness;

    brim_freshness_compute(&exchange, stales[_i].rules, &freshness);
    ck_assert_int_eq(freshness.swr_ms, stales[_i].swr_ms);
    ck_assert_int_eq(freshness.sie_ms, stales[_i].sie_ms);
    ck_assert_int_eq(freshness.must_revalidate, stales[_i].must_revalidate);
    ck_assert_int_eq(freshness.no_cache, stales[_i].no_cache);
}
END_TEST

/* 4.2.3: the way here took time, clocks are cut to seconds, and some run backwards. */
START_TEST(age_counts_delay_and_residence)
{
    struct fields storage;
    const char *lines[FIELDS_MAX] = {"cache-control: max-age=60", "age: 5", DATE};
    struct brim_exchange exchange =
        exchange_of(200, (struct brim_fields){NULL, 0}, fields_of(lines, &storage));
    struct brim_freshness freshness;

    exchange.request_wall_ms = NOW_MS - 1500;
    exchange.response_wall_ms = NOW_MS + 999; /* within the second that Date names */
    brim_freshness_compute(&exchange, &none, &freshness);
    ck_assert_int_eq(freshness.initial_age_ms, 5000 + 2499);
    ck_assert_int_eq(freshness.date_wall_ms, NOW_MS);
    ck_assert_int_eq(brim_freshness_age_ms(&freshness, NOW_MS + 999), 7499);
    ck_assert_int_eq(brim_freshness_age_ms(&freshness, NOW_MS + 1999), 8499);
    ck_assert_int_eq(brim_freshness_age_ms(&freshness, NOW_MS - 5000), 7499);
    ck_assert_int_eq(brim_freshness_age_ms(&freshness, INT64_MAX), INT64_MAX - NOW_MS - 999 + 7499);
    ck_assert_int_eq(brim_freshness_age_ms(&freshness, INT64_MIN), 7499);

    exchange.response.count = 1; /* no Age, no Date: only the delay */
    brim_freshness_compute(&exchange, &none, &freshness);
    ck_assert_int_eq(freshness.initial_age_ms, 2499);
    ck_assert_int_eq(freshness.date_wall_ms, NOW_MS + 999);
    exchange.request_wall_ms = NOW_MS + 5000; /* set back while the request was under way */
    brim_freshness_compute(&exchange, &none, &freshness);
    ck_assert_int_eq(freshness.initial_age_ms, 0);
}
END_TEST

static const struct {
    const char *request[FIELDS_MAX];
    struct brim_request_control control;
} requests[] = {
    {{NULL}, {-1, -1, -1, false, false, false, false}},
    /* RFC 9111 5.2.1 */
    {{"cache-control: max-age=5"}, {5000, -1, -1, false, false, false, false}},
    {{"cache-control: max-age=0"}, {0, -1, -1, false, false, false, false}},
    {{"cache-control: min-fresh=5"}, {-1, 5000, -1, false, false, false, false}},
    {{"cache-control: max-stale=5"}, {-1, -1, 5000, false, false, false, false}},
    {{"cache-control: max-stale"}, {-1, -1, INT64_MAX, false, false, false, false}},
    {{"cache-control: no-cache"}, {-1, -1, -1, true, false, false, false}},
    {{"cache-control: no-store"}, {-1, -1, -1, false, true, false, false}},
    {{"cache-control: only-if-cached"}, {-1, -1, -1, false, false, true, false}},
    {{"cache-control: no-transform, foo"}, {-1, -1, -1, false, false, false, true}},
    {{"cache-control: max-age=5", "cache-control: max-stale=2, no-store"},
     {5000, -1, 2000, false, true, false, false}},
    {{"cache-control: max-age=5, max-age=2"}, {2000, -1, -1, false, false, false, false}},
    {{"cache-control: max-age=x"}, {0, -1, -1, false, false, false, false}},
    {{"cache-control: max-stale=x"}, {-1, -1, 0, false, false, false, false}},
    {{"cache-control: min-fresh=x"}, {-1, MAX_MS, -1, false, false, false, false}},
    {{"cache-control: max-stale, x=\""}, {-1, -1, -1, false, false, false, false}},
    {{"cache-control: no-cache=\"a\""}, {-1, -1, -1, true, false, false, false}},
    /* 5.4: Pragma only where there is no Cache-Control */
    {{"pragma: no-cache"}, {-1, -1, -1, true, false, false, false}},
    {{"pragma: No-Cache"}, {-1, -1, -1, true, false, false, false}},
    {{"pragma: foo, no-cache"}, {-1, -1, -1, true, false, false, false}},
    {{"pragma: foo"}, {-1, -1, -1, false, false, false, false}},
    {{"pragma: no-cache", "cache-control: max-age=5"}, {5000, -1, -1, false, false, false, false}},
    {{"pragma: no-cache", "cache-control:"}, {-1, -1, -1, false, false, false, false}},
};

/* Clients steer what they get, unless the operator says otherwise. */
START_TEST(request_control_is_read)
{
    struct fields storage;
    struct brim_fields fields = fields_of(requests[_i].request, &storage);
    const struct brim_request_control *want = &requests[_i].control;
    struct brim_request_control control;

    brim_request_control_parse(fields, &none, &control);
    ck_assert_int_eq(control.max_age_ms, want->max_age_ms);
    ck_assert_int_eq(control.min_fresh_ms, want->min_fresh_ms);
    ck_assert_int_eq(control.max_stale_ms, want->max_stale_ms);
    ck_assert_int_eq(control.no_cache, want->no_cache);
    ck_assert_int_eq(control.no_store, want->no_store);
    ck_assert_int_eq(control.only_if_cached, want->only_if_cached);
    ck_assert_int_eq(control.no_transform, want->no_transform);

    brim_request_control_parse(fields, &deaf, &control);
    ck_assert_int_eq(control.max_age_ms, -1);
    ck_assert_int_eq(control.min_fresh_ms, -1);
    ck_assert_int_eq(control.max_stale_ms, -1);
    ck_assert(!control.no_cache && !control.no_store && !control.only_if_cached);
}
END_TEST

#define FRESH BRIM_USE_FRESH
#define STALE BRIM_USE_STALE
#define SWR   BRIM_USE_STALE_SWR
#define ASK   BRIM_USE_REVALIDATE

static const struct {
    const char *response; /* Cache-Control */
    const char *request;  /* likewise */
    int64_t age_ms;
    enum brim_use use;
    enum brim_use use_purged; /* after a soft purge */
    bool on_error;
} uses[] = {
    /* RFC 9111 4.2: fresh while lifetime > age */
    {"max-age=10", "", 0, FRESH, ASK, false},
    {"max-age=10", "", 9999, FRESH, ASK, false},
    {"max-age=10", "", 10000, ASK, ASK, false},
    {"max-age=10", "", 10001, ASK, ASK, false},
    {"max-age=0", "", 0, ASK, ASK, false},
    {"max-age=10, no-cache", "", 0, ASK, ASK, false},
    {"max-age=10, must-revalidate", "", 5000, FRESH, ASK, false},
    {"max-age=10, immutable", "", 10000, ASK, ASK, false},
    /* RFC 5861 3 */
    {"max-age=10, stale-while-revalidate=5", "", 9999, FRESH, SWR, false},
    {"max-age=10, stale-while-revalidate=5", "", 10000, SWR, SWR, false},
    {"max-age=10, stale-while-revalidate=5", "", 14999, SWR, SWR, false},
    {"max-age=10, stale-while-revalidate=5", "", 15000, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5, must-revalidate", "", 10000, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5, no-cache", "", 10000, ASK, ASK, false},
    {"s-maxage=10, stale-while-revalidate=5", "", 10000, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5, proxy-revalidate", "", 10000, ASK, ASK, false},
    /* RFC 5861 4 */
    {"max-age=10, stale-if-error=5", "", 5000, FRESH, ASK, true},
    {"max-age=10, stale-if-error=5", "", 10000, ASK, ASK, true},
    {"max-age=10, stale-if-error=5", "", 14999, ASK, ASK, true},
    {"max-age=10, stale-if-error=5", "", 15000, ASK, ASK, false},
    {"max-age=10, stale-if-error=5, must-revalidate", "", 10000, ASK, ASK, false},
    {"max-age=10, stale-if-error=5, no-cache", "", 10000, ASK, ASK, false},
    {"s-maxage=10, stale-if-error=5", "", 10000, ASK, ASK, false},
    {"max-age=10, stale-if-error=5", "no-cache", 10000, ASK, ASK, false},
    {"max-age=10, stale-if-error=5", "max-age=0", 10000, ASK, ASK, true},
    /* 5.2.1.4 no-cache */
    {"max-age=10", "no-cache", 0, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5", "no-cache", 10000, ASK, ASK, false},
    {"max-age=10", "no-cache, max-stale", 0, ASK, ASK, false},
    /* 5.2.1.1 max-age */
    {"max-age=10", "max-age=5", 5000, FRESH, ASK, false},
    {"max-age=10", "max-age=5", 5001, ASK, ASK, false},
    {"max-age=10", "max-age=0", 0, ASK, ASK, false},
    {"max-age=10", "max-age=x", 0, ASK, ASK, false},
    {"max-age=10", "max-age=20", 10000, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5", "max-age=20", 10000, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5", "max-age=20, max-stale=1", 10000, SWR, SWR, true},
    {"max-age=10", "max-age=11, max-stale", 10000, STALE, STALE, true},
    {"max-age=10", "max-age=11, max-stale", 12000, ASK, ASK, true},
    /* 5.2.1.2 max-stale */
    {"max-age=10", "max-stale=5", 9000, FRESH, STALE, true},
    {"max-age=10", "max-stale=5", 10000, STALE, STALE, true},
    {"max-age=10", "max-stale=5", 15000, STALE, STALE, true},
    {"max-age=10", "max-stale=5", 15001, ASK, ASK, false},
    {"max-age=10", "max-stale", 999999000, STALE, STALE, true},
    {"max-age=10", "max-stale=x", 10001, ASK, ASK, false},
    {"max-age=10, must-revalidate", "max-stale", 10000, ASK, ASK, false},
    {"max-age=10, proxy-revalidate", "max-stale", 10000, ASK, ASK, false},
    {"s-maxage=10", "max-stale", 10000, ASK, ASK, false},
    {"max-age=10, no-cache", "max-stale", 10000, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5", "max-stale=9", 12000, SWR, SWR, true},
    {"max-age=10, stale-while-revalidate=5", "max-stale=9", 16000, STALE, STALE, true},
    /* 5.2.1.3 min-fresh */
    {"max-age=10", "min-fresh=5", 5000, FRESH, ASK, false},
    {"max-age=10", "min-fresh=5", 5001, ASK, ASK, false},
    {"max-age=10", "min-fresh=11", 0, ASK, ASK, false},
    {"max-age=10", "min-fresh=x", 0, ASK, ASK, false},
    {"max-age=10, stale-while-revalidate=5", "min-fresh=1", 10000, ASK, ASK, false},
    /* no say in how it may be used */
    {"max-age=10", "no-store", 5000, FRESH, ASK, false},
    {"max-age=10", "only-if-cached", 5000, FRESH, ASK, false},
};

/* The answer to each hit: serve, serve and refresh, or ask first. */
START_TEST(use_follows_the_rfc)
{
    struct brim_field response = {BRIM_STR("cache-control"), brim_str_of(uses[_i].response)};
    struct brim_field request = {BRIM_STR("cache-control"), brim_str_of(uses[_i].request)};
    struct brim_exchange exchange =
        exchange_of(200, (struct brim_fields){&request, 1}, (struct brim_fields){&response, 1});
    struct brim_request_control control;
    struct brim_freshness freshness;
    int64_t now_wall_ms = NOW_MS + uses[_i].age_ms;

    brim_freshness_compute(&exchange, &none, &freshness);
    brim_request_control_parse(exchange.request, &none, &control);
    ck_assert_int_eq(brim_freshness_use(&freshness, &control, now_wall_ms, false), uses[_i].use);
    ck_assert_int_eq(brim_freshness_use(&freshness, &control, now_wall_ms, true),
                     uses[_i].use_purged);
    ck_assert_int_eq(brim_freshness_may_serve_error(&freshness, &control, now_wall_ms),
                     uses[_i].on_error);
}
END_TEST

/* An origin that tells the CDN more than browsers means it: Expires and Cache-Control are for the
 * others then, in both directions. */
START_TEST(targeted_field_decides_alone)
{
    static const struct brim_str names[] = {{"cdn-cache-control", 17}};
    static const struct {
        const char *response[FIELDS_MAX];
        enum brim_store_verdict verdict;
        int64_t lifetime_ms;
        bool has_control;
    } rows[] = {
        {{"cdn-cache-control: max-age=9", "cache-control: no-store"}, STORE, 9000, true},
        {{"cdn-cache-control: max-age=9", "cache-control: private"}, STORE, 9000, true},
        {{"cdn-cache-control: max-age=9", "expires: 0"}, STORE, 9000, true},
        {{"cdn-cache-control: foo", "expires: " HOUR_AFTER, DATE}, PASS, 0, true},
        {{"cdn-cache-control: &", "expires: " HOUR_AFTER, DATE}, STORE, 3600000, false},
        {{"cdn-cache-control: no-store", "cache-control: max-age=5"}, PASS, 0, true},
        {{"cdn-cache-control: private", "cache-control: public, max-age=5"}, PASS, 0, true},
        {{"cdn-cache-control: max-age=\"9\"", "cache-control: max-age=5"}, PASS, 0, true},
        {{"cdn-cache-control:", "cache-control: max-age=5"}, STORE, 5000, true},
        {{"cdn-cache-control: max-age=9", "set-cookie: a=b"}, PASS, 9000, true},
        {{"cdn-cache-control: s-maxage=9", "set-cookie: a=b"}, STORE, 9000, true},
        {{"my-cache-control: max-age=9", LM, DATE}, STORE, TENTH_MS, false},
        {{"cdn-cache-control: &", LM, DATE}, STORE, TENTH_MS, false},
    };
    struct brim_cache_rules rules = none;

    rules.targets = (struct brim_targets){names, 1};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fields storage;
        struct brim_exchange exchange =
            exchange_of(200, (struct brim_fields){NULL, 0}, fields_of(rows[i].response, &storage));
        struct brim_freshness freshness;
        const char *reason;

        ck_assert_msg(brim_freshness_verdict(&exchange, &rules, &reason) == rows[i].verdict,
                      "row %zu: %s", i, reason);
        if (rows[i].verdict == STORE) {
            brim_freshness_compute(&exchange, &rules, &freshness);
            ck_assert_int_eq(freshness.lifetime_ms, rows[i].lifetime_ms);
        }
        ck_assert_int_eq(brim_freshness_has_control(exchange.response, &rules),
                         rows[i].has_control);
    }
}
END_TEST

/* Whose cookie everybody gets is the operator's decision, and his alone; what the origin rules out
 * stays out. */
START_TEST(set_cookie_follows_the_rules)
{
    static const struct {
        const char *response[FIELDS_MAX];
        enum brim_store_verdict verdicts[3]; /* refuse, strip, store */
    } rows[] = {
        {{"set-cookie: a=b", "cache-control: max-age=9"}, {PASS, STORE, STORE}},
        {{"set-cookie: a=b", "cache-control: public, max-age=9"}, {STORE, STORE, STORE}},
        {{"set-cookie: a=b", "cache-control: s-maxage=9"}, {STORE, STORE, STORE}},
        {{"set-cookie: a=b", "cache-control: private, max-age=9"}, {PASS, PASS, PASS}},
        {{"set-cookie: a=b", "cache-control: no-store"}, {PASS, PASS, PASS}},
        {{"set-cookie: a=b"}, {PASS, PASS, PASS}},
        {{"cache-control: max-age=9"}, {STORE, STORE, STORE}},
    };

    for (size_t i = 0; i < 3 * sizeof(rows) / sizeof(rows[0]); i++) {
        struct brim_cache_rules rules = none;
        struct fields storage;
        struct brim_exchange exchange = exchange_of(200, (struct brim_fields){NULL, 0},
                                                    fields_of(rows[i / 3].response, &storage));
        const char *reason;

        rules.set_cookie = (enum brim_set_cookie)(i % 3);
        ck_assert_int_eq(brim_freshness_verdict(&exchange, &rules, &reason),
                         rows[i / 3].verdicts[i % 3]);
    }
}
END_TEST

/* Records come back from disk: no number in one may overflow, and nothing turns fresh by it. */
START_TEST(extreme_times_do_not_overflow)
{
    static const int64_t extremes[] = {INT64_MIN, -1, 0, 1, NOW_MS, INT64_MAX};
    const size_t n = sizeof(extremes) / sizeof(extremes[0]);
    struct brim_request_control control = {
        .max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};

    for (size_t i = 0; i < n * n * n * n; i++) {
        struct brim_freshness freshness = {.response_wall_ms = extremes[i % n],
                                           .initial_age_ms = extremes[i / n % n],
                                           .lifetime_ms = extremes[i / n / n % n]};
        int64_t now_wall_ms = extremes[i / n / n / n];
        int64_t age_ms = brim_freshness_age_ms(&freshness, now_wall_ms);
        ck_assert_int_ge(age_ms, 0);
        ck_assert_int_eq(brim_freshness_use(&freshness, &control, now_wall_ms, false) == FRESH,
                         freshness.lifetime_ms > age_ms &&
                             !brim_freshness_is_from_future(&freshness, now_wall_ms));
        (void)brim_freshness_may_serve_error(&freshness, &control, now_wall_ms);
    }
    for (size_t i = 0; i < n * n; i++) {
        struct fields storage;
        const char *lines[FIELDS_MAX] = {"age: 99999999999", DATE, LM, ("expires: " HOUR_AFTER)};
        struct brim_exchange exchange =
            exchange_of(200, (struct brim_fields){NULL, 0}, fields_of(lines, &storage));
        struct brim_freshness freshness;
        exchange.request_wall_ms = extremes[i % n];
        exchange.response_wall_ms = extremes[i / n];
        brim_freshness_compute(&exchange, &none, &freshness);
        ck_assert_int_ge(freshness.initial_age_ms, MAX_MS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_freshness");
    TCase *tcase = tcase_create("freshness");

    tcase_add_loop_test(tcase, verdict_follows_the_rfc, 0, sizeof(verdicts) / sizeof(verdicts[0]));
    tcase_add_test(tcase, only_get_is_stored);
    tcase_add_loop_test(tcase, lifetime_and_age_follow_the_rfc, 0,
                        sizeof(lifetimes) / sizeof(lifetimes[0]));
    tcase_add_loop_test(tcase, stale_allowance_follows_the_rfc, 0,
                        sizeof(stales) / sizeof(stales[0]));
    tcase_add_test(tcase, age_counts_delay_and_residence);
    tcase_add_loop_test(tcase, request_control_is_read, 0, sizeof(requests) / sizeof(requests[0]));
    tcase_add_loop_test(tcase, use_follows_the_rfc, 0, sizeof(uses) / sizeof(uses[0]));
    tcase_add_test(tcase, targeted_field_decides_alone);
    tcase_add_test(tcase, set_cookie_follows_the_rules);
    tcase_add_test(tcase, extreme_times_do_not_overflow);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
