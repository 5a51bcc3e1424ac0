/* SPDX-License-Identifier: MIT */
/*
 * cache_config - what a cache is opened with.
 */
#ifndef BRIM_CACHE_CACHE_CONFIG_H
#define BRIM_CACHE_CACHE_CONFIG_H

#include <stdint.h>

#include "brim/base/ledger.h"
#include "brim/base/pool.h"
#include "brim/cache/purge_mail.h"

enum brim_cache_admit { BRIM_ADMIT_ALWAYS, BRIM_ADMIT_SECOND_HIT };

struct brim_cache_config {
    const char *path; /* NULL or "": no disk tier */
    uint64_t disk_bytes;
    uint64_t segment_bytes;
    uint64_t memory_bytes;        /* hot tier */
    uint64_t memory_object_bytes; /* largest body that is kept whole in RAM */
    uint64_t object_bytes_max;    /* largest body that is stored at all */
    uint64_t window_bytes;        /* unread bytes held per passing or spilling body */
    unsigned write_queue_max;
    unsigned purge_epochs_max;
    uint64_t remember_ms; /* how often the hot set is noted; 0: never */
    enum brim_cache_admit admit;
    struct brim_pool *pool;       /* borrowed */
    struct brim_purge_mail *mail; /* borrowed: shared by the processes of the node; NULL: alone */
    struct brim_ledger *ledger;   /* borrowed: what bodies that are not kept are held on, or NULL */
};

#endif
