/* SPDX-License-Identifier: MIT */
/*
 * proxy_protocol - the header by which a load balancer says whose connection it passes on: PROXY
 * protocol, versions 1 and 2 (haproxy.org/download/2.8/doc/proxy-protocol.txt), read strictly.
 *
 * Pure: bytes in, an address out. Who may send one is the caller's question.
 */
#ifndef BRIM_SERVE_PROXY_PROTOCOL_H
#define BRIM_SERVE_PROXY_PROTOCOL_H

#include <sys/socket.h>

#include "brim/base/str.h"

/* Longest header that is read: version 2 with its extensions, which are skipped. */
#define BRIM_PROXY_HEADER_MAX 4096u

enum brim_proxy_state {
    BRIM_PROXY_MORE,    /* all bytes so far may begin a header */
    BRIM_PROXY_BAD,     /* it is none */
    BRIM_PROXY_ADDRESS, /* the client's is known */
    BRIM_PROXY_LOCAL,   /* the balancer's own connection (a health check), or it does not know */
};

struct brim_proxy_header {
    enum brim_proxy_state state;
    size_t len;                     /* ADDRESS, LOCAL: bytes of the header */
    struct sockaddr_storage client; /* ADDRESS: AF_INET or AF_INET6, with its port */
};

/* Reads what a connection begins with. Thread: any. */
struct brim_proxy_header brim_proxy_protocol_read(struct brim_str bytes);

#endif
