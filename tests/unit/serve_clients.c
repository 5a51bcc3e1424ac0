/* SPDX-License-Identifier: MIT */
/* What is remembered of addresses: counts that must come out even, bans that begin and end. */
#include "brim/serve/clients.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "brim/base/metric.h"
#include "unit.h"

static struct brim_conf_limits limits;
static struct brim_conf_abuse abuse;
static struct brim_clients *clients;

static void setup(void)
{
    limits = (struct brim_conf_limits){.connections = 1000};
    abuse = (struct brim_conf_abuse){.strikes = 3, .window_ms = 1000, .ban_ms = 5000};
}

static void teardown(void)
{
    brim_clients_close(clients);
}

static void open_clients(void)
{
    clients = brim_clients_open(&limits, &abuse);
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage out = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&out, &v4, sizeof(v4));
    } else {
        ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        memcpy(&out, &v6, sizeof(v6));
    }
    return out;
}

static enum brim_ending enter(const char *text, uint64_t now_ms, uint32_t *place_out)
{
    struct sockaddr_storage peer = address(text);

    return brim_clients_enter(clients, &peer, now_ms, place_out);
}

/* One address may not have all the connections; another is not hindered by that. */
START_TEST(connections_of_an_address_are_limited)
{
    uint32_t first, second, third, other;

    limits.connections_per_address = 2;
    open_clients();
    ck_assert_int_eq(enter("192.0.2.1", 1, &first), BRIM_ENDING_NONE);
    ck_assert_int_eq(enter("192.0.2.1", 1, &second), BRIM_ENDING_NONE);
    ck_assert_uint_eq(first, second);
    ck_assert_int_eq(enter("192.0.2.1", 1, &third), BRIM_ENDING_ADDRESS_CROWDED);
    ck_assert_uint_eq(third, 0);
    ck_assert_int_eq(enter("192.0.2.2", 1, &other), BRIM_ENDING_NONE);
    brim_clients_leave(clients, first);
    ck_assert_int_eq(enter("192.0.2.1", 1, &third), BRIM_ENDING_NONE);
    brim_clients_leave(clients, second);
    brim_clients_leave(clients, third);
    brim_clients_leave(clients, other);
}
END_TEST

/* Who has one IPv6 address has 2^64 of them. */
START_TEST(an_ipv6_client_is_its_64)
{
    uint32_t first, second;

    limits.connections_per_address = 1;
    open_clients();
    ck_assert_int_eq(enter("2001:db8:1:2::1", 1, &first), BRIM_ENDING_NONE);
    ck_assert_int_eq(enter("2001:db8:1:2:ffff::9", 1, &second), BRIM_ENDING_ADDRESS_CROWDED);
    ck_assert_int_eq(enter("2001:db8:1:3::1", 1, &second), BRIM_ENDING_NONE);
    brim_clients_leave(clients, first);
    brim_clients_leave(clients, second);
}
END_TEST

START_TEST(other_families_are_not_seen)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    uint32_t place = 7;

    limits.connections_per_address = 1;
    open_clients();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brim_clients_enter(clients, &peer, 1, &place), BRIM_ENDING_NONE);
        ck_assert_uint_eq(place, 0);
        ck_assert(!brim_clients_spend(clients, place, 10 * BRIM_CLIENTS_STRIKE, 1));
        brim_clients_leave(clients, place);
    }
}
END_TEST

/* Budgets add up over connections, within the window; the ban ends by itself. */
START_TEST(spent_budgets_ban_an_address_for_a_while)
{
    int64_t before = brim_metric_read(BRIM_METRIC_CLIENTS_BANNED);
    uint32_t place, again;

    open_clients();
    ck_assert_int_eq(enter("192.0.2.1", 100, &place), BRIM_ENDING_NONE);
    ck_assert(!brim_clients_spend(clients, place, 2 * BRIM_CLIENTS_STRIKE, 200));
    ck_assert(!brim_clients_spend(clients, place, 2 * BRIM_CLIENTS_STRIKE, 2000)); /* too late */
    ck_assert(!brim_clients_spend(clients, place, BRIM_CLIENTS_STRIKE / 2, 2100));
    ck_assert(brim_clients_spend(clients, place, BRIM_CLIENTS_STRIKE / 2, 2200));
    ck_assert(!brim_clients_spend(clients, place, 9 * BRIM_CLIENTS_STRIKE, 2300)); /* it is */
    ck_assert_int_eq(enter("192.0.2.1", 2400, &again), BRIM_ENDING_ADDRESS_BANNED);
    ck_assert_int_eq(enter("192.0.2.2", 2400, &again), BRIM_ENDING_NONE);
    brim_clients_leave(clients, again);
    brim_clients_leave(clients, place); /* with no connection left it is remembered all the same */
    ck_assert_int_eq(enter("192.0.2.1", 7199, &again), BRIM_ENDING_ADDRESS_BANNED);
    ck_assert_int_eq(enter("192.0.2.1", 7200, &again), BRIM_ENDING_NONE);
    brim_clients_leave(clients, again);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_CLIENTS_BANNED) - before, 1);
}
END_TEST

/* A connection is looked up by the time of its beginning, on any worker, and behind a PROXY header:
 * what was held against its address since must not count as over. */
START_TEST(who_began_before_what_is_held_against_him_forgives_nothing)
{
    uint32_t place, older;

    open_clients();
    ck_assert_int_eq(enter("192.0.2.1", 100, &place), BRIM_ENDING_NONE);
    ck_assert(!brim_clients_spend(clients, place, 2 * BRIM_CLIENTS_STRIKE, 5000));
    ck_assert_int_eq(enter("192.0.2.1", 4999, &older), BRIM_ENDING_NONE);
    ck_assert(brim_clients_spend(clients, place, BRIM_CLIENTS_STRIKE, 5001));
    brim_clients_leave(clients, older);
    brim_clients_leave(clients, place);
}
END_TEST

START_TEST(no_strikes_ban_nobody)
{
    uint32_t place;

    abuse.strikes = 0;
    open_clients();
    ck_assert_int_eq(enter("192.0.2.1", 1, &place), BRIM_ENDING_NONE);
    ck_assert(!brim_clients_spend(clients, place, UINT32_MAX, 1));
    ck_assert(!brim_clients_spend(clients, place, UINT32_MAX, 1));
    ck_assert_int_eq(enter("192.0.2.1", 1, &place), BRIM_ENDING_NONE);
    brim_clients_leave(clients, place);
    brim_clients_leave(clients, place);
}
END_TEST

/* More addresses than places: the table keeps its size, nobody is refused for it, and those that
 * have a place keep it. */
START_TEST(the_table_is_bounded)
{
    enum { MANY = 20000 };
    static uint32_t places[MANY];
    int64_t unseen = 0;
    char text[32];

    limits.connections = 16;
    open_clients();
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "10.%d.%d.%d", i >> 16 & 255, i >> 8 & 255, i & 255);
        ck_assert_int_eq(enter(text, 1, &places[i]), BRIM_ENDING_NONE);
        unseen += places[i] == 0;
    }
    ck_assert_int_ge(unseen, MANY - 256 * 8);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_CLIENTS_UNSEEN), unseen);
    for (int i = 0; i < MANY; i++)
        brim_clients_leave(clients, places[i]);
    for (int i = 0; i < 100; i++) { /* what is over makes room */
        snprintf(text, sizeof(text), "10.77.0.%d", i);
        ck_assert_int_eq(enter(text, 2, &places[i]), BRIM_ENDING_NONE);
        ck_assert_uint_ne(places[i], 0);
        brim_clients_leave(clients, places[i]);
    }
}
END_TEST

static void *come_and_go(void *arg)
{
    char text[32];

    (void)arg;
    for (int i = 0; i < 20000; i++) {
        uint32_t place;

        snprintf(text, sizeof(text), "192.0.2.%d", i % 200);
        if (enter(text, 1, &place) == BRIM_ENDING_NONE)
            brim_clients_leave(clients, place);
    }
    return NULL;
}

/* Else what one has taken and not given back would be held against the next. */
START_TEST(an_address_holds_its_share_until_it_is_free)
{
    uint32_t place, same, other;
    struct brim_ledger *share;

    limits.connections_per_address = 4;
    limits.client_memory_bytes = 80000;
    open_clients();
    ck_assert_int_eq(enter("192.0.2.1", 1, &place), BRIM_ENDING_NONE);
    ck_assert_int_eq(enter("192.0.2.1", 1, &same), BRIM_ENDING_NONE);
    ck_assert_int_eq(enter("192.0.2.2", 1, &other), BRIM_ENDING_NONE);
    share = brim_clients_share(clients, place);
    ck_assert_ptr_eq(brim_clients_share(clients, same), share);
    ck_assert_ptr_ne(brim_clients_share(clients, other), share);
    ck_assert_ptr_eq(brim_ledger_whole(share), brim_clients_ledger(clients));
    ck_assert_ptr_eq(brim_clients_share(clients, 0), brim_clients_ledger(clients));
    brim_ledger_hold(share, 30000);
    brim_clients_leave(clients, place);
    brim_clients_leave(clients, same);
    for (int i = 0; i < 20000; i++) { /* others come and go, through all places */
        char text[40];

        snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250);
        ck_assert_int_eq(enter(text, 1, &same), BRIM_ENDING_NONE);
        ck_assert_uint_ne(same, place);
        brim_clients_leave(clients, same);
    }
    ck_assert_int_eq(enter("192.0.2.1", 1, &same), BRIM_ENDING_NONE);
    ck_assert_uint_eq(same, place);
    ck_assert(!brim_ledger_take(share, 1, BRIM_LEDGER_FULL));
    brim_ledger_hold(share, -30000);
    ck_assert_int_eq(brim_ledger_held(brim_clients_ledger(clients)), 0);
}
END_TEST

/* Behind a balancer all have one address, and the operator says so by this. */
START_TEST(where_addresses_do_not_count_all_is_one_share)
{
    uint32_t place;

    limits.connections_per_address = 0;
    open_clients();
    ck_assert_int_eq(enter("192.0.2.1", 1, &place), BRIM_ENDING_NONE);
    ck_assert_ptr_eq(brim_clients_share(clients, place), brim_clients_ledger(clients));
}
END_TEST

/* Workers share it. */
START_TEST(threads_leave_no_count_behind)
{
    pthread_t threads[4];
    uint32_t place;

    limits.connections_per_address = 1;
    open_clients();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 200; i++) {
        char text[32];

        snprintf(text, sizeof(text), "192.0.2.%d", i);
        ck_assert_int_eq(enter(text, 1, &place), BRIM_ENDING_NONE);
        brim_clients_leave(clients, place);
    }
}
END_TEST

/* Log, metric and table agree. */
START_TEST(every_ending_has_a_text_and_a_row)
{
    char *text = NULL;
    size_t len;

    ck_assert_str_eq(brim_ending_text(BRIM_ENDING_NONE), "");
    for (int i = 1; i < BRIM_ENDING_COUNT; i++) {
        ck_assert_uint_gt(strlen(brim_ending_text((enum brim_ending)i)), 3);
        brim_ending_count((enum brim_ending)i);
    }
    ck_assert(brim_ending_is_abuse(BRIM_ENDING_RESETS));
    ck_assert(brim_ending_is_abuse(BRIM_ENDING_BLOCK_DRAINING));
    ck_assert(!brim_ending_is_abuse(BRIM_ENDING_HANDSHAKE_SLOW));
    ck_assert(!brim_ending_is_abuse(BRIM_ENDING_NONE));
    brim_metric_render(&text, &len);
    for (char *at = text; *at != '\0'; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
#define ROW(id, words)                                                                             \
    ck_assert_ptr_nonnull(strstr(text, "BRIM_CONNECTIONS_ENDED_TOTAL{REASON=\"" #id "\"} 1\n"));
    BRIM_ENDING_TABLE(ROW)
#undef ROW
    free(text);
    open_clients();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_clients");
    TCase *tcase = tcase_create("clients");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, connections_of_an_address_are_limited);
    tcase_add_test(tcase, an_ipv6_client_is_its_64);
    tcase_add_test(tcase, other_families_are_not_seen);
    tcase_add_test(tcase, spent_budgets_ban_an_address_for_a_while);
    tcase_add_test(tcase, who_began_before_what_is_held_against_him_forgives_nothing);
    tcase_add_test(tcase, no_strikes_ban_nobody);
    tcase_add_test(tcase, the_table_is_bounded);
    tcase_add_test(tcase, an_address_holds_its_share_until_it_is_free);
    tcase_add_test(tcase, where_addresses_do_not_count_all_is_one_share);
    tcase_add_test(tcase, threads_leave_no_count_behind);
    tcase_add_test(tcase, every_ending_has_a_text_and_a_row);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
