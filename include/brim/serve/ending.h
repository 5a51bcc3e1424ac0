/* SPDX-License-Identifier: MIT */
/*
 * ending - why brim ends a client's connection, or does not let it in: one table for the log, the
 * metrics and who decides.
 */
#ifndef BRIM_SERVE_ENDING_H
#define BRIM_SERVE_ENDING_H

#include <stdbool.h>

/*
 * X(id, text). In the order of the rows of brim_connections_ended_total, whose label is the id in
 * lower case (base/metric.h). What is above BRIM_ENDING_ABUSES is abuse: it counts against the
 * client's address (clients.h).
 */
#define BRIM_ENDING_TABLE(X)                                                                       \
    X(RESETS, "reset flood")                                                                       \
    X(MADE_RESETS, "streams opened to be reset by the server")                                     \
    X(CANCELLED, "streams opened to be cancelled")                                                 \
    X(CONTROL_FRAMES, "control frame flood")                                                       \
    X(WINDOW_UPDATES, "window update flood")                                                       \
    X(BLOCK_BYTES, "header block too large")                                                       \
    X(BLOCK_FIELDS, "too many header fields")                                                      \
    X(BLOCK_BROKEN, "invalid header block")                                                        \
    X(BLOCK_DRAINING, "header block open while draining")                                          \
    X(HANDSHAKE_SLOW, "TLS handshake too slow")                                                    \
    X(HEADER_SLOW, "header too slow")                                                              \
    X(BODY_SLOW, "request body too slow")                                                          \
    X(IDLE, "no request")                                                                          \
    X(NOT_READING, "client does not read")                                                         \
    X(READING_SLOWLY, "client reads too slowly")                                                   \
    X(STREAM_HELD, "client does not read one of its responses")                                    \
    X(GONE, "client has gone")                                                                     \
    X(LINGERED, "client sends on though it has been answered")                                     \
    X(MEMORY, "limits.client_memory")                                                              \
    X(DRAIN, "drain deadline")                                                                     \
    X(ADDRESS_CROWDED, "limits.connections_per_address")                                           \
    X(ADDRESS_BANNED, "address banned for abuse")

enum brim_ending {
    BRIM_ENDING_NONE,
#define BRIM_ENDING_ENUM(id, text) BRIM_ENDING_##id,
    BRIM_ENDING_TABLE(BRIM_ENDING_ENUM)
#undef BRIM_ENDING_ENUM
        BRIM_ENDING_COUNT
};

#define BRIM_ENDING_ABUSES BRIM_ENDING_HANDSHAKE_SLOW

static inline bool brim_ending_is_abuse(enum brim_ending ending)
{
    return ending != BRIM_ENDING_NONE && ending < BRIM_ENDING_ABUSES;
}

/* Static text; "" for NONE. Thread: any. */
const char *brim_ending_text(enum brim_ending ending);

/* Counts one. Thread: any. */
void brim_ending_count(enum brim_ending ending);

#endif
