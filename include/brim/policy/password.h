/* SPDX-License-Identifier: MIT */
/*
 * password - whether a password is the one behind a hash of crypt(5): bcrypt, SHA-crypt, scrypt and
 * yescrypt. Each takes tens of milliseconds on purpose, so it is a job of a pool and never done on
 * a loop.
 */
#ifndef BRIM_POLICY_PASSWORD_H
#define BRIM_POLICY_PASSWORD_H

#include "brim/base/err.h"
#include "brim/base/str.h"

struct brim_pool;
struct brim_port;
struct brim_password_check; /* opaque */

#define BRIM_PASSWORD_BYTES_MAX 512u /* CRYPT_MAX_PASSPHRASE_SIZE, with its end */

/* Whether hash is of a kind that is slow enough; "$apr1$", "{SHA}" and DES are not. Thread: any. */
bool brim_password_hash_is_good(const char *hash);

/* Whether it fits; takes its time. In a time that does not tell where two hashes differ. */
bool brim_password_fits(const char *password, const char *hash);

/* The same as a job, after which port (counted) is fired. Copies both. NULL: too many wait. */
struct brim_password_check *brim_password_begin(struct brim_pool *pool, struct brim_str password,
                                                const char *hash, struct brim_port *port);
enum brim_password_state { BRIM_PASSWORD_WAIT, BRIM_PASSWORD_FITS, BRIM_PASSWORD_WRONG };
enum brim_password_state brim_password_look(const struct brim_password_check *check);
/* Lets go, whether it is at its end or not. Accepts NULL. */
void brim_password_end(struct brim_password_check *check);

#endif
