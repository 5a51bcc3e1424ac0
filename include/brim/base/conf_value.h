/* SPDX-License-Identifier: MIT */
/*
 * conf_value - the texts that options accept: numbers, sizes, durations, addresses, URLs, hosts.
 *
 * Pure except for FILE, which looks at the file. Knows nothing about YAML or where values go.
 */
#ifndef BRIM_BASE_CONF_VALUE_H
#define BRIM_BASE_CONF_VALUE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/conf_fault.h"
#include "brim/base/conf_table.h"
#include "brim/base/err.h"

/* A parsed value; which member counts follows from the type of its option. */
union brim_conf_value {
    const char
        *text;      /* STRING, STRINGS (one member), FILE, URL, ADDRESS: borrowed from the input */
    bool is_on;     /* BOOL */
    int64_t number; /* INT, DURATION */
    uint64_t bytes; /* SIZE */
    int choice;     /* CHOICE */
};

/*
 * Reads text as a value of field's type and checks its range.
 *
 * Errors: BRIM_EINVAL, and *why_out says what is wrong as the rest of a sentence
 *         ("is not a whole number"); NULL on BRIM_OK. Static storage.
 * Thread: any.
 */
BRIM_MUST_USE enum brim_err brim_conf_value_parse(const struct brim_conf_field *field,
                                                  const char *text,
                                                  union brim_conf_value *value_out,
                                                  const char **why_out);

/* Adds what field accepts, as in "whole number from 0 to 256". */
void brim_conf_value_add_accepted(struct brim_conf_text *out, const struct brim_conf_field *field);

/* Adds examples of the units of field, if it has any, as in ", as in 250ms, 30s". */
void brim_conf_value_add_examples(struct brim_conf_text *out, const struct brim_conf_field *field);

/* Adds a number of bytes in the largest unit that is exact. */
void brim_conf_value_add_size(struct brim_conf_text *out, uint64_t bytes);

/* Host name, IPv4 address or [IPv6 address] of len bytes; no port, no wildcard.
 * Spec: RFC 1123 2.1, with '_' besides; RFC 3986 3.2.2. */
bool brim_conf_value_is_host(const char *text, size_t len);

/* Port number 1 to 65535 of exactly len digits; 0 if it is none. */
unsigned brim_conf_value_port(const char *text, size_t len);

union brim_conf_nameserver {
    struct sockaddr any; /* its family says which */
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Reads a name server: "192.0.2.1", "[2001:db8::1]", either with ":53" behind it. False: text is
 * none. */
bool brim_conf_value_nameserver(const char *text, union brim_conf_nameserver *server_out);

/* Whether all of text consists of letters, digits, '-', '.', '_' (RFC 9110 token, narrowed). */
bool brim_conf_value_is_name(const char *text);

#endif
