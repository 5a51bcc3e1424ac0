/* SPDX-License-Identifier: MIT */
/*
 * balance - which server of a pool is asked: by a method, by weight, and by what is known of each
 * server from the exchanges with it and from health checks. A server that fails again and again is
 * left out for a while, one that fails its checks until it passes them; both come back gently.
 *
 * Main rule: as long as checks find one server up, or there are no checks, somebody is always
 * asked. Backups are for when no other server is in; when all are left out because exchanges
 * failed, all are in again, since nothing is gained by asking none. Only where another pool stands
 * in (has_fallback) or checks find all down is nobody asked. Refuses to know HTTP, clocks and
 * chance: times come with the calls.
 */
#ifndef BRIM_ORIGIN_BALANCE_H
#define BRIM_ORIGIN_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "brim/base/err.h"

#define BRIM_BALANCE_SERVERS_MAX 256u

struct brim_balance; /* opaque: the servers of one origin, with what is known of them */

enum brim_balance_method { /* values of origins[].balance */
                           BRIM_BALANCE_ROUND_ROBIN,
                           BRIM_BALANCE_LEAST_CONNECTIONS,
                           BRIM_BALANCE_EWMA,
                           BRIM_BALANCE_HASH,
};

struct brim_balance_server {
    const char *url; /* "http://host:port" without path; borrowed for ever */
    unsigned weight; /* 1 to 1000 */
    unsigned
        connections_max; /* exchanges at a time; 0: no limit. Others are picked before it waits */
    bool is_backup;
};

struct brim_balance_config {
    const char *name; /* of the origin, for logs; borrowed for ever */
    const struct brim_balance_server *servers;
    unsigned server_count;
    enum brim_balance_method method;
    unsigned eject_failures; /* in a row; 0: no matter */
    unsigned eject_percent;  /* of the exchanges of some seconds; 0: no matter */
    uint64_t eject_ms;       /* the first time; doubles, up to 32 times that */
    unsigned eject_max;      /* percent of the servers that may be out */
    uint64_t slow_start_ms;  /* from a tenth of its share to all of it; 0: at once */
    unsigned retry_percent;  /* of the exchanges; and a few */
    unsigned rise;           /* checks passed in a row that bring a server back */
    unsigned fall;           /* failed in a row that take it down */
    bool asks_down;          /* when all are down by their checks, all are asked */
    bool has_fallback;       /* another pool is asked when all are out: so all may be */
};

/* Owns: *the result is the caller's. Thread: init or control. */
struct brim_balance *brim_balance_open(const struct brim_balance_config *config);
void brim_balance_close(struct brim_balance *balance); /* accepts NULL; no exchange is under way */

/* Takes over what old knows of servers with the same URL: checks, ejections, latency. Before
 * balance is used. Thread: control. */
void brim_balance_inherit(struct brim_balance *balance, struct brim_balance *old);

/* The servers that an exchange has asked. Zeroed: none. */
struct brim_balance_tried {
    uint64_t bits[BRIM_BALANCE_SERVERS_MAX / 64];
    unsigned count;
    bool is_retry; /* counts as one although none of these was asked: others were */
    bool insists;  /* nobody else stands in any more: asks as if there were no fallback */
};

/*
 * Picks the server to ask, or to ask next, and notes it in tried; every pick is followed by one
 * brim_balance_end(). hash: what HASH goes by, the same for what should go to one server.
 * Errors: BRIM_ENOENT all have been tried, or nobody is to be asked; BRIM_ELIMIT too many exchanges
 * are being tried again.
 * Thread: any.
 */
BRIM_MUST_USE enum brim_err brim_balance_pick(struct brim_balance *balance, uint64_t hash,
                                              uint64_t now_mono_ms,
                                              struct brim_balance_tried *tried,
                                              unsigned *server_out);
/* The same for one server that somebody prefers, before any other is picked: BRIM_ENOENT: it is
 * out, down or full. */
BRIM_MUST_USE enum brim_err brim_balance_pick_this(struct brim_balance *balance, unsigned server,
                                                   uint64_t now_mono_ms,
                                                   struct brim_balance_tried *tried);
unsigned brim_balance_count(const struct brim_balance *balance);
unsigned brim_balance_connections_max(const struct brim_balance *balance, unsigned server);
const char *brim_balance_url(const struct brim_balance *balance, unsigned server);

enum brim_balance_verdict {
    BRIM_BALANCE_GOOD,
    BRIM_BALANCE_BAD,     /* no answer, or one that says that the server cannot */
    BRIM_BALANCE_SLOW,    /* cancelled for being slow: its latency is more than is told */
    BRIM_BALANCE_UNKNOWN, /* cancelled, or not the server's doing */
};

/* An exchange has ended. latency_ms: to the first byte of the answer; where GOOD or SLOW. */
void brim_balance_end(struct brim_balance *balance, unsigned server,
                      enum brim_balance_verdict verdict, uint64_t latency_ms, uint64_t now_mono_ms);

enum brim_balance_change { BRIM_BALANCE_SAME, BRIM_BALANCE_WENT_DOWN, BRIM_BALANCE_CAME_UP };

/* A health check has ended, GOOD or BAD. Returns what became of the server by it. Thread: any. */
enum brim_balance_change brim_balance_checked(struct brim_balance *balance, unsigned server,
                                              enum brim_balance_verdict verdict,
                                              uint64_t now_mono_ms);

/* How many servers are down by their checks. Thread: any. */
unsigned brim_balance_down(struct brim_balance *balance);

/* The metric has how many servers are left out from here to as many brim_balance_hide(): of the
 * origins in force, not of an older config's that exchanges still end with. Thread: control. */
void brim_balance_show(struct brim_balance *balance);
void brim_balance_hide(struct brim_balance *balance);

#endif
