/* SPDX-License-Identifier: MIT */
/*
 * tls_tickets - the keys of session tickets (RFC 5077 4, RFC 8446 4.6.1): the newest encrypts, all
 * decrypt. Of a file, so that several nodes resume each other's sessions, or made here and changed
 * every some hours, so that a key that leaks opens no more than those.
 *
 * Knows bytes and clocks, not OpenSSL. Not locked: tls.c does that.
 */
#ifndef BRIM_SERVE_TLS_TICKETS_H
#define BRIM_SERVE_TLS_TICKETS_H

#include <stdint.h>

#include "brim/base/err.h"

struct brim_ticket_key { /* 80 bytes of a file, in this order */
    unsigned char name[16];
    unsigned char mac[32];
    unsigned char cipher[32];
};

struct brim_tickets; /* opaque */

/* Reads 80 bytes a key (openssl rand 80 >> FILE), the newest first, 16 keys at most. Errors:
 * BRIM_EINVAL, *why_out says what is wrong: static text. */
BRIM_MUST_USE enum brim_err brim_tickets_read(const char *path, struct brim_tickets **tickets_out,
                                              const char **why_out);
/* Keys of one's own. */
struct brim_tickets *brim_tickets_new(void);
void brim_tickets_free(struct brim_tickets *tickets); /* accepts NULL */

/* The key to encrypt with; NULL: there is no randomness for one. */
const struct brim_ticket_key *brim_tickets_newest(struct brim_tickets *tickets,
                                                  uint64_t now_mono_ms);
/* The key called name, or NULL: forgotten or never there. */
const struct brim_ticket_key *brim_tickets_find(const struct brim_tickets *tickets,
                                                const unsigned char name[16]);

#endif
