/* SPDX-License-Identifier: MIT */
/*
 * utf8 - where the characters of a text begin and end, for texts that others wrote.
 *
 * Strict (RFC 3629: no surrogates, no overlong forms), as what goes into JSON has to be.
 */
#ifndef BRIM_BASE_UTF8_H
#define BRIM_BASE_UTF8_H

#include "brim/base/str.h"

/* Bytes of the character at the front of text, which is not empty; 0: there is none. Thread: any.
 */
size_t brim_utf8_length(struct brim_str text);

#endif
