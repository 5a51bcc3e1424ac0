/* SPDX-License-Identifier: MIT */
/*
 * script_lib - what the leaf tables of the Lua API (brim.kv, brim.json ...) and the VM agree on.
 *
 * A leaf is one file script_NAME.c with one opener, brim_script_open_NAME, and a row in
 * BRIM_SCRIPT_LIB_TABLE. The VM calls every opener once and puts what it pushes (a table or a
 * function) at brim.NAME; tables are frozen afterwards, nested ones too, so a leaf keeps no state
 * in them. A leaf knows lua_State and this header only: time, chance, stores, log and budget come
 * from the host. So its unit test is a bare lua_State and a host of the test's own:
 *     brim_script_host_set(L, &host);  brim_script_open_json(L);
 *
 * Rules for leaves. Errors are luaL_error / luaL_argerror with a sentence; an absent value is nil.
 * Sizes that a script chooses are checked before anything is allocated (brim_script_check_bytes),
 * and a call whose work grows with its input is charged (brim_script_charge). Memory is Lua's
 * (lua_newuserdatauv, luaL_Buffer) wherever an error could jump over a free(). No leaf blocks and
 * none waits: what must be fetched calls brim.fetch, found at registry[BRIM_SCRIPT_FETCH], by
 * lua_callk with a continuation, since it yields. A userdata's metatable has __metatable = false,
 * its __gc is C and does not raise.
 */
#ifndef BRIM_POLICY_SCRIPT_LIB_H
#define BRIM_POLICY_SCRIPT_LIB_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/log.h"
#include "brim/base/str.h"
#include "brim/cache/purge_name.h"

struct lua_State;
struct brim_cache;
struct brim_kv;
struct brim_dict;
struct brim_geo;
struct brim_geo_place;

/* What a handler wants purged; every name is valid. */
struct brim_script_purge {
    const struct brim_script_purge_name {
        enum brim_purge_noun noun;
        struct brim_str text;
    } * names;
    size_t count;
    bool is_all; /* names do not matter */
    bool is_soft;
};

/* What the node gives all of its VMs; each may be NULL: not configured. */
struct brim_script_stores {
    struct brim_cache *cache;
    struct brim_kv *kv;     /* named stores */
    struct brim_dict *dict; /* shared counters; rate limits live in it too */
    struct brim_geo *geo;
    /* Passes a purge on to the tier above, and makes it here once more when that has purged;
     * scopes: of what is named. False: too much waits. Gets up. NULL: nobody is above. Thread: any.
     */
    bool (*pass_purge)(void *up, const struct brim_script_purge *purge, const uint64_t *scopes,
                       size_t scope_count);
    void *up;
};

/*
 * What a VM's surroundings give it. Filled by whoever opens the VM, borrowed for the VM's life; a
 * test puts its own clock and chance in. Every function gets ctx. A store that is NULL is not
 * configured: its table's functions raise an error that says so.
 */
struct brim_script_host {
    void *ctx;
    uint64_t (*now_mono_us)(void *ctx);
    int64_t (*now_wall_ms)(void *ctx);
    enum brim_err (*random)(void *ctx, void *bytes_out, size_t bytes);
    void (*log)(void *ctx, enum brim_log_level level, struct brim_str text);
    void (*count)(void *ctx, struct brim_str name, int64_t n); /* brim.metric */
    /* brim.cache.purge; what is missing beside being in force, or NULL. purge NULL: nothing is
     * cached. */
    const char *(*purge)(void *ctx, const struct brim_script_purge *purge);
    struct brim_kv *kv;     /* named stores of the node */
    struct brim_dict *dict; /* shared counters; rate limits live in it too */
    /* brim.geo: BRIM_ENOENT the file says nothing of the address. NULL: no file. */
    enum brim_err (*geo)(void *ctx, struct brim_str ip, struct brim_geo_place *place_out);
    void (*charge)(struct lua_State *L, size_t units); /* set by the VM; NULL: no budget */
};

/* Sets the clocks and the randomness of host to the system's. */
void brim_script_host_use_system(struct brim_script_host *host);

/* Registry key (a string) of the function that is brim.fetch; nil where fetching is not possible.*/
#define BRIM_SCRIPT_FETCH "brim.fetch"

/* Makes host what brim_script_host_of() finds from L and from every coroutine made of it after. */
void brim_script_host_set(struct lua_State *L, struct brim_script_host *host);
struct brim_script_host *brim_script_host_of(struct lua_State *L);

/*
 * Charges work that the instruction counter does not see; one unit is about one byte copied or
 * compared, so bytes for a copy, 8 times that for a hash, 50000 for a signature's check.
 * Raises (does not return) where the budget is used up. Safe where luaL_error is.
 */
void brim_script_charge(struct lua_State *L, size_t units);

/* The string at arg, which must be one (numbers are taken as strings) of at most bytes_max bytes;
 * raises otherwise. Charged by its length. Borrowed: valid while the value is on the stack. */
struct brim_str brim_script_check_bytes(struct lua_State *L, int arg, size_t bytes_max);

/* X(name): brim.NAME is what brim_script_open_NAME(L) pushes (it returns 1). Alphabetical. */
#define BRIM_SCRIPT_LIB_TABLE(X)                                                                   \
    X(base64)                                                                                      \
    X(cache)                                                                                       \
    X(dict)                                                                                        \
    X(geo)                                                                                         \
    X(hex)                                                                                         \
    X(hmac)                                                                                        \
    X(json)                                                                                        \
    X(jwt)                                                                                         \
    X(kv)                                                                                          \
    X(metric)                                                                                      \
    X(random)                                                                                      \
    X(ratelimit)                                                                                   \
    X(sha256)                                                                                      \
    X(time)                                                                                        \
    X(url)                                                                                         \
    X(uuid)

#define BRIM_SCRIPT_LIB_DECLARE(name) int brim_script_open_##name(struct lua_State *L);
BRIM_SCRIPT_LIB_TABLE(BRIM_SCRIPT_LIB_DECLARE)
#undef BRIM_SCRIPT_LIB_DECLARE

#endif
