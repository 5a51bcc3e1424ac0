/* SPDX-License-Identifier: MIT */
/*
 * The facade over the real disk tier: what the two promise together.
 */
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#include "bodies.h"
#include "cache_rig.h"
#include "folder.h"

enum { POOL_THREADS = 3, QUEUE_MAX = 256 };

static char path[] = "/tmp/brim-tiers-XXXXXX";
static struct brim_ledger *ledger; /* NULL: none */

static void open_cache(void)
{
    struct brim_cache_config config = {
        .path = path,
        .disk_bytes = 64 * MIB,
        .segment_bytes = 4 * MIB,
        .memory_bytes = 2 * MIB,
        .memory_object_bytes = 128 * KIB,
        .object_bytes_max = 8 * MIB,
        .window_bytes = 256 * KIB,
        .write_queue_max = 4096,
        .purge_epochs_max = 1000,
        .ledger = ledger,
    };

    cache_rig_open(&config,
                   (struct brim_pool_limits){.threads = POOL_THREADS, .queue_max = QUEUE_MAX});
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(path));
    open_cache();
}

static void teardown(void)
{
    cache_rig_close();
    ck_assert_int_eq(folder_remove(path), 0);
}

static void on_drained(void *ctx)
{
    brim_port_fire(&((struct bell *)ctx)->port); /* the first member of struct exchange */
}

/* No room on disk and nobody reads: an origin's exchange is ended then, as flight does it. */
struct exchange {
    struct bell bell;
    _Atomic bool is_abandoned;
};

static void on_abandoned(void *ctx)
{
    struct exchange *exchange = ctx;

    exchange->is_abandoned = true;
    brim_port_fire(&exchange->bell.port);
}

/* One exchange; bytes are the pattern from `shift` on, so that versions differ. */
struct version {
    uint64_t seq; /* asked for before the "origin" is */
    uint64_t shift;
};

static void exchange_of(const char *url, uint64_t len, struct version v)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = key_of(url),
                                    .seq = v.seq,
                                    .fresh = {.lifetime_ms = 60000, .sie_ms = (int64_t)v.shift}};
    uint8_t bytes[16 * KIB];
    struct exchange exchange = {.is_abandoned = false};
    struct brim_body_hooks hooks = {
        .drained = on_drained, .abandoned = on_abandoned, .ctx = &exchange};
    struct brim_fill *fill;

    bell_init(&exchange.bell);
    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0},
                                           BRIM_BODY_LENGTH_UNKNOWN, &hooks, &fill),
                     BRIM_OK);
    for (uint64_t at = 0; at < len && !exchange.is_abandoned;) {
        size_t n = len - at < sizeof(bytes) ? (size_t)(len - at) : sizeof(bytes);

        fill_bytes(bytes, v.shift + at, n);
        at += n;
        if (brim_fill_append(fill, bytes, n) == BRIM_EAGAIN && !exchange.is_abandoned)
            bell_wait(&exchange.bell);
    }
    if (exchange.is_abandoned)
        brim_fill_abort(fill, BRIM_ECLOSED);
    else
        brim_fill_finish(fill);
    bell_fini(&exchange.bell);
}

static void exchange(const char *url, uint64_t len, uint64_t shift)
{
    exchange_of(url, len, (struct version){brim_cache_seq(cache), shift});
}

static struct brim_object *ask(const char *url, struct bell *bell)
{
    struct brim_find find = {.primary = key_of(url), .port = &bell->port};
    enum brim_found found;

    while ((found = brim_cache_find(cache, &find)) == BRIM_FOUND_WAIT)
        bell_wait(bell);
    brim_find_fini(&find);
    ck_assert((found == BRIM_FOUND_OBJECT) == (find.object != NULL));
    return find.object;
}

/* Reads [offset, offset + len) of object and checks every byte. */
static void check_range(struct brim_object *object, uint64_t offset, uint64_t len,
                        struct bell *bell)
{
    const struct brim_load_from from = brim_cache_from(cache, &bell->port);
    uint64_t shift = (uint64_t)object->fresh.sie_ms, end = offset + len;
    struct brim_str iov[BRIM_READER_IOV_MAX];
    struct brim_reader reader;
    enum brim_reader_got got;
    size_t count;

    ck_assert_int_eq(brim_reader_init(&reader, object->body, offset, len, &from), BRIM_OK);
    while ((got = brim_reader_next(&reader, 100000, iov, &count)) != BRIM_READER_END) {
        ck_assert_int_ne(got, BRIM_READER_FAILED);
        if (got == BRIM_READER_WAIT)
            bell_wait(bell);
        for (size_t i = 0; i < count; i++) {
            ck_assert(bytes_are(iov[i].base, shift + offset, iov[i].len));
            offset += iov[i].len;
        }
    }
    ck_assert_uint_eq(offset, end);
    brim_reader_fini(&reader);
}

/* Any size, through a restart, whole and in ranges. */
START_TEST(objects_of_all_sizes_survive_a_restart)
{
    const uint64_t sizes[] = {0, 1, 5000, 128 * KIB, 128 * KIB + 1, 3 * MIB, 8 * MIB};
    struct bell bell;
    char url[64];

    bell_init(&bell);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(url, sizeof(url), "http://a/%zu", i);
        exchange(url, sizes[i], i * 1000);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct brim_object *object;

            snprintf(url, sizeof(url), "http://a/%zu", i);
            object = ask(url, &bell);
            if (object == NULL) { /* still being spilled in round 0 */
                ck_assert_int_eq(round, 0);
                continue;
            }
            ck_assert_uint_eq(brim_body_bytes(object->body), sizes[i]);
            check_range(object, 0, sizes[i], &bell);
            check_range(object, sizes[i] / 3, sizes[i] / 3, &bell);
            brim_object_unref(object);
        }
        cache_rig_close();
        open_cache();
    }
    bell_fini(&bell);
}
END_TEST

static bool can_read(struct brim_object *object, struct bell *bell)
{
    const struct brim_load_from from = brim_cache_from(cache, &bell->port);
    struct brim_str iov[BRIM_READER_IOV_MAX];
    struct brim_reader reader;
    enum brim_reader_got got;
    size_t count;

    ck_assert_int_eq(brim_reader_init(&reader, object->body, 0, BRIM_BODY_LENGTH_UNKNOWN, &from),
                     BRIM_OK);
    while ((got = brim_reader_next(&reader, MIB, iov, &count)) == BRIM_READER_DATA ||
           got == BRIM_READER_WAIT)
        if (got == BRIM_READER_WAIT)
            bell_wait(bell);
    brim_reader_fini(&reader);
    return got == BRIM_READER_END;
}

/* Again and again where the disk has to make room first. */
static void store(const char *url, uint64_t len, struct bell *bell)
{
    struct brim_object *object;

    do {
        exchange(url, len, 0);
        brim_pool_wait_idle(pool);
        object = ask(url, bell);
    } while (object == NULL);
    brim_object_unref(object);
}

/* RAM has the fields of a large object, the disk alone its body: with the one the other goes. What
 * is retired while it is read is not found again. */
START_TEST(what_is_found_can_be_read_to_its_end)
{
    struct bell bell;
    char url[64];

    bell_init(&bell);
    for (int i = 0; i < 40; i++) { /* twice what the disk takes */
        snprintf(url, sizeof(url), "http://a/%d", i);
        store(url, 3 * MIB, &bell);
    }
    for (int i = 0; i < 40; i++) {
        struct brim_object *object, *again;

        snprintf(url, sizeof(url), "http://a/%d", i);
        object = ask(url, &bell);
        if (object != NULL && !can_read(object, &bell)) {
            again = ask(url, &bell);
            ck_assert_ptr_null(again);
        }
        brim_object_unref(object);
    }
    bell_fini(&bell);
}
END_TEST

/* kill -9 aside: what was purged stays purged, what was stored after it stays. */
START_TEST(purges_survive_a_restart)
{
    struct brim_object *object;
    struct bell bell;

    bell_init(&bell);
    exchange("http://a/1", 5000, 0);
    exchange("http://a/2", 5000, 0);
    ck_assert_int_eq(brim_cache_purge(cache,
                                      &(uint64_t){brim_purge_scope_url(BRIM_STR("http://a/1"))}, 1,
                                      BRIM_PURGE_HARD),
                     BRIM_OK);
    cache_rig_close();
    open_cache();
    ck_assert_ptr_null(ask("http://a/1", &bell));
    object = ask("http://a/2", &bell);
    ck_assert_ptr_nonnull(object);
    brim_object_unref(object);
    exchange("http://a/1", 6000, 0);
    cache_rig_close();
    open_cache();
    object = ask("http://a/1", &bell);
    ck_assert_ptr_nonnull(object);
    brim_object_unref(object);
    ck_assert_int_eq(
        brim_cache_purge(cache, &(uint64_t){brim_purge_scope_all()}, 1, BRIM_PURGE_HARD), BRIM_OK);
    ck_assert_ptr_null(ask("http://a/1", &bell));
    ck_assert_ptr_null(ask("http://a/2", &bell));
    bell_fini(&bell);
}
END_TEST

#define SOON 60

/* A purge that is made durable behind takes away what was there, also after a restart, and nothing
 * that was fetched since it came into force. */
START_TEST(a_purge_that_is_durable_later_purges_once)
{
    char url[SOON][2][32];
    struct bell bell;

    bell_init(&bell);
    for (unsigned i = 0; i < SOON; i++) {
        for (unsigned j = 0; j < 2; j++) {
            uint64_t scope;

            (void)snprintf(url[i][j], sizeof(url[i][j]), "http://a/%u/%u", i, j);
            scope = brim_purge_scope_url(brim_str_of(url[i][j]));
            exchange(url[i][j], 500, 0);
            ck_assert_int_eq(brim_cache_purge_soon(cache, &scope, 1, BRIM_PURGE_HARD), BRIM_OK);
        }
        exchange(url[i][0], 600, 0);
        if (i % 4 == 3)
            brim_pool_wait_idle(pool); /* its queue is not endless */
    }
    cache_rig_close();
    open_cache();
    for (unsigned i = 0; i < SOON; i++) {
        struct brim_object *object = ask(url[i][0], &bell);

        ck_assert_msg(object != NULL, "%s is gone", url[i][0]);
        brim_object_unref(object);
        ck_assert_ptr_null(ask(url[i][1], &bell));
    }
    bell_fini(&bell);
}
END_TEST

struct plug {
    struct brim_job job; /* first */
    sem_t *gate;
};

static void run_plug(struct brim_job *job)
{
    struct plug *plug = (struct plug *)job;

    while (plug->gate != NULL && sem_wait(plug->gate) != 0)
        continue;
}

static sem_t gate;

/* Nothing is written from here on until unplug_pool(). */
static void plug_pool(void)
{
    static struct plug plugs[POOL_THREADS - 1];

    ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
    brim_pool_wait_idle(pool);
    for (size_t i = 0; i < POOL_THREADS - 1; i++) {
        plugs[i] = (struct plug){.job.run = run_plug, .gate = &gate};
        ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_WRITE, &plugs[i].job), BRIM_OK);
    }
}

static void unplug_pool(void)
{
    for (size_t i = 0; i < POOL_THREADS - 1; i++)
        sem_post(&gate);
    brim_pool_wait_idle(pool);
    sem_destroy(&gate);
}

/* What an unsafe request has outdated must not come back, least of all from a node whose disk could
 * not keep up when it came: neither the response nor what is stored beside it, as its parts are. */
START_TEST(what_is_invalidated_while_the_disk_is_busy_stays_so)
{
    static struct plug plugs[QUEUE_MAX + POOL_THREADS];
    struct brim_key primary = key_of("http://a/1");
    struct bell bell;
    size_t i = 0;

    bell_init(&bell);
    exchange("http://a/1", 5000, 0);
    exchange("http://a/1#part", 5000, 0);
    plug_pool();
    do
        plugs[i].job.run = run_plug;
    while (brim_pool_submit(pool, BRIM_JOB_WRITE, &plugs[i++].job) == BRIM_OK);
    brim_cache_invalidate(cache, &primary);
    unplug_pool();
    cache_rig_close();
    open_cache();
    ck_assert_ptr_null(ask("http://a/1", &bell));
    ck_assert_ptr_null(ask("http://a/1#part", &bell));
    bell_fini(&bell);
}
END_TEST

/* Whoever invalidates asks first: what RAM has let go before the disk has it is stored, too. */
START_TEST(what_is_on_its_way_to_the_disk_is_there)
{
    struct brim_key key = key_of("http://a/0");
    char url[32];

    plug_pool();
    for (unsigned i = 0; i < 40; i++) {
        snprintf(url, sizeof(url), "http://a/%u", i);
        exchange(url, 100 * KIB, 0);
    }
    ck_assert(brim_cache_has(cache, &key));
    unplug_pool();
    ck_assert(brim_cache_has(cache, &key));
    key = key_of("http://a/none");
    ck_assert(!brim_cache_has(cache, &key));
}
END_TEST

static _Atomic uint64_t version, purged;
static _Atomic bool stop;

static const char *race_url(uint64_t *seed, char url[static 64])
{
    snprintf(url, 64, "http://a/%u", random_of(seed) % 8);
    return url;
}

static void *fill_along(void *ctx)
{
    uint64_t seed = (uint64_t)(uintptr_t)ctx;
    char url[64];

    while (!stop) {
        struct version v = {.seq = brim_cache_seq(cache)};
        uint64_t size = random_of(&seed) % (random_of(&seed) % 4 == 0 ? 1 * MIB : 20000);

        v.shift = version; /* after seq: at least as new as every purge that seq knows */
        exchange_of(race_url(&seed, url), size, v);
    }
    return NULL;
}

static void *ask_along(void *ctx)
{
    uint64_t seed = (uint64_t)(uintptr_t)ctx;
    struct bell bell;
    char url[64];

    bell_init(&bell);
    while (!stop) {
        uint64_t before = purged;
        struct brim_object *object = ask(race_url(&seed, url), &bell);

        if (object == NULL)
            continue;
        ck_assert_uint_ge((uint64_t)object->fresh.sie_ms, before);
        if (random_of(&seed) % 4 == 0)
            check_range(object, 0, brim_body_bytes(object->body), &bell);
        brim_object_unref(object);
    }
    bell_fini(&bell);
    return NULL;
}

/* Fills, lookups, reads and purges of everything at once, on both tiers: bytes are exact, and
 * nothing comes back once its purge has returned. */
START_TEST(nothing_purged_comes_back_from_either_tier)
{
    pthread_t threads[5];

    for (uintptr_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fill_along, (void *)(i + 1)), 0);
    for (uintptr_t i = 2; i < 5; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_along, (void *)(i + 1)), 0);
    for (uint64_t v = 1; v < 60; v++) {
        version = v;
        ck_assert_int_eq(
            brim_cache_purge(cache, &(uint64_t){brim_purge_scope_all()}, 1, BRIM_PURGE_HARD),
            BRIM_OK);
        purged = v;
        for (int i = 0; i < 200; i++)
            sched_yield();
    }
    stop = true;
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

/* An exchange with nobody who reads or minds. */
static struct brim_fill *begin_with(struct brim_fields fields, const char *url, uint64_t len)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = key_of(url),
                                    .seq = brim_cache_seq(cache),
                                    .fresh = {.lifetime_ms = 60000},
                                    .fields = fields};
    uint8_t bytes[KIB] = {0};
    struct brim_fill *fill;

    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0},
                                           BRIM_BODY_LENGTH_UNKNOWN, NULL, &fill),
                     BRIM_OK);
    for (uint64_t at = 0; at < len; at += KIB) {
        enum brim_err err = brim_fill_append(fill, bytes, KIB);

        ck_assert(err == BRIM_OK || err == BRIM_EAGAIN);
    }
    return fill;
}

static struct brim_fill *begin_lonely(const char *url, uint64_t len)
{
    return begin_with((struct brim_fields){NULL, 0}, url, len);
}

/* What cannot be kept takes away what it replaces, from both tiers and at once. */
START_TEST(an_older_one_does_not_stay_where_the_newer_finds_no_room)
{
    static const uint64_t sizes[] = {9 * KIB, 300 * KIB}; /* in RAM; on disk only */
    struct bell bell;

    bell_init(&bell);
    for (size_t i = 0; i < 2; i++) {
        struct brim_object *old;

        exchange("http://a/", sizes[i], 1);
        brim_pool_wait_idle(pool);
        brim_disk_flush(brim_cache_from(cache, NULL).disk);
        old = ask("http://a/", &bell);
        ck_assert_ptr_nonnull(old);
        brim_object_unref(old);
        brim_fill_finish(begin_lonely("http://a/", 9 * MIB)); /* more than object_bytes_max */
        ck_assert_ptr_null(ask("http://a/", &bell));
        brim_disk_flush(brim_cache_from(cache, NULL).disk);
        ck_assert_ptr_null(ask("http://a/", &bell));
    }
    bell_fini(&bell);
}
END_TEST

START_TEST(a_length_that_is_too_large_takes_the_older_away)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = key_of("http://a/"),
                                    .seq = brim_cache_seq(cache),
                                    .fresh = {.lifetime_ms = 60000}};
    struct brim_fill *fill;
    struct bell bell;

    bell_init(&bell);
    exchange("http://a/", KIB, 1);
    ck_assert_int_eq(
        brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0}, 9 * MIB, NULL, &fill),
        BRIM_ELIMIT);
    ck_assert_ptr_null(ask("http://a/", &bell));
    bell_fini(&bell);
}
END_TEST

/* ---- an earlier one that is still on its way ---- */

static struct brim_job gates[POOL_THREADS];
static _Atomic unsigned waiting; /* threads of the pool */
static _Atomic bool is_shut;

static void wait_at_gate(struct brim_job *job)
{
    (void)job;
    waiting++;
    while (is_shut)
        sched_yield();
    waiting--;
}

/* Nothing is written until the gate is opened. */
static void shut_gate(void)
{
    brim_pool_wait_idle(pool);
    is_shut = true;
    for (unsigned i = 0; i < POOL_THREADS; i++) {
        gates[i].run = wait_at_gate;
        ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_READ, &gates[i]), BRIM_OK);
    }
    while (waiting < POOL_THREADS)
        sched_yield();
}

static void open_gate(void)
{
    is_shut = false;
    brim_pool_wait_idle(pool);
    brim_disk_flush(brim_cache_from(cache, NULL).disk);
}

enum later { TOO_LARGE_BY_LENGTH, TOO_LARGE_AT_ITS_END, STORED_AND_LET_GO, LATERS };

/* The later one of a key is there, or is known not to be kept. */
static void end_later(enum later later, struct brim_fill *fill)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = key_of("http://a/"),
                                    .seq = brim_cache_seq(cache)};
    static const uint8_t last[KIB];

    if (later == TOO_LARGE_BY_LENGTH) {
        ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0}, 9 * MIB,
                                               NULL, &fill),
                         BRIM_ELIMIT);
        return;
    }
    if (later == TOO_LARGE_AT_ITS_END) {
        ck_assert_int_ne(brim_fill_append(fill, last, KIB), BRIM_ENOMEM);
        ck_assert(!brim_fill_is_storable(fill));
        brim_fill_finish(fill);
        return;
    }
    brim_fill_finish(fill);
    for (unsigned i = 0; i < 100; i++) { /* more than there is room for in RAM */
        char url[32];

        snprintf(url, sizeof(url), "http://b/%u", i);
        brim_fill_finish(begin_lonely(url, 100 * KIB));
    }
}

/* Who has seen the later response is not given the earlier one, which ended before it and is still
 * being written, or is slower than it. */
START_TEST(an_earlier_one_does_not_come_after_the_later_has_gone)
{
    static const uint64_t sizes[LATERS] = {0, 8 * MIB, 10 * KIB};
    enum later later = (enum later)(_i % LATERS);
    bool is_on_disk = _i < LATERS; /* the earlier: or it grows in RAM */
    struct brim_fill *earlier, *fill = NULL;
    struct brim_object *found;
    struct bell bell;

    bell_init(&bell);
    earlier = begin_lonely("http://a/", is_on_disk ? 300 * KIB : 9 * KIB);
    if (sizes[later] > 0)
        fill = begin_lonely("http://a/", sizes[later]);
    shut_gate();
    if (is_on_disk)
        brim_fill_finish(earlier); /* the rest of it waits to be written */
    end_later(later, fill);
    if (!is_on_disk)
        brim_fill_finish(earlier);
    open_gate();
    found = ask("http://a/", &bell);
    if (later != STORED_AND_LET_GO)
        ck_assert_ptr_null(found);
    else if (found != NULL)
        ck_assert_uint_eq(brim_body_bytes(found->body), sizes[later]);
    brim_object_unref(found);
    bell_fini(&bell);
}
END_TEST

/* Likewise where only one of the two varies: they stand under different keys. */
START_TEST(an_earlier_one_does_not_come_back_where_the_later_varies_otherwise)
{
    static const struct brim_field vary = {BRIM_STR("vary"), BRIM_STR("x-kind")};
    const struct brim_fields fields[] = {{NULL, 0}, {&vary, 1}};
    bool varies = _i % 2 == 1; /* the later */
    bool is_marked = _i / 2 == 1;
    struct brim_fill *earlier;
    struct brim_object *found;
    struct bell bell;

    bell_init(&bell);
    if (is_marked)
        brim_fill_finish(begin_with(fields[1], "http://a/", KIB));
    earlier = begin_with(fields[!varies], "http://a/", 2 * KIB);
    brim_fill_finish(begin_with(fields[varies], "http://a/", 3 * KIB));
    brim_fill_finish(earlier);
    found = ask("http://a/", &bell);
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(brim_body_bytes(found->body), 3 * KIB);
    brim_object_unref(found);
    bell_fini(&bell);
}
END_TEST

/* What cannot be read or decoded is forgotten, also by who reads it before it is in the tiers: it
 * does not get there afterwards, nor does what it would have replaced stay. */
START_TEST(what_is_forgotten_on_its_way_does_not_arrive)
{
    static const uint64_t sizes[] = {9 * KIB, 300 * KIB}; /* in RAM; on disk */
    struct brim_fill *fill;
    struct brim_object *object;
    struct bell bell;

    bell_init(&bell);
    exchange("http://a/", KIB, 1);
    brim_pool_wait_idle(pool);
    fill = begin_lonely("http://a/", sizes[_i]);
    object = brim_object_ref(brim_fill_object(fill));
    shut_gate();
    if (sizes[_i] > 128 * KIB) {
        brim_fill_finish(fill); /* the rest of it waits to be written */
        brim_cache_forget(cache, &object->key, object);
    } else {
        brim_cache_forget(cache, &object->key, object);
        brim_fill_finish(fill);
    }
    open_gate();
    ck_assert_ptr_null(ask("http://a/", &bell));
    brim_object_unref(object);
    bell_fini(&bell);
}
END_TEST

static void count_end(void *ctx)
{
    ++*(_Atomic unsigned *)ctx;
}

/* Who is told of the end finds the object, also where it went to disk as it came. */
START_TEST(the_end_is_told_when_the_object_is_there)
{
    static const uint64_t sizes[] = {9 * KIB, 300 * KIB};
    struct bell bell;

    bell_init(&bell);
    for (size_t i = 0; i < 2; i++) {
        _Atomic unsigned ends = 0;
        struct brim_object *object;

        brim_fill_finish_then(begin_lonely(i == 0 ? "http://a/" : "http://b/", sizes[i]), count_end,
                              &ends);
        while (ends == 0)
            sched_yield();
        object = ask(i == 0 ? "http://a/" : "http://b/", &bell);
        ck_assert_ptr_nonnull(object);
        brim_object_unref(object);
        brim_pool_wait_idle(pool);
        ck_assert_uint_eq(ends, 1);
    }
    bell_fini(&bell);
}
END_TEST

/* What is on its way into RAM is the clients' until it is there: where they hold all they may it
 * does not grow to the size that RAM would keep. On disk it is kept all the same. */
START_TEST(an_object_leaves_ram_where_clients_hold_all)
{
    static const struct {
        int64_t held;
        uint64_t bytes;
        enum brim_body_mode mode;
    } rows[] = {{0, 100 * KIB, BRIM_BODY_KEEP},
                {900 * KIB, 20 * KIB, BRIM_BODY_KEEP},
                {900 * KIB, 100 * KIB, BRIM_BODY_SPILL},
                {900 * KIB, 5 * MIB, BRIM_BODY_SPILL}};
    struct brim_object *object;
    struct bell bell;

    ledger = brim_ledger_open(1000 * KIB);
    cache_rig_close();
    open_cache();
    bell_init(&bell);
    brim_ledger_hold(ledger, rows[_i].held);
    exchange("http://a/", rows[_i].bytes, 7);
    brim_pool_wait_idle(pool);
    ck_assert_int_eq(brim_ledger_held(ledger), rows[_i].held); /* it is the cache's now */
    object = ask("http://a/", &bell);
    ck_assert_ptr_nonnull(object);
    ck_assert_int_eq(brim_body_mode(object->body), rows[_i].mode);
    brim_ledger_hold(ledger, -rows[_i].held);
    check_range(object, 0, rows[_i].bytes, &bell);
    brim_object_unref(object);
    bell_fini(&bell);
    cache_rig_close();
    ck_assert_int_eq(brim_ledger_held(ledger), 0);
    brim_ledger_close(ledger);
    ledger = NULL;
    open_cache();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/tiers");
    TCase *tc = tcase_create("tiers");

    tcase_set_timeout(tc, 240);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, objects_of_all_sizes_survive_a_restart);
    tcase_add_test(tc, what_is_found_can_be_read_to_its_end);
    tcase_add_test(tc, purges_survive_a_restart);
    tcase_add_test(tc, a_purge_that_is_durable_later_purges_once);
    tcase_add_test(tc, what_is_on_its_way_to_the_disk_is_there);
    tcase_add_test(tc, what_is_invalidated_while_the_disk_is_busy_stays_so);
    tcase_add_test(tc, nothing_purged_comes_back_from_either_tier);
    tcase_add_test(tc, an_older_one_does_not_stay_where_the_newer_finds_no_room);
    tcase_add_test(tc, a_length_that_is_too_large_takes_the_older_away);
    tcase_add_loop_test(tc, an_earlier_one_does_not_come_after_the_later_has_gone, 0, 2 * LATERS);
    tcase_add_loop_test(tc, an_earlier_one_does_not_come_back_where_the_later_varies_otherwise, 0,
                        4);
    tcase_add_loop_test(tc, what_is_forgotten_on_its_way_does_not_arrive, 0, 2);
    tcase_add_test(tc, the_end_is_told_when_the_object_is_there);
    tcase_add_loop_test(tc, an_object_leaves_ram_where_clients_hold_all, 0, 4);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
