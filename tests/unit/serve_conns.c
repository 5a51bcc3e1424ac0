/* SPDX-License-Identifier: MIT */
/*
 * What the sweep ends: clients that are slow on purpose, that have gone, that hold more than their
 * share. Servers are the child of serve_rig.h; waiting is for events, never for time to pass.
 */
#include "brim/serve/conns.h"

#include "serve_talk.h"

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

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (int)strlen(text));
}

/* Sends one byte after the other until the peer has had enough; false if it never has. */
static bool is_ended_while_dripping(int fd)
{
    struct pollfd state = {fd, POLLIN | POLLRDHUP, 0};

    for (int i = 0; i < 200; i++)
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || poll(&state, 1, 50) == 1)
            return true;
    return false;
}

/* Slowloris: each byte is progress, and no request ever comes. */
START_TEST(an_http1_header_that_drips_is_ended)
{
    static const char begun[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    int fd;

    rig.conf.timeouts.request_ms = 1000; /* the first is answered in that time */
    start();
    fd = dial_saying(_i == 1 ? GET("/peer") : begun);
    if (_i == 1) { /* also on a connection that has been served */
        ck_assert_ptr_nonnull(strstr(talk(fd, NULL, "127.0.0.1"), "200 Rig"));
        say(fd, begun); /* at once: only the first of two writes gets to who has hung up */
    }
    ck_assert(is_ended_while_dripping(fd));
    close(fd);
}
END_TEST

START_TEST(an_idle_http1_connection_is_ended)
{
    int fd;

    rig.conf.timeouts.request_ms = 1000; /* the first is answered in that time */
    start();
    fd = dial_saying(GET("/peer"));
    ck_assert_ptr_nonnull(strstr(talk(fd, NULL, "127.0.0.1"), "200 Rig"));
    ck_assert(is_closed(fd));
    close(fd);
}
END_TEST

START_TEST(an_http1_body_that_drips_is_ended)
{
    static const char *const starts[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"};
    int fd;

    rig.conf.timeouts.request_ms = 1000; /* the first is answered in that time */
    start();
    fd = dial_saying(starts[_i]);
    ck_assert(is_ended_while_dripping(fd));
    close(fd);
}
END_TEST

/* A large body on a slow line takes longer than timeouts.request, and is nobody's fault. */
START_TEST(a_body_that_comes_steadily_is_served)
{
    static char some[1000];
    bool is_other_ended = false;
    unsigned sent = 0;
    int fd, steady;

    memset(some, 'x', sizeof(some));
    rig.conf.timeouts.request_ms = 1000;
    start();
    steady = dial();
    say(steady, "POST /peer HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
    fd =
        dial(); /* begins later and sends nothing: when it is ended, the other one's time is over */
    say(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
    for (; sent < 5000; sent++) {
        struct pollfd other = {fd, POLLRDHUP, 0};

        ck_assert_int_eq(send(steady, some, sizeof(some), MSG_NOSIGNAL), sizeof(some));
        if (!is_other_ended)
            is_other_ended = poll(&other, 1, 5) == 1;
    }
    ck_assert(is_other_ended);
    ck_assert_ptr_nonnull(strstr(talk(steady, NULL, "127.0.0.1"), "200 Rig"));
    close(fd);
    close(steady);
}
END_TEST

/* One response under way keeps h2o's idle timeout off; a body that drips must not live of that. */
START_TEST(an_http2_body_that_drips_beside_a_request_is_ended)
{
    bool is_closed_now = false;

    rig.conf.timeouts.idle_ms = 200;
    start();
    ck_assert(h2_raw_open(&raw, rig.port, 65535, 0));
    (void)h2_raw_get(&raw, "/wait");
    uint32_t stream = h2_raw_request(&raw, "POST", "/", H2_END_HEADERS);
    for (int i = 0; i < 200 && !is_closed_now; i++) {
        h2_raw_frame(&raw, (struct h2_raw_frame){stream, 1, H2_DATA, 0, (const uint8_t *)"x"});
        is_closed_now = !h2_raw_flush(&raw) || h2_raw_drained(&raw, 50);
    }
    ck_assert(is_closed_now);
    h2_raw_close(&raw);
}
END_TEST

/* Slow read: a few bytes now and then are progress, and hold the response all the same. */
START_TEST(a_client_that_sips_is_ended)
{
    bool is_closed_now = false;
    struct pollfd state;
    char sip[8];
    int fd;

    rig.conf.timeouts.write_ms = 200;
    rig.conf.limits.response_rate_bytes = 10 << 20;
    start();
    fd = h2_raw_dial(rig.port, 4096);
    say(fd, GET("/big"));
    state = (struct pollfd){fd, POLLRDHUP, 0};
    for (int i = 0; i < 200 && !is_closed_now; i++) {
        is_closed_now = poll(&state, 1, 50) == 1;
        (void)recv(fd, sip, sizeof(sip), MSG_DONTWAIT);
    }
    ck_assert(is_closed_now);
    close(fd);
}
END_TEST

/* Others that are served do not excuse a response that is never read. */
START_TEST(a_stream_that_is_held_is_ended)
{
    bool is_closed_now = false;

    rig.conf.timeouts.write_ms = 100;
    start();
    ck_assert(h2_raw_open(&raw, rig.port, 2048, 0));
    (void)h2_raw_get(&raw, "/big");
    for (int i = 0; i < 400 && !is_closed_now; i++) {
        uint32_t stream = h2_raw_get(&raw, "/");

        is_closed_now =
            !h2_raw_flush(&raw) || !h2_raw_finish(&raw, stream) || h2_raw_drained(&raw, 20);
    }
    ck_assert(is_closed_now);
    h2_raw_close(&raw);
}
END_TEST

/* Whether a new connection is served, sooner or later: nothing tells when there is room again. */
static bool is_let_in(void)
{
    for (int i = 0; i < 1000; i++) {
        if (h2_raw_is_alive(rig.port))
            return true;
        (void)poll(NULL, 0, 10);
    }
    return false;
}

/* Of one address only so many; its next one is let in when one has gone. */
START_TEST(connections_of_one_address_are_limited)
{
    int first, second;

    rig.conf.limits.connections_per_address = 1;
    start();
    first = dial();
    ck_assert_ptr_nonnull(strstr(talk(first, GET("/peer"), "127.0.0.1"), "200 Rig"));
    second = dial();
    ck_assert(is_closed(second));
    close(second);
    close(first);
    ck_assert(is_let_in());
}
END_TEST

/* Bodies that never end: who holds most goes, and so on, until there is room again. */
START_TEST(beyond_the_memory_of_clients_the_greediest_is_ended)
{
    static char some[100000];
    int big, small;

    rig.conf.limits.client_memory_bytes = 1 << 20;
    start();
    small = dial();
    say(small, "POST /peer HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx");
    big = dial();
    say(big, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 100; i++)
        if (send(big, some, sizeof(some), MSG_NOSIGNAL) <= 0)
            break;
    ck_assert(is_hung_up(big));
    close(big);
    ck_assert_ptr_nonnull(strstr(talk(small, "xxxx", "127.0.0.1"), "200 Rig"));
    ck_assert(is_let_in());
    close(small);
}
END_TEST

/* Between two sweeps a fast client sends more than all may hold, so the sweep would be too late;
 * and h2o sets its own callback with each request, behind which nobody would look. */
START_TEST(a_body_beyond_the_memory_of_clients_is_refused_while_it_comes)
{
    static const char *const heads[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n",
        GET("/peer") "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        "Content-Length: 100000000\r\n\r\n",
    };
    static const char *const answers[] = {NULL, "127.0.0.1", NULL, "100 Continue"};
    static char some[65536];
    int fd;

    rig.conf.limits.client_memory_bytes = 1 << 20;
    start();
    fd = dial();
    say(fd, heads[_i]);
    if (answers[_i] != NULL)
        ck_assert_ptr_nonnull(strstr(talk(fd, NULL, answers[_i]), answers[_i]));
    for (int i = 0; i < 100; i++)
        if (send(fd, some, sizeof(some), MSG_NOSIGNAL) <= 0)
            break;
    ck_assert_ptr_nonnull(strstr(talk(fd, NULL, BRIM_LEDGER_REFUSAL), "503 Service Unavailable"));
    close(fd);
    ck_assert(is_let_in());
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

#define MUCH 5000000

static size_t hold_much(const struct brim_conn_request *request)
{
    (void)request;
    return MUCH;
}

/* What a worker has, without a server: the loop is the test's. */
struct loop_rig {
    struct brim_conf_timeouts timeouts;
    struct brim_conf_limits limits;
    struct brim_conf_abuse abuse;
    _Atomic int64_t total;
    int ticks;
    struct brim_conns_config config;
};

static void open_rig(struct loop_rig *own, struct brim_conf_limits limits)
{
    *own = (struct loop_rig){
        .timeouts = {.handshake_ms = 1000, .request_ms = 1000, .idle_ms = 1000, .write_ms = 1000}};
    own->limits = limits;
    own->limits.request_header_bytes = 16384;
    own->config =
        (struct brim_conns_config){.loop = h2o_evloop_create(),
                                   .timeouts = &own->timeouts,
                                   .limits = &own->limits,
                                   .clients = brim_clients_open(&own->limits, &own->abuse),
                                   .connections = &own->total,
                                   .on_tick = count_tick,
                                   .ctx = &own->ticks};
}

/* When all connections of the loop have closed. */
static void close_rig(struct loop_rig *own)
{
    brim_clients_close(own->config.clients);
    ck_assert_int_eq(h2o_evloop_run(own->config.loop, 0), 0);
    h2o_evloop_destroy(own->config.loop);
}

static struct brim_ledger *ledger_of(const struct loop_rig *own)
{
    return brim_clients_ledger(own->config.clients);
}

static int64_t held(const struct loop_rig *own)
{
    return brim_ledger_held(ledger_of(own));
}

/* What h2o had for a connection when it could last be asked is counted once, however often one
 * looks. What is held for its requests is on the ledger already, and is only weighed: entered
 * again, half of limits.client_memory would be all there is. */
START_TEST(what_is_held_for_a_request_is_weighed_and_not_counted_again)
{
    struct loop_rig own;
    struct brim_conn_request request = {.memory = hold_much}, other = {.memory = NULL};
    uint64_t now;
    struct brim_conns *conns;
    struct brim_conn *conn;
    int64_t none;
    int peer;

    open_rig(&own, (struct brim_conf_limits){.client_memory_bytes = 100000000});
    ck_assert_int_eq(brim_conns_open(&own.config, &conns), BRIM_OK);
    conn = brim_conns_adopt(conns, socket_pair(own.config.loop, &peer),
                            _i == 0 ? BRIM_CONN_HTTP1 : BRIM_CONN_HTTP2);
    now = brim_clock_mono_ms(); /* it is there, so that it cannot be of a later time */
    conn->h2_memory = 1000;
    brim_conns_sweep(conns, now);
    none = held(&own);
    brim_conns_sweep(conns, now);
    ck_assert_int_eq(held(&own), none);
    brim_conn_request_add(conn, &request);
    brim_conn_request_add(conn, &other);
    for (int i = 0; i < 2; i++) {
        brim_conns_sweep(conns, now);
        ck_assert_int_ge(held(&own), none);
        ck_assert_int_lt(held(&own), none + 100000);
        ck_assert_int_eq(conn->weight, held(&own) + MUCH);
    }
    brim_conn_request_remove(conn, &other);
    brim_conn_request_remove(conn, &request);
    h2o_socket_close(conn->sock);
    ck_assert_int_eq(held(&own), 0);
    brim_conns_close(conns);
    close_rig(&own);
    close(peer);
}
END_TEST

/* Each worker sees the excess of all; were each to end clients for the whole of it, half of those
 * that there is room for would go with two workers, and nearly all of them with eight. */
START_TEST(an_excess_is_made_good_once_however_many_workers_see_it)
{
    enum { WORKERS = 2, EACH = 2 };
    struct loop_rig own;
    struct brim_conn_request requests[WORKERS * EACH];
    struct brim_conn *all[WORKERS * EACH];
    struct brim_conns *workers[WORKERS];
    int peers[WORKERS * EACH], ended = 0;

    open_rig(&own, (struct brim_conf_limits){.client_memory_bytes = 16000000});
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(brim_conns_open(&own.config, &workers[i]), BRIM_OK);
    for (int i = 0; i < WORKERS * EACH; i++) {
        requests[i] = (struct brim_conn_request){.memory = hold_much};
        all[i] = brim_conns_adopt(workers[i / EACH], socket_pair(own.config.loop, &peers[i]),
                                  BRIM_CONN_HTTP2);
        all[i]->is_h2 = true;
        brim_conn_request_add(all[i], &requests[i]);
        brim_ledger_hold(all[i]->ledger, MUCH);
    }
    for (int turn = 0; turn < 4; turn++) /* nobody who was ended has gone yet */
        brim_conns_sweep(workers[turn % WORKERS], brim_clock_mono_ms());
    for (int i = 0; i < WORKERS * EACH; i++) {
        ended += all[i]->killed;
        brim_ledger_hold(all[i]->ledger, -MUCH);
        brim_conn_request_remove(all[i], &requests[i]);
        h2o_socket_close(all[i]->sock);
        close(peers[i]);
    }
    ck_assert_int_eq(ended, 2);
    ck_assert_int_eq(held(&own), 0);
    ck_assert_int_eq(brim_ledger_excess(ledger_of(&own)), -12000000);
    for (int i = 0; i < WORKERS; i++)
        brim_conns_close(workers[i]);
    close_rig(&own);
}
END_TEST

static size_t hold_little(const struct brim_conn_request *request)
{
    (void)request;
    return 1400000;
}

static size_t hold_some(const struct brim_conn_request *request)
{
    (void)request;
    return 1900000;
}

/* Who spreads what he holds over many connections goes before one who has a little more on one. */
START_TEST(the_greediest_address_is_ended_before_the_greediest_connection)
{
    enum { CONNS = 11 };
    struct loop_rig own;
    struct brim_ledger greedy = {0}, modest = {0};
    struct brim_conn_request requests[CONNS];
    struct brim_conn *all[CONNS];
    struct brim_conns *conns;
    int peers[CONNS], ended = 0;

    open_rig(&own, (struct brim_conf_limits){.client_memory_bytes = 20000000});
    brim_ledger_share(&greedy, ledger_of(&own));
    brim_ledger_share(&modest, ledger_of(&own));
    ck_assert_int_eq(brim_conns_open(&own.config, &conns), BRIM_OK);
    for (int i = 0; i < CONNS; i++) {
        requests[i] = (struct brim_conn_request){.memory = i == 0 ? hold_some : hold_little};
        all[i] = brim_conns_adopt(conns, socket_pair(own.config.loop, &peers[i]), BRIM_CONN_HTTP2);
        all[i]->is_h2 = true;
        all[i]->ledger = i == 0 ? &modest : &greedy;
        brim_conn_request_add(all[i], &requests[i]);
        brim_ledger_hold(all[i]->ledger, (int64_t)requests[i].memory(&requests[i]));
    }
    brim_conns_sweep(conns, brim_clock_mono_ms());
    ck_assert(!all[0]->killed);
    for (int i = 0; i < CONNS; i++) {
        ended += all[i]->killed;
        brim_ledger_hold(all[i]->ledger, -(int64_t)requests[i].memory(&requests[i]));
        brim_conn_request_remove(all[i], &requests[i]);
        h2o_socket_close(all[i]->sock);
        close(peers[i]);
    }
    ck_assert_int_eq(ended, 1);
    ck_assert_int_eq(held(&own), 0);
    brim_conns_close(conns);
    close_rig(&own);
}
END_TEST

/* A connected TCP socket of the loop's; its other end in *peer_out. */
static h2o_socket_t *tcp_pair(h2o_loop_t *loop, int *peer_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM, 0), fd;

    ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    *peer_out = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(*peer_out, (struct sockaddr *)&address, len), 0);
    fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    ck_assert_int_ge(fd, 0);
    close(listening);
    return h2o_evloop_socket_create(loop, fd, 0);
}

static int unsent_of(h2o_socket_t *sock)
{
    int bytes = -1;
    socklen_t len = sizeof(bytes);

    ck_assert_int_eq(
        getsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &len), 0);
    return bytes;
}

static void ignore_written(h2o_socket_t *sock, const char *err)
{
    (void)sock;
    (void)err;
}

/* Else the kernel takes megabytes for every client that does not read; h2o lifts the bound of an
 * HTTP/2 connection that it no longer writes to with an eye on latency. */
START_TEST(the_kernel_holds_little_that_is_unsent)
{
    static char much[8 << 20];
    struct loop_rig own;
    h2o_iovec_t bytes = {much, sizeof(much)};
    struct brim_conns *conns;
    struct brim_conn *conn;
    int peer, lifted = 0;

    open_rig(&own, (struct brim_conf_limits){.unsent_bytes = 100000});
    ck_assert_int_eq(brim_conns_open(&own.config, &conns), BRIM_OK);
    conn = brim_conns_adopt(conns, tcp_pair(own.config.loop, &peer), BRIM_CONN_HTTP2);
    conn->is_h2 = true;
    ck_assert_int_eq(unsent_of(conn->sock), 100000);
    h2o_socket_write(conn->sock, &bytes, 1, ignore_written);
    ck_assert(h2o_socket_is_writing(conn->sock));
    ck_assert_int_eq(setsockopt(h2o_socket_get_fd(conn->sock), IPPROTO_TCP, TCP_NOTSENT_LOWAT,
                                &lifted, sizeof(lifted)),
                     0);
    brim_conns_sweep(conns, brim_clock_mono_ms());
    ck_assert_int_eq(unsent_of(conn->sock), 100000);
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_CLIENTS_UNSENT), 0);
    ck_assert_int_lt(brim_metric_read(BRIM_METRIC_CLIENTS_UNSENT), (int64_t)sizeof(much));
    h2o_socket_close(conn->sock);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_CLIENTS_UNSENT), 0);
    brim_conns_close(conns);
    close_rig(&own);
    close(peer);
}
END_TEST

/* The ring must stay whole whichever connection leaves it, or the sweep loses or revisits some. */
START_TEST(connections_are_counted_and_swept_as_they_come_and_go)
{
    enum { COUNT = 5 };
    struct loop_rig own;
    int peers[COUNT];
    struct brim_conns *conns;
    h2o_socket_t *socks[COUNT];

    open_rig(&own, (struct brim_conf_limits){0});
    ck_assert_int_eq(brim_conns_open(&own.config, &conns), BRIM_OK);
    brim_conns_sweep(conns, brim_clock_mono_ms());
    for (int i = 0; i < COUNT; i++) {
        socks[i] = socket_pair(own.config.loop, &peers[i]);
        struct brim_conn *conn = brim_conns_adopt(conns, socks[i], BRIM_CONN_SNIFF);
        ck_assert_str_eq(conn->peer_text, "unix");
        conn->opened_mono_ms = i == 3 ? 0 : UINT64_MAX / 2; /* one of them is old */
        h2o_socket_read_start(socks[i], ignore_input);
    }
    ck_assert_uint_eq(brim_conns_count(conns), COUNT);
    ck_assert_int_eq(own.total, COUNT);
    h2o_socket_close(socks[0]);
    h2o_socket_close(socks[2]);
    ck_assert_uint_eq(brim_conns_count(conns), COUNT - 2);
    brim_conns_sweep(conns, UINT64_MAX / 2);
    ck_assert_uint_eq(brim_conns_count(conns), COUNT - 3);
    while (own.ticks == 0)
        ck_assert_int_eq(h2o_evloop_run(own.config.loop, 1000), 0);
    brim_conns_kill(conns);
    ck_assert_uint_eq(brim_conns_count(conns), 0);
    ck_assert_int_eq(own.total, 0);
    brim_conns_close(conns);
    close_rig(&own);
    for (int i = 0; i < COUNT; i++)
        close(peers[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_conns");
    TCase *sweep = tcase_create("sweep");

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
    tcase_add_loop_test(sweep, what_is_held_for_a_request_is_weighed_and_not_counted_again, 0, 2);
    tcase_add_test(sweep, an_excess_is_made_good_once_however_many_workers_see_it);
    tcase_add_test(sweep, the_greediest_address_is_ended_before_the_greediest_connection);
    tcase_add_test(sweep, the_kernel_holds_little_that_is_unsent);
    tcase_add_loop_test(sweep, an_http1_header_that_drips_is_ended, 0, 2);
    tcase_add_test(sweep, an_idle_http1_connection_is_ended);
    tcase_add_loop_test(sweep, an_http1_body_that_drips_is_ended, 0, 2);
    tcase_add_test(sweep, a_body_that_comes_steadily_is_served);
    tcase_add_test(sweep, an_http2_body_that_drips_beside_a_request_is_ended);
    tcase_add_test(sweep, a_client_that_sips_is_ended);
    tcase_add_test(sweep, a_stream_that_is_held_is_ended);
    tcase_add_test(sweep, connections_of_one_address_are_limited);
    tcase_add_test(sweep, beyond_the_memory_of_clients_the_greediest_is_ended);
    tcase_add_loop_test(sweep, a_body_beyond_the_memory_of_clients_is_refused_while_it_comes, 0, 4);
    suite_add_tcase(suite, sweep);
    return unit_run(suite);
}
