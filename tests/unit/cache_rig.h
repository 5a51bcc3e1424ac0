/* SPDX-License-Identifier: MIT */
/*
 * cache_rig - a cache and the pool that it works with, opened and closed as a node does it.
 */
#ifndef BRIM_TESTS_CACHE_RIG_H
#define BRIM_TESTS_CACHE_RIG_H

#include "brim/base/pool.h"
#include "brim/cache/cache.h"
#include "unit.h"

enum { KIB = 1024, MIB = 1024 * KIB };

static struct brim_pool *pool;
static struct brim_cache *cache;

/* The pool is the rig's. */
static inline void cache_rig_open(const struct brim_cache_config *config,
                                  struct brim_pool_limits limits)
{
    struct brim_cache_config with_pool = *config;

    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    with_pool.pool = pool;
    ck_assert_int_eq(brim_cache_open(&with_pool, &cache), BRIM_OK);
}

static inline void cache_rig_close(void)
{
    brim_pool_wait_idle(pool); /* what is being spilled goes on by jobs of jobs */
    brim_pool_close(pool);
    brim_cache_close(cache);
}

#endif
