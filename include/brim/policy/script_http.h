/* SPDX-License-Identifier: MIT */
/*
 * script_http - requests and responses as handlers see them.
 *
 * A userdata lends C data for one phase: nothing is copied until a handler asks for it, and after
 * the phase every use raises an error. What a handler writes is checked here (names, values, no
 * CR, LF or NUL, sizes, fields that are not his) and stored in memory of the message's own.
 * Refuses to know servers and caches.
 */
#ifndef BRIM_POLICY_SCRIPT_HTTP_H
#define BRIM_POLICY_SCRIPT_HTTP_H

#include "brim/policy/script_message.h"

struct lua_State;

/* Makes the metatables; once per state. */
void brim_script_http_open(struct lua_State *L);

/* Push a userdata that lends the message until the phase ends. */
void brim_script_push_request(struct lua_State *L, struct brim_script_request *request);
void brim_script_push_response(struct lua_State *L, struct brim_script_response *response);

/* For tests and `brim lua`: makes it one that origin_response may set ttl, tags and body of, under
 * the fields that brim reads by default; or no longer. */
void brim_script_response_is_origins(struct brim_script_response *response, bool is_origins);

/* Pushes headers that are a copy of fields, in Lua's memory, read-only and not bound to a phase. */
void brim_script_push_headers(struct lua_State *L, struct brim_fields fields);

/* Adds the headers at the top of the stack: a table of names and texts or lists of texts, or
 * headers of a message, of which those that the server sets are left out. Raises. */
void brim_script_take_headers(struct lua_State *L, struct brim_script_headers *headers);

/* The answer in the table at arg ({status, headers, body}), copied; false: there is nil or nothing.
 * Raises where it is not valid. */
bool brim_script_take_answer(struct lua_State *L, int arg, struct brim_script_response *answer);

#endif
