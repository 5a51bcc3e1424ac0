/* SPDX-License-Identifier: MIT */
/* The admin API: calls, who may ask, the end. Purges are in serve_admin_purge.c. */
#include <fcntl.h>

#include "admin_rig.h"

/* Linux: an address of the family alone is a free abstract name. */
static void listen_unix(void)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};

    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, sizeof(any.sun_family)), 0);
}

static void set_up_unix(void)
{
    listen_unix();
    open_all(2, 16);
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
    TCase *unix_socket = tcase_create("unix");

    tcase_add_checked_fixture(calls, set_up, tear_down);
    tcase_set_timeout(calls, 60);
    tcase_add_test(calls, simple_calls_answer);
    tcase_add_test(calls, head_answers_without_body);
    tcase_add_test(calls, readyz_turns_503_when_not_ready);
    tcase_add_test(calls, wrong_calls_are_told_what_is_right);
    tcase_add_test(calls, connection_serves_many_calls);
    tcase_add_test(calls, browsers_and_foreign_hosts_are_refused);
    tcase_add_test(calls, malformed_requests_are_refused_and_closed);
    tcase_add_test(calls, connections_are_bounded);
    tcase_add_test(calls, close_ends_connections_in_every_state);
    suite_add_tcase(suite, calls);

    tcase_add_checked_fixture(unix_socket, set_up_unix, tear_down);
    tcase_add_test(unix_socket, unix_socket_takes_any_host);
    suite_add_tcase(suite, unix_socket);
    return unit_run(suite);
}
