/* SPDX-License-Identifier: MIT */
/*
 * tls_names - the names that certificates are good for: those of one, and which of many serves a
 * host. Both are made when certificates are loaded and never change; no certificate is looked at
 * again.
 */
#ifndef BRIM_SERVE_TLS_NAMES_H
#define BRIM_SERVE_TLS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "brim/base/str.h"

struct x509_st;
struct brim_tls_names;    /* opaque: of one certificate */
struct brim_tls_registry; /* opaque: of all of a listener */

/* The names in subjectAltName or, where there are none, the common name (RFC 6125 6.4.4). Owns: the
 * caller frees. Thread: any. */
struct brim_tls_names *brim_tls_names_read(struct x509_st *certificate);
void brim_tls_names_free(struct brim_tls_names *names); /* accepts NULL */

bool brim_tls_names_are_same(const struct brim_tls_names *a, const struct brim_tls_names *b);
/* Whether the certificate is good for host (a name without port; letter case and a dot at its end
 * do not count). Thread: any. */
bool brim_tls_names_cover(const struct brim_tls_names *names, struct brim_str host);

#define BRIM_TLS_NO_ONE SIZE_MAX

/* Of the names of count certificates, in the order of the config; it borrows them. */
struct brim_tls_registry *brim_tls_registry_new(struct brim_tls_names *const *names, size_t count);
void brim_tls_registry_free(struct brim_tls_registry *registry); /* accepts NULL */
/* The position of the certificate that serves host: whole names go before wildcards, and of two
 * the first wins. BRIM_TLS_NO_ONE: none does. Thread: any. */
size_t brim_tls_registry_find(const struct brim_tls_registry *registry, struct brim_str host);

#endif
