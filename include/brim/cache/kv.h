/* SPDX-License-Identifier: MIT */
/*
 * kv - named stores of small values: durable, seen by all workers, never waited for.
 *
 * A write is in force at once for every reader of the node: it stands in RAM, in front of the disk,
 * until the writer thread has committed it (a batch each 20 ms, synced). A crash loses at most what
 * was written in that time; who must know waits with brim_kv_sync(). Reads on a loop take a lock
 * only while something is waiting to be written, and a look at mapped pages.
 * It refuses to know Lua and the admin API. Time is the caller's.
 */
#ifndef BRIM_CACHE_KV_H
#define BRIM_CACHE_KV_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

#define BRIM_KV_STORE_MAX 64u     /* bytes of a store's name: letters, digits, - . _ */
#define BRIM_KV_KEY_MAX   255u    /* bytes of a key, none of them 0 */
#define BRIM_KV_VALUE_MAX 262144u /* bytes of a value */
#define BRIM_KV_LIST_MAX  1000u   /* keys that one list gives */
#define BRIM_KV_LIST_ROWS 1024u   /* rows on disk that one step of a list looks at */

struct brim_kv; /* opaque */

struct brim_kv_name {
    struct brim_str store;
    struct brim_str key; /* of a list: prefix; may be empty there */
};

struct brim_kv_config {
    const char *path;    /* directory, made if missing */
    uint64_t size_bytes; /* most that it takes on disk */
};

/* Stores that are damaged are opened, and every call fails. Errors: BRIM_ENOSPC, BRIM_ENOMEM,
 * BRIM_EIO: logged. Limits: must not be carried over fork(). Thread: init. */
BRIM_MUST_USE enum brim_err brim_kv_open(const struct brim_kv_config *config,
                                         struct brim_kv **kv_out);
/* Commits what waits. Accepts NULL. Thread: init, when nobody else uses it. */
void brim_kv_close(struct brim_kv *kv);

/* Whether a store and a key may be called so. */
bool brim_kv_store_is_valid(struct brim_str store);
bool brim_kv_key_is_valid(struct brim_str key);

/* ---- names below must be valid. Thread: any, also a loop. Errors of all: BRIM_ECORRUPT the stores
 * are damaged; of all that write: BRIM_ELIMIT too much waits for the disk; BRIM_ENOSPC size_bytes
 * are used; BRIM_ENOMEM ---- */

/* Where a value goes. */
struct brim_kv_room {
    char *base;
    size_t bytes;
};

/* Copies the value to room; *len_out is its length. Errors: BRIM_ENOENT; BRIM_ELIMIT it is longer
 * than room, and *len_out says how long; BRIM_EIO. */
BRIM_MUST_USE enum brim_err brim_kv_get(struct brim_kv *kv, const struct brim_kv_name *name,
                                        int64_t now_wall_ms, struct brim_kv_room room,
                                        size_t *len_out);

/* expires_wall_ms: 0 never. */
BRIM_MUST_USE enum brim_err brim_kv_set(struct brim_kv *kv, const struct brim_kv_name *name,
                                        struct brim_str value, int64_t expires_wall_ms);

/* Deleting what is not there is fine. */
BRIM_MUST_USE enum brim_err brim_kv_delete(struct brim_kv *kv, const struct brim_kv_name *name);

/* Adds to a value that is a decimal number; one that is not there is 0, and expires as said here
 * (one that is there keeps its end of life). */
struct brim_kv_step {
    int64_t n;
    int64_t now_wall_ms;
    int64_t expires_wall_ms; /* 0: never */
};
/* Errors: BRIM_EINVAL the value is no number, or the sum would be none; BRIM_EIO. */
BRIM_MUST_USE enum brim_err brim_kv_incr(struct brim_kv *kv, const struct brim_kv_name *name,
                                         const struct brim_kv_step *step, int64_t *sum_out);

/* Keys of a store, in the order of bytes. */
struct brim_kv_query {
    struct brim_kv_name name; /* its key: a prefix */
    struct brim_str after;    /* only keys behind this one; empty: from the first */
    size_t limit;             /* 1 to BRIM_KV_LIST_MAX */
    int64_t now_wall_ms;
};
/* What a list has so far. Zeroed but for room before its first step. */
struct brim_kv_keys {
    struct brim_kv_room room; /* the keys, each with a 0 behind it; at least limit * 256 bytes */
    size_t count;
    size_t seen;   /* rows and waiting writes, by the last step */
    bool is_whole; /* limit keys, or all there are */

    /* Private. */
    size_t used;
    char last[BRIM_KV_KEY_MAX]; /* where the next step goes on */
    size_t last_len;
};
/* Takes a step of a list, which may pass over any number of expired rows; the caller takes the next
 * until it is whole. What is written meanwhile is in it or not. Errors: BRIM_EIO, BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_kv_list(struct brim_kv *kv, const struct brim_kv_query *query,
                                         struct brim_kv_keys *keys);

/* Waits until what was written before is durable, or could not be made so (BRIM_ENOSPC, BRIM_EIO,
 * BRIM_ENOMEM). Thread: any but a loop. */
BRIM_MUST_USE enum brim_err brim_kv_sync(struct brim_kv *kv);

#endif
