/* SPDX-License-Identifier: MIT */
/*
 * census - which segments are there at the start: the index's rows against the directory.
 *
 * One listing, no look into a file. A file that no row names is removed; a row without its file is
 * reported.
 */
#ifndef BRIM_CACHE_CENSUS_H
#define BRIM_CACHE_CENSUS_H

#include "brim/cache/index.h"

struct brim_census {
    struct brim_segment_row *rows; /* with their files, ascending by id */
    size_t count;
    uint32_t *missing; /* rows without a file, or that cannot be right */
    size_t missing_count;
};

/* Errors: BRIM_EIO the directory cannot be listed, logged here. Owns: fini. Thread: init. */
BRIM_MUST_USE enum brim_err brim_census_take(struct brim_index *index, int dir_fd, const char *path,
                                             struct brim_census *census_out);
void brim_census_fini(struct brim_census *census); /* accepts a zeroed one */

#endif
