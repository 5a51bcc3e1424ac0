/* SPDX-License-Identifier: MIT */
/*
 * loop_clock - the wall clock that h2o's timeouts are measured by, when it is set back.
 *
 * A timeout that was begun before then lies in the future: it would end later by as much as the
 * clock was set back, and hold up all that stand behind it in its list, which is read from the
 * front. What waits for its next turn, a long delivery say, would wait for hours.
 */
#ifndef BRIM_SERVE_LOOP_CLOCK_H
#define BRIM_SERVE_LOOP_CLOCK_H

#include <h2o.h>

/*
 * Begins anew, at the loop's now, whatever began after it. For after every turn; *seen_ms is the
 * caller's, 0 at first.
 * Thread: loop.
 */
void brim_loop_clock_mend(h2o_loop_t *loop, uint64_t *seen_ms);

#endif
