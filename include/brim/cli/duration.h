/* SPDX-License-Identifier: MIT */
/*
 * duration - durations in arguments, spelled as in the config: 30s, 10m, 12h, 7d.
 */
#ifndef BRIM_CLI_DURATION_H
#define BRIM_CLI_DURATION_H

#include <stdint.h>

#include "brim/base/err.h"

/*
 * Reads text as a duration of one second to ten years.
 *
 * Errors: BRIM_EINVAL, and *why_out says what is wrong as the rest of a sentence; NULL on BRIM_OK.
 * Thread: any.
 */
BRIM_MUST_USE enum brim_err brim_cli_duration(const char *text, int64_t *ms_out,
                                              const char **why_out);

#endif
