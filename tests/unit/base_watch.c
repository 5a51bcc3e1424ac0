/* SPDX-License-Identifier: MIT */
#include "brim/base/watch.h"

#include <stdlib.h>

#include "unit.h"

/* A waiting party that counts what happens to it. */
struct party {
    struct brim_port port;
    _Atomic unsigned notified;
    _Atomic unsigned destroyed;
    struct brim_watch *leaves; /* if set, notify() removes itself from it */
};

static void notify(struct brim_port *port)
{
    struct party *party = (struct party *)port;

    atomic_fetch_add(&party->notified, 1);
    if (party->leaves != NULL)
        (void)brim_watch_remove(party->leaves, port); /* deadlocks if a lock were held */
}

static void destroy(struct brim_port *port)
{
    struct party *party = (struct party *)port;

    atomic_fetch_add(&party->destroyed, 1);
}

static struct brim_watch watch;

static void setup(void)
{
    brim_watch_init(&watch);
}

static void teardown(void)
{
    brim_watch_fini(&watch);
}

/* What the owner does with a notification. */
static void handle(struct party *party)
{
    brim_port_begin(&party->port);
    brim_port_unref(&party->port);
}

/* A flight that moves a thousand times while a loop is busy must post one message, not thousands.
 */
START_TEST(burst_is_one_notification_until_the_owner_begins)
{
    struct party party = {.leaves = NULL};

    brim_port_init(&party.port, notify, destroy);
    for (int i = 0; i < 1000; i++)
        brim_port_fire(&party.port);
    ck_assert_uint_eq(party.notified, 1);
    handle(&party);
    brim_port_fire(&party.port);
    ck_assert_uint_eq(party.notified, 2);
    handle(&party);
    ck_assert_uint_eq(party.destroyed, 0);
    brim_port_unref(&party.port);
    ck_assert_uint_eq(party.destroyed, 1);
}
END_TEST

/* A request may end while its notification is on the way: the port lives until that arrives. */
START_TEST(outstanding_notification_keeps_the_port)
{
    struct party party = {.leaves = NULL};

    brim_port_init(&party.port, notify, destroy);
    brim_port_fire(&party.port);
    brim_port_unref(&party.port); /* the owner is gone */
    ck_assert_uint_eq(party.destroyed, 0);
    handle(&party);
    ck_assert_uint_eq(party.destroyed, 1);
}
END_TEST

/* Beyond the array that fits on the stack, every waiter must still be told. */
START_TEST(fire_reaches_every_port_of_a_crowd)
{
    enum { CROWD = 1000 };
    struct party *parties = calloc(CROWD, sizeof(*parties));

    ck_assert_ptr_nonnull(parties);
    for (int i = 0; i < CROWD; i++) {
        brim_port_init(&parties[i].port, notify, destroy);
        brim_watch_add(&watch, &parties[i].port);
    }
    brim_watch_fire(&watch);
    for (int i = 0; i < CROWD; i++) {
        ck_assert_uint_eq(parties[i].notified, 1);
        handle(&parties[i]);
        ck_assert(brim_watch_remove(&watch, &parties[i].port));
        ck_assert(!brim_watch_remove(&watch, &parties[i].port));
        brim_port_unref(&parties[i].port);
        ck_assert_uint_eq(parties[i].destroyed, 1);
    }
    free(parties);
}
END_TEST

/* Removing moves the last port into the gap: nobody may be lost or told twice by that. */
START_TEST(removal_in_any_order_keeps_the_others)
{
    enum { PORTS = 7 };
    struct party parties[PORTS] = {0};

    for (int i = 0; i < PORTS; i++) {
        brim_port_init(&parties[i].port, notify, destroy);
        brim_watch_add(&watch, &parties[i].port);
    }
    ck_assert(brim_watch_remove(&watch, &parties[0].port));
    ck_assert(brim_watch_remove(&watch, &parties[6].port));
    ck_assert(brim_watch_remove(&watch, &parties[3].port));
    brim_watch_fire(&watch);
    for (int i = 0; i < PORTS; i++) {
        bool is_gone = i == 0 || i == 6 || i == 3;

        ck_assert_uint_eq(parties[i].notified, is_gone ? 0 : 1);
        if (!is_gone) {
            handle(&parties[i]);
            ck_assert(brim_watch_remove(&watch, &parties[i].port));
        }
    }
}
END_TEST

/* A request waits for a flight and for a body: the place on one says nothing about the other. */
START_TEST(port_on_two_watches_leaves_each)
{
    struct brim_watch other;
    struct party parties[3] = {0};

    brim_watch_init(&other);
    for (int i = 0; i < 3; i++) {
        brim_port_init(&parties[i].port, notify, destroy);
        brim_watch_add(&watch, &parties[i].port);
    }
    for (int i = 2; i >= 0; i--)
        brim_watch_add(&other, &parties[i].port);
    for (int i = 0; i < 3; i++) {
        ck_assert(brim_watch_remove(&watch, &parties[i].port));
        ck_assert(!brim_watch_remove(&watch, &parties[i].port));
    }
    brim_watch_fire(&other);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(parties[i].notified, 1);
        ck_assert(brim_watch_remove(&other, &parties[i].port));
    }
    brim_watch_fini(&other);
}
END_TEST

/* notify() may run into code that takes the watch's lock: none may be held. */
START_TEST(notify_may_leave_the_watch)
{
    struct party party = {.leaves = &watch};

    brim_port_init(&party.port, notify, destroy);
    brim_watch_add(&watch, &party.port);
    brim_watch_fire(&watch);
    brim_watch_fire(&watch);
    ck_assert_uint_eq(party.notified, 1);
    handle(&party);
    brim_port_unref(&party.port);
    ck_assert_uint_eq(party.destroyed, 1);
}
END_TEST

/* Whoever ends a watch with waiters on it must not leak them. */
START_TEST(fini_drops_what_is_left)
{
    struct brim_watch left;
    struct party party = {.leaves = NULL};

    brim_watch_init(&left);
    brim_port_init(&party.port, notify, destroy);
    brim_watch_add(&left, &party.port);
    brim_port_unref(&party.port);
    ck_assert_uint_eq(party.destroyed, 0);
    brim_watch_fini(&left);
    ck_assert_uint_eq(party.destroyed, 1);
}
END_TEST

/* For the race below: a counter that threads move on and one owner who must see its end. */
enum { FIRERS = 3, MOVES = 20000 };
static _Atomic unsigned progress;

static void *move_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < MOVES; i++) {
        atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
        brim_watch_fire(&watch);
    }
    return NULL;
}

/* A lost wake-up is a response that hangs for ever. The owner looks only when it was notified, so
 * it reaches the end only if no notification is lost; otherwise the test times out. */
START_TEST(no_progress_is_lost_between_threads)
{
    struct party party = {.leaves = NULL};
    pthread_t threads[FIRERS];
    unsigned handled = 0;
    unsigned seen = 0;

    brim_port_init(&party.port, notify, destroy);
    brim_watch_add(&watch, &party.port);
    for (int i = 0; i < FIRERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, move_on, NULL), 0);
    while (seen < FIRERS * MOVES) {
        if (atomic_load(&party.notified) == handled)
            continue;
        handled++;
        brim_port_begin(&party.port);
        seen = atomic_load_explicit(&progress, memory_order_relaxed);
        brim_port_unref(&party.port);
    }
    for (int i = 0; i < FIRERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (; handled < atomic_load(&party.notified); handled++)
        handle(&party);
    ck_assert(brim_watch_remove(&watch, &party.port));
    brim_port_unref(&party.port);
    ck_assert_uint_eq(party.destroyed, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/watch");
    TCase *tcase = tcase_create("watch");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, burst_is_one_notification_until_the_owner_begins);
    tcase_add_test(tcase, outstanding_notification_keeps_the_port);
    tcase_add_test(tcase, fire_reaches_every_port_of_a_crowd);
    tcase_add_test(tcase, removal_in_any_order_keeps_the_others);
    tcase_add_test(tcase, port_on_two_watches_leaves_each);
    tcase_add_test(tcase, notify_may_leave_the_watch);
    tcase_add_test(tcase, fini_drops_what_is_left);
    tcase_add_test(tcase, no_progress_is_lost_between_threads);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
