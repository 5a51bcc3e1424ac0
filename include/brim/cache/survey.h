/* SPDX-License-Identifier: MIT */
/*
 * survey - looks at what is stored and changes nothing: what a purge would take, and what stands
 * under a key. For operators' questions: it may wait for the disk, and walks are bounded in time.
 *
 * Counts no use, so that whoever asks does not keep alive what he asks about.
 */
#ifndef BRIM_CACHE_SURVEY_H
#define BRIM_CACHE_SURVEY_H

#include "brim/cache/cache.h"

/* Where an object stands: RAM if it is in both. */
enum brim_survey_tier { BRIM_SURVEY_NONE, BRIM_SURVEY_RAM, BRIM_SURVEY_DISK };

/* What a purge would take. */
struct brim_survey {
    uint64_t budget_ms; /* in: the walk ends after it */
    const struct brim_purge_set *set;
    const struct brim_key *urls; /* in: looked up first, so that they are told in any case */
    size_t url_count;
    /* in: hears of each object of the set that no purge has taken yet */
    void (*found)(const struct brim_object *object, enum brim_survey_tier tier, void *ctx);
    void *ctx;
    uint64_t looked_at; /* out: objects */
    uint64_t objects;   /* out: those of the set; representations, parts and notes count too */
    uint64_t bytes;     /* out: of their bodies */
    bool is_complete;   /* out: everything was looked at */
};

/* Errors: BRIM_ENOMEM. Thread: pool. */
BRIM_MUST_USE enum brim_err brim_survey_run(struct brim_cache *cache, struct brim_survey *survey);

/* What a request would find, and where. */
struct brim_look {
    struct brim_key primary;     /* in */
    struct brim_fields request;  /* in: for Vary */
    struct brim_object *marker;  /* out: counted; NULL: it does not vary */
    struct brim_object *object;  /* out: counted; what stands there, also if a purge has taken it */
    enum brim_survey_tier tier;  /* out: of object */
    enum brim_purge_state state; /* out: of object */
    struct brim_key key;         /* out: that object stands under, or would; borrows */
    char *variant_text;          /* private */
};

/* Thread: pool. */
void brim_look_run(struct brim_cache *cache, struct brim_look *look);
void brim_look_fini(struct brim_look *look);

/* As brim_purge_each(). Thread: any but a loop. */
void brim_look_each_purge(struct brim_cache *cache, const struct brim_object *object,
                          void (*fn)(const char *scope, const struct brim_purge_epoch *epoch,
                                     void *ctx),
                          void *ctx);

#endif
