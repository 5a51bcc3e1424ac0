/* SPDX-License-Identifier: MIT */
/*
 * tls_client - certificates of clients: what is asked for and checked, and who it was.
 */
#ifndef BRIM_SERVE_TLS_CLIENT_H
#define BRIM_SERVE_TLS_CLIENT_H

#include "brim/base/conf.h"

struct ssl_ctx_st;
struct ssl_st;

/* Makes handshakes of ctx ask for a certificate, as config says; those are not resumed, so that a
 * list of revoked ones holds at once. NULL: done, or nothing to do; else what is wrong with which
 * option, static texts. Thread: any. */
struct brim_tls_client_fault {
    const char *key; /* "client_ca" or "client_crl" */
    const char *file;
    const char *why; /* NULL: all is well */
};
struct brim_tls_client_fault brim_tls_client_configure(struct ssl_ctx_st *ctx,
                                                       const struct brim_conf_tls *config);

/* The subject (RFC 4514) of the certificate that was verified, for free(); NULL: there is none, or
 * none that can be told in a header field. After a handshake. */
char *brim_tls_client_subject(const struct ssl_st *ssl);
/* Its SHA-256 in hexadecimal digits, for free(); NULL: none was verified. Likewise. */
char *brim_tls_client_fingerprint(const struct ssl_st *ssl);

#endif
