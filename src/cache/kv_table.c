/* SPDX-License-Identifier: MIT */
/*
 * One table, "kv1": key -> 8 bytes of expires_wall_ms (little-endian, 0: never), then the value.
 * A commit is synced whole (no MDB_NOMETASYNC as in cache/index): what was said to be durable is.
 */
#include "brim/cache/kv_table.h"

#include <endian.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define TABLE_MAGIC 0x6b767431u
#define HEAD_BYTES  8u
#define READERS_MAX 1024
#define MAP_ALIGN   65536u /* whole pages, whatever their size */
#define PATH_MODE   0700
#define FILE_MODE   0600

struct brim_kv_table {
    uint32_t magic;
    MDB_env *env;
    MDB_dbi rows;
};

/* The one place where LMDB's codes become ours; what is a fault is logged here. */
static enum brim_err table_err(int rc, const char *what)
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
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED)
        return BRIM_EVERSION;
    return BRIM_EIO;
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
    if (rc == MDB_SUCCESS)
        rc = mdb_reader_check(t->env, &dead); /* slots of a process that was killed */
    if (rc == MDB_SUCCESS)
        rc = mdb_txn_begin(t->env, NULL, 0, &txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_dbi_open(txn, "kv1", MDB_CREATE, &t->rows);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
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
        BRIM_LOG(ERROR, "kv.table", "path=%s what=mkdir errno=%d", path, errno);
        return err;
    }
    t = brim_alloc(sizeof(*t));
    t->magic = TABLE_MAGIC;
    err = table_err(open_env(t, path, map_bytes), "open");
    if (err != BRIM_OK) {
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
    mdb_env_close(table->env);
    table->magic = 0;
    free(table);
}

/* False: not a row of ours (it is then as if it were not there). */
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

    OBJ_CHECK(table, TABLE_MAGIC);
    rc = mdb_txn_begin(table->env, NULL, MDB_RDONLY, &txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_get(txn, table->rows, &at, &val);
    if (rc == MDB_SUCCESS && row_of(&at, &val, &row))
        (void)fn(&row, ctx);
    else if (rc == MDB_SUCCESS)
        rc = MDB_NOTFOUND;
    mdb_txn_abort(txn); /* accepts NULL */
    return table_err(rc, "get");
}

enum brim_err brim_kv_table_walk(struct brim_kv_table *table, struct brim_str from,
                                 bool (*fn)(const struct brim_kv_row *row, void *ctx), void *ctx)
{
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key = val_of(from), val;
    struct brim_kv_row row;
    int rc;

    OBJ_CHECK(table, TABLE_MAGIC);
    INVARIANT(from.len <= BRIM_KV_TABLE_KEY_MAX);
    rc = mdb_txn_begin(table->env, NULL, MDB_RDONLY, &txn);
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
    return rc == MDB_NOTFOUND ? BRIM_OK : table_err(rc, "walk");
}

static int put(struct brim_kv_table *t, MDB_txn *txn, const struct brim_kv_row *row)
{
    MDB_val key = val_of(row->key), val = {.mv_size = HEAD_BYTES + row->value.len};
    uint64_t expires = htole64((uint64_t)row->expires_wall_ms);
    int rc;

    INVARIANT(row->key.len > 0 && row->key.len <= BRIM_KV_TABLE_KEY_MAX);
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

enum brim_err brim_kv_table_commit(struct brim_kv_table *table, const struct brim_kv_row *rows,
                                   size_t count)
{
    MDB_txn *txn = NULL;
    int rc;

    OBJ_CHECK(table, TABLE_MAGIC);
    rc = mdb_txn_begin(table->env, NULL, 0, &txn);
    for (size_t i = 0; i < count && rc == MDB_SUCCESS; i++)
        rc = put(table, txn, &rows[i]);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return table_err(rc, "write");
    }
    return table_err(mdb_txn_commit(txn), "commit");
}
