/* SPDX-License-Identifier: MIT */
/*
 * datagrams - lines of a log, each as one datagram to a unix socket: that of syslog, or of a
 * collector that listens at a path of its own.
 *
 * The address is looked up with every line, so that a collector may come late, go and come back.
 * Thread: one.
 */
#ifndef BRIM_SERVE_DATAGRAMS_H
#define BRIM_SERVE_DATAGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/str.h"

struct brim_datagrams; /* opaque */

/* Whether path, of a config, is `syslog` or `unix:/path`. */
bool brim_datagrams_is_target(const char *path);

/* NULL: no socket, or a path that is too long for one (errno says which). */
struct brim_datagrams *brim_datagrams_open(const char *path);
/* NULL does nothing. */
void brim_datagrams_close(struct brim_datagrams *to);

#define BRIM_DATAGRAM_PREFIX_BYTES 64u

/* Writes what a line begins with: syslog wants priority, time and tag (RFC 3164), others nothing.
 * Returns where the line goes on; at most BRIM_DATAGRAM_PREFIX_BYTES further. */
char *brim_datagram_prefix(struct brim_datagrams *to, char *at, int64_t wall_s);

/* Sends lines, each of which ends with a newline that is not sent. While nobody takes them, it asks
 * now and then whether it may wait. Returns how many were lost: nobody listens there, the line is
 * longer than the socket allows, or it may not wait. */
size_t brim_datagrams_send(struct brim_datagrams *to, struct brim_str lines,
                           bool (*may_wait)(void *ctx), void *ctx);

#endif
