/* SPDX-License-Identifier: MIT */
/*
 * script_file - a handler file as text, and the directory below which it finds its modules.
 */
#ifndef BRIM_POLICY_SCRIPT_FILE_H
#define BRIM_POLICY_SCRIPT_FILE_H

#include <stddef.h>

#include "brim/base/err.h"

/* Owns: *text_out. Errors: BRIM_EIO it cannot be read, or has 1 MiB or more. */
BRIM_MUST_USE enum brim_err brim_script_file_read(const char *path, char **text_out,
                                                  size_t *bytes_out);

/* root, or where that is NULL or empty the directory of file. The caller frees it. */
char *brim_script_file_root(const char *file, const char *root);

#endif
