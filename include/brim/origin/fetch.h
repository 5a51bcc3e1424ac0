/* SPDX-License-Identifier: MIT */
/*
 * fetch - HTTP exchanges with origin servers on fetcher threads: libcurl multi behind callbacks.
 *
 * Each fetcher is one thread with one multi handle; an origin belongs to one fetcher, so its
 * connections are shared by all workers. Response header lines are checked strictly here (RFC 9112)
 * before anybody sees them; framing that libcurl would forgive fails the exchange. What a server's
 * name leads to is told libcurl (names.h), which never asks a name server itself.
 * Refuses to know caching, sites and clients.
 */
#ifndef BRIM_ORIGIN_FETCH_H
#define BRIM_ORIGIN_FETCH_H

#include <stdint.h>

#include "brim/http/version.h"
#include "brim/origin/fetch_reason.h"
#include "brim/origin/fetch_request.h"
#include "brim/origin/names.h"

struct brim_fetchers; /* opaque: all fetcher threads */
struct brim_fetch;    /* opaque: one exchange */

struct brim_fetch_config {
    struct brim_names_config names;
    unsigned threads;
    size_t header_bytes_max; /* response header block; default 64 KiB */
    unsigned header_count_max;
};

/* Called on the fetcher thread, no lock held, in this order: headers once, data any times, done
 * exactly once (also alone, when it failed before the headers). */
struct brim_fetch_callbacks {
    /* Return BRIM_OK to go on; anything else ends the exchange with that reason.
     * length: Content-Length, or UINT64_MAX. fields: as received (names lower-cased, values
     * trimmed), framing and hop-by-hop fields still in; borrowed for the call. version: by which
     * HTTP it came. */
    enum brim_err (*headers)(void *ctx, unsigned status, struct brim_fields fields, uint64_t length,
                             enum brim_http_version version);
    /* BRIM_OK, or BRIM_EAGAIN: taken, but pause until brim_fetch_resume(). */
    enum brim_err (*data)(void *ctx, const void *bytes, size_t len);
    /* BRIM_OK: the message was complete as its framing says. BRIM_EPROTO: bad framing or
     * truncated. BRIM_ETIMEOUT, BRIM_ECONNECT, BRIM_EDNS, BRIM_ETLS, BRIM_ECLOSED (cancelled),
     * BRIM_ELIMIT (queue full or header too large). After it the brim_fetch is gone. */
    void (*done)(void *ctx, enum brim_err result, enum brim_fetch_cause cause, const char *detail);
    /* Once, if the request says slow_ms and no header has come that long after its turn came.
     * Before headers or done. */
    void (*slow)(void *ctx);
};

BRIM_MUST_USE enum brim_err brim_fetchers_open(const struct brim_fetch_config *config,
                                               struct brim_fetchers **fetchers_out);
/* Ends every exchange with BRIM_ECLOSED and the threads. Thread: init. */
void brim_fetchers_close(struct brim_fetchers *fetchers);

/*
 * Starts an exchange. *fetch_out may be used with resume and cancel until done() has been called;
 * callbacks may run before start returns. Idempotent methods are retried once on a reused
 * connection that turned out to be dead; others go out on a fresh one or are not retried.
 * Errors: BRIM_EINVAL (a field would break the request: CR, LF, NUL), BRIM_ENOMEM, BRIM_ECLOSED.
 * Thread: any.
 */
BRIM_MUST_USE enum brim_err brim_fetch_start(struct brim_fetchers *fetchers,
                                             const struct brim_fetch_request *request,
                                             const struct brim_fetch_callbacks *callbacks,
                                             void *ctx, struct brim_fetch **fetch_out);

/* Counted handle rules: start gives the caller one count, dropped by brim_fetch_unref(). */
void brim_fetch_unref(struct brim_fetch *fetch);
/* Goes on after a pause. Thread: any. A call too many or too late does nothing. */
void brim_fetch_resume(struct brim_fetch *fetch);
/* Ends the exchange soon; done() still comes (BRIM_ECLOSED). Thread: any. */
void brim_fetch_cancel(struct brim_fetch *fetch);

#endif
