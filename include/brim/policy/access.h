/* SPDX-License-Identifier: MIT */
/*
 * access - who may ask for a route: its site's rule, and its own beside it. Each rule is a list of
 * blocks of addresses that are allowed or denied; the longest one that the client is in decides,
 * and where both are named, denial. Who is in none may ask if nobody is allowed by name.
 */
#ifndef BRIM_POLICY_ACCESS_H
#define BRIM_POLICY_ACCESS_H

#include <stdbool.h>

#include "brim/base/conf.h"

struct sockaddr;
struct brim_access; /* opaque: one rule */

/* NULL in *access_out: it says nothing. conf was checked and may be freed. Errors: BRIM_EINVAL a
 * file has changed since and is not usable, which was logged. Thread: init or control. */
BRIM_MUST_USE enum brim_err brim_access_compile(const struct brim_conf_access *conf,
                                                struct brim_access **access_out);
void brim_access_free(struct brim_access *access); /* accepts NULL */

/* NULL lets everybody. A client at a unix socket is whoever may open it, and always let. Thread:
 * any. */
bool brim_access_allows(const struct brim_access *access, const struct sockaddr *client);
/* Whether a client has to have a certificate that was verified. NULL: no. Likewise. */
bool brim_access_needs_certificate(const struct brim_access *access);

#endif
