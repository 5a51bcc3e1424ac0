/* SPDX-License-Identifier: MIT */
/*
 * script_call - the phases at which handlers are called, and one call of one.
 */
#ifndef BRIM_POLICY_SCRIPT_CALL_H
#define BRIM_POLICY_SCRIPT_CALL_H

struct lua_State;

enum brim_script_phase {
    BRIM_SCRIPT_VIEWER_REQUEST,
    BRIM_SCRIPT_ORIGIN_REQUEST,
    BRIM_SCRIPT_ORIGIN_RESPONSE,
    BRIM_SCRIPT_VIEWER_RESPONSE,
    BRIM_SCRIPT_PHASES
};
const char *brim_script_phase_name(enum brim_script_phase phase);

/*
 * push puts the handler's arguments on the stack and says how many; it raises nothing but errors of
 * memory. take looks at what the handler returned (results stand from BRIM_SCRIPT_RESULT to
 * lua_gettop), if it returned anything; it may raise. Both run inside the budget.
 */
#define BRIM_SCRIPT_RESULT 2
struct brim_script_call {
    int (*push)(struct lua_State *L, void *ctx);
    void (*take)(struct lua_State *L, void *ctx);
    void *ctx;
};

#endif
