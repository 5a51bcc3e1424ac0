/* SPDX-License-Identifier: MIT */
/*
 * error_page - what a site shows instead of brim's own text when its origin has no answer.
 */
#ifndef BRIM_POLICY_ERROR_PAGE_H
#define BRIM_POLICY_ERROR_PAGE_H

#include "brim/base/err.h"
#include "brim/base/str.h"

#define BRIM_ERROR_PAGE_BYTES_MAX (1024u * 1024u)

struct brim_error_page {
    struct brim_str body;
    struct brim_str type; /* Content-Type, static text */
};

/*
 * Reads path whole; NULL in *page_out where path is empty. What is wrong is logged.
 * Owns: the caller frees. Errors: BRIM_EINVAL it cannot be read, or is too large.
 * Thread: init or control.
 */
BRIM_MUST_USE enum brim_err brim_error_page_read(const char *path,
                                                 struct brim_error_page **page_out);
void brim_error_page_free(struct brim_error_page *page); /* accepts NULL */

/* The Content-Type of a file of this name, by its extension. */
struct brim_str brim_error_page_type(const char *path);

#endif
