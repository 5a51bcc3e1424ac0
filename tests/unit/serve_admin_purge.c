/* SPDX-License-Identifier: MIT */
/* Purges over the admin API, down to the cache. */
#include "admin_rig.h"

static void set_up_narrow(void)
{
    listen_tcp();
    open_all(1, 1);
}

static void set_up_one_thread(void)
{
    listen_tcp();
    open_all(1, 16);
}

static void purge(const char *body, struct answer *a)
{
    int fd = dial();

    say_purge(fd, body, strlen(body));
    hear(fd, a);
    close(fd);
}

static void store(const char *url)
{
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_RESPONSE,
                                    .status = 200,
                                    .primary = brim_key_of(brim_str_of(url)),
                                    .seq = brim_cache_seq(cache),
                                    .fresh = {.lifetime_ms = 60000}};
    struct brim_body_hooks hooks = {.drained = NULL};
    struct brim_fill *fill;

    ck_assert_int_eq(
        brim_cache_begin_fill(cache, &spec, (struct brim_fields){NULL, 0}, 4, &hooks, &fill),
        BRIM_OK);
    ck_assert_int_eq(brim_fill_append(fill, "body", 4), BRIM_OK);
    brim_fill_finish(fill);
}

static enum brim_purge_state look(const char *url)
{
    struct brim_find find = {.primary = brim_key_of(brim_str_of(url))};
    enum brim_found found = brim_cache_find(cache, &find);

    brim_object_unref(find.object);
    brim_find_fini(&find);
    if (found != BRIM_FOUND_OBJECT)
        return BRIM_PURGE_GONE;
    return find.soft_purged ? BRIM_PURGE_STALE : BRIM_PURGE_ALIVE;
}

/* ---- purge ---- */

/* The promise of the call: when it answers, nobody gets the old response any more. */
START_TEST(purge_is_in_force_when_it_answers)
{
    struct answer a;

    store("http://a/1");
    store("http://a/2");
    store("http://a/3");
    purge("{\"url\":\"http://A:80/1\"}", &a);
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(a.body, "{\"purged\":1,\"kind\":\"hard\"}");
    ck_assert_int_eq(look("http://a/1"), BRIM_PURGE_GONE);
    ck_assert_int_eq(look("http://a/2"), BRIM_PURGE_ALIVE);
    purge("{\"urls\":[\"http://a/2\",\"http://a/3\"],\"soft\":true}", &a);
    ck_assert_str_eq(a.body, "{\"purged\":2,\"kind\":\"soft\"}");
    ck_assert_int_eq(look("http://a/2"), BRIM_PURGE_STALE);
    ck_assert_int_eq(look("http://a/3"), BRIM_PURGE_STALE);
}
END_TEST

/* A typing error must be an error, never a purge of something else or of another kind. */
START_TEST(wrong_purge_bodies_are_refused_and_purge_nothing)
{
    static const struct {
        const char *body;
        const char *says;
    } rows[] = {
        {"", "the body is not JSON"},
        {"{", "the body is not JSON: line 1"},
        {"[]", "the body is not an object"},
        {"\"http://a/1\"", "the body is not JSON"},
        {"{}", "nothing is named that is to be purged"},
        {"{\"soft\":true,\"all\":false}", "nothing is named"},
        {"{\"all\":1}", "\\\"all\\\" is neither true nor false"},
        {"{\"hosts\":[\"a b\"]}", "host number 1 is not a host name"},
        {"{\"tags\":[\"x\",\"\"]}", "tag number 2 is not one tag of 1 to 1024 bytes"},
        {"{\"prefixes\":[\"/img/\"]}", "prefix number 1 is not"},
        {"{\"url\":\"http://a/1\",\"urls\":[\"http://a/1\"]}", "either"},
        {"{\"url\":\"http://a/1\",\"url\":\"http://a/1\"}", "the body is not JSON"},
        {"{\"url\":\"http://a/1\",\"sotf\":true}", "unknown member \\\"sotf\\\""},
        {"{\"url\":\"http://a/1\",\"dry_run\":1}", "\\\"dry_run\\\" is neither true nor false"},
        {"{\"wildcards\":\"http://a/*\"}", "\\\"wildcards\\\" is not a list"},
        {"{\"wildcards\":[\"http://*/1\"]}", "wildcard number 1 is not"},
        {"{\"wildcards\":[\"http://a*/1\"]}", "wildcard number 1 is not"},
        {"{\"wildcards\":[\"//a/*\",\"/1*\"]}", "wildcard number 2 is not"},
        {"{\"wildcards\":[7]}", "wildcard number 1 is not"},
        {"{\"url\":\"http://a/1\",\"soft\":\"yes\"}", "\\\"soft\\\" is neither true nor false"},
        {"{\"url\":[\"http://a/1\"]}", "URL number 1 is not an absolute http"},
        {"{\"urls\":\"http://a/1\"}", "\\\"urls\\\" is not a list"},
        {"{\"urls\":[]}", "\\\"urls\\\" is empty"},
        {"{\"urls\":[\"http://a/1\",\"/1\"]}", "URL number 2 is not an absolute http"},
        {"{\"url\":\"ftp://a/1\"}", "URL number 1"},
        {"{\"url\":\"http://a/1#x\"}", "URL number 1"},
        {"{\"url\":\"http://a/1\\u0000\"}", "the body is not JSON"},
        {"{\"url\":\"http://a/\xff\"}", "the body is not JSON"},
    };
    struct answer a;

    store("http://a/1");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        purge(rows[i].body, &a);
        ck_assert_msg(a.status == 400, "%s: %d", rows[i].body, a.status);
        assert_has(&a, rows[i].says);
        assert_has(&a, "\"accepted\":\"{");
    }
    ck_assert_int_eq(look("http://a/1"), BRIM_PURGE_ALIVE);
}
END_TEST

static char *many_urls(size_t count, size_t *len_out)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len_out);

    fputs("{\"urls\":[", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s\"http://a/%zu\"", i == 0 ? "" : ",", i);
    fputs("]}", out);
    fclose(out);
    return text;
}

/* A host may be written with its scheme's own port, or the root's dot; the key has neither. */
START_TEST(a_host_is_purged_however_it_is_written)
{
    static const struct {
        const char *body;
        const char *url;
        enum brim_purge_state state;
    } cases[] = {
        {"{\"hosts\":[\"A\"]}", "http://a/1", BRIM_PURGE_GONE},
        {"{\"hosts\":[\"a.\"]}", "http://a/1", BRIM_PURGE_GONE},
        {"{\"hosts\":[\"a:80\"]}", "http://a/1", BRIM_PURGE_GONE},
        {"{\"hosts\":[\"a:443\"]}", "https://a/1", BRIM_PURGE_GONE},
        {"{\"hosts\":[\"a:80\"]}", "https://a:80/1", BRIM_PURGE_GONE},
        {"{\"hosts\":[\"a:8080\"]}", "http://a:8080/1", BRIM_PURGE_GONE},
        {"{\"hosts\":[\"a:8080\"]}", "http://a/1", BRIM_PURGE_ALIVE},
        {"{\"hosts\":[\"b\"]}", "http://a/1", BRIM_PURGE_ALIVE},
    };
    struct answer a;

    store(cases[_i].url);
    purge(cases[_i].body, &a);
    assert_has(&a, "\"purged\":1");
    ck_assert_int_eq(look(cases[_i].url), cases[_i].state);
}
END_TEST

/* A publisher's whole batch in one call, and a bound on it that is named. */
START_TEST(purge_takes_up_to_10000_urls)
{
    struct answer a;
    size_t len;

    for (size_t extra = 0; extra < 2; extra++) {
        char *body = many_urls(10000 + extra, &len);
        int fd = dial();

        store("http://a/9999");
        say_purge(fd, body, len);
        hear(fd, &a);
        ck_assert_int_eq(a.status, extra == 0 ? 200 : 400);
        assert_has(&a, extra == 0 ? "\"purged\":10000" : "has 10001 members, more than 10000");
        ck_assert_int_eq(look("http://a/9999"), extra == 0 ? BRIM_PURGE_GONE : BRIM_PURGE_ALIVE);
        close(fd);
        free(body);
    }
}
END_TEST

/* Memory is bounded, and the caller is told instead of cut off. */
START_TEST(body_over_4_mib_is_413)
{
    size_t len = 4 * MIB + 1;
    char *body = brim_alloc(len);
    struct answer a;
    int fd = dial();

    memset(body, ' ', len);
    say_purge(fd, body, len);
    hear(fd, &a);
    ck_assert_int_eq(a.status, 413);
    assert_has(&a, "\"accepted\":\"up to 4 MiB\"");
    close(fd);
    free(body);
}
END_TEST

/* Deep nesting is the classic way to make a parser use up its stack. */
START_TEST(deeply_nested_body_is_refused)
{
    char *body = brim_alloc(MIB);
    struct answer a;
    int fd = dial();

    memset(body, '[', MIB);
    say_purge(fd, body, MIB);
    hear(fd, &a);
    ck_assert_int_eq(a.status, 400);
    close(fd);
    free(body);
}
END_TEST

/* The one who asked may be gone when the answer comes; whoever comes next must not get it. */
START_TEST(asker_that_leaves_is_forgotten)
{
    struct answer a;
    int fd = dial();

    store("http://a/1");
    block();
    say_purge(fd, "{\"url\":\"http://a/1\"}", strlen("{\"url\":\"http://a/1\"}"));
    ask(GET("/healthz"), &a); /* calls do not wait for the purge of another */
    ck_assert_int_eq(a.status, 200);
    close(fd);
    ask(GET("/healthz"), &a);
    atomic_store(&blocker.may_end, true);
    purge("{\"url\":\"http://a/2\"}", &a); /* the one thread has done the first by then */
    ck_assert_str_eq(a.body, "{\"purged\":1,\"kind\":\"hard\"}");
    ck_assert_int_eq(look("http://a/1"), BRIM_PURGE_GONE);
}
END_TEST

static void run_nothing(struct brim_job *job)
{
    (void)job;
}

/* A disk that hangs must not pile purges up without end. */
START_TEST(full_queue_is_503)
{
    static struct brim_job filler = {.run = run_nothing};
    struct answer a;

    block();
    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_WRITE, &filler), BRIM_OK);
    purge("{\"url\":\"http://a/1\"}", &a);
    ck_assert_int_eq(a.status, 503);
    assert_has(&a, "\"advice\":\"repeat the call\"");
    atomic_store(&blocker.may_end, true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/admin_purge");
    TCase *purges = tcase_create("purges");
    TCase *one_thread = tcase_create("one_thread");
    TCase *narrow = tcase_create("narrow");

    tcase_add_checked_fixture(purges, set_up, tear_down);
    tcase_set_timeout(purges, 60);
    tcase_add_test(purges, purge_is_in_force_when_it_answers);
    tcase_add_test(purges, wrong_purge_bodies_are_refused_and_purge_nothing);
    tcase_add_loop_test(purges, a_host_is_purged_however_it_is_written, 0, 8);
    tcase_add_test(purges, purge_takes_up_to_10000_urls);
    tcase_add_test(purges, body_over_4_mib_is_413);
    tcase_add_test(purges, deeply_nested_body_is_refused);
    suite_add_tcase(suite, purges);

    tcase_add_checked_fixture(one_thread, set_up_one_thread, tear_down);
    tcase_set_timeout(one_thread, 60);
    tcase_add_test(one_thread, asker_that_leaves_is_forgotten);
    suite_add_tcase(suite, one_thread);

    tcase_add_checked_fixture(narrow, set_up_narrow, tear_down);
    tcase_set_timeout(narrow, 60);
    tcase_add_test(narrow, full_queue_is_503);
    suite_add_tcase(suite, narrow);

    return unit_run(suite);
}
