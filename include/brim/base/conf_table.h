/* SPDX-License-Identifier: MIT */
/*
 * conf_table - the option table at compile time and at run time: the structs that it generates, and
 * the same rows as data for whoever walks them (binder, reference, comparison of two configs).
 *
 * Main invariant: a row's offset and type say where in its struct which C type stands.
 */
#ifndef BRIM_BASE_CONF_TABLE_H
#define BRIM_BASE_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/conf_schema.h"

struct brim_conf_strings {
    char **items;
    size_t count;
};

#define BRIM_CONF_C_STRING   char *
#define BRIM_CONF_C_STRINGS  struct brim_conf_strings
#define BRIM_CONF_C_FILE     char *
#define BRIM_CONF_C_BOOL     bool
#define BRIM_CONF_C_INT      int64_t
#define BRIM_CONF_C_SIZE     uint64_t
#define BRIM_CONF_C_DURATION int64_t
#define BRIM_CONF_C_CHOICE   int
#define BRIM_CONF_C_URL      char *
#define BRIM_CONF_C_ADDRESS  char *

#define BRIM_CONF_O(type, member, key, def, min, max, reload, text) BRIM_CONF_C_##type member;
#define BRIM_CONF_S(member, key, table, tag, text)                  struct tag member;
#define BRIM_CONF_L(member, key, table, tag, min, max, text)                                       \
    struct {                                                                                       \
        struct tag *items;                                                                         \
        size_t count;                                                                              \
    } member;
#define BRIM_CONF_STRUCT(tag, table)                                                               \
    struct tag {                                                                                   \
        int line; /* of the mapping in the file, for messages */                                   \
        table(BRIM_CONF_O, BRIM_CONF_S, BRIM_CONF_L)                                               \
    }

BRIM_CONF_STRUCT(brim_conf_node, BRIM_CONF_NODE);
BRIM_CONF_STRUCT(brim_conf_log, BRIM_CONF_LOG);
BRIM_CONF_STRUCT(brim_conf_access_log, BRIM_CONF_ACCESS_LOG);
BRIM_CONF_STRUCT(brim_conf_certificate, BRIM_CONF_CERTIFICATE);
BRIM_CONF_STRUCT(brim_conf_tls, BRIM_CONF_TLS);
BRIM_CONF_STRUCT(brim_conf_listener, BRIM_CONF_LISTENER);
BRIM_CONF_STRUCT(brim_conf_purge_via, BRIM_CONF_PURGE_VIA);
BRIM_CONF_STRUCT(brim_conf_admin, BRIM_CONF_ADMIN);
BRIM_CONF_STRUCT(brim_conf_cache, BRIM_CONF_CACHE);
BRIM_CONF_STRUCT(brim_conf_compress, BRIM_CONF_COMPRESS);
BRIM_CONF_STRUCT(brim_conf_kv, BRIM_CONF_KV);
BRIM_CONF_STRUCT(brim_conf_dns, BRIM_CONF_DNS);
BRIM_CONF_STRUCT(brim_conf_limits, BRIM_CONF_LIMITS);
BRIM_CONF_STRUCT(brim_conf_abuse, BRIM_CONF_ABUSE);
BRIM_CONF_STRUCT(brim_conf_timeouts, BRIM_CONF_TIMEOUTS);
BRIM_CONF_STRUCT(brim_conf_server, BRIM_CONF_SERVER);
BRIM_CONF_STRUCT(brim_conf_origin_tls, BRIM_CONF_ORIGIN_TLS);
BRIM_CONF_STRUCT(brim_conf_health, BRIM_CONF_HEALTH);
BRIM_CONF_STRUCT(brim_conf_sticky, BRIM_CONF_STICKY);
BRIM_CONF_STRUCT(brim_conf_origin, BRIM_CONF_ORIGIN);
BRIM_CONF_STRUCT(brim_conf_rules, BRIM_CONF_RULES);
BRIM_CONF_STRUCT(brim_conf_env, BRIM_CONF_ENV);
BRIM_CONF_STRUCT(brim_conf_handlers, BRIM_CONF_HANDLERS);
BRIM_CONF_STRUCT(brim_conf_access, BRIM_CONF_ACCESS);
BRIM_CONF_STRUCT(brim_conf_rate_limit, BRIM_CONF_RATE_LIMIT);
BRIM_CONF_STRUCT(brim_conf_jwt, BRIM_CONF_JWT);
BRIM_CONF_STRUCT(brim_conf_ryw, BRIM_CONF_RYW);
BRIM_CONF_STRUCT(brim_conf_route_header, BRIM_CONF_ROUTE_HEADER);
BRIM_CONF_STRUCT(brim_conf_rewrite, BRIM_CONF_REWRITE);
BRIM_CONF_STRUCT(brim_conf_cors, BRIM_CONF_CORS);
BRIM_CONF_STRUCT(brim_conf_security_headers, BRIM_CONF_SECURITY_HEADERS);
BRIM_CONF_STRUCT(brim_conf_basic_auth, BRIM_CONF_BASIC_AUTH);
BRIM_CONF_STRUCT(brim_conf_signed_url, BRIM_CONF_SIGNED_URL);
BRIM_CONF_STRUCT(brim_conf_route, BRIM_CONF_ROUTE);
BRIM_CONF_STRUCT(brim_conf_site, BRIM_CONF_SITE);
BRIM_CONF_STRUCT(brim_conf_root, BRIM_CONF_ROOT);

enum brim_conf_kind { BRIM_CONF_OPTION, BRIM_CONF_MAPPING, BRIM_CONF_LIST };

enum brim_conf_type {
    BRIM_CONF_TYPE_STRING,
    BRIM_CONF_TYPE_STRINGS,
    BRIM_CONF_TYPE_FILE,
    BRIM_CONF_TYPE_BOOL,
    BRIM_CONF_TYPE_INT,
    BRIM_CONF_TYPE_SIZE,
    BRIM_CONF_TYPE_DURATION,
    BRIM_CONF_TYPE_CHOICE,
    BRIM_CONF_TYPE_URL,
    BRIM_CONF_TYPE_ADDRESS,
};

enum brim_conf_reload { BRIM_CONF_LIVE, BRIM_CONF_START };

/* One row. */
struct brim_conf_field {
    enum brim_conf_kind kind;
    const char *key;
    const char *text;
    size_t offset;       /* in the struct of its table; of a list: its `items` */
    size_t count_offset; /* list: its `count` */

    /* option */
    enum brim_conf_type type;
    enum brim_conf_reload reload;
    const char *def;     /* NULL: required */
    const char *choices; /* CHOICE: words separated by '|' */

    /* option and list; see conf_schema.h */
    int64_t min;
    int64_t max;

    /* mapping and list */
    const struct brim_conf_table *table;
};

/* The rows of one struct, which starts with `int line`. */
struct brim_conf_table {
    size_t struct_bytes;
    const struct brim_conf_field *fields;
    size_t field_count;
};

/* Most rows of one table; conf_table.c checks it at compile time. */
enum { BRIM_CONF_FIELDS_MAX = 32 };

extern const struct brim_conf_table brim_conf_table_root;

/* Rows of the cache rules, which routes inherit from their site. */
extern const struct brim_conf_table brim_conf_table_rules;
/* Likewise those of the gates. */
extern const struct brim_conf_table brim_conf_table_jwt;
extern const struct brim_conf_table brim_conf_table_basic_auth;
extern const struct brim_conf_table brim_conf_table_cors;
extern const struct brim_conf_table brim_conf_table_security_headers;
extern const struct brim_conf_table brim_conf_table_signed_url;

/* Whether two structs of table hold the very same values: of text the same memory, as what was
 * inherited does. Tables without mappings and lists only. */
bool brim_conf_table_is_same(const struct brim_conf_table *table, const void *a, const void *b);

/* Bytes that the C type of an option takes in its struct. Thread: any. */
size_t brim_conf_table_type_bytes(enum brim_conf_type type);

#endif
