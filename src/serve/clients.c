/* SPDX-License-Identifier: MIT */
/*
 * Sets of SET_PLACES places, chosen by a hash that outsiders cannot compute: an address can only be
 * in one set. A place is free to be taken over when its address has no connection open, nothing
 * held against it, and nothing more in memory. Each set has one of LOCKS locks; it is held for a
 * walk over eight places.
 */
#include "brim/serve/clients.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "brim/base/clock.h"
#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"

#define CLIENTS_MAGIC 0x636c6e74u
#define SET_PLACES    8u
#define SETS_MIN      256u
#define SETS_MAX      (1u << 18) /* 2 million addresses, 96 MiB if they all come */
#define LOCKS         64u

struct place {
    uint64_t address; /* 32 bits of IPv4, or the upper 64 of IPv6 */
    uint64_t window_start_ms;
    uint64_t banned_until_ms; /* 0: is not */
    uint32_t connections;
    uint32_t spent; /* thousandths of budgets, in this window */
    bool is_v6;
    bool is_taken;
};

struct brim_clients {
    uint32_t magic;
    struct brim_conf_limits limits;
    struct brim_conf_abuse abuse;
    struct brim_ledger *ledger;
    uint32_t sets; /* a power of two */
    uint64_t seed[2];
    struct place *places;
    struct brim_ledger *shares; /* one a place */
    pthread_mutex_t locks[LOCKS];
};

struct brim_clients *brim_clients_open(const struct brim_conf_limits *limits,
                                       const struct brim_conf_abuse *abuse)
{
    struct brim_clients *clients = brim_alloc(sizeof(*clients));

    clients->magic = CLIENTS_MAGIC;
    clients->limits = *limits;
    clients->abuse = *abuse;
    clients->ledger = brim_ledger_open((int64_t)limits->client_memory_bytes);
    clients->sets = SETS_MIN;
    while (clients->sets < SETS_MAX &&
           (int64_t)clients->sets * SET_PLACES < 2 * limits->connections)
        clients->sets *= 2;
    clients->places = brim_alloc((size_t)clients->sets * SET_PLACES * sizeof(*clients->places));
    clients->shares = brim_alloc((size_t)clients->sets * SET_PLACES * sizeof(*clients->shares));
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&clients->locks[i], NULL);
    if (getrandom(clients->seed, sizeof(clients->seed), 0) != sizeof(clients->seed))
        clients->seed[0] = brim_clock_mono_us();
    return clients;
}

void brim_clients_close(struct brim_clients *clients)
{
    if (clients == NULL)
        return;
    OBJ_CHECK(clients, CLIENTS_MAGIC);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&clients->locks[i]);
    free(clients->places);
    free(clients->shares);
    brim_ledger_close(clients->ledger);
    clients->magic = 0;
    free(clients);
}

/* ---- places ---- */

/* The address that counts; false for peers that have none. */
static bool read_address(const struct sockaddr_storage *peer, struct place *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    *out = (struct place){.is_taken = true};
    if (peer->ss_family == AF_INET) {
        memcpy(&v4, peer, sizeof(v4));
        out->address = v4.sin_addr.s_addr;
        return true;
    }
    if (peer->ss_family == AF_INET6) {
        memcpy(&v6, peer, sizeof(v6));
        memcpy(&out->address, v6.sin6_addr.s6_addr, sizeof(out->address));
        out->is_v6 = true;
        return true;
    }
    return false;
}

static uint32_t set_of(const struct brim_clients *clients, const struct place *address)
{
    uint64_t words[4] = {clients->seed[0], address->address, address->is_v6, clients->seed[1]};

    return (uint32_t)brim_hash64(words, sizeof(words)) & (clients->sets - 1);
}

static pthread_mutex_t *lock_of(struct brim_clients *clients, uint32_t set)
{
    pthread_mutex_t *lock = &clients->locks[set % LOCKS];

    pthread_mutex_lock(lock);
    return lock;
}

/* A connection enters by the time it was accepted, so now_ms may lie before what others wrote. */
static void forget_what_is_over(const struct brim_clients *clients, struct place *place,
                                uint64_t now_ms)
{
    if (now_ms > place->window_start_ms + (uint64_t)clients->abuse.window_ms) {
        place->window_start_ms = now_ms;
        place->spent = 0;
    }
    if (place->banned_until_ms != 0 && now_ms >= place->banned_until_ms)
        place->banned_until_ms = 0;
}

static bool is_free(const struct brim_clients *clients, const struct place *place)
{
    return place->connections == 0 && place->spent == 0 && place->banned_until_ms == 0 &&
           brim_ledger_held(&clients->shares[place - clients->places]) == 0;
}

/* The place of an address in its set, taken if need be; NULL: they are all in use. */
static struct place *find(struct brim_clients *clients, uint32_t set, const struct place *address,
                          uint64_t now_ms)
{
    struct place *at = &clients->places[(size_t)set * SET_PLACES], *room = NULL;

    for (size_t i = 0; i < SET_PLACES; i++) {
        if (!at[i].is_taken) {
            room = room == NULL ? &at[i] : room;
            continue;
        }
        forget_what_is_over(clients, &at[i], now_ms);
        if (at[i].address == address->address && at[i].is_v6 == address->is_v6)
            return &at[i];
        if (room == NULL && is_free(clients, &at[i]))
            room = &at[i];
    }
    if (room != NULL) {
        *room = *address;
        room->window_start_ms = now_ms;
        brim_ledger_share(&clients->shares[room - clients->places], clients->ledger);
    }
    return room;
}

/* ---- connections ---- */

static enum brim_ending enter(struct brim_clients *clients, struct place *place)
{
    if (place->banned_until_ms != 0)
        return BRIM_ENDING_ADDRESS_BANNED;
    if (clients->limits.connections_per_address > 0 &&
        place->connections >= clients->limits.connections_per_address)
        return BRIM_ENDING_ADDRESS_CROWDED;
    place->connections++;
    return BRIM_ENDING_NONE;
}

enum brim_ending brim_clients_enter(struct brim_clients *clients,
                                    const struct sockaddr_storage *peer, uint64_t now_mono_ms,
                                    uint32_t *place_out)
{
    enum brim_ending ending = BRIM_ENDING_NONE;
    pthread_mutex_t *lock;
    struct place address, *place;
    uint32_t set;

    OBJ_CHECK(clients, CLIENTS_MAGIC);
    *place_out = 0;
    if (!read_address(peer, &address))
        return BRIM_ENDING_NONE;
    set = set_of(clients, &address);
    lock = lock_of(clients, set);
    place = find(clients, set, &address, now_mono_ms);
    if (place != NULL) {
        ending = enter(clients, place);
        if (ending == BRIM_ENDING_NONE)
            *place_out = (uint32_t)(place - clients->places) + 1;
    }
    pthread_mutex_unlock(lock);
    if (place == NULL)
        BRIM_COUNT(CLIENTS_UNSEEN);
    return ending;
}

void brim_clients_leave(struct brim_clients *clients, uint32_t place)
{
    pthread_mutex_t *lock;

    OBJ_CHECK(clients, CLIENTS_MAGIC);
    if (place == 0)
        return;
    INVARIANT(place <= clients->sets * SET_PLACES);
    lock = lock_of(clients, (place - 1) / SET_PLACES);
    INVARIANT(clients->places[place - 1].connections > 0);
    clients->places[place - 1].connections--;
    pthread_mutex_unlock(lock);
}

bool brim_clients_spend(struct brim_clients *clients, uint32_t place, uint32_t thousandths,
                        uint64_t now_mono_ms)
{
    pthread_mutex_t *lock;
    struct place *at;
    bool is_banned_now = false;

    OBJ_CHECK(clients, CLIENTS_MAGIC);
    if (place == 0 || thousandths == 0 || clients->abuse.strikes == 0)
        return false;
    INVARIANT(place <= clients->sets * SET_PLACES);
    lock = lock_of(clients, (place - 1) / SET_PLACES);
    at = &clients->places[place - 1];
    forget_what_is_over(clients, at, now_mono_ms);
    at->spent = at->spent > UINT32_MAX - thousandths ? UINT32_MAX : at->spent + thousandths;
    if (at->banned_until_ms == 0 &&
        at->spent >= (uint64_t)clients->abuse.strikes * BRIM_CLIENTS_STRIKE) {
        at->banned_until_ms = now_mono_ms + (uint64_t)clients->abuse.ban_ms;
        at->spent = 0;
        is_banned_now = true;
    }
    pthread_mutex_unlock(lock);
    if (is_banned_now)
        BRIM_COUNT(CLIENTS_BANNED);
    return is_banned_now;
}

struct brim_ledger *brim_clients_share(struct brim_clients *clients, uint32_t place)
{
    OBJ_CHECK(clients, CLIENTS_MAGIC);
    if (place == 0 || clients->limits.connections_per_address == 0)
        return clients->ledger;
    INVARIANT(place <= clients->sets * SET_PLACES);
    return &clients->shares[place - 1];
}

struct brim_ledger *brim_clients_ledger(const struct brim_clients *clients)
{
    OBJ_CHECK(clients, CLIENTS_MAGIC);
    return clients->ledger;
}
