/* SPDX-License-Identifier: MIT */
/*
 * tls - certificates of a listener: one outer SSL_CTX for life, the right certificate by SNI,
 * from a set that a reload replaces as a whole.
 */
#ifndef BRIM_SERVE_TLS_H
#define BRIM_SERVE_TLS_H

#include <openssl/ssl.h>
#include <stdio.h>

#include "brim/base/conf.h"
#include "brim/base/str.h"

struct brim_tls;          /* opaque */
struct brim_certificates; /* opaque: all of one listener, read and checked */
struct brim_tls_shown;    /* opaque: the certificate that a client was shown */

/*
 * Loads the certificates of listener number `position`; writes faults as
 * `FILE:LINE: listeners[0].tls.certificates[1].key: does not match ...; ...`.
 *
 * Owns: the caller closes. ALPN offers h2 and http/1.1. Errors: BRIM_EINVAL faults were written;
 * BRIM_ENOMEM. Thread: init.
 */
BRIM_MUST_USE enum brim_err brim_tls_open(const struct brim_conf *conf, size_t position,
                                          FILE *faults, struct brim_tls **tls_out);
void brim_tls_close(struct brim_tls *tls);

/* Reads the certificates of a listener without using them yet; faults as above, and for an expired
 * one unless it is in force already (NULL: nothing is, and it is logged). Owns: the caller frees,
 * or hands them to brim_tls_replace(). Errors: BRIM_EINVAL. Thread: any. */
BRIM_MUST_USE enum brim_err brim_certificates_read(const struct brim_conf *conf, size_t position,
                                                   struct brim_tls *in_force, FILE *faults,
                                                   struct brim_certificates **set_out);
void brim_certificates_free(struct brim_certificates *set);

/* Writes a fault as above for each origin whose tls.ca cannot be used. Errors: BRIM_EINVAL there
 * was one. Thread: any. */
BRIM_MUST_USE enum brim_err brim_tls_origins_check(const struct brim_conf *conf, FILE *faults);

/* Handshakes that begin after it get these; others and their sessions go on. Takes the set.
 * Thread: any. */
void brim_tls_replace(struct brim_tls *tls, struct brim_certificates *take);

/* Sets the metric that tells when the first certificate in force of these listeners (NULL: without
 * TLS) expires. Thread: one at a time. */
void brim_tls_note_expiry(struct brim_tls *const *tls, size_t count);

/* The context to hand to h2o; lives until brim_tls_close. */
SSL_CTX *brim_tls_context(struct brim_tls *tls);

/* What the client of ssl was shown; lives as long as ssl. NULL: it did not say whom it wants, so it
 * cannot have been shown the wrong one. After a handshake. Thread: any. */
const struct brim_tls_shown *brim_tls_shown(const SSL *ssl);
/* Whether host (a name without port) is another certificate's of the listener, and not named by the
 * one that was shown too. Thread: any. Spec: RFC 9110 15.5.20, RFC 9113 9.1.1. */
bool brim_tls_is_misdirected(const struct brim_tls_shown *shown, struct brim_str host);

#endif
