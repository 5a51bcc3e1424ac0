/* SPDX-License-Identifier: MIT */
/*
 * dict - values and counters in RAM that all workers share, with an end of life, and rate limits.
 *
 * Bounded: what does not fit pushes out what was not used for longest, so nothing in it is certain
 * to be there tomorrow; what must stay belongs in cache/kv. A key falls into one of SHARDS parts,
 * each with a lock of its own that is held for a copy at most. It refuses to know Lua. Time is the
 * caller's, and monotonic.
 */
#ifndef BRIM_POLICY_DICT_H
#define BRIM_POLICY_DICT_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

#define BRIM_DICT_NAME_MAX  64u
#define BRIM_DICT_KEY_MAX   255u
#define BRIM_DICT_VALUE_MAX 65536u

struct brim_dict; /* opaque */

/* What may be stored: a number or bytes. */
struct brim_dict_value {
    bool is_number;
    int64_t number;
    struct brim_str bytes;
};

struct brim_dict_key {
    struct brim_str name; /* of the dictionary, at most BRIM_DICT_NAME_MAX bytes */
    struct brim_str key;  /* at most BRIM_DICT_KEY_MAX bytes */
};

/* bytes_max: of all entries, their own cost included. Aborts without memory. Thread: init. */
struct brim_dict *brim_dict_open(size_t bytes_max);
void brim_dict_close(struct brim_dict *dict); /* accepts NULL */

/* ---- Thread: any, also a loop. expires_ms: 0 never ---- */

struct brim_dict_room {
    char *base;
    size_t bytes;
};
/* Bytes are copied to room. Errors: BRIM_ENOENT; BRIM_ELIMIT: value_out->bytes.len is longer than
 * room. */
BRIM_MUST_USE enum brim_err brim_dict_get(struct brim_dict *dict, const struct brim_dict_key *key,
                                          uint64_t now_ms, struct brim_dict_room room,
                                          struct brim_dict_value *value_out);

/* Errors: BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_dict_set(struct brim_dict *dict, const struct brim_dict_key *key,
                                          const struct brim_dict_value *value, uint64_t expires_ms);
void brim_dict_delete(struct brim_dict *dict, const struct brim_dict_key *key);

/* Adds n to a number; one that is not there is 0 and expires at expires_ms.
 * Errors: BRIM_EINVAL bytes stand there, or the sum is none; BRIM_ENOMEM. */
struct brim_dict_step {
    int64_t n;
    uint64_t now_ms;
    uint64_t expires_ms;
};
BRIM_MUST_USE enum brim_err brim_dict_incr(struct brim_dict *dict, const struct brim_dict_key *key,
                                           const struct brim_dict_step *step, int64_t *sum_out);

/*
 * Takes one of a key's allowance: rate a second, burst at once (GCRA, which is a token bucket that
 * needs one number).
 * Errors: BRIM_ENOMEM.
 */
struct brim_dict_rate {
    double per_second; /* > 0 */
    uint32_t burst;    /* >= 1 */
    uint64_t now_us;
};
struct brim_dict_allowance {
    bool is_allowed;
    uint32_t remaining; /* how many more would be allowed now */
    uint64_t wait_us;   /* until one is allowed, if it was not; else until all are again */
};
BRIM_MUST_USE enum brim_err brim_dict_take(struct brim_dict *dict, const struct brim_dict_key *key,
                                           const struct brim_dict_rate *rate,
                                           struct brim_dict_allowance *allowance_out);

#endif
