/* SPDX-License-Identifier: MIT */
/*
 * clients - what the node remembers of client addresses: how many connections each has open, what
 * it makes the node hold, and what it has spent of the guard's budgets lately.
 *
 * An IPv4 address is one client, an IPv6 client is its /64: who has one address there has them all.
 * A bounded table, shared by the workers, because the kernel spreads the connections of one address
 * over all of them. It is asked when a connection begins, ends, or has spent something: not per
 * request. Where it has no room for an address that address is let in unseen: an attacker who has
 * that many is not stopped by address anyway.
 */
#ifndef BRIM_SERVE_CLIENTS_H
#define BRIM_SERVE_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "brim/base/conf.h"
#include "brim/base/ledger.h"
#include "brim/serve/ending.h"

struct brim_clients; /* opaque */

/* One budget of a connection; a connection that is ended for abuse has spent it. */
#define BRIM_CLIENTS_STRIKE 1000u

/* limits and abuse are copied. */
struct brim_clients *brim_clients_open(const struct brim_conf_limits *limits,
                                       const struct brim_conf_abuse *abuse);
void brim_clients_close(struct brim_clients *clients);

/* A connection of peer begins. Returns why it must not, or NONE and in *place_out what the rest
 * asks for: 0 for an address that is not seen (a unix socket, no room). Thread: any. */
enum brim_ending brim_clients_enter(struct brim_clients *clients,
                                    const struct sockaddr_storage *peer, uint64_t now_mono_ms,
                                    uint32_t *place_out);

/* It ends. Thread: any. */
void brim_clients_leave(struct brim_clients *clients, uint32_t place);

/* Its address has spent so many thousandths of a budget. Returns whether that has just banned it:
 * it is refused until ban_ms later; connections that are open stay. Thread: any. */
bool brim_clients_spend(struct brim_clients *clients, uint32_t place, uint32_t thousandths,
                        uint64_t now_mono_ms);

/* What the address at a place holds: a share of what they all do. All of it where addresses are not
 * told apart: an unseen one, and with limits.connections_per_address: 0. For as long as clients,
 * though the address may have gone. Thread: any. */
struct brim_ledger *brim_clients_share(struct brim_clients *clients, uint32_t place);

/* What they all hold: with limits.client_memory, and for as long as clients. */
struct brim_ledger *brim_clients_ledger(const struct brim_clients *clients);

#endif
