/* SPDX-License-Identifier: MIT */
/*
 * inside - what the sources of the facade share, src/cache/cache*.c, and nobody else.
 */
#ifndef BRIM_CACHE_INSIDE_H
#define BRIM_CACHE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "brim/cache/cache_config.h"
#include "brim/cache/disk.h"
#include "brim/cache/hot.h"
#include "brim/cache/purge.h"
#include "brim/cache/remember.h"
#include "brim/cache/sketch.h"

#define CACHE_MAGIC 0x63616331u
#define CACHE_TURNS 64u

struct brim_find;   /* cache.h */
struct brim_coming; /* cache_coming.c */

/* Purges that are in force and are to become durable, by one job of the pool. */
struct brim_behind {
    struct brim_job job;
    uint64_t *scopes;
    size_t count;
    size_t room;
    bool is_under_way; /* the job is queued or runs */
};

struct brim_cache {
    uint32_t magic;
    struct brim_cache_config config;
    struct brim_hot *hot;
    struct brim_disk *disk;         /* NULL: none */
    bool disk_has_room_for_ram;     /* for all that is there, and as much again */
    struct brim_remember *remember; /* NULL: off */
    struct brim_sketch *asked;      /* how often for what; NULL: everything is admitted */
    uint64_t body_id_base;          /* random: body ids of this run begin here */
    _Atomic uint64_t bodies;
    _Atomic uint64_t changed_id;             /* see brim_cache_note_change() */
    atomic_flag ageing;                      /* of asked: one at a time */
    pthread_mutex_t turns[CACHE_TURNS];      /* brim_cache_lock_key() */
    struct brim_coming *coming[CACHE_TURNS]; /* by turn, and under it */
    struct brim_purge *purge;
    pthread_mutex_t purge_turn;       /* purgers only: epochs reach the disk in their order */
    uint64_t reserved_seq;            /* under purge_turn */
    struct brim_purge_epoch kept_all; /* likewise: that of everything, as it is on disk */
    pthread_mutex_t behind_lock;      /* held for a moment: a loop takes it too */
    pthread_cond_t behind_done;       /* with behind_lock */
    struct brim_behind behind;        /* likewise */
    void (*published)(struct brim_object *object, void *ctx); /* NULL: nobody listens */
    void *published_ctx;
    struct brim_purge_mail own_mail; /* where there is none for the node */
    pthread_mutex_t mail_turn;       /* who takes from it */
    _Atomic bool is_released;        /* purges are passed on */
    _Atomic uint64_t purges_seen;    /* when it was released; UINT64_MAX: it is being */
};

/* At the start. */
void brim_cache_init_behind(struct brim_cache *cache);

/* Has in force what another process has purged that may not write any more. Thread: any. */
void brim_cache_read_mail(struct brim_cache *cache);

/* What stands under key in either tier, into find and *object_out (counted). Errors: BRIM_EAGAIN:
 * wait for the disk; BRIM_ENOENT. Thread: as brim_cache_find(). */
BRIM_MUST_USE enum brim_err brim_cache_look(struct brim_cache *cache, struct brim_find *find,
                                            const struct brim_key *key,
                                            struct brim_object **object_out);

/* Without a disk RAM may let go of a marker and keep its variants. Those that began before a change
 * which missed them for that (brim_cache_note_change) are not found by the marker that is made
 * anew. marker: NULL: none is needed. Thread: any. */
bool brim_cache_leads_to(const struct brim_cache *cache, const struct brim_object *marker,
                         const struct brim_object *variant);

/* Counts a use of object, which was found, and brings it to disk if that makes it worth it.
 * Thread: any. */
void brim_cache_note_use(struct brim_cache *cache, struct brim_object *object);

/* Whether it was asked for often enough to be worth a place on disk. Thread: any. */
bool brim_cache_is_asked_for(const struct brim_cache *cache, struct brim_digest digest);

/* Who changes both tiers under a key does it in one turn, so that they agree on what is the newer:
 * never two keys at once; taken before the locks of the tiers. Thread: any. */
static inline pthread_mutex_t *brim_cache_lock_key(struct brim_cache *cache,
                                                   struct brim_digest digest)
{
    pthread_mutex_t *turn = &cache->turns[digest.lo % CACHE_TURNS];

    pthread_mutex_lock(turn);
    return turn;
}

/* ---- what is on its way (cache_coming.c) ---- */

/* object grows, or is being written, and may be published: from here on until it is taken out.
 * Borrowed meanwhile. Thread: any. */
void brim_cache_expect(struct brim_cache *cache, const struct brim_object *object);

/* Whether it is on its way and may still be published. Its key is locked, as for the next two. */
bool brim_cache_is_coming(struct brim_cache *cache, const struct brim_object *object);

/* Takes it out, if it is there. False: it has been overtaken, and must not be published. */
bool brim_cache_take_coming(struct brim_cache *cache, const struct brim_object *object);

/* What is on its way under digest and began before the body of this id is overtaken. */
void brim_cache_overtake(struct brim_cache *cache, struct brim_digest digest, uint64_t body_id);

/* Hands object to the disk tier, once. Its key is locked. Thread: any. */
void brim_cache_put_on_disk(struct brim_cache *cache, struct brim_object *object);

/* Keeps the durable reservation ahead of the sequence. Under purge_turn, or at start. Errors: those
 * of brim_disk_put_epoch. */
BRIM_MUST_USE enum brim_err brim_cache_reserve_seqs(struct brim_cache *cache);

#endif
