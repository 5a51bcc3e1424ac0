/* SPDX-License-Identifier: MIT */
/*
 * script - one handler file in one Lua VM: budgets, and the way in and out.
 *
 * A VM belongs to one thread at a time and to one file. A run is one request in it: the file's
 * chunk is run anew for every request, in an environment of the request's own whose reads fall
 * through to frozen globals, so nothing a handler writes - global, local of the file, table - is
 * seen by another request. It lives over the phases of its request.
 *
 * Whatever a script does, a call comes back: CPU time is measured at an instruction hook and
 * inside the library functions that can run long, memory is refused by the allocator, and a stop
 * is sticky: pcall, coroutines, metamethods and <close> cannot swallow it.
 *
 * A run may wait for tasks (script_task): then it lies outside the VM, which other runs use
 * meanwhile. Only its deadline goes on.
 * Refuses to know HTTP (script_http) and what a request is to the server.
 */
#ifndef BRIM_POLICY_SCRIPT_H
#define BRIM_POLICY_SCRIPT_H

#include <stdbool.h>

#include "brim/policy/script_budget.h"
#include "brim/policy/script_call.h"
#include "brim/policy/script_lib.h"
#include "brim/policy/script_task.h"

struct brim_script_files; /* script_file.h */
struct brim_script_vm;    /* opaque */
struct brim_script_run;   /* opaque */

struct brim_script_config {
    const char *file;
    const char *root; /* `require` finds modules below; NULL: the file's directory */
    struct brim_script_limits limits;
    struct brim_script_files *files; /* borrowed for the VM's life, shared with others that must run
                                      * the same text; NULL: files are read anew */
    const char *const *env;          /* brim.env: name, value, name, value, NULL; NULL: none */
};

/*
 * Opens a VM and runs the file once, to see that it loads and which phases it has. Everything is
 * copied but host.
 * Owns: *vm_out. Errors: BRIM_EINVAL: error says file:line and what is wrong; BRIM_EIO the file
 * cannot be read, likewise; BRIM_ENOMEM.
 */
BRIM_MUST_USE enum brim_err brim_script_vm_open(const struct brim_script_config *config,
                                                const struct brim_script_host *host, char *error,
                                                size_t error_bytes, struct brim_script_vm **vm_out);
/* Every run has ended. */
void brim_script_vm_close(struct brim_script_vm *vm);
bool brim_script_vm_has(const struct brim_script_vm *vm, enum brim_script_phase phase);
/* Bytes that the VM holds now. */
size_t brim_script_vm_bytes(const struct brim_script_vm *vm);

/* Begins and ends one request, which may be waiting: then its tasks end too. NULL: out of memory.
 */
struct brim_script_run *brim_script_run_begin(struct brim_script_vm *vm);
void brim_script_run_end(struct brim_script_run *run);

/* Calls a handler. */
enum brim_script_end brim_script_run_call(struct brim_script_run *run, enum brim_script_phase phase,
                                          const struct brim_script_call *call);

/* Hands over what does this run's tasks; borrowed. Without: a handler that wants one fails. */
void brim_script_run_serve(struct brim_script_run *run, const struct brim_script_tasks *tasks,
                           void *ctx);

/* After BRIM_SCRIPT_WAIT: goes on, once a task has news or brim_script_run_due_us() has come; too
 * early does no harm. The call's push and take stay in use, so its ctx must last. */
enum brim_script_end brim_script_run_resume(struct brim_script_run *run);
/* After BRIM_SCRIPT_WAIT: the monotonic clock's time at which waiting is over, news or not. */
uint64_t brim_script_run_due_us(const struct brim_script_run *run);

/* Runs what handlers gave to brim.after, if they ended well: with what is left of the CPU budget, a
 * deadline of its own, and no tasks. For the end, when the response is out of the way. */
enum brim_script_end brim_script_run_after(struct brim_script_run *run);

/* After a call that did not end with OK: its message with traceback. Borrowed from the run. */
const char *brim_script_run_error(const struct brim_script_run *run);
uint64_t brim_script_run_cpu_us(const struct brim_script_run *run);

/* ---- for tests and `brim lua test` ---- */

/* From now on sets lines[n] to 1 when line n < count of the handler file runs. Borrowed. */
void brim_script_vm_cover(struct brim_script_vm *vm, unsigned char *lines, size_t count);

/* Before its first call: whether the run has what an earlier request in it left as it found it
 * (script_keep.c), so that the file's chunk is not run for it. */
bool brim_script_run_is_kept(const struct brim_script_run *run);

#endif
