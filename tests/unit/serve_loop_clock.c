/* SPDX-License-Identifier: MIT */
/* The loop's clock is the one below: h2o asks gettimeofday(), which this program answers. */
#include "brim/serve/loop_clock.h"

#include <sys/time.h>

#include "unit.h"

#define START_S 1790000000
#define HOUR_S  3600

static struct timeval now;
static unsigned ended;

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void)zone;
    *out = now;
    return 0;
}

static void on_end(h2o_timeout_entry_t *entry)
{
    (void)entry;
    ended++;
}

static void turn(h2o_loop_t *loop, uint64_t *seen_ms)
{
    ck_assert_int_eq(h2o_evloop_run(loop, 0), 0);
    brim_loop_clock_mend(loop, seen_ms);
}

/* A delivery that lets others go first has a timeout of 1 ms. With the clock set back by an hour
 * under it, it was silent for an hour, and so were all that came behind it. */
START_TEST(a_clock_that_is_set_back_holds_no_timeout_up)
{
    h2o_timeout_entry_t before = {.cb = on_end}, behind = {.cb = on_end};
    h2o_timeout_t next_turn;
    h2o_loop_t *loop;
    uint64_t seen_ms = 0;

    now = (struct timeval){.tv_sec = START_S};
    ended = 0;
    loop = h2o_evloop_create();
    h2o_timeout_init(loop, &next_turn, 1);
    turn(loop, &seen_ms);
    h2o_timeout_link(loop, &next_turn, &before);
    now.tv_sec -= HOUR_S;
    turn(loop, &seen_ms);
    h2o_timeout_link(loop, &next_turn, &behind);
    now.tv_usec += 2000;
    turn(loop, &seen_ms);
    ck_assert_uint_eq(ended, 2);
    h2o_timeout_dispose(loop, &next_turn);
    h2o_evloop_destroy(loop);
}
END_TEST

/* Without a step back nothing ends sooner or later than it should. */
START_TEST(a_clock_that_goes_on_is_left_alone)
{
    h2o_timeout_entry_t entry = {.cb = on_end};
    h2o_timeout_t second;
    h2o_loop_t *loop;
    uint64_t seen_ms = 0;

    now = (struct timeval){.tv_sec = START_S};
    ended = 0;
    loop = h2o_evloop_create();
    h2o_timeout_init(loop, &second, 1000);
    turn(loop, &seen_ms);
    h2o_timeout_link(loop, &second, &entry);
    now.tv_usec = 900000;
    turn(loop, &seen_ms);
    ck_assert_uint_eq(ended, 0);
    now.tv_sec++;
    turn(loop, &seen_ms);
    ck_assert_uint_eq(ended, 1);
    h2o_timeout_dispose(loop, &second);
    h2o_evloop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_loop_clock");
    TCase *tcase = tcase_create("loop_clock");

    tcase_add_test(tcase, a_clock_that_is_set_back_holds_no_timeout_up);
    tcase_add_test(tcase, a_clock_that_goes_on_is_left_alone);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
