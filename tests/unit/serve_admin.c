/* SPDX-License-Identifier: MIT */
/*
 * The admin API over real sockets, with a real cache in RAM and a real pool.
 */
#include "brim/serve/admin.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "unit.h"

#define MIB    (1024u * 1024u)
#define GET(p) "GET " p " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static struct brim_pool *pool;
static struct brim_cache *cache;
static struct brim_admin *admin;
static _Atomic bool ready = true;
static int listener = -1;
static struct sockaddr_storage address;
static socklen_t address_len;

static bool is_ready(void *ctx)
{
    return atomic_load((_Atomic bool *)ctx);
}

static void listen_tcp(void)
{
    struct sockaddr_in loopback = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&loopback, sizeof(loopback)), 0);
}

/* Linux: an address of the family alone is a free abstract name. */
static void listen_unix(void)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};

    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, sizeof(any.sun_family)), 0);
}

static void open_all(unsigned threads, unsigned queue_max)
{
    struct brim_pool_limits limits = {.threads = threads, .queue_max = queue_max};
    struct brim_cache_config cache_config = {
        .memory_bytes = 2 * MIB,
        .memory_object_bytes = MIB,
        .object_bytes_max = MIB,
        .window_bytes = 65536,
        .write_queue_max = 16,
        .purge_epochs_max = 100000,
    };

    signal(SIGPIPE, SIG_IGN);
    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    cache_config.pool = pool;
    ck_assert_int_eq(brim_cache_open(&cache_config, &cache), BRIM_OK);
    struct brim_admin_config config = {
        .fd = listener, .cache = cache, .pool = pool, .is_ready = is_ready, .ctx = &ready};
    ck_assert_int_eq(listen(listener, 128), 0);
    address_len = sizeof(address);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &address_len), 0);
    ck_assert_int_eq(brim_admin_open(&config, &admin), BRIM_OK);
    close(listener); /* the admin has its own */
}

static void set_up(void)
{
    listen_tcp();
    open_all(2, 16);
}

static void set_up_unix(void)
{
    listen_unix();
    open_all(2, 16);
}

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

static void close_admin(void)
{
    brim_admin_close(admin);
    admin = NULL;
}

static void tear_down(void)
{
    if (admin != NULL)
        close_admin();
    brim_pool_close(pool);
    brim_cache_close(cache);
}

/* ---- a client that says exactly what it is told to ---- */

static int dial(void)
{
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, address_len), 0);
    return fd;
}

static void say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        ck_assert_int_gt(n, 0);
        text += n;
        len -= (size_t)n;
    }
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

struct answer {
    char bytes[65536];
    size_t len;
    int status;
    const char *body;
};

/* The length that the header announces, or SIZE_MAX while the header is not whole. */
static size_t message_bytes(const struct answer *a)
{
    const char *end = strstr(a->bytes, "\r\n\r\n");
    const char *length = strcasestr(a->bytes, "content-length: ");

    if (end == NULL)
        return SIZE_MAX;
    ck_assert_ptr_nonnull(length);
    return (size_t)(end + 4 - a->bytes) +
           (size_t)strtoul(length + strlen("content-length: "), NULL, 10);
}

/* Reads one answer; status 0 if the connection ended instead. */
static void hear(int fd, struct answer *a)
{
    *a = (struct answer){.len = 0};
    while (message_bytes(a) > a->len) {
        ssize_t n = recv(fd, a->bytes + a->len, sizeof(a->bytes) - 1 - a->len, 0);

        if (n <= 0)
            return;
        a->len += (size_t)n;
        a->bytes[a->len] = '\0';
    }
    ck_assert_int_eq(strncmp(a->bytes, "HTTP/1.1 ", 9), 0);
    a->status = (int)strtol(a->bytes + 9, NULL, 10);
    a->body = strstr(a->bytes, "\r\n\r\n") + 4;
}

static void ask(const char *request, struct answer *a)
{
    int fd = dial();

    say_text(fd, request);
    hear(fd, a);
    close(fd);
}

static void say_purge(int fd, const char *body, size_t len)
{
    char head[256];
    int n = snprintf(head, sizeof(head),
                     "POST /purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", len);

    say(fd, head, (size_t)n);
    say(fd, body, len);
}

static void purge(const char *body, struct answer *a)
{
    int fd = dial();

    say_purge(fd, body, strlen(body));
    hear(fd, a);
    close(fd);
}

static void assert_has(const struct answer *a, const char *text)
{
    ck_assert_msg(strstr(a->bytes, text) != NULL, "no \"%s\" in: %s", text, a->bytes);
}

static bool is_ended(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) <= 0;
}

/* ---- the cache under it ---- */

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

/* Holds a pool thread until it is told to let go. */
static struct blocker {
    struct brim_job job;
    _Atomic bool is_running;
    _Atomic bool may_end;
} blocker;

static void run_blocker(struct brim_job *job)
{
    (void)job;
    atomic_store(&blocker.is_running, true);
    while (!atomic_load(&blocker.may_end))
        sched_yield();
}

static void block(void)
{
    blocker.job.run = run_blocker;
    ck_assert_int_eq(brim_pool_submit(pool, BRIM_JOB_WRITE, &blocker.job), BRIM_OK);
    while (!atomic_load(&blocker.is_running))
        sched_yield();
}

/* ---- calls ---- */

/* What load balancers and monitoring ask for all day. */
START_TEST(simple_calls_answer)
{
    static const struct {
        const char *request;
        const char *has[3];
    } rows[] = {
        {GET("/healthz"),
         {"HTTP/1.1 200 OK", "content-type: application/json", "{\"status\":\"ok\"}"}},
        {GET("/healthz?x=1"), {"HTTP/1.1 200 OK", "cache-control: no-store", "\"ok\""}},
        {GET("/readyz"), {"HTTP/1.1 200 OK", "\"status\":\"ready\"", ""}},
        {GET("/metrics"),
         {"content-type: text/plain; version=0.0.4", "# TYPE brim_requests_total counter",
          "\nbrim_purges_total 0\n"}},
        {GET("/stats"),
         {"\"version\":\"", "\"uptime_ms\":", "\"brim_requests_total{cache=\\\"hit\\\"}\":0"}},
    };
    struct answer a;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(rows[i].request, &a);
        ck_assert_int_eq(a.status, 200);
        for (size_t j = 0; j < 3; j++)
            assert_has(&a, rows[i].has[j]);
    }
}
END_TEST

/* Probes with HEAD are common; the length is that of GET, the body is not there. */
START_TEST(head_answers_without_body)
{
    int fd = dial();
    char bytes[2048] = "";
    size_t len = 0;

    say_text(fd, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    for (ssize_t n = 1; n > 0; len += n > 0 ? (size_t)n : 0)
        n = recv(fd, bytes + len, sizeof(bytes) - 1 - len, 0);
    ck_assert_ptr_nonnull(strstr(bytes, "HTTP/1.1 200"));
    ck_assert_ptr_nonnull(strcasestr(bytes, "content-length: 15"));
    ck_assert_str_eq(strstr(bytes, "\r\n\r\n"), "\r\n\r\n");
    close(fd);
}
END_TEST

/* Traffic must stop before the node does. */
START_TEST(readyz_turns_503_when_not_ready)
{
    struct answer a;

    atomic_store(&ready, false);
    ask(GET("/readyz"), &a);
    ck_assert_int_eq(a.status, 503);
    ask(GET("/healthz"), &a);
    ck_assert_int_eq(a.status, 200);
}
END_TEST

/* A refusal says what would have been accepted, in the one format that tools parse. */
START_TEST(wrong_calls_are_told_what_is_right)
{
    struct answer a;

    ask(GET("/purge/all"), &a);
    ck_assert_int_eq(a.status, 404);
    assert_has(&a, "content-type: application/json");
    assert_has(
        &a, "{\"error\":\"no such call\",\"accepted\":\"GET /, GET /live.js, GET /chart.js, "
            "GET /healthz, GET /readyz, "
            "GET /metrics, GET /stats, GET /v1/openapi.json, GET /v1/stats, GET /v1/live, "
            "POST /v1/purge, POST /v1/explain, POST /v1/reload, GET /v1/upgrade, POST /v1/upgrade, "
            "POST /purge, POST /v1/kv\"}");
    ask(GET("/purge"), &a);
    ck_assert_int_eq(a.status, 405);
    assert_has(&a, "\r\nallow: POST\r\n");
    ask("DELETE /stats HTTP/1.1\r\nHost: localhost\r\n\r\n", &a);
    ck_assert_int_eq(a.status, 405);
    assert_has(&a, "\r\nallow: GET, HEAD\r\n");
}
END_TEST

/* Prometheus keeps its connection. */
START_TEST(connection_serves_many_calls)
{
    int fd = dial();
    struct answer a;

    for (size_t i = 0; i < 100; i++) {
        say_text(fd, i % 2 == 0 ? GET("/metrics") : GET("/healthz"));
        hear(fd, &a);
        ck_assert_int_eq(a.status, 200);
    }
    close(fd);
}
END_TEST

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

/* ---- who may ask ---- */

/* A page in the operator's browser must not reach the node: not by CORS, not by DNS rebinding. */
START_TEST(browsers_and_foreign_hosts_are_refused)
{
    static const char *const refused[] = {
        "Host: localhost\r\nOrigin: http://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost:9900\r\nOrigin: http://localhost:9901\r\n",
        "Host: localhost:9900\r\nOrigin: https://localhost:9900\r\n",
        "Host: evil.example\r\nOrigin: http://evil.example\r\n",
        "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n",
        "Host: evil.example\r\n",
        "Host: evil.example:9900\r\n",
        "Host: 127.0.0.1.evil.example\r\n",
        "Host: 127.evil.example\r\n",
        "Host: localhost.evil.example\r\n",
        "Host: 203.0.113.7\r\n",
        "Host: 0.0.0.0\r\n",
        "Host: 127.1\r\n",
        "Host: [2001:db8::1]\r\n",
        "Host: [::ffff:203.0.113.7]\r\n",
    };
    static const char *const accepted[] = {
        "Host: localhost:9900\r\nOrigin: http://localhost:9900\r\n", /* the live page */
        "Host: localhost\r\n",
        "Host: LOCALHOST:9900\r\n",
        "Host: 127.0.0.1\r\n",
        "Host: 127.8.9.10:9900\r\n",
        "Host: [::1]\r\n",
        "Host: [0:0:0:0:0:0:0:1]:9900\r\n",
    };
    char request[512];
    struct answer a;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(request, sizeof(request), "GET /stats HTTP/1.1\r\n%s\r\n", refused[i]);
        ask(request, &a);
        ck_assert_msg(a.status == 403, "%s: %d", refused[i], a.status);
    }
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        snprintf(request, sizeof(request), "GET /stats HTTP/1.1\r\n%s\r\n", accepted[i]);
        ask(request, &a);
        ck_assert_msg(a.status == 200, "%s: %d", accepted[i], a.status);
    }
}
END_TEST

/* A unix socket has permissions instead of a name. */
START_TEST(unix_socket_takes_any_host)
{
    struct answer a;

    ask("GET /healthz HTTP/1.1\r\nHost: anything\r\n\r\n", &a);
    ck_assert_int_eq(a.status, 200);
    ask("GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n\r\n", &a);
    ck_assert_int_eq(a.status, 403);
}
END_TEST

/* What h2o would let pass is refused here as on the other listeners. */
START_TEST(malformed_requests_are_refused_and_closed)
{
    static const char *const rows[] = {
        "GET /stats HTTP/1.1\nHost: localhost\n\n",
        "GET /stats HTTP/1.1\r\n\r\n",
        "GET /stats HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "GET /stats HTTP/1.1\r\nHost: localhost\r\nx: 1\r\n y\r\n\r\n",
        "POST /purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        ("POST /purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    };
    struct answer a;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = dial();

        say_text(fd, rows[i]);
        hear(fd, &a);
        ck_assert_msg(a.status == 400, "%s: %d", rows[i], a.status);
        ck_assert(is_ended(fd));
        close(fd);
    }
}
END_TEST

/* Connections that nobody uses must not keep operators out for ever, nor cost memory without end.
 */
START_TEST(connections_are_bounded)
{
    int fds[64];
    struct answer a;
    int one_more;

    for (size_t i = 0; i < 64; i++) {
        fds[i] = dial();
        say_text(fds[i], GET("/healthz"));
        hear(fds[i], &a);
        ck_assert_int_eq(a.status, 200);
    }
    one_more = dial();
    ck_assert(is_ended(one_more));
    close(one_more);
    close(fds[0]);
    do /* until the close is noticed */
        ask(GET("/healthz"), &a);
    while (a.status == 0);
    ck_assert_int_eq(a.status, 200);
    for (size_t i = 1; i < 64; i++)
        close(fds[i]);
}
END_TEST

/* ---- end ---- */

static void *let_go(void *arg)
{
    (void)arg;
    while (is_ready(&ready)) /* set when the end has begun, or is just about to */
        sched_yield();
    atomic_store(&blocker.may_end, true);
    return NULL;
}

/* The end must come, and leak nothing, whatever the clients are at. */
START_TEST(close_ends_connections_in_every_state)
{
    enum { IDLE, SILENT, HALF_HEADER, HALF_BODY, DEAF, WAITING, STATES };
    pthread_t thread;
    struct answer a;
    int fds[STATES], size = 1;

    for (size_t i = 0; i < STATES; i++)
        fds[i] = dial();
    block();
    say_text(fds[HALF_HEADER], "GET /stats HTTP/1.1\r\nHost: loc");
    say_text(fds[HALF_BODY],
             "POST /purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    ck_assert_int_eq(setsockopt(fds[DEAF], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    ck_assert_int_eq(fcntl(fds[DEAF], F_SETFL, O_NONBLOCK), 0);
    while (send(fds[DEAF], GET("/metrics"), strlen(GET("/metrics")), MSG_NOSIGNAL) > 0)
        ; /* until neither side takes any more */
    say_purge(fds[WAITING], "{\"url\":\"http://a/1\"}", strlen("{\"url\":\"http://a/1\"}"));
    for (size_t i = 0; i < 2; i++) { /* the loop has turned since: the purge has been taken */
        say_text(fds[IDLE], GET("/healthz"));
        hear(fds[IDLE], &a);
    }
    ck_assert_int_eq(pthread_create(&thread, NULL, let_go, NULL), 0);
    atomic_store(&ready, false);
    close_admin();
    pthread_join(thread, NULL);
    hear(fds[WAITING], &a); /* it was accepted, so it is answered */
    ck_assert_int_eq(a.status, 200);
    for (size_t i = 0; i < STATES; i++) {
        if (i != DEAF)
            ck_assert(is_ended(fds[i]));
        close(fds[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/admin");
    TCase *calls = tcase_create("calls");
    TCase *one_thread = tcase_create("one_thread");
    TCase *narrow = tcase_create("narrow");
    TCase *unix_socket = tcase_create("unix");

    tcase_add_checked_fixture(calls, set_up, tear_down);
    tcase_set_timeout(calls, 60);
    tcase_add_test(calls, simple_calls_answer);
    tcase_add_test(calls, head_answers_without_body);
    tcase_add_test(calls, readyz_turns_503_when_not_ready);
    tcase_add_test(calls, wrong_calls_are_told_what_is_right);
    tcase_add_test(calls, connection_serves_many_calls);
    tcase_add_test(calls, purge_is_in_force_when_it_answers);
    tcase_add_test(calls, wrong_purge_bodies_are_refused_and_purge_nothing);
    tcase_add_loop_test(calls, a_host_is_purged_however_it_is_written, 0, 8);
    tcase_add_test(calls, purge_takes_up_to_10000_urls);
    tcase_add_test(calls, body_over_4_mib_is_413);
    tcase_add_test(calls, deeply_nested_body_is_refused);
    tcase_add_test(calls, browsers_and_foreign_hosts_are_refused);
    tcase_add_test(calls, malformed_requests_are_refused_and_closed);
    tcase_add_test(calls, connections_are_bounded);
    tcase_add_test(calls, close_ends_connections_in_every_state);
    suite_add_tcase(suite, calls);

    tcase_add_checked_fixture(one_thread, set_up_one_thread, tear_down);
    tcase_set_timeout(one_thread, 60);
    tcase_add_test(one_thread, asker_that_leaves_is_forgotten);
    suite_add_tcase(suite, one_thread);

    tcase_add_checked_fixture(narrow, set_up_narrow, tear_down);
    tcase_set_timeout(narrow, 60);
    tcase_add_test(narrow, full_queue_is_503);
    suite_add_tcase(suite, narrow);

    tcase_add_checked_fixture(unix_socket, set_up_unix, tear_down);
    tcase_add_test(unix_socket, unix_socket_takes_any_host);
    suite_add_tcase(suite, unix_socket);
    return unit_run(suite);
}
