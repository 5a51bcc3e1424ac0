/* SPDX-License-Identifier: MIT */
/*
 * conf_schema - the one option table. The structs of base/conf.h, the binder that fills them from
 * YAML, `brim check`, conf/reference.yaml and the README's reference are all made from these rows.
 *
 * O(type, member, key, default, min, max, reload, text)  a value
 * S(member, key, TABLE, struct_tag, text)                one nested mapping
 * L(member, key, TABLE, struct_tag, min, max, text)      a sequence of mappings
 *
 * type      C type     in YAML, accepted                          min/max mean
 * STRING    char *     text ("" is allowed where min is 0)        length
 * STRINGS   list       sequence of text, or words                 number of members
 * FILE      char *     path of a readable file; "" if min is 0    length
 * BOOL      bool       true | false                               -
 * INT       int64_t    whole number                               value
 * SIZE      uint64_t   bytes: 4096, 64KiB, 20GiB, 1MB, 1TiB       bytes
 * DURATION  int64_t    ms: 250ms, 30s, 5m, 12h, 7d; 0             milliseconds
 * CHOICE    int        one word of the list that stands in max    min unused; value = position
 * URL       char *     http://host[:port] or https://host[:port]  length
 * ADDRESS   char *     0.0.0.0:80, [::]:80, :80, unix:/path       length
 *
 * DURATION accepts `off` where min is -1, meaning -1. reload: LIVE (a reload applies it) or START
 * (needs a restart; a reload that changes it is refused). A default of NULL means: required.
 */
#ifndef BRIM_BASE_CONF_SCHEMA_H
#define BRIM_BASE_CONF_SCHEMA_H

#define BRIM_KIB    (1024LL)
#define BRIM_MIB    (1024LL * 1024)
#define BRIM_GIB    (1024LL * 1024 * 1024)
#define BRIM_TIB    (1024LL * 1024 * 1024 * 1024)
#define BRIM_DAY_MS (86400LL * 1000)

#define BRIM_CONF_NODE(O, S, L)                                                                    \
    O(INT, workers, "workers", "0", 0, 256, START,                                                 \
      "Event loops that serve clients; 0: one per core.")                                          \
    O(INT, fetchers, "fetchers", "0", 0, 64, START,                                                \
      "Threads that talk to origins; 0: one per 4 workers.")                                       \
    O(INT, io_threads, "io_threads", "4", 1, 64, START,                                            \
      "Threads for disk reads, disk writes and compression.")                                      \
    O(INT, io_queue, "io_queue", "4096", 16, 1048576, START,                                       \
      "Jobs that may wait for them, per class.")                                                   \
    O(SIZE, dict_bytes, "dict", "16MiB", BRIM_MIB, 64 * BRIM_GIB, START,                           \
      "RAM for what handlers share (brim.dict, brim.ratelimit); the oldest goes first.")           \
    O(SIZE, spare_memory_bytes, "spare_memory", "64MiB", BRIM_MIB, 64 * BRIM_TIB, START,           \
      "RAM that was freed and may stay for what comes next; what is beyond it, and beyond an "     \
      "eighth of what is in use, goes back to the kernel once it was not taken for 10 s.")         \
    O(FILE, geo, "geo", "", 0, 4096, START,                                                        \
      "MaxMind DB (.mmdb) that brim.geo looks addresses up in; empty: none.")                      \
    O(STRING, id, "id", "brim", 1, 64, START,                                                      \
      "Name of this node in Via and Cache-Status: letters, digits, '-', '.', '_'.")                \
    O(CHOICE, seccomp, "seccomp", "off", 0, "off|log|enforce", START,                              \
      "System calls that a serving node does not make: noted by the kernel, or refused.")          \
    O(BOOL, core_dumps, "core_dumps", "false", 0, 0, START,                                        \
      "Whether a crash leaves a core file, and debuggers of brim's user may look: both see "       \
      "private keys.")                                                                             \
    O(FILE, tier_secret, "tier_secret", "", 0, 4096, LIVE,                                         \
      "File with the secret that nodes of one fleet know each other by, 16 bytes or more.")        \
    O(DURATION, drain_timeout_ms, "drain_timeout", "10s", 0, 3600000, LIVE,                        \
      "How long responses under way may take to finish after SIGTERM.")

#define BRIM_CONF_LOG(O, S, L)                                                                     \
    O(CHOICE, level, "level", "info", 0, "error|warn|info|debug", START,                           \
      "Least important level of the error log (stderr).")

#define BRIM_CONF_ACCESS_LOG(O, S, L)                                                              \
    O(STRING, path, "path", "off", 1, 4096, START,                                                 \
      "File to append to, `stdout`, `syslog`, `unix:/path` of a datagram socket, or `off`.")       \
    O(CHOICE, format, "format", "json", 0, "json|combined", START,                                 \
      "One JSON object a line, or Apache combined.")                                               \
    O(SIZE, buffer_bytes, "buffer", "4MiB", 65536, BRIM_GIB, START,                                \
      "Lines that wait for a slow disk; more are dropped and counted.")                            \
    O(INT, sample, "sample", "1", 1, 1000000, START,                                               \
      "One request in so many is logged; those answered with 5xx always are.")                     \
    O(STRINGS, redact, "redact",                                                                   \
      "access_token id_token refresh_token client_secret api_key password brim_sig", 0, 256,       \
      START, "Query parameters whose values are not logged; `x*`: all that begin so.")

#define BRIM_CONF_CERTIFICATE(O, S, L)                                                             \
    O(FILE, certificate, "certificate", NULL, 1, 4096, LIVE,                                       \
      "PEM file: certificate, then its chain. SNI names are read from it.")                        \
    O(FILE, key, "key", NULL, 1, 4096, LIVE, "PEM file with its private key.")                     \
    O(FILE, ocsp, "ocsp", "", 0, 4096, LIVE,                                                       \
      "OCSP response (DER) to staple, read again by each reload; empty: none.")

#define BRIM_CONF_TLS(O, S, L)                                                                     \
    L(certificates, "certificates", BRIM_CONF_CERTIFICATE, brim_conf_certificate, 0, 1000,         \
      "Certificates; the first is used where no name matches. Empty: the listener speaks "         \
      "cleartext.")                                                                                \
    O(CHOICE, profile, "profile", "intermediate", 0, "intermediate|modern", START,                 \
      "Mozilla's: intermediate (1.2 with forward secrecy, and 1.3), modern (1.3 alone).")          \
    O(CHOICE, min_version, "min_version", "1.2", 0, "1.2|1.3", START, "Oldest TLS version.")       \
    O(FILE, tickets, "tickets", "", 0, 4096, LIVE,                                                 \
      "File of session ticket keys, 80 bytes each, the newest first, shared by nodes; empty: own " \
      "ones, changed every 6 hours.")                                                              \
    O(CHOICE, client_verify, "client_verify", "off", 0, "off|optional|require", START,             \
      "Whether clients are asked for a certificate.")                                              \
    O(FILE, client_ca, "client_ca", "", 0, 4096, LIVE, "PEM file of the CAs that may issue it.")   \
    O(FILE, client_crl, "client_crl", "", 0, 4096, LIVE,                                           \
      "PEM file of their lists of revoked ones; empty: none are checked.")                         \
    O(CHOICE, misdirected, "misdirected", "refuse", 0, "refuse|serve", LIVE,                       \
      "A request for a host that another certificate serves than its connection was shown: 421, "  \
      "or as if nothing were wrong (for balancers that ask for one name whatever they pass on).")

#define BRIM_CONF_LISTENER(O, S, L)                                                                \
    O(ADDRESS, address, "address", NULL, 1, 256, START,                                            \
      "Where clients connect. `:8080` is every IPv6 and IPv4 address.")                            \
    O(STRING, socket, "socket", "", 0, 255, START,                                                 \
      "Name of the socket that systemd hands over; empty: the one with this address, if any.")     \
    O(STRINGS, proxy_protocol, "proxy_protocol", "", 0, 1000, START,                               \
      "Balancers (addresses, blocks) whose connections begin with a PROXY header, version 1 or "   \
      "2; who is not among them, or sends none, is refused. Empty: nobody sends any.")             \
    S(tls, "tls", BRIM_CONF_TLS, brim_conf_tls, "TLS for this listener.")

#define BRIM_CONF_PURGE_VIA(O, S, L)                                                               \
    O(URL, url, "url", NULL, 1, 1024, START, "http://host:port of its admin listener.")            \
    O(FILE, token, "token", "", 0, 4096, START,                                                    \
      "File with its token, read for each purge; empty: none.")

#define BRIM_CONF_ADMIN(O, S, L)                                                                   \
    O(ADDRESS, address, "address", "127.0.0.1:9900", 1, 256, START,                                \
      "Admin API and metrics; other than loopback or a unix socket only with a token.")            \
    O(FILE, token, "token", "", 0, 4096, START,                                                    \
      "File with the bearer token that calls need, 16 to 512 letters; read again by a reload.")    \
    O(INT, rate, "rate", "1000", 1, 1000000, START,                                                \
      "Calls a second, beside probes and the page; 429 above it.")                                 \
    L(purge_via, "purge_via", BRIM_CONF_PURGE_VIA, brim_conf_purge_via, 0, 64,                     \
      "Nodes of the tier above, which purge before this one does, whoever asks for it.")

#define BRIM_CONF_CACHE(O, S, L)                                                                   \
    O(STRING, path, "path", "", 0, 4096, START, "Directory of the disk tier; empty: RAM only.")    \
    O(SIZE, disk_bytes, "disk", "10GiB", 4 * BRIM_MIB, 1024 * BRIM_TIB, START,                     \
      "Quota of the disk tier, index included; never exceeded.")                                   \
    O(SIZE, memory_bytes, "memory", "256MiB", BRIM_MIB, 64 * BRIM_TIB, START,                      \
      "Size of the hot tier.")                                                                     \
    O(SIZE, segment_bytes, "segment", "128MiB", 256 * BRIM_KIB, 2 * BRIM_GIB, START,               \
      "Size of a segment file; lowered so that at least 8 fit the quota.")                         \
    O(SIZE, memory_object_bytes, "memory_object", "4MiB", 4096, BRIM_GIB, START,                   \
      "Largest body that is kept whole in RAM; where not set, at most `memory`.")                  \
    O(SIZE, object_bytes_max, "max_object", "4GiB", 4096, BRIM_TIB, START,                         \
      "Largest body that is stored; a quarter of `disk` at most, if there is one.")                \
    O(SIZE, slice_bytes, "slice", "8MiB", 0, BRIM_GIB, START,                                      \
      "Range of something not stored: fetched and stored in parts of this size; 0: the whole.")    \
    O(SIZE, window_bytes, "window", "1MiB", 65536, BRIM_GIB, START,                                \
      "Bytes held between origin and slowest client of a response that is not kept in RAM.")       \
    O(SIZE, dictionary_bytes_max, "max_dictionary", "4MiB", 0, BRIM_GIB, START,                    \
      "Largest compression dictionary, and largest body coded with one (RFC 9842); 0: none.")      \
    O(SIZE, deltas_bytes, "deltas", "32MiB", 65536, 1024 * BRIM_GIB, START,                        \
      "RAM for bodies coded with a dictionary.")                                                   \
    O(CHOICE, admit, "admit", "always", 0, "always|second_hit", START,                             \
      "What goes to disk: everything storable, or what was asked for twice.")                      \
    O(INT, write_queue, "write_queue", "1024", 1, 1048576, START,                                  \
      "Objects that may wait for the disk.")                                                       \
    O(INT, purge_epochs, "purge_epochs", "100000", 16, 10000000, START,                            \
      "Purges remembered one by one; beyond it the oldest purge more than asked.")                 \
    O(DURATION, pass_ttl_ms, "pass_ttl", "120s", 0, BRIM_DAY_MS, START,                            \
      "How long an uncacheable answer is remembered (hit-for-miss).")                              \
    O(DURATION, remember_ms, "remember", "60s", 0, BRIM_DAY_MS, START,                             \
      "How often it is noted what is in RAM, to be read back after a start; 0: never.")

#define BRIM_CONF_COMPRESS(O, S, L)                                                                \
    O(INT, threads, "threads", "1", 0, 64, START,                                                  \
      "Threads that compress what is stored, once, at low priority; 0: none.")                     \
    O(INT, queue, "queue", "256", 1, 65536, START,                                                 \
      "Bodies that may wait for them; more are compressed when they are asked for again.")         \
    O(SIZE, min_bytes, "min", "256", 0, BRIM_GIB, START, "Smaller bodies stay as they are.")       \
    O(SIZE, max_bytes, "max", "4MiB", 0, BRIM_GIB, START,                                          \
      "Larger bodies too; never above cache.memory_object.")                                       \
    O(CHOICE, first, "first", "identity", 0, "identity|fast", START,                               \
      "What goes out while a coding is being made: the body as it is, or coded on the way.")       \
    O(BOOL, pass, "pass", "false", 0, 0, START,                                                    \
      "Code on the way what is not cached. Beware of BREACH: length tells of secrets.")            \
    O(INT, streams, "streams", "64", 1, 4096, START,                                               \
      "Answers that each worker codes on the way at a time; more go out as they are.")             \
    O(SIZE, decoded_bytes, "decoded", "1GiB", 0, 1024 * BRIM_GIB, START,                           \
      "Most that a body of an origin may decode to; beyond it the answer is cut off.")

#define BRIM_CONF_KV(O, S, L)                                                                      \
    O(STRING, path, "path", "", 0, 4096, START,                                                    \
      "Directory of the named stores; empty: `kv` below cache.path, or none without it.")          \
    O(SIZE, size_bytes, "size", "1GiB", BRIM_MIB, BRIM_TIB, START, "Most that they take on disk.")

#define BRIM_CONF_DNS(O, S, L)                                                                     \
    O(STRINGS, nameservers, "nameservers", "", 0, 3, START,                                        \
      "Name servers (as in 10.0.0.2, 10.0.0.2:53 or [2001:db8::2]:53) for the names of origin "    \
      "servers; empty: those of resolv.conf, and whatever else the system knows.")                 \
    O(DURATION, ttl_min_ms, "ttl_min", "1s", 100, BRIM_DAY_MS, START,                              \
      "Shortest time for which a name's addresses are used, whatever its record says.")            \
    O(DURATION, ttl_max_ms, "ttl_max", "1h", 100, BRIM_DAY_MS, START, "Longest, likewise.")

#define BRIM_CONF_LIMITS(O, S, L)                                                                  \
    O(SIZE, request_body_bytes, "request_body", "16MiB", 0, BRIM_GIB, START,                       \
      "Largest request body; 413 above it. At most 7/40 of client_memory, beside which it has to " \
      "be held; where an address has no share 7/24.")                                              \
    O(SIZE, request_header_bytes, "request_header", "32KiB", 1024, 256 * BRIM_KIB, START,          \
      "Largest request header block; 431 above it.")                                               \
    O(INT, request_header_count, "request_header_count", "100", 8, 100, START,                     \
      "Most request header fields; 431 above it.")                                                 \
    O(SIZE, target_bytes, "target", "8KiB", 256, 64 * BRIM_KIB, START,                             \
      "Longest request target; 414 above it.")                                                     \
    O(SIZE, response_header_bytes, "response_header", "64KiB", 1024, BRIM_MIB, START,              \
      "Largest header block of an origin; 502 above it.")                                          \
    O(INT, response_header_count, "response_header_count", "200", 8, 1000, START,                  \
      "Most header fields of an origin; 502 above it.")                                            \
    O(INT, connections, "connections", "65536", 16, 4194304, START,                                \
      "Client connections at once, all workers; more wait in the listen queue.")                   \
    O(INT, connections_per_address, "connections_per_address", "4096", 0, 4194304, START,          \
      "Of one address (IPv6: one /64); more are closed at once. 0: any number, and of "            \
      "client_memory "                                                                             \
      "an address has no share: for balancers, whose address is everybody's.")                     \
    O(SIZE, connection_bodies_bytes, "connection_bodies", "64MiB", 0, 64 * BRIM_GIB, START,        \
      "Request bodies that one HTTP/2 connection may have open, or request_body if that is more; " \
      "further ones are refused.")                                                                 \
    O(SIZE, client_memory_bytes, "client_memory", "1GiB", 0, 1024 * BRIM_GIB, START,               \
      "Memory that all clients may hold; near it the greediest are ended, and what would need "    \
      "more is refused, to one greedy address before others. 0: any.")                             \
    O(SIZE, request_rate_bytes, "request_rate", "128", 0, BRIM_GIB, START,                         \
      "Bytes a second that a request body must bring, on average over timeouts.request.")          \
    O(SIZE, response_rate_bytes, "response_rate", "128", 0, BRIM_GIB, START,                       \
      "Bytes a second that a client must take of what waits for it, over timeouts.write.")         \
    O(SIZE, unsent_bytes, "unsent", "128KiB", 0, BRIM_GIB, START,                                  \
      "What the kernel may hold for a client before it is sent (TCP_NOTSENT_LOWAT); 0: "           \
      "megabytes.")                                                                                \
    O(SIZE, unread_bytes, "unread", "256KiB", 0, BRIM_GIB, START,                                  \
      "What the kernel may hold of a client before it is read (SO_RCVBUF): also the most that an " \
      "upload brings in one round trip; 0: megabytes, by the kernel's own measure.")               \
    O(INT, flights, "flights", "16384", 16, 1048576, START,                                        \
      "Exchanges with origins at once; 503 above it.")

#define BRIM_CONF_ABUSE(O, S, L)                                                                   \
    O(INT, strikes, "strikes", "8", 0, 1000000, START,                                             \
      "So many budgets of HTTP/2 connections spent (each that is ended for abuse is one) ban an "  \
      "address (IPv6: a /64); 0: never.")                                                          \
    O(DURATION, window_ms, "window", "60s", 1000, BRIM_DAY_MS, START, "Within which time.")        \
    O(DURATION, ban_ms, "ban", "60s", 1000, BRIM_DAY_MS, START,                                    \
      "For how long its new connections are closed at once.")

#define BRIM_CONF_TIMEOUTS(O, S, L)                                                                \
    O(DURATION, handshake_ms, "handshake", "10s", 100, 600000, START, "TLS handshake.")            \
    O(DURATION, request_ms, "request", "30s", 100, 3600000, START,                                 \
      "Header of a request, and idle time of an HTTP/1.1 connection; a body: see "                 \
      "limits.request_rate.")                                                                      \
    O(DURATION, idle_ms, "idle", "60s", 100, 3600000, START,                                       \
      "HTTP/2 connection without a stream.")                                                       \
    O(DURATION, write_ms, "write", "60s", 100, 3600000, START,                                     \
      "Response that makes no progress because the client does not read.")

#define BRIM_CONF_SERVER(O, S, L)                                                                  \
    O(URL, url, "url", NULL, 1, 1024, LIVE, "http://host[:port] or https://host[:port], no path.") \
    O(INT, weight, "weight", "1", 1, 1000, LIVE, "Its share, beside those of the others.")         \
    O(INT, max_connections, "max_connections", "0", 0, 65536, LIVE,                                \
      "Connections to this server at once; 0: as many as the pool has.")                           \
    O(BOOL, backup, "backup", "false", 0, 0, LIVE, "Asked only when no other is in.")              \
    O(STRING, node, "node", "", 0, 64, LIVE, "Of a peer: its node.id, by which it knows itself.")

#define BRIM_CONF_ORIGIN_TLS(O, S, L)                                                              \
    O(BOOL, verify, "verify", "true", 0, 0, LIVE, "Check the certificate of https servers.")       \
    O(FILE, ca, "ca", "", 0, 4096, LIVE,                                                           \
      "PEM file with the CAs to trust, and no others; empty: the system's.")                       \
    O(STRING, server_name, "server_name", "", 0, 253, LIVE,                                        \
      "Name for SNI and the check; empty: the host of the URL.")

#define BRIM_CONF_HEALTH(O, S, L)                                                                  \
    O(STRING, path, "path", "", 0, 1024, LIVE,                                                     \
      "What servers are asked for to see whether they are up, as in `/healthz`; empty: nothing.")  \
    O(DURATION, interval_ms, "interval", "5s", 100, BRIM_DAY_MS, LIVE,                             \
      "From the end of a check to the next, give or take a tenth.")                                \
    O(DURATION, timeout_ms, "timeout", "2s", 10, 600000, LIVE, "Of the whole check.")              \
    O(STRING, status, "status", "200-399", 3, 256, LIVE,                                           \
      "Statuses of who is up, as in `200`, `200-299,404`.")                                        \
    O(STRING, body, "body", "", 0, 1024, LIVE,                                                     \
      "Text that must stand in the first 64 KiB of the answer; empty: any.")                       \
    O(STRING, host, "host", "", 0, 261, LIVE,                                                      \
      "Host field of the check; empty: the origin's, else the server's.")                          \
    O(INT, rise, "rise", "2", 1, 1000, LIVE, "Checks passed in a row after which a server is up.") \
    O(INT, fall, "fall", "3", 1, 1000, LIVE, "Checks failed in a row after which it is down.")     \
    O(CHOICE, all_down, "all_down", "fail", 0, "fail|ask", LIVE,                                   \
      "When all are down: answer stale or 503 at once, or ask them all the same.")

#define BRIM_CONF_STICKY(O, S, L)                                                                  \
    O(STRING, cookie, "cookie", "", 0, 64, LIVE,                                                   \
      "Name of the cookie that says which server a client stays with; empty: clients do not "      \
      "stay.")                                                                                     \
    O(FILE, secret, "secret", "", 0, 4096, LIVE,                                                   \
      "File with the secret that signs it, 16 bytes or more; the same on all nodes.")              \
    O(DURATION, ttl_ms, "ttl", "1h", 1000, 365 * BRIM_DAY_MS, LIVE,                                \
      "How long; given anew to who is still there after half of it.")

#define BRIM_CONF_ORIGIN(O, S, L)                                                                  \
    O(STRING, name, "name", NULL, 1, 64, LIVE,                                                     \
      "Name that sites and routes refer to: letters, digits, '-', '.', '_'.")                      \
    L(servers, "servers", BRIM_CONF_SERVER, brim_conf_server, 1, 256, "Servers of this pool.")     \
    O(CHOICE, balance, "balance", "round_robin", 0, "round_robin|least_connections|ewma|hash",     \
      LIVE,                                                                                        \
      "Which server is asked: in turn; the least busy; the quickest of two; always the same.")     \
    O(CHOICE, hash_on, "hash_on", "url", 0, "url|client|header|cookie", LIVE,                      \
      "What decides for balance: hash.")                                                           \
    O(STRING, hash_name, "hash_name", "", 0, 256, LIVE, "Of that header or cookie.")               \
    O(INT, eject_failures, "eject_failures", "5", 0, 1000000, LIVE,                                \
      "A server that fails so often in a row is left out for a while; 0: never.")                  \
    O(INT, eject_percent, "eject_percent", "50", 0, 100, LIVE,                                     \
      "Likewise one that fails in so many of 100 exchanges of the last seconds; 0: never.")        \
    O(DURATION, eject_time_ms, "eject_time", "10s", 1, BRIM_DAY_MS, LIVE,                          \
      "For how long; twice as long each time, up to 32 times.")                                    \
    O(INT, eject_max, "eject_max", "50", 0, 100, LIVE,                                             \
      "Percent of the servers that may be left out at once.")                                      \
    O(DURATION, slow_start_ms, "slow_start", "10s", 0, BRIM_DAY_MS, LIVE,                          \
      "Who is back gets its share little by little; 0: at once.")                                  \
    O(INT, retry_percent, "retry_percent", "20", 0, 100, LIVE,                                     \
      "Of the exchanges, how many (and a few) may be tried again on another server.")              \
    O(STRINGS, retry_on, "retry_on", "", 0, 32, LIVE,                                              \
      "Answers that another server is asked instead of: statuses from 500 to 599, `timeout`.")     \
    O(DURATION, hedge_ms, "hedge", "off", -1, 600000, LIVE,                                        \
      "A GET without an answer so far is asked of a second server too; the first answer counts.")  \
    O(STRING, fallback, "fallback", "", 0, 64, LIVE,                                               \
      "Origin that is asked when no server of this one is in or answers; empty: none.")            \
    O(CHOICE, tier, "tier", "origin", 0, "origin|shield|peer", LIVE,                               \
      "What its servers are: origin servers; brims of a tier above; brims beside this one.")       \
    O(BOOL, http2, "http2", "false", 0, 0, LIVE,                                                   \
      "Ask in HTTP/2: https by ALPN, else HTTP/1.1; http without asking whether it is spoken.")    \
    O(STRING, host, "host", "", 0, 261, LIVE, "Host field for the origin; empty: the client's.")   \
    O(DURATION, connect_timeout_ms, "connect_timeout", "3s", 1, 600000, LIVE,                      \
      "Connecting, TLS included.")                                                                 \
    O(DURATION, first_byte_timeout_ms, "first_byte_timeout", "30s", 1, 3600000, LIVE,              \
      "From the request sent to the first byte of the answer.")                                    \
    O(DURATION, between_bytes_timeout_ms, "between_bytes_timeout", "30s", 1, 3600000, LIVE,        \
      "Longest silence inside an answer.")                                                         \
    O(INT, pool, "pool", "128", 1, 65536, LIVE, "Connections to this origin at once.")             \
    O(INT, queue, "queue", "4096", 0, 1048576, LIVE,                                               \
      "Requests that may wait for one; 503 above it.")                                             \
    S(health, "health", BRIM_CONF_HEALTH, brim_conf_health, "Health checks of its servers.")       \
    S(sticky, "sticky", BRIM_CONF_STICKY, brim_conf_sticky,                                        \
      "Clients that stay with one server, where answers are not cached.")                          \
    S(tls, "tls", BRIM_CONF_ORIGIN_TLS, brim_conf_origin_tls, "TLS towards https servers.")

#define BRIM_CONF_RULES(O, S, L)                                                                   \
    O(BOOL, bypass, "bypass", "false", 0, 0, LIVE, "Never look up, never store.")                  \
    O(STRINGS, query_keep, "query_keep", "", 0, 256, LIVE,                                         \
      "Query parameters that count; `x*`: all that begin so; empty: all. Others are not sent.")    \
    O(STRINGS, query_drop, "query_drop", "", 0, 256, LIVE,                                         \
      "Query parameters that do not count, such as `utm_*`; they are not sent.")                   \
    O(BOOL, query_sort, "query_sort", "false", 0, 0, LIVE, "Order of parameters does not count.")  \
    O(STRINGS, key_headers, "key_headers", "", 0, 16, LIVE,                                        \
      "Request fields whose values tell answers apart, beside the origin's Vary.")                 \
    O(STRINGS, key_cookies, "key_cookies", "", 0, 16, LIVE,                                        \
      "Cookies that tell answers apart; shared requests carry these and no others.")               \
    O(STRINGS, key_languages, "key_languages", "", 0, 64, LIVE,                                    \
      "Languages there are, the default first: Accept-Language becomes the one that fits.")        \
    O(BOOL, key_device, "key_device", "false", 0, 0, LIVE,                                         \
      "Answers differ for mobile, tablet, desktop; the origin gets X-Device.")                     \
    O(BOOL, status_key, "status_key", "false", 0, 0, LIVE,                                         \
      "Cache-Status tells the key (RFC 9211 2.7).")                                                \
    O(BOOL, compress, "compress", "true", 0, 0, LIVE,                                              \
      "Send what suits it in br, zstd or gzip; see the section compress.")                         \
    O(STRINGS, compress_types, "compress_types",                                                   \
      "text/* +json +xml application/javascript application/x-javascript application/json "        \
      "application/xml application/wasm application/x-ndjson application/yaml application/sql "    \
      "application/rtf application/x-sh application/graphql application/vnd.ms-fontobject "        \
      "application/x-font-ttf application/x-font-opentype font/ttf font/otf font/collection "      \
      "image/bmp image/x-icon image/vnd.microsoft.icon",                                           \
      0, 256, LIVE, "Media types that suit it: whole, all of `text/*`, or by their end, `+json`.") \
    O(BOOL, ignore_request_control, "ignore_request_control", "false", 0, 0, LIVE,                 \
      "Ignore Cache-Control and Pragma of clients.")                                               \
    O(STRINGS, targets, "targets", "cdn-cache-control", 0, 16, LIVE,                               \
      "Response fields that go before Cache-Control and Expires (RFC 9213), the first first.")     \
    O(STRINGS, tags, "tags", "surrogate-key cache-tag", 0, 16, LIVE,                               \
      "Response fields that name purge tags; they are not passed on.")                             \
    O(CHOICE, set_cookie, "set_cookie", "refuse", 0, "refuse|strip|store", LIVE,                   \
      "Response with Set-Cookie: stored only with public or s-maxage; without the cookie; as is.") \
    O(BOOL, s_maxage_stale, "s_maxage_stale", "false", 0, 0, LIVE,                                 \
      "stale-while-revalidate and stale-if-error of an origin count beside its s-maxage.")         \
    O(STRING, use_as_dictionary, "use_as_dictionary", "", 0, 1024, LIVE,                           \
      "Use-As-Dictionary for a stored 200 that has none, as in `match=\"/app/*/main.js\"`.")       \
    O(DURATION, default_ttl_ms, "default_ttl", "off", -1, 3650 * BRIM_DAY_MS, LIVE,                \
      "Lifetime of a response that gives none; off: heuristic of RFC 9111.")                       \
    O(DURATION, max_ttl_ms, "max_ttl", "off", -1, 3650 * BRIM_DAY_MS, LIVE,                        \
      "No lifetime beyond it.")                                                                    \
    O(DURATION, negative_ttl_ms, "negative_ttl", "10s", -1, 3650 * BRIM_DAY_MS, LIVE,              \
      "Lifetime of a 404, 405, 410, 414 or 501 that gives none.")                                  \
    O(DURATION, swr_ms, "stale_while_revalidate", "0", 0, 3650 * BRIM_DAY_MS, LIVE,                \
      "For a response that says nothing about it.")                                                \
    O(INT, ahead_percent, "refresh_ahead", "0", 0, 99, LIVE,                                       \
      "Percent of its lifetime, at the end, in which a popular object is revalidated; 0: never.")  \
    O(DURATION, grace_ms, "grace", "0", 0, 3650 * BRIM_DAY_MS, LIVE,                               \
      "stale-if-error for a response that says nothing about it.")

#define BRIM_CONF_ENV(O, S, L)                                                                     \
    O(STRING, name, "name", NULL, 1, 64, LIVE, "Name in brim.env.")                                \
    O(STRING, value, "value", "", 0, 4096, LIVE, "Its value, a text.")

#define BRIM_CONF_HANDLERS(O, S, L)                                                                \
    O(FILE, file, "file", "", 0, 4096, LIVE,                                                       \
      "Lua file that returns a table of handlers; empty: none (in a route: the site's).")          \
    O(STRING, root, "root", "", 0, 4096, LIVE,                                                     \
      "Directory that `require` reads below; empty: the file's.")                                  \
    O(DURATION, cpu_ms, "cpu", "10ms", 1, 10000, LIVE,                                             \
      "CPU time of one request, over all its handlers.")                                           \
    O(DURATION, wall_ms, "wall", "1s", 1, 600000, LIVE,                                            \
      "From a request's first handler to the end of its last.")                                    \
    O(SIZE, memory_bytes, "memory", "4MiB", 65536, BRIM_GIB, LIVE,                                 \
      "Memory that one request may take.")                                                         \
    O(SIZE, vm_memory_bytes, "vm_memory", "64MiB", BRIM_MIB, 16 * BRIM_GIB, LIVE,                  \
      "Memory of all requests that a worker runs in this file.")                                   \
    O(INT, fetches, "fetches", "16", 0, 1000, LIVE, "brim.fetch calls of one request.")            \
    O(SIZE, fetch_bytes, "fetch_body", "1MiB", 0, 64 * BRIM_MIB, LIVE,                             \
      "Body that one of them brings; Lua's copy counts as memory.")                                \
    O(CHOICE, on_error, "on_error", "fail", 0, "fail|bypass", LIVE,                                \
      "A handler that fails or is stopped: answer 500, or go on without it.")                      \
    O(BOOL, debug, "debug", "false", 0, 0, LIVE,                                                   \
      "Show the client why a handler failed; only if every listener is on this machine alone.")    \
    O(FILE, test, "test", "", 0, 4096, LIVE,                                                       \
      "Test file (brim lua test) that must pass before the handlers come into force; empty: "      \
      "none.")                                                                                     \
    L(env, "env", BRIM_CONF_ENV, brim_conf_env, 0, 1000, "Constants for the handlers: brim.env.")

#define BRIM_CONF_ACCESS(O, S, L)                                                                  \
    O(STRINGS, allow, "allow", "", 0, 100000, LIVE,                                                \
      "Addresses and blocks (10.0.0.0/8) that may ask; if there are any, nobody else may.")        \
    O(STRINGS, deny, "deny", "", 0, 100000, LIVE,                                                  \
      "Those that may not. The longest block that an address is in decides.")                      \
    O(FILE, allow_file, "allow_file", "", 0, 4096, LIVE,                                           \
      "File with more of allow, one a line; `#` begins a comment.")                                \
    O(FILE, deny_file, "deny_file", "", 0, 4096, LIVE, "Likewise of deny.")                        \
    O(BOOL, certificate, "certificate", "false", 0, 0, LIVE,                                       \
      "Only clients with a certificate that the listener has verified (tls.client_verify).")

#define BRIM_CONF_RATE_LIMIT(O, S, L)                                                              \
    O(INT, requests, "requests", "0", 0, 1000000000, LIVE,                                         \
      "Requests that one client may make in `per`; 429 above it; 0: any number.")                  \
    O(DURATION, per_ms, "per", "1s", 1, BRIM_DAY_MS, LIVE, "In which time.")                       \
    O(INT, burst, "burst", "0", 0, 1000000000, LIVE,                                               \
      "Of them at once, after a rest; 0: as many as requests.")                                    \
    O(CHOICE, by, "by", "address", 0, "address|header|cookie|jwt", LIVE,                           \
      "Who is one client: an address (IPv6: its /64), or who sends the same header or cookie; "    \
      "jwt: the "                                                                                  \
      "subject (sub) of the token that the jwt gate has let in.")                                  \
    O(STRING, name, "name", "", 0, 256, LIVE,                                                      \
      "Of that header or cookie; who has none goes by address.")                                   \
    O(BOOL, fields, "fields", "true", 0, 0, LIVE, "Tell clients in RateLimit-Policy and RateLimit.")

#define BRIM_CONF_CORS(O, S, L)                                                                    \
    O(STRINGS, origins, "origins", "", 0, 256, LIVE,                                               \
      "Pages that may read answers: https://app.example.com, https://*.example.com, `*` for all; " \
      "empty: what the origin says goes out as it is.")                                            \
    O(STRINGS, methods, "methods", "GET HEAD POST", 1, 32, LIVE, "What they may ask with.")        \
    O(STRINGS, headers, "headers", "", 0, 64, LIVE, "Request fields of theirs; `*`: any.")         \
    O(STRINGS, expose, "expose", "", 0, 64, LIVE, "Response fields that they may read.")           \
    O(BOOL, credentials, "credentials", "false", 0, 0, LIVE, "With cookies; not beside `*`.")      \
    O(DURATION, max_age_ms, "max_age", "10m", 0, BRIM_DAY_MS, LIVE,                                \
      "How long a browser may remember what a preflight said.")

#define BRIM_CONF_SECURITY_HEADERS(O, S, L)                                                        \
    O(CHOICE, preset, "preset", "off", 0, "off|basic|strict", LIVE,                                \
      "X-Content-Type-Options, Referrer-Policy, X-Frame-Options; strict: also a "                  \
      "Content-Security-Policy and isolation. What the origin sets stays.")                        \
    O(DURATION, hsts_ms, "hsts", "0", 0, 3650 * BRIM_DAY_MS, LIVE,                                 \
      "Strict-Transport-Security over https, for how long; 0: none.")                              \
    O(BOOL, hsts_subdomains, "hsts_subdomains", "false", 0, 0, LIVE, "And for names below.")       \
    O(BOOL, hsts_preload, "hsts_preload", "false", 0, 0, LIVE, "And for the lists of browsers.")

#define BRIM_CONF_BASIC_AUTH(O, S, L)                                                              \
    O(FILE, file, "file", "", 0, 4096, LIVE,                                                       \
      "File with USER:HASH a line (htpasswd -B); empty: nobody is asked for a password.")          \
    O(STRING, realm, "realm", "brim", 1, 200, LIVE, "In WWW-Authenticate.")                        \
    O(BOOL, strip, "strip", "false", 0, 0, LIVE, "The origin does not get user and password.")

#define BRIM_CONF_SIGNED_URL(O, S, L)                                                              \
    O(FILE, key, "key", "", 0, 4096, LIVE,                                                         \
      "File with a key a line, as `brim sign` takes it; empty: URLs need no signature.")

#define BRIM_CONF_JWT(O, S, L)                                                                     \
    O(CHOICE, alg, "alg", "off", 0,                                                                \
      "off|HS256|HS384|HS512|RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512", LIVE,         \
      "The one algorithm that tokens may have (PS256 to PS512: where libjwt knows them, Debian "   \
      "12's "                                                                                      \
      "does not); off: nobody is asked for a token.")                                              \
    O(FILE, key, "key", "", 0, 4096, LIVE,                                                         \
      "File with the secret, the public key (PEM) or a JSON Web Key Set.")                         \
    O(STRING, jwks_url, "jwks_url", "", 0, 1024, LIVE,                                             \
      "In its place: where the key set is fetched, of a host that a site serves, or a path.")      \
    O(STRING, jwks_origin, "jwks_origin", "", 0, 64, LIVE,                                         \
      "Origin that is asked for it; empty: that of the URL's site and route.")                     \
    O(DURATION, jwks_refresh_ms, "jwks_refresh", "5m", 1000, BRIM_DAY_MS, LIVE,                    \
      "How long fetched keys are used before they are fetched again.")                             \
    O(STRING, issuer, "issuer", "", 0, 1024, LIVE, "What iss must be; empty: anything.")           \
    O(STRINGS, audience, "audience", "", 0, 64, LIVE,                                              \
      "One of these must be in aud; empty: anything.")                                             \
    O(DURATION, leeway_ms, "leeway", "30s", 0, 3600000, LIVE, "Clock skew for exp and nbf.")       \
    O(BOOL, require_exp, "require_exp", "true", 0, 0, LIVE, "A token without exp is refused.")     \
    O(STRING, cookie, "cookie", "", 0, 256, LIVE,                                                  \
      "Cookie that may hold the token where there is no Authorization: Bearer.")                   \
    O(STRING, realm, "realm", "brim", 1, 256, LIVE, "In WWW-Authenticate.")                        \
    O(STRING, revoked, "revoked", "", 0, 64, LIVE,                                                 \
      "Store (brim kv) of tokens that are refused; empty: none.")                                  \
    O(STRING, revoked_claim, "revoked_claim", "jti", 1, 256, LIVE,                                 \
      "Claim whose value is the key in it.")                                                       \
    O(STRINGS, claims, "claims", "", 0, 16, LIVE,                                                  \
      "Claims that the origin is told, as in `sub=X-User`; answers then differ by them.")          \
    O(BOOL, strip, "strip", "false", 0, 0, LIVE, "The origin does not get the token.")

#define BRIM_CONF_RYW(O, S, L)                                                                     \
    O(DURATION, for_ms, "for", "0", 0, BRIM_DAY_MS, LIVE,                                          \
      "How long after its last write; longer than replicas lag; 0: not at all.")                   \
    O(FILE, secret, "secret", "", 0, 4096, LIVE,                                                   \
      "File with the secret that signs the cookie, 16 bytes or more; the same on all nodes.")      \
    O(STRING, cookie, "cookie", "brim_wrote", 1, 64, LIVE, "Name of the cookie.")

#define BRIM_CONF_ROUTE_HEADER(O, S, L)                                                            \
    O(STRING, name, "name", NULL, 1, 256, LIVE, "Name of the request field.")                      \
    O(STRING, value, "value", "", 0, 1024, LIVE, "It is this, letter by letter.")                  \
    O(STRING, prefix, "prefix", "", 0, 1024, LIVE, "It begins so.")                                \
    O(BOOL, present, "present", "true", 0, 0, LIVE, "It is there; false: it is not.")

#define BRIM_CONF_REWRITE(O, S, L)                                                                 \
    O(STRING, prefix, "prefix", "", 0, 1024, LIVE,                                                 \
      "Beginning of the path that is replaced on the way to the origin; empty: none.")             \
    O(STRING, to, "to", "/", 1, 1024, LIVE, "What stands there instead.")

#define BRIM_CONF_ROUTE(O, S, L)                                                                   \
    O(STRING, path, "path", NULL, 1, 1024, LIVE,                                                   \
      "Prefix (`/img/`) or glob (`*.css`, `/a/*/b`: * any run without /, ** any run, ? one).")     \
    O(STRINGS, methods, "methods", "", 0, 16, LIVE,                                                \
      "Only requests with these methods; GET stands for HEAD too; empty: all.")                    \
    L(headers, "headers", BRIM_CONF_ROUTE_HEADER, brim_conf_route_header, 0, 16,                   \
      "Only requests of whose fields all this holds.")                                             \
    O(STRING, origin, "origin", "", 0, 64, LIVE, "Origin; empty: the site's.")                     \
    O(STRING, write_origin, "write_origin", "", 0, 64, LIVE,                                       \
      "Origin for other methods than GET, HEAD and OPTIONS; empty: the site's, or, in a route "    \
      "with an origin of its own, that.")                                                          \
    O(STRING, host, "host", "", 0, 261, LIVE,                                                      \
      "Host field for the origin; empty: what the origin's own `host` says.")                      \
    S(rewrite, "rewrite", BRIM_CONF_REWRITE, brim_conf_rewrite,                                    \
      "The path that the origin is asked for, where it is not the client's.")                      \
    S(access, "access", BRIM_CONF_ACCESS, brim_conf_access,                                        \
      "Who may ask, beside what the site says.")                                                   \
    S(rate_limit, "rate_limit", BRIM_CONF_RATE_LIMIT, brim_conf_rate_limit,                        \
      "How often, beside what the site says.")                                                     \
    S(jwt, "jwt", BRIM_CONF_JWT, brim_conf_jwt, "Only with a token; what is not set: the site's.") \
    S(basic_auth, "basic_auth", BRIM_CONF_BASIC_AUTH, brim_conf_basic_auth,                        \
      "Only with a password; what is not set: the site's.")                                        \
    S(signed_url, "signed_url", BRIM_CONF_SIGNED_URL, brim_conf_signed_url,                        \
      "Only by a signed URL; what is not set: the site's.")                                        \
    S(cors, "cors", BRIM_CONF_CORS, brim_conf_cors,                                                \
      "Which pages of other origins may read it; what is not set: the site's.")                    \
    S(security_headers, "security_headers", BRIM_CONF_SECURITY_HEADERS,                            \
      brim_conf_security_headers,                                                                  \
      "What browsers are told to be careful with; what is not set: the site's.")                   \
    S(handlers, "handlers", BRIM_CONF_HANDLERS, brim_conf_handlers, "Lua handlers of the route.")  \
    S(cache, "cache", BRIM_CONF_RULES, brim_conf_rules, "Cache rules; what is not set: the site's.")

#define BRIM_CONF_SITE(O, S, L)                                                                    \
    O(STRINGS, hosts, "hosts", NULL, 1, 1000, LIVE,                                                \
      "Host names: example.com, *.example.com, or * for every other.")                             \
    O(STRING, origin, "origin", NULL, 1, 64, LIVE, "Name of its origin.")                          \
    O(STRING, write_origin, "write_origin", "", 0, 64, LIVE,                                       \
      "Origin for other methods than GET, HEAD and OPTIONS; empty: the same.")                     \
    S(read_your_writes, "read_your_writes", BRIM_CONF_RYW, brim_conf_ryw,                          \
      "Clients that have written read from write_origin, past the cache, for a while.")            \
    O(FILE, error_page, "error_page", "", 0, 4096, LIVE,                                           \
      "File shown when no origin has an answer (502, 503, 504); empty: a line of text.")           \
    O(CHOICE, forwarded, "forwarded", "x-forwarded", 0, "x-forwarded|forwarded|both|none", LIVE,   \
      "How the origin learns the client: X-Forwarded-For/-Proto/-Host, Forwarded (RFC 7239).")     \
    O(CHOICE, origin_coding, "origin_coding", "gzip", 0, "gzip|br|identity", LIVE,                 \
      "What the origin is asked for: gzip, br or gzip, or no content coding.")                     \
    O(CHOICE, trace, "trace", "accept", 0, "off|accept|create", LIVE,                              \
      "W3C traceparent: as it comes; a client's goes on as our span; begun where there is none.")  \
    O(BOOL, server_timing, "server_timing", "false", 0, 0, LIVE,                                   \
      "Server-Timing tells how long brim and the origin took.")                                    \
    O(CHOICE, redirect_https, "redirect_https", "off", 0, "off|301|308", LIVE,                     \
      "Requests in cleartext are sent to https, port 443.")                                        \
    O(STRING, acme_webroot, "acme_webroot", "", 0, 4000, LIVE,                                     \
      "Directory where an ACME client puts its answers (http-01); empty: none.")                   \
    O(STRING, subject_field, "subject_field", "", 0, 64, LIVE,                                     \
      "Field that tells the origin the subject of a client's verified certificate; answers then "  \
      "differ by it.")                                                                             \
    S(access, "access", BRIM_CONF_ACCESS, brim_conf_access, "Who may ask.")                        \
    S(purge, "purge", BRIM_CONF_ACCESS, brim_conf_access,                                          \
      "Who may send PURGE for an exact URL; without allow nobody: 405.")                           \
    S(rate_limit, "rate_limit", BRIM_CONF_RATE_LIMIT, brim_conf_rate_limit, "How often.")          \
    S(jwt, "jwt", BRIM_CONF_JWT, brim_conf_jwt, "Only with a JSON Web Token.")                     \
    S(basic_auth, "basic_auth", BRIM_CONF_BASIC_AUTH, brim_conf_basic_auth,                        \
      "Only with user and password.")                                                              \
    S(signed_url, "signed_url", BRIM_CONF_SIGNED_URL, brim_conf_signed_url,                        \
      "Only by a URL with a signature.")                                                           \
    S(cors, "cors", BRIM_CONF_CORS, brim_conf_cors, "Which pages of other origins may read it.")   \
    S(security_headers, "security_headers", BRIM_CONF_SECURITY_HEADERS,                            \
      brim_conf_security_headers, "What browsers are told to be careful with.")                    \
    S(handlers, "handlers", BRIM_CONF_HANDLERS, brim_conf_handlers, "Lua handlers of the site.")   \
    S(cache, "cache", BRIM_CONF_RULES, brim_conf_rules, "Cache rules of the site.")                \
    L(routes, "routes", BRIM_CONF_ROUTE, brim_conf_route, 0, 10000,                                \
      "Path rules; the longest prefix wins, a glob before a prefix, the first glob first; for "    \
      "one "                                                                                       \
      "path those with conditions first.")

#define BRIM_CONF_ROOT(O, S, L)                                                                    \
    S(node, "node", BRIM_CONF_NODE, brim_conf_node, "The process.")                                \
    S(log, "log", BRIM_CONF_LOG, brim_conf_log, "Error log.")                                      \
    S(access_log, "access_log", BRIM_CONF_ACCESS_LOG, brim_conf_access_log, "Access log.")         \
    L(listeners, "listeners", BRIM_CONF_LISTENER, brim_conf_listener, 1, 64,                       \
      "Where clients connect.")                                                                    \
    S(admin, "admin", BRIM_CONF_ADMIN, brim_conf_admin, "Admin listener.")                         \
    S(cache, "cache", BRIM_CONF_CACHE, brim_conf_cache, "Hot and disk tier.")                      \
    S(kv, "kv", BRIM_CONF_KV, brim_conf_kv, "Named stores (brim.kv in handlers, `brim kv`).")      \
    S(dns, "dns", BRIM_CONF_DNS, brim_conf_dns, "Names of origin servers.")                        \
    S(compress, "compress", BRIM_CONF_COMPRESS, brim_conf_compress, "Content codings.")            \
    S(limits, "limits", BRIM_CONF_LIMITS, brim_conf_limits, "What is refused.")                    \
    S(abuse, "abuse", BRIM_CONF_ABUSE, brim_conf_abuse, "Clients that attack over HTTP/2.")        \
    S(timeouts, "timeouts", BRIM_CONF_TIMEOUTS, brim_conf_timeouts, "Client side.")                \
    L(origins, "origins", BRIM_CONF_ORIGIN, brim_conf_origin, 1, 10000, "Pools of servers.")       \
    L(sites, "sites", BRIM_CONF_SITE, brim_conf_site, 1, 10000, "Host names and what they get.")

#endif
