/* SPDX-License-Identifier: MIT */
/*
 * No lost wake-up: the firing thread changes the state and then swaps `pending` to true; the owner
 * swaps it to false and then reads the state. Both are read-modify-writes, so whichever comes
 * second in the order of that one flag has seen what the first did before: either the owner sees
 * the new state, or the firing thread sees `false` and notifies.
 *
 * A crowd may wait on one watch, so add and remove take constant time: a port remembers where a
 * watch put it last. That is only a hint (a port may be on two watches at once), checked before
 * use; where it is wrong the array is searched.
 */
#include "brim/base/watch.h"

#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

enum { PORTS_FIRST = 4, FIRE_ON_STACK = 64 };

void brim_port_init(struct brim_port *port, void (*notify)(struct brim_port *port),
                    void (*destroy)(struct brim_port *port))
{
    INVARIANT(port != NULL);
    INVARIANT(notify != NULL && destroy != NULL);
    port->notify = notify;
    port->destroy = destroy;
    atomic_init(&port->refs, 1);
    atomic_init(&port->pending, false);
    atomic_init(&port->slot_hint, 0);
}

void brim_port_ref(struct brim_port *port)
{
    unsigned before = atomic_fetch_add_explicit(&port->refs, 1, memory_order_relaxed);

    INVARIANT(before > 0);
}

void brim_port_unref(struct brim_port *port)
{
    unsigned before = atomic_fetch_sub_explicit(&port->refs, 1, memory_order_acq_rel);

    INVARIANT(before > 0);
    if (before == 1)
        port->destroy(port);
}

/* Consumes one count of the caller: it becomes the notification's, or is dropped. */
static void fire_take(struct brim_port *port)
{
    if (atomic_exchange_explicit(&port->pending, true, memory_order_acq_rel))
        brim_port_unref(port);
    else
        port->notify(port);
}

void brim_port_fire(struct brim_port *port)
{
    brim_port_ref(port);
    fire_take(port);
}

void brim_port_begin(struct brim_port *port)
{
    bool was_pending = atomic_exchange_explicit(&port->pending, false, memory_order_acq_rel);

    INVARIANT(was_pending);
}

void brim_watch_init(struct brim_watch *watch)
{
    INVARIANT(watch != NULL);
    *watch = (struct brim_watch){.ports = NULL};
    (void)pthread_mutex_init(&watch->lock, NULL); /* with glibc it cannot fail */
}

void brim_watch_fini(struct brim_watch *watch)
{
    for (unsigned i = 0; i < watch->count; i++)
        brim_port_unref(watch->ports[i]);
    free(watch->ports);
    watch->ports = NULL;
    watch->count = 0;
    watch->capacity = 0;
    (void)pthread_mutex_destroy(&watch->lock);
}

static void grow(struct brim_watch *watch)
{
    unsigned capacity = watch->capacity == 0 ? PORTS_FIRST : watch->capacity * 2;
    struct brim_port **ports;

    INVARIANT(capacity > watch->capacity);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is meant. */
    ports = reallocarray(watch->ports, capacity, sizeof(*ports));
    INVARIANT(ports != NULL);
    watch->ports = ports;
    watch->capacity = capacity;
}

/* Where port stands; watch->count if it does not. */
static unsigned find(const struct brim_watch *watch, const struct brim_port *port)
{
    unsigned i = atomic_load_explicit(&port->slot_hint, memory_order_relaxed);

    if (i < watch->count && watch->ports[i] == port)
        return i;
    for (i = 0; i < watch->count && watch->ports[i] != port; i++)
        ;
    return i;
}

static void put(struct brim_watch *watch, unsigned slot, struct brim_port *port)
{
    watch->ports[slot] = port;
    atomic_store_explicit(&port->slot_hint, slot, memory_order_relaxed);
}

void brim_watch_add(struct brim_watch *watch, struct brim_port *port)
{
    unsigned hint = atomic_load_explicit(&port->slot_hint, memory_order_relaxed);

    brim_port_ref(port);
    (void)pthread_mutex_lock(&watch->lock);
    INVARIANT(hint >= watch->count || watch->ports[hint] != port);
    if (watch->count == watch->capacity)
        grow(watch);
    put(watch, watch->count++, port);
    (void)pthread_mutex_unlock(&watch->lock);
}

bool brim_watch_remove(struct brim_watch *watch, struct brim_port *port)
{
    bool is_there;

    (void)pthread_mutex_lock(&watch->lock);
    unsigned slot = find(watch, port);
    is_there = slot < watch->count;
    if (is_there)
        put(watch, slot, watch->ports[--watch->count]);
    (void)pthread_mutex_unlock(&watch->lock);

    if (is_there)
        brim_port_unref(port);
    return is_there;
}

void brim_watch_fire(struct brim_watch *watch)
{
    struct brim_port *few[FIRE_ON_STACK];
    struct brim_port **ports = few;
    unsigned count;

    (void)pthread_mutex_lock(&watch->lock);
    count = watch->count;
    if (count > FIRE_ON_STACK) {
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is meant. */
        ports = brim_alloc(count * sizeof(*ports));
    }
    for (unsigned i = 0; i < count; i++) {
        ports[i] = watch->ports[i];
        brim_port_ref(ports[i]);
    }
    (void)pthread_mutex_unlock(&watch->lock);

    for (unsigned i = 0; i < count; i++)
        fire_take(ports[i]);
    if (ports != few)
        free(ports);
}
