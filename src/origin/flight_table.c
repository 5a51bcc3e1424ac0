/* SPDX-License-Identifier: MIT */
#include "brim/origin/flight_table.h"

#include "brim/base/invariant.h"

static size_t bucket_of(struct brim_digest digest)
{
    return digest.lo & (BRIM_FLIGHT_BUCKETS - 1);
}

void brim_flight_table_add(struct brim_flight_table *table, struct brim_flight_place *place,
                           const struct brim_key *key, void *flight)
{
    struct brim_flight_place **bucket = &table->buckets[bucket_of(key->digest)];

    INVARIANT(!place->is_listed);
    *place = (struct brim_flight_place){
        .next = *bucket, .key = key, .flight = flight, .is_listed = true};
    *bucket = place;
}

void brim_flight_table_remove(struct brim_flight_table *table, struct brim_flight_place *place)
{
    struct brim_flight_place **at;

    if (!place->is_listed)
        return;
    at = &table->buckets[bucket_of(place->key->digest)];
    while (*at != place)
        at = &(*at)->next;
    *at = place->next;
    place->next = NULL;
    place->is_listed = false;
}

static struct brim_flight_place *from(struct brim_flight_place *place, const struct brim_key *key)
{
    while (place != NULL && !brim_key_is(place->key, key))
        place = place->next;
    return place;
}

struct brim_flight_place *brim_flight_table_find(const struct brim_flight_table *table,
                                                 const struct brim_key *key)
{
    return from(table->buckets[bucket_of(key->digest)], key);
}

struct brim_flight_place *brim_flight_table_next(const struct brim_flight_place *place)
{
    return from(place->next, place->key);
}

void brim_flight_table_remove_older(struct brim_flight_table *table,
                                    struct brim_flight_place *place)
{
    struct brim_flight_place *older;

    while (place->is_listed && (older = brim_flight_table_next(place)) != NULL)
        brim_flight_table_remove(table, older);
}

bool brim_flight_table_is_empty(const struct brim_flight_table *table)
{
    for (size_t i = 0; i < BRIM_FLIGHT_BUCKETS; i++)
        if (table->buckets[i] != NULL)
            return false;
    return true;
}
