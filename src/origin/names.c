/* SPDX-License-Identifier: MIT */
/*
 * One thread plans, a few look up (a pool), so that a name server that is slow about one name holds
 * up no other. A name:
 *
 *   new --find--> due --> running --found--> known until its time is over --> due ...
 *                            \---failed----> what was known goes on, due again in RETRY_MS
 *
 *   known, and nobody asked for IDLE_MS: asleep; the next find looks up and waits, as for a new
 * one, and goes by what was known if that takes too long (last)
 *
 * Generations. libcurl uses an open connection again for the name that it was made for, whatever
 * that leads to by now. So a name has a generation, which is part of what libcurl takes for its
 * name (fetch_wire), and connections of an older one are left to grow old. It grows when nothing of
 * what was known is named any more, which is how a failover looks, or when an address has not been
 * named for MISSING_MS: a server that answers with a few of many addresses by turns keeps its
 * connections.
 *
 * Lock: one, over the table. Not held while a look-up runs or fn is called.
 */
#include "brim/origin/names.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brim/base/clock.h"
#include "brim/base/conf_value.h"
#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/pool.h"

#define NAMES_MAGIC 0x6e616d31u
#define BUCKETS     256u
#define LOOKUPS     4u
#define QUEUE_MAX   65536u
#define RETRY_MS    1000u
#define TTL_MS      60000u
#define IDLE_MS     300000u
#define MISSING_MS  30000u
#define KNOWN_MAX   64u
#define SHOWN_BYTES 512u
#define NEVER_MS    UINT64_MAX

struct waiter {
    struct waiter *next;
    void (*fn)(void *ctx);
    void *ctx;
};

/* An address that connections of this generation may have. */
struct known {
    uint64_t named_ms; /* when a look-up found it last */
    char address[BRIM_DNS_ADDRESS_BYTES];
};

struct name {
    struct brim_job job; /* first */
    struct brim_names *names;
    struct name *next;
    char *text;
    struct brim_names_way way; /* count 0: it was never found */
    struct known known[KNOWN_MAX];
    unsigned known_count;
    uint64_t due_ms;
    uint64_t asked_ms;
    struct waiter *waiters;
    bool is_running;
    bool has_failed; /* the last time */
    bool is_asleep;
};

struct brim_names {
    uint32_t magic;
    struct brim_names_config config;
    struct brim_dns_config dns;
    struct brim_pool *pool;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    bool is_stopping;
    struct name *buckets[BUCKETS];
};

/* ---- what a look-up brought: lock held ---- */

static struct known *known_of(struct name *n, const char *address)
{
    for (unsigned i = 0; i < n->known_count; i++)
        if (strcmp(n->known[i].address, address) == 0)
            return &n->known[i];
    return NULL;
}

static void know(struct name *n, const struct brim_dns_found *found, uint64_t now_ms)
{
    for (unsigned i = 0; i < found->count; i++) {
        struct known *known = known_of(n, found->addresses[i]);

        if (known == NULL) {
            INVARIANT(n->known_count < KNOWN_MAX);
            known = &n->known[n->known_count++];
            memcpy(known->address, found->addresses[i], BRIM_DNS_ADDRESS_BYTES);
        }
        known->named_ms = now_ms;
    }
}

static bool is_named(const struct brim_dns_found *found, const char *address)
{
    for (unsigned i = 0; i < found->count; i++)
        if (strcmp(found->addresses[i], address) == 0)
            return true;
    return false;
}

/* Whether connections of this generation may lead where the name no longer does. Between two
 * look-ups nothing is named: who is named now was not missing, however long ago the last one was.
 * Nor are those of IPv6 where nobody could say anything about it. */
static bool has_left(const struct name *n, const struct brim_dns_found *found, uint64_t now_ms)
{
    unsigned same = 0;

    for (unsigned i = 0; i < n->known_count; i++) {
        if (is_named(found, n->known[i].address))
            same++;
        else if (!(found->is_half && n->known[i].address[0] == '[') &&
                 now_ms - n->known[i].named_ms > n->names->config.missing_ms)
            return true;
    }
    if (n->known_count + found->count - same > KNOWN_MAX)
        return true;
    return n->known_count > 0 && same == 0;
}

static void show(const struct name *n, char *text)
{
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < n->way.count && at < SHOWN_BYTES - BRIM_DNS_ADDRESS_BYTES - 1; i++)
        at += (size_t)snprintf(text + at, SHOWN_BYTES - at, "%s%s", i == 0 ? "" : ",",
                               n->way.addresses[i]);
}

static uint64_t held(const struct brim_names_config *config, uint64_t ttl_ms)
{
    if (ttl_ms < config->ttl_min_ms)
        return config->ttl_min_ms;
    return ttl_ms > config->ttl_max_ms ? config->ttl_max_ms : ttl_ms;
}

static void take_found(struct name *n, const struct brim_dns_found *found)
{
    uint64_t now_ms = brim_clock_mono_ms();
    bool is_first = n->way.count == 0;
    char shown[SHOWN_BYTES];
    bool has_changed;

    /* What slept was not looked up, so nothing is missing for having slept. */
    for (unsigned i = 0; n->is_asleep && i < n->known_count; i++)
        n->known[i].named_ms = now_ms;
    has_changed = has_left(n, found, now_ms);
    if (has_changed) {
        n->known_count = 0;
        n->way.generation++;
        BRIM_COUNT(DNS_CHANGES);
    }
    know(n, found, now_ms);
    n->way.count = found->count;
    memcpy(n->way.addresses, found->addresses, sizeof(n->way.addresses));
    n->due_ms = now_ms + held(&n->names->config, found->ttl_ms);
    show(n, shown);
    if (has_changed || is_first)
        BRIM_LOG(INFO, "dns.found", "name=%s addresses=%s ttl_ms=%llu", n->text, shown,
                 (unsigned long long)found->ttl_ms);
    else if (n->has_failed)
        BRIM_LOG(INFO, "dns.answers", "name=%s addresses=%s", n->text, shown);
    n->has_failed = n->is_asleep = false;
}

static void take_failure(struct name *n, enum brim_err err)
{
    if (!n->has_failed)
        BRIM_LOG(WARN, "dns.failed", "name=%s reason=%s going_on=%s", n->text,
                 err == BRIM_ENOENT ? "\"there is no such name\"" : "\"no name server answers\"",
                 n->way.count > 0 ? "\"with the last addresses\"" : "\"without any\"");
    n->has_failed = true;
    n->is_asleep = false;
    n->due_ms = brim_clock_mono_ms() + RETRY_MS;
}

static void tell(struct waiter *list)
{
    while (list != NULL) {
        struct waiter *next = list->next;

        list->fn(list->ctx);
        free(list);
        list = next;
    }
}

static struct waiter *take_waiters(struct name *n)
{
    struct waiter *list = n->waiters;

    n->waiters = NULL;
    return list;
}

static void look_up(struct brim_job *job)
{
    struct name *n = (struct name *)job; /* it stands first */
    struct brim_names *names = n->names;
    struct brim_dns_found found = {.count = 0};
    struct waiter *waiters;
    enum brim_err err;

    OBJ_CHECK(names, NAMES_MAGIC);
    if (names->config.lookup != NULL)
        err = names->config.lookup(names->config.ctx, n->text, &found);
    else
        err = brim_dns_lookup(&names->dns, n->text, &found);
    brim_metric_add(err == BRIM_OK ? BRIM_METRIC_DNS_FOUND : BRIM_METRIC_DNS_FAILED, 1);
    pthread_mutex_lock(&names->lock);
    if (err == BRIM_OK)
        take_found(n, &found);
    else
        take_failure(n, err);
    n->is_running = false;
    waiters = take_waiters(n);
    pthread_cond_signal(&names->changed);
    pthread_mutex_unlock(&names->lock);
    tell(waiters);
}

/* ---- planning: lock held ---- */

/* Returns when there is something to do about n. */
static uint64_t plan(struct name *n, uint64_t now_ms)
{
    if (n->is_running)
        return NEVER_MS;
    if (n->due_ms <= now_ms && n->waiters == NULL &&
        now_ms - n->asked_ms > n->names->config.idle_ms) {
        n->is_asleep = true;
        n->due_ms = NEVER_MS;
    }
    if (n->due_ms > now_ms)
        return n->due_ms;
    if (brim_pool_submit(n->names->pool, BRIM_JOB_READ, &n->job) != BRIM_OK)
        return n->due_ms = now_ms + RETRY_MS;
    n->is_running = true;
    return NEVER_MS;
}

static uint64_t plan_all(struct brim_names *names)
{
    uint64_t now_ms = brim_clock_mono_ms(), next_ms = NEVER_MS;

    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct name *n = names->buckets[i]; n != NULL; n = n->next) {
            uint64_t at_ms = plan(n, now_ms);

            next_ms = at_ms < next_ms ? at_ms : next_ms;
        }
    return next_ms;
}

static void *names_main(void *arg)
{
    struct brim_names *names = arg;

    pthread_setname_np(pthread_self(), "brim-names");
    pthread_mutex_lock(&names->lock);
    while (!names->is_stopping) {
        uint64_t next_ms = plan_all(names);
        struct timespec at = {.tv_sec = (time_t)(next_ms / 1000),
                              .tv_nsec = (long)(next_ms % 1000) * 1000000};

        if (next_ms == NEVER_MS)
            pthread_cond_wait(&names->changed, &names->lock);
        else
            (void)pthread_cond_timedwait(&names->changed, &names->lock, &at);
    }
    pthread_mutex_unlock(&names->lock);
    return NULL;
}

/* ---- finding ---- */

/* Lock held. */
static struct name *name_get(struct brim_names *names, const char *text)
{
    struct name **at = &names->buckets[brim_hash64(text, strlen(text)) % BUCKETS], *n;

    for (n = *at; n != NULL; n = n->next)
        if (strcmp(n->text, text) == 0)
            return n;
    n = brim_alloc(sizeof(*n));
    n->job.run = look_up;
    n->names = names;
    n->text = brim_strdup(text);
    n->next = *at;
    n->is_asleep = true;
    n->due_ms = NEVER_MS;
    *at = n;
    return n;
}

static void wait_for(struct name *n, void (*fn)(void *ctx), void *ctx)
{
    struct waiter *waiter = brim_alloc(sizeof(*waiter));

    *waiter = (struct waiter){n->waiters, fn, ctx};
    n->waiters = waiter;
    if (n->is_asleep && !n->is_running) {
        n->due_ms = 0;
        pthread_cond_signal(&n->names->changed);
    }
}

enum brim_err brim_names_find(struct brim_names *names, const char *name, void (*fn)(void *ctx),
                              void *ctx, struct brim_names_way *way_out)
{
    enum brim_err err = BRIM_OK;
    struct name *n;

    OBJ_CHECK(names, NAMES_MAGIC);
    way_out->count = 0;
    pthread_mutex_lock(&names->lock);
    n = name_get(names, name);
    n->asked_ms = brim_clock_mono_ms();
    if (n->way.count > 0 && !n->is_asleep)
        *way_out = n->way;
    else if (names->is_stopping)
        err = BRIM_ECLOSED;
    else if (n->has_failed && !n->is_asleep)
        err = BRIM_EDNS; /* nobody waits for the next try */
    else
        err = BRIM_EAGAIN;
    if (err == BRIM_EAGAIN)
        wait_for(n, fn, ctx);
    pthread_mutex_unlock(&names->lock);
    return err;
}

bool brim_names_last(struct brim_names *names, const char *name, struct brim_names_way *way_out)
{
    OBJ_CHECK(names, NAMES_MAGIC);
    pthread_mutex_lock(&names->lock);
    *way_out = name_get(names, name)->way;
    pthread_mutex_unlock(&names->lock);
    return way_out->count > 0;
}

/* ---- life ---- */

static enum brim_err read_servers(struct brim_names *names)
{
    if (names->config.nameserver_count > BRIM_DNS_NAMESERVERS_MAX)
        return BRIM_EINVAL;
    for (size_t i = 0; i < names->config.nameserver_count; i++)
        if (!brim_conf_value_nameserver(names->config.nameservers[i], &names->dns.nameservers[i]))
            return BRIM_EINVAL;
    names->dns.count = (unsigned)names->config.nameserver_count;
    return BRIM_OK;
}

enum brim_err brim_names_open(const struct brim_names_config *config, struct brim_names **names_out)
{
    static const struct brim_pool_limits limits = {.threads = LOOKUPS, .queue_max = QUEUE_MAX};
    struct brim_names *names = brim_alloc(sizeof(*names));
    pthread_condattr_t attributes;
    enum brim_err err;

    *names_out = NULL;
    names->magic = NAMES_MAGIC;
    names->config = *config;
    if (config->ttl_max_ms == 0)
        names->config.ttl_max_ms = config->ttl_min_ms > TTL_MS ? config->ttl_min_ms : TTL_MS;
    if (config->missing_ms == 0)
        names->config.missing_ms = MISSING_MS;
    if (config->idle_ms == 0)
        names->config.idle_ms = IDLE_MS;
    pthread_mutex_init(&names->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&names->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    err = read_servers(names);
    if (err == BRIM_OK)
        err = brim_pool_open(&limits, &names->pool);
    if (err == BRIM_OK && pthread_create(&names->thread, NULL, names_main, names) != 0)
        err = BRIM_ENOMEM;
    names->has_thread = err == BRIM_OK;
    if (err != BRIM_OK) {
        brim_names_stop(names);
        brim_names_close(names);
        return err;
    }
    *names_out = names;
    return BRIM_OK;
}

void brim_names_stop(struct brim_names *names)
{
    OBJ_CHECK(names, NAMES_MAGIC);
    pthread_mutex_lock(&names->lock);
    names->is_stopping = true;
    pthread_cond_signal(&names->changed);
    pthread_mutex_unlock(&names->lock);
    if (names->has_thread)
        pthread_join(names->thread, NULL);
    if (names->pool != NULL)
        brim_pool_close(names->pool); /* whose jobs tell who waits */
    names->pool = NULL;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct name *n = names->buckets[i]; n != NULL; n = n->next)
            tell(take_waiters(n)); /* of those that were not begun */
}

void brim_names_close(struct brim_names *names)
{
    struct name *next;

    if (names == NULL)
        return;
    OBJ_CHECK(names, NAMES_MAGIC);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct name *n = names->buckets[i]; n != NULL; n = next) {
            next = n->next;
            INVARIANT(n->waiters == NULL);
            free(n->text);
            free(n);
        }
    pthread_cond_destroy(&names->changed);
    pthread_mutex_destroy(&names->lock);
    names->magic = 0;
    free(names);
}
