/* SPDX-License-Identifier: MIT */
/*
 * segment_inside - what cache/segment and cache/segment_retire share. Nobody else includes it.
 */
#ifndef BRIM_CACHE_SEGMENT_INSIDE_H
#define BRIM_CACHE_SEGMENT_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "brim/cache/census.h"
#include "brim/cache/health.h"
#include "brim/cache/segment_file.h"

struct brim_segments_use;

#define SEGMENTS_MAGIC 0x73656731u

enum state { LIVE = BRIM_SEGMENT_LIVE, RETIRING = BRIM_SEGMENT_RETIRING, DEAD };

struct segment {
    struct segment *next_changed;
    struct segment *next_dead;
    uint32_t id;
    enum state state;
    uint32_t capacity;
    uint32_t tail;           /* end of what is reserved */
    uint32_t tail_committed; /* as its row says */
    unsigned writers;        /* reserved, not yet written */
    unsigned pins;           /* who uses fd without the lock */
    int fd;                  /* -1: not open */
    bool is_cut;             /* DEAD: not read any more, whoever still wants to */
    bool is_changed;         /* in the list of those whose row is behind */
    bool is_dirty;           /* written since the last fdatasync */
};

struct brim_segments {
    uint32_t magic;
    struct brim_segments_config *config; /* own copy */
    int dir_fd;
    struct brim_health health;
    struct brim_census census; /* as it was at the start */
    _Atomic uint32_t floor;    /* what is lower goes or is gone; under lock, as all below */
    pthread_mutex_t lock;
    pthread_cond_t moved;   /* a file was made, or could not be; a segment's last writer left */
    struct segment **table; /* ascending by id */
    size_t count;
    size_t capacity;
    struct segment *active; /* NULL: none; else the last of the table */
    struct segment *changed;
    struct segment *dead; /* the last first */
    struct brim_segments_use *uses;
    uint32_t next_id;
    uint64_t charged; /* all files, dead ones and the one being made included */
    uint64_t index_bytes;
    uint64_t index_wanted; /* what the index asked for and could not get */
    size_t files_open;
    size_t hand; /* next to be looked at when files must be closed */
    bool is_making;
    bool is_starved; /* a writer was refused for want of room */
};

/* ---- segment.c; under lock, but for the first and the last three ---- */

/* What a segment of this size takes of the quota. */
uint64_t brim_segment_cost(uint32_t capacity);
struct segment *brim_segments_find(const struct brim_segments *segments, uint32_t id);
/* Whether a new segment has room within the quota. */
bool brim_segments_has_room(const struct brim_segments *segments);
void brim_segments_charge(struct brim_segments *segments, int64_t bytes);
/* Notes and returns the lowest segment that is left. */
uint32_t brim_segments_note_floor(struct brim_segments *segments);

/* Opens the file of a pinned segment. Errors: BRIM_ENOENT, BRIM_EIO, logged here. */
enum brim_err brim_segments_open_file(struct brim_segments *segments, struct segment *seg);
/* The segment of an extent, its file open until brim_segments_unpin(). Errors: as of
 * brim_segments_read(). */
enum brim_err brim_segments_pin(struct brim_segments *segments, struct brim_extent at,
                                enum brim_segments_wait wait, struct segment **seg_out);
void brim_segments_unpin(struct brim_segments *segments, struct segment *seg);

/* ---- segment_retire.c; under lock ---- */

/* A retired segment that is still to be read, or NULL. */
struct segment *brim_segments_find_dead(const struct brim_segments *segments, uint32_t id);

#endif
