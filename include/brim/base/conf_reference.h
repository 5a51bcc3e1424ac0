/* SPDX-License-Identifier: MIT */
/*
 * conf_reference - writes the option table as a commented YAML file.
 *
 * Main invariant: what it writes is a valid config, and loading it gives the defaults; options
 * without a default have an example value.
 */
#ifndef BRIM_BASE_CONF_REFERENCE_H
#define BRIM_BASE_CONF_REFERENCE_H

#include <stdio.h>

/* Writes conf/reference.yaml: every option with text, type, range, default and what a reload does
 * with it. Thread: any. */
void brim_conf_write_reference(FILE *out);

#endif
