/* SPDX-License-Identifier: MIT */
/*
 * admin - the admin listener on the control thread: probes, metrics, the live page, and the calls
 * of /v1, which /v1/openapi.json describes. JSON in and out. Refusals are {"error": what,
 * "accepted": what} where the call is wrong and {"error": what, "advice": what to do} where it is
 * not done, or not wholly. Calls are in the audit log (admin_audit.c).
 *
 * Runs an h2o loop of its own (HTTP/1.1 only, the guard's HTTP/1 scan included); purges and
 * reloads are handed to the I/O pool, so the loop never waits for a disk.
 * Refuses requests by pages of others, and what comes without the token, or more often than the
 * rate; on TCP without a token those whose Host is not localhost or a loopback address (DNS
 * rebinding, browsers).
 */
#ifndef BRIM_SERVE_ADMIN_H
#define BRIM_SERVE_ADMIN_H

#include <stdio.h>
#include <sys/types.h>

#include "brim/base/pool.h"
#include "brim/base/top.h"
#include "brim/cache/cache.h"
#include "brim/cache/kv.h"
#include "brim/policy/route.h"
#include "brim/serve/estate.h"

struct brim_admin; /* opaque */

struct brim_admin_config {
    int fd;                      /* listening; borrowed, dup'ed */
    struct brim_cache *cache;    /* borrowed */
    struct brim_kv *kv;          /* borrowed; NULL: no stores */
    struct brim_top *top;        /* borrowed; NULL: nobody counts URLs */
    struct brim_pool *pool;      /* borrowed */
    struct brim_purge_up *up;    /* borrowed; NULL: nobody is above */
    const char *token;           /* path of the file that holds it; NULL, "": none is asked for */
    unsigned rate;               /* calls a second; 0: any number */
    uint64_t spare_memory_bytes; /* what the control thread lets lie; see base/heap.h */
    bool (*is_ready)(void *ctx); /* on the control thread; must not wait */
    /* on a thread of the pool; see brim_reload_run(). NULL: calls are refused */
    enum brim_err (*reload)(void *ctx, FILE *faults);
    struct brim_routes *(*routes)(void *ctx); /* counted; thread: pool. NULL: none to explain by */
    struct brim_flights *flights;             /* borrowed; likewise */
    struct brim_estate *estate;               /* borrowed; NULL: no parent, and no upgrades */
    pid_t parent;                             /* who does them */
    void *ctx;
};

/* Starts the control thread. Errors: BRIM_EIO, BRIM_ENOMEM. Thread: init. */
BRIM_MUST_USE enum brim_err brim_admin_open(const struct brim_admin_config *config,
                                            struct brim_admin **admin_out);

/* Reads the token's file again. Thread: any but a loop. */
void brim_admin_renew_token(struct brim_admin *admin);

/* New connections wait in the socket's queue for who else accepts from it, or for resume; those
 * that are there stay. Return when it is so. Thread: init, the same for these and the next. */
void brim_admin_pause(struct brim_admin *admin);
void brim_admin_resume(struct brim_admin *admin);

/* Lets go of the address, and returns when it has; connections stay. Nothing is resumed then. */
void brim_admin_stop_listening(struct brim_admin *admin);

/* Answers the purges that were accepted, ends every connection and the thread. The pool must still
 * run. Thread: init. */
void brim_admin_close(struct brim_admin *admin);

#endif
