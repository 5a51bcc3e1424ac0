/* SPDX-License-Identifier: MIT */
/*
 * Each shard: a table of chains and one list by time of use, newest first. An entry is one block of
 * memory, key and bytes behind it; a write makes a new one, so that a reader's copy is all that a
 * lock covers. Rate limits are numbers in a dictionary of their own: the time at which a key's
 * allowance is whole again (the "theoretical arrival time" of GCRA).
 */
#include "brim/policy/dict.h"

#include <pthread.h>
#include <stdlib.h>

#include "brim/base/hash.h"
#include "brim/base/invariant.h"

#define DICT_MAGIC   0x64696374u
#define SHARDS       16u
#define CHAINS       1024u
#define FULL_KEY_MAX (BRIM_DICT_NAME_MAX + 2 + BRIM_DICT_KEY_MAX)
#define US_A_S       1000000.0
#define INTERVAL_MAX 1e15 /* us: thirty years */

enum kind { VALUE = 'v', RATE = 'r' };

struct item {
    struct item *next_in_chain;
    struct item *newer, *older;
    uint64_t expires_ms; /* 0: never */
    int64_t number;
    uint32_t key_len;
    uint32_t bytes_len;
    bool is_number;
    char bytes[]; /* key, then value */
};

struct shard {
    pthread_mutex_t lock;
    struct item *chains[CHAINS];
    struct item *newest, *oldest;
    size_t bytes;
    size_t bytes_max;
};

struct brim_dict {
    uint32_t magic;
    struct shard shards[SHARDS];
};

/* Where a key belongs. */
struct place {
    struct shard *shard;
    struct item **chain;
    struct brim_str key;
};

struct brim_dict *brim_dict_open(size_t bytes_max)
{
    struct brim_dict *dict = brim_alloc(sizeof(*dict));

    dict->magic = DICT_MAGIC;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&dict->shards[i].lock, NULL);
        dict->shards[i].bytes_max = bytes_max / SHARDS;
    }
    return dict;
}

void brim_dict_close(struct brim_dict *dict)
{
    if (dict == NULL)
        return;
    OBJ_CHECK(dict, DICT_MAGIC);
    for (size_t i = 0; i < SHARDS; i++) {
        struct item *item = dict->shards[i].newest;

        while (item != NULL) {
            struct item *older = item->older;

            free(item);
            item = older;
        }
        pthread_mutex_destroy(&dict->shards[i].lock);
    }
    dict->magic = 0;
    free(dict);
}

/* Names hold no 0 (they are checked above), so no two of them meet. */
static struct place place_of(struct brim_dict *dict, enum kind kind,
                             const struct brim_dict_key *key, char room[FULL_KEY_MAX])
{
    size_t len = 0;
    uint64_t hash;
    struct shard *shard;

    OBJ_CHECK(dict, DICT_MAGIC);
    INVARIANT(key->name.len <= BRIM_DICT_NAME_MAX && key->key.len <= BRIM_DICT_KEY_MAX);
    room[len++] = (char)kind;
    if (key->name.len > 0)
        memcpy(room + len, key->name.base, key->name.len);
    len += key->name.len;
    room[len++] = '\0';
    if (key->key.len > 0)
        memcpy(room + len, key->key.base, key->key.len);
    len += key->key.len;
    hash = brim_hash64(room, len);
    shard = &dict->shards[hash % SHARDS];
    return (struct place){shard, &shard->chains[hash / SHARDS % CHAINS], brim_str(room, len)};
}

/* ---- under the shard's lock ---- */

static size_t cost_of(const struct item *item)
{
    return sizeof(*item) + item->key_len + item->bytes_len;
}

static void unlink_use(struct shard *shard, struct item *item)
{
    *(item->newer == NULL ? &shard->newest : &item->newer->older) = item->older;
    *(item->older == NULL ? &shard->oldest : &item->older->newer) = item->newer;
    item->newer = item->older = NULL;
}

static void link_newest(struct shard *shard, struct item *item)
{
    item->older = shard->newest;
    *(shard->newest == NULL ? &shard->oldest : &shard->newest->newer) = item;
    shard->newest = item;
}

static struct item **slot_of(const struct place *place)
{
    struct item **slot = place->chain;

    while (*slot != NULL && !brim_str_is(brim_str((*slot)->bytes, (*slot)->key_len), place->key))
        slot = &(*slot)->next_in_chain;
    return slot;
}

static void drop(struct shard *shard, struct item **slot)
{
    struct item *item = *slot;

    *slot = item->next_in_chain;
    unlink_use(shard, item);
    shard->bytes -= cost_of(item);
    free(item);
}

static void drop_oldest(struct shard *shard)
{
    struct item *item = shard->oldest;
    uint64_t hash = brim_hash64(item->bytes, item->key_len);
    struct item **slot = &shard->chains[hash / SHARDS % CHAINS];

    while (*slot != item)
        slot = &(*slot)->next_in_chain;
    drop(shard, slot);
}

/* The item of place that is alive, as the newest; NULL: there is none. */
static struct item *find(const struct place *place, uint64_t now_ms)
{
    struct item **slot = slot_of(place);
    struct item *item = *slot;

    if (item == NULL)
        return NULL;
    if (item->expires_ms != 0 && item->expires_ms <= now_ms) {
        drop(place->shard, slot);
        return NULL;
    }
    unlink_use(place->shard, item);
    link_newest(place->shard, item);
    return item;
}

static enum brim_err put(const struct place *place, const struct brim_dict_value *value,
                         uint64_t expires_ms)
{
    size_t bytes_len = value->is_number ? 0 : value->bytes.len;
    struct item *item = malloc(sizeof(*item) + place->key.len + bytes_len);
    struct item **slot = slot_of(place);

    if (item == NULL)
        return BRIM_ENOMEM;
    *item = (struct item){.expires_ms = expires_ms,
                          .number = value->number,
                          .key_len = (uint32_t)place->key.len,
                          .bytes_len = (uint32_t)bytes_len,
                          .is_number = value->is_number};
    memcpy(item->bytes, place->key.base, place->key.len);
    if (bytes_len > 0)
        memcpy(item->bytes + place->key.len, value->bytes.base, bytes_len);
    if (*slot != NULL)
        drop(place->shard, slot);
    item->next_in_chain = *place->chain;
    *place->chain = item;
    link_newest(place->shard, item);
    place->shard->bytes += cost_of(item);
    while (place->shard->bytes > place->shard->bytes_max && place->shard->oldest != item)
        drop_oldest(place->shard);
    return BRIM_OK;
}

/* ---- calls ---- */

enum brim_err brim_dict_get(struct brim_dict *dict, const struct brim_dict_key *key,
                            uint64_t now_ms, struct brim_dict_room room,
                            struct brim_dict_value *value_out)
{
    char full[FULL_KEY_MAX];
    struct place place = place_of(dict, VALUE, key, full);
    enum brim_err err = BRIM_ENOENT;
    struct item *item;

    *value_out = (struct brim_dict_value){.bytes = {room.base, 0}};
    pthread_mutex_lock(&place.shard->lock);
    item = find(&place, now_ms);
    if (item != NULL) {
        value_out->is_number = item->is_number;
        value_out->number = item->number;
        value_out->bytes.len = item->bytes_len;
        err = item->bytes_len > room.bytes ? BRIM_ELIMIT : BRIM_OK;
        if (err == BRIM_OK && item->bytes_len > 0)
            memcpy(room.base, item->bytes + item->key_len, item->bytes_len);
    }
    pthread_mutex_unlock(&place.shard->lock);
    return err;
}

enum brim_err brim_dict_set(struct brim_dict *dict, const struct brim_dict_key *key,
                            const struct brim_dict_value *value, uint64_t expires_ms)
{
    char full[FULL_KEY_MAX];
    struct place place = place_of(dict, VALUE, key, full);
    enum brim_err err;

    INVARIANT(value->is_number || value->bytes.len <= BRIM_DICT_VALUE_MAX);
    pthread_mutex_lock(&place.shard->lock);
    err = put(&place, value, expires_ms);
    pthread_mutex_unlock(&place.shard->lock);
    return err;
}

void brim_dict_delete(struct brim_dict *dict, const struct brim_dict_key *key)
{
    char full[FULL_KEY_MAX];
    struct place place = place_of(dict, VALUE, key, full);
    struct item **slot;

    pthread_mutex_lock(&place.shard->lock);
    slot = slot_of(&place);
    if (*slot != NULL)
        drop(place.shard, slot);
    pthread_mutex_unlock(&place.shard->lock);
}

static enum brim_err add_step(const struct place *place, const struct brim_dict_step *step,
                              int64_t *sum_out)
{
    struct brim_dict_value value = {.is_number = true, .number = step->n};
    struct item *item = find(place, step->now_ms);
    enum brim_err err;
    int64_t sum;

    if (item == NULL) {
        err = put(place, &value, step->expires_ms);
        *sum_out = err == BRIM_OK ? step->n : 0;
        return err;
    }
    if (!item->is_number || __builtin_add_overflow(item->number, step->n, &sum))
        return BRIM_EINVAL;
    item->number = sum;
    *sum_out = sum;
    return BRIM_OK;
}

enum brim_err brim_dict_incr(struct brim_dict *dict, const struct brim_dict_key *key,
                             const struct brim_dict_step *step, int64_t *sum_out)
{
    char full[FULL_KEY_MAX];
    struct place place = place_of(dict, VALUE, key, full);
    enum brim_err err;

    *sum_out = 0;
    pthread_mutex_lock(&place.shard->lock);
    err = add_step(&place, step, sum_out);
    pthread_mutex_unlock(&place.shard->lock);
    return err;
}

/* How the allowance changes; whole_us is when it is whole again, before and after. */
static void take_one(const struct brim_dict_rate *rate, int64_t *whole_us,
                     struct brim_dict_allowance *allowance_out)
{
    double interval_us = US_A_S / rate->per_second;
    int64_t now_us = (int64_t)rate->now_us, step_us, span_us, ahead_us;

    interval_us = interval_us < 1 ? 1 : interval_us > INTERVAL_MAX ? INTERVAL_MAX : interval_us;
    step_us = (int64_t)interval_us;
    span_us =
        INTERVAL_MAX / rate->burst < interval_us ? (int64_t)INTERVAL_MAX : step_us * rate->burst;
    ahead_us = *whole_us > now_us ? *whole_us - now_us : 0;
    if (ahead_us > span_us) /* the limit was larger before */
        ahead_us = span_us;
    allowance_out->is_allowed = ahead_us + step_us <= span_us;
    if (allowance_out->is_allowed)
        ahead_us += step_us;
    *whole_us = now_us + ahead_us;
    allowance_out->remaining = (uint32_t)((span_us - ahead_us) / step_us);
    allowance_out->wait_us =
        (uint64_t)(allowance_out->is_allowed ? ahead_us : ahead_us + step_us - span_us);
}

enum brim_err brim_dict_take(struct brim_dict *dict, const struct brim_dict_key *key,
                             const struct brim_dict_rate *rate,
                             struct brim_dict_allowance *allowance_out)
{
    char full[FULL_KEY_MAX];
    struct place place = place_of(dict, RATE, key, full);
    struct brim_dict_value whole = {.is_number = true};
    enum brim_err err = BRIM_OK;
    struct item *item;

    INVARIANT(rate->per_second > 0 && rate->burst >= 1);
    pthread_mutex_lock(&place.shard->lock);
    item = find(&place, rate->now_us / 1000);
    whole.number = item == NULL ? 0 : item->number;
    take_one(rate, &whole.number, allowance_out);
    if (item == NULL) /* one that is whole again says nothing, but goes by itself in the end */
        err = put(&place, &whole, 0);
    else
        item->number = whole.number;
    pthread_mutex_unlock(&place.shard->lock);
    return err;
}
