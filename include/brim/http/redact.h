/* SPDX-License-Identifier: MIT */
/*
 * redact - takes the values of query parameters that are nobody's business out of a URL.
 *
 * Names are compared without case and with their percent-encoding undone, so that `Tok%65n` is
 * `token`; a rule may end with `*`. Separators are '&' and ';'. Values become "***".
 */
#ifndef BRIM_HTTP_REDACT_H
#define BRIM_HTTP_REDACT_H

#include <stddef.h>

#include "brim/base/str.h"

struct brim_redact { /* private */
    struct brim_str *names;
    size_t count;
};

/* Copies the names. */
void brim_redact_init(struct brim_redact *redact, char *const *names, size_t count);
void brim_redact_fini(struct brim_redact *redact);

/* Returns url, or a copy in buffer where something had to go; what does not fit is cut. */
struct brim_str brim_redact_query(const struct brim_redact *redact, struct brim_str url,
                                  char *buffer, size_t room);

#endif
