/* SPDX-License-Identifier: MIT */
/*
 * conf_reload - whether a reload may go from one config to another.
 *
 * The option table says of every option whether it needs a restart; this walks two configs side by
 * side and names every such option that differs.
 */
#ifndef BRIM_BASE_CONF_RELOAD_H
#define BRIM_BASE_CONF_RELOAD_H

#include <stdio.h>

#include "brim/base/conf.h"
#include "brim/base/err.h"

/*
 * Checks that next differs from running only in what a reload applies; everything else gives one
 * line in `faults`, in the form of brim_conf_load().
 *
 * Errors: BRIM_EINVAL faults were written.
 * Thread: init or control.
 */
BRIM_MUST_USE enum brim_err brim_conf_reload_check(const struct brim_conf *running,
                                                   const struct brim_conf *next, FILE *faults);

#endif
