/* SPDX-License-Identifier: MIT */
/*
 * What days of other objects do to one that is asked for all the time: the disk has turned over,
 * and RAM has had the object all along.
 */
#include "bodies.h"
#include "brim/base/metric.h"
#include "brim/http/vary.h"
#include "cache_rig.h"
#include "folder.h"

enum { BODY_BYTES = 300 * KIB, SEGMENTS = 3, OTHERS_MAX = 10000, BUSY = 100000 };

static const struct brim_fields no_fields = {NULL, 0};
static char path[] = "/tmp/brim-turnover-XXXXXX";
static enum brim_cache_admit admit;

static void open_cache(void)
{
    struct brim_cache_config config = {
        .path = path,
        .disk_bytes = 64 * MIB,
        .segment_bytes = 4 * MIB,
        .memory_bytes = 16 * MIB,
        .memory_object_bytes = MIB,
        .object_bytes_max = 8 * MIB,
        .window_bytes = 256 * KIB,
        .write_queue_max = 4096,
        .purge_epochs_max = 1000,
        .admit = admit,
    };

    cache_rig_open(&config, (struct brim_pool_limits){.threads = 2, .queue_max = 64});
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(path));
    admit = BRIM_ADMIT_ALWAYS;
    open_cache();
}

static void teardown(void)
{
    cache_rig_close();
    ck_assert_int_eq(folder_remove(path), 0);
}

static void exchange(const char *url, struct brim_fields request, struct brim_fields response)
{
    static uint8_t bytes[BODY_BYTES];
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = key_of(url),
                                    .seq = brim_cache_seq(cache),
                                    .fresh = {.lifetime_ms = 60000},
                                    .fields = response};
    struct brim_fill *fill;

    ck_assert_int_eq(brim_cache_begin_fill(cache, &spec, request, BODY_BYTES, NULL, &fill),
                     BRIM_OK);
    ck_assert_int_eq(brim_fill_append(fill, bytes, sizeof(bytes)), BRIM_OK);
    brim_fill_finish(fill);
}

static bool is_found(const char *url, struct brim_fields request)
{
    struct bell bell;
    struct brim_find find = {.primary = key_of(url), .request = request, .port = &bell.port};
    enum brim_found found;

    bell_init(&bell);
    while ((found = brim_cache_find(cache, &find)) == BRIM_FOUND_WAIT)
        bell_wait(&bell);
    brim_find_fini(&find);
    brim_object_unref(find.object);
    bell_fini(&bell);
    return found == BRIM_FOUND_OBJECT;
}

static bool is_loaded(const char *url, struct brim_fields request)
{
    struct brim_key key = key_of(url);
    struct brim_object *object = NULL;
    bool is_there = brim_cache_load(cache, &key, &object) == BRIM_OK;

    (void)request;
    brim_object_unref(object);
    return is_there;
}

/* Others fill the disk until what it had first is retired, while url is asked for. */
static void turn_over(bool (*is_there)(const char *url, struct brim_fields request),
                      const char *url, struct brim_fields request)
{
    int64_t retired = brim_metric_read(BRIM_METRIC_DISK_RETIRED) + SEGMENTS;
    char other[32];

    for (unsigned i = 0; i < OTHERS_MAX && brim_metric_read(BRIM_METRIC_DISK_RETIRED) < retired;
         i++) {
        snprintf(other, sizeof(other), "http://other/%u", i);
        exchange(other, no_fields, no_fields);
        brim_pool_wait_idle(pool); /* no write is refused for a queue */
        ck_assert(is_there(url, request));
    }
    ck_assert_int_ge(brim_metric_read(BRIM_METRIC_DISK_RETIRED), retired);
    ck_assert(is_there(url, request)); /* from RAM, where it has been all along */
    brim_pool_wait_idle(pool);
}

/* A popular object that a restart, or RAM that is needed, makes a miss was popular for nothing; and
 * the longer a node runs the more of what it has in RAM would be so. */
START_TEST(what_ram_keeps_does_not_leave_the_disk_for_good)
{
    exchange("http://a/", no_fields, no_fields);
    turn_over(is_found, "http://a/", no_fields);
    cache_rig_close();
    open_cache();
    ck_assert(is_found("http://a/", no_fields));
}
END_TEST

/* Of one that varies, what leads to it stays as well. */
START_TEST(a_variant_stays_with_its_marker)
{
    static const struct brim_field kind[] = {{BRIM_STR("x-kind"), BRIM_STR("a")}};
    static const struct brim_field vary[] = {{BRIM_STR("vary"), BRIM_STR("x-kind")}};
    struct brim_fields request = {kind, 1};

    exchange("http://a/", request, (struct brim_fields){vary, 1});
    turn_over(is_found, "http://a/", request);
    cache_rig_close();
    open_cache();
    ck_assert(is_found("http://a/", request));
}
END_TEST

/* A dictionary is asked for by nobody's URL, but by what is made with it. */
START_TEST(what_the_node_itself_reads_stays_likewise)
{
    exchange("http://a/", no_fields, no_fields);
    turn_over(is_loaded, "http://a/", no_fields);
    cache_rig_close();
    open_cache();
    ck_assert(is_loaded("http://a/", no_fields));
}
END_TEST

/* Else a busy node would only write what is asked for twice within seconds, which RAM has anyway.
 */
START_TEST(hits_do_not_make_the_disk_forget_what_was_asked_for)
{
    cache_rig_close();
    admit = BRIM_ADMIT_SECOND_HIT;
    open_cache();
    ck_assert(!is_found("http://hot/", no_fields));
    ck_assert(!is_found("http://hot/", no_fields));
    exchange("http://hot/", no_fields, no_fields);
    ck_assert(!is_found("http://a/", no_fields));
    for (unsigned i = 0; i < BUSY; i++)
        ck_assert(is_found("http://hot/", no_fields));
    exchange("http://other/", no_fields, no_fields); /* when it looks what to forget */
    ck_assert(!is_found("http://a/", no_fields));
    exchange("http://a/", no_fields, no_fields);
    cache_rig_close();
    open_cache();
    ck_assert(is_found("http://a/", no_fields));
    ck_assert(!is_found("http://other/", no_fields));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/turnover");
    TCase *tc = tcase_create("turnover");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_ram_keeps_does_not_leave_the_disk_for_good);
    tcase_add_test(tc, a_variant_stays_with_its_marker);
    tcase_add_test(tc, what_the_node_itself_reads_stays_likewise);
    tcase_add_test(tc, hits_do_not_make_the_disk_forget_what_was_asked_for);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
