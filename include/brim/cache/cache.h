/* SPDX-License-Identifier: MIT */
/*
 * cache - the facade: find an object, grow a new one, purge. Hot tier, disk tier, epochs behind it.
 *
 * Refuses to know origins, clients and policy: what may be stored and how long is decided above
 * (http/freshness), with what is found here as its input.
 */
#ifndef BRIM_CACHE_CACHE_H
#define BRIM_CACHE_CACHE_H

#include "brim/cache/cache_config.h"
#include "brim/cache/object.h"
#include "brim/cache/purge.h"
#include "brim/cache/reader.h"

struct brim_cache; /* opaque */

/* Errors: those of brim_disk_open; BRIM_ENOMEM. Thread: init. */
BRIM_MUST_USE enum brim_err brim_cache_open(const struct brim_cache_config *config,
                                            struct brim_cache **cache_out);
void brim_cache_close(struct brim_cache *cache);

/*
 * Lets another process have the disk tier: what is queued is written, and nothing after that. Finds
 * go on, until a purge is made anywhere, which this process is not told of: from then on they say
 * BRIM_FOUND_PASS. What is purged here is passed on (purge_mail.h). Once. Thread: any but a loop
 * and the pool.
 */
void brim_cache_release(struct brim_cache *cache);

/* What readers of its objects read from. Borrowed. Thread: any. */
struct brim_load_from brim_cache_from(struct brim_cache *cache, struct brim_port *port);

/* The purge sequence for a fill that begins now: ask before the request goes out. */
uint64_t brim_cache_seq(const struct brim_cache *cache);

/* ---- find ---- */

enum brim_found {
    BRIM_FOUND_NONE,   /* nothing: start or join a flight under result.key */
    BRIM_FOUND_OBJECT, /* result.object is counted for the caller */
    BRIM_FOUND_PASS,   /* hit-for-miss: do not share a flight */
    BRIM_FOUND_WAIT,   /* a cold disk read is under way: port fires, then call find again; with
                          port NULL nothing was started: set it and call again */
};

struct brim_find {                /* in and out; zero it first; fini when done or abandoned */
    struct brim_key primary;      /* in: text is borrowed until fini */
    struct brim_fields request;   /* in: for Vary; borrowed until fini */
    struct brim_port *port;       /* in: fired after WAIT; NULL: WAIT and nothing begun */
    int64_t now_wall_ms;          /* in: for hit-for-miss notes */
    struct brim_object *object;   /* out: counted when OBJECT; the caller takes it */
    struct brim_key key;          /* out: variant key (or primary); text borrowed from here */
    bool soft_purged;             /* out: treat as stale */
    bool from_disk;               /* out */
    struct brim_object *marker;   /* private: what primary varies by */
    struct brim_key variant;      /* private */
    char *variant_text;           /* private */
    struct brim_cache_load *load; /* private */
};

/* Looks key and variant up in RAM, then on disk. Never blocks. Objects purged hard are not found.
 * Thread: loop (one caller per find). */
enum brim_found brim_cache_find(struct brim_cache *cache, struct brim_find *find);
void brim_find_fini(struct brim_find *find); /* idempotent; does not drop `object` */

/*
 * Reads what stands under key itself (no variants, no notes) and waits for the disk, if need be.
 *
 * Owns:   on BRIM_OK *object_out is counted for the caller.
 * Thread: pool.
 * Errors: BRIM_ENOENT not there, purged hard, or not readable.
 */
BRIM_MUST_USE enum brim_err brim_cache_load(struct brim_cache *cache, const struct brim_key *key,
                                            struct brim_object **object_out);

/* Reads a settled body whole. Owns: *bytes_out is the caller's, freed with free(). Thread: pool.
 * Errors: BRIM_ENOMEM; BRIM_EIO not all of it can be read. */
BRIM_MUST_USE enum brim_err brim_cache_read(struct brim_cache *cache, struct brim_body *body,
                                            char **bytes_out, size_t *len_out);

/* Has fn hear of every response that is stored from now on; it must not block. Thread: init. */
void brim_cache_on_publish(struct brim_cache *cache, void (*fn)(struct brim_object *, void *ctx),
                           void *ctx);

/* ---- fill ---- */

struct brim_fill; /* opaque: one object being grown by one thread */

/*
 * Begins to grow an object from spec (kind RESPONSE; spec.body NULL, made here; spec.seq from
 * brim_cache_seq() when the request went out). spec.key is ignored: it is made here from
 * spec.primary and, where the response's fields have Vary, from `request`.
 *
 * The body starts KEEP; it becomes SPILL past memory_object_bytes if there is a disk tier and
 * room, else WINDOW and the object will not be stored (brim_fill_is_storable turns false).
 * hooks: as in body.h; none is called once brim_fill_finish() or brim_fill_abort() has returned, so
 * hold no lock around these two that a hook takes. expected: body bytes or
 * BRIM_BODY_LENGTH_UNKNOWN. Errors: BRIM_ENOMEM; BRIM_ELIMIT (variant text too long; expected over
 * object_bytes_max). Thread: any; from here on one thread.
 */
BRIM_MUST_USE enum brim_err brim_cache_begin_fill(struct brim_cache *cache,
                                                  const struct brim_object_spec *spec,
                                                  struct brim_fields request, uint64_t expected,
                                                  const struct brim_body_hooks *hooks,
                                                  struct brim_fill **fill_out);

/* A body that nobody stores: WINDOW from the start (passes). */
BRIM_MUST_USE enum brim_err brim_cache_begin_pass(struct brim_cache *cache,
                                                  const struct brim_object_spec *spec,
                                                  uint64_t expected,
                                                  const struct brim_body_hooks *hooks,
                                                  struct brim_fill **fill_out);

/* The growing object: borrowed; complete in its metadata. */
struct brim_object *brim_fill_object(const struct brim_fill *fill);

/* BRIM_OK; BRIM_EAGAIN: taken, but pause until hooks.drained; anything else: abort. */
BRIM_MUST_USE enum brim_err brim_fill_append(struct brim_fill *fill, const void *bytes, size_t len);
bool brim_fill_is_storable(const struct brim_fill *fill);

/* Puts in force what the response varies by, if that is news: to be called before the last byte can
 * be seen. Ending the fill does it too. */
void brim_fill_announce(struct brim_fill *fill);
/* Ends the fill and publishes the object to the tiers if it is storable, not purged meanwhile and
 * its length is what was expected (else as abort with BRIM_EPROTO). Frees fill. What spills is
 * published when the rest of it is on disk. Where a fill that began as storable cannot be stored
 * after all, what stands under its key is dropped: it is older. */
void brim_fill_finish(struct brim_fill *fill);
/* The same; then calls then(ctx), once, when the object is published or never will be: before it
 * returns, or from a pool thread. */
void brim_fill_finish_then(struct brim_fill *fill, void (*then)(void *ctx), void *ctx);
/* The same as the first, but nothing is stored, and what is stored stays. */
void brim_fill_finish_unstored(struct brim_fill *fill);
/* The origin broke off: readers see FAILED, nothing is stored. Frees fill. */
void brim_fill_abort(struct brim_fill *fill, enum brim_err why);

/* Publishes an object that needs no fill: a 304's update that shares a body. */
void brim_cache_put(struct brim_cache *cache, struct brim_object *object);

/* Takes what stands under key out of every tier, say because its body cannot be read, its origin
 * has taken it back, or a newer one cannot be kept: the next request fetches it again. The hot tier
 * keeps what is not `only`, if that is not NULL. Where `only` is still on its way into the tiers,
 * it does not get there, and what is older goes. Thread: any, also a loop. */
void brim_cache_forget(struct brim_cache *cache, const struct brim_key *key,
                       struct brim_object *only);

/* That an answer may not be stored, so that those who ask for the same do not wait for each other.
 * What was answered to one says nothing about others: to a cookie, nothing about who has none; to a
 * part of the key beside the URL, nothing about other parts. */
struct brim_pass_note {
    struct brim_key primary;     /* as key, borrowed for the call */
    struct brim_key key;         /* that was asked for: primary, or of a variant */
    struct brim_fields request;  /* as it was sent */
    struct brim_object *instead; /* in whose place it may stand; NULL: nobody's */
    int64_t ttl_ms;              /* from now_wall_ms on */
    int64_t now_wall_ms;
};
void brim_cache_put_pass(struct brim_cache *cache, const struct brim_pass_note *note);

/* Whether the time of this object of kind PASS is over, or nobody can tell: the clock was set back
 * since it was made. Thread: any. */
bool brim_cache_note_is_over(const struct brim_object *note, int64_t now_wall_ms);

/* Whether who sends request is to pass, as this object of kind PASS says. Thread: any. */
bool brim_cache_note_concerns(const struct brim_object *note, struct brim_fields request);

/* ---- purge ---- */

/* Purges these scopes (cache/purge.h). In force on every thread before it returns; durable, all
 * with one commit, when it returns BRIM_OK, if there is a disk tier. Errors, in force but not
 * durable: BRIM_EIO (logged); BRIM_ECLOSED, the disk tier was let go, and who has it is told.
 * Thread: any but a loop. */
BRIM_MUST_USE enum brim_err brim_cache_purge(struct brim_cache *cache, const uint64_t *scopes,
                                             size_t count, enum brim_purge_kind kind);

/* The same for scopes and patterns together (brim_purge_put_pattern). */
struct brim_purge_set {
    const uint64_t *scopes;
    size_t count;
    const struct brim_str *patterns;
    size_t pattern_count;
};
BRIM_MUST_USE enum brim_err brim_cache_purge_set(struct brim_cache *cache,
                                                 const struct brim_purge_set *set,
                                                 enum brim_purge_kind kind);

/* The same without waiting for the disk: in force when it returns, durable soon after. Errors:
 * BRIM_ELIMIT in force, but so much waits for the disk that a restart would forget it. Thread: any,
 * also a loop. */
BRIM_MUST_USE enum brim_err brim_cache_purge_soon(struct brim_cache *cache, const uint64_t *scopes,
                                                  size_t count, enum brim_purge_kind kind);

/* Whether object outlives all purges so far; *soft_purged_out: only as a stale one, as in
 * brim_find. For who holds an object that no lookup has given out. Thread: any, also a loop. */
bool brim_cache_keeps(struct brim_cache *cache, struct brim_object *object, bool *soft_purged_out);

/* Whether object's body is there, and not just being retired. The disk tier forgets what it
 * retires, RAM does not: of a large object it has the fields, while the body is on disk alone.
 * Thread: any, also a loop. */
bool brim_cache_is_whole(const struct brim_cache *cache, const struct brim_object *object);

/* Whether something is stored under primary, in any tier or on its way there. Thread: any, also a
 * loop. */
bool brim_cache_has(struct brim_cache *cache, const struct brim_key *primary);

/* A hard purge of one URL that does not wait for the disk: in force when it returns, durable soon
 * after (RFC 9111 4.4). Thread: any, also a loop. */
void brim_cache_invalidate(struct brim_cache *cache, const struct brim_key *primary);

/* Instead of that where nothing seems to be stored: variants may be, that RAM keeps without what
 * leads to them. None from before is found by what is made anew, whatever its URL: that costs no
 * room, and a request to the origin for what RAM had half forgotten. Thread: any, also a loop. */
void brim_cache_note_change(struct brim_cache *cache);

#endif
