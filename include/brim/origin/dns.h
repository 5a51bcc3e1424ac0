/* SPDX-License-Identifier: MIT */
/*
 * dns - one look-up of a host name: its addresses, and how long they may be used.
 *
 * Asks in the order files, DNS, whatever else the system knows. Refuses to know who wants it, and
 * to keep anything: that is names.h.
 */
#ifndef BRIM_ORIGIN_DNS_H
#define BRIM_ORIGIN_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "brim/base/conf_value.h"
#include "brim/base/err.h"

#define BRIM_DNS_ADDRESSES_MAX   16u
#define BRIM_DNS_ADDRESS_BYTES   48u
#define BRIM_DNS_NAMESERVERS_MAX 3u /* that the C library takes */

struct brim_dns_found {
    unsigned count;
    uint64_t ttl_ms;
    bool is_half; /* nobody could say what addresses of IPv6 there are */
    char addresses[BRIM_DNS_ADDRESSES_MAX][BRIM_DNS_ADDRESS_BYTES]; /* IPv6 first, in brackets */
};

struct brim_dns_config {
    union brim_conf_nameserver nameservers[BRIM_DNS_NAMESERVERS_MAX];
    unsigned count; /* 0: those of resolv.conf, and what else the system knows */
};

/*
 * Looks name up, and waits: as long as resolv.conf has it, for a name server that does not answer.
 *
 * Thread: any that may wait; never a loop or a fetcher.
 * Errors: BRIM_ENOENT there is no such name, or no address of it; BRIM_EDNS nobody could say.
 */
BRIM_MUST_USE enum brim_err brim_dns_lookup(const struct brim_dns_config *config, const char *name,
                                            struct brim_dns_found *found_out);

/* Whether text is an address of either family, IPv6 in brackets. Pure; thread: any. */
bool brim_dns_is_address(const char *text);

#endif
