/* SPDX-License-Identifier: MIT */
/*
 * tls_ocsp - OCSP stapling (RFC 6066 8): what the authority says of a certificate, from a file that
 * somebody else keeps fresh. What has expired is told in the log, and not stapled.
 */
#ifndef BRIM_SERVE_TLS_OCSP_H
#define BRIM_SERVE_TLS_OCSP_H

struct ssl_ctx_st;
struct x509_st;

/* Reads the response in file (DER), which must be about certificate, good, and made by its issuer,
 * who stands in ctx's chain; ctx shows it to clients that ask, where that certificate is used.
 * NULL: done; else what is wrong with the file, static text. Thread: any. */
const char *brim_tls_ocsp_staple(struct ssl_ctx_st *ctx, struct x509_st *certificate,
                                 const char *file);

/* What is stapled to from is stapled to to, whose context has its certificate now. */
void brim_tls_ocsp_move(struct ssl_ctx_st *from, struct ssl_ctx_st *to);

#endif
