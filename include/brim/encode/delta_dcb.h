/* SPDX-License-Identifier: MIT */
/*
 * delta_dcb - the half of encode/delta.h that needs a library which not every system has: Brotli
 * with a dictionary of the caller's, in libbrotlienc from 1.1 on. The build decides
 * (CMakeLists.txt); src/encode/delta_dcb.c is the only file that knows.
 */
#ifndef BRIM_ENCODE_DELTA_DCB_H
#define BRIM_ENCODE_DELTA_DCB_H

#include "brim/base/err.h"
#include "brim/base/str.h"

/* Whether the library is there. */
bool brim_delta_dcb_is_built(void);

/* Appends body's Brotli stream to the *len_inout bytes of delta, which has room bytes.
 * Errors: BRIM_EINVAL not built; BRIM_ELIMIT no room; BRIM_ENOMEM; BRIM_EIO. */
BRIM_MUST_USE enum brim_err brim_delta_dcb_append(struct brim_str dictionary, int level,
                                                  struct brim_str body, unsigned char *delta,
                                                  size_t room, size_t *len_inout);

#endif
