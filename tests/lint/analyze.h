/* SPDX-License-Identifier: MIT */
/*
 * What headers of libraries do not say and analyze --deep has to know: it reads this first.
 */
#ifndef BRIM_TESTS_ANALYZE_H
#define BRIM_TESTS_ANALYZE_H

#if __has_include(<lauxlib.h>)
#include <lauxlib.h>

int lua_error(lua_State *L) __attribute__((noreturn));
int luaL_error(lua_State *L, const char *format, ...) __attribute__((noreturn));
int luaL_typeerror(lua_State *L, int arg, const char *name) __attribute__((noreturn));
int luaL_argerror(lua_State *L, int arg, const char *text) __attribute__((noreturn));
#endif

#endif
