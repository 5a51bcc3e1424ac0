/* SPDX-License-Identifier: MIT */
/*
 * The way of connections from bind to their end: addresses, protocols, limits, and what the sweep
 * ends. Servers are the child of serve_rig.h; waiting is for events, never for time to pass.
 */
#include "serve_rig.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/un.h>

#include "brim/serve/conns.h"

static struct rig rig;
static struct h2_raw raw;

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    rig_conf(&rig);
}

static void teardown(void)
{
    if (rig.pid > 0)
        ck_assert_int_eq(rig_stop(&rig), 0);
    rig.pid = 0;
}

static void start(void)
{
    rig_start(&rig, RIG_GUARDED);
}

/* Sends text, and reads until the peer closes or `until` has been seen. */
static const char *talk(int fd, const char *text, const char *until)
{
    static char answer[4096];
    size_t len = 0;
    struct pollfd ready = {fd, POLLIN, 0};

    if (text != NULL)
        ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    answer[0] = '\0';
    while (len < sizeof(answer) - 1 && (until == NULL || strstr(answer, until) == NULL)) {
        ck_assert_msg(poll(&ready, 1, H2_RAW_WAIT_MS) == 1, "no answer; so far: %s", answer);
        ssize_t n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        answer[len] = '\0';
    }
    return answer;
}

static bool is_closed(int fd)
{
    char sink[4096];
    struct pollfd ready = {fd, POLLIN, 0};

    while (poll(&ready, 1, H2_RAW_WAIT_MS) == 1)
        if (recv(fd, sink, sizeof(sink), 0) <= 0)
            return true;
    return false;
}

static int dial(void)
{
    int fd = h2_raw_dial(rig.port, 0);

    ck_assert_int_ge(fd, 0);
    return fd;
}

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

/* ---- protocols ---- */

#define GET(path)       "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
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

static SSL_CTX *server_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();

    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
    X509_set_pubkey(x509, key);
    ck_assert_int_gt(X509_sign(x509, key, EVP_sha256()), 0);
    ck_assert_int_eq(SSL_CTX_use_certificate(ctx, x509), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
    h2o_ssl_register_alpn_protocols(ctx, h2o_http2_alpn_protocols);
    X509_free(x509);
    EVP_PKEY_free(key);
    return ctx;
}

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

/* ---- sweep ---- */

START_TEST(a_handshake_that_does_not_proceed_is_ended)
{
    int fd;

    rig.tls = server_context();
    rig.conf.timeouts.handshake_ms = 100;
    start();
    fd = dial();
    if (_i == 1) /* half a record */
        ck_assert_int_eq(send(fd, "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
    ck_assert(is_closed(fd));
    close(fd);
    SSL_CTX_free(rig.tls);
}
END_TEST

START_TEST(a_client_that_says_nothing_is_ended)
{
    static const char *const starts[] = {NULL, "PRI * HTTP/2.0\r\n"};
    int fd;

    rig.conf.timeouts.request_ms = 100;
    start();
    fd = dial();
    if (starts[_i] != NULL)
        ck_assert_int_gt(send(fd, starts[_i], strlen(starts[_i]), MSG_NOSIGNAL), 0);
    ck_assert(is_closed(fd));
    close(fd);
}
END_TEST

/* Waits for the peer to reset or close, reading nothing that would let it go on. */
static bool is_hung_up(int fd)
{
    struct pollfd ready = {fd, POLLRDHUP, 0};

    return poll(&ready, 1, H2_RAW_WAIT_MS) == 1;
}

/* A client that asks for a large object and does not read it holds that object for ever. */
START_TEST(a_client_that_does_not_read_is_ended)
{
    int fd;

    rig.conf.timeouts.write_ms = 100;
    start();
    fd = h2_raw_dial(rig.port, 4096);
    if (_i == 0) {
        ck_assert_int_gt(send(fd, GET("/big"), strlen(GET("/big")), MSG_NOSIGNAL), 0);
        ck_assert(is_hung_up(fd));
    } else {
        ck_assert(h2_raw_open(&raw, rig.port, 1 << 24, 4096));
        (void)h2_raw_get(&raw, "/big");
        ck_assert(h2_raw_flush(&raw));
        ck_assert(is_hung_up(raw.fd));
        h2_raw_close(&raw);
    }
    close(fd);
}
END_TEST

/* The same within HTTP/2: a window of zero, kept alive with PING. */
START_TEST(a_window_that_never_opens_is_ended)
{
    bool is_closed_now = false;

    rig.conf.timeouts.write_ms = 100;
    start();
    ck_assert(h2_raw_open(&raw, rig.port, 10, 0));
    (void)h2_raw_get(&raw, "/big");
    for (int i = 0; i < 100 && !is_closed_now; i++) {
        h2_raw_ping(&raw);
        is_closed_now = !h2_raw_flush(&raw) || h2_raw_drained(&raw, 100);
    }
    ck_assert(is_closed_now);
    h2_raw_close(&raw);
}
END_TEST

/* h2o does not read while an HTTP/1 request waits, so it cannot see that nobody waits for it. */
START_TEST(a_client_that_has_gone_while_its_request_waits_is_noticed)
{
    int fd;

    rig.conf.limits.connections = 1; /* the next one is let in when the first is gone */
    start();
    fd = dial();
    ck_assert_int_gt(send(fd, GET("/wait"), strlen(GET("/wait")), MSG_NOSIGNAL), 0);
    if (_i == 0)
        close(fd);
    else
        shutdown(fd, SHUT_WR);
    ck_assert(h2_raw_is_alive(rig.port));
    if (_i == 1)
        close(fd);
}
END_TEST

/* A request that simply takes its time, with its client there, is nobody's fault. */
START_TEST(a_client_that_waits_is_left_alone)
{
    struct pollfd ready;
    int waiting, other;

    rig.conf.timeouts.write_ms = 100;
    rig.conf.timeouts.idle_ms = 100;
    start();
    waiting = dial();
    ck_assert_int_gt(send(waiting, GET("/wait"), strlen(GET("/wait")), MSG_NOSIGNAL), 0);
    ck_assert(h2_raw_open(&raw, rig.port, 65535, 0));
    (void)h2_raw_get(&raw, "/wait");
    ck_assert(h2_raw_flush(&raw));
    other = h2_raw_dial(rig.port, 4096); /* is ended by the sweep that looks at all of them */
    ck_assert_int_gt(send(other, GET("/big"), strlen(GET("/big")), MSG_NOSIGNAL), 0);
    ck_assert(is_hung_up(other));
    ready = (struct pollfd){waiting, POLLIN | POLLRDHUP, 0};
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    ready.fd = raw.fd;
    ready.events = POLLRDHUP;
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    h2_raw_close(&raw);
    close(waiting);
    close(other);
}
END_TEST

/* Any byte renews h2o's idle timeout; a frame or two every few seconds would hold it for ever. */
START_TEST(an_http2_connection_that_only_drips_is_ended)
{
    bool is_closed_now = false;

    rig.conf.timeouts.idle_ms = 100;
    start();
    ck_assert(h2_raw_open(&raw, rig.port, 65535, 0));
    if (_i == 1)
        (void)h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
    for (int i = 0; i < 100 && !is_closed_now; i++) {
        if (_i == 0)
            h2_raw_ping(&raw);
        else
            h2_raw_frame(&raw, (struct h2_raw_frame){1, 1, H2_DATA, 0, (const uint8_t *)"x"});
        is_closed_now = !h2_raw_flush(&raw) || h2_raw_drained(&raw, 100);
    }
    ck_assert(is_closed_now);
    h2_raw_close(&raw);
}
END_TEST

START_TEST(a_header_block_that_stays_open_is_ended)
{
    rig.conf.timeouts.request_ms = 100;
    start();
    ck_assert(h2_raw_open(&raw, rig.port, 65535, 0));
    (void)h2_raw_get(&raw, "/wait"); /* keeps h2o's idle timeout off */
    (void)h2_raw_request(&raw, "GET", "/", H2_END_STREAM);
    ck_assert(h2_raw_flush(&raw));
    ck_assert(h2_raw_drained(&raw, H2_RAW_WAIT_MS));
    h2_raw_close(&raw);
}
END_TEST

/* ---- end ---- */

static void count_tick(void *ctx)
{
    ++*(int *)ctx;
}

static h2o_socket_t *socket_pair(h2o_loop_t *loop, int *peer_out)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *peer_out = pair[1];
    return h2o_evloop_socket_create(loop, pair[0], 0);
}

static void ignore_input(h2o_socket_t *sock, const char *err)
{
    if (err != NULL)
        h2o_socket_close(sock);
}

/* The ring must stay whole whichever connection leaves it, or the sweep loses or revisits some. */
START_TEST(connections_are_counted_and_swept_as_they_come_and_go)
{
    enum { COUNT = 5 };
    h2o_loop_t *loop = h2o_evloop_create();
    struct brim_conf_timeouts timeouts = {.request_ms = 1000, .handshake_ms = 1000};
    _Atomic int64_t total = 0;
    int ticks = 0, peers[COUNT];
    struct brim_conns_config config = {loop, &timeouts, 16384, &total, count_tick, &ticks};
    struct brim_conns *conns;
    h2o_socket_t *socks[COUNT];

    ck_assert_int_eq(brim_conns_open(&config, &conns), BRIM_OK);
    brim_conns_sweep(conns, brim_clock_mono_ms());
    for (int i = 0; i < COUNT; i++) {
        socks[i] = socket_pair(loop, &peers[i]);
        struct brim_conn *conn = brim_conns_adopt(conns, socks[i], BRIM_CONN_SNIFF);
        ck_assert_str_eq(conn->peer_text, "unix");
        conn->opened_mono_ms = i == 3 ? 0 : UINT64_MAX / 2; /* one of them is old */
        h2o_socket_read_start(socks[i], ignore_input);
    }
    ck_assert_uint_eq(brim_conns_count(conns), COUNT);
    ck_assert_int_eq(total, COUNT);
    h2o_socket_close(socks[0]);
    h2o_socket_close(socks[2]);
    ck_assert_uint_eq(brim_conns_count(conns), COUNT - 2);
    brim_conns_sweep(conns, UINT64_MAX / 2);
    ck_assert_uint_eq(brim_conns_count(conns), COUNT - 3);
    while (ticks == 0)
        ck_assert_int_eq(h2o_evloop_run(loop, 1000), 0);
    brim_conns_kill(conns);
    ck_assert_uint_eq(brim_conns_count(conns), 0);
    ck_assert_int_eq(total, 0);
    brim_conns_close(conns);
    ck_assert_int_eq(h2o_evloop_run(loop, 0), 0);
    h2o_evloop_destroy(loop);
    for (int i = 0; i < COUNT; i++)
        close(peers[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_listener");
    TCase *sockets = tcase_create("sockets"), *protocols = tcase_create("protocols"),
          *sweep = tcase_create("sweep");

    tcase_add_test(sockets, workers_share_a_port_and_not_a_socket);
    tcase_add_test(sockets, a_port_in_use_is_a_fault);
    tcase_add_test(sockets, an_address_without_host_takes_ipv4_clients);
    tcase_add_test(sockets, addresses_that_are_none_are_faults);
    tcase_add_test(sockets, a_stale_unix_socket_is_replaced_and_a_live_one_is_not);
    tcase_add_test(sockets, a_file_at_the_place_of_a_unix_socket_is_left_alone);
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
    tcase_add_checked_fixture(sweep, setup, teardown);
    tcase_set_timeout(sweep, 60);
    tcase_add_loop_test(sweep, a_handshake_that_does_not_proceed_is_ended, 0, 2);
    tcase_add_loop_test(sweep, a_client_that_says_nothing_is_ended, 0, 2);
    tcase_add_loop_test(sweep, a_client_that_does_not_read_is_ended, 0, 2);
    tcase_add_test(sweep, a_window_that_never_opens_is_ended);
    tcase_add_loop_test(sweep, a_client_that_has_gone_while_its_request_waits_is_noticed, 0, 2);
    tcase_add_test(sweep, a_client_that_waits_is_left_alone);
    tcase_add_loop_test(sweep, an_http2_connection_that_only_drips_is_ended, 0, 2);
    tcase_add_test(sweep, a_header_block_that_stays_open_is_ended);
    tcase_add_test(sweep, connections_are_counted_and_swept_as_they_come_and_go);
    suite_add_tcase(suite, sweep);
    return unit_run(suite);
}
