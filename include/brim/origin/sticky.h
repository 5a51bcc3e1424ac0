/* SPDX-License-Identifier: MIT */
/*
 * sticky - a client that stays with one server of a pool, by a signed cookie that says which.
 *
 *   NAME=ID.EXPIRY.SIGNATURE    ID: 16 digits made of the server's URL and the secret, so that it
 *                               tells nobody an address; EXPIRY: seconds since 1970
 *
 * What is not signed by us, has expired, or names a server that is gone is as if it were not there.
 * Refuses to know requests and clocks.
 */
#ifndef BRIM_ORIGIN_STICKY_H
#define BRIM_ORIGIN_STICKY_H

#include <limits.h>
#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"
#include "brim/origin/balance.h"

#define BRIM_STICKY_NONE         UINT_MAX
#define BRIM_STICKY_COOKIE_BYTES 384u /* room for a Set-Cookie */

struct brim_sticky; /* opaque, immutable */

struct brim_sticky_config {
    const char *origin; /* its name */
    const char *cookie;
    const char *secret; /* file */
    int64_t ttl_s;
};

/* For the servers of balance. Errors: of brim_secret_open(). Thread: init or control. */
BRIM_MUST_USE enum brim_err brim_sticky_open(const struct brim_sticky_config *config,
                                             const struct brim_balance *balance,
                                             struct brim_sticky **sticky_out);
void brim_sticky_close(struct brim_sticky *sticky); /* accepts NULL */

/* Whether two, or none and none, give out the same cookies for the same servers. */
bool brim_sticky_is_same(const struct brim_sticky *a, const struct brim_sticky *b);

struct brim_str brim_sticky_name(const struct brim_sticky *sticky);

/* The server that a cookie of this value names, or BRIM_STICKY_NONE. *is_old_out: more than half of
 * its time is over. Thread: any. */
unsigned brim_sticky_server(const struct brim_sticky *sticky, struct brim_str value,
                            int64_t now_wall_s, bool *is_old_out);

/* The value of a Set-Cookie that names the server, without attributes that depend on the request,
 * in buffer. Thread: any. */
struct brim_str brim_sticky_cookie(const struct brim_sticky *sticky, unsigned server,
                                   int64_t now_wall_s, char buffer[BRIM_STICKY_COOKIE_BYTES]);

#endif
