/* SPDX-License-Identifier: MIT */
/*
 * script_file - handler files and modules as they were when they were first read, and the directory
 * below which modules are found.
 *
 * VMs are opened when they are needed, perhaps long after the config came into force. What has been
 * written to a file meanwhile must not run before a reload says so.
 */
#ifndef BRIM_POLICY_SCRIPT_FILE_H
#define BRIM_POLICY_SCRIPT_FILE_H

#include <stddef.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

struct brim_script_files; /* opaque */

struct brim_script_files *brim_script_files_new(void);
void brim_script_files_free(struct brim_script_files *files); /* accepts NULL */

/* The text that is kept under name. Borrowed: until files is freed. False: none. Thread: any. */
bool brim_script_files_find(struct brim_script_files *files, const char *name,
                            struct brim_str *text_out);
/* The same; where there is none, that of the file at path is read and kept. Errors: BRIM_EIO it
 * cannot be read, or has 1 MiB or more. Thread: any. */
BRIM_MUST_USE enum brim_err brim_script_files_read(struct brim_script_files *files,
                                                   const char *name, const char *path,
                                                   struct brim_str *text_out);

/* root, or where that is NULL or empty the directory of file. The caller frees it. */
char *brim_script_file_root(const char *file, const char *root);

#endif
