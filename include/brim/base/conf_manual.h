/* SPDX-License-Identifier: MIT */
/*
 * conf_manual - writes the option table as the manual page brim.yaml(5).
 *
 * Main invariant: every option of the table has its paragraph, under its whole path.
 */
#ifndef BRIM_BASE_CONF_MANUAL_H
#define BRIM_BASE_CONF_MANUAL_H

#include <stdio.h>

/* Writes the page as man(7) source: every option with text, type, range, default and what a reload
 * does with it. Thread: any. */
void brim_conf_write_manual(FILE *out);

#endif
