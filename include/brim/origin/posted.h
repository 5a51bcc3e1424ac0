/* SPDX-License-Identifier: MIT */
/*
 * posted - the answer to POST that serves later GETs.
 *
 * An origin may say so, and almost none does; so everything that is only likely counts as no.
 */
#ifndef BRIM_ORIGIN_POSTED_H
#define BRIM_ORIGIN_POSTED_H

#include "brim/http/freshness.h"

/*
 * Whether exchange is a POST whose answer is what GET of the same URL brings, for everybody: a 200
 * with a lifetime of its own and a Content-Location that is the URL, asked without credentials and
 * cookies, without Set-Cookie, Vary and coding. key_text: the primary key text of what was asked.
 * Pure. Spec: RFC 9110 9.3.3, RFC 9111 3.
 */
bool brim_posted_is_storable(const struct brim_exchange *exchange,
                             const struct brim_cache_rules *rules, struct brim_str key_text);

#endif
