/* SPDX-License-Identifier: MIT */
/*
 * checks - asks servers at intervals whether they are up, and tells their balance.
 *
 * One thread plans, the fetchers ask: a check goes the way of every exchange (TLS, names, HTTP
 * version) but takes no place in its pool and counts in no metric of requests. What is known of a
 * server lives in its balance, so a reload that keeps the origin keeps it.
 */
#ifndef BRIM_ORIGIN_CHECKS_H
#define BRIM_ORIGIN_CHECKS_H

#include "brim/origin/ask.h"

struct brim_checks; /* opaque */

/* What keeps a set of origins alive: unref is called once, when no check needs them any more. */
struct brim_checks_keep {
    void (*unref)(void *what); /* thread: any */
    void *what;
};

/* fetchers: borrowed. Thread: init. */
struct brim_checks *brim_checks_open(struct brim_fetchers *fetchers);

/*
 * Checks these origins from now on (those that have rules), and no others. Takes keep, also when
 * count is 0. Also tells the metrics how many servers there are. Thread: control.
 */
void brim_checks_follow(struct brim_checks *checks, struct brim_origin *const *origins,
                        size_t count, const struct brim_checks_keep *keep);

/* Starts no check any more; those under way end with the fetchers. Accepts NULL. Thread: init. */
void brim_checks_stop(struct brim_checks *checks);
/* After brim_fetchers_close(). Accepts NULL. Thread: init. */
void brim_checks_close(struct brim_checks *checks);

#endif
