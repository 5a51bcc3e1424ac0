/* SPDX-License-Identifier: MIT */
/*
 * compile_faults - where in the config that stands which compiles: what it logs as an error becomes
 * a fault of the config, `FILE:LINE: sites[0].routes[1].jwt.key: event key=value`.
 *
 * For files that options name (handlers, keys, passwords): what is wrong inside of them is found,
 * and said, far below what knows the config's lines.
 */
#ifndef BRIM_POLICY_COMPILE_FAULTS_H
#define BRIM_POLICY_COMPILE_FAULTS_H

#include <stdio.h>

#include "brim/base/conf.h"

struct brim_compile_faults {
    const struct brim_conf *conf;
    FILE *out;
    char path[96]; /* private, like the next */
    char place[512];
};

/* Errors that this thread logs from now on go to faults->out, as of the value at the path that
 * format makes. faults NULL: nothing happens, they are logged. Thread: init or control. */
void brim_compile_faults_at(struct brim_compile_faults *faults, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As of the option below that path, such as "jwt.key": until the next call of either. */
void brim_compile_faults_in(struct brim_compile_faults *faults, const char *option);

/* Errors are logged again. */
void brim_compile_faults_end(void);

#endif
