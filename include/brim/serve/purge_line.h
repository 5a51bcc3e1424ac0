/* SPDX-License-Identifier: MIT */
/*
 * purge_line - purges that event loops make (PURGE, brim.cache.purge), where there is a tier above:
 * passed on to it first (purge_up.h), made here when it has purged.
 *
 * Threads of its own wait for the tier above, so that neither a loop nor the I/O pool does. Refuses
 * to know who is asked, and how: that is purge_up's.
 */
#ifndef BRIM_SERVE_PURGE_LINE_H
#define BRIM_SERVE_PURGE_LINE_H

#include "brim/base/watch.h"
#include "brim/cache/cache.h"
#include "brim/policy/script_lib.h"
#include "brim/serve/purge_up.h"

struct brim_purge_line; /* opaque */
struct brim_purge_wait; /* opaque: one purge that somebody waits for */

/* What is purged: by name, for those above, and as scopes, for here. */
struct brim_purge_order {
    struct brim_script_purge named;
    const uint64_t *scopes;
    size_t scope_count;
};

/* up: taken. cache: borrowed. NULL: nobody is above (up is NULL) or there are no threads (logged).
 * Thread: init. */
struct brim_purge_line *brim_purge_line_open(struct brim_purge_up *up, struct brim_cache *cache);
/* Those that wait are tried once more each, until one fails; the rest is dropped and logged. When
 * loops are gone. Accepts NULL. Thread: init. */
void brim_purge_line_close(struct brim_purge_line *line);

struct brim_purge_up *brim_purge_line_up(struct brim_purge_line *line); /* NULL's is NULL */

/*
 * Begins a purge; port is fired when it has ended. The caller holds the result until
 * brim_purge_line_end(). NULL: too many wait. Thread: any, also a loop.
 */
struct brim_purge_wait *brim_purge_line_ask(struct brim_purge_line *line,
                                            const struct brim_purge_order *order,
                                            struct brim_port *port);

enum brim_purge_line_state {
    BRIM_PURGE_LINE_WAITS,
    BRIM_PURGE_LINE_MADE,       /* there, and here: in force and durable */
    BRIM_PURGE_LINE_FORGETFUL,  /* there, and here: but a restart would forget it */
    BRIM_PURGE_LINE_NOT_PASSED, /* one above did not purge: nothing is purged here */
};
/* *wrong_out: what was wrong with which; borrowed from wait. Thread: any, also a loop. */
enum brim_purge_line_state brim_purge_line_look(const struct brim_purge_wait *wait,
                                                const char **wrong_out);
void brim_purge_line_end(struct brim_purge_wait *wait); /* accepts NULL */

/*
 * Passes a purge on behind, in the order of the calls, trying again for KEEP_MS where one above
 * does not purge, and makes it here after that. What is given up is logged. False: too many wait.
 * Thread: any, also a loop.
 */
bool brim_purge_line_post(struct brim_purge_line *line, const struct brim_purge_order *order);
/* Has handlers that are given stores post theirs. line NULL: nothing. Thread: init. */
void brim_purge_line_serve(struct brim_purge_line *line, struct brim_script_stores *stores);

#endif
