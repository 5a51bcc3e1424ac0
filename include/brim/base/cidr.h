/* SPDX-License-Identifier: MIT */
/*
 * cidr - blocks of addresses (RFC 4632, RFC 4291 2.3) and what is said of each: the longest block
 * that an address is in decides.
 *
 * IPv4 stands at ::ffff:0:0/96, so that a client is the same whichever socket he came by. A search
 * is one bisection over all blocks.
 */
#ifndef BRIM_BASE_CIDR_H
#define BRIM_BASE_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/err.h"

struct sockaddr;

struct brim_cidr {
    uint8_t bytes[16];
    uint8_t bits; /* 0 to 128; of IPv4 96 more than are written */
};

/* Reads "192.0.2.0/24", "2001:db8::/32" or an address alone. NULL, or what is wrong: static text.
 * Bits behind the length are refused: what was meant is not certain. Pure; thread: any. */
const char *brim_cidr_parse(const char *text, struct brim_cidr *cidr_out);

struct brim_cidrs; /* opaque: blocks, with a number each */

struct brim_cidrs *brim_cidrs_new(void);
void brim_cidrs_free(struct brim_cidrs *cidrs); /* accepts NULL */

/* Adds a block; of one that is there already the larger number counts. value >= 0. Not once it is
 * searched. */
void brim_cidrs_add(struct brim_cidrs *cidrs, const struct brim_cidr *cidr, int value);
/*
 * Adds what a file says, a block a line; `#` begins a comment, blanks do not count.
 * Errors: BRIM_EIO it cannot be read; BRIM_EINVAL wrong_out says which line, and what is wrong with
 * it. Thread: init or control.
 */
struct brim_cidr_wrong {
    unsigned line;
    const char *why; /* static */
    char text[64];   /* as it stands there, cut, without what cannot be shown */
};
BRIM_MUST_USE enum brim_err brim_cidrs_add_file(struct brim_cidrs *cidrs, const char *path,
                                                int value, struct brim_cidr_wrong *wrong_out);
/* Once, after the last. */
void brim_cidrs_finish(struct brim_cidrs *cidrs);

/* The number of the longest block that address is in, or -1: it is in none, or is no IP address.
 * Thread: any. */
int brim_cidrs_find(const struct brim_cidrs *cidrs, const struct sockaddr *address);

#endif
