/* SPDX-License-Identifier: MIT */
/*
 * The way of connections from bind to their end: addresses, protocols, limits, and what the sweep
 * ends. Servers are the child of serve_rig.h; waiting is for events, never for time to pass.
 */
#include "serve_talk.h"

#include <fcntl.h>
#include <linux/socket.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "brim/base/log.h"
#include "brim/serve/conns.h"

/* ---- sockets ---- */

static char dir[] = "/tmp/brim-listener-XXXXXX";

static const char *unix_address(void)
{
    static char address[64];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(address, sizeof(address), "unix:%s/s", dir);
    return address;
}

static void remove_dir(const char *address)
{
    unlink(address + 5);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* Each worker has a queue of its own: SO_REUSEPORT on one and the same port. */
START_TEST(workers_share_a_port_and_not_a_socket)
{
    const char *why = NULL;
    uint16_t port = 0;
    int fds[3];

    ck_assert_int_eq(brim_sockets_bind_address("127.0.0.1:0", 3, fds, &why), BRIM_OK);
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in address;
        socklen_t len = sizeof(address);
        int flags = fcntl(fds[i], F_GETFL);

        ck_assert_int_eq(getsockname(fds[i], (struct sockaddr *)&address, &len), 0);
        ck_assert(i == 0 || address.sin_port == port);
        ck_assert(i == 0 || fds[i] != fds[i - 1]);
        ck_assert(flags & O_NONBLOCK);
        ck_assert(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        port = address.sin_port;
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}
END_TEST

/* Two nodes on one port would each get half of the clients: SO_REUSEPORT must not allow that. */
START_TEST(a_port_in_use_is_a_fault)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    char text[32];
    const char *why = NULL;
    int fds[2], again[2];

    ck_assert_int_eq(brim_sockets_bind_address("127.0.0.1:0", 2, fds, &why), BRIM_OK);
    ck_assert_int_eq(getsockname(fds[0], (struct sockaddr *)&address, &len), 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    ck_assert_int_eq(brim_sockets_bind_address(text, 2, again, &why), BRIM_EINVAL);
    ck_assert_str_eq(why, "Address already in use");
    ck_assert_int_eq(again[0], -1);
    close(fds[0]);
    close(fds[1]);
    ck_assert_int_eq(brim_sockets_bind_address(text, 2, again, &why), BRIM_OK);
    close(again[0]);
    close(again[1]);
}
END_TEST

/* ":PORT" is for every client, with or without IPv6 on this machine. */
START_TEST(an_address_without_host_takes_ipv4_clients)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    const char *why = NULL;
    int fd, client;

    ck_assert_msg(brim_sockets_bind_address(":0", 1, &fd, &why) == BRIM_OK, "%s", why);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    client = h2_raw_dial(ntohs(address.ss_family == AF_INET
                                   ? ((struct sockaddr_in *)&address)->sin_port
                                   : ((struct sockaddr_in6 *)&address)->sin6_port),
                         0);
    ck_assert_int_ge(client, 0);
    close(client);
    close(fd);
}
END_TEST

START_TEST(addresses_that_are_none_are_faults)
{
    static const char *const addresses[] = {
        "",       "a",   "127.0.0.1", "1.2.3:80",      "[::1:80",
        "::1:80", ":x",  ":65536",    "unix:relative", "[]:80",
        "a.b:80", ":-1", "[::g]:80",  "1.2.3.4:",      "1.2.3.4.5.6.7.8.9.1.2.3:1"};
    const char *why;
    int fd;

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        why = NULL;
        ck_assert_msg(brim_sockets_bind_address(addresses[i], 1, &fd, &why) == BRIM_EINVAL, "%s",
                      addresses[i]);
        ck_assert_ptr_nonnull(why);
        ck_assert_int_eq(fd, -1);
    }
}
END_TEST

/* After a crash the socket's file is still there and must not stop the next start. */
START_TEST(a_stale_unix_socket_is_replaced_and_a_live_one_is_not)
{
    const char *address = unix_address(), *why = NULL;
    int fds[2], other;

    ck_assert_int_eq(brim_sockets_bind_address(address, 2, fds, &why), BRIM_OK);
    ck_assert_int_eq(fds[0], fds[1]);
    ck_assert_int_eq(brim_sockets_bind_address(address, 1, &other, &why), BRIM_EINVAL);
    ck_assert_str_eq(why, "is in use by another process");
    close(fds[0]);
    ck_assert_msg(brim_sockets_bind_address(address, 1, &other, &why) == BRIM_OK, "%s", why);
    close(other);
    remove_dir(address);
}
END_TEST

/* A wrong path in the config must not delete somebody's file. */
START_TEST(a_file_at_the_place_of_a_unix_socket_is_left_alone)
{
    const char *address = unix_address(), *why = NULL;
    FILE *file = fopen(address + 5, "w");
    int fd;

    fclose(file);
    ck_assert_int_eq(brim_sockets_bind_address(address, 1, &fd, &why), BRIM_EINVAL);
    ck_assert_str_eq(why, "is a file that is not a socket");
    ck_assert_int_eq(access(address + 5, F_OK), 0);
    remove_dir(address);
}
END_TEST

/* A client of the listening socket that sends more than it is let; returns what the kernel took. */
static int64_t unread_of(int listening, int *limit_out)
{
    static const char much[65536];
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int client, accepted, unread = 0;

    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    client = h2_raw_dial(ntohs(address.sin_port), 0);
    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = listening, .events = POLLIN}, 1, 10000), 1);
    accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    ck_assert_int_ge(accepted, 0);
    while (poll(&(struct pollfd){.fd = client, .events = POLLOUT}, 1, 100) == 1)
        ck_assert_int_gt(send(client, much, sizeof(much), MSG_DONTWAIT), 0);
    ck_assert_int_eq(ioctl(accepted, FIONREAD, &unread), 0);
    len = sizeof(*limit_out);
    ck_assert_int_eq(getsockopt(accepted, SOL_SOCKET, SO_RCVBUF, limit_out, &len), 0);
    close(client);
    close(accepted);
    return unread;
}

static bool is_bounded(int fd)
{
    int locks = 0;
    socklen_t len = sizeof(locks);

    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &len), 0);
    return (locks & SOCK_RCVBUF_LOCK) != 0;
}

/* All that is there is read in one turn of the loop, in which nobody else has one. */
START_TEST(a_connection_holds_little_that_is_unread)
{
    const char *why = NULL;
    int fds[4], limit;
    struct brim_sockets sockets = {.fds = fds, .listeners = 2, .workers = 2, .slots = 2};

    ck_assert_int_eq(brim_sockets_bind_address("127.0.0.1:0", 2, fds, &why), BRIM_OK);
    ck_assert_int_eq(brim_sockets_bind_address("127.0.0.1:0", 1, fds + 2, &why), BRIM_OK);
    fds[3] = -1; /* as where fewer were handed over than there is room for */
    brim_sockets_bound_unread(&sockets, 50001);
    ck_assert(is_bounded(fds[0]) && is_bounded(fds[1]) && is_bounded(fds[2]));
    ck_assert_int_le(unread_of(fds[2], &limit), 50000);
    ck_assert_int_eq(limit, 50000);
    brim_sockets_bound_unread(&sockets, 0);
    ck_assert(!is_bounded(fds[0]) && !is_bounded(fds[1]) && !is_bounded(fds[2]));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}
END_TEST

/* Else an operator takes uploads to be as fast as he has asked for. */
START_TEST(that_the_kernel_gives_less_is_said)
{
    FILE *log = tmpfile();
    char text[256] = "";
    const char *why = NULL;
    int fd;
    struct brim_sockets sockets = {.fds = &fd, .listeners = 1, .workers = 1, .slots = 1};

    ck_assert_int_eq(brim_sockets_bind_address("127.0.0.1:0", 1, &fd, &why), BRIM_OK);
    brim_log_setup(BRIM_LOG_INFO, fileno(log));
    brim_sockets_bound_unread(&sockets, 50001);
    ck_assert_int_eq(pread(fileno(log), text, sizeof(text) - 1, 0), 0);
    brim_sockets_bound_unread(&sockets, 1 << 30);
    brim_log_setup(BRIM_LOG_INFO, STDERR_FILENO);
    ck_assert_int_gt(pread(fileno(log), text, sizeof(text) - 1, 0), 0);
    ck_assert_ptr_nonnull(strstr(text, " warn listener.unread_capped asked=1073741824 given="));
    (void)fclose(log);
    close(fd);
}
END_TEST

/* ---- protocols ---- */

#define GET_CLOSE(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

START_TEST(cleartext_is_http1_or_http2_as_the_client_begins)
{
    int fd;

    start();
    fd = dial();
    ck_assert_ptr_nonnull(strstr(talk(fd, GET_CLOSE("/peer"), NULL), "127.0.0.1"));
    close(fd);
    ck_assert(h2_raw_is_alive(rig.port));
}
END_TEST

/* The first bytes may come one at a time, and "P" alone tells nothing. */
START_TEST(the_protocol_is_told_from_however_few_bytes)
{
    static const char post[] = "PRINT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    int fd;

    start();
    fd = dial();
    for (size_t i = 0; i < sizeof(post) - 1; i++)
        ck_assert_int_eq(send(fd, post + i, 1, MSG_NOSIGNAL), 1);
    ck_assert_ptr_nonnull(strstr(talk(fd, NULL, NULL), "200 Rig"));
    close(fd);
}
END_TEST

/* h2c by Upgrade would reach h2o behind the guard's back. */
START_TEST(an_upgrade_to_h2c_is_not_followed)
{
    const char *answer;
    int fd;

    start();
    fd = dial();
    answer = talk(fd,
                  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                  "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
                  "\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(answer, "200 Rig"));
    close(fd);
}
END_TEST

/* What the scan refuses is answered and the connection closed: its bytes cannot be trusted. */
START_TEST(refused_requests_close_the_connection)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" GET("/"),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n" GET("/"),
        "GET / HTTP/1.1\nHost: a\n\n" GET("/"),
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n" GET("/"),
    };

    start();
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        int fd = dial();
        const char *answer = talk(fd, requests[i], NULL);

        ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 400"));
        ck_assert_ptr_null(strstr(answer, "200 Rig"));
        close(fd);
    }
}
END_TEST

/* Absolute-form that passed is the same resource as its path (RFC 9112 3.3). */
START_TEST(absolute_form_is_served_as_its_path)
{
    int fd;

    start();
    fd = dial();
    ck_assert_ptr_nonnull(
        strstr(talk(fd, "GET http://a/peer HTTP/1.1\r\nHost: a\r\n\r\n", "127"), "200 Rig"));
    ck_assert_ptr_nonnull(strstr(
        talk(fd, "GET http://a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL), "200 R"));
    close(fd);
    fd = dial();
    ck_assert_ptr_nonnull(
        strstr(talk(fd, "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", NULL), "HTTP/1.1 421"));
    close(fd);
}
END_TEST

/* Pipelined requests stand in one buffer; the scan of each must begin at its own first byte. */
START_TEST(pipelined_requests_are_each_scanned)
{
    const char *answer;
    int fd;

    start();
    fd = dial();
    answer = talk(fd,
                  GET("/peer") "POST /peer HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok" GET(
                      "/peer") "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
                  NULL);
    for (int i = 0; i < 3; i++) {
        answer = strstr(answer, "200 Rig");
        ck_assert_ptr_nonnull(answer);
        answer++;
    }
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 400"));
    close(fd);
}
END_TEST

/* ---- TLS ---- */

static SSL *tls_dial(const char *alpn)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);

    SSL_CTX_free(ctx);
    if (alpn != NULL)
        SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    SSL_set_fd(ssl, dial());
    ck_assert_int_eq(SSL_connect(ssl), 1);
    return ssl;
}

static void tls_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    SSL_free(ssl);
    close(fd);
}

START_TEST(alpn_chooses_the_protocol_under_tls)
{
    static const char request[] = GET_CLOSE("/peer");
    char answer[4096];
    int len = 0, n;
    SSL *ssl;

    rig.tls = server_context();
    start();
    ssl = tls_dial(_i == 0 ? NULL : "\x08http/1.1");
    ck_assert_int_eq(SSL_write(ssl, request, sizeof(request) - 1), sizeof(request) - 1);
    while ((n = SSL_read(ssl, answer + len, (int)sizeof(answer) - 1 - len)) > 0)
        len += n;
    answer[len] = '\0';
    ck_assert_ptr_nonnull(strstr(answer, "127.0.0.1"));
    tls_close(ssl);

    ssl = tls_dial("\x02h2");
    ck_assert(h2_raw_open(&raw, rig.port, 65535, 0)); /* for its bytes; the connection is unused */
    (void)h2_raw_get(&raw, "/");
    ck_assert_int_eq(SSL_write(ssl, raw.out, (int)raw.out_len), (int)raw.out_len);
    n = SSL_read(ssl, answer, sizeof(answer));
    ck_assert_int_ge(n, 9);
    ck_assert_int_eq(answer[3], H2_SETTINGS);
    h2_raw_close(&raw);
    tls_close(ssl);
    SSL_CTX_free(rig.tls);
}
END_TEST

START_TEST(cleartext_at_a_tls_port_is_closed)
{
    int fd;

    rig.tls = server_context();
    start();
    fd = dial();
    (void)talk(fd, GET("/"), NULL);
    close(fd);
    tls_close(tls_dial("\x02h2"));
    SSL_CTX_free(rig.tls);
}
END_TEST

/* ---- limits ---- */

/* Beyond the limit clients wait in the kernel's queue; they are served when others have gone. */
START_TEST(connections_beyond_the_limit_wait)
{
    int first, second, third;
    struct pollfd ready;

    rig.conf.limits.connections = 2;
    start();
    first = dial();
    ck_assert_ptr_nonnull(strstr(talk(first, GET("/"), "\r\n\r\n"), "200 Rig"));
    second = dial();
    ck_assert_ptr_nonnull(strstr(talk(second, GET("/"), "\r\n\r\n"), "200 Rig"));
    third = dial(); /* the kernel completes the handshake */
    ck_assert_int_gt(send(third, GET("/peer"), strlen(GET("/peer")), MSG_NOSIGNAL), 0);
    ready = (struct pollfd){third, POLLIN, 0};
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    close(first);
    ck_assert_ptr_nonnull(strstr(talk(third, NULL, "127.0.0.1"), "200 Rig"));
    close(second);
    close(third);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_listener");
    TCase *sockets = tcase_create("sockets"), *protocols = tcase_create("protocols");

    tcase_add_test(sockets, workers_share_a_port_and_not_a_socket);
    tcase_add_test(sockets, a_port_in_use_is_a_fault);
    tcase_add_test(sockets, an_address_without_host_takes_ipv4_clients);
    tcase_add_test(sockets, addresses_that_are_none_are_faults);
    tcase_add_test(sockets, a_stale_unix_socket_is_replaced_and_a_live_one_is_not);
    tcase_add_test(sockets, a_file_at_the_place_of_a_unix_socket_is_left_alone);
    tcase_add_test(sockets, a_connection_holds_little_that_is_unread);
    tcase_add_test(sockets, that_the_kernel_gives_less_is_said);
    suite_add_tcase(suite, sockets);
    tcase_add_checked_fixture(protocols, setup, teardown);
    tcase_set_timeout(protocols, 60);
    tcase_add_test(protocols, cleartext_is_http1_or_http2_as_the_client_begins);
    tcase_add_test(protocols, the_protocol_is_told_from_however_few_bytes);
    tcase_add_test(protocols, an_upgrade_to_h2c_is_not_followed);
    tcase_add_test(protocols, refused_requests_close_the_connection);
    tcase_add_test(protocols, absolute_form_is_served_as_its_path);
    tcase_add_test(protocols, pipelined_requests_are_each_scanned);
    tcase_add_loop_test(protocols, alpn_chooses_the_protocol_under_tls, 0, 2);
    tcase_add_test(protocols, cleartext_at_a_tls_port_is_closed);
    tcase_add_test(protocols, connections_beyond_the_limit_wait);
    suite_add_tcase(suite, protocols);
    return unit_run(suite);
}
