/* SPDX-License-Identifier: MIT */
#include "brim/policy/rate_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "brim/policy/dict.h"
#include "unit.h"

#define S 1000000u /* us */

enum { BY_ADDRESS, BY_HEADER, BY_COOKIE };

static const struct brim_rate_limit_place site = {"example.com", NULL};
static const struct brim_rate_limit_place login = {"example.com", "/login"};

static struct brim_dict *dict;

static void open_dict(void)
{
    dict = brim_dict_open(1u << 20);
}

static void close_dict(void)
{
    brim_dict_close(dict);
}

static struct brim_rate_limit_client client_at(const char *text, struct brim_fields fields)
{
    static struct sockaddr_storage address[2];
    static unsigned next;
    struct sockaddr_storage *at = &address[next++ % 2];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;
    struct sockaddr_in *v4 = (struct sockaddr_in *)at;

    *at = (struct sockaddr_storage){.ss_family = AF_INET};
    if (inet_pton(AF_INET, text, &v4->sin_addr) != 1) {
        at->ss_family = AF_INET6;
        ck_assert_int_eq(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    }
    return (struct brim_rate_limit_client){.address = (struct sockaddr *)at, .fields = fields};
}

static struct brim_rate_limit_news take(const struct brim_rate_limit *limit, const char *address,
                                        struct brim_fields fields, uint64_t now_us)
{
    struct brim_rate_limit_client client = client_at(address, fields);

    return brim_rate_limit_take(limit, dict, &client, now_us);
}

static const struct brim_fields none = {NULL, 0};

/* The one thing that it is for. */
START_TEST(a_bucket_is_emptied_and_fills_again)
{
    struct brim_conf_rate_limit conf = {.requests = 2, .per_ms = 1000, .fields = true};
    struct brim_rate_limit *limit = brim_rate_limit_compile(&conf, &site);
    struct brim_rate_limit_news news;

    news = take(limit, "192.0.2.1", none, 10 * S);
    ck_assert(news.is_allowed && news.is_told);
    ck_assert_uint_eq(news.remaining, 1);
    ck_assert(take(limit, "192.0.2.1", none, 10 * S).is_allowed);
    news = take(limit, "192.0.2.1", none, 10 * S);
    ck_assert(!news.is_allowed);
    ck_assert_uint_eq(news.remaining, 0);
    ck_assert_uint_eq(news.wait_s, 1);
    ck_assert(take(limit, "192.0.2.2", none, 10 * S).is_allowed); /* another client */
    ck_assert(take(limit, "192.0.2.1", none, 10 * S + S / 2).is_allowed);
    ck_assert(!take(limit, "192.0.2.1", none, 10 * S + S / 2).is_allowed);
    brim_rate_limit_free(limit);
}
END_TEST

/* A household has 2^64 addresses of its own. */
START_TEST(of_ipv6_a_64_is_one_client)
{
    struct brim_conf_rate_limit conf = {.requests = 1, .per_ms = 60000};
    struct brim_rate_limit *limit = brim_rate_limit_compile(&conf, &site);

    ck_assert(take(limit, "2001:db8:0:1::1", none, S).is_allowed);
    ck_assert(!take(limit, "2001:db8:0:1:ffff::2", none, S).is_allowed);
    ck_assert(take(limit, "2001:db8:0:2::1", none, S).is_allowed);
    brim_rate_limit_free(limit);
}
END_TEST

START_TEST(a_header_or_cookie_tells_clients_apart)
{
    struct brim_field key_a = {BRIM_STR("x-api-key"), BRIM_STR("a")};
    struct brim_field key_b = {BRIM_STR("x-api-key"), BRIM_STR("b")};
    struct brim_field sid_a = {BRIM_STR("cookie"), BRIM_STR("t=1; sid=a; u=2")};
    struct brim_field sid_a_again = {BRIM_STR("cookie"), BRIM_STR("sid=a; u=3")};
    struct brim_conf_rate_limit conf = {.requests = 1, .per_ms = 60000, .by = BY_HEADER};
    struct brim_rate_limit *limit;
    static char header[] = "X-Api-Key", cookie[] = "sid";

    conf.name = header;
    limit = brim_rate_limit_compile(&conf, &site);
    ck_assert(take(limit, "192.0.2.1", (struct brim_fields){&key_a, 1}, S).is_allowed);
    ck_assert(take(limit, "192.0.2.1", (struct brim_fields){&key_b, 1}, S).is_allowed);
    ck_assert(!take(limit, "192.0.2.9", (struct brim_fields){&key_a, 1}, S).is_allowed);
    ck_assert(take(limit, "192.0.2.1", none, S).is_allowed); /* by address */
    ck_assert(!take(limit, "192.0.2.1", none, S).is_allowed);
    brim_rate_limit_free(limit);

    conf.by = BY_COOKIE;
    conf.name = cookie;
    limit = brim_rate_limit_compile(&conf, &login);
    ck_assert(take(limit, "192.0.2.1", (struct brim_fields){&sid_a, 1}, S).is_allowed);
    ck_assert(!take(limit, "192.0.2.2", (struct brim_fields){&sid_a_again, 1}, S).is_allowed);
    brim_rate_limit_free(limit);
}
END_TEST

/* Who may choose his identity must not find another's, nor make it as long as he likes. */
START_TEST(a_long_identity_is_a_digest)
{
    static char text[4000];
    struct brim_field a = {BRIM_STR("k"), {text, 3000}}, b = {BRIM_STR("k"), {text, 3001}};
    struct brim_conf_rate_limit conf = {.requests = 1, .per_ms = 60000, .by = BY_HEADER};
    struct brim_rate_limit *limit;
    static char name[] = "k";

    memset(text, 'x', sizeof(text));
    conf.name = name;
    limit = brim_rate_limit_compile(&conf, &site);
    ck_assert(take(limit, "192.0.2.1", (struct brim_fields){&a, 1}, S).is_allowed);
    ck_assert(take(limit, "192.0.2.1", (struct brim_fields){&b, 1}, S).is_allowed);
    ck_assert(!take(limit, "192.0.2.1", (struct brim_fields){&b, 1}, S).is_allowed);
    brim_rate_limit_free(limit);
}
END_TEST

START_TEST(site_and_route_count_apart_and_a_reload_forgives_nobody)
{
    struct brim_conf_rate_limit conf = {.requests = 1, .per_ms = 60000};
    struct brim_rate_limit *of_site = brim_rate_limit_compile(&conf, &site);
    struct brim_rate_limit *of_route = brim_rate_limit_compile(&conf, &login);
    struct brim_rate_limit *again = brim_rate_limit_compile(&conf, &site);

    ck_assert(take(of_site, "192.0.2.1", none, S).is_allowed);
    ck_assert(take(of_route, "192.0.2.1", none, S).is_allowed);
    ck_assert(!take(again, "192.0.2.1", none, S).is_allowed);
    brim_rate_limit_free(of_site);
    brim_rate_limit_free(of_route);
    brim_rate_limit_free(again);
}
END_TEST

START_TEST(what_is_told_is_a_structured_field)
{
    struct brim_conf_rate_limit conf = {
        .requests = 100, .per_ms = 1000, .burst = 200, .fields = true};
    struct brim_rate_limit *of_site = brim_rate_limit_compile(&conf, &site), *of_route;
    struct brim_rate_limit_news news = {.is_allowed = true, .remaining = 7, .wait_s = 3};
    char room[160];
    struct brim_text text = brim_text_in(room, sizeof(room));

    conf.requests = 5;
    conf.per_ms = 60000;
    conf.burst = 0;
    of_route = brim_rate_limit_compile(&conf, &login);
    brim_rate_limit_put_policy(of_site, &text);
    brim_rate_limit_put_policy(of_route, &text);
    ck_assert(
        brim_str_is(brim_text_str(&text), BRIM_STR("\"site\";q=200;w=2, \"route\";q=5;w=60")));
    text.len = 0;
    brim_rate_limit_put_state(of_route, &news, &text);
    ck_assert(brim_str_is(brim_text_str(&text), BRIM_STR("\"route\";r=7;t=3")));
    brim_rate_limit_free(of_site);
    brim_rate_limit_free(of_route);
}
END_TEST

START_TEST(no_number_is_no_limit)
{
    struct brim_conf_rate_limit conf = {.requests = 0, .per_ms = 1000};

    ck_assert_ptr_null(brim_rate_limit_compile(&conf, &site));
    brim_rate_limit_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_rate_limit");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, open_dict, close_dict);
    tcase_add_test(tcase, a_bucket_is_emptied_and_fills_again);
    tcase_add_test(tcase, of_ipv6_a_64_is_one_client);
    tcase_add_test(tcase, a_header_or_cookie_tells_clients_apart);
    tcase_add_test(tcase, a_long_identity_is_a_digest);
    tcase_add_test(tcase, site_and_route_count_apart_and_a_reload_forgives_nobody);
    tcase_add_test(tcase, what_is_told_is_a_structured_field);
    tcase_add_test(tcase, no_number_is_no_limit);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
