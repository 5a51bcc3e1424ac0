/* SPDX-License-Identifier: MIT */
/* serve_talk - what tests of connections share: the server of serve_rig.h, and short dialogues. */
#ifndef BRIM_TESTS_SERVE_TALK_H
#define BRIM_TESTS_SERVE_TALK_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "serve_rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct rig rig; /* a test has one server, and one connection of frames */
__attribute__((unused)) static struct h2_raw raw;

static inline void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    rig_conf(&rig);
}

static inline void teardown(void)
{
    if (rig.pid > 0)
        ck_assert_int_eq(rig_stop(&rig), 0);
    rig.pid = 0;
}

static inline void start(void)
{
    rig_start(&rig, RIG_GUARDED);
}

/* Sends text, and reads until the peer closes or `until` has been seen. */
static inline const char *talk(int fd, const char *text, const char *until)
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

static inline bool is_closed(int fd)
{
    char sink[4096];
    struct pollfd ready = {fd, POLLIN, 0};

    while (poll(&ready, 1, H2_RAW_WAIT_MS) == 1)
        if (recv(fd, sink, sizeof(sink), 0) <= 0)
            return true;
    return false;
}

static inline int dial(void)
{
    int fd = h2_raw_dial(rig.port, 0);

    ck_assert_int_ge(fd, 0);
    return fd;
}

/* A client whose text is there when the server hears of it, which is stopped meanwhile: where a
 * silence of a moment ends a connection, the test itself must not be late. */
static inline int dial_saying(const char *text)
{
    int fd, status = 0;

    ck_assert_int_eq(kill(rig.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(rig.pid, &status, WUNTRACED), rig.pid);
    ck_assert(WIFSTOPPED(status));
    fd = dial();
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    ck_assert_int_eq(kill(rig.pid, SIGCONT), 0);
    return fd;
}

static inline SSL_CTX *server_context(void)
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

#endif
