/* SPDX-License-Identifier: MIT */
/*
 * segment_file - system calls on the files of segments: make, open, read, write, remove, list.
 *
 * Refuses to know what is in them and how many there may be. Faults come back as errno values, and
 * are the caller's to log.
 */
#ifndef BRIM_CACHE_SEGMENT_FILE_H
#define BRIM_CACHE_SEGMENT_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "brim/base/err.h"

/* Makes file id in dir_fd with all its blocks; *fd_out is the caller's. Returns 0 or errno, and
 * then there is no file. Thread: any but a loop. */
int brim_segment_file_make(int dir_fd, uint32_t id, uint32_t bytes, int *fd_out);

/* Opens file id for reading and writing. Returns 0 or errno. */
int brim_segment_file_open(int dir_fd, uint32_t id, int *fd_out);

/* Removes file id. Returns 0 (also if there is none) or errno. */
int brim_segment_file_remove(int dir_fd, uint32_t id);

/* Writes all bytes at offset. Returns 0 or errno. */
int brim_segment_file_write(int fd, const uint8_t *bytes, size_t len, uint64_t offset);

/*
 * Fills both parts from offset on; changes parts. BRIM_EAGAIN: only with NOWAIT, some of it is not
 * in the page cache or the file system cannot tell; BRIM_ECORRUPT: the file ends before;
 * BRIM_EIO: see errno.
 */
enum brim_segments_wait { BRIM_SEGMENTS_NOWAIT, BRIM_SEGMENTS_WAIT };
BRIM_MUST_USE enum brim_err brim_segment_file_read(int fd, uint64_t offset, struct iovec parts[2],
                                                   enum brim_segments_wait wait);

/* Calls fn for every file in dir_fd that is called like a segment. Returns 0 or errno. */
int brim_segment_file_each(int dir_fd, void (*fn)(uint32_t id, void *ctx), void *ctx);

#endif
