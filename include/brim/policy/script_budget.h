/* SPDX-License-Identifier: MIT */
/*
 * script_budget - what a handler may use, and the ways in which a call of one ends.
 */
#ifndef BRIM_POLICY_SCRIPT_BUDGET_H
#define BRIM_POLICY_SCRIPT_BUDGET_H

#include <stdint.h>

/* Why a call did not end by itself; what is counted and logged. */
enum brim_script_end {
    BRIM_SCRIPT_OK,
    BRIM_SCRIPT_ERROR,  /* an error that nobody caught, or a result that is not valid */
    BRIM_SCRIPT_CPU,    /* cpu budget */
    BRIM_SCRIPT_WALL,   /* deadline */
    BRIM_SCRIPT_MEMORY, /* memory cap */
    BRIM_SCRIPT_WAIT,   /* not at its end: brim_script_run_resume() goes on with it */
    BRIM_SCRIPT_ENDS
};
const char *brim_script_end_name(enum brim_script_end end);

struct brim_script_limits {
    uint64_t cpu_us;       /* of one request, over all phases */
    uint64_t wall_ms;      /* from its first phase on */
    uint64_t memory_bytes; /* that one request may add */
    uint64_t vm_bytes;     /* that the VM may hold */
    uint64_t fetch_bytes;  /* of the body that one brim.fetch brings */
    unsigned fetches;      /* that one request may begin */
};

#endif
