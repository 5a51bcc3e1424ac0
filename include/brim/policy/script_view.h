/* SPDX-License-Identifier: MIT */
/*
 * script_view - headers, query and cookies of a message, by one set of methods: get, all, set, add,
 * remove, each. Inside of script_http; nobody else includes it.
 */
#ifndef BRIM_POLICY_SCRIPT_VIEW_H
#define BRIM_POLICY_SCRIPT_VIEW_H

#include "brim/policy/script_inside.h"
#include "brim/policy/script_message.h"

struct lua_State;

/* A part of a message, and the message: of headers and cookies their struct brim_script_headers,
 * which stands first in both kinds; of a query the struct brim_script_request. */
struct brim_script_view {
    enum brim_script_kind kind;
    void *message;
};

/* ---- script_http.c ---- */

/* What the userdata at arg shows; raises if it is none, or the phase that it is of does not run. */
struct brim_script_view brim_script_check_view(struct lua_State *L, int arg);
struct brim_str brim_script_keep(const struct brim_script_memory *memory, struct brim_str text);
struct brim_str brim_script_query_of(struct brim_str target);
void brim_script_set_target(struct brim_script_request *request, struct brim_str path,
                            struct brim_str query);

/* ---- script_view.c ---- */

/* view[name], the name at 2; and view[name] = what stands at 3. For metamethods. */
int brim_script_view_push(struct lua_State *L, const struct brim_script_view *view,
                          struct brim_str name);
int brim_script_view_assign(struct lua_State *L, const struct brim_script_view *view,
                            struct brim_str name);
/* Pushes a table of the methods; their names have at most so many letters. */
#define BRIM_SCRIPT_METHOD_LETTERS 6
void brim_script_view_push_methods(struct lua_State *L);

/* Replaces the fields of this name by one, after checking it; raises. */
void brim_script_headers_set(struct lua_State *L, struct brim_script_headers *headers,
                             struct brim_str name, struct brim_str value);

/* Adds what a handler may set of these; raises. */
void brim_script_headers_copy(struct lua_State *L, struct brim_script_headers *headers,
                              const struct brim_script_headers *from);

/* Adds a field after checking it; raises. */
void brim_script_headers_add(struct lua_State *L, struct brim_script_headers *headers,
                             struct brim_str name, struct brim_str value);

#endif
