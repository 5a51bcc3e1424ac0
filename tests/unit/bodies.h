/* SPDX-License-Identifier: MIT */
/*
 * bodies - what tests of the cache share: bytes that say where they belong, a port to wait on, and
 * objects made of a URL and a body.
 */
#ifndef BRIM_TESTS_BODIES_H
#define BRIM_TESTS_BODIES_H

#include <pthread.h>
#include <stdio.h>

#include "brim/base/watch.h"
#include "brim/cache/object.h"
#include "unit.h"

/* The byte at offset: neighbours, chunks and extents differ. */
static inline uint8_t byte_at(uint64_t offset)
{
    uint64_t x = offset * 0x9e3779b97f4a7c15u;

    return (uint8_t)(x >> 56 ^ x >> 32);
}

static inline void fill_bytes(uint8_t *to, uint64_t offset, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = byte_at(offset + i);
}

static inline bool bytes_are(const void *bytes, uint64_t offset, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (((const uint8_t *)bytes)[i] != byte_at(offset + i))
            return false;
    }
    return true;
}

/* A small generator with a seed, so that a failure comes again. */
static inline uint32_t random_of(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* A port for a thread instead of a loop. */
struct bell {
    struct brim_port port;
    pthread_mutex_t lock;
    pthread_cond_t rung;
    unsigned rings; /* not handled */
    unsigned total;
    bool destroyed;
};

static inline void bell_notify(struct brim_port *port)
{
    struct bell *bell = (struct bell *)port;

    pthread_mutex_lock(&bell->lock);
    bell->rings++;
    bell->total++;
    pthread_cond_signal(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

static inline void bell_destroy(struct brim_port *port)
{
    struct bell *bell = (struct bell *)port;

    pthread_mutex_lock(&bell->lock);
    bell->destroyed = true;
    pthread_cond_signal(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

static inline void bell_init(struct bell *bell)
{
    *bell = (struct bell){.rings = 0};
    pthread_mutex_init(&bell->lock, NULL);
    pthread_cond_init(&bell->rung, NULL);
    brim_port_init(&bell->port, bell_notify, bell_destroy);
}

/* Sleeps until the port fires, and handles it. */
static inline void bell_wait(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    while (bell->rings == 0)
        pthread_cond_wait(&bell->rung, &bell->lock);
    bell->rings--;
    pthread_mutex_unlock(&bell->lock);
    brim_port_begin(&bell->port);
    brim_port_unref(&bell->port);
}

/* Gives the owner's count back; returns when nobody else has one. */
static inline void bell_fini(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    for (; bell->rings > 0; bell->rings--) {
        pthread_mutex_unlock(&bell->lock);
        brim_port_begin(&bell->port);
        brim_port_unref(&bell->port);
        pthread_mutex_lock(&bell->lock);
    }
    pthread_mutex_unlock(&bell->lock);
    brim_port_unref(&bell->port);
    pthread_mutex_lock(&bell->lock);
    while (!bell->destroyed && bell->rings == 0)
        pthread_cond_wait(&bell->rung, &bell->lock);
    pthread_mutex_unlock(&bell->lock);
    if (!bell->destroyed) { /* a last notification came in between: it has the last count */
        brim_port_begin(&bell->port);
        brim_port_unref(&bell->port);
    }
    pthread_mutex_destroy(&bell->lock);
    pthread_cond_destroy(&bell->rung);
}

static inline struct brim_key key_of(const char *url)
{
    return brim_key_of(brim_str_of(url));
}

/* A published-looking response under url with a body of len pattern bytes. */
static inline struct brim_object *make_object(const char *url, size_t len, uint64_t seq)
{
    uint8_t *bytes = malloc(len + 1);
    struct brim_object *object = NULL;
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .key = key_of(url),
                                    .primary = key_of(url),
                                    .seq = seq,
                                    .fresh = {.lifetime_ms = 60000}};

    fill_bytes(bytes, 0, len);
    spec.body = brim_body_from(bytes, len);
    ck_assert_int_eq(brim_object_new(&spec, &object), BRIM_OK);
    brim_body_unref(spec.body);
    free(bytes);
    return object;
}

#endif
