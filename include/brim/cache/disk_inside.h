/* SPDX-License-Identifier: MIT */
/*
 * disk_inside - what src/cache/disk.c and disk_write.c share, and nobody else.
 */
#ifndef BRIM_CACHE_DISK_INSIDE_H
#define BRIM_CACHE_DISK_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DISK_MAGIC         0x646b7431u
#define DISK_WRITE_BUCKETS 512u /* a power of two */

struct brim_disk_config;
struct brim_disk_write; /* disk_write.c's */

struct brim_disk {
    uint32_t magic;
    struct brim_disk_config *config;
    char *index_path;
    char *segments_path;
    int lock_fd;
    struct brim_index *index;
    struct brim_indexer *indexer;
    struct brim_segments *segments;
    struct brim_sketch *sketch;
    _Atomic(struct brim_retirer *) retirer;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t idle;
    struct brim_disk_write *writes[DISK_WRITE_BUCKETS]; /* objects in the pool, by digest */
    unsigned writing;                                   /* how many */
    unsigned appending;                                 /* pieces of spilled bodies on their way */
    bool is_released; /* nothing is written any more: another process may */
};

#endif
