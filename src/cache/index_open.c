/* SPDX-License-Identifier: MIT */
/*
 * Opening, and opening again. An environment that LMDB calls broken, or that ended the process
 * twice (cache/damage), is BRIM_ECORRUPT: whoever owns the directory sets it aside.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/index.h"
#include "brim/cache/index_inside.h"

#define FORMAT_VERSION 1u
#define READERS_MAX    1024 /* LMDB's table: every thread that could look up at one time */
#define MAP_BYTES_MIN  (256u * 1024u)
#define NUMBERS_LEFT   (1u << 24) /* of segments: more than any run makes */

static bool is_no_space(int rc)
{
    return rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

/* What only a damaged file makes LMDB say: a tree too deep, a page with more than fits it, a table
 * that is none. And that a transaction has failed: none is used on after an error, but when LMDB
 * looks for the root of a table and finds none, it tells nobody until the next call. */
bool brim_index_is_damage(int rc)
{
    return rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED ||
           rc == MDB_PAGE_NOTFOUND || rc == MDB_CURSOR_FULL || rc == MDB_PAGE_FULL ||
           rc == MDB_INCOMPATIBLE || rc == MDB_BAD_TXN;
}

/* Whether one of the two pages that describe the rest, in LMDB's format, counts far more pages than
 * the file has: a few at the end may never have been written. */
static bool counts_too_many(int fd)
{
    enum { LAST_AT = 136, SPARE = 16384 };
    off_t page_bytes = (off_t)sysconf(_SC_PAGESIZE);
    struct stat st;
    uint64_t last;

    if (fstat(fd, &st) != 0)
        return false;
    for (off_t page = 0; page < 2; page++)
        if (pread(fd, &last, sizeof(last), page * page_bytes + LAST_AT) == (ssize_t)sizeof(last) &&
            last / 2 > (uint64_t)(st.st_size / page_bytes) + SPARE)
            return true;
    return false;
}

int brim_index_why_not_open(int rc, const char *path)
{
    bool is_damage;
    int dir, fd;

    if (rc != ENOMEM)
        return rc;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(dir, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    is_damage = fd >= 0 && counts_too_many(fd);
    if (fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    return is_damage ? MDB_CORRUPTED : rc;
}

/* A file that may not grow says that it is too large, too. */
static bool is_limited(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
}

int brim_index_end(MDB_txn *txn)
{
    int rc = mdb_txn_commit(txn);

    return rc == EINVAL || (rc == EFBIG && !is_limited()) ? MDB_CORRUPTED : rc;
}

bool brim_index_free_dead_readers(MDB_env *env)
{
    int dead = 0;

    return mdb_reader_check(env, &dead) == MDB_SUCCESS && dead > 0;
}

enum brim_err brim_index_err(int rc, const char *what)
{
    if (rc == MDB_SUCCESS)
        return BRIM_OK;
    if (rc == MDB_NOTFOUND)
        return BRIM_ENOENT;
    BRIM_COUNT(DISK_ERRORS);
    BRIM_LOG(ERROR, "disk.index", "what=\"%s\" error=\"%s\"%s", what, mdb_strerror(rc),
             brim_index_is_damage(rc) ? " do=\"restart the node: it then sets the index aside\""
                                      : "");
    if (is_no_space(rc))
        return BRIM_ENOSPC;
    if (rc == ENOMEM)
        return BRIM_ENOMEM;
    if (!brim_index_is_damage(rc))
        return BRIM_EIO;
    brim_damage_note(BRIM_DAMAGE_MAX);
    return BRIM_ECORRUPT;
}

static int get_u32(MDB_txn *txn, MDB_dbi table, const char *name, uint32_t *value_out)
{
    MDB_val key = brim_index_val((void *)(uintptr_t)name, strlen(name)), val;
    uint32_t value;
    int rc = mdb_get(txn, table, &key, &val);

    if (rc != MDB_SUCCESS)
        return rc;
    if (val.mv_size != sizeof(value))
        return MDB_CORRUPTED;
    memcpy(&value, val.mv_data, sizeof(value));
    *value_out = le32toh(value);
    return MDB_SUCCESS;
}

static int put_bytes(MDB_txn *txn, MDB_dbi table, const char *name, MDB_val val)
{
    MDB_val key = brim_index_val((void *)(uintptr_t)name, strlen(name));

    return mdb_put(txn, table, &key, &val, 0);
}

int brim_index_put_u32(struct brim_index *ix, MDB_txn *txn, const char *name, uint32_t value)
{
    uint32_t little = htole32(value);

    return put_bytes(txn, ix->tables.meta, name, brim_index_val(&little, sizeof(little)));
}

static bool is_new(struct brim_index *ix, MDB_txn *txn)
{
    MDB_stat stat;

    return mdb_stat(txn, ix->tables.meta, &stat) == MDB_SUCCESS && stat.ms_entries == 0;
}

static int make_format(struct brim_index *ix, MDB_txn *txn)
{
    uint8_t node[16];
    int rc;

    if (getrandom(node, sizeof(node), 0) != (ssize_t)sizeof(node))
        return errno;
    rc = brim_index_put_u32(ix, txn, "format", FORMAT_VERSION);
    if (rc == MDB_SUCCESS)
        rc = brim_index_put_u32(ix, txn, "format_inverse", ~FORMAT_VERSION);
    if (rc == MDB_SUCCESS)
        rc = put_bytes(txn, ix->tables.meta, "node", brim_index_val(node, sizeof(node)));
    if (rc == MDB_SUCCESS)
        rc = brim_index_put_u32(ix, txn, "next_segment", 0);
    return rc;
}

static int open_tables(struct brim_index *ix, MDB_txn *txn)
{
    int rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &ix->tables.meta);

    if (rc == MDB_SUCCESS)
        rc = mdb_dbi_open(txn, "objects", MDB_CREATE, &ix->tables.objects);
    if (rc == MDB_SUCCESS)
        rc = mdb_dbi_open(txn, "segments", MDB_CREATE, &ix->tables.segments);
    if (rc == MDB_SUCCESS)
        rc = mdb_dbi_open(txn, "epochs", MDB_CREATE, &ix->tables.epochs);
    return rc;
}

/* Works out from the rows which segments are gone and which are on their way out. */
static int load_floors(struct brim_index *ix, MDB_txn *txn)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, val;
    struct brim_segment_row row;
    uint32_t closed = ix->next_segment, dead = ix->next_segment;
    int rc = mdb_cursor_open(txn, ix->tables.segments, &cursor);

    if (rc != MDB_SUCCESS)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == MDB_SUCCESS) {
        if (brim_segment_row_decode(brim_index_str(&key), brim_index_str(&val), &row) != BRIM_OK)
            continue;
        if (row.id < dead)
            dead = row.id;
        if (row.id < closed && row.state == BRIM_SEGMENT_LIVE)
            closed = row.id;
    }
    mdb_cursor_close(cursor);
    ix->closed_below = closed;
    atomic_store_explicit(&ix->dead_below, dead, memory_order_relaxed);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* A purge that cannot be read would bring back what it has taken away. */
static int check_epochs(const struct brim_index *ix, MDB_txn *txn)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, val;
    struct brim_purge_epoch epoch;
    int rc = mdb_cursor_open(txn, ix->tables.epochs, &cursor);

    if (rc != MDB_SUCCESS)
        return rc;
    while (rc == MDB_SUCCESS) {
        rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
        if (rc == MDB_SUCCESS &&
            brim_epoch_decode(brim_index_str(&key), brim_index_str(&val), &epoch) != BRIM_OK)
            rc = MDB_CORRUPTED;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* A version that is not ours, and that somebody wrote, is not to be touched; one that a disk made
 * of ours is damage. */
static enum brim_err refuse_format(struct brim_index *ix, MDB_txn *txn, uint32_t version)
{
    uint32_t inverse = 0;

    if (get_u32(txn, ix->tables.meta, "format_inverse", &inverse) != MDB_SUCCESS ||
        inverse != ~version)
        return brim_index_err(MDB_CORRUPTED, "read format");
    BRIM_LOG(ERROR, "disk.version",
             "path=%s found=%u known=%u do=\"run the version that made it, or remove the "
             "directory: it is only a cache\"",
             ix->config->path, version, FORMAT_VERSION);
    return BRIM_EVERSION;
}

static enum brim_err check_format(struct brim_index *ix, MDB_txn *txn)
{
    uint32_t version = 0;
    int rc = get_u32(txn, ix->tables.meta, "format", &version);

    if (rc == MDB_NOTFOUND) {
        rc = is_new(ix, txn) ? make_format(ix, txn) : MDB_CORRUPTED;
        version = FORMAT_VERSION;
    }
    if (rc != MDB_SUCCESS)
        return brim_index_err(rc, "read format");
    return version == FORMAT_VERSION ? BRIM_OK : refuse_format(ix, txn, version);
}

static enum brim_err load_state(struct brim_index *ix)
{
    MDB_txn *txn = NULL;
    MDB_stat stat;
    int rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
    enum brim_err err = brim_index_err(rc == MDB_MAP_RESIZED ? MDB_CORRUPTED : rc, "begin");

    if (err == BRIM_OK) /* nobody else writes: what is beyond the map is nowhere */
        err = brim_index_err(open_tables(ix, txn), "open tables");
    if (err == BRIM_OK)
        err = check_format(ix, txn);
    if (err == BRIM_OK)
        err = brim_index_err(get_u32(txn, ix->tables.meta, "next_segment", &ix->next_segment),
                             "read next segment");
    if (err == BRIM_OK && ix->next_segment > UINT32_MAX - NUMBERS_LEFT)
        err = brim_index_err(MDB_CORRUPTED, "number of the next segment");
    if (err == BRIM_OK)
        err = brim_index_err(load_floors(ix, txn), "read segments");
    if (err == BRIM_OK)
        err = brim_index_err(check_epochs(ix, txn), "read purges");
    if (err == BRIM_OK)
        err = brim_index_err(mdb_stat(txn, ix->tables.objects, &stat), "count objects");
    if (err != BRIM_OK) {
        mdb_txn_abort(txn);
        return err == BRIM_ENOENT ? BRIM_ECORRUPT : err; /* a row that must be there */
    }
    ix->objects = (int64_t)stat.ms_entries;
    return brim_index_err(brim_index_end(txn), "commit");
}

static enum brim_err open_env(struct brim_index *ix)
{
    uint64_t bytes = ix->config->map_bytes < MAP_BYTES_MIN ? MAP_BYTES_MIN : ix->config->map_bytes;
    MDB_envinfo info;
    int dead = 0;
    int rc = mdb_env_create(&ix->env);

    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxdbs(ix->env, 8);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxreaders(ix->env, READERS_MAX);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_mapsize(ix->env, bytes);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(ix->env, ix->config->path, MDB_NOTLS | MDB_NOMETASYNC | MDB_NORDAHEAD,
                          0600);
    rc = brim_index_why_not_open(rc, ix->config->path);
    if (rc == MDB_SUCCESS)
        rc = mdb_reader_check(ix->env, &dead); /* slots of a process that was killed */
    if (rc == MDB_SUCCESS)
        rc = mdb_env_info(ix->env, &info);
    if (rc == MDB_SUCCESS) {
        /* LMDB raises it to what the file already holds. */
        atomic_store_explicit(&ix->map_bytes, info.me_mapsize, memory_order_relaxed);
        return BRIM_OK;
    }
    return brim_index_err(rc, "open");
}

static enum brim_err open_all(struct brim_index *ix)
{
    enum brim_err err;

    brim_damage_enter(ix->damage);
    err = open_env(ix);
    if (err == BRIM_OK)
        err = load_state(ix);
    brim_damage_leave();
    return err;
}

static void close_env(struct brim_index *ix)
{
    for (unsigned i = 0; i < READER_SLOTS; i++)
        mdb_txn_abort(atomic_exchange_explicit(&ix->readers[i], NULL, memory_order_relaxed));
    mdb_env_close(ix->env);
    ix->env = NULL;
}

enum brim_err brim_index_reopen(struct brim_index *ix)
{
    int64_t objects = ix->objects;
    enum brim_err err;

    pthread_rwlock_wrlock(&ix->map); /* no lookup is under way */
    close_env(ix);
    err = open_env(ix);
    if (err == BRIM_OK)
        err = load_state(ix);
    if (err != BRIM_OK)
        close_env(ix);
    pthread_rwlock_unlock(&ix->map);
    if (err != BRIM_OK)
        return err;
    BRIM_ADD(DISK_OBJECTS, ix->objects - objects);
    BRIM_LOG(WARN, "disk.index_reopened", "path=%s", ix->config->path);
    return BRIM_OK;
}

void brim_index_init_map(pthread_rwlock_t *map)
{
    pthread_rwlockattr_t attr;

    /* Lookups overlap without end under load; without this the writer would never get its turn. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(map, &attr);
    pthread_rwlockattr_destroy(&attr);
}

enum brim_err brim_index_open(const struct brim_index_config *config, struct brim_index **index_out)
{
    struct brim_index *ix;
    enum brim_err err;

    INVARIANT(config != NULL && config->path != NULL);
    INVARIANT(index_out != NULL);
    *index_out = NULL;

    if (mkdir(config->path, 0700) != 0 && errno != EEXIST) {
        err = errno == ENOSPC ? BRIM_ENOSPC : BRIM_EIO;
        BRIM_LOG(ERROR, "disk.index", "path=%s what=mkdir errno=%d", config->path, errno);
        return err;
    }
    ix = brim_alloc(sizeof(*ix));
    ix->magic = INDEX_MAGIC;
    ix->config = brim_alloc(sizeof(*ix->config));
    *ix->config = *config;
    ix->config->path = brim_strdup(config->path);
    brim_index_init_map(&ix->map);

    ix->damage = brim_damage_open(ix->config->path);

    err = BRIM_ECORRUPT;
    if (brim_damage_count(ix->damage) < BRIM_DAMAGE_MAX)
        err = open_all(ix);
    if (err != BRIM_OK) {
        ix->objects = 0;
        atomic_store_explicit(&ix->map_bytes, 0, memory_order_relaxed);
        brim_index_close(ix);
        return err;
    }
    BRIM_ADD(DISK_OBJECTS, ix->objects);
    BRIM_ADD(DISK_BYTES, brim_index_bytes(ix));
    *index_out = ix;
    return BRIM_OK;
}

void brim_index_close(struct brim_index *index)
{
    if (index == NULL)
        return;
    OBJ_CHECK(index, INDEX_MAGIC);
    BRIM_ADD(DISK_OBJECTS, -index->objects);
    BRIM_ADD(DISK_BYTES, -(int64_t)brim_index_bytes(index));
    close_env(index);
    brim_damage_close(index->damage);
    pthread_rwlock_destroy(&index->map);
    free((void *)(uintptr_t)index->config->path);
    free(index->config);
    index->magic = 0;
    free(index);
}
