/* SPDX-License-Identifier: MIT */
/*
 * url_list - URLs in the order in which they came, bounded.
 */
#ifndef BRIM_CLI_URL_LIST_H
#define BRIM_CLI_URL_LIST_H

#include <stdio.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

struct brim_url_list {
    size_t count_max;
    char **urls;
    size_t count;
    size_t room; /* private */
};

/* Frees what is in it. Thread: any. */
void brim_url_list_fini(struct brim_url_list *list);

/* Errors: BRIM_EINVAL it is no absolute http(s) URL without fragment; BRIM_ELIMIT the list is full;
 * BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_url_list_add(struct brim_url_list *list, struct brim_str url);

/*
 * Adds a URL a line; empty lines and those that begin with # are passed over. A line that is no URL
 * is told on `faults` as NAME:LINE and counted in *bad.
 * Errors: BRIM_EIO, BRIM_ELIMIT, BRIM_ENOMEM; what was read until then stays.
 */
BRIM_MUST_USE enum brim_err brim_url_list_read(struct brim_url_list *list, FILE *in,
                                               const char *name, FILE *faults, size_t *bad);

#endif
