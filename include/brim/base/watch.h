/* SPDX-License-Identifier: MIT */
/*
 * watch - who wants to be told that something moved on: the one way a thread wakes a loop.
 *
 * A port belongs to one waiting party (a request on a worker); a watch to one thing that progresses
 * (a flight, a body). fire() calls notify once per port that has no notification outstanding, so
 * a burst coalesces; the party clears the mark with brim_port_begin() before it looks at the state,
 * so no progress is lost. notify() runs on the firing thread with no lock held, and must only post
 * a message. Memory: a port is counted; each outstanding notification holds one count.
 */
#ifndef BRIM_BASE_WATCH_H
#define BRIM_BASE_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct brim_port {
    void (*notify)(struct brim_port *port);  /* any thread: post a message to the owner's loop */
    void (*destroy)(struct brim_port *port); /* last count gone, any thread */
    _Atomic unsigned refs;                   /* private */
    _Atomic bool pending;                    /* private */
    _Atomic unsigned slot_hint;              /* private: where a watch put it last */
};

struct brim_watch {
    pthread_mutex_t lock; /* private: all of it */
    struct brim_port **ports;
    unsigned count;
    unsigned capacity;
};

/* Prepares a port in place with one count for the caller. */
void brim_port_init(struct brim_port *port, void (*notify)(struct brim_port *port),
                    void (*destroy)(struct brim_port *port));

void brim_port_ref(struct brim_port *port);
void brim_port_unref(struct brim_port *port);

/* Marks port as notified and calls notify, unless a notification is outstanding. Thread: any. */
void brim_port_fire(struct brim_port *port);

/* Called by the owner when it handles a notification: clears the mark. The owner then looks at the
 * state and at the end drops the notification's count with brim_port_unref(). Thread: owner's. */
void brim_port_begin(struct brim_port *port);

void brim_watch_init(struct brim_watch *watch);
void brim_watch_fini(struct brim_watch *watch);

/* Adds port (counted by the watch until removed). Adding twice is a fault. Thread: any. */
void brim_watch_add(struct brim_watch *watch, struct brim_port *port);

/* Removes port if it is there. Returns whether it was. Thread: any. */
bool brim_watch_remove(struct brim_watch *watch, struct brim_port *port);

/* Fires every port. Thread: any, with no lock of the caller held. */
void brim_watch_fire(struct brim_watch *watch);

#endif
