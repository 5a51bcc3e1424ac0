/* SPDX-License-Identifier: MIT */
/*
 * sandbox - what the serving process gives up once it serves: privileges by exec for good, and, by
 * `node.seccomp`, every system call that a running node does not make; and what others of its user
 * may see of it.
 *
 * It refuses to know what is in it. The parent, which starts nodes and other versions, is not.
 */
#ifndef BRIM_SERVE_SANDBOX_H
#define BRIM_SERVE_SANDBOX_H

#include "brim/base/err.h"

/* Keeps this process's memory, and with it private keys, from other processes of its user, from
 * debuggers and from core files (prctl(2), PR_SET_DUMPABLE); root may look. Its children have it
 * from birth, another program that it becomes has not. What LeakSanitizer needs it takes back for
 * as long as it looks. Thread: init. */
void brim_sandbox_hide(void);

enum brim_sandbox { BRIM_SANDBOX_OFF, BRIM_SANDBOX_LOG, BRIM_SANDBOX_ENFORCE };

/* Enters it, with all threads of the process. LOG: the kernel notes what is not on the list (audit
 * or kernel log). ENFORCE: it fails with EPERM; what would run or trace another program kills the
 * process. Errors: BRIM_EIO the kernel has no seccomp, or refuses; logged. Thread: init. */
BRIM_MUST_USE enum brim_err brim_sandbox_enter(enum brim_sandbox mode);

#endif
