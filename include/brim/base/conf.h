/* SPDX-License-Identifier: MIT */
/*
 * conf - one YAML file, checked whole, bound to structs that the option table generates.
 *
 * What comes out is complete and valid: defaults filled in, ranges and units checked, referenced
 * names and files there. What cannot be used gives one message a fault,
 * `FILE:LINE: path.to.key: what is wrong; what is accepted`, and no conf at all.
 * The structs stand in conf_table.h, the writer of conf/reference.yaml in conf_reference.h.
 */
#ifndef BRIM_BASE_CONF_H
#define BRIM_BASE_CONF_H

#include <stdio.h>

#include "brim/base/conf_reference.h"
#include "brim/base/conf_table.h"
#include "brim/base/err.h"

struct brim_conf; /* opaque: owns root and all its memory */

/*
 * Reads and checks the file at path, or standard input where that is "-"; every fault is written as
 * one line to `faults`, up to 50.
 *
 * Owns:   on BRIM_OK *conf_out is the caller's.
 * Errors: BRIM_EINVAL faults were written (unreadable file included); BRIM_ENOMEM.
 * Thread: init or control.
 */
BRIM_MUST_USE enum brim_err brim_conf_load(const char *path, FILE *faults,
                                           struct brim_conf **conf_out);
void brim_conf_free(struct brim_conf *conf);
const struct brim_conf_root *brim_conf_root(const struct brim_conf *conf);
const char *brim_conf_path(const struct brim_conf *conf);

/* Line of the value at a path such as "sites[0].routes[2].path", or of the nearest parent that is
 * in the file; 0 if unknown. For checks that stand in higher rooms (certificates). */
int brim_conf_line(const struct brim_conf *conf, const char *path);

#endif
