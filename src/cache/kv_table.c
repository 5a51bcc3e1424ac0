/* SPDX-License-Identifier: MIT */
/*
 * One table, "kv1": key -> 8 bytes of expires_wall_ms (little-endian, 0: never), then the value.
 * A commit is synced whole (no MDB_NOMETASYNC as in cache/index): what was said to be durable is.
 *
 * Damage. LMDB has no checksums. Where it says itself that a page is broken, where a process died
 * twice while it was inside (cache/damage), where the device does not read or the file has become
 * empty, the table is given up: it opens, and every call fails, so that the node serves what needs
 * no stores. Nothing is written and nothing removed: what is there exists nowhere else. The file
 * `made` says that there were rows once, since LMDB takes an empty file for a new one.
 * What a disk changes in a value, or in a page that still looks like one, is not noticed.
 */
#include "brim/cache/kv_table.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/cache/damage.h"
#include "brim/cache/index_inside.h"

#define TABLE_MAGIC 0x6b767431u
#define HEAD_BYTES  8u
#define READERS_MAX 1024
#define MAP_ALIGN   65536u /* whole pages, whatever their size */
#define PATH_MODE   0700
#define FILE_MODE   0600
#define MADE        "made"

struct brim_kv_table {
    uint32_t magic;
    MDB_env *env;
    MDB_dbi rows;
    pthread_rwlock_t map; /* shared: a transaction; exclusive: the map moves */
    struct brim_damage *damage;
    char *path;
    _Atomic bool is_broken;
};

/* Says so once. */
static enum brim_err give_up(struct brim_kv_table *t, const char *why)
{
    if (atomic_exchange(&t->is_broken, true))
        return BRIM_ECORRUPT;
    BRIM_ADD(KV_DAMAGED, 1);
    BRIM_LOG(ERROR, "kv.damaged",
             "path=%s why=\"%s\" what=\"the named stores fail until this is mended; nothing was "
             "removed\" do=\"stop the node; put a copy of data.mdb back and remove the file "
             "damage, or move the directory away to begin empty; check the device\"",
             t->path, why);
    return BRIM_ECORRUPT;
}

/* The one place where LMDB's codes become ours; what is a fault is logged here. */
static enum brim_err table_err(struct brim_kv_table *t, int rc, const char *what)
{
    if (rc == MDB_SUCCESS)
        return BRIM_OK;
    if (rc == MDB_NOTFOUND)
        return BRIM_ENOENT;
    BRIM_COUNT(KV_ERRORS);
    BRIM_LOG(ERROR, "kv.table", "what=\"%s\" error=\"%s\"", what, mdb_strerror(rc));
    if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
        return BRIM_ENOSPC;
    if (rc == ENOMEM)
        return BRIM_ENOMEM;
    if (!brim_index_is_damage(rc) && rc != MDB_PANIC)
        return BRIM_EIO;
    if (rc != MDB_PANIC) /* that is of this process: the next may write again */
        brim_damage_note(BRIM_DAMAGE_MAX);
    return give_up(t, mdb_strerror(rc));
}

/* Whether the table may be asked; then leave() follows. */
static bool enter(struct brim_kv_table *t)
{
    OBJ_CHECK(t, TABLE_MAGIC);
    if (atomic_load(&t->is_broken))
        return false;
    pthread_rwlock_rdlock(&t->map);
    brim_damage_enter(t->damage);
    return true;
}

static enum brim_err leave(struct brim_kv_table *t, int rc, const char *what)
{
    enum brim_err err = table_err(t, rc, what);

    brim_damage_leave();
    pthread_rwlock_unlock(&t->map);
    return err;
}

/* Whoever succeeds this process may give the map another size while this one drains. */
static int begin(struct brim_kv_table *t, unsigned flags, MDB_txn **txn_out)
{
    int rc = mdb_txn_begin(t->env, NULL, flags, txn_out);

    if (rc != MDB_MAP_RESIZED)
        return rc;
    pthread_rwlock_unlock(&t->map);
    pthread_rwlock_wrlock(&t->map); /* no transaction is under way */
    rc = mdb_env_set_mapsize(t->env, 0);
    pthread_rwlock_unlock(&t->map);
    pthread_rwlock_rdlock(&t->map);
    return rc == MDB_SUCCESS ? mdb_txn_begin(t->env, NULL, flags, txn_out) : rc;
}

static int open_env(struct brim_kv_table *t, const char *path, uint64_t map_bytes)
{
    MDB_txn *txn = NULL;
    int dead = 0;
    int rc = mdb_env_create(&t->env);

    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxdbs(t->env, 4);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxreaders(t->env, READERS_MAX);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_mapsize(t->env, (map_bytes + MAP_ALIGN - 1) / MAP_ALIGN * MAP_ALIGN);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(t->env, path, MDB_NOTLS, FILE_MODE);
    rc = brim_index_why_not_open(rc, path);
    if (rc == MDB_SUCCESS)
        rc = mdb_reader_check(t->env, &dead); /* slots of a process that was killed */
    if (rc == MDB_SUCCESS)
        rc = begin(t, 0, &txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_dbi_open(txn, "kv1", MDB_CREATE, &t->rows);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return brim_index_end(txn);
}

/* The path of a file in the directory; the caller's. */
static char *path_of(const struct brim_kv_table *t, const char *name)
{
    size_t room = strlen(t->path) + strlen(name) + 2;
    char *path = brim_alloc(room);

    (void)snprintf(path, room, "%s/%s", t->path, name);
    return path;
}

/* Whether there were rows once, and the file that held them is empty or gone. */
static bool is_emptied(const struct brim_kv_table *t)
{
    char *data = path_of(t, "data.mdb"), *made = path_of(t, MADE);
    struct stat st;
    bool is_emptied =
        access(made, F_OK) == 0 && (stat(data, &st) != 0 ? errno == ENOENT : st.st_size == 0);

    free(data);
    free(made);
    return is_emptied;
}

static void note_made(const struct brim_kv_table *t)
{
    char *made = path_of(t, MADE);
    int fd = open(made, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

    if (fd < 0)
        BRIM_LOG(WARN, "kv.table", "path=%s errno=%d", made, errno);
    else
        close(fd);
    free(made);
}

static enum brim_err open_table(struct brim_kv_table *t, uint64_t map_bytes)
{
    enum brim_err err;

    if (brim_damage_count(t->damage) >= BRIM_DAMAGE_MAX)
        return give_up(t, "it was found broken, or ended the process twice");
    if (is_emptied(t))
        return give_up(t, "data.mdb is empty or gone");
    if (!enter(t))
        return BRIM_ECORRUPT;
    err = leave(t, open_env(t, t->path, map_bytes), "open");
    if (err == BRIM_OK)
        note_made(t);
    return err == BRIM_EIO ? give_up(t, "it cannot be read") : err;
}

enum brim_err brim_kv_table_open(const char *path, uint64_t map_bytes,
                                 struct brim_kv_table **table_out)
{
    struct brim_kv_table *t;
    enum brim_err err;

    INVARIANT(path != NULL && table_out != NULL);
    *table_out = NULL;
    if (mkdir(path, PATH_MODE) != 0 && errno != EEXIST) {
        err = errno == ENOSPC ? BRIM_ENOSPC : BRIM_EIO;
        BRIM_LOG(
            ERROR, "kv.table",
            "path=%s what=mkdir errno=%d do=\"make the parent directory and let brim write there\"",
            path, errno);
        return err;
    }
    t = brim_alloc(sizeof(*t));
    t->magic = TABLE_MAGIC;
    t->path = brim_strdup(path);
    brim_index_init_map(&t->map);
    t->damage = brim_damage_open(path);
    err = open_table(t, map_bytes);
    if (err != BRIM_OK && err != BRIM_ECORRUPT) {
        brim_kv_table_close(t);
        return err;
    }
    *table_out = t;
    return BRIM_OK;
}

void brim_kv_table_close(struct brim_kv_table *table)
{
    if (table == NULL)
        return;
    OBJ_CHECK(table, TABLE_MAGIC);
    if (atomic_load(&table->is_broken))
        BRIM_ADD(KV_DAMAGED, -1);
    mdb_env_close(table->env);
    brim_damage_close(table->damage);
    pthread_rwlock_destroy(&table->map);
    free(table->path);
    table->magic = 0;
    free(table);
}

void brim_kv_table_settle(struct brim_kv_table *table)
{
    OBJ_CHECK(table, TABLE_MAGIC);
    brim_damage_settle(table->damage);
}

bool brim_kv_table_is_broken(struct brim_kv_table *table)
{
    OBJ_CHECK(table, TABLE_MAGIC);
    return atomic_load_explicit(&table->is_broken, memory_order_relaxed);
}

/* False: not a row of ours, or one that a disk has changed (it is as if it were not there). */
static bool row_of(const MDB_val *key, const MDB_val *val, struct brim_kv_row *row_out)
{
    int64_t expires;

    *row_out = (struct brim_kv_row){.key = brim_str(key->mv_data, key->mv_size)};
    if (val->mv_size < HEAD_BYTES)
        return false;
    memcpy(&expires, val->mv_data, sizeof(expires));
    row_out->expires_wall_ms = (int64_t)le64toh((uint64_t)expires);
    row_out->value = brim_str((const char *)val->mv_data + HEAD_BYTES, val->mv_size - HEAD_BYTES);
    return true;
}

static MDB_val val_of(struct brim_str bytes)
{
    return (MDB_val){.mv_size = bytes.len, .mv_data = (void *)(uintptr_t)bytes.base};
}

enum brim_err brim_kv_table_find(struct brim_kv_table *table, struct brim_str key,
                                 bool (*fn)(const struct brim_kv_row *row, void *ctx), void *ctx)
{
    MDB_txn *txn = NULL;
    MDB_val at = val_of(key), val;
    struct brim_kv_row row;
    int rc;

    if (!enter(table))
        return BRIM_ECORRUPT;
    rc = begin(table, MDB_RDONLY, &txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_get(txn, table->rows, &at, &val);
    if (rc == MDB_SUCCESS && row_of(&at, &val, &row))
        (void)fn(&row, ctx);
    else if (rc == MDB_SUCCESS)
        rc = MDB_NOTFOUND;
    mdb_txn_abort(txn); /* accepts NULL */
    return leave(table, rc, "get");
}

enum brim_err brim_kv_table_walk(struct brim_kv_table *table, struct brim_str from,
                                 bool (*fn)(const struct brim_kv_row *row, void *ctx), void *ctx)
{
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key = val_of(from), val;
    struct brim_kv_row row;
    int rc;

    INVARIANT(from.len <= BRIM_KV_TABLE_KEY_MAX);
    if (!enter(table))
        return BRIM_ECORRUPT;
    rc = begin(table, MDB_RDONLY, &txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(txn, table->rows, &cursor);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_get(cursor, &key, &val, from.len == 0 ? MDB_FIRST : MDB_SET_RANGE);
    while (rc == MDB_SUCCESS) {
        if (row_of(&key, &val, &row) && !fn(&row, ctx))
            break;
        rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
    }
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return leave(table, rc == MDB_NOTFOUND ? MDB_SUCCESS : rc, "walk");
}

/* Whether a row that was seen to have expired is there as it was. */
static bool is_as_seen(struct brim_kv_table *t, MDB_txn *txn, const struct brim_kv_row *seen)
{
    MDB_val key = val_of(seen->key), val;
    struct brim_kv_row row;

    return mdb_get(txn, t->rows, &key, &val) == MDB_SUCCESS && row_of(&key, &val, &row) &&
           row.expires_wall_ms == seen->expires_wall_ms;
}

static int put(struct brim_kv_table *t, MDB_txn *txn, const struct brim_kv_row *row)
{
    MDB_val key = val_of(row->key), val = {.mv_size = HEAD_BYTES + row->value.len};
    uint64_t expires = htole64((uint64_t)row->expires_wall_ms);
    int rc;

    INVARIANT(row->key.len > 0 && row->key.len <= BRIM_KV_TABLE_KEY_MAX);
    if (row->is_gone && row->expires_wall_ms != 0 && !is_as_seen(t, txn, row))
        return MDB_SUCCESS;
    if (row->is_gone) {
        rc = mdb_del(txn, t->rows, &key, NULL);
        return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    }
    rc = mdb_put(txn, t->rows, &key, &val, MDB_RESERVE);
    if (rc != MDB_SUCCESS)
        return rc;
    memcpy(val.mv_data, &expires, sizeof(expires));
    if (row->value.len > 0)
        memcpy((char *)val.mv_data + HEAD_BYTES, row->value.base, row->value.len);
    return MDB_SUCCESS;
}

static int put_all(struct brim_kv_table *t, const struct brim_kv_row *rows, size_t count)
{
    MDB_txn *txn = NULL;
    int rc = begin(t, 0, &txn);

    for (size_t i = 0; i < count && rc == MDB_SUCCESS; i++)
        rc = put(t, txn, &rows[i]);
    if (rc == MDB_SUCCESS)
        return brim_index_end(txn);
    mdb_txn_abort(txn);
    return rc;
}

enum brim_err brim_kv_table_commit(struct brim_kv_table *table, const struct brim_kv_row *rows,
                                   size_t count)
{
    int rc;

    if (!enter(table))
        return BRIM_ECORRUPT;
    do
        rc = put_all(table, rows, count);
    while (rc == MDB_MAP_FULL && brim_index_free_dead_readers(table->env));
    return leave(table, rc, "commit");
}
