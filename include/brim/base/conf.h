/* SPDX-License-Identifier: MIT */
/*
 * conf - one YAML file, checked whole, bound to structs that the option table generates.
 *
 * What comes out is complete and valid: defaults filled in, ranges and units checked, referenced
 * names and files there. What cannot be used gives one message a fault,
 * `FILE:LINE: path.to.key: what is wrong; what is accepted`, and no conf at all.
 */
#ifndef BRIM_BASE_CONF_H
#define BRIM_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "brim/base/conf_schema.h"
#include "brim/base/err.h"

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
BRIM_CONF_STRUCT(brim_conf_admin, BRIM_CONF_ADMIN);
BRIM_CONF_STRUCT(brim_conf_cache, BRIM_CONF_CACHE);
BRIM_CONF_STRUCT(brim_conf_limits, BRIM_CONF_LIMITS);
BRIM_CONF_STRUCT(brim_conf_timeouts, BRIM_CONF_TIMEOUTS);
BRIM_CONF_STRUCT(brim_conf_server, BRIM_CONF_SERVER);
BRIM_CONF_STRUCT(brim_conf_origin_tls, BRIM_CONF_ORIGIN_TLS);
BRIM_CONF_STRUCT(brim_conf_origin, BRIM_CONF_ORIGIN);
BRIM_CONF_STRUCT(brim_conf_rules, BRIM_CONF_RULES);
BRIM_CONF_STRUCT(brim_conf_route, BRIM_CONF_ROUTE);
BRIM_CONF_STRUCT(brim_conf_site, BRIM_CONF_SITE);
BRIM_CONF_STRUCT(brim_conf_root, BRIM_CONF_ROOT);

struct brim_conf; /* opaque: owns root and all its memory */

/*
 * Reads and checks the file at path; every fault is written as one line to `faults`, up to 50.
 *
 * Owns:   on BRIM_OK *conf_out is the caller's.
 * Errors: BRIM_EINVAL faults were written (unreadable file included); BRIM_ENOMEM.
 * Thread: init or control.
 */
BRIM_MUST_USE enum brim_err brim_conf_load(const char *path, FILE *faults,
                                           struct brim_conf **conf_out);
void brim_conf_free(struct brim_conf *conf);
const struct brim_conf_root *brim_conf_root(const struct brim_conf *conf);
const char *brim_conf_path(const struct brim_conf *conf);

/* Line of the value at a path such as "sites[0].routes[2].path", or of the nearest parent that is
 * in the file; 0 if unknown. For checks that stand in higher rooms (certificates). */
int brim_conf_line(const struct brim_conf *conf, const char *path);

/* Writes conf/reference.yaml: every option with text, type, range and default. Thread: init. */
void brim_conf_write_reference(FILE *out);

#endif
