/* SPDX-License-Identifier: MIT */
/*
 * names - what the names of servers lead to, looked up again when its time is over, behind
 * everybody's back.
 *
 * A name that is in use is known at any time: who asks gets what was found last and never waits for
 * a name server, but the first time. Where no name server answers, the last addresses go on being
 * used. Threads of its own wait.
 */
#ifndef BRIM_ORIGIN_NAMES_H
#define BRIM_ORIGIN_NAMES_H

#include "brim/origin/dns.h"

struct brim_names; /* opaque */

struct brim_names_config {
    char *const *nameservers; /* as brim_conf_value_nameserver() takes them; borrowed for open */
    size_t nameserver_count;
    uint64_t ttl_min_ms; /* what records say is held between these */
    uint64_t ttl_max_ms; /* 0: as long as is good for most */
    uint64_t missing_ms; /* who was not named for so long is left; 0: as is good for most */
    uint64_t idle_ms;    /* a name that nobody asked for so long is not looked up; likewise */
    /* In place of DNS, for tests; NULL: DNS. */
    enum brim_err (*lookup)(void *ctx, const char *name, struct brim_dns_found *found_out);
    void *ctx;
};

/* config: copied. Thread: init. Errors: BRIM_EINVAL a name server; BRIM_ENOMEM, BRIM_EIO. */
BRIM_MUST_USE enum brim_err brim_names_open(const struct brim_names_config *config,
                                            struct brim_names **names_out);
/* Tells all who wait; from then on find says BRIM_ECLOSED to who would have to. Waits for look-ups
 * under way. Thread: init. */
void brim_names_stop(struct brim_names *names);
/* After stop. Accepts NULL. Thread: init. */
void brim_names_close(struct brim_names *names);

/* Where a name leads. */
struct brim_names_way {
    unsigned generation; /* grows when connections to where it led before are not to be used */
    unsigned count;
    char addresses[BRIM_DNS_ADDRESSES_MAX][BRIM_DNS_ADDRESS_BYTES];
};

/* Where name led when it was last looked up, however long ago. False: it never was. For who has
 * waited for find in vain. Thread: any. */
bool brim_names_last(struct brim_names *names, const char *name, struct brim_names_way *way_out);

/*
 * Finds where name leads. BRIM_EAGAIN: it is being looked up, and fn(ctx) is called once, when to
 * ask again makes sense: on another thread, possibly before this returns. Thread: any; never waits.
 * Errors: BRIM_EDNS it could not be looked up and never was; BRIM_ECLOSED.
 */
BRIM_MUST_USE enum brim_err brim_names_find(struct brim_names *names, const char *name,
                                            void (*fn)(void *ctx), void *ctx,
                                            struct brim_names_way *way_out);

#endif
