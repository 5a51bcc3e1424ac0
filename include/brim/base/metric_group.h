/* SPDX-License-Identifier: MIT */
/*
 * metric_group - counts by site and by origin: whatever has a name that the config gives.
 *
 * A group is a block of cells with a name, numbered once and kept to the end of the process. Their
 * number is bounded, so that a config of ten thousand sites does not make a page of a million
 * lines: groups beyond the first 127 of a kind count as its number 0, "other".
 */
#ifndef BRIM_BASE_METRIC_GROUP_H
#define BRIM_BASE_METRIC_GROUP_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

enum brim_metric_kind { BRIM_METRIC_SITE, BRIM_METRIC_ORIGIN, BRIM_METRIC_HANDLERS };

/* The number of the group of this name, which is made if need be; 0: there are too many.
 * Thread: any; may take a lock. */
unsigned brim_metric_group(enum brim_metric_kind kind, const char *name);

/* ---- sites ---- */

enum brim_metric_protocol { BRIM_METRIC_HTTP10, BRIM_METRIC_HTTP11, BRIM_METRIC_HTTP2 };

/* What one request was. */
struct brim_metric_request {
    unsigned site;  /* a group; 0 also where no site was found */
    unsigned cache; /* position in hit, miss, stale, revalidated, pass, error, handler */
    enum brim_metric_protocol protocol;
    unsigned status; /* 0: the client left before there was one */
};

/* Thread: any. */
void brim_metric_count_request(const struct brim_metric_request *request);

/* ---- origins ---- */

enum brim_metric_origin_cell {
    BRIM_METRIC_ORIGIN_ASKED,
    BRIM_METRIC_ORIGIN_2XX, /* and what is below */
    BRIM_METRIC_ORIGIN_3XX,
    BRIM_METRIC_ORIGIN_4XX,
    BRIM_METRIC_ORIGIN_5XX,
    BRIM_METRIC_ORIGIN_TIMEOUT,
    BRIM_METRIC_ORIGIN_CONNECT,
    BRIM_METRIC_ORIGIN_DNS,
    BRIM_METRIC_ORIGIN_TLS,
    BRIM_METRIC_ORIGIN_PROTOCOL,
    BRIM_METRIC_ORIGIN_QUEUE,
    BRIM_METRIC_ORIGIN_OTHER,
    BRIM_METRIC_ORIGIN_CONNECTED, /* new connections */
    BRIM_METRIC_ORIGIN_REUSED,    /* exchanges on a connection that was there */
    BRIM_METRIC_ORIGIN_OPEN,      /* gauges: connections, exchanges, those that wait for one */
    BRIM_METRIC_ORIGIN_RUNNING,
    BRIM_METRIC_ORIGIN_WAITING,
    BRIM_METRIC_ORIGIN_SERVERS, /* gauges: all, and those that are down by their checks */
    BRIM_METRIC_ORIGIN_DOWN,
    BRIM_METRIC_ORIGIN_CHECKS, /* health checks, and those that failed */
    BRIM_METRIC_ORIGIN_CHECKS_FAILED,
    BRIM_METRIC_ORIGIN_TIMES, /* a histogram up to the end of the block */
};

#define BRIM_METRIC_ORIGIN_NONE UINT_MAX /* a number for what is not counted */

/* Thread: any. */
void brim_metric_count_origin(unsigned origin, enum brim_metric_origin_cell cell, int64_t n);
/* Counts an answer of this status whose header took so long. Thread: any. */
void brim_metric_count_answer(unsigned origin, unsigned status, uint64_t took_us);

/* ---- handlers: of a site, by phase ---- */

enum brim_metric_handler_cell {
    BRIM_METRIC_HANDLER_CALLS,
    BRIM_METRIC_HANDLER_CPU_US,
    BRIM_METRIC_HANDLER_ERROR, /* calls that failed, by reason */
    BRIM_METRIC_HANDLER_CPU,
    BRIM_METRIC_HANDLER_WALL,
    BRIM_METRIC_HANDLER_MEMORY,
    BRIM_METRIC_HANDLER_CELLS
};

/* phase: position in viewer_request, origin_request, origin_response, viewer_response.
 * Thread: any. */
void brim_metric_count_handler(unsigned handlers, unsigned phase,
                               enum brim_metric_handler_cell cell, int64_t n);

/* ---- reading ---- */

/* cells: of a site, requests by whatever; of an origin, see the enum. name: as a label's value. */
typedef void (*brim_metric_group_fn)(const char *name, const int64_t *cells, void *ctx);

/* Tells of every group of a kind, "other" last. Thread: any. */
void brim_metric_each(enum brim_metric_kind kind, brim_metric_group_fn fn, void *ctx);

/* All requests of a site. */
int64_t brim_metric_site_requests(const int64_t *cells);

/* Their part of brim_metric_render(). */
void brim_metric_render_groups(FILE *out);

#endif
