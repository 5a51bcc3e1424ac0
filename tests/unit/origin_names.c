/* SPDX-License-Identifier: MIT */
/*
 * What names lead to, with a test's own look-ups: who waits, who does not, and when connections to
 * where a name led before are given up.
 */
#include "brim/origin/names.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "unit.h"

static struct {
    pthread_mutex_t lock;
    struct brim_dns_found found;
    enum brim_err err;
    bool is_half; /* of what is said next */
    _Atomic unsigned asked;
    _Atomic bool hangs;
} dns = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct brim_names *names;
static _Atomic unsigned told;

static enum brim_err look_up(void *ctx, const char *name, struct brim_dns_found *found_out)
{
    enum brim_err err;

    (void)ctx;
    dns.asked++;
    while (dns.hangs && strcmp(name, "slow.test") == 0)
        usleep(1000);
    pthread_mutex_lock(&dns.lock);
    *found_out = dns.found;
    err = dns.err;
    pthread_mutex_unlock(&dns.lock);
    return err;
}

/* What is found from now on: addresses between commas, NULL: nothing, for this reason. */
static void say(enum brim_err err, const char *first, const char *second)
{
    const char *texts[] = {first, second};

    pthread_mutex_lock(&dns.lock);
    dns.err = err;
    dns.found = (struct brim_dns_found){.ttl_ms = 1, .is_half = dns.is_half};
    for (unsigned i = 0; i < 2 && texts[i] != NULL; i++)
        (void)snprintf(dns.found.addresses[dns.found.count++], BRIM_DNS_ADDRESS_BYTES, "%s",
                       texts[i]);
    pthread_mutex_unlock(&dns.lock);
}

static void on_tell(void *ctx)
{
    (void)ctx;
    told++;
}

static enum brim_err find(const char *name, struct brim_names_way *way_out)
{
    return brim_names_find(names, name, on_tell, NULL, way_out);
}

/* Until it is told; ten seconds, so that a fault ends the test. */
static enum brim_err found(const char *name, struct brim_names_way *way_out)
{
    enum brim_err err = BRIM_EAGAIN;

    for (unsigned i = 0; i < 10000 && err == BRIM_EAGAIN; i++) {
        err = find(name, way_out);
        usleep(err == BRIM_EAGAIN ? 1000 : 0);
    }
    return err;
}

/* Waits for two look-ups that begin from now on: what was said before is known then. */
static void look_twice(void)
{
    unsigned until = dns.asked + 3;
    struct brim_names_way way;

    for (unsigned i = 0; i < 10000 && dns.asked < until; i++) {
        (void)find("a.test", &way);
        usleep(1000);
    }
    ck_assert_uint_ge(dns.asked, until);
}

static void set_up(void)
{
    struct brim_names_config config = {.ttl_min_ms = 5, .ttl_max_ms = 50, .lookup = look_up};

    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    say(BRIM_OK, "192.0.2.1", NULL);
    ck_assert_int_eq(brim_names_open(&config, &names), BRIM_OK);
}

static void tear_down(void)
{
    dns.hangs = false;
    brim_names_stop(names);
    brim_names_close(names);
}

START_TEST(the_first_waits_and_is_told)
{
    struct brim_names_way way;

    ck_assert_int_eq(find("a.test", &way), BRIM_EAGAIN);
    ck_assert_int_eq(found("a.test", &way), BRIM_OK);
    ck_assert_uint_eq(way.count, 1);
    ck_assert_str_eq(way.addresses[0], "192.0.2.1");
    for (unsigned i = 0; i < 10000 && told == 0; i++)
        usleep(1000);
    ck_assert_uint_ge(told, 1);
}
END_TEST

/* The time of a record is over, and its name server hangs: what was known is given. */
START_TEST(a_known_name_is_never_waited_for)
{
    struct brim_names_way way;
    unsigned asked;

    ck_assert_int_eq(found("slow.test", &way), BRIM_OK);
    dns.hangs = true;
    asked = dns.asked;
    for (unsigned i = 0; i < 10000 && dns.asked == asked; i++)
        usleep(1000);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(find("slow.test", &way), BRIM_OK);
    ck_assert_int_eq(found("b.test", &way), BRIM_OK); /* and no other name is held up */
}
END_TEST

START_TEST(connections_are_given_up_when_a_name_leads_elsewhere)
{
    struct brim_names_way way;
    unsigned before;

    ck_assert_int_eq(found("a.test", &way), BRIM_OK);
    before = way.generation;
    say(BRIM_OK, "192.0.2.2", "192.0.2.1"); /* one more, and in another order */
    look_twice();
    ck_assert_int_eq(find("a.test", &way), BRIM_OK);
    ck_assert_uint_eq(way.count, 2);
    ck_assert_str_eq(way.addresses[0], "192.0.2.2");
    ck_assert_uint_eq(way.generation, before);
    say(BRIM_OK, "192.0.2.3", NULL);
    look_twice();
    ck_assert_int_eq(find("a.test", &way), BRIM_OK);
    ck_assert_uint_eq(way.generation, before + 1);
    ck_assert_str_eq(way.addresses[0], "192.0.2.3");
}
END_TEST

/* Names that lead there, and whose addresses are missing at once. */
static void open_anew(const char *first, const char *second)
{
    struct brim_names_config config = {
        .ttl_min_ms = 5, .ttl_max_ms = 5, .missing_ms = 1, .lookup = look_up};

    tear_down();
    say(BRIM_OK, first, second);
    ck_assert_int_eq(brim_names_open(&config, &names), BRIM_OK);
}

/* Not for the time between two look-ups, in which nothing was named: a record may hold for an hour.
 */
START_TEST(connections_are_kept_while_their_address_is_named)
{
    struct brim_names_way way;
    unsigned before;

    open_anew("192.0.2.1", "192.0.2.2");
    ck_assert_int_eq(found("a.test", &way), BRIM_OK);
    before = way.generation;
    look_twice();
    ck_assert_int_eq(find("a.test", &way), BRIM_OK);
    ck_assert_uint_eq(way.generation, before);
    say(BRIM_OK, "192.0.2.1", NULL); /* the other was not named for longer than that */
    look_twice();
    ck_assert_int_eq(find("a.test", &way), BRIM_OK);
    ck_assert_uint_eq(way.generation, before + 1);
}
END_TEST

/* Nor because a name server says nothing about IPv6 for a while. */
START_TEST(connections_are_kept_while_nobody_says_anything_about_their_family)
{
    struct brim_names_way way;
    unsigned before;

    open_anew("[2001:db8::1]", "192.0.2.1");
    ck_assert_int_eq(found("a.test", &way), BRIM_OK);
    before = way.generation;
    dns.is_half = true;
    say(BRIM_OK, "192.0.2.1", NULL);
    look_twice();
    ck_assert_int_eq(find("a.test", &way), BRIM_OK);
    ck_assert_uint_eq(way.generation, before);
    dns.is_half = false;
    say(BRIM_OK, "192.0.2.1", NULL); /* it says that there is none */
    look_twice();
    ck_assert_int_eq(find("a.test", &way), BRIM_OK);
    ck_assert_uint_eq(way.generation, before + 1);
}
END_TEST

static const enum brim_err failures[] = {BRIM_EDNS, BRIM_ENOENT};

START_TEST(what_was_known_outlives_a_name_server)
{
    struct brim_names_way way;
    unsigned generation;

    ck_assert_int_eq(found("a.test", &way), BRIM_OK);
    generation = way.generation;
    say(failures[_i], NULL, NULL);
    look_twice();
    ck_assert_int_eq(find("a.test", &way), BRIM_OK);
    ck_assert_str_eq(way.addresses[0], "192.0.2.1");
    ck_assert_uint_eq(way.generation, generation);
}
END_TEST

/* Nobody waits for a name server that has just failed. */
START_TEST(an_unknown_name_is_said_to_be_so)
{
    struct brim_names_way way;

    say(BRIM_EDNS, NULL, NULL);
    ck_assert_int_eq(found("a.test", &way), BRIM_EDNS);
    ck_assert_int_eq(find("a.test", &way), BRIM_EDNS);
    say(BRIM_OK, "192.0.2.1", NULL);
    for (unsigned i = 0; i < 10000 && find("a.test", &way) != BRIM_OK; i++)
        usleep(1000);
    ck_assert_int_eq(find("a.test", &way), BRIM_OK); /* it was tried again behind */
}
END_TEST

START_TEST(who_waits_at_the_end_is_told)
{
    struct brim_names_way way;
    unsigned before = told;

    dns.hangs = true;
    ck_assert_int_eq(find("slow.test", &way), BRIM_EAGAIN);
    for (unsigned i = 0; i < 10000 && dns.asked == 0; i++)
        usleep(1000);
    dns.hangs = false;
    brim_names_stop(names);
    ck_assert_uint_eq(told, before + 1);
    ck_assert_int_eq(find("new.test", &way), BRIM_ECLOSED);
    brim_names_close(names);
    set_up();
}
END_TEST

START_TEST(a_name_server_has_an_address)
{
    char good[] = "127.0.0.1:5353", bad[] = "ns.example";
    char *servers[] = {good, bad};
    struct brim_names_config config = {.nameservers = servers, .nameserver_count = 2};
    struct brim_names *others;

    ck_assert_int_eq(brim_names_open(&config, &others), BRIM_EINVAL);
    ck_assert_ptr_null(others);
}
END_TEST

/* ---- dns.h ---- */

START_TEST(the_loopback_is_asked_of_nobody)
{
    /* Nobody listens there: to ask would fail. */
    struct brim_dns_config config = {.count = 1};
    struct brim_dns_found found_out;

    config.nameservers[0].v4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(brim_dns_lookup(&config, "a.localhost", &found_out), BRIM_OK);
    ck_assert_uint_eq(found_out.count, 2);
    ck_assert_str_eq(found_out.addresses[0], "[::1]");
    ck_assert_str_eq(found_out.addresses[1], "127.0.0.1");
    ck_assert_int_eq(brim_dns_lookup(&config, "localhost", &found_out), BRIM_OK);
    ck_assert_int_eq(brim_dns_lookup(&config, "notlocalhost", &found_out), BRIM_EDNS);
}
END_TEST

START_TEST(addresses_are_no_names)
{
    ck_assert(brim_dns_is_address("192.0.2.1"));
    ck_assert(brim_dns_is_address("[2001:db8::1]"));
    ck_assert(!brim_dns_is_address("a.example"));
    ck_assert(!brim_dns_is_address("1.example"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin.names");
    TCase *tcase = tcase_create("names"), *lookup = tcase_create("dns");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_first_waits_and_is_told);
    tcase_add_test(tcase, a_known_name_is_never_waited_for);
    tcase_add_test(tcase, connections_are_given_up_when_a_name_leads_elsewhere);
    tcase_add_test(tcase, connections_are_kept_while_their_address_is_named);
    tcase_add_test(tcase, connections_are_kept_while_nobody_says_anything_about_their_family);
    tcase_add_loop_test(tcase, what_was_known_outlives_a_name_server, 0, 2);
    tcase_add_test(tcase, an_unknown_name_is_said_to_be_so);
    tcase_add_test(tcase, who_waits_at_the_end_is_told);
    tcase_add_test(tcase, a_name_server_has_an_address);
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(lookup, 60);
    tcase_add_test(lookup, the_loopback_is_asked_of_nobody);
    tcase_add_test(lookup, addresses_are_no_names);
    suite_add_tcase(suite, lookup);
    return unit_run(suite);
}
