/* SPDX-License-Identifier: MIT */
/*
 * index_open - how long a start takes, and what an object on disk costs in memory.
 *
 *   index_open [RECORDS [DIR]]      default: 1000000 records in a new directory under /tmp
 *
 * A child fills the index with records (through the same writer as a node, without bodies) and
 * ends; then the disk tier is opened in a fresh process and looked up at random. Prints one line.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/cache/disk.h"
#include "brim/cache/indexer.h"

#define SEGMENTS      80u
#define SEGMENT_BYTES (128u * 1024 * 1024)
#define QUOTA         (20ull * 1024 * 1024 * 1024)
#define LOOKUPS       200000u

static void die(const char *what)
{
    fprintf(stderr, "index_open: %s\n", what);
    exit(EXIT_FAILURE);
}

static long rss_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];
    long kib = -1;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        /* anonymous pages only: LMDB's map is page cache, and counts as such */
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return kib;
}

static enum brim_err give_rows(void *ctx, struct brim_segment_row **rows_out, size_t *count_out)
{
    (void)ctx;
    *rows_out = calloc(SEGMENTS, sizeof(**rows_out));
    *count_out = SEGMENTS;
    for (uint32_t i = 0; *rows_out != NULL && i < SEGMENTS; i++)
        (*rows_out)[i] = (struct brim_segment_row){
            .id = i, .state = BRIM_SEGMENT_LIVE, .capacity = SEGMENT_BYTES};
    return *rows_out == NULL ? BRIM_ENOMEM : BRIM_OK;
}

static struct brim_digest digest_of(unsigned id)
{
    return brim_hash128(&id, sizeof(id));
}

static void fill(const char *dir, unsigned records)
{
    char path[256];
    struct brim_index_config config = {
        .path = path, .map_bytes = 16 << 20, .growth_max = 256 << 20};
    struct brim_indexer_hooks hooks = {.prepare = give_rows};
    struct brim_index *index;
    struct brim_indexer *indexer;

    snprintf(path, sizeof(path), "%s/segments", dir);
    if (mkdir(path, 0700) != 0)
        die("mkdir");
    for (unsigned i = 0; i < SEGMENTS; i++) {
        snprintf(path, sizeof(path), "%s/segments/%08x.seg", dir, i);
        FILE *file = fopen(path, "w");
        if (file == NULL || fclose(file) != 0)
            die("segment file");
    }
    snprintf(path, sizeof(path), "%s/index", dir);
    if (brim_index_open(&config, &index) != BRIM_OK ||
        brim_indexer_open(index, &hooks, 20000, &indexer) != BRIM_OK)
        die("open index");
    for (unsigned id = 0; id < records; id++) {
        struct brim_record record = {
            .meta = {.segment = id % SEGMENTS, .offset = id / SEGMENTS * 64, .length = 64},
            .oldest_segment = id % SEGMENTS};
        if (brim_indexer_put(indexer, digest_of(id), &record) != BRIM_OK)
            die("put");
        if (id % 16384 == 0)
            brim_indexer_flush(indexer);
    }
    brim_indexer_close(indexer);
    brim_index_close(index);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void measure(const char *dir, unsigned records)
{
    struct brim_disk_config config = {
        .path = dir, .bytes_max = QUOTA, .segment_bytes = SEGMENT_BYTES, .write_queue_max = 16};
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 16};
    struct brim_disk *disk;
    unsigned found = 0;

    if (brim_pool_open(&limits, &config.pool) != BRIM_OK)
        die("pool");
    long before_kib = rss_kib();
    uint64_t start_us = brim_clock_mono_us();
    if (brim_disk_open(&config, &disk) != BRIM_OK)
        die("open");
    uint64_t opened_us = brim_clock_mono_us();
    long opened_kib = rss_kib();
    for (unsigned i = 0; i < LOOKUPS; i++) {
        struct brim_locator locator;
        unsigned id = (unsigned)(i * 2654435761u) % records;
        found += brim_disk_locate(disk, digest_of(id), &locator) == BRIM_OK;
    }
    uint64_t looked_us = brim_clock_mono_us();
    printf("records=%u open_ms=%.2f anon_rss_opened_kib=%ld anon_rss_looked_kib=%ld "
           "found=%u/%u lookup_ns=%.0f\n",
           records, (double)(opened_us - start_us) / 1000, opened_kib - before_kib,
           rss_kib() - before_kib, found, LOOKUPS,
           (double)(looked_us - opened_us) * 1000 / LOOKUPS);
    brim_disk_close(disk);
    brim_pool_close(config.pool);
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/brim-index-open-XXXXXX";
    unsigned records = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    const char *dir = argc > 2 ? argv[2] : mkdtemp(made);
    int status = 0;

    if (dir == NULL || records == 0)
        die("usage: index_open [RECORDS [DIR]]");
    pid_t pid = fork(); /* LMDB must not be carried over a fork, nor the memory of the filling */
    if (pid == 0) {
        fill(dir, records);
        _exit(EXIT_SUCCESS);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        die("fill");
    measure(dir, records);
    if (argc <= 2)
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return EXIT_SUCCESS;
}
