/* SPDX-License-Identifier: MIT */
/* Which server is asked: shares, order, who is left out and for how long, what moves with a server.
 */
#include "brim/origin/balance.h"

#include <stdio.h>

#include "unit.h"

enum { SERVERS = 4, MANY = 20, KEYS = 20000 };

static struct brim_balance_server servers[MANY + 1];
static char urls[MANY + 1][32];
static struct brim_balance_config config;
static struct brim_balance *balance;
static uint64_t now_ms;

static void setup(void)
{
    for (unsigned i = 0; i <= MANY; i++) {
        (void)snprintf(urls[i], sizeof(urls[i]), "http://10.0.0.%u:80", i + 1);
        servers[i] = (struct brim_balance_server){.url = urls[i], .weight = 1};
    }
    config = (struct brim_balance_config){
        .name = "app",
        .servers = servers,
        .server_count = SERVERS,
        .eject_failures = 3,
        .eject_percent = 50,
        .eject_ms = 1000,
        .eject_max = 50,
        .retry_percent = 20,
    };
    now_ms = 1000000;
}

static void open_balance(void)
{
    balance = brim_balance_open(&config);
}

static void teardown(void)
{
    brim_balance_close(balance);
    balance = NULL;
}

static unsigned pick(uint64_t hash)
{
    struct brim_balance_tried tried = {.count = 0};
    unsigned server;

    ck_assert_int_eq(brim_balance_pick(balance, hash, now_ms, &tried, &server), BRIM_OK);
    return server;
}

static void end(unsigned server, enum brim_balance_verdict verdict)
{
    brim_balance_end(balance, server, verdict, 10, now_ms);
}

/* Whole exchanges, one after the other, and how many each server had. */
static void run(unsigned count, unsigned *had)
{
    memset(had, 0, (MANY + 1) * sizeof(*had));
    for (unsigned i = 0; i < count; i++) {
        unsigned server = pick(i);

        had[server]++;
        end(server, BRIM_BALANCE_GOOD);
    }
}

static void break_down(unsigned server, unsigned times)
{
    for (unsigned i = 0; i < times;) {
        unsigned picked = pick(i);

        end(picked, picked == server ? BRIM_BALANCE_BAD : BRIM_BALANCE_GOOD);
        i += picked == server;
    }
}

START_TEST(equal_servers_are_asked_in_turn)
{
    open_balance();
    for (unsigned i = 0; i < 3 * SERVERS; i++) {
        ck_assert_uint_eq(pick(7), i % SERVERS);
        end(i % SERVERS, BRIM_BALANCE_GOOD);
    }
}
END_TEST

/* Over any stretch, not only in the long run. */
/* Others are asked first; when all are full, the shortest queue. */
START_TEST(who_is_full_is_passed_over)
{
    unsigned had[MANY + 1] = {0};

    servers[0].connections_max = 2;
    servers[1].connections_max = 4;
    config.server_count = 3;
    servers[2].is_backup = true; /* full is not out: it is not asked instead */
    open_balance();
    for (unsigned i = 0; i < 6; i++)
        had[pick(0)]++;
    ck_assert_uint_eq(had[0], 2);
    ck_assert_uint_eq(had[1], 4);
    for (unsigned i = 0; i < 6; i++)
        had[pick(0)]++;
    ck_assert_uint_eq(had[0], 4);
    ck_assert_uint_eq(had[1], 8);
    ck_assert_uint_eq(had[2], 0);
}
END_TEST

START_TEST(weights_are_shares)
{
    unsigned had[MANY + 1];

    servers[1].weight = 3;
    servers[2].weight = 4;
    servers[3].weight = 2;
    open_balance();
    for (int stretch = 0; stretch < 5; stretch++) {
        run(100, had);
        for (unsigned i = 0; i < SERVERS; i++) {
            ck_assert_uint_ge(had[i], servers[i].weight * 10 - 2);
            ck_assert_uint_le(had[i], servers[i].weight * 10 + 2);
        }
    }
}
END_TEST

START_TEST(least_connections_asks_the_idle)
{
    unsigned held[3];

    config.method = BRIM_BALANCE_LEAST_CONNECTIONS;
    servers[3].weight = 2;
    open_balance();
    for (unsigned i = 0; i < 3; i++)
        held[i] = pick(0);
    for (unsigned i = 0; i < 3; i++) /* three different ones */
        for (unsigned j = 0; j < i; j++)
            ck_assert_uint_ne(held[i], held[j]);
    (void)pick(0);
    ck_assert_uint_eq(pick(0), 3); /* it may have two */
    end(held[1], BRIM_BALANCE_GOOD);
    ck_assert_uint_eq(pick(0), held[1]);
}
END_TEST

/* One server that is ten times slower gets less than half of its share, and not nothing. */
START_TEST(ewma_avoids_the_slow)
{
    unsigned had[MANY + 1] = {0};

    config.method = BRIM_BALANCE_EWMA;
    config.server_count = MANY;
    open_balance();
    for (unsigned i = 0; i < 10000; i++) {
        unsigned server = pick(0);

        had[server]++;
        brim_balance_end(balance, server, BRIM_BALANCE_GOOD, server == 5 ? 100 : 10, now_ms);
        now_ms += 1;
    }
    ck_assert_uint_lt(had[5], 10000 / MANY / 2);
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_lt(had[i], 2 * 10000 / MANY);
}
END_TEST

/* A server that hangs is seen by what it keeps, before it answers. */
START_TEST(ewma_avoids_who_does_not_answer)
{
    unsigned had[MANY + 1] = {0};

    config.method = BRIM_BALANCE_EWMA;
    open_balance();
    for (unsigned i = 0; i < 1000; i++) {
        unsigned server = pick(0);

        had[server]++;
        if (server != 2)
            end(server, BRIM_BALANCE_GOOD);
    }
    ck_assert_uint_lt(had[2], 20);
}
END_TEST

/* A minute of exchanges, each of which server 0 keeps, or answers as quickly as the other. */
static unsigned asked_of_first(bool answers)
{
    unsigned had = 0;

    for (unsigned i = 0; i < 600; i++) {
        unsigned server = pick(0);

        had += server == 0;
        if (server != 0 || answers)
            brim_balance_end(balance, server, BRIM_BALANCE_GOOD, 20, now_ms);
        now_ms += 100;
    }
    return had;
}

/* Of two, both are drawn each time: who was slow once would never be asked again, however quick it
 * is by now. */
START_TEST(ewma_asks_again_who_was_slow_once)
{
    config.method = BRIM_BALANCE_EWMA;
    config.server_count = 2;
    open_balance();
    ck_assert_uint_ne(pick(0), pick(0)); /* nobody is known: one each */
    brim_balance_end(balance, 0, BRIM_BALANCE_GOOD, 5000, now_ms);
    brim_balance_end(balance, 1, BRIM_BALANCE_GOOD, 20, now_ms);
    ck_assert_uint_eq(asked_of_first(true), 0);
    for (unsigned minute = 0; minute < 5; minute++)
        (void)asked_of_first(true);
    ck_assert_uint_gt(asked_of_first(true), 200);
    ck_assert_uint_lt(asked_of_first(true), 400);
}
END_TEST

/* Nor is what is known of a server that hangs forgotten all at once: now and then it is asked. */
START_TEST(ewma_tries_who_hangs_once_in_a_while)
{
    unsigned had = 0;

    config.method = BRIM_BALANCE_EWMA;
    config.server_count = 2;
    open_balance();
    (void)asked_of_first(true);
    for (unsigned minute = 0; minute < 10; minute++)
        had += asked_of_first(false);
    ck_assert_uint_lt(had, 30);
}
END_TEST

static unsigned owner(uint64_t hash)
{
    unsigned server = pick(hash);

    end(server, BRIM_BALANCE_GOOD);
    return server;
}

/* Adding one to n servers moves 1/(n+1) of the keys, all of them to the new one. */
START_TEST(hash_moves_what_it_must)
{
    static unsigned before[KEYS];
    unsigned moved = 0;

    config.method = BRIM_BALANCE_HASH;
    config.server_count = MANY;
    open_balance();
    for (uint64_t key = 0; key < KEYS; key++)
        before[key] = owner(key);
    teardown();
    config.server_count = MANY + 1;
    open_balance();
    for (uint64_t key = 0; key < KEYS; key++) {
        unsigned now = owner(key);

        ck_assert(now == before[key] || now == MANY);
        moved += now == MANY;
    }
    ck_assert_uint_le(moved, KEYS / (MANY + 1) + KEYS / 20);
    ck_assert_uint_ge(moved, KEYS / (MANY + 1) - KEYS / 50);
}
END_TEST

/* A key that all the world asks for does not drown its server. */
START_TEST(hash_is_bounded_by_load)
{
    unsigned had[MANY + 1] = {0}, most = 0;

    config.method = BRIM_BALANCE_HASH;
    open_balance();
    for (unsigned i = 0; i < 100; i++)
        had[pick(42)]++;
    for (unsigned i = 0; i < SERVERS; i++)
        most = had[i] > most ? had[i] : most;
    ck_assert_uint_le(most, 33);
}
END_TEST

START_TEST(who_fails_in_a_row_is_left_out_longer_each_time)
{
    unsigned had[MANY + 1];

    open_balance();
    break_down(1, 3);
    run(100, had);
    ck_assert_uint_eq(had[1], 0);
    now_ms += 999;
    run(100, had);
    ck_assert_uint_eq(had[1], 0);
    now_ms += 1;
    run(100, had);
    ck_assert_uint_eq(had[1], 25);
    break_down(1, 3);
    now_ms += 1999;
    run(100, had);
    ck_assert_uint_eq(had[1], 0);
    now_ms += 1;
    run(100, had);
    ck_assert_uint_eq(had[1], 25);
}
END_TEST

/* Every second exchange, so never three in a row. */
START_TEST(who_fails_too_often_is_left_out)
{
    unsigned had[MANY + 1];
    unsigned asked = 0;

    open_balance();
    for (unsigned i = 0; i < 200; i++) {
        unsigned server = pick(i);

        end(server, server == 2 && asked++ % 2 == 0 ? BRIM_BALANCE_BAD : BRIM_BALANCE_GOOD);
    }
    run(100, had);
    ck_assert_uint_eq(had[2], 0);
}
END_TEST

/* Half of them stay, whatever they do; and what nobody was at fault for counts for nothing. */
START_TEST(a_floor_is_never_left_out)
{
    unsigned had[MANY + 1], left = 0;

    open_balance();
    for (unsigned i = 0; i < 100; i++)
        end(pick(i), BRIM_BALANCE_UNKNOWN);
    run(100, had);
    for (unsigned i = 0; i < SERVERS; i++)
        ck_assert_uint_eq(had[i], 25);
    for (unsigned i = 0; i < 100; i++)
        end(pick(i), BRIM_BALANCE_BAD);
    run(100, had);
    for (unsigned i = 0; i < SERVERS; i++)
        left += had[i] > 0;
    ck_assert_uint_eq(left, 2);
}
END_TEST

START_TEST(a_backup_waits_for_all_others)
{
    unsigned had[MANY + 1];

    config.server_count = 2;
    servers[1].is_backup = true;
    open_balance();
    run(100, had);
    ck_assert_uint_eq(had[0], 100);
    break_down(0, 3);
    run(100, had);
    ck_assert_uint_eq(had[1], 100);
    now_ms += 1000;
    run(100, had);
    ck_assert_uint_eq(had[0], 100);
}
END_TEST

static void check(unsigned server, enum brim_balance_verdict verdict,
                  enum brim_balance_change change)
{
    ck_assert_int_eq(brim_balance_checked(balance, server, verdict, now_ms), change);
}

static void take_down(unsigned server)
{
    check(server, BRIM_BALANCE_BAD, BRIM_BALANCE_SAME);
    check(server, BRIM_BALANCE_BAD, BRIM_BALANCE_WENT_DOWN);
}

/* Not once, and not now and then. */
START_TEST(who_fails_its_checks_in_a_row_is_down_until_it_passes_some)
{
    unsigned had[MANY + 1];

    config.rise = 3;
    config.fall = 2;
    open_balance();
    check(1, BRIM_BALANCE_BAD, BRIM_BALANCE_SAME);
    check(1, BRIM_BALANCE_GOOD, BRIM_BALANCE_SAME);
    take_down(1);
    check(1, BRIM_BALANCE_BAD, BRIM_BALANCE_SAME);
    ck_assert_uint_eq(brim_balance_down(balance), 1);
    now_ms += 1000000;
    run(99, had);
    ck_assert_uint_eq(had[1], 0);
    check(1, BRIM_BALANCE_GOOD, BRIM_BALANCE_SAME);
    check(1, BRIM_BALANCE_GOOD, BRIM_BALANCE_SAME);
    check(1, BRIM_BALANCE_BAD, BRIM_BALANCE_SAME);
    check(1, BRIM_BALANCE_GOOD, BRIM_BALANCE_SAME);
    check(1, BRIM_BALANCE_GOOD, BRIM_BALANCE_SAME);
    check(1, BRIM_BALANCE_GOOD, BRIM_BALANCE_CAME_UP);
    run(100, had);
    ck_assert_uint_eq(had[1], 25);
}
END_TEST

/* The floor is for what exchanges tell; checks know better. */
START_TEST(when_all_are_down_nobody_is_asked_unless_that_is_wanted)
{
    struct brim_balance_tried tried = {.count = 0};
    unsigned server;

    config.rise = 1;
    config.fall = 2;
    open_balance();
    for (unsigned i = 0; i < SERVERS; i++)
        take_down(i);
    ck_assert_int_eq(brim_balance_pick(balance, 0, now_ms, &tried, &server), BRIM_ENOENT);
    teardown();
    config.asks_down = true;
    open_balance();
    for (unsigned i = 0; i < SERVERS; i++)
        take_down(i);
    end(pick(0), BRIM_BALANCE_GOOD);
}
END_TEST

/* Who is left out because exchanges failed is asked before who is down. */
START_TEST(the_ejected_go_before_those_that_are_down)
{
    unsigned had[MANY + 1];

    config.server_count = 2;
    config.rise = 1;
    config.fall = 2;
    open_balance();
    break_down(0, 3);
    take_down(1);
    run(10, had);
    ck_assert_uint_eq(had[0], 10);
}
END_TEST

/* Where another pool stands in there is no floor, and nobody is asked who is out. */
START_TEST(with_a_fallback_all_may_be_out)
{
    struct brim_balance_tried tried = {.count = 0};
    unsigned server;

    config.server_count = 1;
    config.has_fallback = true;
    open_balance();
    break_down(0, 3);
    ck_assert_int_eq(brim_balance_pick(balance, 0, now_ms, &tried, &server), BRIM_ENOENT);
    now_ms += 1000;
    end(pick(0), BRIM_BALANCE_GOOD);
}
END_TEST

/* By URL, wherever they stand; not its exchanges, which end where they began. */
START_TEST(a_new_pool_takes_over_what_is_known)
{
    struct brim_balance *old;
    unsigned had[MANY + 1], held;

    config.rise = 1;
    config.fall = 2;
    open_balance();
    break_down(1, 3);
    take_down(2);
    held = pick(0);
    old = balance;
    servers[0].url = urls[1];
    servers[1].url = urls[0];
    open_balance();
    brim_balance_inherit(balance, old);
    ck_assert_uint_eq(brim_balance_down(balance), 1);
    run(100, had);
    ck_assert_uint_eq(had[0], 0);
    ck_assert_uint_eq(had[1], 50);
    ck_assert_uint_eq(had[2], 0);
    brim_balance_end(old, held, BRIM_BALANCE_GOOD, 10, now_ms);
    brim_balance_close(old);
}
END_TEST

START_TEST(who_is_back_begins_gently)
{
    unsigned had[MANY + 1];

    config.slow_start_ms = 10000;
    config.server_count = 2;
    open_balance();
    break_down(0, 3);
    now_ms += 1000;
    run(110, had); /* sees that it is back: a tenth of the other's */
    ck_assert_uint_ge(had[0], 8);
    ck_assert_uint_le(had[0], 13);
    now_ms += 5000;
    run(150, had);
    ck_assert_uint_ge(had[0], 46);
    ck_assert_uint_le(had[0], 54);
    now_ms += 5000;
    run(100, had);
    ck_assert_uint_eq(had[0], 50);
}
END_TEST

/* An exchange asks each server once; all of them failing, retries stay a fifth, and ten. */
START_TEST(retries_are_bounded)
{
    unsigned server, retries = 0;

    config.eject_failures = config.eject_percent = 0;
    open_balance();
    for (unsigned i = 0; i < 100; i++) {
        struct brim_balance_tried tried = {.count = 0};
        unsigned seen = 0;

        while (brim_balance_pick(balance, 0, now_ms, &tried, &server) == BRIM_OK) {
            ck_assert_uint_eq(seen & 1u << server, 0);
            seen |= 1u << server;
            end(server, BRIM_BALANCE_BAD);
        }
        ck_assert_uint_gt(tried.count, 0);
        retries += tried.count - 1;
    }
    ck_assert_uint_ge(retries, 25);
    ck_assert_uint_le(retries, 31);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/balance");
    TCase *tcase = tcase_create("balance");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, equal_servers_are_asked_in_turn);
    tcase_add_test(tcase, who_is_full_is_passed_over);
    tcase_add_test(tcase, weights_are_shares);
    tcase_add_test(tcase, least_connections_asks_the_idle);
    tcase_add_test(tcase, ewma_avoids_the_slow);
    tcase_add_test(tcase, ewma_avoids_who_does_not_answer);
    tcase_add_test(tcase, ewma_asks_again_who_was_slow_once);
    tcase_add_test(tcase, ewma_tries_who_hangs_once_in_a_while);
    tcase_add_test(tcase, hash_moves_what_it_must);
    tcase_add_test(tcase, hash_is_bounded_by_load);
    tcase_add_test(tcase, who_fails_in_a_row_is_left_out_longer_each_time);
    tcase_add_test(tcase, who_fails_too_often_is_left_out);
    tcase_add_test(tcase, a_floor_is_never_left_out);
    tcase_add_test(tcase, a_backup_waits_for_all_others);
    tcase_add_test(tcase, who_is_back_begins_gently);
    tcase_add_test(tcase, who_fails_its_checks_in_a_row_is_down_until_it_passes_some);
    tcase_add_test(tcase, when_all_are_down_nobody_is_asked_unless_that_is_wanted);
    tcase_add_test(tcase, the_ejected_go_before_those_that_are_down);
    tcase_add_test(tcase, with_a_fallback_all_may_be_out);
    tcase_add_test(tcase, a_new_pool_takes_over_what_is_known);
    tcase_add_test(tcase, retries_are_bounded);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
