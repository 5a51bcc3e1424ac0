/* SPDX-License-Identifier: MIT */
#include "brim/cache/cache.h"

#include <sched.h>

#include "bodies.h"
#include "cache_rig.h"
#include "fake_disk.h"

static struct bell bell;
static uint8_t scratch[4 * MIB];

static void open_cache(const char *path, enum brim_cache_admit admit)
{
    struct brim_cache_config config = {
        .path = path,
        .disk_bytes = 1 << 30,
        .segment_bytes = 1 << 20,
        .memory_bytes = 8 * MIB,
        .memory_object_bytes = 256 * KIB,
        .object_bytes_max = 3 * MIB,
        .window_bytes = 128 * KIB,
        .write_queue_max = 16,
        .purge_epochs_max = 1000,
        .admit = admit,
    };

    cache_rig_open(&config, (struct brim_pool_limits){.threads = 2, .queue_max = 64});
}

static void setup(void)
{
    bell_init(&bell);
    open_cache("fake", BRIM_ADMIT_ALWAYS);
}

static void teardown(void)
{
    cache_rig_close();
    bell_fini(&bell);
    fake_wipe();
}

static void reopen(const char *path, enum brim_cache_admit admit)
{
    cache_rig_close();
    open_cache(path, admit);
}

/* ---- helpers ---- */

static const struct brim_field vary_kind[] = {{BRIM_STR("vary"), BRIM_STR("X-Kind")}};
static const struct brim_field vary_lang[] = {{BRIM_STR("vary"), BRIM_STR("x-lang")}};
static const struct brim_field kind_red[] = {{BRIM_STR("x-kind"), BRIM_STR("red")}};
static const struct brim_field kind_blue[] = {{BRIM_STR("x-kind"), BRIM_STR("blue")}};
static const struct brim_fields no_fields = {NULL, 0};
#define FIELDS(items) ((struct brim_fields){items, sizeof(items) / sizeof((items)[0])})

static struct brim_object_spec spec_of(const char *url, struct brim_fields response)
{
    return (struct brim_object_spec){.kind = BRIM_OBJECT_RESPONSE,
                                     .status = 200,
                                     .primary = key_of(url),
                                     .seq = brim_cache_seq(cache),
                                     .fresh = {.lifetime_ms = 60000},
                                     .fields = response};
}

struct asked {
    enum brim_found found;
    struct brim_object *object;
    bool soft_purged;
    bool from_disk;
    bool is_variant; /* result.key is not the primary one */
};

/* One request, waiting for the disk where it must. */
static struct asked ask_at(const char *url, struct brim_fields request, int64_t now_wall_ms)
{
    struct brim_find find = {
        .primary = key_of(url), .request = request, .port = &bell.port, .now_wall_ms = now_wall_ms};
    struct asked asked;

    while ((asked.found = brim_cache_find(cache, &find)) == BRIM_FOUND_WAIT)
        bell_wait(&bell);
    asked.object = find.object;
    asked.soft_purged = find.soft_purged;
    asked.from_disk = find.from_disk;
    asked.is_variant = !brim_key_is(&find.key, &find.primary);
    brim_find_fini(&find);
    brim_find_fini(&find);
    return asked;
}

static struct asked ask(const char *url, struct brim_fields request)
{
    return ask_at(url, request, 0);
}

static bool is_there(const char *url, struct brim_fields request)
{
    struct asked asked = ask(url, request);

    brim_object_unref(asked.object);
    return asked.found == BRIM_FOUND_OBJECT;
}

/* Reads the whole body and checks it; returns its length, UINT64_MAX if it failed. */
static uint64_t read_body(struct brim_object *object)
{
    struct brim_load_from from;
    struct brim_reader reader;
    struct brim_str iov[BRIM_READER_IOV_MAX];
    enum brim_reader_got got;
    uint64_t offset = 0;
    size_t count;
    struct bell own;

    bell_init(&own);
    from = brim_cache_from(cache, &own.port);
    ck_assert_int_eq(brim_reader_init(&reader, object->body, 0, BRIM_BODY_LENGTH_UNKNOWN, &from),
                     BRIM_OK);
    while ((got = brim_reader_next(&reader, 64 * KIB, iov, &count)) == BRIM_READER_DATA ||
           got == BRIM_READER_WAIT) {
        if (got == BRIM_READER_WAIT)
            bell_wait(&own);
        for (size_t i = 0; i < count; i++) {
            ck_assert(bytes_are(iov[i].base, offset, iov[i].len));
            offset += iov[i].len;
        }
    }
    brim_reader_fini(&reader);
    bell_fini(&own);
    return got == BRIM_READER_END ? offset : UINT64_MAX;
}

static void on_drained(void *ctx)
{
    brim_port_fire(&((struct bell *)ctx)->port);
}

static const struct brim_body_hooks hooks = {.drained = on_drained, .ctx = &bell};

/* Appends bytes [from, to) as an origin does, pausing where told. */
static void pour(struct brim_fill *fill, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t len = to - from < 16 * KIB ? (size_t)(to - from) : 16 * KIB;
        enum brim_err err;

        fill_bytes(scratch, from, len);
        err = brim_fill_append(fill, scratch, len);
        if (err == BRIM_EAGAIN)
            bell_wait(&bell);
        else
            ck_assert_int_eq(err, BRIM_OK);
        from += len;
    }
}

static struct brim_fill *begin(const char *url, struct brim_fields request,
                               struct brim_fields response, uint64_t expected)
{
    struct brim_object_spec spec = spec_of(url, response);
    struct brim_fill *fill;

    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, request, expected, &hooks, &fill),
                     BRIM_OK);
    return fill;
}

/* One exchange from beginning to end. */
static void exchange(const char *url, struct brim_fields request, struct brim_fields response,
                     uint64_t len)
{
    struct brim_fill *fill = begin(url, request, response, BRIM_BODY_LENGTH_UNKNOWN);

    pour(fill, 0, len);
    brim_fill_finish(fill);
}

/* Has everything written and published that was queued: a closing pool runs what it has. */
static void settle(void)
{
    reopen("fake", BRIM_ADMIT_ALWAYS);
}

/* ---- plain ---- */

/* The first thing a cache must do. */
START_TEST(what_was_filled_is_found)
{
    struct asked asked = ask("http://a/1", no_fields);

    ck_assert_int_eq(asked.found, BRIM_FOUND_NONE);
    exchange("http://a/1", no_fields, no_fields, 5000);
    asked = ask("http://a/1", no_fields);
    ck_assert_int_eq(asked.found, BRIM_FOUND_OBJECT);
    ck_assert(!asked.from_disk);
    ck_assert_uint_eq(read_body(asked.object), 5000);
    brim_object_unref(asked.object);
    ck_assert(!is_there("http://a/2", no_fields));
}
END_TEST

/* A restart is not a flush: cold reads, then RAM again. */
START_TEST(filled_object_survives_a_restart)
{
    struct asked asked;

    exchange("http://a/1", no_fields, no_fields, 5000);
    reopen("fake", BRIM_ADMIT_ALWAYS);
    fake_chill();
    asked = ask("http://a/1", no_fields);
    ck_assert_int_eq(asked.found, BRIM_FOUND_OBJECT);
    ck_assert(asked.from_disk);
    ck_assert_uint_eq(read_body(asked.object), 5000);
    brim_object_unref(asked.object);
    asked = ask("http://a/1", no_fields);
    ck_assert(!asked.from_disk);
    brim_object_unref(asked.object);
}
END_TEST

/* A caller that has no port yet learns that it needs one, and nothing is begun. */
START_TEST(find_without_a_port_begins_no_read)
{
    struct brim_find find = {.primary = key_of("http://a/1")};

    exchange("http://a/1", no_fields, no_fields, 5000);
    reopen("fake", BRIM_ADMIT_ALWAYS);
    fake_chill();
    ck_assert_int_eq(brim_cache_find(cache, &find), BRIM_FOUND_WAIT);
    ck_assert_ptr_null(find.load);
    brim_find_fini(&find);
}
END_TEST

/* A client that leaves during a cold lookup. */
START_TEST(find_may_be_abandoned_while_the_disk_is_read)
{
    exchange("http://a/1", no_fields, FIELDS(vary_kind), 5000);
    for (int i = 0; i < 50; i++) {
        struct brim_find find = {.primary = key_of("http://a/1"), .port = &bell.port};

        reopen("fake", BRIM_ADMIT_ALWAYS);
        fake_chill();
        ck_assert_int_eq(brim_cache_find(cache, &find), BRIM_FOUND_WAIT);
        brim_find_fini(&find);
    }
}
END_TEST

/* A body that is shorter than was said is not stored, and its readers know. */
START_TEST(short_body_is_a_failure_and_not_stored)
{
    struct brim_fill *fill = begin("http://a/1", no_fields, no_fields, 1000);
    struct brim_object *object = brim_object_ref(brim_fill_object(fill));

    pour(fill, 0, 999);
    brim_fill_finish(fill);
    ck_assert_int_eq(brim_body_state(object->body), BRIM_BODY_FAILED);
    ck_assert_int_eq(brim_body_why(object->body), BRIM_EPROTO);
    ck_assert_uint_eq(read_body(object), UINT64_MAX);
    brim_object_unref(object);
    ck_assert(!is_there("http://a/1", no_fields));
}
END_TEST

/* Nothing of an exchange that broke off may be served to anybody later. */
START_TEST(aborted_fill_leaves_nothing)
{
    const uint64_t sizes[] = {0, 1000, 1 * MIB};

    for (size_t i = 0; i < 3; i++) {
        struct brim_fill *fill =
            begin("http://a/1", no_fields, no_fields, BRIM_BODY_LENGTH_UNKNOWN);

        pour(fill, 0, sizes[i]);
        brim_fill_abort(fill, BRIM_ECLOSED);
        ck_assert(!is_there("http://a/1", no_fields));
    }
}
END_TEST

/* What is too large for the operator's limit is refused before a byte is taken. */
START_TEST(expected_over_the_limit_is_refused)
{
    struct brim_object_spec spec = spec_of("http://a/1", no_fields);
    struct brim_fill *fill;

    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, no_fields, 3 * MIB + 1, NULL, &fill),
                     BRIM_ELIMIT);
    ck_assert_ptr_null(fill);
}
END_TEST

/* ---- variants ---- */

/* The wrong variant is somebody else's page. */
START_TEST(variants_are_kept_apart)
{
    struct asked red, blue;

    exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 100);
    ck_assert(!is_there("http://a/1", FIELDS(kind_blue)));
    ck_assert(!is_there("http://a/1", no_fields));
    exchange("http://a/1", FIELDS(kind_blue), FIELDS(vary_kind), 200);
    for (int tier = 0; tier < 2; tier++) {
        red = ask("http://a/1", FIELDS(kind_red));
        blue = ask("http://a/1", FIELDS(kind_blue));
        ck_assert_int_eq(red.found, BRIM_FOUND_OBJECT);
        ck_assert(red.is_variant);
        ck_assert(red.from_disk == (tier == 1));
        ck_assert_uint_eq(brim_body_bytes(red.object->body), 100);
        ck_assert_uint_eq(brim_body_bytes(blue.object->body), 200);
        brim_object_unref(red.object);
        brim_object_unref(blue.object);
        reopen("fake", BRIM_ADMIT_ALWAYS);
        fake_chill();
    }
}
END_TEST

/* An origin whose responses name different fields: the marker learns all of them. */
START_TEST(marker_unites_the_fields_of_all_responses)
{
    const struct brim_field both[] = {{BRIM_STR("x-kind"), BRIM_STR("red")},
                                      {BRIM_STR("x-lang"), BRIM_STR("de")}};

    exchange("http://a/1", FIELDS(both), FIELDS(vary_kind), 100);
    exchange("http://a/1", FIELDS(both), FIELDS(vary_lang), 200);
    ck_assert(is_there("http://a/1", FIELDS(both)));
    ck_assert(!is_there("http://a/1", FIELDS(kind_red))); /* no x-lang: another variant */
    exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 300);
    ck_assert(is_there("http://a/1", FIELDS(kind_red)));
    ck_assert(is_there("http://a/1", FIELDS(both)));
}
END_TEST

/* A resource that varies no more is served to everybody. */
START_TEST(response_without_vary_replaces_the_marker)
{
    exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 100);
    exchange("http://a/1", FIELDS(kind_red), no_fields, 200);
    ck_assert(is_there("http://a/1", FIELDS(kind_blue)));
}
END_TEST

/* Values too long to tell apart are neither stored nor shared. */
START_TEST(endless_selecting_value_is_a_pass)
{
    static char endless[BRIM_KEY_TEXT_MAX];
    struct brim_field long_kind[] = {{BRIM_STR("x-kind"), {endless, sizeof(endless)}}};
    struct brim_object_spec spec = spec_of("http://a/1", FIELDS(vary_kind));
    struct brim_fill *fill;

    memset(endless, 'x', sizeof(endless));
    exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 100);
    ck_assert_int_eq(ask("http://a/1", FIELDS(long_kind)).found, BRIM_FOUND_PASS);
    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, FIELDS(long_kind), 10, NULL, &fill),
                     BRIM_ELIMIT);
}
END_TEST

/* A 304: new metadata, the same bytes, in both tiers. */
START_TEST(put_shares_the_body_of_a_revalidated_object)
{
    const uint64_t sizes[] = {5000, 1 * MIB}; /* in RAM; on disk */

    for (size_t i = 0; i < 2; i++) {
        struct brim_object_spec spec;
        struct brim_object *fresher;
        struct asked asked;

        exchange("http://a/1", no_fields, no_fields, sizes[i]);
        settle();
        asked = ask("http://a/1", no_fields);
        ck_assert_int_eq(asked.found, BRIM_FOUND_OBJECT);
        spec = spec_of("http://a/1", no_fields);
        spec.key = asked.object->key;
        spec.status = 203;
        spec.body = asked.object->body;
        ck_assert_int_eq(brim_object_new(&spec, &fresher), BRIM_OK);
        brim_object_unref(asked.object);
        brim_cache_put(cache, fresher);
        brim_object_unref(fresher);
        for (int tier = 0; tier < 2; tier++) {
            asked = ask("http://a/1", no_fields);
            ck_assert_int_eq(asked.object->status, 203);
            ck_assert_uint_eq(read_body(asked.object), sizes[i]);
            brim_object_unref(asked.object);
            reopen("fake", BRIM_ADMIT_ALWAYS);
        }
    }
}
END_TEST

/* ---- sizes ---- */

/* Large objects go through, are served meanwhile, and are found whole afterwards. */
START_TEST(large_object_spills_to_disk_and_is_found)
{
    const uint64_t expected[] = {BRIM_BODY_LENGTH_UNKNOWN, 2 * MIB};

    for (size_t i = 0; i < 2; i++) {
        struct brim_fill *fill = begin("http://a/1", no_fields, no_fields, expected[i]);
        struct brim_object *object = brim_object_ref(brim_fill_object(fill));
        struct asked asked;

        pour(fill, 0, 2 * MIB);
        ck_assert(brim_fill_is_storable(fill));
        brim_fill_finish(fill);
        ck_assert_uint_eq(read_body(object), 2 * MIB);
        settle();
        ck_assert(brim_body_is_settled(object->body));
        ck_assert_uint_lt(brim_body_ram_bytes(object->body), 16 * KIB);
        brim_object_unref(object);
        reopen("fake", BRIM_ADMIT_ALWAYS);
        fake_chill();
        asked = ask("http://a/1", no_fields);
        ck_assert_int_eq(asked.found, BRIM_FOUND_OBJECT);
        ck_assert(asked.from_disk);
        ck_assert_uint_eq(read_body(asked.object), 2 * MIB);
        brim_object_unref(asked.object);
        fake_wipe();
        reopen("fake", BRIM_ADMIT_ALWAYS);
    }
}
END_TEST

struct client {
    struct brim_object *object;
    uint64_t got;
};

static void *read_in_thread(void *ctx)
{
    struct client *client = ctx;

    client->got = read_body(client->object);
    return NULL;
}

/* Pours len bytes for a client that reads along; returns what the client got. */
static uint64_t pour_for_client(struct brim_fill *fill, uint64_t len, bool *storable_out)
{
    struct client client = {.object = brim_object_ref(brim_fill_object(fill))};
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, read_in_thread, &client), 0);
    while (brim_body_readers(client.object->body) == 0)
        sched_yield();
    pour(fill, 0, len);
    *storable_out = brim_fill_is_storable(fill);
    brim_fill_finish(fill);
    pthread_join(thread, NULL);
    brim_object_unref(client.object);
    return client.got;
}

/* The disk is full or broken in the middle of a response: the client does not notice. */
START_TEST(disk_fault_while_spilling_does_not_reach_the_client)
{
    for (uint64_t left = 0; left < 4; left++) {
        struct brim_fill *fill =
            begin("http://a/1", no_fields, no_fields, BRIM_BODY_LENGTH_UNKNOWN);
        bool storable;

        fake.append_err = left % 2 == 0 ? BRIM_ENOSPC : BRIM_EIO;
        fake.append_left = left;
        ck_assert_uint_eq(pour_for_client(fill, 2 * MIB, &storable), 2 * MIB);
        settle();
        ck_assert(!is_there("http://a/1", no_fields));
        fake.append_err = BRIM_OK;
    }
}
END_TEST

/* Nobody knew that it was that large: it is served, not stored. */
START_TEST(object_that_outgrows_the_limit_is_served_and_not_stored)
{
    struct brim_fill *fill = begin("http://a/1", no_fields, no_fields, BRIM_BODY_LENGTH_UNKNOWN);
    bool storable;

    ck_assert_uint_eq(pour_for_client(fill, 4 * MIB, &storable), 4 * MIB);
    ck_assert(!storable);
    settle();
    ck_assert(!is_there("http://a/1", no_fields));
}
END_TEST

/* Without a disk tier large responses pass through a window. */
START_TEST(large_object_without_a_disk_passes)
{
    struct brim_fill *fill;
    bool storable;

    reopen(NULL, BRIM_ADMIT_ALWAYS);
    fill = begin("http://a/1", no_fields, no_fields, BRIM_BODY_LENGTH_UNKNOWN);
    ck_assert_uint_eq(pour_for_client(fill, 2 * MIB, &storable), 2 * MIB);
    ck_assert(!storable);
    ck_assert(!is_there("http://a/1", no_fields));
    exchange("http://a/2", no_fields, no_fields, 1000);
    ck_assert(is_there("http://a/2", no_fields));
}
END_TEST

/* A pass of any size holds a window and no more, and is nobody else's. */
START_TEST(pass_is_served_and_never_found)
{
    struct brim_object_spec spec = spec_of("http://a/1", no_fields);
    struct brim_fill *fill;
    bool storable;

    ck_assert_int_eq(brim_cache_begin_pass(cache, &spec, BRIM_BODY_LENGTH_UNKNOWN, &hooks, &fill),
                     BRIM_OK);
    ck_assert(!brim_fill_is_storable(fill));
    ck_assert_uint_eq(pour_for_client(fill, 4 * MIB, &storable), 4 * MIB);
    ck_assert(!is_there("http://a/1", no_fields));
}
END_TEST

/* One-time requests are most of a crawl: they must not wear the disk out. */
START_TEST(second_hit_admits_what_is_asked_for_twice)
{
    reopen("fake", BRIM_ADMIT_SECOND_HIT);
    ck_assert(!is_there("http://a/1", no_fields));
    exchange("http://a/1", no_fields, no_fields, 1000);
    ck_assert_uint_eq(fake_live_records(), 0);
    ck_assert(is_there("http://a/1", no_fields)); /* from RAM, and now worth it */
    ck_assert_uint_eq(fake_live_records(), 1);
    ck_assert(is_there("http://a/1", no_fields));
    ck_assert_uint_eq(fake_live_records(), 1);
}
END_TEST

/* ---- purge ---- */

static uint64_t url_scope(const char *url)
{
    return brim_purge_scope_url(brim_str_of(url));
}

static enum brim_err purge_url(const char *url, enum brim_purge_kind kind)
{
    uint64_t scope = url_scope(url);

    return brim_cache_purge(cache, &scope, 1, kind);
}

/* In RAM, on disk, and after a restart. */
START_TEST(purged_object_is_gone_from_both_tiers)
{
    for (int restart = 0; restart < 2; restart++) {
        exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 100);
        exchange("http://a/2", no_fields, no_fields, 100);
        ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_HARD), BRIM_OK);
        if (restart == 1)
            reopen("fake", BRIM_ADMIT_ALWAYS);
        ck_assert(!is_there("http://a/1", FIELDS(kind_red)));
        ck_assert(is_there("http://a/2", no_fields));
        exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 100);
        ck_assert(is_there("http://a/1", FIELDS(kind_red)));
    }
}
END_TEST

/* Soft: still there to be revalidated or to stand in for a dead origin. */
START_TEST(soft_purged_object_is_found_as_stale)
{
    struct asked asked;

    exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 100);
    ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_SOFT), BRIM_OK);
    for (int tier = 0; tier < 2; tier++) {
        asked = ask("http://a/1", FIELDS(kind_red));
        ck_assert_int_eq(asked.found, BRIM_FOUND_OBJECT);
        ck_assert(asked.soft_purged);
        brim_object_unref(asked.object);
        reopen("fake", BRIM_ADMIT_ALWAYS);
    }
    exchange("http://a/1", FIELDS(kind_red), FIELDS(vary_kind), 100);
    asked = ask("http://a/1", FIELDS(kind_red));
    ck_assert(!asked.soft_purged);
    brim_object_unref(asked.object);
}
END_TEST

/* The response that was under way when the purge came is from before it. */
START_TEST(fill_that_began_before_a_purge_is_not_stored)
{
    const uint64_t sizes[] = {1000, 1 * MIB};

    for (size_t i = 0; i < 2; i++) {
        struct brim_fill *fill =
            begin("http://a/1", no_fields, no_fields, BRIM_BODY_LENGTH_UNKNOWN);

        pour(fill, 0, sizes[i]);
        ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_HARD), BRIM_OK);
        brim_fill_finish(fill);
        settle();
        ck_assert(!is_there("http://a/1", no_fields));
    }
}
END_TEST

/* The operator is told that it would not survive a restart, and it is in force all the same. */
START_TEST(purge_that_the_disk_refuses_is_in_force)
{
    exchange("http://a/1", no_fields, no_fields, 100);
    fake.epoch_err = BRIM_EIO;
    ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_HARD), BRIM_EIO);
    ck_assert(!is_there("http://a/1", no_fields));
    fake.epoch_err = BRIM_OK;
}
END_TEST

/* A crash after "in force" and before "durable": the next purge must still reach objects that were
 * stored in between. */
START_TEST(sequence_does_not_repeat_after_lost_epochs)
{
    for (int i = 0; i < 5; i++) {
        fake.epoch_err = BRIM_EIO; /* lost */
        ck_assert_int_eq(purge_url("http://a/2", BRIM_PURGE_HARD), BRIM_EIO);
        fake.epoch_err = BRIM_OK;
        exchange("http://a/1", no_fields, no_fields, 100);
        reopen("fake", BRIM_ADMIT_ALWAYS);
        ck_assert(is_there("http://a/1", no_fields));
        ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_HARD), BRIM_OK);
        ck_assert(!is_there("http://a/1", no_fields));
    }
}
END_TEST

/* Among them is the one that took this object away, for all anybody knows. */
START_TEST(purges_that_cannot_be_read_have_taken_everything)
{
    exchange("http://a/1", no_fields, no_fields, 100);
    ck_assert_int_eq(purge_url("http://a/2", BRIM_PURGE_HARD), BRIM_OK);
    exchange("http://a/3", no_fields, no_fields, 100);
    fake.epochs_fail = true;
    reopen("fake", BRIM_ADMIT_ALWAYS);
    fake.epochs_fail = false;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(purge_url("http://a/2", BRIM_PURGE_HARD), BRIM_OK);
    ck_assert(!is_there("http://a/1", no_fields));
    exchange("http://a/1", no_fields, no_fields, 100);
    ck_assert(is_there("http://a/1", no_fields));
    reopen("fake", BRIM_ADMIT_ALWAYS);
    ck_assert(is_there("http://a/1", no_fields));
    ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_HARD), BRIM_OK);
    ck_assert(!is_there("http://a/1", no_fields));
}
END_TEST

/* What is collapsed in RAM is one epoch on disk, and holds after a restart. */
START_TEST(collapsed_purges_survive_a_restart)
{
    char url[64];

    exchange("http://a/1", no_fields, no_fields, 100);
    ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_HARD), BRIM_OK);
    for (int i = 0; i < 2500; i++) {
        snprintf(url, sizeof(url), "http://b/%d", i);
        ck_assert_int_eq(purge_url(url, BRIM_PURGE_HARD), BRIM_OK);
    }
    reopen("fake", BRIM_ADMIT_ALWAYS);
    ck_assert(!is_there("http://a/1", no_fields));
}
END_TEST

/* ---- purge against put and get ---- */

static struct {
    _Atomic uint64_t purged; /* status of objects up to here is purged for good */
    _Atomic uint64_t next;
    _Atomic bool stop;
} race;

static void *fill_for_ever(void *ctx)
{
    (void)ctx;
    while (!race.stop) {
        struct brim_object_spec spec = spec_of("http://a/1", no_fields);
        struct brim_fill *fill;

        /* The origin's content has a version; asked after seq, so it is at least that new. */
        spec.fresh.date_wall_ms = (int64_t)race.next;
        ck_assert_int_eq(
            brim_cache_begin_fill(cache, &spec, no_fields, BRIM_BODY_LENGTH_UNKNOWN, NULL, &fill),
            BRIM_OK);
        sched_yield();
        ck_assert_int_eq(brim_fill_append(fill, "x", 1), BRIM_OK);
        brim_fill_finish(fill);
    }
    return NULL;
}

static void *get_for_ever(void *ctx)
{
    struct bell own;

    (void)ctx;
    bell_init(&own);
    while (!race.stop) {
        uint64_t purged = race.purged; /* these purges returned before this lookup begins */
        struct brim_find find = {.primary = key_of("http://a/1"), .port = &own.port};
        enum brim_found found;

        while ((found = brim_cache_find(cache, &find)) == BRIM_FOUND_WAIT)
            bell_wait(&own);
        if (found == BRIM_FOUND_OBJECT) {
            ck_assert_int_ge(find.object->fresh.date_wall_ms, (int64_t)purged);
            brim_object_unref(find.object);
        }
        brim_find_fini(&find);
    }
    bell_fini(&own);
    return NULL;
}

/* After a purge has returned nobody is ever given what was fetched before it, whatever the tiers,
 * fills and lookups are doing at that moment. The promise that operators buy a CDN for. */
START_TEST(no_lookup_after_a_purge_returns_what_was_before)
{
    pthread_t threads[4];

    reopen(NULL, BRIM_ADMIT_ALWAYS); /* RAM only: the fake disk keeps every version */
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fill_for_ever, NULL), 0);
    for (int i = 2; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, get_for_ever, NULL), 0);
    for (uint64_t version = 1; version < 2000; version++) {
        race.next = version; /* the origin has new content from here on */
        ck_assert_int_eq(purge_url("http://a/1", BRIM_PURGE_HARD), BRIM_OK);
        race.purged = version;
        sched_yield();
    }
    race.stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/cache");
    TCase *tc = tcase_create("cache");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_filled_is_found);
    tcase_add_test(tc, filled_object_survives_a_restart);
    tcase_add_test(tc, find_without_a_port_begins_no_read);
    tcase_add_test(tc, find_may_be_abandoned_while_the_disk_is_read);
    tcase_add_test(tc, short_body_is_a_failure_and_not_stored);
    tcase_add_test(tc, aborted_fill_leaves_nothing);
    tcase_add_test(tc, expected_over_the_limit_is_refused);
    tcase_add_test(tc, variants_are_kept_apart);
    tcase_add_test(tc, marker_unites_the_fields_of_all_responses);
    tcase_add_test(tc, response_without_vary_replaces_the_marker);
    tcase_add_test(tc, endless_selecting_value_is_a_pass);
    tcase_add_test(tc, put_shares_the_body_of_a_revalidated_object);
    tcase_add_test(tc, large_object_spills_to_disk_and_is_found);
    tcase_add_test(tc, disk_fault_while_spilling_does_not_reach_the_client);
    tcase_add_test(tc, object_that_outgrows_the_limit_is_served_and_not_stored);
    tcase_add_test(tc, large_object_without_a_disk_passes);
    tcase_add_test(tc, pass_is_served_and_never_found);
    tcase_add_test(tc, second_hit_admits_what_is_asked_for_twice);
    tcase_add_test(tc, purged_object_is_gone_from_both_tiers);
    tcase_add_test(tc, soft_purged_object_is_found_as_stale);
    tcase_add_test(tc, fill_that_began_before_a_purge_is_not_stored);
    tcase_add_test(tc, purge_that_the_disk_refuses_is_in_force);
    tcase_add_test(tc, sequence_does_not_repeat_after_lost_epochs);
    tcase_add_test(tc, purges_that_cannot_be_read_have_taken_everything);
    tcase_add_test(tc, collapsed_purges_survive_a_restart);
    tcase_add_test(tc, no_lookup_after_a_purge_returns_what_was_before);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
