/* SPDX-License-Identifier: MIT */
/*
 * access_line - one request as one line: a JSON object, or Apache combined.
 *
 * Refuses to know where lines go.
 */
#ifndef BRIM_SERVE_ACCESS_LINE_H
#define BRIM_SERVE_ACCESS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "brim/base/str.h"

struct brim_access_record { /* all borrowed; absent strings have len 0 */
    int64_t start_wall_ms;
    uint64_t duration_us;   /* to the end of the response */
    uint64_t first_byte_us; /* to its start */
    uint64_t origin_ms;     /* to the origin's headers; 0: not asked */
    uint64_t bytes_sent;    /* body */
    uint64_t request_bytes; /* body */
    unsigned status;
    unsigned origin_status;
    struct brim_str peer;
    struct brim_str method;
    struct brim_str scheme;
    struct brim_str host;
    struct brim_str target;
    struct brim_str protocol; /* "HTTP/1.1", "HTTP/2" */
    struct brim_str cache;    /* hit miss stale revalidated pass error */
    struct brim_str reason;
    struct brim_str site;
    struct brim_str user_agent;
    struct brim_str referer;
    struct brim_str trace; /* hex digits, W3C Trace Context */
    struct brim_str span;
    uint64_t request_id[2]; /* printed as 32 hex digits */
    bool complete;          /* the whole response was handed over */
};

/* The time of the last line, as text: most lines share their second with the one before. */
struct brim_access_stamp {
    int64_t second;
    char json[24];   /* 2026-01-31T12:00:00 */
    char apache[32]; /* 31/Jan/2026:12:00:00 +0000 */
};

/* Each writes the line with its newline to at and returns where it ends. at: room for 1024 bytes
 * and six for each byte of the record's strings. stamp: zeroed before the first call. */
char *brim_access_line_json(char *at, const struct brim_access_record *record,
                            struct brim_access_stamp *stamp);
char *brim_access_line_combined(char *at, const struct brim_access_record *record,
                                struct brim_access_stamp *stamp);

#endif
