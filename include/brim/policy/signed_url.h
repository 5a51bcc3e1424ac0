/* SPDX-License-Identifier: MIT */
/*
 * signed_url - URLs that are good until a time: who holds the key makes them, and the edge needs
 * nothing else to tell a good one.
 *
 *   /video/1.ts?x=1&brim_expires=1767225600&brim_sig=...                  this target alone
 *   /video/1.ts?brim_expires=1767225600&brim_prefix=7&brim_sig=...        all below "/video/"
 *
 * brim_prefix is how many bytes of the path are signed in place of the whole target; a path with
 * dot segments, however written, is never let in by it. The MAC is HMAC-SHA-256, as base64url, of
 *
 *   "brim1\n" HOST "\n" EXPIRES "\n" ("target:" TARGET | "prefix:" PREFIX)
 *
 * with HOST in lower case without port, and TARGET without the three parameters.
 */
#ifndef BRIM_POLICY_SIGNED_URL_H
#define BRIM_POLICY_SIGNED_URL_H

#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

struct brim_url_keys; /* opaque: the keys of one file */

/* A key a line, 16 bytes or more; the first signs, all are good, so that keys can be changed.
 * Errors: BRIM_EIO; BRIM_EINVAL: *why_out says what is wrong, static text. Thread: any, like all.
 */
BRIM_MUST_USE enum brim_err brim_url_keys_read(const char *path, struct brim_url_keys **keys_out,
                                               const char **why_out);
void brim_url_keys_free(struct brim_url_keys *keys); /* accepts NULL */

#define BRIM_SIGNED_URL_ROOM(target_len) ((target_len) + 128)

struct brim_signable {
    struct brim_str host;   /* any case, without port */
    struct brim_str target; /* checked */
    int64_t expires_s;      /* wall clock */
    size_t prefix_len;      /* bytes of the path; 0: the target alone */
};
/* Writes the target with its signature to room (BRIM_SIGNED_URL_ROOM); returns its length. 0: the
 * target has such parameters already, or a path that no prefix lets in. */
size_t brim_signed_url_make(const struct brim_url_keys *keys, const struct brim_signable *what,
                            char *room);

/* Checks a target and writes it without the three parameters to room (host and target's length
 * and 64 bytes more). NULL: it is good; else why not, static text. */
struct brim_signed_url_ask {
    struct brim_str host;
    struct brim_str target;
    int64_t now_s;
};
const char *brim_signed_url_check(const struct brim_url_keys *keys,
                                  const struct brim_signed_url_ask *ask, char *room,
                                  struct brim_str *target_out);

#endif
