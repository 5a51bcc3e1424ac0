/* SPDX-License-Identifier: MIT */
/*
 * All that one client says on one connection, to the node itself. What begins with the preface of
 * HTTP/2 goes over TLS, where h2 is spoken; everything else is HTTP/1 in cleartext.
 *
 * Whatever it is: the node lives and serves the next one, ends the connection once the client has
 * said all, begins every answer as an answer begins, and the origin is sent whole, well-formed
 * requests and nothing else (strict_origin.h).
 */
#include <fcntl.h>

#include "fuzz.h"
#include "node_rig.h"

#define PREFACE    "PRI * HTTP/2.0\r\n"
#define QUIET_MS   4 /* without a byte from the node: it has answered what it can */
#define ALIVE_EACH 512u

int LLVMFuzzerInitialize(int *argc, char ***argv);

static SSL_CTX *tls;
static SSL_SESSION *session; /* resumed: a handshake costs more than most inputs */

static void free_tls(void)
{
    SSL_SESSION_free(session);
    SSL_CTX_free(tls);
}

static int keep_session(SSL *ssl, SSL_SESSION *fresh)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = fresh;
    return 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const unsigned char h2[] = "\x02h2";

    (void)argc;
    (void)argv;
    tls = SSL_CTX_new(TLS_client_method());
    INVARIANT(tls != NULL);
    (void)SSL_CTX_set_alpn_protos(tls, h2, sizeof(h2) - 1);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(tls, keep_session);
    atexit(free_tls);
    node_start();
    return 0;
}

/* Reads until the node closes. */
static void talk_h1(const uint8_t *data, size_t size)
{
    char answer[16384];
    int fd = node_dial("plain");
    bool is_first = true;
    ssize_t n;

    INVARIANT(fd >= 0);
    (void)node_say(fd, data, size);
    (void)shutdown(fd, SHUT_WR);
    while ((n = node_hear(fd, answer, sizeof(answer))) > 0) {
        if (is_first)
            INVARIANT(n >= 9 && memcmp(answer, "HTTP/1.1 ", 9) == 0);
        is_first = false;
    }
    INVARIANT(n == 0 || errno == ECONNRESET); /* EAGAIN: it keeps a client that has said all */
    close(fd);
}

/* False: the node has closed. */
static bool read_tls(SSL *ssl)
{
    char answer[16384];
    int n;

    do
        n = SSL_read(ssl, answer, sizeof(answer));
    while (n > 0);
    return SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
}

static void talk_h2(const uint8_t *data, size_t size)
{
    int fd = node_dial("tls");
    SSL *ssl = SSL_new(tls);
    bool is_open;

    INVARIANT(fd >= 0 && ssl != NULL);
    INVARIANT(SSL_set_fd(ssl, fd) == 1);
    if (session != NULL)
        (void)SSL_set_session(ssl, session);
    INVARIANT(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    while (SSL_connect(ssl) != 1)
        INVARIANT(node_is_heard(fd, NODE_WAIT_MS));
    (void)SSL_write(ssl, data, (int)size); /* less than a socket holds */
    is_open = true;
    while (is_open && node_is_heard(fd, QUIET_MS))
        is_open = read_tls(ssl);
    (void)shutdown(fd, SHUT_WR);
    while (is_open) {
        INVARIANT(node_is_heard(fd, NODE_WAIT_MS));
        is_open = read_tls(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned count;

    node_purge();
    if (size >= sizeof(PREFACE) - 1 && memcmp(data, PREFACE, sizeof(PREFACE) - 1) == 0)
        talk_h2(data, size);
    else
        talk_h1(data, size);
    if (++count % ALIVE_EACH == 0)
        node_expect_alive();
    return 0;
}
