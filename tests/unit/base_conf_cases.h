/* SPDX-License-Identifier: MIT */
/*
 * What a config must not hold, and what is said about it: input, then all fault lines with the name
 * of the file left out. Sorted by what is tested.
 */
#ifndef BRIM_TESTS_BASE_CONF_CASES_H
#define BRIM_TESTS_BASE_CONF_CASES_H

#define LISTENERS "listeners: [{address: \":8080\"}]\n"
#define ORIGINS   "origins: [{name: app, servers: [{url: \"http://127.0.0.1:8000\"}]}]\n"
#define SITES     "sites: [{hosts: \"*\", origin: app}]\n"
#define REST      LISTENERS ORIGINS SITES /* what makes any other section a whole config */

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

#define ROOT_KEYS                                                                                  \
    "accepted: a mapping with node, log, access_log, listeners, admin, cache, kv, dns, compress, " \
    "limits, abuse, timeouts, origins, sites\n"
#define ROOT_WORDS                                                                                 \
    "accepted: node, log, access_log, listeners, admin, cache, kv, dns, compress, limits, abuse, " \
    "timeouts, origins, sites\n"
#define NODE_KEYS                                                                                  \
    "accepted: a mapping with workers, fetchers, io_threads, io_queue, dict, spare_memory, geo, "  \
    "id, "                                                                                         \
    "seccomp, core_dumps, tier_secret, "                                                           \
    "drain_timeout\n"
#define LISTENERS_ACCEPTED                                                                         \
    "accepted: a sequence of 1 to 64 mappings with address, socket, proxy_protocol, tls\n"
#define ORIGINS_ACCEPTED                                                                           \
    "accepted: a sequence of 1 to 10000 mappings with name, servers, balance, hash_on, "           \
    "hash_name, eject_failures, eject_percent, eject_time, eject_max, slow_start, "                \
    "retry_percent, retry_on, hedge, fallback, tier, http2, host, connect_timeout, "               \
    "first_byte_timeout, between_bytes_timeout, pool, queue, health, sticky, tls\n"
#define SITE_KEYS                                                                                  \
    "hosts, origin, write_origin, "                                                                \
    "read_your_writes, error_page, forwarded, origin_coding, "                                     \
    "trace, server_timing, redirect_https, acme_webroot, subject_field, access, purge, "           \
    "rate_limit, jwt, "                                                                            \
    "basic_auth, "                                                                                 \
    "signed_url, "                                                                                 \
    "cors, security_headers, handlers, cache, "                                                    \
    "routes\n"
#define SITES_ACCEPTED "accepted: a sequence of 1 to 10000 mappings with " SITE_KEYS
#define WORKERS        "accepted: whole number from 0 to 256\n"
#define DISK           "accepted: size from 4MiB to 1024TiB, as in 4096, 64KiB, 1MB, 20GiB\n"
#define DRAIN          "accepted: duration from 0 to 1h, as in 250ms, 30s, 5m, 12h, 7d\n"
#define ADDRESS_FORMS  "accepted: IPV4:PORT, [IPV6]:PORT, :PORT, unix:/PATH\n"
#define URL_FORMS      "accepted: http://host[:port], https://host[:port]\n"
#define NO_NAMESERVER                                                                              \
    "is not an address of a name server; accepted: as in 10.0.0.2, 10.0.0.2:53, [2001:db8::2], "   \
    "[2001:db8::2]:53\n"
#define HOSTS                                                                                      \
    "accepted: example.com, *.example.com, * (no port, no dot at the end, other scripts as "       \
    "xn--)\n"
#define HOST_COUNT  "accepted: one text, or a sequence of 1 to 1000\n"
#define ROUTE_PATHS "accepted: text that begins with / or *, without blanks and #\n"
#define NAMES       "accepted: letters, digits, '-', '.', '_'\n"

static const struct bad_case {
    const char *input;
    const char *faults;
} bad_cases[] = {
    {"", ":1: the file is empty; " ROOT_KEYS},
    {"# only a comment\n", ":1: the file is empty; " ROOT_KEYS},
    {"- a\n", ":1: the file is a sequence; " ROOT_KEYS},
    {"just text\n", ":1: the file is a single value; " ROOT_KEYS},
    {"node: {}\n", ":1: listeners: is missing and has no default; " LISTENERS_ACCEPTED
                   ":1: origins: is missing and has no default; " ORIGINS_ACCEPTED
                   ":1: sites: is missing and has no default; " SITES_ACCEPTED},
    {REST "nodes: {}\n", ":4: nodes: unknown key, perhaps \"node\"; " ROOT_WORDS},
    {REST "cache: {grace: 1h}\n", ":4: cache.grace: unknown key here: it stands in sites[].cache; "
                                  "accepted: path, disk, memory, segment, memory_object, "
                                  "max_object, slice, window, max_dictionary, deltas, admit, "
                                  "write_queue, purge_epochs, pass_ttl, remember\n"},
    {LISTENERS ORIGINS "sites:\n- hosts: a\n  origin: app\n  default_ttl: 1h\n",
     ":6: sites[0].default_ttl: unknown key here: it stands in sites[0].cache; "
     "accepted: " SITE_KEYS},
    {REST "zzz: 1\n", ":4: zzz: unknown key; " ROOT_WORDS},
    {"node:\n  wokers: 4\n" REST, ":2: node.wokers: unknown key, perhaps \"workers\"; accepted: "
                                  "workers, fetchers, io_threads, io_queue, dict, spare_memory, "
                                  "geo, id, seccomp, core_dumps, tier_secret, "
                                  "drain_timeout\n"},
    {"node: {workers: 1, workers: 2}\n" REST,
     ":1: node.workers: was given before, in line 1; accepted: once\n"},
    {"node:\n  id: a\n" REST "node:\n  id: b\n",
     ":6: node: was given before, in line 1; accepted: once\n"},
    {"node: [1]\n" REST, ":1: node: is a sequence; " NODE_KEYS},
    {"node: 7\n" REST, ":1: node: is a single value; " NODE_KEYS},
    {"node: {workers: {a: 1}}\n" REST, ":1: node.workers: is a mapping; " WORKERS},
    {"node: {workers: [1]}\n" REST, ":1: node.workers: is a sequence; " WORKERS},
    {"node: {workers: }\n" REST, ":1: node.workers: has no value; " WORKERS},
    {"node: {id: ~}\n" REST, ":1: node.id: has no value; accepted: text of 1 to 64 bytes\n"},
    {"node: {[a]: 1}\n" REST, ":1: node: a key is a sequence; accepted: the name of an option\n"},
    {"? {a: b}\n: 1\n" REST, ":1: a key is a mapping; accepted: the name of an option\n"},
    {"listeners: {address: \":80\"}\n" ORIGINS SITES,
     ":1: listeners: is a mapping; " LISTENERS_ACCEPTED},
    {"listeners: []\n" ORIGINS SITES, ":1: listeners: has 0 members; " LISTENERS_ACCEPTED},
    {"listeners:\n" ORIGINS SITES, ":1: listeners: has no value; " LISTENERS_ACCEPTED},
    {"listeners: [\":80\"]\n" ORIGINS SITES, ":1: listeners[0]: is a single value; accepted: a "
                                             "mapping with address, socket, proxy_protocol, tls\n"},
    {ORIGINS SITES, ":1: listeners: is missing and has no default; " LISTENERS_ACCEPTED},
    {"node: {workers: many}\n" REST, ":1: node.workers: \"many\" is not a whole number; " WORKERS},
    {"node: {workers: -1}\n" REST, ":1: node.workers: \"-1\" is out of range; " WORKERS},
    {"node: {workers: 257}\n" REST, ":1: node.workers: \"257\" is out of range; " WORKERS},
    {"node: {workers: 99999999999999999999}\n" REST,
     ":1: node.workers: \"99999999999999999999\" is out of range; " WORKERS},
    {"node: {workers: 010}\n" REST, ":1: node.workers: \"010\" is not a whole number; " WORKERS},
    {"node: {workers: 1.5}\n" REST, ":1: node.workers: \"1.5\" is not a whole number; " WORKERS},
    {"node: {workers: 0x10}\n" REST, ":1: node.workers: \"0x10\" is not a whole number; " WORKERS},
    {"node: {workers: \"4 \"}\n" REST, ":1: node.workers: \"4 \" is not a whole number; " WORKERS},
    {"node: {workers: \"4\\0\"}\n" REST, ":1: node.workers: \"4\" has a NUL byte; " WORKERS},
    {"cache: {disk: 1MiB}\n" REST, ":1: cache.disk: \"1MiB\" is out of range; " DISK},
    {"cache: {disk: 20}\n" REST, ":1: cache.disk: \"20\" is out of range; " DISK},
    {"cache: {disk: 1.5GiB}\n" REST, ":1: cache.disk: \"1.5GiB\" is not a size; " DISK},
    {"cache: {disk: -1}\n" REST, ":1: cache.disk: \"-1\" is not a size; " DISK},
    {"cache: {disk: 20 GiB}\n" REST, ":1: cache.disk: \"20 GiB\" is not a size; " DISK},
    {"cache: {disk: 20gib}\n" REST, ":1: cache.disk: \"20gib\" is not a size; " DISK},
    {"cache: {disk: 99999999999TiB}\n" REST,
     ":1: cache.disk: \"99999999999TiB\" is out of range; " DISK},
    {"cache: {disk: 9223372036854775807TiB}\n" REST,
     ":1: cache.disk: \"9223372036854775807TiB\" is out of range; " DISK},
    {"node: {drain_timeout: 30}\n" REST, ":1: node.drain_timeout: \"30\" has no unit; " DRAIN},
    {"node: {drain_timeout: 2h}\n" REST, ":1: node.drain_timeout: \"2h\" is out of range; " DRAIN},
    {"node: {drain_timeout: 5 m}\n" REST,
     ":1: node.drain_timeout: \"5 m\" is not a duration; " DRAIN},
    {"node: {drain_timeout: 1h30m}\n" REST,
     ":1: node.drain_timeout: \"1h30m\" is not a duration; " DRAIN},
    {"node: {drain_timeout: off}\n" REST,
     ":1: node.drain_timeout: \"off\" is not possible here; " DRAIN},
    {"node: {drain_timeout: 9223372036854775807d}\n" REST,
     ":1: node.drain_timeout: \"9223372036854775807d\" is out of range; " DRAIN},
    {"node: {drain_timeout: -5s}\n" REST,
     ":1: node.drain_timeout: \"-5s\" is not a duration; " DRAIN},
    {"node: {drain_timeout: soon}\n" REST,
     ":1: node.drain_timeout: \"soon\" is not a duration; " DRAIN},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h\"}], connect_timeout: 0}]\n" SITES,
     ":2: origins[0].connect_timeout: \"0\" is out of range; accepted: duration from 1ms to 10m, "
     "as in 250ms, 30s, 5m, 12h, 7d\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, cache: {max_ttl: 4000d}}]\n",
     ":3: sites[0].cache.max_ttl: \"4000d\" is out of range; accepted: duration from 0 to 3650d, "
     "or off, as in 250ms, 30s, 5m, 12h, 7d\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h\"}], tls: {verify: yes}}]\n" SITES,
     ":2: origins[0].tls.verify: \"yes\" is neither true nor false; accepted: true, false\n"},
    {"log: {level: loud}\n" REST,
     ":1: log.level: \"loud\" is not one of the choices; accepted: error, warn, info, debug\n"},
    {"node: {id: \"\"}\n" REST, ":1: node.id: \"\" is empty; accepted: text of 1 to 64 bytes\n"},
    {"node: {id: \"a b\"}\n" REST, ":1: node.id: \"a b\" is not a name; " NAMES},
    {"node: {id: \"" X64 "x\"}\n" REST,
     ":1: node.id: \"" X64 "...\" is too long; accepted: text of 1 to 64 bytes\n"},
    {"node: {id: \"a\\nb\"}\n" REST,
     ":1: node.id: \"a?b\" has a control character; accepted: text of 1 to 64 bytes\n"},
    {LISTENERS
     "origins: [{name: app, servers: [{url: \"http://h\"}], host: \"a\\r\\nX: y\"}]\n" SITES,
     ":2: origins[0].host: \"a??X: y\" has a control character; accepted: text of 0 to 261 "
     "bytes\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h\"}], host: \"a/b\"}]\n" SITES,
     ":2: origins[0].host: \"a/b\" is not a host; accepted: host[:port], or \"\"\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h\"}], tls: {server_name: "
               "\"*.example.com\"}}]\n" SITES,
     ":2: origins[0].tls.server_name: \"*.example.com\" is not a host name; accepted: a host name, "
     "or \"\"\n"},
    {"listeners: [{address: \"8080\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"8080\" has no port; " ADDRESS_FORMS},
    {"listeners: [{address: \"localhost:80\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"localhost:80\" is not a numeric address with a "
     "port; " ADDRESS_FORMS},
    {"listeners: [{address: \":0\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \":0\" has no port from 1 to 65535; " ADDRESS_FORMS},
    {"listeners: [{address: \":65536\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \":65536\" has no port from 1 to 65535; " ADDRESS_FORMS},
    {"listeners: [{address: \":080\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \":080\" has no port from 1 to 65535; " ADDRESS_FORMS},
    {"listeners: [{address: \"1.2.3:80\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"1.2.3:80\" is not a numeric address with a port; " ADDRESS_FORMS},
    {"listeners: [{address: \"::1:80\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"::1:80\" is not a numeric address with a port; " ADDRESS_FORMS},
    {"listeners: [{address: \"[::1]\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"[::1]\" is not a numeric address with a port; " ADDRESS_FORMS},
    {"listeners: [{address: \"unix:run/x\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"unix:run/x\" has no absolute path; " ADDRESS_FORMS},
    {"listeners: [{address: \"256.1.1.1:80\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"256.1.1.1:80\" is not a numeric address with a "
     "port; " ADDRESS_FORMS},
    {"listeners: [{address: \"unix:/" X64
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: "
     "\"unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" has a path longer "
     "than 107 bytes; " ADDRESS_FORMS},
    {"listeners: [{address: \":80\"}, {address: \"[::]:80\"}]\n" ORIGINS SITES,
     ":1: listeners[1].address: \"[::]:80\" is also listeners[0].address; accepted: each once\n"},
    {"listeners: [{address: \"127.0.0.1:9900\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: \"127.0.0.1:9900\" is also admin.address; accepted: each once\n"},
    {"admin: {address: \":9900\"}\n" REST,
     ":1: admin.address: \":9900\" is open to other hosts; "
     "accepted: 127.0.0.1:PORT, [::1]:PORT, unix:/PATH; any other "
     "with admin.token\n"},
    {"dns: {nameservers: [ns.example, \"10.0.0.2:0\", 10.0.0.2]}\n" REST,
     ":1: dns.nameservers[0]: \"ns.example\" " NO_NAMESERVER
     ":1: dns.nameservers[1]: \"10.0.0.2:0\" " NO_NAMESERVER},
    {"dns: {nameservers: [\"2001:db8::2\", \"[2001:db8::2\", \"[10.0.0.2]:53\"]}\n" REST,
     ":1: dns.nameservers[0]: \"2001:db8::2\" " NO_NAMESERVER
     ":1: dns.nameservers[1]: \"[2001:db8::2\" " NO_NAMESERVER
     ":1: dns.nameservers[2]: \"[10.0.0.2]:53\" " NO_NAMESERVER},
    {"dns: {nameservers: [\"[2001:db8::2]:\", \"[2001:db8::2]53\", \"[2001:db8::2]\"]}\n" REST,
     ":1: dns.nameservers[0]: \"[2001:db8::2]:\" " NO_NAMESERVER
     ":1: dns.nameservers[1]: \"[2001:db8::2]53\" " NO_NAMESERVER},
    {"dns: {ttl_min: 2m, ttl_max: 1m}\n" REST,
     ":1: dns.ttl_min: is longer than dns.ttl_max; accepted: at most that\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"h\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"h\" has neither http:// nor https://; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"ftp://h\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"ftp://h\" has neither http:// nor https://; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http:/h\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http:/h\" has neither http:// nor https://; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://\" has no valid host; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h/path\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://h/path\" has a path or query; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h?x\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://h?x\" has a path or query; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://u:p@h\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://u:p@h\" has a user or password; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h:0\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://h:0\" has no port from 1 to 65535; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h:x\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://h:x\" has no port from 1 to 65535; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://[::1\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://[::1\" has no valid host; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://a..b\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://a..b\" has no valid host; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"HTTP://h\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"HTTP://h\" has neither http:// nor https://; " URL_FORMS},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h:1:2\"}]}]\n" SITES,
     ":2: origins[0].servers[0].url: \"http://h:1:2\" has no port from 1 to 65535; " URL_FORMS},
    {"listeners: [{address: '127.0.0.1:80'}, {address: ':81'}]\n"
     "origins: [{name: a, servers: [{url: 'http://h'}]}]\n"
     "sites: [{hosts: [a], origin: a, routes: [{path: /x, handlers: {debug: true}}]}]\n",
     ":3: sites[0].routes[0].handlers.debug: would show errors to other hosts; accepted: true only "
     "where every listener is 127.0.0.1:PORT, [::1]:PORT or unix:/PATH\n"},
    {"listeners: [{address: ':81'}]\n"
     "origins: [{name: a, servers: [{url: 'http://h'}]}]\n"
     "sites: [{hosts: [a], origin: a, access: {allow: [10.0.0.0/8, 10.0.0.1/8]},\n"
     "routes: [{path: /x, access: {deny: [here]}}]}]\n",
     ":3: sites[0].access.allow[1]: \"10.0.0.1/8\" has bits set behind its length; accepted: as in "
     "192.0.2.1, 10.0.0.0/8, 2001:db8::/32\n"
     ":4: sites[0].routes[0].access.deny[0]: \"here\" is no address; accepted: as in 192.0.2.1, "
     "10.0.0.0/8, 2001:db8::/32\n"},
    {LISTENERS ORIGINS "sites: [{hosts: [a], origin: app, access: {allow_file: /dev/null}}]\n",
     ":3: sites[0].access.allow_file: \"/dev/null\" is not a regular file; accepted: path of a "
     "readable file, or \"\"\n"},
    {LISTENERS ORIGINS "sites: [{hosts: [a], origin: app,\n"
                       "  rate_limit: {requests: 10, by: header}}]\n",
     ":4: sites[0].rate_limit.name: is missing; accepted: the name of the header or cookie that "
     "`by` speaks of\n"},
    {LISTENERS ORIGINS
     "sites: [{hosts: [a], origin: app,\n"
     "  jwt: {alg: HS256, jwks_url: /keys, claims: [sub, sub=Host], realm: 'a\"'}\n"
     ", routes: [{path: /x, jwt: {alg: 'off'}}, {path: /y}]}]\n",
     ":4: sites[0].jwt.claims[0]: \"sub\" is not CLAIM=FIELD; accepted: as in sub=X-User\n"
     ":4: sites[0].jwt.claims[1]: \"sub=Host\" is not CLAIM=FIELD; accepted: as in sub=X-User\n"
     ":4: sites[0].jwt.alg: has no public keys that could be fetched; accepted: beside jwks_url "
     "RS256, PS256, ES256 and their like\n"
     ":4: sites[0].jwt.realm: has a quote or backslash; accepted: text without\n"},
    {LISTENERS ORIGINS "sites: [{hosts: [a, '*.b'], origin: app,\n"
                       "  jwt: {alg: RS256, jwks_url: /keys}}]\n",
     ":4: sites[0].jwt.jwks_url: is a path, which any host that a client names would be asked for, "
     "as the site's hosts have a '*'; accepted: with the host, as in https://id.example/keys\n"},
    {"listeners: [{address: ':81', tls: {client_verify: require}, proxy_protocol: [x]}]\n" ORIGINS
     "sites: [{hosts: [a], origin: app, subject_field: Host}]\n",
     ":1: listeners[0].proxy_protocol[0]: \"x\" is no address; accepted: as in 192.0.2.1, "
     "10.0.0.0/8, 2001:db8::/32\n"
     ":1: listeners[0].tls.certificates: has none, which means cleartext; accepted: 1 or more "
     "beside "
     "profile, min_version, tickets, client_verify\n"
     ":1: listeners[0].tls.client_ca: is missing; accepted: a PEM file, beside client_verify: "
     "optional, require\n"
     ":3: sites[0].subject_field: is no field that could tell it; accepted: as in "
     "X-Client-Subject\n"},
    {LISTENERS ORIGINS "sites: [{hosts: [a], origin: app,\n"
                       "  cors: {origins: ['*', example.com, 'https://a.example/x'],\n"
                       "  credentials: true}}]\n",
     ":4: sites[0].cors.origins[0]: \"*\" lets every page in with its visitors' cookies; accepted: "
     "names, beside credentials\n"
     ":4: sites[0].cors.origins[1]: \"example.com\" is no origin; accepted: as in "
     "https://app.example.com, https://*.example.com, *\n"
     ":4: sites[0].cors.origins[2]: \"https://a.example/x\" is no origin; accepted: as in "
     "https://app.example.com, https://*.example.com, *\n"},
    {LISTENERS "origins: [{name: app, servers: []}]\n" SITES,
     ":2: origins[0].servers: has 0 members; accepted: a sequence of 1 to 256 mappings with url, "
     "weight, max_connections, backup, node\n"},
    {LISTENERS "origins: [{servers: [{url: \"http://h\"}]}]\n" SITES,
     ":2: origins[0].name: is missing and has no default; accepted: text of 1 to 64 bytes\n"},
    {LISTENERS "origins:\n  - {name: app, servers: [{url: \"http://a\"}]}\n  - {name: app, "
               "servers: [{url: \"http://b\"}]}\n" SITES,
     ":4: origins[1].name: \"app\" is also origins[0].name; accepted: each once\n"},
    {LISTENERS "origins: [{name: \"a b\", servers: [{url: \"http://h\"}]}]\nsites: [{hosts: \"*\", "
               "origin: \"a b\"}]\n",
     ":2: origins[0].name: \"a b\" is not a name; " NAMES},
    {"listeners: [{address: \":443\", tls: {certificates: [{certificate: /nonexistent/a.crt, key: "
     "/nonexistent/a.key}]}}]\n" ORIGINS SITES,
     ":1: listeners[0].tls.certificates[0].certificate: \"/nonexistent/a.crt\" does not exist; "
     "accepted: path of a readable file\n:1: listeners[0].tls.certificates[0].key: "
     "\"/nonexistent/a.key\" does not exist; accepted: path of a readable file\n"},
    {"listeners: [{address: \":443\", tls: {certificates: [{certificate: /, key: "
     "/dev/null}]}}]\n" ORIGINS SITES,
     ":1: listeners[0].tls.certificates[0].certificate: \"/\" is not a regular file; accepted: "
     "path of a readable file\n:1: listeners[0].tls.certificates[0].key: \"/dev/null\" is not a "
     "regular file; accepted: path of a readable file\n"},
    {"listeners: [{address: \":443\", tls: {certificates: [{certificate: \"\"}]}}]\n" ORIGINS SITES,
     ":1: listeners[0].tls.certificates[0].certificate: \"\" is empty; accepted: path of a "
     "readable file\n:1: listeners[0].tls.certificates[0].key: is missing and has no default; "
     "accepted: path of a readable file\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://h\"}], tls: {ca: "
               "/nonexistent/ca.pem}}]\n" SITES,
     ":2: origins[0].tls.ca: \"/nonexistent/ca.pem\" does not exist; accepted: path of a readable "
     "file, or \"\"\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: ap}]\n",
     ":3: sites[0].origin: \"ap\" is no origin, perhaps \"app\"; accepted: app\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: elsewhere}]\n",
     ":3: sites[0].origin: \"elsewhere\" is no origin; accepted: app\n"},
    {LISTENERS ORIGINS "sites:\n  - hosts: a.example\n    origin: app\n    routes:\n      - path: "
                       "/x/\n        origin: img\n",
     ":8: sites[0].routes[0].origin: \"img\" is no origin; accepted: app\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, cache: {targets: [a-cache-control, "
                       "\"b c\"]}, routes: [{path: /x/}]}]\n",
     ":3: sites[0].cache.targets[1]: \"b c\" is not a targeted field; accepted: "
     "cdn-cache-control, NAME-cache-control\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: /x/, cache: {targets: "
                       "Cache-Control}}]}]\n",
     ":3: sites[0].routes[0].cache.targets[0]: \"Cache-Control\" is not a targeted field; "
     "accepted: cdn-cache-control, NAME-cache-control\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: /x/, cache: "
                       "{use_as_dictionary: \"/x/*\"}}]}]\n",
     ":3: sites[0].routes[0].cache.use_as_dictionary: \"/x/*\" is not a Use-As-Dictionary field; "
     "accepted: as in match=\"/app/*/main.js\", match-dest=(\"script\")\n"},
    {LISTENERS ORIGINS "sites:\n  - {hosts: [a.example, b.example], origin: app}\n  - {hosts: "
                       "B.example, origin: app}\n",
     ":5: sites[1].hosts[0]: \"B.example\" is also sites[0].hosts[1]; accepted: each once\n"},
    {LISTENERS ORIGINS "sites: [{hosts: [], origin: app}]\n",
     ":3: sites[0].hosts: has 0 members; " HOST_COUNT},
    {LISTENERS ORIGINS "sites: [{hosts: [a.example, {x: y}], origin: app}]\n",
     ":3: sites[0].hosts[1]: is a mapping; " HOST_COUNT},
    {LISTENERS ORIGINS "sites: [{hosts: [\"\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"\" is empty; " HOST_COUNT},
    {LISTENERS ORIGINS "sites: [{hosts: a.example}]\n",
     ":3: sites[0].origin: is missing and has no default; accepted: text of 1 to 64 bytes\n"},
    {LISTENERS ORIGINS "sites: [{hosts: [\"a.example:80\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"a.example:80\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"a.example.\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"a.example.\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"-a.example\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"-a.example\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"a..example\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"a..example\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"*a.example\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"*a.example\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"a.*.example\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"a.*.example\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"m\303\274ller.example\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"m\303\274ller.example\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"a b\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"a b\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"" X64 ".example\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"" X64 "...\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: [\"[::g]\"], origin: app}]\n",
     ":3: sites[0].hosts[0]: \"[::g]\" is not a host name; " HOSTS},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: img/}]}]\n",
     ":3: sites[0].routes[0].path: \"img/\" is not a path pattern; " ROUTE_PATHS},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: \"\"}]}]\n",
     ":3: sites[0].routes[0].path: \"\" is empty; accepted: text of 1 to 1024 bytes\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: \"/a b\"}]}]\n",
     ":3: sites[0].routes[0].path: \"/a b\" is not a path pattern; " ROUTE_PATHS},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: \"/a#b\"}]}]\n",
     ":3: sites[0].routes[0].path: \"/a#b\" is not a path pattern; " ROUTE_PATHS},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{cache: {bypass: true}}]}]\n",
     ":3: sites[0].routes[0].path: is missing and has no default; accepted: text of 1 to 1024 "
     "bytes\n"},
    {LISTENERS ORIGINS
     "sites: [{hosts: \"*\", origin: app, routes: [{path: /a/}, {path: /b/}, {path: /a/}]}]\n",
     ":3: sites[0].routes[2].path: \"/a/\" is also sites[0].routes[0].path; accepted: each once\n"},
    {LISTENERS "origins: [{name: app, tier: shield, servers: [{url: \"http://h\"}]}]\n"
               "sites: [{hosts: \"*\", origin: app}]\n",
     ":2: origins[0].tier: shields and peers know this node by node.tier_secret, which is not "
     "set\n"},
    {LISTENERS "origins: [{name: app, tier: peer, servers: [{url: \"http://h\"}]}]\n"
               "sites: [{hosts: \"*\", origin: app}]\n",
     ":2: origins[0].tier: shields and peers know this node by node.tier_secret, which is not set\n"
     ":2: origins[0].tier: peer: each server needs `node`, its node.id\n"
     ":2: origins[0].tier: peer: a key has one owner only with `balance: hash` by url\n"
     ":2: origins[0].tier: peer: the owner of a key needs a `fallback`, where it asks itself\n"},
    {LISTENERS ORIGINS
     "sites: [{hosts: \"*\", origin: app, routes: [{path: /a, methods: [get]}]}]\n",
     ":3: sites[0].routes[0].methods[0]: \"get\" is no method; accepted: GET (and with it HEAD), "
     "POST, "
     "PUT, PATCH, DELETE, OPTIONS\n"},
    {LISTENERS ORIGINS
     "sites: [{hosts: \"*\", origin: app, routes: [{path: /a, headers: [{name: x-a, "
     "value: b, prefix: c}]}]}]\n",
     ":3: sites[0].routes[0].headers[0]: \"x-a\" has more than one condition; accepted: one of "
     "value, "
     "prefix, present: false\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: /a, rewrite: {prefix: "
                       "a, to: \"/b c\"}}]}]\n",
     ":3: sites[0].routes[0].rewrite.prefix: \"a\" is no path; accepted: text that begins with /, "
     "without blanks, ? and #\n"
     ":3: sites[0].routes[0].rewrite.to: \"/b c\" is no path; accepted: text that begins with /, "
     "without blanks, ? and #\n"},
    {LISTENERS ORIGINS
     "sites: [{hosts: \"*\", origin: app, routes: [{path: /img/, rewrite: {prefix: "
     "/image/}}, {path: /a, rewrite: {prefix: /a/b}}, {path: /a/b, rewrite: "
     "{prefix: /a}}, {path: \"*.css\", rewrite: {prefix: /x}}]}]\n",
     ":3: sites[0].routes[0].rewrite.prefix: \"/image/\" begins no path of this route; accepted: "
     "what path begins with, \"/img/\" or part of it, or more\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: \"/v1/*/x\", rewrite: "
                       "{prefix: /v2/}}, {path: \"/v?/x\", rewrite: {prefix: /v2/}}, "
                       "{path: /%61/, rewrite: {prefix: /a/}}, {path: /a/, rewrite: "
                       "{prefix: /%61/}}, {path: \"/a//b\", rewrite: {prefix: /a/b}}]}]\n",
     ":3: sites[0].routes[0].rewrite.prefix: \"/v2/\" begins no path of this route; accepted: "
     "what path begins with, \"/v1/\" or part of it, or more\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [{path: /img/, rewrite: {to: "
                       "/v2/}}]}]\n",
     ":3: sites[0].routes[0].rewrite.to: \"/v2/\" is of no use; accepted: beside rewrite.prefix\n"},
    {LISTENERS ORIGINS
     "sites: [{hosts: \"*\", origin: app, write_origin: ap, read_your_writes: {for: 5s, "
     "cookie: \"a b\"}}]\n",
     ":3: sites[0].write_origin: \"ap\" is no origin, perhaps \"app\"; accepted: app\n"
     ":3: sites[0].read_your_writes.cookie: \"a b\" is no name of a cookie; accepted: letters, "
     "digits, "
     "'-', '_', '.'\n"
     ":3: sites[0].read_your_writes.secret: \"\" signs nothing; accepted: a file with 16 bytes or "
     "more "
     "that nobody else knows\n"},
    {LISTENERS ORIGINS "sites: [{hosts: \"*\", origin: app, routes: [/img/]}]\n",
     ":3: sites[0].routes[0]: is a single value; accepted: a mapping with path, methods, headers, "
     "origin, write_origin, host, rewrite, access, "
     "rate_limit, jwt, basic_auth, signed_url, "
     "cors, security_headers, handlers, "
     "cache\n"},
    {"cache: {memory: 1MiB, memory_object: 2MiB}\n" REST,
     ":1: cache.memory_object: 2MiB is more than cache.memory; accepted: up to 1MiB\n"},
    {"limits:\n  client_memory: 40MiB\n  request_body: 8MiB\n" REST,
     ":3: limits.request_body: 8MiB will never be let in by limits.client_memory of 40MiB; "
     "accepted: "
     "up to 7MiB, or more client_memory\n"},
    {"cache: {path: /dev/null}\n" REST,
     ":1: cache.path: \"/dev/null\" is not a directory; accepted: a directory, or one "
     "to be made in a directory that exists, or \"\"\n"},
    {"cache: {path: /nonexistent/dir/cache/}\n" REST,
     ":1: cache.path: \"/nonexistent/dir/cache/\" is in no directory; accepted: a directory, or "
     "one "
     "to be made in a directory that exists, or \"\"\n"},
    {"cache: {path: /dev/null/cache}\n" REST,
     ":1: cache.path: \"/dev/null/cache\" is in no directory; accepted: a directory, or one "
     "to be made in a directory that exists, or \"\"\n"},
    {"kv:\n  path: /dev/null\n" REST,
     ":2: kv.path: \"/dev/null\" is not a directory; accepted: a directory, or one "
     "to be made in a directory that exists, or \"\"\n"},
    {"access_log: {path: /nonexistent/dir/access.log}\n" REST,
     ":1: access_log.path: \"/nonexistent/dir/access.log\" is in no directory; accepted: a file in "
     "a directory that exists, stdout, syslog, unix:/path, off\n"},
    {"access_log: {path: /tmp}\n" REST,
     ":1: access_log.path: \"/tmp\" is a directory; accepted: a "
     "file in a directory that exists, stdout, syslog, unix:/path, off\n"},
    {"admin:\n  purge_via:\n  - url: http://a\n    token: /dev/null\n" REST,
     ":4: admin.purge_via[0].token: \"/dev/null\" is not a regular file; accepted: path of a "
     "readable file, or \"\"\n"},
    {"admin:\n  purge_via:\n  - url: http://a\n    token: /proc/version\n" REST,
     ":4: admin.purge_via[0].token: \"/proc/version\" holds what is no token; accepted: a file "
     "with "
     "one "
     "token of 16 to 512 letters, digits, - . _ ~ + / =\n"},
    {LISTENERS ORIGINS
     "sites:\n- hosts: \"*\"\n  origin: app\n  acme_webroot: /nonexistent/dir/acme\n",
     ":6: sites[0].acme_webroot: \"/nonexistent/dir/acme\" is in no directory; accepted: a "
     "directory, or one to be made in a directory that exists, or \"\"\n"},
    {"access_log: {path: \"\"}\n" REST,
     ":1: access_log.path: \"\" is empty; accepted: text of 1 to 4096 bytes\n"},
    {LISTENERS
     "origins: [{name: app, servers: [{url: \"http://a\"}], health: {path: healthz}}]\n" SITES,
     ":2: origins[0].health.path: \"healthz\" is not a path; accepted: text that begins with /, "
     "without blanks and #, or \"\"\n"},
    {LISTENERS
     "origins: [{name: app, servers: [{url: \"http://a\"}], health: {path: /a b}}]\n" SITES,
     ":2: origins[0].health.path: \"/a b\" is not a path; accepted: text that begins with /, "
     "without blanks and #, or \"\"\n"},
    {LISTENERS
     "origins: [{name: app, servers: [{url: \"http://a\"}], health: {status: 20-600}}]\n" SITES,
     ":2: origins[0].health.status: \"20-600\" are no statuses; accepted: 100 to 599, as in "
     "200-399, 200,204\n"},
    {LISTENERS
     "origins: [{name: app, servers: [{url: \"http://a\"}], health: {host: \"a/b\"}}]\n" SITES,
     ":2: origins[0].health.host: \"a/b\" is not a host; accepted: host[:port], or \"\"\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://a\"}], health: {fall: 0}}]\n" SITES,
     ":2: origins[0].health.fall: \"0\" is out of range; accepted: whole number from 1 to 1000\n"},
    {LISTENERS "origins:\n- {name: app, servers: [{url: \"http://a\"}], fallback: b}\n"
               "- {name: b, servers: [{url: \"http://b\"}], fallback: c}\n"
               "- {name: c, servers: [{url: \"http://c\"}], fallback: app}\n"
               "- {name: d, servers: [{url: \"http://d\"}], fallback: app}\n" SITES,
     ":3: origins[0].fallback: \"b\" leads back to this origin; accepted: a chain that ends\n"
     ":4: origins[1].fallback: \"c\" leads back to this origin; accepted: a chain that ends\n"
     ":5: origins[2].fallback: \"app\" leads back to this origin; accepted: a chain that ends\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://a\"}], fallback: app}]\n" SITES,
     ":2: origins[0].fallback: \"app\" leads back to this origin; accepted: a chain that ends\n"},
    {LISTENERS "origins: [{name: app, servers: [{url: \"http://a\"}], fallback: ap}]\n" SITES,
     ":2: origins[0].fallback: \"ap\" is no origin, perhaps \"app\"; accepted: app\n"},
    {LISTENERS
     "origins: [{name: app, servers: [{url: \"http://a\"}], retry_on: [503, 404, 5xx]}]\n" SITES,
     ":2: origins[0].retry_on[1]: \"404\" is nothing to retry on; accepted: 500 to 599, timeout\n"
     ":2: origins[0].retry_on[2]: \"5xx\" is nothing to retry on; accepted: 500 to 599, timeout\n"},
    {LISTENERS
     "origins: [{name: app, servers: [{url: \"http://a\"}], sticky: {cookie: \"a b\"}}]\n" SITES,
     ":2: origins[0].sticky.cookie: \"a b\" is no name of a cookie; accepted: letters, digits, "
     "'-', '_', '.'\n"
     ":2: origins[0].sticky.secret: \"\" signs nothing; accepted: a file with 16 bytes or more "
     "that "
     "nobody else knows\n"},
    {"node: [1\n" REST, ":2: not valid YAML: did not find expected ',' or ']', while parsing a "
                        "flow sequence from line 1; accepted: YAML 1.1\n"},
    {"node:\n\tid: x\n" REST, ":2: not valid YAML: indented by a tab; accepted: spaces\n"},
    {"node:\n  id: @x\n" REST,
     ":2: not valid YAML: a text begins with @; accepted: \"@...\", in quotes\n"},
    {"node:\n  id: *.x\n" REST,
     ":2: not valid YAML: a text begins with *; accepted: \"*...\", in quotes\n"},
    {"node: {id: :x}\n" REST,
     ":1: not valid YAML: a text begins with :; accepted: \":...\", in quotes\n"},
    {"node: {id: \303\244, log: *.x}\n" REST,
     ":1: not valid YAML: did not find expected alphabetic or numeric character, while scanning an "
     "alias from line 1; accepted: YAML 1.1\n"},
    {"node: {id: \"x}\n", ":2: not valid YAML: found unexpected end of stream, while scanning a "
                          "quoted scalar from line 1; accepted: YAML 1.1\n"},
    {"node: id: x\n",
     ":1: not valid YAML: mapping values are not allowed in this context; accepted: YAML 1.1\n"},
    {"node: &n {id: x}\n" REST,
     ":1: an anchor (&name) is not supported; accepted: the value itself\n"},
    {"node: *n\n" REST,
     ":1: an alias (*name) is not supported; accepted: the value itself, in quotes "
     "where it begins with *\n"},
    {"node: {id: !!str x}\n" REST,
     ":1: a tag (!name) is not supported; accepted: the plain value\n"},
    {REST "---\n" REST, ":4: a second document begins; accepted: one document a file\n"},
    {"node: [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]\n" REST,
     ":1: nested too deeply; accepted: 16 levels\n"},
    {"node: {id: \"\\xff\"}\n", ":1: listeners: is missing and has no default; " LISTENERS_ACCEPTED
                                ":1: origins: is missing and has no default; " ORIGINS_ACCEPTED
                                ":1: sites: is missing and has no default; " SITES_ACCEPTED
                                ":1: node.id: \"\303\277\" is not a name; " NAMES},
    {"node:\n  workers: 300\n  id: \"\"\n" REST "log:\n  level: loud\n",
     ":2: node.workers: \"300\" is out of range; " WORKERS
     ":3: node.id: \"\" is empty; accepted: text of 1 to 64 bytes\n:8: log.level: \"loud\" is not "
     "one of the choices; accepted: error, warn, info, debug\n"},
    {"node: {id: \"\xff\"}\n",
     ":1: not valid YAML: invalid leading UTF-8 octet; accepted: UTF-8 text\n"},
    {"log: {}\nnode: {id: \xc3\x28}\n",
     ":2: not valid YAML: invalid trailing UTF-8 octet; accepted: UTF-8 text\n"},
};

#endif
