/* SPDX-License-Identifier: MIT */
#include "brim/cache/census.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/cache/segment_file.h"

struct count {
    struct brim_segment_row *rows;
    bool *is_there;
    size_t count;
    size_t capacity;
    int dir_fd;
    const char *path;
};

static void take_row(const struct brim_segment_row *row, void *ctx)
{
    struct count *count = ctx;

    if (count->count == count->capacity) {
        count->capacity = count->capacity == 0 ? 64 : count->capacity * 2;
        count->rows = reallocarray(count->rows, count->capacity, sizeof(*count->rows));
        INVARIANT(count->rows != NULL); /* 16 bytes a segment, at the start */
    }
    count->rows[count->count++] = *row;
}

static int compare_rows(const void *a, const void *b)
{
    uint32_t left = ((const struct brim_segment_row *)a)->id;
    uint32_t right = ((const struct brim_segment_row *)b)->id;

    return left < right ? -1 : left > right;
}

static void take_file(uint32_t id, void *ctx)
{
    struct count *count = ctx;
    struct brim_segment_row key = {.id = id};
    const struct brim_segment_row *row = NULL;
    int errnum;

    if (count->count > 0)
        row = bsearch(&key, count->rows, count->count, sizeof(key), compare_rows);
    if (row != NULL) {
        count->is_there[row - count->rows] = true;
        return;
    }
    /* Made before a crash and never committed, or unlinked too late. */
    errnum = brim_segment_file_remove(count->dir_fd, id);
    if (errnum != 0)
        BRIM_LOG(WARN, "disk.error",
                 "path=%s segment=%08x what=\"unlink a file of no use\" errno=%d", count->path, id,
                 errnum);
}

enum brim_err brim_census_take(struct brim_index *index, int dir_fd, const char *path,
                               struct brim_census *census_out)
{
    struct count count = {.dir_fd = dir_fd, .path = path};
    int errnum;

    *census_out = (struct brim_census){0};
    brim_index_each_segment(index, take_row, &count);
    if (count.count > 0)
        qsort(count.rows, count.count, sizeof(*count.rows), compare_rows);
    count.is_there = brim_alloc(count.count + 1);
    census_out->missing = brim_alloc((count.count + 1) * sizeof(*census_out->missing));
    errnum = brim_segment_file_each(dir_fd, take_file, &count);
    for (size_t i = 0; errnum == 0 && i < count.count; i++) {
        if (count.is_there[i] && count.rows[i].tail <= count.rows[i].capacity)
            count.rows[census_out->count++] = count.rows[i];
        else
            census_out->missing[census_out->missing_count++] = count.rows[i].id;
    }
    census_out->rows = count.rows;
    free(count.is_there);
    if (errnum == 0)
        return BRIM_OK;
    BRIM_LOG(ERROR, "disk.error", "path=%s what=list errno=%d", path, errnum);
    brim_census_fini(census_out);
    return BRIM_EIO;
}

void brim_census_fini(struct brim_census *census)
{
    free(census->rows);
    free(census->missing);
    *census = (struct brim_census){0};
}
