/* SPDX-License-Identifier: MIT */
#include "brim/policy/condition.h"

#include "brim/base/invariant.h"
#include "brim/policy/rewrite.h"
#include "unit.h"

static struct brim_field sent[] = {
    {BRIM_STR("x-version"), BRIM_STR("2")},
    {BRIM_STR("accept"), BRIM_STR("text/html")},
    {BRIM_STR("accept"), BRIM_STR("application/grpc+proto")},
    {BRIM_STR("x-empty"), BRIM_STR("")},
};
static const struct brim_fields fields = {sent, sizeof(sent) / sizeof(sent[0])};

static char is_v[] = "X-Version", is_2[] = "2", is_3[] = "3", is_a[] = "accept",
            is_g[] = "application/grpc", is_e[] = "x-empty", is_n[] = "x-none", none[] = "";

static const struct {
    struct brim_conf_route_header header;
    bool holds;
} headers[] = {
    {{.name = is_v, .value = is_2, .prefix = none, .present = true}, true},
    {{.name = is_v, .value = is_3, .prefix = none, .present = true}, false},
    {{.name = is_a, .value = none, .prefix = is_g, .present = true}, true}, /* its second line */
    {{.name = is_a, .value = is_g, .prefix = none, .present = true}, false},
    {{.name = is_e, .value = none, .prefix = none, .present = true}, true},
    {{.name = is_n, .value = none, .prefix = none, .present = true}, false},
    {{.name = is_n, .value = none, .prefix = none, .present = false}, true},
    {{.name = is_v, .value = none, .prefix = none, .present = false}, false},
};

/* A request that goes to the wrong service gets the wrong service's answer. */
START_TEST(fields_are_there_or_not_equal_or_begin)
{
    struct brim_conf_route conf = {.headers = {(void *)(uintptr_t)&headers[_i].header, 1}};
    struct brim_condition *condition = brim_condition_compile(&conf);
    struct brim_condition_ask ask = {BRIM_STR("GET"), fields};

    ck_assert_int_eq(brim_condition_holds(condition, &ask), headers[_i].holds);
    brim_condition_free(condition);
}
END_TEST

static const struct {
    const char *method;
    bool holds;
} methods[] = {{"GET", true}, {"HEAD", true}, {"POST", true}, {"PUT", false}, {"get", false}};

/* HEAD is answered from what GET brings: they cannot go to two services. */
START_TEST(methods_and_head_with_get)
{
    char get[] = "GET", post[] = "POST", *items[] = {get, post};
    struct brim_conf_route conf = {.methods = {items, 2}};
    struct brim_condition *condition = brim_condition_compile(&conf);
    struct brim_condition_ask ask = {brim_str_of(methods[_i].method), fields};

    ck_assert_int_eq(brim_condition_holds(condition, &ask), methods[_i].holds);
    ck_assert(brim_condition_holds(NULL, &ask));
    brim_condition_free(condition);
}
END_TEST

/* All that is said must hold. */
START_TEST(one_that_does_not_hold_is_enough)
{
    struct brim_conf_route_header both[] = {headers[0].header, headers[1].header};
    struct brim_conf_route conf = {.headers = {both, 2}};
    struct brim_condition *condition = brim_condition_compile(&conf);
    struct brim_condition_ask ask = {BRIM_STR("GET"), fields};

    ck_assert(!brim_condition_holds(condition, &ask));
    brim_condition_free(condition);
    conf = (struct brim_conf_route){.line = 1};
    ck_assert_ptr_null(brim_condition_compile(&conf));
}
END_TEST

static const struct {
    const char *prefix, *to, *target, *sent;
} rewrites[] = {
    {"/api/", "/", "/api/x?q=1", "/x?q=1"},
    {"/api", "/", "/api/x", "/x"},
    {"/api", "/", "/api", "/"},
    {"/api", "/", "/api?q", "/?q"},
    {"/api/", "/v2", "/api/x", "/v2/x"},
    {"/api/", "/v2/", "/api/x", "/v2/x"},
    {"/api", "/v2", "/api?q", "/v2?q"},
    {"/api/", "/v2/", "//api/x?/api/", "/v2/x?/api/"},
    {"/api/", "/v2/", "/%61pi%2f/x", "/v2/x"},
    {"/api/", "/v2/", "/other", "/other"}, /* a glob's request that does not begin so */
    {"", "/", "/api/x", "/api/x"},
};

/* The origin gets a path, whatever is taken off: never "" and never "//host". */
START_TEST(a_prefix_is_replaced)
{
    struct brim_conf_route conf = {
        .rewrite = {.prefix = brim_strdup(rewrites[_i].prefix), .to = brim_strdup(rewrites[_i].to)},
        .host = none};
    struct brim_rewrite rewrite = brim_rewrite_compile(&conf);
    struct brim_str target = brim_str_of(rewrites[_i].target), made;
    char *buffer = brim_alloc(brim_rewrite_room(&rewrite, target));

    made = brim_rewrite_target(&rewrite, target, buffer);
    ck_assert_msg(brim_str_is(made, brim_str_of(rewrites[_i].sent)), "%.*s", (int)made.len,
                  made.base);
    brim_rewrite_fini(&rewrite);
    free(buffer);
    free(conf.rewrite.prefix);
    free(conf.rewrite.to);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy/condition");
    TCase *tcase = tcase_create("condition");

    tcase_add_loop_test(tcase, fields_are_there_or_not_equal_or_begin, 0,
                        (int)(sizeof(headers) / sizeof(headers[0])));
    tcase_add_loop_test(tcase, methods_and_head_with_get, 0,
                        (int)(sizeof(methods) / sizeof(methods[0])));
    tcase_add_test(tcase, one_that_does_not_hold_is_enough);
    tcase_add_loop_test(tcase, a_prefix_is_replaced, 0,
                        (int)(sizeof(rewrites) / sizeof(rewrites[0])));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
