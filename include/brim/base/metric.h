/* SPDX-License-Identifier: MIT */
/*
 * metric - counters and gauges of the node, one table, Prometheus names.
 *
 * Every thread counts in a slab of its own (relaxed atomics, no sharing on the hot path); a reader
 * sums. Process-wide like the log: every room counts here and nobody passes it around.
 */
#ifndef BRIM_BASE_METRIC_H
#define BRIM_BASE_METRIC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "brim/base/str.h"

/*
 * X(id, name, labels, kind, help). Rows of one name stand together. kind says what is counted and
 * shown: COUNTER and GAUGE whole units, SECONDS a counter of microseconds, shown as seconds, RATIO
 * a gauge of millionths, shown as a fraction.
 */
#define BRIM_METRIC_TABLE(X)                                                                       \
    X(REQ_HIT, "brim_requests_total", "cache=\"hit\"", COUNTER, "Requests answered.")              \
    X(REQ_MISS, "brim_requests_total", "cache=\"miss\"", COUNTER, "")                              \
    X(REQ_STALE, "brim_requests_total", "cache=\"stale\"", COUNTER, "")                            \
    X(REQ_REVALIDATED, "brim_requests_total", "cache=\"revalidated\"", COUNTER, "")                \
    X(REQ_PASS, "brim_requests_total", "cache=\"pass\"", COUNTER, "")                              \
    X(REQ_ERROR, "brim_requests_total", "cache=\"error\"", COUNTER, "")                            \
    X(REQ_HANDLER, "brim_requests_total", "cache=\"handler\"", COUNTER, "")                        \
    X(REQ_COLLAPSED, "brim_requests_collapsed_total", "", COUNTER,                                 \
      "Requests that shared the origin exchange of another.")                                      \
    X(STALE_BEHIND, "brim_stale_served_total", "reason=\"revalidate\"", COUNTER,                   \
      "Stale responses served, by what allowed it.")                                               \
    X(STALE_ASKED, "brim_stale_served_total", "reason=\"client\"", COUNTER, "")                    \
    X(STALE_ERROR, "brim_stale_served_total", "reason=\"error\"", COUNTER, "")                     \
    X(STATUS_2XX, "brim_responses_total", "class=\"2xx\"", COUNTER, "Responses by status class.")  \
    X(STATUS_3XX, "brim_responses_total", "class=\"3xx\"", COUNTER, "")                            \
    X(STATUS_4XX, "brim_responses_total", "class=\"4xx\"", COUNTER, "")                            \
    X(STATUS_5XX, "brim_responses_total", "class=\"5xx\"", COUNTER, "")                            \
    X(BYTES_SENT, "brim_response_bytes_total", "", COUNTER, "Bytes sent to clients.")              \
    X(CONN_OPEN, "brim_connections", "", GAUGE, "Client connections open now.")                    \
    X(CONN_TOTAL, "brim_connections_total", "", COUNTER, "Client connections accepted.")           \
    X(CONN_TLS_FAILED, "brim_tls_handshake_failures_total", "", COUNTER, "TLS handshakes failed.") \
    X(PROXY_REFUSED, "brim_proxy_protocol_refused_total", "", COUNTER,                             \
      "Connections refused because of what they said, or who said it, in the PROXY protocol.")     \
    X(TLS_EXPIRY, "brim_tls_certificate_expiry_timestamp_seconds", "", GAUGE,                      \
      "When the first of the certificates in force expires, in seconds since 1970; 0: there is "   \
      "none.")                                                                                     \
    X(TLS_12_FULL, "brim_tls_handshakes_total", "version=\"1.2\",resumed=\"no\"", COUNTER,         \
      "TLS handshakes completed, by version and whether a session was resumed.")                   \
    X(TLS_12_RESUMED, "brim_tls_handshakes_total", "version=\"1.2\",resumed=\"yes\"", COUNTER, "") \
    X(TLS_13_FULL, "brim_tls_handshakes_total", "version=\"1.3\",resumed=\"no\"", COUNTER, "")     \
    X(TLS_13_RESUMED, "brim_tls_handshakes_total", "version=\"1.3\",resumed=\"yes\"", COUNTER, "") \
    X(GUARD_H1_REFUSED, "brim_guard_refused_total", "protocol=\"h1\"", COUNTER,                    \
      "Requests refused by the guard.")                                                            \
    X(GUARD_H2_REFUSED, "brim_guard_refused_total", "protocol=\"h2\"", COUNTER, "")                \
    X(REQUESTS_POSTPONED, "brim_requests_postponed_total", "", COUNTER,                            \
      "Requests put off to a later loop turn, since their connection had begun so many in this.")  \
    X(ACCESS_DENIED, "brim_access_denied_total", "", COUNTER,                                      \
      "Requests refused because of the client's address.")                                         \
    X(MISDIRECTED, "brim_misdirected_total", "", COUNTER,                                          \
      "Requests refused because their connection was shown the certificate of another host.")      \
    X(UNAUTHORIZED, "brim_unauthorized_total", "", COUNTER,                                        \
      "Requests refused because they do not show who asks (jwt, basic_auth, signed_url).")         \
    X(RATE_LIMITED, "brim_rate_limited_total", "", COUNTER,                                        \
      "Requests refused because the client makes too many (rate_limit).")                          \
    X(TIER_MARKS_REFUSED, "brim_tier_marks_refused_total", "", COUNTER,                            \
      "Requests whose brim-tier field is not signed with node.tier_secret, or is too old.")        \
    X(READS_PINNED, "brim_reads_pinned_total", "", COUNTER,                                        \
      "Reads sent to a write origin because their client has written (read_your_writes).")         \
    X(ENDED_RESETS, "brim_connections_ended_total", "reason=\"resets\"", COUNTER,                  \
      "Connections ended or refused by brim, by reason.")                                          \
    X(ENDED_MADE_RESETS, "brim_connections_ended_total", "reason=\"made_resets\"", COUNTER, "")    \
    X(ENDED_CANCELLED, "brim_connections_ended_total", "reason=\"cancelled\"", COUNTER, "")        \
    X(ENDED_CONTROL_FRAMES, "brim_connections_ended_total", "reason=\"control_frames\"", COUNTER,  \
      "")                                                                                          \
    X(ENDED_WINDOW_UPDATES, "brim_connections_ended_total", "reason=\"window_updates\"", COUNTER,  \
      "")                                                                                          \
    X(ENDED_BLOCK_BYTES, "brim_connections_ended_total", "reason=\"block_bytes\"", COUNTER, "")    \
    X(ENDED_BLOCK_FIELDS, "brim_connections_ended_total", "reason=\"block_fields\"", COUNTER, "")  \
    X(ENDED_BLOCK_BROKEN, "brim_connections_ended_total", "reason=\"block_broken\"", COUNTER, "")  \
    X(ENDED_BLOCK_DRAINING, "brim_connections_ended_total", "reason=\"block_draining\"", COUNTER,  \
      "")                                                                                          \
    X(ENDED_HANDSHAKE_SLOW, "brim_connections_ended_total", "reason=\"handshake_slow\"", COUNTER,  \
      "")                                                                                          \
    X(ENDED_HEADER_SLOW, "brim_connections_ended_total", "reason=\"header_slow\"", COUNTER, "")    \
    X(ENDED_BODY_SLOW, "brim_connections_ended_total", "reason=\"body_slow\"", COUNTER, "")        \
    X(ENDED_IDLE, "brim_connections_ended_total", "reason=\"idle\"", COUNTER, "")                  \
    X(ENDED_NOT_READING, "brim_connections_ended_total", "reason=\"not_reading\"", COUNTER, "")    \
    X(ENDED_READING_SLOWLY, "brim_connections_ended_total", "reason=\"reading_slowly\"", COUNTER,  \
      "")                                                                                          \
    X(ENDED_STREAM_HELD, "brim_connections_ended_total", "reason=\"stream_held\"", COUNTER, "")    \
    X(ENDED_GONE, "brim_connections_ended_total", "reason=\"gone\"", COUNTER, "")                  \
    X(ENDED_LINGERED, "brim_connections_ended_total", "reason=\"lingered\"", COUNTER, "")          \
    X(ENDED_MEMORY, "brim_connections_ended_total", "reason=\"memory\"", COUNTER, "")              \
    X(ENDED_DRAIN, "brim_connections_ended_total", "reason=\"drain\"", COUNTER, "")                \
    X(ENDED_ADDRESS_CROWDED, "brim_connections_ended_total", "reason=\"address_crowded\"",         \
      COUNTER, "")                                                                                 \
    X(ENDED_ADDRESS_BANNED, "brim_connections_ended_total", "reason=\"address_banned\"", COUNTER,  \
      "")                                                                                          \
    X(CLIENTS_BANNED, "brim_client_bans_total", "", COUNTER,                                       \
      "Addresses refused for a while because of abuse.")                                           \
    X(CLIENTS_UNSEEN, "brim_clients_unseen_total", "", COUNTER,                                    \
      "Connections of addresses that the table of addresses had no room for.")                     \
    X(CLIENTS_MEMORY, "brim_client_memory_bytes", "", GAUGE,                                       \
      "Memory that clients hold, as limits.client_memory counts it.")                              \
    X(MEMORY_REFUSED_EXCHANGE, "brim_client_memory_refused_total", "what=\"exchange\"", COUNTER,   \
      "What was refused at once, as clients hold all they may (limits.client_memory).")            \
    X(MEMORY_REFUSED_READ, "brim_client_memory_refused_total", "what=\"read\"", COUNTER, "")       \
    X(MEMORY_REFUSED_CODING, "brim_client_memory_refused_total", "what=\"coding\"", COUNTER, "")   \
    X(MEMORY_OVER_SHARE, "brim_client_memory_over_share_total", "", COUNTER,                       \
      "Of these, refused because one address holds more than half of what is left.")               \
    X(CLIENTS_UNSENT, "brim_client_unsent_bytes", "", GAUGE,                                       \
      "What the kernel holds and has not sent, for clients who wait for more; for each at most "   \
      "some more than limits.unsent. Counted once a second.")                                      \
    X(BODIES_REFUSED, "brim_request_bodies_refused_total", "", COUNTER,                            \
      "Request bodies refused for limits.client_memory, of HTTP/2 for limits.connection_bodies.")  \
    X(LINGERS, "brim_connections_lingering_total", "", COUNTER,                                    \
      "HTTP/1 connections whose last answer came before the end of a request's body: what still "  \
      "came was dropped, so that the answer could be read.")                                       \
    X(BLOCKS_POSTPONED, "brim_header_blocks_postponed_total", "", COUNTER,                         \
      "Times that an HTTP/2 connection had to wait for a turn with more header blocks.")           \
    X(REFRESHES_AHEAD, "brim_refreshes_ahead_total", "", COUNTER,                                  \
      "Popular objects revalidated shortly before they ended (cache.refresh_ahead).")              \
    X(FLIGHTS_OPEN, "brim_flights", "", GAUGE, "Exchanges with origins under way now.")            \
    X(SLICES_FETCHED, "brim_slices_fetched_total", "", COUNTER,                                    \
      "Parts of resources asked of origins, or awaited from others who asked.")                    \
    X(ORIGIN_REQUESTS, "brim_origin_requests_total", "", COUNTER, "Requests sent to origins.")     \
    X(SERVERS_EJECTED, "brim_origin_ejections_total", "", COUNTER,                                 \
      "Times a server was left out because it failed.")                                            \
    X(SERVERS_OUT, "brim_origin_servers_ejected", "", GAUGE, "Servers that are left out now.")     \
    X(RETRIES, "brim_origin_retries_total", "", COUNTER,                                           \
      "Exchanges tried again on another server.")                                                  \
    X(FAILOVERS, "brim_origin_failovers_total", "", COUNTER,                                       \
      "Exchanges with an origin that stands in for another (fallback).")                           \
    X(HEDGES, "brim_origin_hedges_total", "", COUNTER,                                             \
      "Exchanges asked of a second server, as the first was slow.")                                \
    X(RETRIES_REFUSED, "brim_origin_retries_refused_total", "", COUNTER,                           \
      "Exchanges not tried again on another server, as too many were.")                            \
    X(ORIGIN_ERRORS, "brim_origin_errors_total", "", COUNTER, "Exchanges that failed.")            \
    X(ORIGIN_BYTES, "brim_origin_response_bytes_total", "", COUNTER, "Body bytes from origins.")   \
    X(ORIGIN_CONNECTS, "brim_origin_connects_total", "", COUNTER, "New connections to origins.")   \
    X(DNS_FOUND, "brim_dns_lookups_total", "result=\"ok\"", COUNTER,                               \
      "Look-ups of the names of origin servers.")                                                  \
    X(DNS_FAILED, "brim_dns_lookups_total", "result=\"failed\"", COUNTER, "")                      \
    X(DNS_CHANGES, "brim_dns_changes_total", "", COUNTER,                                          \
      "Times that connections to where a name led before were given up.")                          \
    X(ORIGIN_PAUSES, "brim_origin_pauses_total", "", COUNTER,                                      \
      "Times a transfer was paused because readers were slower.")                                  \
    X(HOT_BYTES, "brim_hot_bytes", "", GAUGE, "Bytes in the hot tier.")                            \
    X(HOT_OBJECTS, "brim_hot_objects", "", GAUGE, "Objects in the hot tier.")                      \
    X(HOT_EVICTIONS, "brim_hot_evictions_total", "", COUNTER, "Objects evicted from RAM.")         \
    X(HOT_REMEMBERED, "brim_hot_remembered_total", "", COUNTER,                                    \
      "Objects read back into RAM after a start (cache.remember).")                                \
    X(HOT_HITS, "brim_tier_hits_total", "tier=\"hot\"", COUNTER, "Lookups answered by a tier.")    \
    X(DISK_HITS, "brim_tier_hits_total", "tier=\"disk\"", COUNTER, "")                             \
    X(TIER_MISSES, "brim_tier_misses_total", "", COUNTER, "Lookups that no tier could answer.")    \
    X(ENCODED_BR, "brim_encoded_total", "coding=\"br\"", COUNTER, "Stored bodies compressed.")     \
    X(ENCODED_ZSTD, "brim_encoded_total", "coding=\"zstd\"", COUNTER, "")                          \
    X(ENCODED_GZIP, "brim_encoded_total", "coding=\"gzip\"", COUNTER, "")                          \
    X(SAVED_BR, "brim_encoded_saved_bytes_total", "coding=\"br\"", COUNTER,                        \
      "By how much they shrank.")                                                                  \
    X(SAVED_ZSTD, "brim_encoded_saved_bytes_total", "coding=\"zstd\"", COUNTER, "")                \
    X(SAVED_GZIP, "brim_encoded_saved_bytes_total", "coding=\"gzip\"", COUNTER, "")                \
    X(ENCODE_US, "brim_encode_seconds_total", "", SECONDS, "Time spent compressing.")              \
    X(ENCODE_USELESS, "brim_encode_useless_total", "", COUNTER,                                    \
      "Bodies that compression did not make smaller by a twentieth.")                              \
    X(ENCODE_SHED, "brim_encode_shed_total", "", COUNTER,                                          \
      "Not done, as the queue or the memory was full.")                                            \
    X(STREAMED, "brim_encoded_on_the_way_total", "", COUNTER,                                      \
      "Answers compressed while they went out, as their coding was not made yet.")                 \
    X(STREAM_SHED, "brim_encode_on_the_way_shed_total", "", COUNTER, "Not so, as too many were.")  \
    X(DECODED, "brim_decoded_total", "", COUNTER,                                                  \
      "Answers decoded for a client that does not take the origin's coding.")                      \
    X(DECODE_FAILED, "brim_decode_failed_total", "", COUNTER,                                      \
      "Bodies of origins that are not in the coding they claim, or decode to too much.")           \
    X(ENCODE_WAITING, "brim_encode_waiting", "", GAUGE, "Bodies that wait to be compressed.")      \
    X(DISK_BYTES, "brim_disk_bytes", "", GAUGE, "Bytes that the disk tier takes on disk.")         \
    X(DISK_OBJECTS, "brim_disk_objects", "", GAUGE, "Records in the index.")                       \
    X(DISK_WRITES, "brim_disk_written_objects_total", "", COUNTER, "Objects written to disk.")     \
    X(DISK_REFUSED, "brim_disk_refused_total", "", COUNTER,                                        \
      "Objects not written: no room, queue full or not admitted.")                                 \
    X(DISK_ERRORS, "brim_disk_errors_total", "", COUNTER, "Errors of the disk tier.")              \
    X(DISK_CORRUPT, "brim_disk_corrupt_total", "", COUNTER, "Records dropped by their checksum.")  \
    X(DISK_SET_ASIDE, "brim_disk_index_set_aside_total", "", COUNTER,                              \
      "Damaged indexes that were set aside; the cache started empty.")                             \
    X(DISK_RETIRED, "brim_disk_segments_retired_total", "", COUNTER, "Segments retired.")          \
    X(DISK_CUT, "brim_disk_segments_cut_total", "", COUNTER,                                       \
      "Retired segments taken from responses that still read them, as their room was wanted.")     \
    X(KV_WRITES, "brim_kv_writes_total", "", COUNTER, "Writes to the named stores.")               \
    X(KV_ERRORS, "brim_kv_errors_total", "", COUNTER, "Errors of the named stores.")               \
    X(KV_DAMAGED, "brim_kv_damaged", "", GAUGE, "1: the named stores are damaged, and fail.")      \
    X(ADMIN_STRANGER, "brim_admin_refused_total", "reason=\"token\"", COUNTER,                     \
      "Calls of the admin API that were refused.")                                                 \
    X(ADMIN_BODY_UNREAD, "brim_admin_refused_total", "reason=\"body_without_token\"", COUNTER, "") \
    X(ADMIN_BUSY, "brim_admin_refused_total", "reason=\"rate\"", COUNTER, "")                      \
    X(ADMIN_FOREIGN, "brim_admin_refused_total", "reason=\"origin\"", COUNTER, "")                 \
    X(ADMIN_MALFORMED, "brim_admin_refused_total", "reason=\"malformed\"", COUNTER, "")            \
    X(PURGES, "brim_purges_total", "", COUNTER, "Purges accepted.")                                \
    X(PURGES_PASSED, "brim_purges_passed_total", "result=\"ok\"", COUNTER,                         \
      "Purges passed on to the tier above (admin.purge_via), each try.")                           \
    X(PURGES_NOT_PASSED, "brim_purges_passed_total", "result=\"failed\"", COUNTER, "")             \
    X(PURGES_POSTED, "brim_purges_waiting", "", GAUGE,                                             \
      "Purges by handlers that wait to be passed on.")                                             \
    X(DICTIONARIES_KEPT, "brim_dictionaries_kept_total", "", COUNTER,                              \
      "Responses kept as compression dictionaries.")                                               \
    X(DELTA_MADE, "brim_deltas_made_total", "", COUNTER, "Bodies coded with a dictionary.")        \
    X(DELTA_US, "brim_delta_seconds_total", "", SECONDS, "Time that took.")                        \
    X(DELTA_REFUSED, "brim_deltas_refused_total", "", COUNTER, "Not done: queue full.")            \
    X(DELTA_BYTES, "brim_deltas_bytes", "", GAUGE, "Bytes in RAM of bodies coded so.")             \
    X(DELTA_SERVED, "brim_delta_responses_total", "", COUNTER, "Responses coded so.")              \
    X(DELTA_SAVED, "brim_delta_saved_bytes_total", "", COUNTER,                                    \
      "Body bytes that they were shorter by.")                                                     \
    X(SCRIPT_CALLS, "brim_handler_calls_total", "", COUNTER, "Calls of Lua handlers.")             \
    X(SCRIPT_CPU_US, "brim_handler_cpu_seconds_total", "", SECONDS,                                \
      "CPU time that requests spent in handlers.")                                                 \
    X(SCRIPT_ERROR, "brim_handler_failures_total", "reason=\"error\"", COUNTER,                    \
      "Calls that failed or were stopped.")                                                        \
    X(SCRIPT_CPU, "brim_handler_failures_total", "reason=\"cpu\"", COUNTER, "")                    \
    X(SCRIPT_WALL, "brim_handler_failures_total", "reason=\"wall\"", COUNTER, "")                  \
    X(SCRIPT_MEMORY, "brim_handler_failures_total", "reason=\"memory\"", COUNTER, "")              \
    X(SCRIPT_WAITING, "brim_handlers_waiting", "", GAUGE, "Handlers that wait for a fetch.")       \
    X(FETCH_HIT, "brim_handler_fetches_total", "result=\"hit\"", COUNTER,                          \
      "Fetches of handlers, by where the answer came from.")                                       \
    X(FETCH_ORIGIN, "brim_handler_fetches_total", "result=\"origin\"", COUNTER, "")                \
    X(FETCH_FAILED, "brim_handler_fetches_total", "result=\"failed\"", COUNTER, "")                \
    X(FETCH_LEFT, "brim_handler_fetches_total", "result=\"left\"", COUNTER, "")                    \
    X(LOG_DROPPED, "brim_access_log_dropped_total", "", COUNTER, "Access log lines dropped.")      \
    X(ERROR_LOG_DROPPED, "brim_error_log_dropped_total", "", COUNTER,                              \
      "Lines of the error log beyond what a place in the code may say in a second.")               \
    X(POOL_REJECTED, "brim_pool_rejected_total", "", COUNTER, "I/O jobs refused: queue full.")     \
    X(RELOAD_OK, "brim_reloads_total", "result=\"ok\"", COUNTER, "Reloads of the config.")         \
    X(RELOAD_REFUSED, "brim_reloads_total", "result=\"refused\"", COUNTER, "")                     \
    X(CONFIG_GENERATION, "brim_config_generation", "", GAUGE,                                      \
      "Configs that have been in force since the start of the process.")                           \
    X(CONFIG_LOADED, "brim_config_loaded_timestamp_seconds", "", GAUGE,                            \
      "When the config in force was loaded.")                                                      \
    X(BUILD_INFO, "brim_build_info", "version=\"" BRIM_VERSION "\"", GAUGE,                        \
      "1: this version runs.")                                                                     \
    X(CPU_UTILISATION, "brim_cpu_utilisation_ratio", "", RATIO,                                    \
      "CPU time used over the last 10 s, of what the node may use: 0 to 1.")                       \
    X(CPU_US, "process_cpu_seconds_total", "", SECONDS, "CPU time used by the process.")           \
    X(RESIDENT, "process_resident_memory_bytes", "", GAUGE, "RAM in use by the process.")          \
    X(MEMORY_ALLOCATED, "brim_memory_allocated_bytes", "", GAUGE,                                  \
      "Memory that is in use: asked for and not freed.")                                           \
    X(MEMORY_UNUSED, "brim_memory_unused_bytes", "", GAUGE,                                        \
      "RAM that was freed and is kept for what comes next (node.spare_memory).")                   \
    X(MEMORY_RETURNED, "brim_memory_returned_bytes_total", "", COUNTER,                            \
      "Such RAM that was given back to the kernel.")                                               \
    X(MEMORY_RETURNS, "brim_memory_returns_total", "", COUNTER, "How often that was done.")        \
    X(OPEN_FDS, "process_open_fds", "", GAUGE, "File descriptors that are open.")                  \
    X(STARTED, "process_start_time_seconds", "", GAUGE, "When the process started.")               \
    X(RESTARTS, "brim_node_restarts_total", "", COUNTER, "Times the supervisor restarted it.")     \
    X(UPGRADES, "brim_node_upgrades_total", "", COUNTER,                                           \
      "Times another program has taken over, since the first was started.")

/*
 * H(id, name, labels, scale, help): histograms; rows of one name stand together. scale says what is
 * observed: TIME microseconds, shown in seconds; SIZE bytes.
 */
#define BRIM_HISTOGRAM_TABLE(H)                                                                    \
    H(TIME_HIT, "brim_request_duration_seconds", "cache=\"hit\"", TIME,                            \
      "From a request's header to the end of its response.")                                       \
    H(TIME_MISS, "brim_request_duration_seconds", "cache=\"miss\"", TIME, "")                      \
    H(TIME_STALE, "brim_request_duration_seconds", "cache=\"stale\"", TIME, "")                    \
    H(TIME_REVALIDATED, "brim_request_duration_seconds", "cache=\"revalidated\"", TIME, "")        \
    H(TIME_PASS, "brim_request_duration_seconds", "cache=\"pass\"", TIME, "")                      \
    H(TIME_ERROR, "brim_request_duration_seconds", "cache=\"error\"", TIME, "")                    \
    H(TIME_HANDLER, "brim_request_duration_seconds", "cache=\"handler\"", TIME, "")                \
    H(OBJECT_SIZE, "brim_object_size_bytes", "", SIZE, "Bodies of responses that were stored.")    \
    H(LOOP_LAG, "brim_loop_lag_seconds", "", TIME,                                                 \
      "How long a turn of an event loop kept the next from beginning.")

enum brim_histogram {
#define BRIM_HISTOGRAM_ENUM(id, name, labels, scale, help) BRIM_HISTOGRAM_##id,
    BRIM_HISTOGRAM_TABLE(BRIM_HISTOGRAM_ENUM)
#undef BRIM_HISTOGRAM_ENUM
        BRIM_HISTOGRAM_COUNT
};

/* How many of what is counted make one of what is shown. */
#define BRIM_METRIC_UNITS_COUNTER 1
#define BRIM_METRIC_UNITS_GAUGE   1
#define BRIM_METRIC_UNITS_SECONDS 1000000
#define BRIM_METRIC_UNITS_RATIO   1000000

enum brim_metric {
#define BRIM_METRIC_ENUM(id, name, labels, kind, help) BRIM_METRIC_##id,
    BRIM_METRIC_TABLE(BRIM_METRIC_ENUM)
#undef BRIM_METRIC_ENUM
        BRIM_METRIC_COUNT
};

/* Adds n (may be negative for gauges) in this thread's slab. Thread: any. */
void brim_metric_add(enum brim_metric id, int64_t n);

/* For a gauge that one thread samples: makes it value. Thread: that one, which alone counts it. */
void brim_metric_set(enum brim_metric id, int64_t value);

/* Counts one observation, in the units of the histogram's scale. Thread: any. */
void brim_metric_observe(enum brim_histogram id, uint64_t value);

/* Sums all threads. Thread: any. */
int64_t brim_metric_read(enum brim_metric id);

/* Cells of a histogram of times: one for each bound, one for what is above, then others. */
#define BRIM_METRIC_TIMES_CELLS 20u

/* The bounds, in microseconds; *count_out of them. */
const uint64_t *brim_metric_time_bounds(unsigned *count_out);

/* The requests of all outcomes, by their time. Thread: any. */
void brim_metric_request_times(int64_t cells_out[BRIM_METRIC_TIMES_CELLS]);

/* Writes the Prometheus text exposition (0.0.4) of all rows.
 * Owns: *text_out is the caller's, freed with free(); NUL-terminated, length in *len_out. */
void brim_metric_render(char **text_out, size_t *len_out);

/* Counters that handlers name: letters, digits and _, at most BRIM_METRIC_NAME_MAX bytes. The first
 * 255 names have rows of their own, later ones count as "other". Thread: any, also a loop. */
#define BRIM_METRIC_NAME_MAX 64u
void brim_metric_add_named(struct brim_str name, int64_t n);

/* Their part of brim_metric_render(). */
void brim_metric_render_named(FILE *out);

#define BRIM_COUNT(id)  brim_metric_add(BRIM_METRIC_##id, 1)
#define BRIM_ADD(id, n) brim_metric_add(BRIM_METRIC_##id, (int64_t)(n))

#endif
