/* SPDX-License-Identifier: MIT */
/*
 * script_cover - which lines of a handler file ran, as comments in TAP.
 */
#ifndef BRIM_POLICY_SCRIPT_COVER_H
#define BRIM_POLICY_SCRIPT_COVER_H

#include <stdio.h>

/* ran[N]: line N ran; up to ran_count. Writes how many lines of the file ran, and those that hold
 * code and did not; nothing if the file cannot be read. */
void brim_script_cover_write(const char *path, const unsigned char *ran, unsigned ran_count,
                             FILE *out);

#endif
