/* SPDX-License-Identifier: MIT */
/*
 * sandbox - what the serving process gives up once it serves: privileges by exec for good, and, by
 * `node.seccomp`, every system call that a running node does not make.
 *
 * It refuses to know what is in it. The parent, which starts nodes and other versions, is not.
 */
#ifndef BRIM_SERVE_SANDBOX_H
#define BRIM_SERVE_SANDBOX_H

#include "brim/base/err.h"

enum brim_sandbox { BRIM_SANDBOX_OFF, BRIM_SANDBOX_LOG, BRIM_SANDBOX_ENFORCE };

/* Enters it, with all threads of the process. LOG: the kernel notes what is not on the list (audit
 * or kernel log). ENFORCE: it fails with EPERM; what would run or trace another program kills the
 * process. Errors: BRIM_EIO the kernel has no seccomp, or refuses; logged. Thread: init. */
BRIM_MUST_USE enum brim_err brim_sandbox_enter(enum brim_sandbox mode);

#endif
