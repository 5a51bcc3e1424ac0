/* SPDX-License-Identifier: MIT */
/*
 * handlers - the handler file of a site or route, with its VMs: one for each worker, opened when
 * the worker first needs it. Belongs to a config snapshot, so a reload has VMs of its own.
 */
#ifndef BRIM_POLICY_HANDLERS_H
#define BRIM_POLICY_HANDLERS_H

#include "brim/base/conf.h"
#include "brim/policy/script.h"

struct brim_handlers; /* opaque */

/* What becomes of a request whose handler fails. */
enum brim_handlers_failure { /* values of handlers.on_error */
                             BRIM_HANDLERS_FAIL,
                             BRIM_HANDLERS_BYPASS,
};

/*
 * Loads the file once, to see that it is usable; a fault is logged with file and line. site: for
 * logs; copied, like all of conf. stores: borrowed; NULL: none. Errors: BRIM_EINVAL. Thread: init
 * or control.
 */
BRIM_MUST_USE enum brim_err brim_handlers_open(const struct brim_conf_handlers *conf,
                                               const char *site,
                                               const struct brim_script_stores *stores,
                                               struct brim_handlers **handlers_out);
/* Nobody runs in its VMs any more. Thread: any. Accepts NULL. */
void brim_handlers_close(struct brim_handlers *handlers);

/* Accepts NULL, which has none. */
bool brim_handlers_has(const struct brim_handlers *handlers, enum brim_script_phase phase);
enum brim_handlers_failure brim_handlers_failure(const struct brim_handlers *handlers);
/* Whether the client is told why a handler failed (handlers.debug). */
bool brim_handlers_shows_errors(const struct brim_handlers *handlers);

/* The VM of this worker, or NULL: it could not be opened. Thread: the worker's. */
struct brim_script_vm *brim_handlers_vm(struct brim_handlers *handlers, size_t worker);

/*
 * A VM for a thread that is no worker, until it is put back; opened if none is free. NULL: it could
 * not be opened. Thread: any.
 */
struct brim_script_vm *brim_handlers_take_vm(struct brim_handlers *handlers);
void brim_handlers_put_vm(struct brim_handlers *handlers, struct brim_script_vm *vm);

/* Counts a call and the CPU time that it took. Thread: any. */
void brim_handlers_count(const struct brim_handlers *handlers, enum brim_script_phase phase,
                         uint64_t cpu_us);

/* Logs and counts a call that did not end by itself. Thread: any. */
void brim_handlers_report(const struct brim_handlers *handlers, enum brim_script_phase phase,
                          enum brim_script_end end, const char *error);

#endif
