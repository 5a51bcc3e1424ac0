/* SPDX-License-Identifier: MIT */
/*
 * file - opens a file that is read to its end at once: nothing that would wait for somebody else to
 * write (a FIFO, a terminal), or has no end.
 */
#ifndef BRIM_BASE_FILE_H
#define BRIM_BASE_FILE_H

#include <stdio.h>

/* The file at path, to be read; the caller closes it. NULL: it is no regular file, or cannot be
 * opened, which *why_out says ("does not exist"). Never waits for a writer; a network file system
 * that does not answer is waited for. Thread: any. */
FILE *brim_file_open(const char *path, const char **why_out);

#endif
