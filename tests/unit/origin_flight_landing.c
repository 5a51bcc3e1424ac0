/* SPDX-License-Identifier: MIT */
/* From the last byte of an answer until it is published, or what it replaces is gone. */
#include <stdio.h>

#include "flight_rig.h"
#include "folder.h"

#define LARGE 2000

static char folder[64]; /* of the disk tier */
static pthread_mutex_t disk_is_busy = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool is_stuck;
static struct brim_job stuck_jobs[64];

/* A body of LARGE bytes goes to disk as it comes, with its first bytes. */
static void setup_with_disk(void)
{
    struct brim_cache_config config = cache_config();

    snprintf(folder, sizeof(folder), "/tmp/brim-flight-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    config.path = folder;
    config.disk_bytes = 64 << 20;
    config.memory_object_bytes = LARGE / 2;
    config.window_bytes = LARGE;
    setup_with(config);
}

static void teardown_with_disk(void)
{
    teardown();
    folder_remove(folder);
}

static void wait_for_disk(struct brim_job *job)
{
    (void)job;
    is_stuck = true;
    pthread_mutex_lock(&disk_is_busy);
    pthread_mutex_unlock(&disk_is_busy);
}

/* False: the pool takes no more. */
static bool put_stuck_job(unsigned i)
{
    ck_assert_uint_lt(i, sizeof(stuck_jobs) / sizeof(stuck_jobs[0]));
    stuck_jobs[i].run = wait_for_disk;
    if (brim_pool_submit(pool, BRIM_JOB_WRITE, &stuck_jobs[i]) != BRIM_OK)
        return false;
    while (!is_stuck)
        usleep(1000);
    return true;
}

/* Its thread is stuck in one job, and the queue is full behind it. */
static void fill_pool(void)
{
    unsigned i = 0;

    while (put_stuck_job(i))
        i++;
}

/* fields: more of them, each with its end of line */
static const char *large_answer(const char *fields)
{
    static char answer[LARGE + 200];
    int len = snprintf(answer, sizeof(answer),
                       "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n%s"
                       "Content-Length: %d\r\n\r\n%0*d",
                       fields, LARGE, LARGE, 0);

    ck_assert_int_lt(len, (int)sizeof(answer));
    return answer;
}

static void serve_large(void)
{
    servers[0].answer = large_answer("");
    configs[0].server_count = 1;
    start(0, 0);
    open_pools();
}

static void wait_until_landed(const struct brim_object *object)
{
    while (brim_body_state(object->body) == BRIM_BODY_GROWING ||
           brim_flights_are_landing(flights, &object->primary))
        usleep(1000);
}

/* What who has read the end of an answer finds when he asks again. */
static struct brim_object *peek(struct brim_flight_hold *hold_out)
{
    struct brim_key key = ask_of(BRIM_FLIGHT_SHARED, "GET").key;
    bool is_purged;

    return brim_flight_peek(flights, &key, (struct brim_fields){NULL, 0}, &is_purged, hold_out);
}

/* The disk has not all of it yet, so what is in the cache is older. Somebody has asked whether it
 * is still good: whoever else has read it is not given the older one meanwhile, nor is it found
 * once there is a newer one. */
START_TEST(what_was_brought_is_found_until_there_is_a_newer_one)
{
    struct brim_flight_ask question = ask_of(BRIM_FLIGHT_SHARED, "GET");
    struct brim_flight_hold hold;
    struct brim_flight_view view, later;
    struct brim_object *found;
    struct waiter *w, *asker;
    enum brim_err why;

    serve_large();
    pthread_mutex_lock(&disk_is_busy);
    ck_assert(put_stuck_job(0));
    w = join(BRIM_FLIGHT_SHARED, "GET");
    view = wait_for(w);
    while (brim_body_state(view.object->body) == BRIM_BODY_GROWING)
        usleep(1000);
    servers[0].hangs = true;
    question.stale = view.object;
    asker = try_join(question, &why);
    ck_assert_int_eq(why, BRIM_OK);
    ck_assert_ptr_ne(asker->flight, w->flight);
    found = peek(&hold);
    ck_assert_ptr_eq(found, view.object);
    brim_flight_let_go(&hold);
    brim_object_unref(found);
    servers[0].answer = OK("a");
    servers[0].hangs = false;
    later = wait_for(asker);
    while (!brim_cache_has(cache, &question.key))
        usleep(1000);
    do { /* it leaves a moment after it was published */
        found = peek(&hold);
        brim_flight_let_go(&hold);
        brim_object_unref(found);
    } while (found == later.object);
    ck_assert_ptr_null(found);
    pthread_mutex_unlock(&disk_is_busy);
    brim_object_unref(later.object);
    brim_object_unref(view.object);
    leave(asker);
    leave(w);
    while (kept > 0) /* the pool lets go, too */
        usleep(1000);
}
END_TEST

/* Looks, whenever a body moves on, whether who has all of it would ask for it again. */
static struct {
    struct brim_port port;
    struct brim_body *body;
    unsigned whole; /* moments */
    unsigned not_landing;
    unsigned not_found;
    struct brim_object *peeked; /* by who has read the end already */
    struct brim_flight_hold hold;
} probe;

static void on_progress(struct brim_port *port)
{
    struct brim_flight_ask ask = ask_of(BRIM_FLIGHT_SHARED, "GET");
    struct brim_flight_hold hold;
    struct brim_object *found;

    if (brim_body_bytes(probe.body) == LARGE) {
        probe.whole++;
        probe.not_landing += !brim_flights_are_landing(flights, &ask.primary);
        found = peek(&hold);
        probe.not_found += found == NULL;
        if (probe.peeked == NULL) {
            probe.peeked = found;
            probe.hold = hold;
        } else if (found != NULL) {
            brim_flight_let_go(&hold);
            brim_object_unref(found);
        }
    }
    brim_port_begin(port);
    brim_port_unref(port);
}

static void keep_probe(struct brim_port *port)
{
    (void)port;
}

/* Another reads all of it; whether it can still be read from the beginning then. */
static bool is_there_after_reading(struct brim_body *body)
{
    struct brim_body_reader *reader = brim_body_attach(body, 0);
    bool is_there;

    ck_assert_ptr_nonnull(reader);
    brim_body_advance(body, reader, LARGE);
    brim_body_detach(body, reader);
    reader = brim_body_attach(body, 0);
    is_there = reader != NULL;
    if (is_there)
        brim_body_detach(body, reader);
    return is_there;
}

/* The disk refuses with the last bytes. What stands under the key is older and is taken away, and
 * until it is, who has read the end must be known to have, and find what he has read. */
START_TEST(an_answer_refused_at_its_end_lands_until_what_it_replaces_is_gone)
{
    struct brim_flight_view view;
    struct waiter *w;

    serve_large();
    pthread_mutex_lock(&gate);
    pthread_mutex_lock(&disk_is_busy);
    fill_pool();
    w = join(BRIM_FLIGHT_SHARED, "GET");
    view = wait_for(w); /* the fetcher is at the gate now, and has no byte of the body */
    ck_assert_int_eq(view.state, BRIM_FLIGHT_READY);
    probe.body = view.object->body;
    brim_port_init(&probe.port, on_progress, keep_probe);
    brim_watch_add(brim_body_watch(probe.body), &probe.port);
    pthread_mutex_unlock(&gate);
    wait_until_landed(view.object);
    pthread_mutex_unlock(&disk_is_busy);
    ck_assert_int_eq(brim_body_mode(probe.body), BRIM_BODY_WINDOW); /* it was refused */
    ck_assert_uint_gt(probe.whole, 0);
    ck_assert_uint_eq(probe.not_landing, 0);
    ck_assert_uint_eq(probe.not_found, 0);
    /* He who found it then may still begin to read it, and only because he holds it. */
    ck_assert_ptr_eq(probe.peeked, view.object);
    ck_assert_ptr_eq(probe.hold.body, probe.body);
    ck_assert(is_there_after_reading(probe.body));
    brim_flight_let_go(&probe.hold);
    ck_assert(!is_there_after_reading(probe.body));
    brim_object_unref(probe.peeked);
    brim_watch_remove(brim_body_watch(probe.body), &probe.port);
    brim_object_unref(view.object);
    leave(w);
}
END_TEST

/* Asks, when the last byte has come, as one who has read it and asks again: with the field that the
 * answer varies by as it was, and with another value. */
static struct {
    struct brim_port port;
    struct brim_body *body;
    struct brim_object *same;
    struct brim_object *other;
    unsigned whole; /* moments */
} asker;

static struct brim_object *find_with(const char *flavor)
{
    struct brim_field field = {BRIM_STR("x-flavor"), brim_str_of(flavor)};
    struct brim_flight_hold hold;
    struct brim_object *found;
    struct brim_find find = {.primary = ask_of(BRIM_FLIGHT_SHARED, "GET").key,
                             .request = {&field, 1}};
    bool is_purged;

    ck_assert_int_ne(brim_cache_find(cache, &find), BRIM_FOUND_WAIT);
    found = brim_flight_peek(flights, &find.key, find.request, &is_purged, &hold);
    if (found != NULL) {
        brim_flight_let_go(&hold);
        brim_object_unref(find.object);
    } else {
        found = find.object;
    }
    brim_find_fini(&find);
    return found;
}

static void on_last_byte(struct brim_port *port)
{
    if (brim_body_bytes(asker.body) == LARGE && asker.whole++ == 0) {
        asker.same = find_with("mild");
        asker.other = find_with("hot");
    }
    brim_port_begin(port);
    brim_port_unref(port);
}

static struct waiter *ask_again(struct brim_object *stale, struct brim_field *field)
{
    struct brim_flight_ask ask = ask_of(BRIM_FLIGHT_SHARED, "GET");
    struct waiter *w;
    enum brim_err why;

    ask.stale = stale;
    ask.fields = (struct brim_fields){field, 1};
    w = try_join(ask, &why);
    ck_assert_int_eq(why, BRIM_OK);
    return w;
}

/* It begins to vary with this answer: from its last byte on what stood there for everybody is not
 * found any more, neither by who would get the answer nor by who would not. */
START_TEST(what_an_answer_varies_by_is_in_force_when_its_last_byte_is_seen)
{
    struct brim_field mild = {BRIM_STR("x-flavor"), BRIM_STR("mild")};
    struct brim_flight_view before, view;
    struct waiter *first, *w;

    servers[0].answer = OK("a");
    configs[0].server_count = 1;
    start(0, 0);
    open_pools();
    first = join(BRIM_FLIGHT_SHARED, "GET");
    before = wait_for(first);
    leave(first);
    while (!brim_cache_has(cache, &before.object->primary) ||
           brim_flights_are_landing(flights, &before.object->primary))
        usleep(1000);
    servers[0].answer = large_answer("Vary: X-Flavor\r\n");
    pthread_mutex_lock(&gate);
    w = ask_again(before.object, &mild);
    view = wait_for(w);
    ck_assert_int_eq(view.state, BRIM_FLIGHT_READY);
    asker.body = view.object->body;
    brim_port_init(&asker.port, on_last_byte, keep_probe);
    brim_watch_add(brim_body_watch(asker.body), &asker.port);
    pthread_mutex_unlock(&gate);
    wait_until_landed(view.object);
    ck_assert_uint_gt(asker.whole, 0);
    ck_assert_ptr_eq(asker.same, view.object);
    ck_assert_ptr_null(asker.other);
    brim_object_unref(asker.same);
    brim_watch_remove(brim_body_watch(asker.body), &asker.port);
    brim_object_unref(before.object);
    brim_object_unref(view.object);
    leave(w);
    while (kept > 0)
        usleep(1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/flight_landing");
    TCase *tcase = tcase_create("landing");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup_with_disk, teardown_with_disk);
    tcase_add_test(tcase, what_was_brought_is_found_until_there_is_a_newer_one);
    tcase_add_test(tcase, an_answer_refused_at_its_end_lands_until_what_it_replaces_is_gone);
    tcase_add_test(tcase, what_an_answer_varies_by_is_in_force_when_its_last_byte_is_seen);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
