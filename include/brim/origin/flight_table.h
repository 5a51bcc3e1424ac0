/* SPDX-License-Identifier: MIT */
/*
 * flight_table - the flights that can be joined or looked at, by key. Has no lock of its own: its
 * owner's lock covers it. Counts nothing: a flight leaves the table before it goes.
 */
#ifndef BRIM_ORIGIN_FLIGHT_TABLE_H
#define BRIM_ORIGIN_FLIGHT_TABLE_H

#include "brim/cache/key.h"

#define BRIM_FLIGHT_BUCKETS 4096u /* power of two; flights are misses: few at a time */

/* Embedded in a flight. Private but for `is_listed`. */
struct brim_flight_place {
    struct brim_flight_place *next;
    const struct brim_key *key; /* the flight's */
    void *flight;
    bool is_listed;
};

struct brim_flight_table { /* zeroed: empty */
    struct brim_flight_place *buckets[BRIM_FLIGHT_BUCKETS];
};

/* Lists a place that is not listed, before others of its key. key is borrowed until it leaves. */
void brim_flight_table_add(struct brim_flight_table *table, struct brim_flight_place *place,
                           const struct brim_key *key, void *flight);
/* Does nothing to a place that is not listed. */
void brim_flight_table_remove(struct brim_flight_table *table, struct brim_flight_place *place);
/* Those of the same key that were listed before it. */
void brim_flight_table_remove_older(struct brim_flight_table *table,
                                    struct brim_flight_place *place);
/* The newest place of key, or NULL. */
struct brim_flight_place *brim_flight_table_find(const struct brim_flight_table *table,
                                                 const struct brim_key *key);
/* The next older place of the same key, or NULL. */
struct brim_flight_place *brim_flight_table_next(const struct brim_flight_place *place);
bool brim_flight_table_is_empty(const struct brim_flight_table *table);

#endif
