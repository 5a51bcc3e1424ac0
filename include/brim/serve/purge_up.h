/* SPDX-License-Identifier: MIT */
/*
 * purge_up - passes a purge on to the admin listeners of the tier above, before it is done here:
 * what is purged here first could be filled again from above with what is to go.
 *
 * One after the other, and no further where one fails: the caller is told which, and repeats the
 * call.
 */
#ifndef BRIM_SERVE_PURGE_UP_H
#define BRIM_SERVE_PURGE_UP_H

#include "brim/base/conf.h"

#define BRIM_PURGE_UP_WRONG_BYTES 320u

struct brim_purge_up; /* opaque */

/* NULL: there is nobody above. Thread: init. */
struct brim_purge_up *brim_purge_up_open(const struct brim_conf_admin *conf);
void brim_purge_up_close(struct brim_purge_up *up); /* accepts NULL */

/* Sends the body of the call to each, and waits. Errors: one did not purge (logged); wrong_out says
 * what and which. Thread: any but a loop and the I/O pool's. */
BRIM_MUST_USE enum brim_err brim_purge_up_send(struct brim_purge_up *up, const char *body,
                                               char wrong_out[BRIM_PURGE_UP_WRONG_BYTES]);
/* The same on a thread of the I/O pool, which a few calls must not have all of. Errors: likewise;
 * BRIM_ELIMIT too many at a time. */
BRIM_MUST_USE enum brim_err brim_purge_up_pass(struct brim_purge_up *up, const char *body,
                                               char wrong_out[BRIM_PURGE_UP_WRONG_BYTES]);

#endif
