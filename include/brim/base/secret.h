/* SPDX-License-Identifier: MIT */
/*
 * secret - a key that stands in a file, and texts signed with it (HMAC-SHA256, RFC 2104), so that
 * who gets them back knows that they were made by somebody with the same file.
 */
#ifndef BRIM_BASE_SECRET_H
#define BRIM_BASE_SECRET_H

#include <stdbool.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

#define BRIM_SECRET_BYTES_MIN  16u
#define BRIM_SECRET_SIGN_BYTES 64u /* hexadecimal digits */

struct brim_secret; /* opaque, immutable */

/* Reads the file; blanks and line ends around the key are no part of it. Errors: BRIM_EINVAL it is
 * shorter than BRIM_SECRET_BYTES_MIN, or longer than 4 KiB; BRIM_EIO it cannot be read.
 * Thread: init or control. */
BRIM_MUST_USE enum brim_err brim_secret_open(const char *file, struct brim_secret **secret_out);
void brim_secret_close(struct brim_secret *secret); /* accepts NULL */

/* Thread: any, both. */
void brim_secret_sign(const struct brim_secret *secret, struct brim_str text,
                      char sign_out[BRIM_SECRET_SIGN_BYTES]);
/* Whether two signatures are the same. This and the next take the same time whatever they are. */
bool brim_secret_is_equal(const char a[BRIM_SECRET_SIGN_BYTES],
                          const char b[BRIM_SECRET_SIGN_BYTES]);
bool brim_secret_is_signed(const struct brim_secret *secret, struct brim_str text,
                           struct brim_str sign);

#endif
