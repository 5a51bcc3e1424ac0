/* SPDX-License-Identifier: MIT */
#include "brim/serve/wake.h"

#include <stdlib.h>

#include "brim/base/invariant.h"

#define WAKE_MAGIC 0x77616b31u

struct brim_wake {
    uint32_t magic;
    struct brim_port port;
    h2o_multithread_message_t message;
    h2o_multithread_receiver_t *receiver;
    void (*fn)(void *ctx); /* NULL: the owner is gone */
    void *ctx;
};

static struct brim_wake *wake_of(struct brim_port *port)
{
    struct brim_wake *wake = H2O_STRUCT_FROM_MEMBER(struct brim_wake, port, port);

    OBJ_CHECK(wake, WAKE_MAGIC);
    return wake;
}

/* At most one message is under way: the port's pending mark guards the embedded link. */
static void wake_notify(struct brim_port *port)
{
    struct brim_wake *wake = wake_of(port);

    h2o_multithread_send_message(wake->receiver, &wake->message);
}

static void wake_destroy(struct brim_port *port)
{
    struct brim_wake *wake = wake_of(port);

    wake->magic = 0;
    free(wake);
}

struct brim_wake *brim_wake_new(h2o_multithread_receiver_t *receiver, void (*fn)(void *ctx),
                                void *ctx)
{
    struct brim_wake *wake = brim_alloc(sizeof(*wake));

    INVARIANT(fn != NULL);
    wake->magic = WAKE_MAGIC;
    wake->receiver = receiver;
    wake->fn = fn;
    wake->ctx = ctx;
    brim_port_init(&wake->port, wake_notify, wake_destroy);
    return wake;
}

struct brim_port *brim_wake_port(struct brim_wake *wake)
{
    OBJ_CHECK(wake, WAKE_MAGIC);
    return &wake->port;
}

void brim_wake_cancel(struct brim_wake *wake)
{
    if (wake == NULL)
        return;
    OBJ_CHECK(wake, WAKE_MAGIC);
    wake->fn = NULL;
    wake->ctx = NULL;
    brim_port_unref(&wake->port);
}

void brim_wake_receive(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    while (!h2o_linklist_is_empty(messages)) {
        h2o_multithread_message_t *message =
            H2O_STRUCT_FROM_MEMBER(h2o_multithread_message_t, link, messages->next);
        struct brim_wake *wake = H2O_STRUCT_FROM_MEMBER(struct brim_wake, message, message);

        OBJ_CHECK(wake, WAKE_MAGIC);
        h2o_linklist_unlink(&message->link);
        brim_port_begin(&wake->port);
        if (wake->fn != NULL)
            wake->fn(wake->ctx);
        brim_port_unref(&wake->port);
    }
}
