/* SPDX-License-Identifier: MIT */
/*
 * purge - the epochs: what was declared gone or stale, when, in O(1) and in force at once.
 *
 * A purge raises the sequence and writes (scope -> sequence); every object carries the sequence at
 * which its fill began and is compared on every lookup, wherever it stands (RAM, disk, in flight),
 * so no race between a purge and a store can bring a purged byte back. A scope is a 64-bit hash of
 * its text (exact URL, prefix of URLs, host, tag, everything): a hash collision purges too much,
 * never too little. The table is bounded: past max_epochs the
 * oldest half is replaced by one "everything before" epoch (purges too much, never too little).
 *
 * A pattern (wildcards) has a scope as well, but no object knows that it is in it: each pattern is
 * compared with the URL, once an object and purge. So they are few: past BRIM_PURGE_PATTERNS_MAX
 * the oldest becomes a purge of the prefix in front of its first wildcard.
 *
 * Sequences must not come twice, also not after a crash that lost the newest epochs: then an object
 * of the lost time could carry a sequence that a later purge is given again, and outlive it. So the
 * owner keeps a durable reservation (scope brim_purge_scope_reserved) above every sequence given
 * out; restoring it continues there. See cache/cache.c.
 */
#ifndef BRIM_CACHE_PURGE_H
#define BRIM_CACHE_PURGE_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/cache/object.h"

struct brim_purge; /* opaque */

enum brim_purge_kind { BRIM_PURGE_HARD, BRIM_PURGE_SOFT };
enum brim_purge_state { BRIM_PURGE_ALIVE, BRIM_PURGE_STALE, BRIM_PURGE_GONE };

/* No process gives out so many: what is beyond was never a sequence. */
#define BRIM_PURGE_SEQ_MAX ((uint64_t)1 << 62)

struct brim_purge_epoch {
    uint64_t scope;
    uint64_t hard_seq;
    uint64_t soft_seq;
    struct brim_str
        pattern; /* of a scope of a pattern; borrowed from whoever made it, else empty */
};

/* Errors: BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_purge_open(unsigned max_epochs, struct brim_purge **purge_out);
void brim_purge_close(struct brim_purge *purge);

/* The sequence for a fill that begins now. Thread: any. */
uint64_t brim_purge_seq(const struct brim_purge *purge);

/* Scope of an exact URL by its key text, of all that begin with this text (at most
 * BRIM_PURGE_PREFIX_MAX bytes), of a host (authority as in a key text: lower-case, port unless it
 * is the scheme's), of a tag; of everything. Thread: any. */
#define BRIM_PURGE_PREFIX_MAX 65535u
uint64_t brim_purge_scope_url(struct brim_str key_text);
uint64_t brim_purge_scope_prefix(struct brim_str text);
uint64_t brim_purge_scope_host(struct brim_str authority);
uint64_t brim_purge_scope_tag(struct brim_str tag);
uint64_t brim_purge_scope_pattern(struct brim_str pattern);
uint64_t brim_purge_scope_all(void);
/* Names no objects: an epoch of this scope only moves the sequence forward when it is restored. */
uint64_t brim_purge_scope_reserved(void);

/* Puts a purge in force for every thread; *epoch_out is what the index must keep. Thread: any. */
void brim_purge_put(struct brim_purge *purge, uint64_t scope, enum brim_purge_kind kind,
                    struct brim_purge_epoch *epoch_out);

#define BRIM_PURGE_PATTERNS_MAX 256u

/* The same for all URLs whose key text is what the pattern says (cache/purge_pattern.h; at most
 * BRIM_PURGE_PATTERN_BYTES). epoch_out->pattern is pattern. Thread: any. */
void brim_purge_put_pattern(struct brim_purge *purge, struct brim_str pattern,
                            enum brim_purge_kind kind, struct brim_purge_epoch *epoch_out);

/* The epoch of everything as it is now: purges of everything, and what was collapsed into it.
 * Thread: any. */
void brim_purge_read_all(struct brim_purge *purge, struct brim_purge_epoch *epoch_out);

/* The epoch of this scope as it is now. False: none, or it was collapsed into that of everything.
 * Thread: any. */
bool brim_purge_read(struct brim_purge *purge, uint64_t scope, struct brim_purge_epoch *epoch_out);

/* Loads an epoch kept by the index, in any order. Thread: init. */
void brim_purge_restore(struct brim_purge *purge, const struct brim_purge_epoch *epoch);

/* What purges say of object. One load and compare when nothing was purged since. An object from
 * beyond the sequence (its epochs were lost) is GONE. Thread: any. */
enum brim_purge_state brim_purge_check(struct brim_purge *purge, struct brim_object *object);

/* Whether any epoch in it concerns object, however old: for a set of scopes that is no purge yet.
 * Thread: any. */
bool brim_purge_names(struct brim_purge *purge, const struct brim_object *object);

/* Tells every epoch that concerns object, as it is now; scope: "all", "url", "host", "tag",
 * "prefix" or "pattern". fn must not purge. Thread: any but a loop. */
void brim_purge_each(struct brim_purge *purge, const struct brim_object *object,
                     void (*fn)(const char *scope, const struct brim_purge_epoch *epoch, void *ctx),
                     void *ctx);

#endif
