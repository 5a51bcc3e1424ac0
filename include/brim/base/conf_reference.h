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

#include "brim/base/conf_fault.h"
#include "brim/base/conf_table.h"

/* Writes conf/reference.yaml: every option with text, type, range, default and what a reload does
 * with it. Thread: any. */
void brim_conf_write_reference(FILE *out);

/* Adds what field accepts, its default and what a reload does with it; of a list, how long it may
 * be; nothing for a mapping. Thread: any. */
void brim_conf_reference_add_about(struct brim_conf_text *out, const struct brim_conf_field *field);

#endif
