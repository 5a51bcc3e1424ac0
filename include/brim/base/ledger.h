/* SPDX-License-Identifier: MIT */
/*
 * ledger - what all clients together make the node hold, how much that may be, and what each
 * address has of it.
 *
 * Whoever takes memory on behalf of clients enters it here when he takes it, and takes it off when
 * it is free: one atomic number for the whole node. What can be refused asks first (take); what
 * cannot is entered all the same (hold). What several clients share is entered once.
 *
 *      0          1/4        1/2         3/4    7/8      ceiling
 *      |-----------|----------|-----------|------|----------|
 *               SHARED     NARROW      CROWDED CLOSED     FULL
 *
 *      SHARED   shares are looked at, see below
 *      NARROW   what waits between an origin and a slow client is cut short
 *      CROWDED  the connections that hold most are ended, until it is no more
 *      CLOSED   no exchange with an origin begins
 *      FULL     nothing that can be refused is granted
 *
 * So the greediest go before anybody is refused for long, and the last eighth is for what costs
 * little: what is stored, new connections.
 *
 * An address has a share: a ledger that enters in the whole what is entered in it, and knows which
 * part of that is its own. Beyond SHARED, who has more than half of what is left up to a mark is
 * refused as if the mark had been reached. One greedy address stops at a third of it, two at a
 * quarter each, and so on: there is always twice as much left as the greediest has, for whoever has
 * little, and for what grows that was begun. Nobody need know how many they are.
 *
 * NULL is a ledger without a ceiling that nobody reads.
 */
#ifndef BRIM_BASE_LEDGER_H
#define BRIM_BASE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct brim_ledger { /* private: all of it */
    uint32_t magic;
    struct brim_ledger *whole; /* what it is a share of; NULL: it is the whole */
    int64_t ceiling_bytes;     /* of the whole, as the last */
    _Atomic int64_t held_bytes;
    _Atomic int64_t expected_bytes;
};

enum brim_ledger_mark {
    BRIM_LEDGER_SHARED,
    BRIM_LEDGER_NARROW,
    BRIM_LEDGER_CROWDED,
    BRIM_LEDGER_CLOSED,
    BRIM_LEDGER_FULL,
};

/* What whoever is refused is told. */
#define BRIM_LEDGER_REFUSAL "clients hold all the memory that they may"

/* ceiling_bytes 0: none, nothing is ever refused. */
struct brim_ledger *brim_ledger_open(int64_t ceiling_bytes);
void brim_ledger_close(struct brim_ledger *ledger);

/* Makes a share of whole, which is borrowed, in zeroed memory; once more is as good as once. It
 * needs no end. */
void brim_ledger_share(struct brim_ledger *share, struct brim_ledger *whole);

/* What it is a share of, or itself. */
struct brim_ledger *brim_ledger_whole(struct brim_ledger *ledger);

/* Enters bytes, or takes them off (< 0). Thread: any. */
void brim_ledger_hold(struct brim_ledger *ledger, int64_t bytes);

/* Enters bytes unless more than up to mark would be held then, or the share is too large for more;
 * false: it was refused, and logged.
 * Thread: any. */
bool brim_ledger_take(struct brim_ledger *ledger, size_t bytes, enum brim_ledger_mark mark);

/* Whether more is held than up to mark, or the share is too large for more. Thread: any. */
bool brim_ledger_is_beyond(const struct brim_ledger *ledger, enum brim_ledger_mark mark);

/* So many of the bytes will be free soon, as their holder was ended; or (< 0) they are. They count
 * as held until then, but not for brim_ledger_excess(). Thread: any. */
void brim_ledger_expect(struct brim_ledger *ledger, int64_t bytes);

/* How much is held beyond CROWDED that is not about to be free; <= 0: none. Thread: any. */
int64_t brim_ledger_excess(const struct brim_ledger *ledger);

int64_t brim_ledger_held(const struct brim_ledger *ledger);

#endif
