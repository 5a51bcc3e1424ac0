/* SPDX-License-Identifier: MIT */
/*
 * script_test - runs *_test.lua files against handler files, without a server.
 *
 * A test file is trusted: it is plain Lua with all libraries. The handlers it asks for run in the
 * VM that serves requests, with the same sandbox and budgets, a clock that the test sets, and the
 * lines that ran noted.
 */
#ifndef BRIM_POLICY_SCRIPT_TEST_H
#define BRIM_POLICY_SCRIPT_TEST_H

#include <stdio.h>

#include "brim/base/err.h"

/*
 * Runs one test file; writes TAP lines to out, numbered from *number on, and comments with the
 * coverage of each handler file. Adds to *number and *failed. Errors: BRIM_EINVAL: the file itself
 * does not run, which is a failed test too. Thread: main.
 */
BRIM_MUST_USE enum brim_err brim_script_test_file(const char *path, FILE *out, unsigned *number,
                                                  unsigned *failed);

#endif
