/* SPDX-License-Identifier: MIT */
#include "brim/policy/cors.h"

#include "unit.h"

static char page[] = "https://app.example.com", below[] = "https://*.example.org", all[] = "*";
static char get[] = "GET", put[] = "PUT", token[] = "X-Token", total[] = "X-Total";
static char *pages[] = {page, below}, *everybody[] = {all}, *methods[] = {get, put};
static char *headers[] = {token}, *any_header[] = {all}, *exposed[] = {total};

static struct brim_str value(const struct brim_field *fields, size_t count, struct brim_str name)
{
    const struct brim_field *field = brim_fields_only((struct brim_fields){fields, count}, name);

    return field == NULL ? BRIM_STR("") : field->value;
}

static struct brim_str origin_told(const struct brim_cors *cors, const char *origin)
{
    struct brim_field asked = {BRIM_STR("origin"), brim_str_of(origin)};
    static struct brim_field told[BRIM_CORS_FIELDS_MAX];
    size_t count = brim_cors_answer(cors, (struct brim_fields){&asked, 1}, told);

    return value(told, count, BRIM_STR("access-control-allow-origin"));
}

static const struct {
    const char *origin;
    bool may_read;
} origins[] = {
    {"https://app.example.com", true},
    {"https://a.example.org", true},
    {"https://a.b.example.org", true},
    {"http://app.example.com", false},
    {"https://app.example.com:8443", false},
    {"https://app.example.com.evil.net", false},
    {"https://example.org", false},
    {"https://.example.org", false},
    {"https://evil.net/.example.org", false},
    {"https://evilexample.org", false},
    {"null", false},
    {"", false},
};

START_TEST(only_the_origins_of_the_list_may_read)
{
    struct brim_conf_cors conf = {.origins = {pages, 2}};
    struct brim_cors *cors = brim_cors_compile(&conf);
    struct brim_str told = origin_told(cors, origins[_i].origin);

    ck_assert(
        brim_str_is(told, origins[_i].may_read ? brim_str_of(origins[_i].origin) : BRIM_STR("")));
    brim_cors_free(cors);
}
END_TEST

START_TEST(what_is_said_depends_on_the_origin_and_says_so)
{
    struct brim_conf_cors conf = {
        .origins = {pages, 2}, .expose = {exposed, 1}, .credentials = true};
    struct brim_cors *cors = brim_cors_compile(&conf);
    struct brim_field asked = {BRIM_STR("origin"), BRIM_STR("https://app.example.com")};
    struct brim_field told[BRIM_CORS_FIELDS_MAX];
    size_t count = brim_cors_answer(cors, (struct brim_fields){&asked, 1}, told);

    ck_assert(brim_str_is(value(told, count, BRIM_STR("vary")), BRIM_STR("Origin")));
    ck_assert(brim_str_is(value(told, count, BRIM_STR("access-control-allow-credentials")),
                          BRIM_STR("true")));
    ck_assert(brim_str_is(value(told, count, BRIM_STR("access-control-expose-headers")),
                          BRIM_STR("X-Total")));
    count = brim_cors_answer(cors, (struct brim_fields){NULL, 0}, told);
    ck_assert_uint_eq(count, 1); /* Vary alone: caches behind must know */
    brim_cors_free(cors);

    conf = (struct brim_conf_cors){.origins = {everybody, 1}};
    cors = brim_cors_compile(&conf);
    count = brim_cors_answer(cors, (struct brim_fields){NULL, 0}, told);
    ck_assert_uint_eq(count, 1);
    ck_assert(brim_str_is(told[0].value, BRIM_STR("*")));
    brim_cors_free(cors);
    brim_cors_free(NULL);
}
END_TEST

START_TEST(a_preflight_is_told_what_may_be_asked)
{
    struct brim_conf_cors conf = {.origins = {pages, 2},
                                  .methods = {methods, 2},
                                  .headers = {headers, 1},
                                  .max_age_ms = 600000};
    struct brim_field asked[] = {
        {BRIM_STR("origin"), BRIM_STR("https://app.example.com")},
        {BRIM_STR("access-control-request-method"), BRIM_STR("PUT")},
        {BRIM_STR("access-control-request-headers"), BRIM_STR("x-a, x-b")},
    };
    struct brim_fields request = {asked, 3};
    struct brim_field told[BRIM_CORS_FIELDS_MAX];
    struct brim_cors *cors = brim_cors_compile(&conf);
    size_t count = brim_cors_preflight(cors, request, told);

    ck_assert(brim_cors_is_preflight(BRIM_STR("OPTIONS"), request));
    ck_assert(!brim_cors_is_preflight(BRIM_STR("GET"), request));
    ck_assert(!brim_cors_is_preflight(BRIM_STR("OPTIONS"), (struct brim_fields){asked, 1}));
    ck_assert(brim_str_is(value(told, count, BRIM_STR("access-control-allow-methods")),
                          BRIM_STR("GET, PUT")));
    ck_assert(brim_str_is(value(told, count, BRIM_STR("access-control-allow-headers")),
                          BRIM_STR("X-Token")));
    ck_assert(brim_str_is(value(told, count, BRIM_STR("access-control-max-age")), BRIM_STR("600")));
    brim_cors_free(cors);
    conf.headers.items = any_header;
    cors = brim_cors_compile(&conf);
    count = brim_cors_preflight(cors, request, told);
    ck_assert(brim_str_is(value(told, count, BRIM_STR("access-control-allow-headers")),
                          BRIM_STR("x-a, x-b")));
    asked[0].value = BRIM_STR("https://evil.net");
    ck_assert_uint_eq(brim_cors_preflight(cors, request, told), 1); /* Vary alone */
    brim_cors_free(cors);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_cors");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, only_the_origins_of_the_list_may_read, 0,
                        (int)(sizeof(origins) / sizeof(origins[0])));
    tcase_add_test(tcase, what_is_said_depends_on_the_origin_and_says_so);
    tcase_add_test(tcase, a_preflight_is_told_what_may_be_asked);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
