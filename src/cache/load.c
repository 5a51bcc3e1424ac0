/* SPDX-License-Identifier: MIT */
#include "brim/cache/load.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "brim/base/invariant.h"

#define LOAD_MAGIC 0x636c6431u

struct brim_cache_load {
    struct brim_job job; /* first: the pool hands this back */
    uint32_t magic;
    _Atomic unsigned refs; /* caller and job */
    _Atomic bool done;
    struct brim_disk *disk;
    struct brim_port *port; /* counted */
    struct brim_locator locator;
    struct brim_object *object; /* result, with err */
    enum brim_err err;
};

static void load_unref(struct brim_cache_load *load)
{
    OBJ_CHECK(load, LOAD_MAGIC);
    if (atomic_fetch_sub_explicit(&load->refs, 1, memory_order_acq_rel) != 1)
        return;
    brim_object_unref(load->object);
    brim_port_unref(load->port);
    load->magic = 0;
    free(load);
}

static void load_run(struct brim_job *job)
{
    struct brim_cache_load *load = (struct brim_cache_load *)job;

    OBJ_CHECK(load, LOAD_MAGIC);
    load->err = brim_disk_load(load->disk, &load->locator, BRIM_DISK_WAIT, &load->object);
    atomic_store_explicit(&load->done, true, memory_order_release);
    brim_port_fire(load->port);
    load_unref(load);
}

void brim_load_forget(struct brim_cache_load **load)
{
    if (*load != NULL)
        load_unref(*load);
    *load = NULL;
}

/* Sends a read to the pool. Where the pool takes no more, the port fires at once: the caller asks
 * again in the next turn of its loop (see cache/reader.c for why). */
static struct brim_cache_load *load_start(const struct brim_load_from *from,
                                          const struct brim_locator *locator)
{
    struct brim_cache_load *load;

    if (from->port == NULL)
        return NULL;
    load = brim_alloc(sizeof(*load));
    *load = (struct brim_cache_load){.job = {.run = load_run},
                                     .magic = LOAD_MAGIC,
                                     .refs = 2,
                                     .disk = from->disk,
                                     .port = from->port,
                                     .locator = *locator};
    brim_port_ref(from->port);
    if (brim_pool_submit(from->pool, BRIM_JOB_READ, &load->job) == BRIM_OK)
        return load;
    atomic_store(&load->refs, 1);
    load_unref(load);
    brim_port_fire(from->port);
    return NULL;
}

/* What a read under way has brought. */
static enum brim_err load_fetch(struct brim_cache_load **load, struct brim_object **object_out)
{
    enum brim_err err;

    if (!atomic_load_explicit(&(*load)->done, memory_order_acquire))
        return BRIM_EAGAIN;
    err = (*load)->err;
    *object_out = (*load)->object;
    (*load)->object = NULL;
    brim_load_forget(load);
    return err;
}

enum brim_err brim_load_get(const struct brim_load_from *from, struct brim_locator *locator,
                            struct brim_cache_load **load, struct brim_object **object_out)
{
    enum brim_err err;

    *object_out = NULL;
    if (*load != NULL && brim_digest_is((*load)->locator.digest, locator->digest)) {
        *locator = (*load)->locator;
        return load_fetch(load, object_out);
    }
    brim_load_forget(load);
    err = brim_disk_locate(from->disk, locator->digest, locator);
    if (err == BRIM_OK)
        err = brim_disk_load(from->disk, locator, BRIM_DISK_NOWAIT, object_out);
    if (err == BRIM_EAGAIN)
        *load = load_start(from, locator);
    return err;
}
