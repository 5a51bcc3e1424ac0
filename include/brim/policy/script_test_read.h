/* SPDX-License-Identifier: MIT */
/*
 * script_test_read - what a test's tables say, as the structs that handlers are shown.
 *
 * What is read is kept in memory of the test's Lua until its file has run, so that an error, which
 * any of these may raise, loses nothing.
 */
#ifndef BRIM_POLICY_SCRIPT_TEST_READ_H
#define BRIM_POLICY_SCRIPT_TEST_READ_H

#include "brim/policy/geo.h"
#include "brim/policy/script_message.h"

#define BRIM_SCRIPT_TEST_FIELDS 200 /* most headers of a message */

struct lua_State;

/* Memory; pool is the lua_State. */
void *brim_script_test_keep(void *pool, size_t bytes);

/* The member `headers` of the table at index, a table of names and texts or lists of texts; empty
 * if there is none. Room for BRIM_SCRIPT_TEST_FIELDS. */
struct brim_script_headers brim_script_test_headers(struct lua_State *L, int index);

/* The text member key of the table at index; otherwise if there is none. */
struct brim_str brim_script_test_text(struct lua_State *L, int index, const char *key,
                                      const char *otherwise);

/* The place in the table at the top, as brim.geo gives it; what has another type is absent. Does
 * not raise. */
void brim_script_test_place(struct lua_State *L, struct brim_geo_place *place_out);

#endif
