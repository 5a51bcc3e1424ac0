/* SPDX-License-Identifier: MIT */
/*
 * acme - answers of an ACME client's http-01 challenges (RFC 8555 8.3), from the directory that it
 * writes them to: WEBROOT/.well-known/acme-challenge/TOKEN. Read by a job of a pool.
 */
#ifndef BRIM_POLICY_ACME_H
#define BRIM_POLICY_ACME_H

#include "brim/base/str.h"

struct brim_pool;
struct brim_port;
struct brim_acme_read; /* opaque */

/* Whether target asks for a challenge's answer: its token, which is base64url and nothing else, so
 * that no name leads out of the directory; else empty. Thread: any. */
struct brim_str brim_acme_token(struct brim_str target);

/* Begins to read; port (counted) is fired when it is done. NULL: too many wait. */
struct brim_acme_read *brim_acme_begin(struct brim_pool *pool, const char *webroot,
                                       struct brim_str token, struct brim_port *port);
enum brim_acme_state { BRIM_ACME_WAIT, BRIM_ACME_THERE, BRIM_ACME_NONE };
/* text_out: THERE; lives until the end. */
enum brim_acme_state brim_acme_look(const struct brim_acme_read *read, struct brim_str *text_out);
/* Lets go, whether it is done or not. Accepts NULL. */
void brim_acme_end(struct brim_acme_read *read);

#endif
